"""Signals are heard wherever a command is, and are not lost on the way out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable

import pytest

from scimsync.cli.interrupting import Interrupted, deafen, heard, run, wanted
from scimsync.errors import TargetUnavailable

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_between_two_pieces_of_work_ends_the_command_with_its_code(number: int) -> None:
    with pytest.raises(Interrupted) as caught, heard():
        send(number)
    assert caught.value.exit_code == 128 + number


def turned_into_something_else() -> None:
    try:
        send()
    except BaseException as error:
        raise RuntimeError("Query interrupted") from error  # as DuckDB does


def swallowed() -> None:
    with contextlib.suppress(BaseException):
        send()


def swallowed_and_told_as_done() -> None:
    swallowed()
    sys.exit(0)


@pytest.mark.parametrize("work", [turned_into_something_else, swallowed, swallowed_and_told_as_done])
def test_a_signal_that_is_lost_on_the_way_out_still_ends_the_command(work: Callable[[], None]) -> None:
    with pytest.raises(Interrupted), heard():
        work()


def test_an_error_of_the_command_itself_stays_what_it_is() -> None:
    for error in (ValueError(), SystemExit(11)):
        with pytest.raises(type(error)), heard():
            raise error


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with heard():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_hangup_that_was_to_be_ignored_is_and_ctrl_c_is_not() -> None:
    before = [signal.signal(number, signal.SIG_IGN) for number in SIGNALS]
    try:
        assert wanted() == (signal.SIGINT,)
        with heard():
            send(signal.SIGHUP)
        deafen()
        assert [signal.getsignal(n) for n in SIGNALS] == [signal.SIG_DFL, signal.SIG_IGN, signal.SIG_IGN]
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


# In a loop


async def hang() -> str:
    send()
    await asyncio.sleep(60)
    return "done"


async def deaf() -> str:
    """Swallows that it is cancelled, as libraries do now and then."""
    with contextlib.suppress(asyncio.CancelledError):
        await hang()
    return "done"


async def failing() -> str:
    try:
        return await hang()
    except asyncio.CancelledError as error:
        raise TargetUnavailable("it went away") from error


async def busy() -> str:
    """One long step, as a source takes that is silent: the loop hears nothing meanwhile."""
    send()
    threading.Event().wait(600)
    return "done"


@pytest.mark.parametrize("work", [hang, deaf, failing, busy])
def test_the_first_signal_cancels_the_work_and_nothing_makes_it_undone(work: Callable[[], object]) -> None:
    with pytest.raises(Interrupted), heard():
        run(work())  # type: ignore[arg-type]


def test_work_that_can_be_told_to_stop_ends_in_its_own_way_at_the_first_signal() -> None:
    stop = asyncio.Event()

    async def work() -> str:
        send(signal.SIGTERM)
        await stop.wait()
        return "what was under way is done"

    with heard():
        assert run(work(), stop.set) == "what was under way is done"


def test_the_second_signal_cancels_work_that_was_told_to_stop_and_the_third_ends_it_wherever_it_is() -> None:
    asked: list[str] = []

    async def stubborn(number: int) -> None:
        for _ in range(number):
            send()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)
        asked.append("cancelled")
        await asyncio.sleep(0)

    with heard():
        run(stubborn(2), lambda: asked.append("told"))
    assert asked == ["told", "cancelled"]
    with pytest.raises(Interrupted), heard():
        run(stubborn(3), lambda: asked.append("told"))
    assert asked == ["told", "cancelled", "told"]


def test_what_is_wrong_while_work_stops_is_told_and_not_hidden() -> None:
    stop = asyncio.Event()

    async def work() -> None:
        send()
        await stop.wait()
        raise TargetUnavailable("it went away")

    with pytest.raises(TargetUnavailable), heard():
        run(work(), stop.set)
