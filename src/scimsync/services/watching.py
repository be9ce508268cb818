"""Look at how the runs by the clock do, whatever they do: tell alarms that are due, and say whether all is well."""

from __future__ import annotations

import asyncio
import threading
from typing import Protocol

from msgspec import Struct

from scimsync.bootstrap import exposed, make_clock
from scimsync.config import Settings
from scimsync.engine.ports import Clock, Observer
from scimsync.errors import StoreError
from scimsync.model.schedules import Schedule
from scimsync.services import alarming
from scimsync.services.alarming import WatchedState

#: seconds between two looks, and looks that may fail or not come before that is trouble
LOOK_S, MISSED = 60.0, 5


class AtWork(Struct, frozen=True):
    """A run by the clock that has not come to its end."""

    schedule: Schedule
    #: seconds that it has been at work
    seconds: float


class Worker(Protocol):
    """Who runs what is due."""

    @property
    def at_work(self) -> AtWork | None:
        """The run that has not come to its end; None where there is none."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether nobody runs anything any more, though nobody said so."""
        ...


class Watch:
    """Looks from time to time, in a thread of its own, so that a run that hangs hides nothing.

    Args:
        settings: The configuration.
        store: Where progress and alarms are kept.
        observer: Told of alarms.
        worker: Who runs what is due.
        clock: The clock; that of this machine where None.
    """

    def __init__(
        self, settings: Settings, store: WatchedState, observer: Observer, worker: Worker, clock: Clock | None = None
    ) -> None:
        self._settings, self._store, self._observer, self._worker = settings, store, observer, worker
        self._clock = clock or make_clock()
        self._stop, self._ended = threading.Event(), asyncio.Event()
        self._thread: threading.Thread | None = None
        self._looked, self._said = self._clock.monotonic(), ""

    async def on(self) -> None:
        """Look until halted."""
        self._looked = self._clock.monotonic()
        # not one of the threads that requests and runs share: a few that hang would hold all of those
        self._thread = threading.Thread(target=self._look_on, name="scimsync watch", daemon=True)
        self._thread.start()
        await self._ended.wait()

    def halt(self) -> None:
        """Look no more."""
        self._stop.set()
        self._ended.set()

    def look(self) -> None:
        """Tell what is due once."""
        try:
            for words in alarming.watch(self._settings, self._store, self._clock.now()):
                self._observer.say(f"Alarm: {words}")
        except StoreError as error:
            if str(error) != self._said:
                self._observer.say(f"{error} Nobody can look whether alarms are due until that is over.")
            self._said = str(error)
            return
        self._looked, self._said = self._clock.monotonic(), ""

    @property
    def trouble(self) -> str:
        """What is not well, in a sentence; "" where all is."""
        if self._worker.has_ended:
            return "nothing is run by the clock any more: start serve again"
        work = self._worker.at_work
        if work is not None and work.seconds > work.schedule.longest.total_seconds():
            hours = work.seconds / 3600
            return f"the run of {work.schedule.name} has been at work for {hours:.1f} hours, longer than its `longest`"
        silent = self._clock.monotonic() - self._looked
        if silent > MISSED * LOOK_S:
            return f"nobody has looked for {silent / 60:.0f} minutes whether alarms are due"
        return ""

    def exposition(self) -> bytes:
        """The same as Prometheus text."""
        work = self._worker.at_work
        return exposed({
            "scimsync_serve_well": ("1 while runs by the clock are run and watched", 0.0 if self.trouble else 1.0),
            "scimsync_serve_run_seconds": (
                "Seconds that the run by the clock has been at work; 0 where none is",
                work.seconds if work is not None else 0.0,
            ),
        })  # fmt: skip

    def _look_on(self) -> None:
        while not self._stop.wait(LOOK_S):
            self.look()
