"""An event loop on virtual time: nothing sleeps, nothing runs beside it, and one seed plays one way.

Time passes only where nothing is ready. What is handed to a thread runs inside the loop instead, after as long as a
commit takes. `die` ends everything at once, as `kill -9` does: no task of the process goes on.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

_T = TypeVar("_T")

START = datetime(2026, 3, 2, 6, tzinfo=UTC)


class KilledError(BaseException):
    """The process is dead; whatever it still tries has no effect."""


class _Selector(selectors.SelectSelector):
    """Waits for nobody: where nothing is ready, time jumps to who is due first."""

    loop: Loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.loop.turned()
        if timeout is None:
            raise RuntimeError("everybody waits, and nobody will ever come")
        if timeout > 0:
            self.loop.now += timeout
        return []


class Loop(asyncio.SelectorEventLoop):
    """The loop of one world. Its processes live and die in it, one after the other or side by side."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 1000.0
        #: called at each turn
        self.watch: Callable[[], None] | None = None
        self.turns = 0
        #: seconds that what runs in a thread takes
        self.commit_s: Callable[[], float] = lambda: 0.001
        super().__init__(selector)
        self._clock_resolution = 1e-9
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        """Seconds on a clock that never steps."""
        return self.now

    def turned(self) -> None:
        """One turn of the loop is over."""
        self.turns += 1
        if self.watch is not None:
            self.watch()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """What a thread would do, at one moment of the loop."""
        future: asyncio.Future[Any] = self.create_future()

        def work() -> None:
            try:
                found = func(*args)
            except BaseException as error:  # noqa: BLE001 - whatever it is, whoever waits must hear of it
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(found)

        self.call_later(self.commit_s(), work)
        return future

    def play(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run until this is done."""
        task = self.create_task(work)
        while not task.done():
            try:
                self.run_until_complete(task)
            except RuntimeError:  # whoever was killed at the end of another `play` stops this one
                if task.done():
                    raise
        return task.result()

    def end(self) -> None:
        """Let go of everything."""
        self.watch = None
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        for task in tasks:
            task.cancel()
        if tasks:
            self.play(gathered(tasks))
        self.close()


async def gathered(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for the ends of tasks, whatever they are."""
    await asyncio.gather(*tasks, return_exceptions=True)


class VirtualTime:
    """The Clock port on such a loop. The wall clock may jump; the other never does."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.ahead = timedelta()

    def now(self) -> datetime:
        """The wall clock."""
        return START + timedelta(seconds=self._loop.now - 1000.0) + self.ahead

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        return self._loop.now

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(max(0.0, seconds))
