"""The webhooks commands: list, ping, deliver, redrive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import click

from scimsync.cli import interrupting
from scimsync.cli.codes import NOT_ALL_DONE
from scimsync.config import Settings, load
from scimsync.errors import ConfigError
from scimsync.model.events import MessageState
from scimsync.services import delivery, state
from scimsync.services.delivery import EndpointState
from scimsync.services.state import Store

_NEEDED = frozenset({"webhook"})


def show(config: Path, *, as_json: bool) -> int:
    """List the endpoints with what is on its way to them; return the exit code."""
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        found, forsaken = delivery.endpoints(settings, store), delivery.forsaken(settings, store)
    if as_json:
        click.echo(json.dumps([_document(endpoint) for endpoint in found], indent=2))
        return 0
    if not found:
        click.echo("No webhooks. Add a [[webhook]] to the configuration.")
    for endpoint in found:
        _show(endpoint)
    for waiting in forsaken:
        click.echo(f"(no longer configured)  {waiting:,} pending; they wait until their url is back")
    return 0


def _document(endpoint: EndpointState) -> dict[str, object]:
    webhook, last = endpoint.webhook, endpoint.trouble
    trouble = None
    if last is not None and last.tried is not None:
        trouble = {"at": last.tried.isoformat(), "status": last.status, "detail": last.detail, "event": last.id}
    return {
        "number": webhook.number,
        "endpoint": webhook.name,
        "host": webhook.shown.partition("(")[2].rstrip(")"),
        "events": sorted(kind.value for kind in webhook.kinds) or ["all"],
        "values": webhook.values,
        **{kind.value: endpoint.states.get(kind, 0) for kind in MessageState},
        "trouble": trouble,
    }


def _show(endpoint: EndpointState) -> None:
    webhook, last = endpoint.webhook, endpoint.trouble
    events = ", ".join(sorted(kind.value for kind in webhook.kinds)) or "all events"
    counts = ", ".join(f"{endpoint.states.get(kind, 0):,} {kind.value}" for kind in MessageState)
    click.echo(f"{webhook.shown}  {counts}; {events}{', with values' if webhook.values else ''}")
    if last is not None and last.tried is not None:
        click.echo(f"  last trouble {last.tried:%Y-%m-%d %H:%M:%S} UTC: {last.detail} (attempt {last.attempts})")
    for message in endpoint.dead:
        click.echo(f"  dead  {message.id}  {message.type}  {message.detail}")


def ping(config: Path, which: str) -> int:
    """Send a ping to one endpoint or to all, at once and past the outbox; return 0 where all took it, else 11."""
    settings = load(config, secrets=_NEEDED)
    with state.open_store(settings) as store:
        receipts = interrupting.run(delivery.ping(settings, store, which))
    for webhook, receipt in receipts:
        click.echo(f"{webhook.shown}  {receipt.detail or f'took it (status {receipt.status})'}")
    return NOT_ALL_DONE if any(receipt.detail for _, receipt in receipts) else 0


def deliver(config: Path, *, watch: bool) -> int:
    """Deliver what is due; with `watch`, go on until interrupted. Trouble of a receiver is no failure: 0."""
    settings = load(config, secrets=_NEEDED)
    with state.open_store(settings) as store:
        arrived = interrupting.run(_deliver(settings, store, watch=watch))
        left = delivery.counted(settings, store)
    click.echo(f"{arrived:,} delivered, {left[MessageState.PENDING]:,} pending, {left[MessageState.DEAD]:,} dead")
    return 0


async def _deliver(settings: Settings, store: Store, *, watch: bool) -> int:
    async with delivery.rounds(settings, store, lambda words: click.echo(words, err=True)) as rounds:
        if not watch:
            return await rounds.once()
        loop = asyncio.get_running_loop()
        for number in interrupting.wanted():
            loop.add_signal_handler(number, rounds.halt)
        await rounds.on()
        return rounds.arrived


def redrive(config: Path, ids: Sequence[str], *, everything: bool) -> int:
    """Send dead messages again; return the exit code."""
    if bool(ids) == everything:
        raise ConfigError("webhooks redrive: name the events by their ids, or say --all. See them: scimsync webhooks")
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        number = delivery.redrive(store, ids)
    again = f"{number:,} {'event is' if number == 1 else 'events are'} pending again"
    click.echo(
        f"{again}. Send now: scimsync webhooks deliver" if number else "No event is dead: nothing to send again."
    )
    return 0
