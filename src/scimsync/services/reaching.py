"""Reach the target, and let go of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from scimsync.bootstrap import make_target
from scimsync.config import Settings
from scimsync.engine.ports import Metrics, Target

__all__ = ["Target", "reached"]


@asynccontextmanager
async def reached(
    settings: Settings, notice: Callable[[str], None] = lambda _: None, metrics: Metrics | None = None
) -> AsyncIterator[Target]:
    """The target that the configuration names, for as long as it is worked with.

    Args:
        settings: which it is.
        notice: told of what a person should know meanwhile.
        metrics: told of each exchange.
    """
    target = make_target(settings, notice, metrics, remembers=True)
    try:
        yield target
    finally:
        await target.close()
