"""Carry out a plan; take note of what a run that was cut short had done."""

from __future__ import annotations

import asyncio

from scimsync.bootstrap import actor, make_clock, make_target
from scimsync.config import Settings
from scimsync.engine import applying, orders, planning
from scimsync.engine.orders import Hands, Order
from scimsync.engine.ports import Observer, Store, Target
from scimsync.model.outcomes import Run
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.services.auditing import audit_key, checkpoint, signed
from scimsync.services.delivery import telling
from scimsync.services.observing import Told, measured
from scimsync.services.planning import Choices, read_plan, subscriptions


async def apply(
    settings: Settings,
    store: Store,
    observer: Observer,
    found: tuple[Plan, Run | None],
    choices: Choices,
    stop: asyncio.Event | None = None,
) -> Report:
    """Carry out a plan, and sign the audit chain behind it. The caller holds the lease."""
    audit_key(settings)  # nothing is sent that could not be signed for
    with measured(settings, store, observer, "apply", found[0].id) as told:
        target = make_target(settings, told.observer.say, told.metrics)
        with signed(settings, store, told.observer.say):
            try:
                async with telling(settings, store, told.observer, choices):
                    return await apply_to(settings, store, told, found, choices, target=target, stop=stop)
            finally:
                await target.close()


async def apply_to(  # noqa: PLR0913 - `apply`, with the target
    settings: Settings,
    store: Store,
    told: Told,
    found: tuple[Plan, Run | None],
    choices: Choices,
    *,
    target: Target,
    stop: asyncio.Event | None = None,
) -> Report:
    """As `apply`, with a target that is given."""
    hands = _hands(target, store, told)
    order = _order(settings, choices)
    read, run = found
    report = await applying.apply_plan(read, orders.check_plan(read, run, hands, order), hands, order, stop)
    after = store.run(report.run)
    told.state, told.rate = (after.state.value if after else "failed"), target.rate
    return report


def _hands(target: Target, store: Store, told: Told) -> Hands:
    return Hands(target=target, store=store, clock=make_clock(), observer=told.observer, metrics=told.metrics)


def _order(settings: Settings, choices: Choices) -> Order:
    return Order(
        policy=settings.policy,
        configuration=settings.digest,
        workers=settings.target.workers,
        operations_per_patch=settings.target.dialect.operations_per_patch,
        request_bytes=settings.target.dialect.request_bytes,
        keeps_others=settings.target.dialect.keeps_others,
        unique_logins=settings.target.dialect.unique_logins,
        overrides=choices.overrides,
        actor=actor(),
        beyond=(planning.active_of(settings.policy, settings.target.dialect.users),),
        subscriptions=subscriptions(settings),
        default_roles=settings.target.dialect.default_roles,
    )


async def settle(settings: Settings, store: Store, observer: Observer) -> None:
    """Take note of what a run that was cut short had done, so that the next plan does not take it for foreign edits.

    Nothing is sent that was not sent. The caller holds the lease.
    """
    run = planning.unfinished(store)
    if run is None:
        return
    with measured(settings, store, observer, "settle", run.id) as told:
        await _settle(settings, store, told, run)


async def _settle(settings: Settings, store: Store, told: Told, run: Run) -> None:
    target = make_target(settings, told.observer.say, told.metrics)
    try:
        if run.target != target.name:
            told.state = "settled"
            return
        hands = _hands(target, store, told)
        await applying.settle_run(read_plan(store.artifact(run.plan)), run, hands, _order(settings, Choices()))
        told.state, told.rate = "settled", target.rate
        checkpoint(settings, store, told.observer.say)
    finally:
        await target.close()
    told.observer.say(
        f"Run {run.id} was cut short. What it had done is taken note of; the next plan holds what it left, "
        f"or go on with it instead: scimsync apply {run.id}"
    )
