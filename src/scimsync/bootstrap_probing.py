"""The composition root of probing: a provider and its laboratory. Apart, because a plan does without."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from scimsync.adapters.clock_system import SystemClock
from scimsync.bootstrap import wired
from scimsync.config import TargetSettings
from scimsync.engine.laboratory import Laboratory, Provider


class ProbedProvider(Provider, Protocol):
    """A provider that is probed."""

    @property
    def url(self) -> str:
        """Its SCIM base."""
        ...


@asynccontextmanager
async def open_laboratory(
    given: TargetSettings, folder: Path, cap: int, say: Callable[[str], None]
) -> AsyncIterator[tuple[Laboratory, ProbedProvider]]:
    """Where a provider is probed, and the provider; inside one event loop.

    Args:
        given: Which it is.
        folder: Where it is noted what is made.
        cap: The most requests, all together.
        say: Told what happens.
    """
    from scimsync.adapters.probe_notes import ProbeNotes  # noqa: PLC0415
    from scimsync.adapters.target_probing import ProbedTarget  # noqa: PLC0415 - loads httpx2
    from scimsync.adapters.target_wire import TargetSettings as Wired  # noqa: PLC0415 - loads httpx2

    clock, rng = SystemClock(), random.Random(secrets.randbits(64))  # noqa: S311 - jitter, not secrets
    provider = ProbedTarget(wired(Wired, given), clock=clock, rng=rng, notice=say)
    try:
        yield Laboratory(provider, ProbeNotes(folder, provider.url), clock, cap), provider
    finally:
        await provider.close()
