"""The journal and the audit chain in memory."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from msgspec.structs import replace

from scimsync.engine import ledger
from scimsync.model.audit import Entry, Head, PersonKey, Record
from scimsync.model.events import Message
from scimsync.model.outcomes import JournalLine
from scimsync.testing.store_memory import Memory


class MemoryAudit(Memory):
    """What was done, and proof of it. Fits `Journal` and `Audit` of `scimsync.engine.state`."""

    def __init__(self) -> None:
        super().__init__()
        self._journal: list[JournalLine] = []
        self._secret = secrets.token_bytes(32)
        self._head = ledger.beginning(f"scimsync/{secrets.token_hex(8)}")
        self._entries: list[Entry] = []
        self._keys: dict[str, PersonKey] = {}
        self._checkpoints: dict[int, str] = {}

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

    def journalled(self, runs: Collection[str]) -> int:
        """How many lines some runs have."""
        with self._lock:
            return sum(line.run in runs for line in self._journal)

    def forget_journal(self, runs: Collection[str]) -> int:
        """Drop the lines of runs; how many that were."""
        with self._lock:
            before = len(self._journal)
            self._journal = [line for line in self._journal if line.run not in runs]
            return before - len(self._journal)

    def journal_of(self, key: str, newest: int = 100) -> Sequence[JournalLine]:
        """The lines about one person or group, of all runs; the latest alone."""
        with self._lock:
            return [line for line in self._journal if line.key == key][-newest:]

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

    def gone_keys(self) -> Iterator[PersonKey]:
        """The keys that cannot be read any more: an erasure destroyed them, or somebody else did."""
        yield from [key for key in self._keys.values() if key.secret is None]

    def accept_lost_keys(self, at: datetime, actor: str) -> None:
        """Note of the keys that are gone without an erasure since when that is known, and by whom."""
        for name, key in self._keys.items():
            if key.secret is None and key.erased is None:
                self._keys[name] = replace(key, erased=at, erased_by=actor)

    def keyless(self) -> int:
        """The number of the first record about a person whose key is not kept at all; 0 where there is none."""
        found = (entry.seq for entry in self._entries if entry.person and entry.person not in self._keys)
        return next(found, 0)

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
