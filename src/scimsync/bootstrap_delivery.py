"""The composition root of webhooks: what delivering needs. Apart, because a plan does without."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from scimsync.adapters.clock_system import SystemClock
from scimsync.config import AlarmSettings, Settings
from scimsync.engine import delivering
from scimsync.engine.delivering import DeliveryPorts, Endpoint
from scimsync.engine.ports import Sender
from scimsync.engine.state import Outbox
from scimsync.errors import ConfigError


@asynccontextmanager
async def make_delivery(
    settings: Settings, outbox: Outbox, say: Callable[[str], None], *, alarms: bool = False
) -> AsyncIterator[DeliveryPorts]:
    """What delivering needs, for the endpoints of the configuration; inside one event loop.

    Args:
        settings: The configuration.
        outbox: Where messages wait.
        say: Told of trouble with an endpoint.
        alarms: Whether alarms go out, too: then their secrets were asked for.

    Raises:
        ConfigError: An alarm needs an extra that is not installed, or has an address that nobody knows.
    """
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
    endpoints += [_alarm(given, clock) for given in settings.alarms if alarms]
    try:
        yield DeliveryPorts(outbox=outbox, endpoints=endpoints, clock=clock, chance=draw.random, say=say)
    finally:
        for endpoint in endpoints:
            await endpoint.sender.close()


def _alarm(given: AlarmSettings, clock: SystemClock) -> Endpoint:
    return delivering.Endpoint(name=given.name, shown=given.shown, sender=_alarm_sender(given, clock), keys=())


def _alarm_sender(given: AlarmSettings, clock: SystemClock) -> Sender:
    if given.kind == "mail":
        from scimsync.adapters.alarm_mail import MailSender  # noqa: PLC0415 - loads smtplib

        login = (given.username, given.password)
        return MailSender((given.host, given.port), tls=given.tls, login=login, sender=given.sender, to=given.to)
    if given.kind == "apprise":
        try:
            from scimsync.adapters.alarm_apprise import AppriseSender  # noqa: PLC0415 - loads Apprise
        except ModuleNotFoundError as error:
            raise ConfigError(
                f'[[alarm]] {given.number} has kind = "apprise", and Apprise is not installed: '
                "pip install 'scimsync[alarms]'"
            ) from error
        return AppriseSender(given.url, f"[[alarm]] {given.number}")
    from scimsync.adapters.alarm_chat import ChatSender  # noqa: PLC0415 - loads httpx2
    from scimsync.adapters.webhook_http import HttpSender  # noqa: PLC0415 - loads httpx2

    return ChatSender(HttpSender(given.url, clock, allow_private=given.allow_private), given.kind)
