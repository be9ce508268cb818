"""The section about what is remembered from run to run."""

from typing import Annotated, Literal, Protocol
from urllib.parse import quote

from scimsync.config.keys import MEMORY, RULE_NAME, Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import text as _text
from scimsync.config.places import Place


class Told(Protocol):
    """Takes what is wrong."""

    places: set[Place]

    def tell(self, place: Place, sentence: str) -> None:
        """Add a fault."""


def within(url: str, given: "State", told: Told) -> str:
    """The URL of a state within the schema that is wanted.

    Args:
        url: Where the state is.
        given: The section.
        told: Takes what is wrong.
    """
    if not given.db_schema or ("state", "db_schema") in told.places:
        return url
    if not url.startswith("postgres"):
        told.tell(
            ("state", "db_schema"), "[state] db_schema is for PostgreSQL; give each SQLite state a file of its own"
        )
        return url
    path = quote(f'-csearch_path="{given.db_schema}"', safe="")
    return f"{url}{'&' if '?' in url else '?'}options={path}"


class State(Section):
    """What is remembered from run to run: runs, links, journal in a database; plans and bases as files."""

    url: str = _text(
        "SQLite or PostgreSQL, where runs, links and journal are kept; or env:NAME.",
        "sqlite:///.scimsync/state.db",
        example="env:STATE_URL",
    )
    db_schema: str = _like(
        RULE_NAME,
        "On PostgreSQL: the schema in which the state is, made where there is none. So several states share a "
        "database. Default: the one of the connection.",
        example="berlin",
    )
    artifacts: str = _text("The folder of plans and bases.", ".scimsync/artifacts", example="/var/lib/scimsync")
    memory: str = _like(
        MEMORY, "How much memory planning may take; beyond it a scratch file helps.", "512MB", example="2GB"
    )
    keep: dict[Literal["runs", "days"], Annotated[int, _key("A whole number from 1.", ..., example=90, ge=1)]] = _key(
        "What `scimsync state gc` leaves: the files and the journal of so many applied runs, the newest, and of "
        "whatever is younger than so many days.",
        {"runs": 100, "days": 400},
        example={"runs": 50, "days": 90},
    )
