"""Work that is asked for and watched while it goes on: one piece at a time, in a thread of its own, stopped on request.

Whoever asks may go away: the work goes on, and whoever looks again sees how far it is.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.bootstrap import make_clock, now, on_behalf_of
from scimsync.config import Settings
from scimsync.engine.ports import Observer, Store
from scimsync.errors import ScimsyncError
from scimsync.model.decisions import Actor
from scimsync.services import applying, planning, quarantine, state, undoing
from scimsync.services.planning import Choices

__all__ = ["Work", "Works", "monotonic", "on_behalf_of"]

#: sentences and pieces of work that are remembered
_SAID, _REMEMBERED = 20, 20
#: what a piece of work does, given the state, its observer, and what tells it to stop; the id of the run that it left
Doing = Callable[[Store, Observer, asyncio.Event], Coroutine[object, object, str]]


class Work(Struct):
    """One piece of work, how far it is, and how it ended."""

    id: str
    #: `plan`, `apply`, `undo`
    kind: str
    actor: str
    began: datetime
    #: the run that it is about, or left; "" where that is not known yet
    run: str = ""
    stage: str = ""
    done: int = 0
    total: int | None = None
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_SAID))
    #: seconds from the beginning to the end, or by now
    seconds: float = 0.0
    has_ended: bool = False
    was_stopped: bool = False
    #: why it could not be done; "" where it could
    error: str = ""
    exit_code: int = 0

    @property
    def rate(self) -> float:
        """Steps a second in this stage."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest of the stage takes at this rate; None where nobody knows."""
        if self.total is None or not self.done:
            return None
        return max(self.total - self.done, 0) / self.rate if self.rate else None


class _Watch:
    """An Observer that keeps what it is told with the work."""

    def __init__(self, work: Work, tick: Callable[[], None]) -> None:
        self._work, self._tick = work, tick

    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage begins."""
        self._work.stage, self._work.total, self._work.done = name, total, 0
        self._tick()

    def advance(self, steps: int = 1) -> None:
        """So many steps more."""
        self._work.done += steps
        self._tick()

    def say(self, text: str) -> None:
        """Something that a person should know."""
        self._work.said.append(text)


class Works:
    """Does one piece of work at a time; the lease of the state holds others off who work elsewhere.

    Args:
        settings: The configuration.
        fresh: Gives a new id.
    """

    def __init__(self, settings: Settings, fresh: Callable[[], str]) -> None:
        self._settings, self._fresh, self._clock = settings, fresh, make_clock()
        self._lock = threading.Lock()
        self._works: dict[str, Work] = {}
        self._now: tuple[Work, threading.Thread, Callable[[], None]] | None = None

    @property
    def current(self) -> Work | None:
        """What is at work now."""
        found = self._now
        return found[0] if found is not None and not found[0].has_ended else None

    def work(self, identity: str) -> Work | None:
        """One piece of work that was asked for; None where nobody remembers it."""
        return self._works.get(identity)

    def about(self, run: str) -> Work | None:
        """The latest work about a run."""
        return next((work for work in reversed(self._works.values()) if work.run == run), None)

    def plan(self, who: Actor, choices: Choices) -> Work:
        """Make a plan; see `services.planning.plan`. What a run that was cut short had done is noted before.

        Raises:
            ScimsyncError: Something is at work already.
        """

        async def doing(store: Store, observer: Observer, _: asyncio.Event) -> str:
            if planning.has_unfinished(store):
                await applying.settle_where_free(self._settings, store, observer)
            return (await planning.plan(self._settings, store, observer, replace(choices, author=who))).id

        return self._begin("plan", who, doing)

    def try_again(self, who: Actor, key: str) -> Work:
        """Plan for one person who is left out; see `services.quarantine.try_again`.

        Raises:
            ScimsyncError: Something is at work already.
        """

        async def doing(store: Store, observer: Observer, _: asyncio.Event) -> str:
            return (await quarantine.try_again(self._settings, store, observer, key, who)).id

        return self._begin("plan", who, doing)

    def undo(self, who: Actor, run: str) -> Work:
        """Plan to take a run back; see `services.undoing.undo`.

        Raises:
            ScimsyncError: Something is at work already.
        """

        async def doing(store: Store, observer: Observer, _: asyncio.Event) -> str:
            return (await undoing.undo(self._settings, store, observer, run, Choices(author=who))).id

        return self._begin("undo", who, doing)

    def apply(self, who: Actor, run: str, *, resume: bool = False) -> Work:
        """Carry out a stored plan; see `services.applying.apply`.

        Raises:
            ScimsyncError: Something is at work already.
        """

        async def doing(store: Store, observer: Observer, stop: asyncio.Event) -> str:
            with state.lease(store):
                found = planning.find_plan(store, run)
                report = await applying.apply(self._settings, store, observer, found, Choices(resume=resume), stop)
            if report.stopped:
                observer.say(report.stopped)
            return report.run

        return self._begin("apply", who, doing, run)

    def stop(self, identity: str) -> bool:
        """Let a piece of work come to an end after the writes in progress; whether there was something to stop."""
        found = self._now
        if found is None or found[0].id != identity or found[0].has_ended:
            return False
        found[0].was_stopped = True
        found[2]()
        return True

    def halt(self) -> None:
        """Stop what is at work, and wait for it."""
        found = self._now
        if found is not None:
            self.stop(found[0].id)
            found[1].join()

    def _begin(self, kind: str, who: Actor, doing: Doing, run: str = "") -> Work:
        with self._lock:
            if (busy := self.current) is not None:
                raise ScimsyncError(f"{busy.kind} is at work already, begun by {busy.actor}. Wait for it, or stop it.")
            work = Work(id=self._fresh(), kind=kind, actor=who.name, began=now(), run=run)
            loop = asyncio.new_event_loop()
            stop = asyncio.Event()
            context = contextvars.copy_context()
            thread = threading.Thread(
                target=context.run, args=(self._do, work, who, doing, loop, stop), name=f"scimsync {kind}", daemon=True
            )

            def ask() -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(stop.set)

            self._works[work.id] = work
            while len(self._works) > _REMEMBERED:
                self._works.pop(next(iter(self._works)))
            self._now = (work, thread, ask)
            thread.start()
            return work

    def _do(self, work: Work, who: Actor, doing: Doing, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        began = self._clock.monotonic()

        def tick() -> None:
            work.seconds = self._clock.monotonic() - began

        async def whole() -> None:
            with state.open_store(self._settings) as store:
                work.run = await doing(store, _Watch(work, tick), stop)

        try:
            with on_behalf_of(who):
                loop.run_until_complete(whole())
        except ScimsyncError as error:
            work.error, work.exit_code = str(error), error.exit_code
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever watches must see that it ended
            found: BaseException = error
            while isinstance(found, BaseExceptionGroup):
                found = found.exceptions[0]
            work.error = str(found) if isinstance(found, ScimsyncError) else f"internal error ({type(found).__name__})"
            work.exit_code = found.exit_code if isinstance(found, ScimsyncError) else 1
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
            tick()
            work.has_ended = True


def monotonic() -> Callable[[], float]:
    """Seconds that never step back, as a function."""
    return make_clock().monotonic
