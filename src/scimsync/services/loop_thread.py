"""An event loop in a thread of its own, for programs that have none."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from scimsync.errors import TargetUnavailable

_T = TypeVar("_T")
_P = ParamSpec("_P")


class LoopThread:
    """Runs coroutines for callers of any thread; begins with the first, and anew after `stop` or a fork."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether the loop was begun in this process and not stopped."""
        return self._pid == os.getpid() and self._thread is not None and self._thread.is_alive()

    @property
    def is_here(self) -> bool:
        """Whether we are in that thread ourselves."""
        return threading.current_thread() is self._thread

    def run(self, work: Coroutine[object, object, _T]) -> _T:
        """Run a coroutine to its end; a caller who is interrupted cancels it.

        Raises:
            TargetUnavailable: The loop was stopped while it ran.
        """
        if self._pid != os.getpid():  # the thread, and whoever held the lock, stayed behind
            self._begin()
        with self._lock:
            future = asyncio.run_coroutine_threadsafe(work, self._begun())
        try:
            return future.result()
        except CancelledError:
            raise TargetUnavailable("the syncer was closed while this call was at work; call again") from None
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the loop. What still runs in it is cancelled."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None and thread.is_alive():
            loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():
                thread.join()

    def _begun(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or not self.is_running:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(self._loop,), name="scimsync", daemon=True)
            self._thread.start()
        return self._loop


class _Here(ThreadPoolExecutor):
    """Runs at once, in the loop, what it is given: short work on a state. Names are looked up in threads beside it.

    So nothing depends on threads that a program which ends does not begin any more, and each call is spared two moves
    between threads.
    """

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run it; what it raises is in the future."""
        is_lookup: bool = fn is socket.getaddrinfo
        if is_lookup:
            with suppress(RuntimeError):  # the program ends
                return super().submit(fn, *args, **kwargs)
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits hears of it
            future.set_exception(error)
        return future


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.set_default_executor(_Here(max_workers=4, thread_name_prefix="scimsync names"))
    try:
        loop.run_forever()
    finally:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
