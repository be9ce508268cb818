"""The ports: what the use cases ask of the world, and what each adapter promises."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.audit import Entry, Head, PersonKey, Record
from scimsync.model.events import Call, Message, MessageState, Receipt
from scimsync.model.outcomes import (
    Deferred,
    Description,
    Document,
    JournalLine,
    Link,
    LinkDecision,
    Outcome,
    Pin,
    Reply,
    Run,
    Sweep,
)
from scimsync.model.plans import Plan
from scimsync.model.records import Reading, SourceHealth
from scimsync.scim.messages import Operation


class Source(Protocol):
    """The authoritative HR side."""

    @property
    def name(self) -> str:
        """What messages call it: a file name, or the kind and host of a database. No secrets."""
        ...

    def read(self) -> Reading:
        """Open the source and give its columns and batches.

        Raises:
            SourceError: It cannot be opened, or (while the batches are walked) not read to its end.
        """
        ...


class Target(Protocol):
    """The SCIM service provider that is changed. Async; every answer to a write is a Reply."""

    @property
    def name(self) -> str:
        """The API address, which also identifies the target in seals."""
        ...

    @property
    def rate(self) -> int:
        """Requests a minute that the target grants, as far as it is known by now."""
        ...

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        """Read all accounts, active and inactive; hand each page's resources to `sink` as raw JSON.

        Args:
            attributes: names for the `attributes` parameter (with URN where they have one).
            sink: called with the raw resources of one page, each account once.

        Raises:
            TargetError: The directory cannot be read at all. A reading with holes does not raise;
                it comes back with `incomplete` set.
        """
        ...

    async def get(self, account: str) -> Reply:
        """Read one account, with every attribute."""
        ...

    async def find(self, attribute: str, value: str) -> Sequence[Reply]:
        """Accounts, active or not, whose attribute equals the value, each as the reply of a GET.

        Raises:
            FilterRefused: The target takes no filter on this attribute, or does not heed it.
            TargetUnanswered: This question was not answered now.
            TargetError: The target cannot be asked at all.
        """
        ...

    async def names(self, kind: str) -> frozenset[str] | None:
        """The names of all roles, divisions, skills or languages (`kind`: role, division, skill, language).

        None where they cannot be known: the target keeps no list of that kind, or does not show it to us.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        ...

    async def create(self, resource: dict[str, object]) -> Reply:
        """POST a new account."""
        ...

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH an account under If-Match; `version` must not be empty."""
        ...

    async def list_groups(
        self, sink: Callable[[Sequence[bytes]], None], wanted: Sequence[tuple[str, str]] = ()
    ) -> Sweep:
        """Read all groups without their members; hand each page's resources to `sink` as raw JSON.

        Args:
            sink: called with the raw resources of one page, each group once.
            wanted: (attribute, value) of the groups that matter, for a target that lists by filter only.

        Raises:
            TargetError: The groups cannot be read at all. A reading with holes comes back with
                `incomplete` set.
        """
        ...

    async def get_group(self, group: str) -> Reply:
        """Read one group, with its members."""
        ...

    async def patch_group(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH a group under If-Match; `version` must not be empty."""
        ...

    async def describe(self, known: Mapping[str, Document] | None = None) -> Description:
        """What the target says about itself, and what its clock shows.

        Args:
            known: documents that we have; one with an ETag is sent again only where it changed.

        Raises:
            TargetError: It does not say.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Outbox(Protocol):
    """Messages on their way to endpoints. Synchronous; every method is one transaction."""

    def enqueue(self, messages: Sequence[Message]) -> None:
        """Keep messages that belong to no outcome."""
        ...

    def claim(self, endpoint: str, now: datetime, until: datetime, limit: int) -> Sequence[Message]:
        """Messages that are due, earliest first, and nobody else's until `until`.

        Of each person only the oldest pending message, and only where it is due: the next one waits until
        that is delivered or dead.
        """
        ...

    def next_due(self, endpoint: str) -> datetime | None:
        """When the first message that waits for no other is due; None where nothing is pending."""
        ...

    def settle(self, messages: Sequence[Message]) -> None:
        """Keep what became of messages, by their `seq`."""
        ...

    def retry_now(self, endpoint: str, now: datetime) -> None:
        """Make what was tried in vain due now, and its tries uncounted, because the endpoint was down and is back."""
        ...

    def dead_letter(self, endpoint: str, detail: str, before: datetime | None = None) -> int:
        """Give up what is pending (and older than `before`, where given); how many that were."""
        ...

    def redrive(self, ids: Sequence[str], now: datetime) -> int:
        """Make dead messages pending and due again, all where `ids` is empty; how many that were."""
        ...

    def messages(self, endpoint: str, state: MessageState, limit: int = 50) -> Sequence[Message]:
        """The latest messages of an endpoint in a state, newest first."""
        ...

    def outbox(self) -> Mapping[str, Mapping[MessageState, int]]:
        """How many messages each endpoint has in each state."""
        ...

    def last_trouble(self, endpoint: str) -> Message | None:
        """The message that was tried last of those that have not arrived."""
        ...

    def forget_messages(self, before: datetime) -> int:
        """Drop messages that were delivered before a time; how many that were."""
        ...


class Inbox(Protocol):
    """Calls from outside that wait to be answered by a run. Synchronous; every method is one transaction."""

    def accept(self, call: Call) -> bool:
        """Keep a call durably; False where one with this id was kept before."""
        ...

    def waiting(self, limit: int = 100) -> Sequence[Call]:
        """Calls that no run has answered yet, oldest first."""
        ...

    def answered(self, ids: Sequence[str]) -> None:
        """Note that a run has looked at the people of these calls."""
        ...

    def forget_calls(self, before: datetime) -> None:
        """Drop calls that came before a time and were answered."""
        ...


class Store(Outbox, Inbox, Protocol):
    """The state: runs, links, journal, lease. Synchronous; every method is one transaction."""

    def lease(self, owner: str) -> AbstractContextManager[None]:
        """Hold the right to write to the target.

        Raises:
            StoreLocked: Another live process holds it; the message names process, host and since when.
        """
        ...

    def save_run(self, run: Run, messages: Sequence[Message] = ()) -> None:
        """Insert or replace a run, and keep the messages that tell of it, in one commit.

        The store gives it the next number when it is new, and another when it is begun.
        """
        ...

    def runs(self, limit: int = 50) -> Sequence[Run]:
        """The latest runs, newest first, by their number: clocks may step back."""
        ...

    def begun(self, limit: int = 50) -> Sequence[Run]:
        """The runs that somebody began to apply, the one that was begun last first."""
        ...

    def run(self, run_id: str) -> Run | None:
        """One run by its id, or by an unambiguous beginning of it."""
        ...

    def worked(self, since: datetime) -> Sequence[Run]:
        """The runs that somebody began to apply since a moment, and those that are still at it or were cut short."""
        ...

    def frozen(self, source: str) -> Mapping[str, str]:
        """The kinds (`core.limits`) of a source that wait for an answer, each with the run that was refused."""
        ...

    def change_frozen(self, source: str, add: Mapping[str, str], remove: Iterable[str] = ()) -> None:
        """Forget refusals that were answered, and note others; repeating it does no harm."""
        ...

    def last_applied(self, source: str | None = None) -> Run | None:
        """The run that left the latest base, by the number in its name: what the next plan compares with.

        Of the runs of one source only, where one is named.
        """
        ...

    def links(self) -> Iterator[Link]:
        """All links, of every source."""
        ...

    def owner_of(self, account: str) -> str | None:
        """The key that an account is linked to."""
        ...

    def save_links(self, links: Iterable[Link], released: Collection[str] = ()) -> Sequence[Link]:
        """Insert or replace links by key. An account has one owner, and is never taken from another key in silence.

        Args:
            links: What shall be remembered.
            released: Keys whose accounts may go to others.

        Returns:
            The links that were not taken in, because another key has the account.
        """
        ...

    def decide_link(self, decision: LinkDecision) -> None:
        """Keep that a record and an account are one person, or are not, and make the links so, in one commit."""
        ...

    def link_decisions(self) -> Sequence[LinkDecision]:
        """All of them, oldest first."""
        ...

    def take_links(self, former: str, source: str) -> None:
        """Give all links of one source to another: it is the same under a new name."""
        ...

    def sources(self) -> frozenset[str]:
        """The sources that have, or ever had, a link."""
        ...

    def deferred(self) -> Iterator[Deferred]:
        """References that wait for an account, by key and path."""
        ...

    def save_deferred(self, waiting: Iterable[Deferred], settled: Iterable[tuple[str, str]] = ()) -> None:
        """Forget the settled ones, given as (key, path), and remember those that wait.

        One that waits for the same person already stays as it is: `since` tells the first time.
        """
        ...

    def memberships(self) -> Iterator[Membership]:
        """The memberships that both sides last agreed on."""
        ...

    def change_memberships(self, add: Iterable[Membership], remove: Iterable[Membership]) -> None:
        """Take memberships into what was agreed, and out of it; repeating it does no harm."""
        ...

    def group_memory(self) -> GroupMemory:
        """What earlier runs learned of groups."""
        ...

    def remember_groups(self, memory: GroupMemory) -> None:
        """Remember this of groups, in place of what was remembered before."""
        ...

    def append(
        self, lines: Sequence[JournalLine], records: Sequence[Record] = (), messages: Sequence[Message] = ()
    ) -> None:
        """Make journal lines, audit records and messages durable, all in one commit.

        The records are chained in that transaction, one chain for the whole store. Records alone need no lease.
        """
        ...

    def journal(self, run_id: str, *, since: datetime | None = None) -> Iterator[JournalLine]:
        """The lines of one run in the order they were written; only later ones, where `since` says so."""
        ...

    def save_pin(self, pin: Pin) -> None:
        """Record a baseline; those before it are kept as history."""
        ...

    def pin(self, target: str) -> Pin | None:
        """The latest baseline of a target."""
        ...

    def head(self) -> Head:
        """The end of the audit chain, as the last record left it."""
        ...

    def entries(
        self, *, after: int = 0, run: str = "", kind: str = "", people: Sequence[str] = (), newest: int = 0
    ) -> Iterator[Entry]:
        """The audit chain in its order, of any length.

        Args:
            after: only records whose number is greater.
            run: only those of this run.
            kind: only those of this kind.
            people: only those about these people, by pseudonym.
            newest: only so many, the latest ones; 0 for all.
        """
        ...

    def keys(self, person: str) -> Sequence[PersonKey]:
        """Every key that a person ever had in the audit chain, oldest first."""
        ...

    def key(self, pseudonym: str) -> PersonKey | None:
        """The key kept under a pseudonym."""
        ...

    def erase(self, person: str, record: Record) -> int:
        """Destroy the keys of a person for good and append the record, in one commit.

        Returns how many keys were destroyed; where it is 0, nothing was written.
        """
        ...

    def save_checkpoint(self, size: int, at: datetime, note: str) -> None:
        """Keep a signed checkpoint; one of the same size is replaced."""
        ...

    def checkpoints(self) -> Sequence[str]:
        """The signed checkpoints, the smallest first."""
        ...

    def artifact(self, name: str) -> Path:
        """Where an artifact of that name is or shall be; the folder exists with mode 0700."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Observer(Protocol):
    """Told how far the work is. It may fail to show, never to stop a run."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A piece of work begins; `total` steps, where that is known."""
        ...

    def advance(self, steps: int = 1) -> None:
        """Some steps of it are done."""
        ...

    def say(self, text: str) -> None:
        """Something that a person should know while it happens."""
        ...


