"""The state of one machine: what is kept when a process dies, and how a process reaches it.

A commit is whole or not at all. Between two of them a process may die, also in the middle of code without an await.
Whoever sleeps for too long loses the lease, and its next journal line is refused, as `store_sql` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.faults import Weather
from tests.chaos.loop import KilledError, Loop

from scimsync.errors import StoreError, StoreLocked
from scimsync.model.audit import Record
from scimsync.model.events import Message
from scimsync.model.outcomes import JournalLine
from scimsync.testing import MemoryStore

#: seconds of silence after which a lease ends (`store_holders.EXPIRY`)
EXPIRY_S = 600.0
_WRITES = frozenset({
    "save_run", "save_links", "save_deferred", "change_endings", "change_suspects", "change_undone", "change_unshown", "change_memberships",
    "remember_groups", "decide_link", "take_links", "change_frozen", "enqueue", "save_checkpoint",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Commit:
    """Journal lines that became durable together, with their records and messages."""

    at: float
    who: int
    lines: tuple[JournalLine, ...]
    records: tuple[Record, ...]
    messages: tuple[Message, ...]


class Holder:
    """Who may hold the lease."""

    number: int
    dead: bool
    asleep_since: float | None


class Disk(MemoryStore):
    """What outlives every process."""

    #: whether a stale holder is refused
    fenced = True

    def __init__(self, folder: Path, loop: Loop) -> None:
        super().__init__(folder)
        self.loop = loop
        self.holder: Any = None
        self.commits: list[Commit] = []
        #: (when, who took the lease)
        self.terms: list[tuple[float, int]] = []

    def take(self, who: Any) -> None:
        """Take the lease.

        Raises:
            StoreLocked: Somebody else lives and holds it.
        """
        held = self.holder
        if held is not None and not held.dead:
            asleep = held.asleep_since
            if asleep is None or self.loop.now - asleep < EXPIRY_S:
                raise StoreLocked(f"process {held.number} is at work.")
        self.holder = who
        self.terms.append((self.loop.now, who.number))

    def commit(
        self, who: Any, lines: Sequence[JournalLine], records: Sequence[Record], messages: Sequence[Message]
    ) -> None:
        """Make it durable.

        Raises:
            StoreLocked: The lease is somebody else's by now.
        """
        if lines and self.fenced and self.holder is not who:
            raise StoreLocked(
                "this process was silent for too long, and its lease went to another. Nothing was written."
            )
        super().append(lines, records, messages)
        self.commits.append(Commit(self.loop.now, who.number, tuple(lines), tuple(records), tuple(messages)))


class Handle:
    """How one process reaches its state; dead with it."""

    def __init__(self, disk: Disk, who: Any, weather: Weather, kill: Callable[[Any], None]) -> None:
        self._disk, self._who, self._weather, self._kill = disk, who, weather, kill

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._disk, name)
        if self._who.dead:
            raise KilledError
        return self._written(found) if name in _WRITES else found

    def _written(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def whole(*args: Any, **named: Any) -> Any:
            struck = [fault for fault in self._weather.at("stored") if fault.kind == "killed at store"]
            for fault in struck:
                self._weather.struck(fault)
                if fault.chance % 2:
                    self._die()
            done = write(*args, **named)
            if struck:
                self._die()
            return done

        return whole

    def _die(self) -> None:
        self._kill(self._who)
        raise KilledError

    def append(
        self, lines: Sequence[JournalLine], records: Sequence[Record] = (), messages: Sequence[Message] = ()
    ) -> None:
        """Make journal lines, audit records and messages durable, all in one commit; or tear it."""
        if self._who.dead:
            raise KilledError
        commit = self._written(self._disk.commit)
        fault = self._who.torn.pop(0) if lines and self._who.torn else None
        if fault is not None:
            self._weather.struck(fault)
        if fault is not None and fault.kind == "disk full":
            raise StoreError("the disk is full")
        commit(self._who, lines, records, messages)
        if fault is not None:
            raise StoreError("the connection was lost while it committed")

    @contextmanager
    def lease(self, owner: str = "") -> Iterator[None]:
        """Hold the right to write to the target.

        Raises:
            StoreLocked: Somebody else holds it.
        """
        self._disk.take(self._who)
        try:
            yield
        finally:
            if self._disk.holder is self._who:
                self._disk.holder = None
