"""The alarms commands: list, ping."""

from __future__ import annotations

from pathlib import Path

import click

from scimsync.cli import interrupting
from scimsync.cli.codes import NOT_ALL_DONE
from scimsync.cli.finding_text import printable
from scimsync.config import load
from scimsync.services import alarming, delivery, state

_NEEDED = frozenset({"alarm"})


def show(config: Path) -> int:
    """List who is told, and what is on; return the exit code."""
    settings = load(config, secrets=False)
    if not settings.alarms:
        click.echo("Nobody is told. Add an [[alarm]] to the configuration.")
    for alarm in settings.alarms:
        about = ", ".join(sorted(kind.value for kind in alarm.about)) or "everything"
        click.echo(f"{alarm.shown}  is told of {about}; of silence after {alarm.patience}")
    with state.open_store(settings) as store:
        for one in alarming.standing(settings, store):
            click.echo(f"on: {one.kind.value} ({one.subject}) since {one.since:%Y-%m-%d %H:%M} UTC")
        for given, message in alarming.undelivered(settings, store):
            click.echo(f"{given.shown}  could not be told: {printable(message.detail or 'it was not tried yet')}")
    return 0


def ping(config: Path, number: int) -> int:
    """Send a test alarm to one or to all, at once and past the outbox; return 0 where all took it, else 11."""
    settings = load(config, secrets=_NEEDED)
    with state.open_store(settings) as store:
        receipts = interrupting.run(delivery.ping_alarms(settings, store, number))
    for alarm, receipt in receipts:
        click.echo(f"{alarm.shown}  {receipt.detail or 'took it'}")
    return NOT_ALL_DONE if any(receipt.detail for _, receipt in receipts) else 0