class Metrics(Protocol):
    """Told what is measured while it happens. It may fail to count, never to stop a run.

    What it keeps or shows names people by their source key at most, and no values of theirs.
    """

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """One exchange with the target: list, get, find, create, patch, token, probe or describe; how it ended."""
        ...

    def retried(self, call: str, reason: str, wait_s: float) -> None:
        """A request is sent once more after a wait: `throttled`, `not sent` or `failing`."""
        ...

    def breaker(self, *, is_open: bool) -> None:
        """The breaker opened, stays open, or closed."""
        ...

    def read(self, health: SourceHealth, *, proven: bool) -> None:
        """The source was read to its end."""
        ...

    def planned(self, plan: Plan) -> None:
        """A plan was made."""
        ...

    def settled(self, action: str, outcome: Outcome, seconds: float) -> None:
        """One part of a change has its outcome, so long after it was begun; the action, or `members` for a group."""
        ...

    def ended(self, work: str, state: str, seconds: float, rate: int) -> None:
        """`plan`, `apply` or `settle` ended, in a state or `failed`; rate in requests a minute, 0 if unknown."""
        ...


class Sender(Protocol):
    """Carries messages to one endpoint. Async; whatever goes wrong is a Receipt."""

    async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:
        """Send one message once, within a total deadline."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Clock(Protocol):
    """Time and waiting, handed in so that whole runs can play on a virtual clock."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC. For people and records, never for intervals."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
