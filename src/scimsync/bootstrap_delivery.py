"""The composition root of webhooks: what delivering needs. Apart, because a plan does without."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from scimsync.adapters.clock_system import SystemClock
from scimsync.config import Settings
from scimsync.engine import delivering
from scimsync.engine.delivering import DeliveryPorts
from scimsync.engine.state import Outbox


@asynccontextmanager
async def make_delivery(settings: Settings, outbox: Outbox, say: Callable[[str], None]) -> AsyncIterator[DeliveryPorts]:
    """What delivering needs, for the endpoints of the configuration; inside one event loop."""
    from scimsync.adapters.webhook_http import HttpSender  # noqa: PLC0415 - loads httpx2

    clock, draw = SystemClock(), random.Random(secrets.randbits(64))  # noqa: S311 - jitter, not secrets
    endpoints = [
        delivering.Endpoint(
            name=given.name,
            shown=given.shown,
            sender=HttpSender(given.url, clock, allow_private=given.allow_private),
            keys=given.keys,
        )
        for given in settings.webhooks
    ]
    try:
        yield DeliveryPorts(outbox=outbox, endpoints=endpoints, clock=clock, chance=draw.random, say=say)
    finally:
        for endpoint in endpoints:
            await endpoint.sender.close()
