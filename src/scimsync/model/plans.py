"""The plan: what would be done to whom and why, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum

from msgspec import Struct, field

from scimsync.model.policy import Authority
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Value

#: parts of the journal: the change itself, and what else HR says about a leaver; each with its second pass after it
ITSELF, BESIDES = 1, 3
#: the path of the login, which belongs to one account at a time
LOGIN = "userName"
#: the code of a rule of the configuration that the directory would break
RULE_FAILED = "rule.failed"


class Action(Enum):
    """What happens to one account; the value is what people read."""

    CREATE = "create"
    UPDATE = "update"
    DISABLE = "disable"
    ENABLE = "enable"
    DELETE = "delete"
    RESTORE = "restore"


#: what gives a person an account who had none: a new one, or a deleted one that comes back
MAKING = frozenset({Action.CREATE, Action.RESTORE})


class Lifecycle(Enum):
    """Why a person changes."""

    JOINER = "joiner"
    MOVER = "mover"
    LEAVER = "leaver"
    REHIRE = "rehire"


class Verdict(Enum):
    """What becomes of one attribute."""

    WRITE = "write"  #: send the desired value
    KEEP = "keep"  #: leave what the directory holds
    CONFLICT = "conflict"  #: held: a person decides
    AWAIT = "await"  #: waits for another person of the plan, who goes first; written with the rest of the change
    DEFER = "defer"  #: waits for another person of the plan, who cannot go first; set in the second pass


class Reason(Enum):
    """Why the sides differ; the value is the sentence that people read."""

    SOURCE_MOVED = "HR changed it"
    TARGET_MOVED = "edited in the directory"
    BOTH_MOVED = "HR and the directory both changed it"
    NO_BASE = "first run"
    JOINER = "new person"
    LEFT = "left"
    ENDED = "the end date has passed"
    RETURNED = "came back"
    AWAY = "on leave"
    BACK = "back from leave"
    BEGAN = "the first day has come"
    OUTSIDE = "out of the scope of the source"
    AWAITS = "waits for an account"
    HANDED = "waits for the login of another person"
    REVIVED = "brought back by a creation"
    PARKED = "makes room in an exchange of logins"
    UNDONE = "taken back"
    SINCE = "changed in the directory since"
    LATER = "written by a later run"
    PAST = "as it was then"


class Sides(Struct, frozen=True, kw_only=True):
    """The three views of one attribute. `known` says whether there is a base at all."""

    desired: Value
    current: Value
    base: Value
    known: bool


class Delta(Struct, frozen=True, kw_only=True):
    """The difference of one attribute and what becomes of it."""

    path: str
    sides: Sides
    verdict: Verdict
    reason: Reason
    authority: Authority
    #: the source key of the person it waits for: whose account the reference names, or who gives up the login
    awaits: str | None = None
    #: the decision of a person by which it is so (`Decision.id`); "" where the rules alone say it
    decided: str = ""


class Change(Struct, frozen=True, kw_only=True):
    """All deltas of one account under one action. Of a leaver there are two: the access, and what else HR says."""

    key: str
    #: the login, for people to read
    name: str
    action: Action
    lifecycle: Lifecycle
    deltas: tuple[Delta, ...]
    #: id of the account; None where it is still to be created
    account: str | None
    #: version the plan rests on; "" where there is none
    version: str
    #: what is sent: operations of the PATCH; for a create those that make up the new resource
    operations: tuple[Operation, ...]
    #: row or line of the source; None for a person who is no longer in it
    row: int | None = None
    #: what the journal calls it; a second pass has the next number
    part: int = ITSELF
    #: the person stands in the ring before the first
    pilot: bool = False

    @property
    def awaiting(self) -> tuple[Delta, ...]:
        """What is written with the rest, once the accounts that references name exist and the login is given up."""
        return tuple(d for d in self.deltas if d.verdict is Verdict.AWAIT)

    @property
    def word(self) -> str:
        """What is done, in one word."""
        return self.action.value

    @property
    def is_sent(self) -> bool:
        """Whether the first pass has anything to do: something to write, or an account to delete."""
        return bool(self.operations or self.awaiting) or self.action is Action.DELETE

    @property
    def deferred(self) -> tuple[Delta, ...]:
        """The references, and the login of a person who is parked, that are set in the second pass."""
        return tuple(d for d in self.deltas if d.verdict is Verdict.DEFER)


class Member(Struct, frozen=True):
    """Somebody who joins or leaves a group."""

    #: source key of the person, `group:NAME` for a group, "" for an account that HR does not know
    key: str
    #: id of the account or group; None for a joiner of the same plan
    account: str | None


class GroupChange(Struct, frozen=True, kw_only=True):
    """Who joins and who leaves one group."""

    group: str
    name: str
    #: version the plan rests on
    version: str
    add: tuple[Member, ...]
    remove: tuple[Member, ...]
    #: how many members it held
    held: int
    #: members that one request may add and remove
    batch: int
    #: it shows only a part of its members
    partial: bool = False
    #: how many it showed when that was found; None where it is not known
    cut: int | None = None
    #: nobody knows whether it shows all: members whom we added are not in a list that may be cut
    doubted: bool = False

    @property
    def key(self) -> str:
        """What the journal and outcomes call it; no source key begins so."""
        return f"group:{self.group}"

    @property
    def word(self) -> str:
        """What is done, in one word, as an action says it of a person."""
        return "members"

    @property
    def requests(self) -> int:
        """How many writes it needs."""
        return -(-(len(self.add) + len(self.remove)) // self.batch)


class Severity(Enum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Finding(Struct, frozen=True, kw_only=True):
    """Trouble with one subject, as a value. `summary` is constant text without personal values."""

    severity: Severity
    code: str
    #: a source key, a path, or "" for the run
    subject: str
    summary: str
    detail: str = ""
    hint: str = ""
    row: int | None = None
    #: the person, or the one attribute that `path` names, is left out of the plan
    holds: bool = False
    path: str = ""
    #: the last day on which it is as a person accepted it; None where nobody did
    accepted: date | None = None

    @property
    def kind(self) -> str:
        """What stays the same about it while its subject is in the same trouble: never a value of a person."""
        return " | ".join((self.code, self.path, "holds" if self.holds else "", self.summary))

    @property
    def rule(self) -> str:
        """What a person names to set it aside: its code, or the rule of the configuration that failed."""
        return f"rule.{self.subject}" if self.code == RULE_FAILED else self.code


class Seal(Struct, frozen=True, kw_only=True):
    """What a plan rests on. A plan is applied only where all of it still holds."""

    target: str
    configuration: str
    source: str
    base: str
    #: how much people had said about who is who; "" for nothing
    links: str = ""


class Tally(Struct, frozen=True, kw_only=True):
    """The numbers of a plan."""

    records: int = 0
    accounts: int = 0
    linked: int = 0
    #: people with access whom a delivery of changes does not hold
    absent: int = 0
    unmanaged: int = 0
    actions: dict[str, int] = field(default_factory=dict)
    lifecycles: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    kept: int = 0
    overwritten: int = 0
    deferred: int = 0
    #: people who are left out, single values of people who are not, and leavers who keep access
    held: int = 0
    values: int = 0
    leavers_kept: int = 0
    #: findings that a person accepted; who and what they leave out is none of the numbers above
    accepted: int = 0
    equal: int = 0
    compared: int = 0
    #: groups that change, and memberships that begin and end
    groups: int = 0
    members_added: int = 0
    members_removed: int = 0
    #: licence -> people who will need it, less those who need it no more; empty where that is not known, or none moves
    licences: dict[str, int] = field(default_factory=dict)

    @property
    def changes(self) -> int:
        """How many changes of accounts there are."""
        return sum(self.actions.values())

    @property
    def match_rate(self) -> float:
        """Attributes already equal, of those compared; 1.0 where nothing was compared."""
        return self.equal / self.compared if self.compared else 1.0


class Coming(Struct, frozen=True):
    """Somebody whose records say that they join, move or leave on a day to come; or who is far enough on the ladder."""

    key: str
    lifecycle: Lifecycle
    #: the first day on which it is so; of a leaver the day after the last
    day: date
    #: of somebody who left already, or is missing: what a plan of that day does, where nothing changes until then
    action: Action | None = None

    @property
    def word(self) -> str:
        """What happens, in one word."""
        return self.lifecycle.value if self.action is None else self.action.value


class Estimate(Struct, frozen=True, kw_only=True):
    """What applying a plan takes where all goes well."""

    #: kind -> how many requests, by the names under which they are counted when they are sent
    requests: Mapping[str, int]
    seconds: float

    @property
    def total(self) -> int:
        """How many requests there are."""
        return sum(self.requests.values())


class Plan(Struct, frozen=True, kw_only=True):
    """The ordered changes, the findings, and the seal."""

    id: str
    created: datetime
    seal: Seal
    tally: Tally
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    groups: tuple[GroupChange, ...] = ()
    #: deltas that change nothing but that people should see: kept edits and conflicts, by person
    notices: tuple[Change, ...] = ()
    #: rules that forbid the plan, as findings with the rule as code; empty where it may be applied
    refusals: tuple[Finding, ...] = ()
    #: rules that a person overrode, with the reason given
    overrides: dict[str, str] = field(default_factory=dict)
    #: requests a minute that the target grants, for the estimate
    rate: int = 300
    #: what a place in the source is called: "row" or "line"
    place: str = "row"
    #: new key of an account that follows its person -> the key that has it
    moved: Mapping[str, str] = field(default_factory=dict)
    #: when it is too old to be applied; None in a plan of a version that did not say so
    expires: datetime | None = None
    #: part of the configuration -> its digest, so that another configuration can be told from this one part by part
    parts: Mapping[str, str] = field(default_factory=dict)
    #: what applying takes; None in a plan of a version that did not say so
    estimate: Estimate | None = None
    #: when the accounts were read, of a plan that did not ask the directory: such a plan is never applied
    offline: datetime | None = None
    #: the day that it is made for, where that is not today: such a plan is never applied
    as_of: date | None = None
    #: who joins, moves and leaves on the days to come, as far as the source says so
    coming: tuple[Coming, ...] = ()
    #: the run that it takes back, or the moment (ISO 8601) to which it brings a person back; "" where HR speaks
    undoes: str = ""
    restores: str = ""
    #: who proposed it, each as `name (proof)`: one person, and whoever left something out of it since
    authors: tuple[str, ...] = ()
    #: the plan that it was, before a person left something out; "" where nobody did
    trimmed: str = ""

    @property
    def looks_back(self) -> bool:
        """Whether the past is what it wants, and not HR."""
        return bool(self.undoes or self.restores)

    def __repr__(self) -> str:
        """Which plan it is: asyncio takes the text of all that it gives back, and nobody reads a million people."""
        return f"<Plan {self.id}: {self.writes} changes>"

    @property
    def writes(self) -> int:
        """How many changes of accounts and groups there are."""
        return len(self.changes) + len(self.groups)

    @property
    def requests(self) -> int:
        """How many writes the plan needs: one a change, two where a reference is deferred, one a batch of members."""
        people = sum(c.is_sent + bool(c.deferred) for c in self.changes)
        return people + sum(group.requests for group in self.groups)
