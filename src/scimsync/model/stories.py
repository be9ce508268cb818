"""The story of one person: what HR says, what the directory holds, what becomes of it and why, what was written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum

from msgspec import Struct, field

from scimsync.model.policy import Authority
from scimsync.scim.schema import Value


class Standing(Enum):
    """How it stands with one person; the value is what programs read."""

    SAME = "same"  #: the account is what HR says
    CHANGES = "changes"  #: a plan writes
    REFUSED = "refused"  #: a plan would write, and a limit refuses it
    HELD = "held"  #: left out until somebody looks
    AS_AGREED = "as-agreed"  #: not in a delivery of changes, so nothing is decided
    EDITED = "edited"  #: the sides differ, and by authority nothing is written
    NO_ACCOUNT = "no-account"  #: there is none, and HR wants none
    LEFT = "left"  #: gone from the source, and nothing is left to take away
    UNMANAGED = "unmanaged"  #: an account that no record has


class Becomes(Enum):
    """What becomes of one attribute; the value is what programs read."""

    SAME = "same"  #: both sides hold it
    WRITE = "write"
    KEEP = "keep"  #: the directory's value stays, by authority
    CONFLICT = "conflict"  #: held: a person decides
    AWAIT = "await"  #: waits for another person of the plan
    DEFER = "defer"  #: the same, and is set in the second pass
    LEFT_ALONE = "left-alone"  #: neither compared nor written


class Hit(Struct, frozen=True):
    """Whom a word may mean, and by what: `key`, `account` or `login`."""

    key: str
    by: str


class Traces(Struct, frozen=True, kw_only=True):
    """What the tables of a planning run say of one person."""

    #: places of the records that have the key
    rows: tuple[int, ...] = ()
    #: numbers of these records in the tables
    ns: tuple[int, ...] = ()
    #: path -> value that HR wants, as far as it could be mapped; empty where nothing was
    desired: Mapping[str, Value] = field(default_factory=dict)
    #: paths of which the value is bad, or is left alone for everybody
    spoiled: frozenset[str] = frozenset()
    #: the record is left out of the plan
    held: bool = False
    #: the source delivers changed people alone, and this one is not among them
    absent: bool = False
    #: HR has records of the person that hold later alone: the first day of the next
    early: date | None = None
    #: id of the account that is theirs; None where none is known
    account: str | None = None
    #: the record has the account in this plan, and does not only remember it
    paired: bool = False
    #: the account is one that the directory does not have any more
    gone: bool = False
    #: what the account shows; None where it was not seen
    current: Mapping[str, Value] | None = None
    login: str = ""
    version: str = ""
    active: bool | None = None
    #: path -> what both sides last agreed on; paths on which they never did are missing
    base: Mapping[str, Value] = field(default_factory=dict)

    @property
    def n(self) -> int | None:
        """The number of the record; None where there is none, or several, of which nobody knows which is meant."""
        return self.ns[0] if len(self.ns) == 1 else None


class Cell(Struct, frozen=True):
    """One cell of the source."""

    column: str
    value: str | None
    #: where it stands: line of a file, row of a query
    place: int | None


class Step(Struct, frozen=True):
    """One part of an expression, evaluated on one record; the innermost come first."""

    expression: str
    value: str | None
    #: why there is no value: the code of the finding, or the kind of error; "" where all is well
    fault: str = ""


class Cause(Struct, frozen=True, kw_only=True):
    """Why something is as it is, and what would have to change."""

    #: the code of the finding, of the outcome or of the rule; "" where no code is needed
    code: str
    #: one sentence
    why: str
    #: what a person may do; "" where nothing is to be done
    advice: str = ""
    #: the attribute that it is about; "" for the person
    path: str = ""


class Deed(Struct, frozen=True, kw_only=True):
    """One write, or one try: what was sent when, and what the directory answered."""

    run: str
    #: when it was settled; where it was not, when the request was about to leave
    at: datetime
    #: as in the journal: 1 the change, 3 what else HR says about a leaver; 2, 4 references
    part: int
    method: str
    #: the version under which it was sent (If-Match), "" where there was none
    if_match: str
    tries: int
    #: `done`, `already`, `held`, `failed`, `deferred`; `open` where it is not settled yet
    status: str
    code: str = ""
    #: what the directory said, or what was found
    answer: str = ""
    correlation_id: str = ""
    version: str = ""
    written: Mapping[str, Value] = field(default_factory=dict)
    #: paths where a foreign edit was overwritten by rule
    overwritten: tuple[str, ...] = ()


class PathStory(Struct, frozen=True, kw_only=True):
    """Everything about one attribute of one person."""

    path: str
    expression: str
    authority: Authority
    cells: tuple[Cell, ...] = ()
    steps: tuple[Step, ...] = ()
    desired: Value = None
    current: Value = None
    base: Value = None
    #: there is a record that was mapped; the directory showed the account; both sides once agreed
    has_desired: bool = False
    has_current: bool = False
    has_base: bool = False
    becomes: Becomes
    #: which rule decided, in words
    rule: str
    #: what that means, in words
    verdict: str
    #: what would have to change for it to be otherwise; "" where both sides hold the same
    advice: str = ""
    causes: tuple[Cause, ...] = ()
    deeds: tuple[Deed, ...] = ()


class Story(Struct, frozen=True, kw_only=True):
    """Everything about one person."""

    #: source key; "" for an account that no record has
    key: str
    #: how KEY was understood: `key`, `account` or `login`
    named: str
    #: other keys that the same KEY may mean
    also: tuple[str, ...] = ()
    name: str
    #: what a place in the source is called, and where the records stand; empty where there is none
    place: str = "row"
    rows: tuple[int, ...] = ()
    account: str | None = None
    #: whether the directory shows the account; None where it was not asked
    shown: bool | None = None
    active: bool | None = None
    version: str = ""
    #: the directory was asked; False where it is told as it was read last
    live: bool
    #: when the directory was seen so
    at: datetime
    standing: Standing
    #: what happens to the account, where something does: `create`, `update`, ...
    action: str = ""
    #: the story in sentences
    told: tuple[str, ...]
    causes: tuple[Cause, ...] = ()
    #: what would have to change for it to be otherwise
    advice: str = ""
    paths: tuple[PathStory, ...] = ()
    #: the latest first
    deeds: tuple[Deed, ...] = ()
