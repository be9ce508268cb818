"""Runs, refusals that wait for an answer, and pinned schemas, in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count

from msgspec.structs import replace

from scimsync.errors import ConfigError
from scimsync.model.events import Message
from scimsync.model.outcomes import Pin, Run, RunState
from scimsync.testing.store_memory import Memory


class MemoryRuns(Memory):
    """Runs, from the newest. Fits `Runs`, `Refusals` and `Pins` of `scimsync.engine.state`."""

    def __init__(self) -> None:
        super().__init__()
        self._runs: dict[str, Run] = {}
        self._numbers = count(1)
        self._frozen: dict[tuple[str, str], str] = {}
        self._pins: list[Pin] = []

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
        return max(based, key=lambda run: (run.base, run.begun, run.id), default=None)

    def forget_files(self, runs: Collection[str]) -> None:
        """Forget the names of the files that runs left."""
        with self._lock:
            for name in self._runs.keys() & set(runs):
                self._runs[name] = replace(self._runs[name], plan="", agreed="", base="")

    def save_pin(self, pin: Pin) -> None:
        """Record a baseline; those before it are kept as history."""
        with self._lock:
            self._pins.append(pin)

    def pin(self, target: str) -> Pin | None:
        """The latest baseline of a target."""
        with self._lock:
            return next((pin for pin in reversed(self._pins) if pin.target == target), None)
