"""Clients that wait for nothing: they sleep as long as they like, and their clock goes on by as much in no time.

For runs in this process against servers on real sockets. A server that must know how late it is asks the same clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from scimsync.adapters.clock_system import SystemClock


@dataclass
class Hurry:
    """The clock of this machine, ahead by the time that was slept."""

    skipped: float = 0.0

    def time(self) -> float:
        return time.time() + self.skipped

    def monotonic(self) -> float:
        return time.monotonic() + self.skipped

    async def sleep(self, seconds: float) -> None:
        due = self.monotonic() + seconds
        await asyncio.sleep(0)
        self.skipped += max(0.0, due - self.monotonic())


@contextmanager
def hurry() -> Iterator[Hurry]:
    """Let no client of this process wait for a wall clock. Not with webhooks: whoever delivers them sleeps all the time."""
    clock = Hurry()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SystemClock, "now", lambda _: datetime.fromtimestamp(clock.time(), UTC))
        patch.setattr(SystemClock, "monotonic", lambda _: clock.monotonic())
        patch.setattr(SystemClock, "sleep", lambda _, seconds: clock.sleep(seconds))
        yield clock
