"""Which plans need approvals, as it is written in the file: [[approval]]."""

from typing import Annotated, Literal

from scimsync.config.keys import AFTER, RULE_NAME, WINDOW, Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like

Kind = Literal["create", "update", "disable", "enable", "delete"]


class Approval(Section):
    """Plans that need approvals, and by whom; several are written one below the other."""

    name: str = _like(
        RULE_NAME, "What the rule is called, in small letters, digits and hyphens.", ..., example="many-leavers"
    )
    more_than: dict[Kind, Annotated[int, _key("More than so many of it.", ..., example=10, ge=0)]] = _key(
        "Plans that create, update, disable, enable or delete more accounts than this, together with what runs of the "
        "last day did that nobody approved.",
        {},
        example={"disable": 10, "delete": 0},
    )
    groups: list[str] = _key(
        "Plans that change the members of these groups, by name or id; `*` stands for any text.",
        [],
        example=["Supervisors", "Admin*"],
    )
    override: bool = _key(
        "Plans that set a rule aside. What is set aside must then stand in the plan.", default=False, example=True
    )
    every: bool = _key("Every plan that writes.", default=False, example=True)
    needs: int = _key("How many people must approve, besides who proposed the plan.", 1, example=2, ge=1)
    by: list[str] = _key(
        "Who may approve: users of this machine by their login, others as the console knows them. Anybody but who "
        "proposed the plan where it is empty.",
        [],
        example=["maria", "ben@example.com"],
    )
    valid: str = _like(
        AFTER, "How long an approval counts, in hours (`h`) or days (`d`); never longer than the plan.", "24h",
        example="8h",
    )  # fmt: skip
    settled: str = _like(
        WINDOW, "How long a user of the console who was made, or was given another role or password, counts as one "
        'person with who did that, and with whoever else they made, in days (`d`) or hours (`h`); `"0"` for never.',
        "7d",
        example="30d",
    )  # fmt: skip
