"""A worker of a fleet: takes legs from the shared queue, puts in what is due, and takes over from whoever died."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import asdict

from scimsync.bootstrap import make_clock, owner
from scimsync.bootstrap_fleet import Board, Known, Noted, ask, make_board, make_queue
from scimsync.config import Fleet, load_fleet
from scimsync.core import scheduling
from scimsync.errors import ConfigError, ScimsyncError, StoreError
from scimsync.model.schedules import Progress, Schedule
from scimsync.services import approving, fleet, state
from scimsync.services.fleet import Line, Stop, Told
from scimsync.services.labour import PLANS, PROTOCOL, Labour

__all__ = ["Board", "Known", "Noted", "Worker", "asked", "watched"]

#: seconds between two signs of life, and of silence after which a worker counts as dead
BEAT_S, SILENT_S = 4.0, 20.0
#: a worker that could not speak for so long takes nobody for dead before as long again
_CALM_S = 12.0
#: seconds between two looks at what is due
LOOK_S = 20.0
#: by how many seconds a clock may differ from that of the database
_SKEW_S = 60.0
#: seconds that a worker waits for what is at work when it is told to end
_PATIENCE_S = 60
#: a run of an organisation that was noted so lately is not put into the queue beside itself
_LATELY = timedelta(minutes=5)
#: seconds between two looks of whoever waits for workers
_WATCH_S = 0.5


class Queue(Protocol):
    """The durable queue, as a worker needs it."""

    def begin(self) -> None:
        """Take legs from here on."""
        ...

    def ask(self, organisation: str, cause: str, priority: int) -> None:
        """Put a run into it, once for each cause."""
        ...

    def take_over(self, workers: Sequence[str]) -> None:
        """Put back what dead workers had at work."""
        ...

    def strangers(self) -> Mapping[str, str]:
        """Legs that are open and of another version -> that version."""
        ...

    def cancel(self, leg: str) -> None:
        """Begin a leg no more."""
        ...

    def end(self, patience_s: int) -> None:
        """Take no more, and wait so long for what is at work."""
        ...


class Worker:
    """One process of a fleet.

    Args:
        file: The fleet file.
        told: Told of what a person should know.
        slots: Legs at a time; as the fleet file says where 0.
        alive: Called at each sign of life.

    Raises:
        ConfigError: The fleet file is wrong, or the extra is not installed.
        StoreError: The database cannot be used, or its clock is another.
    """

    def __init__(self, file: Path, told: Told, slots: int = 0, alive: Callable[[], None] | None = None) -> None:
        self._file, self._told, self._clock = file, told, make_clock()
        self.name = f"{owner()} {secrets.token_hex(4)}"
        self.stop, self._alive = Stop(), alive or (lambda: None)
        self._ended = threading.Event()
        found = load_fleet(file)
        self._board = make_board(found)
        self._labour = Labour(file, told, self.stop)
        self._queue: Queue = make_queue(found, self.name, PROTOCOL, slots or found.at_once, self._carry)
        #: organisation -> the slot that was put into the queue last
        self._put: dict[str, datetime] = {}
        self._dropped: set[str] = set()
        #: when we last spoke, and from when on the silence of others means anything
        self._beat = self._trusted = self._clock.monotonic()

    def run(self, ready: threading.Event | None = None) -> int:
        """Work until told to halt; the exit code: 6 where others took this worker for dead.

        Args:
            ready: Set when legs are taken.

        Raises:
            StoreError: The database cannot be used, or its clock is another.
        """
        self._check_clock()
        self._board.enter(self.name, PROTOCOL)
        self._queue.begin()
        for name, line in self._labour.refused(load_fleet(self._file)).items():
            self._told(name, line.says)
        if ready is not None:
            ready.set()
        is_dead = not self._work()
        self.stop.set()
        if is_dead:
            self._told("worker", "it was silent for too long, and others took its work. Nothing more is written.")
        self._queue.end(_PATIENCE_S)
        if not is_dead:
            self._board.leave(self.name)
        self._board.close()
        return StoreError.exit_code if is_dead else 0

    def _work(self) -> bool:
        """Speak, take over, and look at what is due until told to halt; False where others took us for dead."""
        next_look = self._clock.monotonic()
        while not self._ended.wait(BEAT_S if next_look > self._clock.monotonic() else 0.0):
            try:
                if not self._board.lives(self.name):
                    return False
                self._alive()
                self._take_over()
                if self._clock.monotonic() >= next_look:
                    next_look = self._clock.monotonic() + LOOK_S
                    self._look()
            except ScimsyncError as error:
                self._told("worker", f"{error} It is tried again.")
                next_look = self._clock.monotonic() + LOOK_S
        return True

    def halt(self) -> None:
        """Begin nothing more; what is under way is brought to its end, and others go on."""
        self._ended.set()

    def _carry(self, organisation: str, cause: str, run: str, tries: int) -> Mapping[str, Any]:
        leg = self._labour.carry(organisation, run, tries)
        line = leg.line
        with_text = {**asdict(line), "at": line.at.isoformat() if line.at else None, "numbers": dict(line.numbers)}
        try:
            self._board.note(organisation, cause, with_text, self.name, goes_on=leg.goes_on)
        except StoreError as error:
            self._told("worker", str(error))
        if line.says and not leg.goes_on:
            self._told(organisation, line.says)
        return {
            "goes_on": leg.goes_on,
            "priority": leg.priority,
            "pause_s": leg.pause_s,
            "run": leg.run,
            "tries": leg.tries,
        }

    def _check_clock(self) -> None:
        skew = self._board.skew_s()
        if abs(skew) > _SKEW_S:
            raise StoreError(
                f"the clock of this machine is {abs(skew):.0f} seconds {'ahead of' if skew > 0 else 'behind'} that of "
                "the database, so nobody could say when a run is due or a plan too old. Set it (NTP), and start again."
            )

    def _take_over(self) -> None:
        now = self._clock.monotonic()
        if now - self._beat > _CALM_S:  # the database was away, for the others too: let them speak first
            self._trusted = now + _CALM_S
        self._beat = now
        if now < self._trusted:
            return
        dead = [name for name in self._board.adopt(SILENT_S) if name != self.name]
        if dead:
            self._queue.take_over(dead)

    def _look(self) -> None:
        """Put into the queue what is due, and what was approved; see to legs that nobody understands any more."""
        self._check_clock()
        found, noted = load_fleet(self._file), self._board.noted()
        refused = self._labour.refused(found)
        now = self._clock.now()
        for member in found.members:
            if member.name in refused:
                continue
            before = noted.get(member.name)
            if before is not None and before.line.get("word") == "waits" and self._is_approved(found, member.name):
                self._queue.ask(member.name, f"approved {before.line.get('run')}", PLANS)
            slot = _slot(member.schedule, now) if member.schedule else None
            if slot is None or self._put.get(member.name) == slot:
                continue
            if before is not None and before.goes_on and now - before.at < _LATELY:
                continue  # what is missed by that is caught up when it is over
            self._queue.ask(member.name, f"slot {slot:%Y-%m-%dT%H:%M}", PLANS)
            self._put[member.name] = slot
        self._tell_dropped(found, noted)
        self._see_to_strangers()

    def _is_approved(self, found: Fleet, name: str) -> bool:
        member = next(one for one in found.members if one.name == name)
        try:
            settings = fleet.settings_of(found, member, secrets=False)
            with state.open_store(settings) as store:
                return approving.ready(settings, store) is not None
        except ScimsyncError:
            return False

    def _tell_dropped(self, found: Fleet, noted: Mapping[str, Noted]) -> None:
        """Say once of whom the file does not name any more that a run is under way."""
        here = {member.name for member in found.members}
        for name, one in noted.items():
            if one.goes_on and name not in here and name not in self._dropped:
                self._dropped.add(name)
                self._told(name, f"it is not in {found.file.name} any more, and a run of it is under way")

    def _see_to_strangers(self) -> None:
        """A leg of another version is left to workers of that version; where none lives, it is refused with words."""
        strangers = self._queue.strangers()
        if not strangers:
            return
        living = {one.version for one in self._board.workers() if one.silent_s < SILENT_S and not one.is_adopted}
        for leg, version in strangers.items():
            if version in living:
                continue
            name = leg.partition("/")[0]
            says = (
                f"its run was begun by workers that speak {version}; none of them lives, and this one speaks "
                f"{PROTOCOL}. It is not gone on with: the next run notes what it did, and plans the rest anew."
            )
            self._queue.cancel(leg)
            line = Line(name=name, word="stopped", code=fleet.NOT_ALL_DONE, says=says)
            self._board.note(name, leg, {**asdict(line), "numbers": {}}, self.name, goes_on=False)
            self._told(name, says)


def _slot(cron: str, now: datetime) -> datetime | None:
    """The latest time at which an organisation was due within a day; None where there was none."""
    schedule = Schedule(name="fleet", cron=cron, zone="UTC")
    since = now - timedelta(days=1)
    return scheduling.due(schedule, Progress(schedule="fleet", expression=cron, since=since, slot=since), now).slot


def asked(found: Fleet, names: Sequence[str]) -> str:
    """Let the workers synchronise organisations now; what their runs are asked for by.

    Raises:
        ConfigError: The fleet has no workers' database, or the extra is not installed.
        StoreError: The database cannot be used.
    """
    if not found.url:
        raise ConfigError(f"{found.file.name}: [fleet] url is missing, so there are no workers to ask.")
    cause = f"asked {secrets.token_hex(6)}"
    ask(found, PROTOCOL, [(name, cause) for name in names], PLANS)
    return cause


def watched(found: Fleet, cause: str, names: Sequence[str]) -> Generator[Line]:
    """What came of runs that workers were asked for: the line of each as soon as it is over.

    Raises:
        ConfigError: The fleet has no workers' database.
        StoreError: It cannot be used.
    """
    board, left, pause = make_board(found), set(names), threading.Event()
    try:
        while left:
            noted = board.noted()
            for name in sorted(left):
                one = noted.get(name)
                if one is not None and one.cause == cause and not one.goes_on:
                    left.discard(name)
                    yield _line(one.line)
            if left:
                pause.wait(_WATCH_S)
    finally:
        board.close()


def _line(kept: Mapping[str, Any]) -> Line:
    at = datetime.fromisoformat(kept["at"]) if kept.get("at") else None
    return Line(**{**kept, "at": at})
