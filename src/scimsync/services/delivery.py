"""Deliver events: while a run goes on, when somebody asks, and what is on its way."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct
from msgspec.structs import replace

from scimsync.bootstrap import now
from scimsync.bootstrap_delivery import make_delivery
from scimsync.config import AlarmSettings, Settings, WebhookSettings
from scimsync.core import notifications
from scimsync.engine import delivering
from scimsync.engine.delivering import Rounds
from scimsync.engine.ports import Observer
from scimsync.engine.state import Outbox
from scimsync.errors import ConfigError
from scimsync.model.events import Message, MessageState, Receipt
from scimsync.services import alarming
from scimsync.services.planning import Choices

#: seconds that the end of a background waits for messages that are getting out
FLUSH_S = 5.0
#: dead messages that are shown of an endpoint
_MOST_SHOWN = 10


@asynccontextmanager
async def notifying(settings: Settings, outbox: Outbox, observer: Observer, choices: Choices) -> AsyncIterator[None]:
    """Deliver events while a run goes on, where there is somebody to tell."""
    if not settings.webhooks or not choices.deliver:
        yield
        return
    async with make_delivery(settings, outbox, observer.say) as ports, delivering.beside(ports):
        yield


@asynccontextmanager
async def rounds(
    settings: Settings, outbox: Outbox, say: Callable[[str], None], *, alarms: bool = False
) -> AsyncIterator[Rounds]:
    """Delivery to all endpoints of the configuration, and of `alarms`; `say` is told of trouble.

    Raises:
        ConfigError: An alarm cannot be sent as the configuration wants it.
    """
    async with make_delivery(settings, outbox, say, alarms=alarms) as ports:
        yield Rounds(ports)


class Background:
    """Delivery for as long as an event loop and its owner want it; trouble with an endpoint is nobody's but its own."""

    def __init__(self, settings: Settings, outbox: Outbox) -> None:
        self._settings, self._outbox = settings, outbox
        self._rounds: Rounds | None = None
        self._begun = asyncio.Event()
        self._task = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        async with rounds(self._settings, self._outbox, lambda _: None) as found:
            self._rounds = found
            self._begun.set()
            await found.on()

    def wake(self) -> None:
        """Look into the outbox now."""
        if self._rounds is not None:
            self._rounds.wake()

    async def end(self, within_s: float = FLUSH_S) -> None:
        """Come to an end; wait while messages are getting out, no longer than `within_s`."""
        await self._begun.wait()
        if self._rounds is not None and not self._task.done():
            await self._rounds.settle_down(within_s=within_s, idle_s=within_s)
            self._rounds.halt()
        await asyncio.wait([self._task])


async def ping(settings: Settings, outbox: Outbox, which: str) -> list[tuple[WebhookSettings, Receipt]]:
    """Send a ping to one endpoint or to all, at once and past the outbox.

    Args:
        settings: The configuration.
        outbox: The outbox, which stays as it is.
        which: Number, name or URL of a webhook; all where empty.

    Raises:
        ConfigError: There is no such webhook.
    """
    chosen = _chosen(settings, which)
    async with make_delivery(replace(settings, webhooks=chosen), outbox, lambda _: None) as ports:
        receipts = await delivering.ping(ports, notifications.ping(ports.clock.now()))
    return list(zip(chosen, receipts, strict=True))


async def ping_alarms(settings: Settings, outbox: Outbox, number: int) -> list[tuple[AlarmSettings, Receipt]]:
    """Send a test alarm to one place or to all, at once and past the outbox, which stays as it is.

    Args:
        settings: The configuration.
        outbox: The outbox.
        number: Which `[[alarm]]`, from 1; all where 0.

    Raises:
        ConfigError: There is no such alarm, or what it needs is not installed.
    """
    if not settings.alarms:
        raise ConfigError("there is no [[alarm]] in the configuration. Add one; see docs/alarms.md")
    chosen = tuple(one for one in settings.alarms if number in {0, one.number})
    if not chosen:
        raise ConfigError(
            f"alarms ping {number}: there is no such alarm. Name it by its number, 1 to {len(settings.alarms)}."
        )
    async with make_delivery(
        replace(settings, webhooks=(), alarms=chosen), outbox, lambda _: None, alarms=True
    ) as ports:
        body = alarming.test_document(settings, ports.clock.now())
        receipts = await delivering.try_all(ports, f"alarm_test_{secrets.token_hex(6)}", body)
    return list(zip(chosen, receipts, strict=True))


def _chosen(settings: Settings, which: str) -> tuple[WebhookSettings, ...]:
    if not settings.webhooks:
        raise ConfigError("there is no [[webhook]] in the configuration. Add one; see docs/webhooks.md")
    found = tuple(w for w in settings.webhooks if which in {"", str(w.number), w.url, w.name})
    if not found:
        known = len(settings.webhooks)
        raise ConfigError(f"webhooks ping {which}: there is no such webhook. Name it by its number, 1 to {known}.")
    return found


class EndpointState(Struct, frozen=True, kw_only=True):
    """What is on its way to one endpoint."""

    webhook: WebhookSettings
    states: Mapping[MessageState, int]
    #: what was tried last of those that have not arrived
    trouble: Message | None
    #: the latest of those that were given up
    dead: Sequence[Message]


def endpoints(settings: Settings, outbox: Outbox) -> list[EndpointState]:
    """What is on its way to each endpoint of the configuration."""
    states = outbox.outbox()
    return [
        EndpointState(
            webhook=webhook,
            states=states.get(webhook.name, {}),
            trouble=outbox.last_trouble(webhook.name),
            dead=outbox.messages(webhook.name, MessageState.DEAD, _MOST_SHOWN),
        )
        for webhook in settings.webhooks
    ]


def forsaken(settings: Settings, outbox: Outbox) -> list[int]:
    """How many messages wait for each endpoint that the configuration names no more."""
    known = {webhook.name for webhook in settings.webhooks} | {alarm.name for alarm in settings.alarms}
    lost = [states for name, states in outbox.outbox().items() if name not in known]
    return [waiting for states in lost if (waiting := states.get(MessageState.PENDING, 0))]


def counted(settings: Settings, outbox: Outbox) -> Counter[MessageState]:
    """How many messages to the endpoints of the configuration are in each state."""
    states = outbox.outbox()
    counter: Counter[MessageState] = Counter()
    for webhook in settings.webhooks:
        counter.update(states.get(webhook.name, {}))
    return counter


def redrive(outbox: Outbox, ids: Sequence[str]) -> int:
    """Make dead events pending again, all where `ids` is empty; how many that were.

    Raises:
        ConfigError: None has such an id.
    """
    number = outbox.redrive(ids, now())
    if not number and ids:
        raise ConfigError(f"webhooks redrive {' '.join(ids)}: no dead event has this id. See them: scimsync webhooks")
    return number
