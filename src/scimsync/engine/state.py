"""What the use cases ask of the state, part by part: each asks for what it uses. `engine.ports.Store` is all of it.

Synchronous; every method is one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.approvals import Approval, Quarantined
from scimsync.model.audit import Entry, Head, PersonKey, Record
from scimsync.model.decisions import Decision
from scimsync.model.events import Call, Message, MessageState
from scimsync.model.outcomes import (
    Acceptance,
    Bound,
    Deferred,
    Ending,
    JournalLine,
    Link,
    LinkDecision,
    Pin,
    Run,
    Suspect,
    Undone,
    Unshown,
)


class Runs(Protocol):
    """Runs and their ends."""

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

    def last_applied(self, source: str | None = None) -> Run | None:
        """The run that left the latest base, by the number in its name: what the next plan compares with.

        Of the runs of one source only, where one is named.
        """
        ...

    def forget_files(self, runs: Collection[str]) -> None:
        """Forget the names of the files that runs left: plan, what was agreed, and base. Their numbers stay."""
        ...


class Refusals(Protocol):
    """What a limit refused, and nobody has answered."""

    def frozen(self, source: str) -> Mapping[str, str]:
        """The kinds (`core.limits`) of a source that wait for an answer, each with the run that was refused."""
        ...

    def change_frozen(self, source: str, add: Mapping[str, str], remove: Iterable[str] = ()) -> None:
        """Forget refusals that were answered, and note others; repeating it does no harm."""
        ...


class Pins(Protocol):
    """Baselines of schemas."""

    def save_pin(self, pin: Pin) -> None:
        """Record a baseline; those before it are kept as history."""
        ...

    def pin(self, target: str) -> Pin | None:
        """The latest baseline of a target."""
        ...


class Links(Protocol):
    """Which account is whose."""

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


class Deferrals(Protocol):
    """References that wait."""

    def deferred(self) -> Iterator[Deferred]:
        """References that wait for an account, by key and path."""
        ...

    def save_deferred(self, waiting: Iterable[Deferred], settled: Iterable[tuple[str, str]] = ()) -> None:
        """Forget the settled ones, given as (key, path), and remember those that wait.

        One that waits for the same person already stays as it is: `since` tells the first time.
        """
        ...


class Endings(Protocol):
    """Since when the accounts of people are inactive."""

    def endings(self) -> Iterator[Ending]:
        """All of them, by key."""
        ...

    def change_endings(self, add: Iterable[Ending], remove: Iterable[str] = ()) -> None:
        """Forget those of some keys, then remember others, each in the place of what its key had."""
        ...


class Suspicions(Protocol):
    """Who is missing from the source, and in how many readings."""

    def suspects(self) -> Iterator[Suspect]:
        """All of them, by key."""
        ...

    def change_suspects(self, add: Iterable[Suspect], remove: Iterable[str] = ()) -> None:
        """Forget those of some keys, then remember others, each in the place of what its key had."""
        ...


class NeverShown(Protocol):
    """What was sent and taken, and is never shown."""

    def unshown(self, keys: Collection[str] = ()) -> Iterator[Unshown]:
        """What is remembered of some people, of everybody where none are named; by key and path."""
        ...

    def change_unshown(self, add: Iterable[Unshown], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, path), then remember others, each in the place of what was there."""
        ...


class TakenBack(Protocol):
    """What people took back though HR says otherwise."""

    def undone(self) -> Sequence[Undone]:
        """All of it, by key and path."""
        ...

    def change_undone(self, add: Iterable[Undone], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, path), then remember others, each in the place of what was there."""
        ...


class Acceptances(Protocol):
    """Findings that people know of and let be."""

    def acceptances(self) -> Sequence[Acceptance]:
        """All of them, by key and kind."""
        ...

    def change_acceptances(self, add: Iterable[Acceptance], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, kind), then remember others, each in the place of what was there."""
        ...


