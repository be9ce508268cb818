"""The section about what is remembered from run to run."""

from typing import Annotated, Literal

from scimsync.config.keys import MEMORY, Section
from scimsync.config.keys import key as _key
from scimsync.config.keys import like as _like
from scimsync.config.keys import text as _text


class State(Section):
    """What is remembered from run to run: runs, links, journal in a database; plans and bases as files."""

    url: str = _text(
        "SQLite or PostgreSQL, where runs, links and journal are kept; or env:NAME.",
        "sqlite:///.scimsync/state.db",
        example="env:STATE_URL",
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
