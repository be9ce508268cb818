"""Deliver events while a run goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scimsync.bootstrap import make_delivery
from scimsync.config import Settings
from scimsync.engine import delivering
from scimsync.engine.ports import Observer, Store
from scimsync.services.planning import Choices


@asynccontextmanager
async def notifying(settings: Settings, store: Store, observer: Observer, choices: Choices) -> AsyncIterator[None]:
    """Deliver events while a run goes on, where there is somebody to tell."""
    if not settings.webhooks or not choices.deliver:
        yield
        return
    async with make_delivery(settings, store, observer.say) as ports, delivering.beside(ports):
        yield
