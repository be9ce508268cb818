"""The Clock port on virtual time."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import ParamSpec, TypeVar

from msgspec import Struct

_P = ParamSpec("_P")
_T = TypeVar("_T")


class VirtualClock:
    """Time that passes only while everybody waits: a run of hours plays in a moment, always in one order.

    When nothing in the event loop is ready and no work is out in `asyncio.to_thread`, the clock jumps to
    the sleeper that is due first and wakes it; sleepers due at one moment wake in the order they came.
    Real sockets are not seen: time flies while they are waited for. One loop at a time; where no loop
    runs, `advance` moves it.

    Examples:
        >>> clock, heard = VirtualClock(), []
        >>> async def wait(name, *naps):
        ...     for nap in naps:
        ...         await clock.sleep(nap)
        ...         heard.append((clock.monotonic(), name))
        >>> async def meet():
        ...     await asyncio.gather(wait("a", 10, 3590), wait("b", 3, 7), wait("c", 5))
        >>> asyncio.run(meet())
        >>> heard
        [(3.0, 'b'), (5.0, 'c'), (10.0, 'a'), (10.0, 'b'), (3600.0, 'a')]
        >>> clock.now().isoformat()
        '2026-01-01T01:00:00+00:00'
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = count()
        self._sleepers: list[_Sleeper] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = _CountedThreads()
        self._watching = False

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass for whoever looks; sleepers wake at their turn."""
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        self._enter(loop)
        sleeper = _Sleeper(self._elapsed + seconds, next(self._order), loop.create_future())
        heapq.heappush(self._sleepers, sleeper)
        if not self._watching:
            self._watching = True
            loop.call_soon(self._watch, 0)
        await sleeper.woken

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        self._loop, self._sleepers, self._watching = loop, [], False
        self._threads = _CountedThreads()
        loop.set_default_executor(self._threads)

    def _watch(self, quiet: int) -> None:
        """Look again and again until the loop was quiet for a while; then wake who is due first."""
        while self._sleepers and self._sleepers[0].woken.done():  # cancelled
            heapq.heappop(self._sleepers)
        if not self._sleepers or self._loop is None:
            self._watching = False
            return
        if self._threads.busy:
            self._loop.call_later(0.0001, self._watch, 0)
            return
        # a loop that hides what is ready (uvloop) is given a number of turns instead
        ready = getattr(self._loop, "_ready", None)
        enough = 3 if ready is not None else 50
        if ready or quiet < enough:
            self._loop.call_soon(self._watch, 0 if ready else quiet + 1)
            return
        self._wake()
        self._loop.call_soon(self._watch, 0)

    def _wake(self) -> None:
        due = self._sleepers[0].due
        self._elapsed = max(self._elapsed, due)
        while self._sleepers and self._sleepers[0].due <= due:
            sleeper = heapq.heappop(self._sleepers)
            if not sleeper.woken.done():
                sleeper.woken.set_result(None)


class _Sleeper(Struct, eq=False):
    due: float
    order: int
    woken: asyncio.Future[None]

    def __lt__(self, other: _Sleeper) -> bool:
        return (self.due, self.order) < (other.due, other.order)


class _CountedThreads(ThreadPoolExecutor):
    """Threads that know whether work is out, from the submission until the loop has heard of its end."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="scimsync-virtual")
        self.busy = 0

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """As its parent does, called from the loop."""
        future = super().submit(fn, *args, **kwargs)
        loop = asyncio.get_running_loop()
        self.busy += 1
        # registered a turn later, so that asyncio hears of the end first
        loop.call_soon(future.add_done_callback, lambda _: loop.call_soon_threadsafe(self._ended))
        return future

    def _ended(self) -> None:
        self.busy -= 1
