"""What both ends are held to, as it is written in the file: [source.expect] and [[rule]]."""

from typing import Annotated, Literal

from pydantic import Field

from scimsync.config.keys import AFTER, BOUNDS, RULE_NAME, SHARE, Section, Share
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import text as _text

Percent = Annotated[str, Field(pattern=SHARE)]


class Newest(Section):
    """A column that says when a record last changed."""

    column: str = _text(
        "The column, with moments or days; one without a zone is of `[source] zone`.", ..., example="updated_at"
    )
    within: str = _like(
        AFTER, "How old the newest moment in it may be, in hours (`h`) or days (`d`).", ..., example="36h"
    )


class Expect(Section):
    """What each reading of the source must be like. One that is not takes nothing from anybody."""

    rows: str = _like(
        BOUNDS,
        "How many records there are: at least, at most, or between (source.rows).",
        example=">= 900",
    )
    churn: Share | None = _key(
        "How many of the keys may be gone since the last run, and how many new; a share or a number (source.churn). "
        "Default: 10% may be gone, and any number new.",
        None,
        example="10%",
    )
    blanks: dict[str, Annotated[Percent, _key("The share for this column.", example="2%")]] = _key(
        "Column by column, the share of the records that may have nothing there (source.blanks). For other columns it "
        "may grow by 10 points from run to run.",
        {},
        example={"email": "2%"},
    )
    shares: dict[str, Annotated[Share, _key("What a value of this column may lose.", example="20%")]] = _key(
        "Column by column, what any one of its values may lose of its records; a share or a number (source.shares). A "
        "value that three records had may not vanish. Of other columns with few values, none may vanish with its "
        "people.",
        {},
        example={"department": "20%"},
    )
    newest: Newest | None = _key(
        "A column that says when a record last changed, and how old the newest moment in it may be (source.stale).",
        None,
        example={"column": "updated_at", "within": "36h"},
    )


class Rule(Section):
    """What must hold of the directory as it will be; several are written one below the other."""

    name: str = _like(
        RULE_NAME,
        "What the rule is called, in small letters, digits and hyphens: `--override rule.NAME` sets it aside.",
        ...,
        example="billing-is-staffed",
    )
    message: str = _text(
        "What is wrong where the rule fails, as people are told.", ..., example="fewer than 40 people can do billing"
    )
    sql: str = _text(
        "A SELECT over `before` and `after` that gives what is wrong: the rule holds where it gives no row. A column "
        "`key` names whom it is about.",
        example="SELECT key FROM after WHERE active AND title IS NULL",
    )
    where: str = _text(
        "Instead of `sql`, with `count`: a condition on one row of `after`.",
        example="active AND list_contains(\"genesys:routingSkills\", 'Billing')",
    )
    count: str = _like(BOUNDS, "How many people `where` must hold for: at least, at most, or between.", example=">= 40")
    severity: Literal["error", "warning"] = _key(
        "What a rule that fails does: `error` refuses the plan, `warning` tells of it.", "error", example="warning"
    )
