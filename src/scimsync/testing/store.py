"""The Store port in memory."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path

from scimsync.engine import ledger
from scimsync.errors import ConfigError, StoreError, StoreLocked
from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.audit import Entry, Head, PersonKey, Record
from scimsync.model.events import Call, Message, MessageState
from scimsync.model.outcomes import Deferred, JournalLine, Link, LinkDecision, Pin, Run, RunState


class MemoryStore:
    """The state of one process, gone when it ends. May be used from several threads.

    Args:
        artifacts: the folder of the artifacts; a temporary one, removed with the store, where none is given.
    """

    def __init__(self, artifacts: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._owner = ""
        self._runs: dict[str, Run] = {}
        self._numbers = count(1)
        self._frozen: dict[tuple[str, str], str] = {}
        self._links: dict[str, Link] = {}
        self._sources: set[str] = set()
        self._decisions: list[LinkDecision] = []
        self._deferred: dict[tuple[str, str], Deferred] = {}
        self._memberships: dict[Membership, None] = {}
        self._group_memory = GroupMemory()
        self._journal: list[JournalLine] = []
        self._pins: list[Pin] = []
        self._secret = secrets.token_bytes(32)
        self._head = ledger.beginning(f"scimsync/{secrets.token_hex(8)}")
        self._entries: list[Entry] = []
        self._keys: dict[str, PersonKey] = {}
        self._checkpoints: dict[int, str] = {}
        self._messages: dict[int, Message] = {}
        self._seqs = count(1)
        self._calls: dict[str, tuple[Call, bool]] = {}
        self._artifacts = artifacts or Path(tempfile.mkdtemp(prefix="scimsync-"))
        if artifacts is None:
            weakref.finalize(self, shutil.rmtree, self._artifacts, ignore_errors=True)
        if not self._artifacts.exists():
            self._artifacts.mkdir(parents=True)
            self._artifacts.chmod(0o700)

    @contextmanager
    def lease(self, owner: str) -> Iterator[None]:
        """Hold the right to write to the target.

        Raises:
            StoreLocked: Somebody holds it.
        """
        with self._lock:
            if self._owner:
                raise StoreLocked(f"{self._owner} is at work. Wait until it ends; then start again.")
            self._owner = owner or "scimsync"
        try:
            yield
        finally:
            self._owner = ""

    def save_run(self, run: Run, messages: Sequence[Message] = ()) -> None:
        """Insert or replace a run, and keep the messages that tell of it."""
        with self._lock:
            held = self._runs.get(run.id, run)
            seq = held.seq or next(self._numbers)
            begun = next(self._numbers) if run.begins(held.begun) else held.begun
            self._runs[run.id] = replace(run, seq=seq, begun=begun)
            self._enqueue(messages)

    def runs(self, limit: int = 50) -> Sequence[Run]:
        """The latest runs, newest first, by their number."""
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: run.seq, reverse=True)[:limit]

    def begun(self, limit: int = 50) -> Sequence[Run]:
        """The runs that somebody began to apply, the one that was begun last first."""
        with self._lock:
            begun = [run for run in self._runs.values() if run.begun]
        return sorted(begun, key=lambda run: run.begun, reverse=True)[:limit]

    def run(self, run_id: str) -> Run | None:
        """One run by its id, or by an unambiguous beginning of it.

        Raises:
            ConfigError: Several runs begin so; the message lists them.
        """
        with self._lock:
            found = {name: run for name, run in sorted(self._runs.items()) if run_id and name.startswith(run_id)}
        if run_id in found or len(found) <= 1:
            return found.get(run_id) or next(iter(found.values()), None)
        raise ConfigError(f"several runs begin with {run_id}: {', '.join(found)}. Give more of the id.")

    def worked(self, since: datetime) -> Sequence[Run]:
        """The runs that somebody began to apply since a moment, and those that are still at it or were cut short."""
        with self._lock:
            runs = sorted(self._runs.values(), key=lambda run: run.seq)
        return [run for run in runs if run.state is RunState.APPLYING or (run.began and run.began >= since)]

    def frozen(self, source: str) -> Mapping[str, str]:
        """The kinds of change of a source that wait for an answer, each with the run that was refused."""
        with self._lock:
            return {kind: run for (of, kind), run in self._frozen.items() if of == source}

    def change_frozen(self, source: str, add: Mapping[str, str], remove: Iterable[str] = ()) -> None:
        """Forget refusals that were answered, and note others."""
        with self._lock:
            for kind in remove:
                self._frozen.pop((source, kind), None)
            self._frozen |= {(source, kind): run for kind, run in add.items()}

    def last_applied(self, source: str | None = None) -> Run | None:
        """The run (of one source, where one is named) that left the latest base, by the number in its name."""
        with self._lock:
            based = [run for run in self._runs.values() if run.base and source in {None, run.source}]
        return max(based, key=lambda run: (run.base, run.id), default=None)

    def links(self) -> Iterator[Link]:
        """All links."""
        with self._lock:
            held = list(self._links.values())
        yield from held

    def owner_of(self, account: str) -> str | None:
        """The key that an account is linked to."""
        with self._lock:
            return next((key for key, held in self._links.items() if held.account == account), None)

    def save_links(self, links: Iterable[Link], released: Collection[str] = ()) -> Sequence[Link]:
        """Insert or replace links; those to accounts of other keys, which were not released, are given back."""
        refused = []
        with self._lock:
            for link in links:
                owner = next((key for key, held in self._links.items() if held.account == link.account), link.key)
                if owner not in {link.key, *released}:
                    refused.append(link)
                    continue
                self._links.pop(owner, None)
                self._links[link.key] = link
                self._sources |= {link.source} - {""}
        return refused

    def take_links(self, former: str, source: str) -> None:
        """Give all links of one source to another."""
        with self._lock:
            self._links |= {key: replace(x, source=source) for key, x in self._links.items() if x.source == former}
            self._sources |= {source} - {""}

    def sources(self) -> frozenset[str]:
        """The sources that have, or ever had, a link."""
        return frozenset(self._sources)

    def decide_link(self, decision: LinkDecision) -> None:
        """Keep that a record and an account are one person, or are not, and make the links so."""
        with self._lock:
            self._decisions.append(decision)
            for key, held in list(self._links.items()):
                if held.account == decision.account and (decision.same or key == decision.key):
                    del self._links[key]
            if decision.same:
                self._links[decision.key] = Link(decision.key, decision.account, decision.source)
                self._sources |= {decision.source} - {""}

    def link_decisions(self) -> Sequence[LinkDecision]:
        """All of them, oldest first."""
        with self._lock:
            return list(self._decisions)

    def deferred(self) -> Iterator[Deferred]:
        """References that wait for an account, by key and path."""
        with self._lock:
            held = sorted(self._deferred.items())
        yield from (edge for _, edge in held)

    def save_deferred(self, waiting: Iterable[Deferred], settled: Iterable[tuple[str, str]] = ()) -> None:
        """Forget the settled ones and remember those that wait; one that waits already stays as it is."""
        with self._lock:
            for pair in settled:
                self._deferred.pop(pair, None)
            for edge in waiting:
                held = self._deferred.get((edge.key, edge.path))
                if held is None or held.awaits != edge.awaits:
                    self._deferred[edge.key, edge.path] = edge

    def memberships(self) -> Iterator[Membership]:
        """The memberships that both sides last agreed on."""
        with self._lock:
            held = list(self._memberships)
        yield from held

    def change_memberships(self, add: Iterable[Membership], remove: Iterable[Membership]) -> None:
        """Take memberships into what was agreed, and out of it."""
        with self._lock:
            for gone in remove:
                self._memberships.pop(gone, None)
            self._memberships |= dict.fromkeys(add)

    def group_memory(self) -> GroupMemory:
        """What earlier runs learned of groups."""
        with self._lock:
            return self._group_memory

    def remember_groups(self, memory: GroupMemory) -> None:
        """Remember this of groups, in place of what was remembered before."""
        with self._lock:
            self._group_memory = memory

    def append(
        self, lines: Sequence[JournalLine], records: Sequence[Record] = (), messages: Sequence[Message] = ()
    ) -> None:
        """Keep journal lines and messages, and chain audit records."""
        with self._lock:
            self._journal.extend(lines)
            self._chain(records)
            self._enqueue(messages)

    def journal(self, run_id: str, *, since: datetime | None = None) -> Iterator[JournalLine]:
        """The lines of one run in the order they were written; only later ones, where `since` says so."""
        with self._lock:
            held = [line for line in self._journal if line.run == run_id and (since is None or line.at >= since)]
        yield from held

    def save_pin(self, pin: Pin) -> None:
        """Record a baseline; those before it are kept as history."""
        with self._lock:
            self._pins.append(pin)

    def pin(self, target: str) -> Pin | None:
        """The latest baseline of a target."""
        with self._lock:
            return next((pin for pin in reversed(self._pins) if pin.target == target), None)

    def head(self) -> Head:
        """The end of the audit chain."""
        return self._head

    def entries(
        self, *, after: int = 0, run: str = "", kind: str = "", people: Sequence[str] = (), newest: int = 0
    ) -> Iterator[Entry]:
        """The audit chain in its order."""
        with self._lock:
            held = [
                entry
                for entry in self._entries[after:]
                if run in {"", entry.run} and kind in {"", entry.kind} and (not people or entry.person in people)
            ]
        yield from held[-newest:]

    def keys(self, person: str) -> Sequence[PersonKey]:
        """Every key that a person ever had in the audit chain, oldest first."""
        return ledger.lives(self._secret, person, self._keys.get)

    def key(self, pseudonym: str) -> PersonKey | None:
        """The key kept under a pseudonym."""
        return self._keys.get(pseudonym)

    def erase(self, person: str, record: Record) -> int:
        """Destroy the key of a person and record that; how many keys were destroyed."""
        with self._lock:
            live = [key for key in self.keys(person) if key.secret]
            if live:
                self._chain([record])
            for key in live:
                self._keys[key.pseudonym] = ledger.erased(key, record.at, record.actor)
        return len(live)

    def save_checkpoint(self, size: int, at: datetime, note: str) -> None:  # noqa: ARG002
        """Keep a signed checkpoint; one of the same size is replaced."""
        self._checkpoints[size] = note

    def checkpoints(self) -> Sequence[str]:
        """The signed checkpoints, the smallest first."""
        return [note for _, note in sorted(self._checkpoints.items())]

    def _chain(self, records: Sequence[Record]) -> None:
        book = ledger.Ledger(self._head, self._secret, self._keys.get, secrets.token_bytes)
        self._entries += book.add(records)
        self._keys |= book.made
        self._head = book.head

    def enqueue(self, messages: Sequence[Message]) -> None:
        """Keep messages that belong to no outcome."""
        with self._lock:
            self._enqueue(messages)

    def _enqueue(self, messages: Sequence[Message]) -> None:
        for message in messages:
            seq = next(self._seqs)
            self._messages[seq] = replace(message, seq=seq)

    def _heads(self, endpoint: str) -> list[Message]:
        """The pending messages that wait for no other: of each person the oldest."""
        first: dict[str, Message] = {}
        for message in self._messages.values():
            if message.endpoint == endpoint and message.state is MessageState.PENDING:
                first.setdefault(message.person, message)
        return sorted(first.values(), key=lambda message: (message.due, message.seq))

    def claim(self, endpoint: str, now: datetime, until: datetime, limit: int) -> Sequence[Message]:
        """Messages that are due, earliest first, and nobody else's until `until`; of each person the oldest only."""
        with self._lock:
            due = [message for message in self._heads(endpoint) if message.due <= now][:limit]
            self._messages |= {message.seq: replace(message, due=until) for message in due}
        return due

    def next_due(self, endpoint: str) -> datetime | None:
        """When the first message that waits for no other is due; None where nothing is pending."""
        with self._lock:
            return next((message.due for message in self._heads(endpoint)), None)

    def settle(self, messages: Sequence[Message]) -> None:
        """Keep what became of messages, by their `seq`. One that was settled by somebody else stays."""
        with self._lock:
            self._messages |= {x.seq: x for x in messages if self._messages[x.seq].state is MessageState.PENDING}

    def retry_now(self, endpoint: str, now: datetime) -> None:
        """Make everything that is pending due now and its tries uncounted, because the endpoint is back."""
        tried = [x for x in self._of(endpoint, MessageState.PENDING) if x.attempts]
        self._change(lambda x: replace(x, due=now, attempts=0), tried)

    def dead_letter(self, endpoint: str, detail: str, before: datetime | None = None) -> int:
        """Give up what is pending (and older than `before`, where given); how many that were."""
        old = [x for x in self._of(endpoint, MessageState.PENDING) if before is None or x.created < before]
        return self._change(lambda x: replace(x, state=MessageState.DEAD, detail=detail), old)

    def redrive(self, ids: Sequence[str], now: datetime) -> int:
        """Make dead messages pending and due again, all where `ids` is empty; how many that were."""
        dead = [x for x in self._of("", MessageState.DEAD) if not ids or x.id in ids]
        return self._change(lambda x: replace(x, state=MessageState.PENDING, attempts=0, due=now, created=now), dead)

    def _of(self, endpoint: str, state: MessageState) -> list[Message]:
        with self._lock:
            return [x for x in self._messages.values() if x.state is state and endpoint in {"", x.endpoint}]

    def _change(self, how: Callable[[Message], Message], which: Sequence[Message]) -> int:
        with self._lock:
            self._messages |= {message.seq: how(message) for message in which}
        return len(which)

    def messages(self, endpoint: str, state: MessageState, limit: int = 50) -> Sequence[Message]:
        """The latest messages of an endpoint in a state, newest first."""
        return sorted(self._of(endpoint, state), key=lambda message: -message.seq)[:limit]

    def outbox(self) -> Mapping[str, Mapping[MessageState, int]]:
        """How many messages each endpoint has in each state."""
        with self._lock:
            counted = Counter((message.endpoint, message.state) for message in self._messages.values())
        return {name: {s: n for (other, s), n in counted.items() if other == name} for name, _ in counted}

    def last_trouble(self, endpoint: str) -> Message | None:
        """The message that was tried last of those that have not arrived."""
        missing = [*self._of(endpoint, MessageState.PENDING), *self._of(endpoint, MessageState.DEAD)]
        tried = [(message.tried, message.seq, message) for message in missing if message.tried is not None]
        return max(tried, key=lambda found: found[:2])[2] if tried else None

    def forget_messages(self, before: datetime) -> int:
        """Drop messages that were delivered before a time; how many that were."""
        old = [x.seq for x in self._of("", MessageState.DELIVERED) if x.delivered is not None and x.delivered < before]
        with self._lock:
            for seq in old:
                del self._messages[seq]
        return len(old)

    def accept(self, call: Call) -> bool:
        """Keep a call; False where one with this id was kept before."""
        with self._lock:
            new = call.id not in self._calls
            if new:
                self._calls[call.id] = (call, False)
            return new

    def waiting(self, limit: int = 100) -> Sequence[Call]:
        """Calls that no run has answered yet, oldest first."""
        with self._lock:
            return [call for call, answered in self._calls.values() if not answered][:limit]

    def answered(self, ids: Sequence[str]) -> None:
        """Note that a run has looked at the people of these calls."""
        with self._lock:
            self._calls |= {name: (self._calls[name][0], True) for name in ids if name in self._calls}

    def forget_calls(self, before: datetime) -> None:
        """Drop calls that came before a time and were answered."""
        with self._lock:
            self._calls = {n: (call, done) for n, (call, done) in self._calls.items() if not done or call.at >= before}

    def artifact(self, name: str) -> Path:
        """Where an artifact of that name is or shall be; the folder exists with mode 0700.

        Raises:
            StoreError: The name is not one of messages, digits, dot, line and underline.
        """
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or name in {".", ".."}:
            raise StoreError(f"{name!r} cannot name an artifact; use messages, digits, '.', '-' and '_'.")
        return self._artifacts / name

    def close(self) -> None:
        """Do nothing: there is nothing to let go of, and what was kept can still be read."""