class Decided(Protocol):
    """What people decided about conflicts."""

    def decisions(self, *, ended: bool = False) -> Sequence[Decision]:
        """Those that nobody ended, the oldest first; all where `ended` is asked for."""
        ...

    def decide(self, decision: Decision, record: Record, today: date) -> Decision | None:
        """Keep a decision and its record, unless one about the same holds: that one is given back, and stays."""
        ...

    def end_decision(self, decision: str, at: datetime, by: str, records: Sequence[Record] = ()) -> bool:
        """End a decision, with records of that; False where it does not hold any more, and nothing was done."""
        ...


class Approvals(Protocol):
    """What people said about plans, and which plans need that."""

    def approvals(self, run: str) -> Sequence[Approval]:
        """What people said about a plan, in their order."""
        ...

    def approve(self, approval: Approval, record: Record) -> None:
        """Keep what a person says about a plan, and its record, in one commit."""
        ...

    def approval_rules(self) -> Mapping[str, Mapping[str, object]]:
        """The rules that the last plan that was applied was held to, by name."""
        ...

    def keep_approval_rules(self, rules: Mapping[str, Mapping[str, object]]) -> None:
        """Remember these rules in the place of those before."""
        ...


class Quarantine(Protocol):
    """Since when people are left out."""

    def quarantined(self) -> Sequence[Quarantined]:
        """Who is left out since when, by key and code."""
        ...

    def change_quarantined(self, add: Iterable[Quarantined], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Forget some, given as (key, code), then remember others, each in the place of what was there."""
        ...


class Memberships(Protocol):
    """Who is in which group, as both sides agreed."""

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


class Journal(Protocol):
    """What was about to be written, and what came of it."""

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

    def journalled(self, runs: Collection[str]) -> int:
        """How many lines some runs have."""
        ...

    def forget_journal(self, runs: Collection[str]) -> int:
        """Drop the lines of runs; how many that were."""
        ...

    def journal_of(self, key: str, newest: int = 100) -> Sequence[JournalLine]:
        """The lines about one person or group, of all runs, in the order they were written; the latest alone."""
        ...


class Audit(Protocol):
    """The audit chain."""

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

    def gone_keys(self) -> Iterator[PersonKey]:
        """The keys that cannot be read any more: an erasure destroyed them, or somebody else did."""
        ...

    def accept_lost_keys(self, at: datetime, actor: str) -> None:
        """Note of the keys that are gone without an erasure since when that is known, and by whom."""
        ...

    def keyless(self) -> int:
        """The number of the first record about a person whose key is not kept at all; 0 where there is none."""
        ...

    def save_checkpoint(self, size: int, at: datetime, note: str) -> None:
        """Keep a signed checkpoint; one of the same size is replaced."""
        ...

    def checkpoints(self) -> Sequence[str]:
        """The signed checkpoints, the smallest first."""
        ...


class Outbox(Protocol):
    """Messages on their way to endpoints."""

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
    """Calls from outside that wait to be answered by a run."""

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


class Lease(Protocol):
    """The right to write to the target."""

    def lease(self, owner: str, bears_s: int | None = None) -> AbstractContextManager[None]:
        """Hold the right to write to the target; others may take it after so many seconds of our silence, if any.

        Raises:
            StoreLocked: Another live process holds it; the message names process, host and since when.
        """
        ...


class Artifacts(Protocol):
    """The files beside the store."""

    def artifact(self, name: str) -> Path:
        """Where an artifact of that name is or shall be; the folder exists with mode 0700."""
        ...

    def bind(self, name: str, bound: Bound) -> None:
        """Remember what a file is, in place of what was remembered under its name."""
        ...

    def bound(self, name: str) -> Bound | None:
        """What a file was when it was written; None where that is not known, as of earlier releases."""
        ...

    def unbind(self, names: Collection[str]) -> None:
        """Forget what files were that are no longer kept."""
        ...

    def size(self) -> int:
        """How many bytes the store itself takes, without the files."""
        ...
