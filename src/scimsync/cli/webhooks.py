"""The webhooks commands: list, ping, deliver, redrive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from scimsync import bootstrap
from scimsync.cli import interrupting
from scimsync.cli.codes import NOT_ALL_DONE
from scimsync.config import Settings, WebhookSettings, load
from scimsync.core import notifications
from scimsync.engine import delivering
from scimsync.engine.ports import Store
from scimsync.errors import ConfigError
from scimsync.model.events import MessageState, Receipt

_NEEDED = frozenset({"webhook"})


def show(config: Path, *, as_json: bool) -> int:
    """List the endpoints with what is on its way to them; return the exit code."""
    settings = load(config, secrets=False)
    with bootstrap.open_store(settings) as store:
        documents = [_document(store, webhook) for webhook in settings.webhooks]
        known = {webhook.name for webhook in settings.webhooks}
        lost = {name: states for name, states in store.outbox().items() if name not in known}
        if as_json:
            click.echo(json.dumps(documents, indent=2))
            return 0
        if not documents:
            click.echo("No webhooks. Add a [[webhook]] to the configuration.")
        for webhook, document in zip(settings.webhooks, documents, strict=True):
            _show(store, webhook, document)
        for states in lost.values():
            waiting = states.get(MessageState.PENDING, 0)
            if waiting:
                click.echo(f"(no longer configured)  {waiting:,} pending; they wait until their url is back")
    return 0


def _document(store: Store, webhook: WebhookSettings) -> dict[str, object]:
    states = store.outbox().get(webhook.name, {})
    last = store.last_trouble(webhook.name)
    trouble = None
    if last is not None and last.tried is not None:
        trouble = {"at": last.tried.isoformat(), "status": last.status, "detail": last.detail, "event": last.id}
    return {
        "number": webhook.number,
        "endpoint": webhook.name,
        "host": webhook.shown.partition("(")[2].rstrip(")"),
        "events": sorted(kind.value for kind in webhook.kinds) or ["all"],
        "values": webhook.values,
        **{state.value: states.get(state, 0) for state in MessageState},
        "trouble": trouble,
    }


def _show(store: Store, webhook: WebhookSettings, document: dict[str, object]) -> None:
    events = ", ".join(sorted(kind.value for kind in webhook.kinds)) or "all events"
    counts = ", ".join(f"{document[state.value]:,} {state.value}" for state in MessageState)
    click.echo(f"{webhook.shown}  {counts}; {events}{', with values' if webhook.values else ''}")
    last = store.last_trouble(webhook.name)
    if last is not None and last.tried is not None:
        click.echo(f"  last trouble {last.tried:%Y-%m-%d %H:%M:%S} UTC: {last.detail} (attempt {last.attempts})")
    for message in store.messages(webhook.name, MessageState.DEAD, 10):
        click.echo(f"  dead  {message.id}  {message.type}  {message.detail}")


def ping(config: Path, which: str) -> int:
    """Send a ping to one endpoint or to all, at once and past the outbox; return 0 where all took it, else 11."""
    settings = load(config, secrets=_NEEDED)
    chosen = replace(settings, webhooks=_chosen(settings, which))
    with bootstrap.open_store(settings) as store:
        receipts = interrupting.run(_ping(chosen, store))
    for webhook, receipt in zip(chosen.webhooks, receipts, strict=True):
        click.echo(f"{webhook.shown}  {receipt.detail or f'took it (status {receipt.status})'}")
    return NOT_ALL_DONE if any(receipt.detail for receipt in receipts) else 0


async def _ping(settings: Settings, store: Store) -> list[Receipt]:
    async with bootstrap.make_delivery(settings, store, lambda _: None) as ports:
        return await delivering.ping(ports, notifications.ping(ports.clock.now()))


def _chosen(settings: Settings, which: str) -> tuple[WebhookSettings, ...]:
    if not settings.webhooks:
        raise ConfigError("there is no [[webhook]] in the configuration. Add one; see docs/webhooks.md")
    found = tuple(w for w in settings.webhooks if which in {"", str(w.number), w.url, w.name})
    if not found:
        known = len(settings.webhooks)
        raise ConfigError(f"webhooks ping {which}: there is no such webhook. Name it by its number, 1 to {known}.")
    return found


def deliver(config: Path, *, watch: bool) -> int:
    """Deliver what is due; with `watch`, go on until interrupted. Trouble of a receiver is no failure: 0."""
    settings = load(config, secrets=_NEEDED)
    with bootstrap.open_store(settings) as store:
        arrived = interrupting.run(_deliver(settings, store, watch=watch))
        states = [store.outbox().get(webhook.name, {}) for webhook in settings.webhooks]
    pending, dead = (sum(s.get(state, 0) for s in states) for state in (MessageState.PENDING, MessageState.DEAD))
    click.echo(f"{arrived:,} delivered, {pending:,} pending, {dead:,} dead")
    return 0


async def _deliver(settings: Settings, store: Store, *, watch: bool) -> int:
    async with bootstrap.make_delivery(settings, store, lambda words: click.echo(words, err=True)) as ports:
        rounds = delivering.Rounds(ports)
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
    with bootstrap.open_store(settings) as store:
        number = store.redrive(ids, bootstrap.make_clock().now())
    if not number and ids:
        raise ConfigError(f"webhooks redrive {' '.join(ids)}: no dead event has this id. See them: scimsync webhooks")
    again = f"{number:,} {'event is' if number == 1 else 'events are'} pending again"
    click.echo(
        f"{again}. Send now: scimsync webhooks deliver" if number else "No event is dead: nothing to send again."
    )
    return 0
