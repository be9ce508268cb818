"""What the directory keeps: users and groups, who changed them, and what was changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.errors import PatchRefused
from scimsync.scim.genesys import GENESYS, GENESYS_GROUP
from scimsync.scim.schema import Catalog
from scimsync.simulator import permissions

JsonObject = dict[str, object]
#: Turns a full resource into the part of it that was asked for.
Projection = Callable[[JsonObject], JsonObject]

USERS = GENESYS.users.published
GROUPS = Catalog(GENESYS_GROUP)
#: what an admin can do to a group beyond what SCIM allows: give it another name
GROUPS_BY_HAND = Catalog(
    replace(
        GENESYS_GROUP,
        attributes=tuple(
            replace(a, mutability="readWrite") if a.name == "displayName" else a for a in GENESYS_GROUP.attributes
        ),
    )
)
EDITOR = "edit"  #: who made a change that no client asked for


class NameTaken(PatchRefused):
    """The user name belongs to an account that is not deleted: 409 on POST (documented)."""

    def __init__(self, text: str = "the userName is used by another user") -> None:
        super().__init__("uniqueness", text)


class Entity(Struct, eq=False):
    """A user or a group: what the client may write, and what the directory keeps about it."""

    id: str
    resource: JsonObject
    modified: float
    version: int = 1
    deleted: bool = False
    writes: int = 0  #: accepted writes of clients
    wire: dict[str, bytes] = field(default_factory=dict)
    number: int = 0  #: the place of a user in listings

    @property
    def active(self) -> bool:
        """The administrative state; groups have none and count as active."""
        return self.resource.get("active") is not False


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One change that took effect."""

    time: str
    who: str
    client: str
    method: str
    resource: str
    id: str
    operations: list[dict[str, object]]
    version: int
    seq: int = 0
    correlation_id: str = ""


class Actor(Struct, frozen=True):
    """Who writes, and by which method; for the history."""

    client: str
    method: str
    permissions: frozenset[str] = permissions.ALL
    fails: frozenset[str] = frozenset()  #: areas that a partial failure leaves as they were
    correlation_id: str = ""

    @property
    def edits(self) -> bool:
        """Whether this is an admin's edit and not a client's request."""
        return self.client == EDITOR


def timestamp(seconds: float) -> str:
    """A moment as ISO-8601 with milliseconds and Z, as `meta.lastModified` has it (documented)."""
    whole, rest = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{rest // 1000:03d}Z"


@lru_cache(maxsize=1024)
def _second(whole: int) -> str:
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"
