"""What came of it: the answer to one exchange, the settled outcome of one change, one run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum

from msgspec import Struct, field

from scimsync.model.records import SourceHealth
from scimsync.scim.messages import ErrorReport
from scimsync.scim.schema import Value

#: the code of what was done for somebody who cannot work all the same: active again, and without roles
STRIPPED = "account.stripped"
#: how the fingerprint of a resource begins, which stands for a version where the target guards nothing by one
COMPARED = "compared:"


class Exchange(Enum):
    """How far one request came."""

    ANSWERED = "answered"
    NOT_SENT = "not sent"  #: refused here, DNS, connect or TLS failure: the target never saw it
    LOST = "lost"  #: sent, and no answer that can be believed: applied or not is unknown


class Reply(Struct, frozen=True, kw_only=True):
    """The answer to one request. A failure is a value; only trouble with the whole target raises.

    `body` is the resource of a 2xx answer; None where there was none or it could not be read.
    """

    exchange: Exchange
    method: str
    status: int = 0
    body: Mapping[str, object] | None = None
    #: version (ETag or `meta.version`), as it came but for the quotes of a strong tag; a fingerprint that begins with
    #: `COMPARED` where writes are guarded by comparing; "" where the answer had none
    version: str = ""
    #: seconds between reading and writing, in which nobody else's write is seen; None where a version guarded the write
    window_s: float | None = None
    error: ErrorReport | None = None
    detail: str = ""
    correlation_id: str = ""
    #: id of the resource that a POST says it made, in its `Location`; "" where it does not say
    location: str = ""
    #: seconds after which the target wants to be asked again, where it asks for more than we wait
    retry_after_s: float | None = None
    tries: int = 1

    @property
    def ok(self) -> bool:
        """Whether the target said yes."""
        return self.exchange is Exchange.ANSWERED and 200 <= self.status < 300


class Sweep(Struct, frozen=True, kw_only=True):
    """What one reading of all accounts came to."""

    #: distinct accounts seen
    accounts: int
    #: accounts announced by `totalResults`, both sweeps together
    announced: int
    #: why nothing may be concluded from absence; "" when the reading is complete
    incomplete: str = ""
    #: why the target does not list all inactive accounts, though all others; "" where it does
    unlisted: str = ""
    requests: int = 0


class Document(Struct, frozen=True):
    """One of the documents in which a target describes itself, and its ETag as it was sent ("" for none)."""

    body: Mapping[str, object]
    tag: str = ""


class Description(Struct, frozen=True, kw_only=True):
    """What a target says about itself: documents by the name of their endpoint (`scim.drift.DOCUMENTS`)."""

    documents: Mapping[str, Document]
    #: name of a document that it does not show us -> why
    untold: Mapping[str, str] = field(default_factory=dict)
    #: the target's `Date`; None where it sends none
    server_date: datetime | None = None
    #: seconds by which the target's clock is ahead of ours
    skew_s: float | None = None
    correlation_id: str = ""

    def body(self, name: str) -> Mapping[str, object]:
        """One document; empty where the target has none."""
        return self.documents[name].body if name in self.documents else {}


class Rights(Struct, frozen=True, kw_only=True):
    """What a target says of our client: what it may do, and how much."""

    #: division -> permissions there, such as `routing:skill:assign`, in which `*` stands for any word; None where the
    #: target does not say, and `untold` why
    granted: Mapping[str, frozenset[str]] | None = None
    untold: str = ""
    #: limits by name; None where the target does not say, and `unlimited` why
    limits: Mapping[str, int] | None = None
    unlimited: str = ""
    #: requests a minute that it announces with each answer; None where it announces nothing
    announced: int | None = None
    #: what it served a minute before it refused, and how many seconds ago that was; None where no limit was met
    learned: tuple[int, float] | None = None


class Guard(Struct, frozen=True, kw_only=True):
    """How the writes of a target are kept from landing on what nobody has seen."""

    #: without a version: read, compared with what the plan saw, written, read back
    compares: bool = False
    #: not at all: the target gives no version, and nothing is written without one
    unguarded: bool = False
    #: accounts are written with PUT of all that the target shows, with our change in it
    puts: bool = False


class Pin(Struct, frozen=True, kw_only=True):
    """A baseline: what a target said about itself when a person recorded it."""

    target: str
    at: datetime
    actor: str
    documents: Mapping[str, Document]
    #: mapped paths that the target is known not to have, so that nothing is written there
    left_out: tuple[str, ...] = ()


class Link(Struct, frozen=True):
    """The remembered result of correlation: this record owns this account."""

    key: str
    account: str
    #: the source whose record it is; "" where nobody said so yet
    source: str = ""


class LinkDecision(Struct, frozen=True):
    """That a record and an account are one person, or are not: said once, until it is said otherwise."""

    key: str
    account: str
    same: bool
    #: who said so; "" for a run that will not link them by itself
    actor: str = ""
    #: the source whose record it is
    source: str = ""


class Acceptance(Struct, frozen=True, kw_only=True):
    """That a person knows of a finding and lets it be until a day, the last on which that holds."""

    key: str
    #: the finding as it was (`Finding.kind`): one that became another is not accepted
    kind: str
    code: str
    until: date
    reason: str = ""
    #: who said so, and when
    actor: str
    at: datetime


class Deferred(Struct, frozen=True):
    """A reference that waits for an account, remembered until it is set or no longer wanted."""

    key: str
    path: str
    #: key of the person whose account the reference names
    awaits: str
    #: the run that left it, and when that was planned
    run: str
    since: datetime


class Unshown(Struct, frozen=True, kw_only=True):
    """A value that was sent and taken, and that the directory never showed; both as texts of a value column."""

    key: str
    path: str
    account: str
    sent: str
    #: what the account shows there; "" for nothing
    shown: str = ""
    #: marks of the mapping of the path and of the target's schemas as they were; "" for schemas that nobody saw yet
    mapping: str
    schema: str = ""
    #: the run that sent it
    run: str


class Undone(Struct, frozen=True, kw_only=True):
    """What a person took back though HR says otherwise: left alone until HR says something else.

    Of a membership `key` is `group:` and the id of the group, `path` the id of the account, `wanted` true or false.
    """

    key: str
    path: str
    #: what HR wants there, as the text of a value column
    wanted: str
    #: the run that took it back
    run: str


class Ending(Struct, frozen=True):
    """That the account of a person is inactive, remembered until it is active again or deleted."""

    key: str
    account: str
    since: datetime
    #: whether we disabled it then; if not, that is when a plan first met it inactive
    proven: bool


class Suspect(Struct, frozen=True):
    """That somebody is missing from the source and keeps access until enough readings lack them."""

    key: str
    account: str
    #: how many readings in a row lacked them, when the first and the last of these were, and which delivery the last
    #: one was (`Reading.delivery`)
    readings: int
    since: datetime
    last: datetime
    delivery: str = ""


class Bound(Struct, frozen=True):
    """What a file beside the store was when it was written."""

    #: SHA-256 of its bytes, in hex; "" where there was none
    digest: str
    #: the files that it rests on
    under: tuple[str, ...] = ()


class Status(Enum):
    """How one change ended."""

    DONE = "done"
    ALREADY = "already"  #: the directory held it when we came
    HELD = "held"  #: a person must look
    FAILED = "failed"  #: the target refused
    DEFERRED = "deferred"  #: for a later run
    OPEN = "open"  #: not settled yet


class Outcome(Struct, frozen=True, kw_only=True):
    """The settled result of one change (or of the second pass of one)."""

    key: str
    status: Status
    #: which part of the plan's work on this person: 1 the change, 3 what else HR says about a leaver; 2, 4 references
    part: int = 1
    account: str | None = None
    version: str = ""
    #: what the directory now holds because of us, by short path
    written: Mapping[str, Value] = field(default_factory=dict)
    #: constant code of the reason, as findings have it; "" when all is well
    code: str = ""
    detail: str = ""
    #: version races met on the way
    races: int = 0
    correlation_id: str = ""
    #: paths where a foreign edit was overwritten by rule
    overwritten: tuple[str, ...] = ()
    #: references left out of the write, because the accounts they name were not there
    deferred: tuple[str, ...] = ()
    #: as in `Reply`: the longest of the writes
    window_s: float | None = None
    #: paths that were answered with success, and do not show what was sent, or only a part of it
    unmet: tuple[str, ...] = ()
    #: those of them that were given, and of which a look at the account showed nothing: what it shows there
    unshown: Mapping[str, Value] = field(default_factory=dict)


class Step(Enum):
    """What a journal line says: the request is about to leave, or this is what came of it."""

    INTENT = "intent"
    OUTCOME = "outcome"


class JournalLine(Struct, frozen=True, kw_only=True):
    """One line of the journal. No personal values but those in `outcome.written`."""

    run: str
    key: str
    #: as in `Outcome`
    part: int
    step: Step
    at: datetime
    attempt: int = 1
    method: str = ""
    version: str = ""
    outcome: Outcome | None = None


class RunState(Enum):
    """Where a run stands."""

    PLANNED = "planned"
    APPLYING = "applying"
    DONE = "done"
    PARTIAL = "partial"  #: finished, with some changes held or failed
    INTERRUPTED = "interrupted"
    REFUSED = "refused"
    OFFLINE = "offline"  #: a plan that was made without the directory; never applied


class Run(Struct, frozen=True, kw_only=True, eq=False):  # noqa: PLW1641 - it holds mappings
    """One execution, as the store remembers it. The plan's id is the run's id."""

    id: str
    created: datetime
    state: RunState
    target: str
    #: artifact names, relative to the artifacts folder; "" where there is none yet
    plan: str = ""
    agreed: str = ""
    base: str = ""
    finished: datetime | None = None
    tally: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    health: SourceHealth | None = None
    #: the plan looked at some people only, so nothing is learned about the rest
    partial: bool = False
    #: the source whose people it is about; "" where that was not known yet
    source: str = ""
    #: the sources whose links it takes over when it is applied, because they are this one under another name
    takes: tuple[str, ...] = ()
    #: when somebody last began to apply it, by the clock; what it did by then, by kind (`core.limits`), known when it
    #: ends; and the rules that a person set aside for it, so that what they are about counts with no other run
    began: datetime | None = None
    done: Mapping[str, int] = field(default_factory=dict)
    answered: tuple[str, ...] = ()
    #: the digest that closes its plan, so that no other is applied in its place; "" in a run of before that was kept
    digest: str = ""
    #: what applying took: requests by kind, and "seconds"; empty where it was not applied, or not counted
    spent: Mapping[str, float] = field(default_factory=dict)
    #: what it takes back: the id of a run, or `as of` and a moment; "" where HR speaks
    undoes: str = ""
    #: when its plan was made, and when somebody last began to apply it: numbers of one sequence, which never
    #: steps back as clocks do; given by the store, 0 where it did not happen
    seq: int = 0
    begun: int = 0

    def __eq__(self, other: object) -> bool:
        """Whether both say the same; the numbers that the store gave do not count."""
        names = (name for name in self.__struct_fields__ if name not in {"seq", "begun"})
        return isinstance(other, Run) and all(getattr(self, name) == getattr(other, name) for name in names)

    def took(self, work: str) -> tuple[dict[str, int], float]:
        """What a piece of work on it (`plan`, `apply`) took: requests by kind, and seconds."""
        counted = {name.partition(".")[2]: number for name, number in self.spent.items() if name.startswith(f"{work}.")}
        seconds = counted.pop("seconds", 0.0)
        return {kind: int(number) for kind, number in counted.items()}, seconds

    @property
    def compared(self) -> bool:
        """Whether its plan was made for everybody, with the directory, so that the schema was looked at."""
        return bool(self.plan) and not self.partial and self.state is not RunState.OFFLINE

    def begins(self, begun: int) -> bool:
        """Whether saving it says that somebody begins to apply it; `begun` is the number it has by now."""
        if self.state is RunState.APPLYING:
            return True
        return not begun and self.state not in {RunState.PLANNED, RunState.REFUSED, RunState.OFFLINE}
