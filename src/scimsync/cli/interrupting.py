"""Ctrl-C, SIGTERM and SIGHUP, heard from the first line of a command to its last.

The first one asks: what waits is cancelled, or, where `stop` is given, told to come to its end. Each further
one asks less politely, and the last of them raises `Interrupted` wherever the program is. Nothing has to be
put away in that case: whatever a killed process leaves behind, the next one makes good.

Whoever starts a command in the background of a script makes it deaf to Ctrl-C, and Python keeps it so. We
hear it all the same: a stop that is asked for and not made is the worse surprise. `nohup` is respected.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

_KNOWN = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def wanted() -> tuple[int, ...]:
    """The signals that end a command: those that nobody told it to ignore, and Ctrl-C."""
    return tuple(n for n in _KNOWN if n == signal.SIGINT or signal.getsignal(n) is not signal.SIG_IGN)


class Interrupted(KeyboardInterrupt):
    """A signal ended the work. Passes through whatever catches exceptions."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """As shells say it: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number

    def __str__(self) -> str:
        """How a person calls it."""
        return "Ctrl-C" if self.number == signal.SIGINT else signal.Signals(self.number).name


class _Ears:
    """Who is told of a signal: the latest who listens, else whatever is running, by an exception."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[int], None]] = []
        #: the signal that was last raised as an exception
        self.raised: Interrupted | None = None

    def hear(self, number: int, _: FrameType | None = None) -> None:
        """Called by Python between two steps of the main thread."""
        if self.listeners:
            self.listeners[-1](number)
        else:
            self.throw(number)

    def forget(self) -> None:
        """A new command begins."""
        self.raised = None

    def throw(self, number: int) -> None:
        """End whatever is running."""
        self.raised = Interrupted(number)
        raise self.raised


_EARS = _Ears()


@contextmanager
def heard() -> Iterator[None]:
    """Listen. What is raised for a signal, or is made of it on the way (DuckDB does), leaves as `Interrupted`.

    Raises:
        Interrupted: A signal ended the work, or would have, were it not swallowed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in wanted()}
    _EARS.forget()
    for number in before:
        signal.signal(number, _EARS.hear)
    try:
        yield
    except BaseException as error:
        if _EARS.raised is None or (isinstance(error, SystemExit) and error.code):
            raise
    finally:
        for number, handler in before.items():
            with suppress(TypeError):  # one that was not set from Python cannot be put back
                signal.signal(number, handler)
    raised = _EARS.raised
    _EARS.forget()  # it holds all that was going on
    if raised is not None:
        raise raised


def run(work: Coroutine[object, object, T], stop: Callable[[], None] | None = None) -> T:
    """As `asyncio.run`; signals cancel the work, after `stop` was called where it is given.

    Work that is busy with one long step, such as a source that is silent, cannot be cancelled: where it needs no
    `stop`, it is ended wherever it is.

    Raises:
        Interrupted: The work was cancelled, or came to its end in spite of that.
    """
    import asyncio  # noqa: PLC0415 - 40 ms that --help need not pay

    asked: list[int] = []
    woken = threading.Event()

    async def listened() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        steps = iter([step for step in (stop, task.cancel if task else None) if step is not None])

        def hear(number: int) -> None:
            step = next(steps, None)
            if step is None:
                loop.set_exception_handler(lambda *_: None)  # what is torn apart now has nothing to tell
                _EARS.throw(number)
            else:
                asked.append(number)
                loop.call_soon_threadsafe(step)
                if stop is None:
                    loop.call_soon_threadsafe(woken.set)
                    threading.Thread(target=_insist, args=(number, woken), daemon=True).start()

        _EARS.listeners.append(hear)
        try:
            return await work
        finally:
            woken.set()
            _EARS.listeners.remove(hear)

    patience = 0 if stop is None else 1
    try:
        done = asyncio.run(listened())
    except BaseException as error:
        if len(asked) > patience:
            raise Interrupted(asked[0]) from error
        raise
    if len(asked) > patience and stop is None:
        raise Interrupted(asked[0])
    return done


#: how long one step of the work may go on after a signal, and how long what puts it away
_GRACE_S, _END_S = 1.0, 10.0


def _insist(number: int, woken: threading.Event) -> None:
    """Send the main thread the signal again until it is heard: a step may be long, and so may putting it away."""
    patience = _GRACE_S
    while not woken.wait(patience):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
        patience = _END_S


def deafen() -> None:
    """Let signals end the process without a word, now that its work is done."""
    for number in wanted():
        signal.signal(number, signal.SIG_DFL)
