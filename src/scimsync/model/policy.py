"""Who wins, what becomes of leavers, who is untouchable, and how much a run may change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum

from msgspec import Struct, field
from msgspec.structs import force_setattr

from scimsync.model.approvals import ApprovalRule
from scimsync.model.decisions import Decisions
from scimsync.scim.schema import Kind, Place


class Authority(Enum):
    """Who wins when the directory has moved."""

    LOCAL_WINS = "local_wins"
    CLOUD_WINS = "cloud_wins"
    MERGE = "merge"
    ASK = "ask"


class Keep(Struct, frozen=True):
    """How much of the past is kept: the newest runs that were applied, and whatever is younger than some days."""

    runs: int = 100
    days: int = 400


class Leavers(Enum):
    """What becomes of the account of a person who left."""

    DISABLE = "disable"
    KEEP = "keep"
    DELETE = "delete"  #: disable it, and delete it once it was inactive for long enough


#: how far apart two readings are at least that count as two
LEAVERS_APART = timedelta(hours=1)


class Deleted(Enum):
    """What becomes of a joiner whose login belonged to a deleted account, which a creation would bring back."""

    HOLD = "hold"  #: a person decides
    RESTORE = "restore"  #: the account comes back, where it is not known to be another person's


class Rehire(Enum):
    """What becomes of what the directory took from a leaver who comes back, where the mapping does not give it."""

    PROPOSE = "propose"  #: the plan names it, and a person says so
    RESTORE = "restore"  #: given back with the access
    LEAVE = "leave"  #: only told that it lacks


class LoginExchange(Enum):
    """What becomes of people who exchange their logins."""

    PARK = "park"  #: one of them gets another login until the others have theirs
    HOLD = "hold"  #: their logins wait for a person


class Leave(Enum):
    """What becomes of the account of a person who is on leave."""

    HOLD = "hold"  #: nothing of this person is written until the return
    KEEP = "keep"  #: as of everybody who is there
    DISABLE = "disable"  #: access is taken, and given back at the return


class Outside(Enum):
    """What becomes of the account of a person who is not in scope any more."""

    KEEP = "keep"  #: nothing of this person is written
    DISABLE = "disable"  #: access is taken


class BadValue(Enum):
    """What a value that cannot be written leaves out; a bad login or status always leaves out the person."""

    ATTRIBUTE = "attribute"
    PERSON = "person"


class Depth(Enum):
    """How deep a plan looks at the directory."""

    FULL = "full"  #: everybody is listed with all that is mapped
    VERSIONS = "versions"  #: everybody is listed with login, status and version; who moved is read
    SOURCE = "source"  #: nobody is listed; a write finds out who moved


class Rekey(Enum):
    """What becomes of an account whose person comes again under another key."""

    HOLD = "hold"  #: a person says so: `scimsync link`
    FOLLOW = "follow"  #: the account follows, where enough marks agree


#: how long ago somebody may have left to be suspected of coming again
RENAMES_WITHIN = timedelta(days=30)


class Renames(Enum):
    """What becomes of a joiner who is probably somebody who left, under another key."""

    HOLD = "hold"  #: both wait for a person: no account is made, none is disabled
    TELL = "tell"  #: a person is told, and the plan goes on
    OFF = "off"


class Mapped(Struct, frozen=True, kw_only=True):
    """One managed attribute: where it goes, the expression that makes it, who owns it."""

    place: Place
    expression: str
    authority: Authority

    #: the short path, which names the attribute everywhere
    path: str = ""

    def __post_init__(self) -> None:
        """Ask the place once: a plan of many asks a million times."""
        force_setattr(self, "path", self.place.short)

    @property
    def is_shared(self) -> bool:
        """Whether it is a list in which others may have elements of their own."""
        return self.place.kind is Kind.LIST and self.authority is Authority.MERGE


class Limit(Struct, frozen=True):
    """A number of people, or a share of them; a share never trips below `floor` people, and all is no limit."""

    count: int | None = None
    share: float | None = None
    floor: int = 0

    def allows(self, number: int, of: int) -> bool:
        """Whether `number` people out of `of` are within the limit."""
        if self.count is not None:
            return number <= self.count
        if self.share is not None:
            return self.share >= 1 or number <= max(self.floor, self.share * of)
        return True

    def __str__(self) -> str:
        """As it is written in the configuration."""
        if self.count is not None:
            return str(self.count)
        return "none" if self.share is None else f"{self.share * 100:g}%"


class Nested(Enum):
    """What becomes of a group that HR names as a member of a group."""

    KEEP = "keep"  #: the group itself is written as a member
    FLATTEN = "flatten"  #: its people become members of the outer group
    REFUSE = "refuse"  #: left out, and reported


class Others(Enum):
    """What becomes of members of a managed group that HR does not name and that we did not add."""

    KEEP = "keep"
    REMOVE = "remove"


class Shows(Enum):
    """What a group shows of its members."""

    ALL = "shown"
    CAPPED = "capped"
    HIDDEN = "hidden"


class Removal(Enum):
    """How a member is taken out of a group."""

    FILTER = "filter"  #: path `members[value eq "x"]`
    VALUE = "value"  #: path `members`, and whom as value
    LIST = "list"  #: all members are written anew
    WHOLE = "whole"  #: as `VALUE`, and whoever stays is added in the same request: found by trying


class Providing(Struct, frozen=True, kw_only=True):
    """What the provider does with the members of a group."""

    #: there are groups
    served: bool = True
    shows: Shows = Shows.ALL
    #: members that it shows at most, where that is capped; 0: not known
    cap: int = 0
    #: a member that is added again is refused
    refuses_twice: bool = False
    removal: Removal = Removal.FILTER
    #: the way to remove is known, so that no other is tried
    is_removal_known: bool = False


class Grouping(Struct, frozen=True, kw_only=True):
    """How memberships are read from the source, and what is done about them."""

    #: attribute of the group by which the source names it: `displayName` or `id`
    match: str = "displayName"
    nested: Nested = Nested.REFUSE
    others: Others = Others.KEEP
    #: names of the groups that are ours; empty: those that the source names
    managed: tuple[str, ...] = ()
    #: names or ids of the groups that are never changed
    protected: tuple[str, ...] = ()
    #: list column of the record; "" where pairs come from a source of their own
    column: str = ""
    separator: str = ";"
    #: members that one request may add and remove
    batch: int = 50
    providing: Providing = Providing()


#: how long a target that is down is waited for where nothing is said
OUTAGE = timedelta(minutes=2)
#: how long what was done counts with the limits, and what took access away
WINDOW, LEAVERS_WINDOW = timedelta(days=1), timedelta(days=7)


def counted_for_leavers(window: timedelta) -> timedelta:
    """How long leavers count where nothing is said of them: a week, or the window where it is not the standard one."""
    return LEAVERS_WINDOW if window == WINDOW else window


class Limits(Struct, frozen=True, kw_only=True):
    """How much may change. Shares are of the linked accounts (of the records for `create`)."""

    disable: Limit = Limit(share=0.05, floor=3)
    enable: Limit = Limit(share=0.05, floor=3)
    create: Limit = Limit(share=0.20, floor=20)
    update: Limit = Limit(share=0.50, floor=20)
    delete: Limit = Limit(share=0.05, floor=3)
    source_rows_drop: Limit = Limit(share=0.10, floor=3)
    group_loss: Limit = Limit(share=0.30)
    group_gain: Limit = Limit(share=0.50, floor=20)
    #: people of a ring who may be held or fail before the next one is begun
    ring_errors: Limit = Limit(share=0.10, floor=3)
    #: people from whom the value of one attribute may be taken away
    clear: Limit = Limit(share=0.05, floor=10)
    #: the same for single attributes, by short path
    clears: Mapping[str, Limit] = field(default_factory=dict)
    #: what runs did within this time counts with what the next one wants; 0 for a run alone
    window: timedelta = WINDOW
    #: the same for accounts that are disabled or deleted: nobody leaves by a few percent every night
    leavers_window: timedelta = LEAVERS_WINDOW

    def clear_of(self, path: str) -> Limit:
        """From how many people the value of an attribute may be taken away."""
        return self.clears.get(path, self.clear)


class Rings(Struct, frozen=True, kw_only=True):
    """How a large plan is written: to a share of the people first, then to more."""

    #: shares of the people, growing up to 1
    shares: tuple[float, ...] = (0.01, 0.10, 1.0)
    #: how many changes a plan must have to be written in rings
    least: int = 500
    #: an SQL condition over one record: whoever meets it stands in a ring before the first; "" for none
    first: str = ""


class Policy(Struct, frozen=True, kw_only=True):
    """Everything that decides, apart from the values themselves."""

    attributes: tuple[Mapped, ...]
    match: tuple[Place, ...]
    rekey: Rekey = Rekey.HOLD
    renames: Renames = Renames.HOLD
    #: how long ago somebody may have left who comes again
    renames_within: timedelta = RENAMES_WITHIN
    leavers: Leavers = Leavers.DISABLE
    #: how long an account is inactive before it is deleted, where leavers are
    leavers_after: timedelta = timedelta(days=30)
    #: how many readings must lack somebody before the access is taken, and how far apart two of them are
    leavers_readings: int = 1
    leavers_apart: timedelta = LEAVERS_APART
    deleted: Deleted = Deleted.HOLD
    rehire: Rehire = Rehire.PROPOSE
    on_bad_value: BadValue = BadValue.ATTRIBUTE
    exchange: LoginExchange = LoginExchange.PARK
    #: how long a plan may be applied after it was made
    plan_expires: timedelta = timedelta(hours=24)
    leave: Leave = Leave.HOLD
    #: short paths that are cleared while somebody is on leave; `groups` for memberships
    leave_removes: frozenset[str] = frozenset()
    outside: Outside = Outside.KEEP
    #: how long before the first day an account is made, inactive; 0: on the day
    create_before: timedelta = timedelta()
    #: keys or user names, lower case
    protected: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    rings: Rings = field(default_factory=Rings)
    #: how long a target that is down is waited for before a run ends
    outage: timedelta = OUTAGE
    #: None where memberships are not managed
    groups: Grouping | None = None

    #: which plans need approvals
    approvals: tuple[ApprovalRule, ...] = ()
    #: what people decided about conflicts; from the state, laid in when a plan is made
    decisions: Decisions = field(default_factory=Decisions)

    #: the managed attributes by short path
    by_path: Mapping[str, Mapped] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look once where each attribute is: a plan asks for each person."""
        force_setattr(self, "by_path", {mapped.path: mapped for mapped in self.attributes})
