"""Carry out a plan; take note of what a run that was cut short had done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from msgspec.structs import replace

from scimsync.bootstrap import actor, make_clock
from scimsync.config import Settings
from scimsync.core.lifecycle import active_of
from scimsync.core.returning import unmapped
from scimsync.engine import applying, checkpoints, preceding, preconditions, signatures
from scimsync.engine.ports import Observer, Store, Target
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts
from scimsync.errors import StoreLocked
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Plan
from scimsync.model.policy import Authority, Mapped
from scimsync.model.reports import Report
from scimsync.services import continuity
from scimsync.services.auditing import audit_key, audit_public, checkpoint, signed
from scimsync.services.delivery import notifying
from scimsync.services.observing import Telemetry, measured
from scimsync.services.planning import Choices, spend, stored_plan, subscriptions
from scimsync.services.reaching import reached
from scimsync.services.state import lease


async def apply(
    settings: Settings,
    store: Store,
    observer: Observer,
    found: tuple[Plan, Run | None],
    choices: Choices,
    stop: asyncio.Event | None = None,
) -> Report:
    """Carry out a plan, and sign the audit chain behind it. The caller holds the lease."""
    continuity.check(settings, store)
    seed, where = audit_key(settings)  # nothing is sent that could not be signed for
    run = found[1]
    if run is not None and run.plan:
        opened = stored_plan(store, run)
        signatures.check(opened, checkpoints.public_of(seed), where)
        found = (opened.plan, run)  # people approve what is stored, and nothing else is carried out in its name
    with (
        measured(settings, store, observer, "apply", found[0].id) as telemetry,
        signed(settings, store, telemetry.observer.say),
    ):
        async with (
            reached(settings, telemetry.observer.say, telemetry.metrics) as target,
            notifying(settings, store, telemetry.observer, choices),
        ):
            return await apply_to(settings, store, telemetry, found, choices, target=target, stop=stop)


async def apply_to(  # noqa: PLR0913 - `apply`, with the target
    settings: Settings,
    store: Store,
    telemetry: Telemetry,
    found: tuple[Plan, Run | None],
    choices: Choices,
    *,
    target: Target,
    stop: asyncio.Event | None = None,
    shown: Callable[[Mapping[str, object]], None] = lambda _: None,
) -> Report:
    """As `apply`, with a target that is given, and told of each account as the target shows it."""
    ports = replace(_ports(target, store, telemetry), shown=shown)
    options = options_of(settings, choices)
    read, run = found
    checked, began = preconditions.check_plan(read, run, ports, options), ports.clock.monotonic()
    report = await applying.apply_plan(read, checked, ports, options, stop)
    if checked.state is not RunState.DONE:
        spend(store, report.run, "apply", telemetry, ports.clock.monotonic() - began)
    after = store.run(report.run)
    telemetry.state, telemetry.rate = (after.state.value if after else "failed"), target.rate
    return report


def wants_consent(plan: Plan, overrides: Mapping[str, str]) -> bool:
    """Whether applying a plan would send something: it has changes, and nothing forbids it that is not set aside."""
    return bool(plan.writes) and plan.as_of is None and all(refusal.rule in overrides for refusal in plan.refusals)


def _ports(target: Target, store: Store, telemetry: Telemetry) -> ApplyPorts:
    return ApplyPorts(
        target=target, store=store, clock=make_clock(), observer=telemetry.observer, metrics=telemetry.metrics
    )


def options_of(settings: Settings, choices: Choices) -> ApplyOptions:
    """How plans are applied, by the configuration."""
    policy = settings.policy
    if choices.rings is not None:
        policy = replace(policy, rings=replace(policy.rings, shares=choices.rings, least=1))
    return ApplyOptions(
        policy=policy,
        configuration=settings.digest,
        parts=settings.parts,
        workers=settings.target.workers,
        operations_per_patch=settings.target.dialect.operations_per_patch,
        request_bytes=settings.target.dialect.request_bytes,
        withheld=settings.target.dialect.hidden,
        reworded=settings.target.dialect.normalised,
        vanishes=settings.target.dialect.disabled == "gone",
        keeps_others=settings.target.dialect.keeps_others,
        unique_logins=settings.target.dialect.unique_logins,
        search_lag_s=settings.target.dialect.search_lag_s,
        overrides=choices.overrides,
        actor=choices.author.name if choices.author is not None else actor(),
        beyond=(active_of(settings.policy, settings.target.dialect.users), *given_back(settings)),
        subscriptions=subscriptions(settings),
        default_roles=settings.target.dialect.default_roles,
        newborn_version=settings.target.dialect.newborn_version,
        lists_deleted=bool(settings.target.dialect.deleted),
        dropped=unmapped(settings.policy, settings.target.dialect),
        dialect=settings.target.dialect,
        resume=choices.resume,
        chunk=choices.chunk,
        chunk_s=choices.chunk_s,
        public=lambda: audit_public(settings),
    )


def given_back(settings: Settings) -> tuple[Mapped, ...]:
    """What the directory takes from inactive people, the mapping does not manage, and an undo gives back."""
    places = unmapped(settings.policy, settings.target.dialect)
    return tuple(Mapped(place=place, expression="", authority=Authority.MERGE) for place in places)


async def settle(settings: Settings, store: Store, observer: Observer) -> None:
    """Take note of what a run that was cut short had done, so that the next plan does not take it for foreign edits.

    Nothing is sent that was not sent. The caller holds the lease.
    """
    run = preceding.unfinished(store)
    if run is None:
        return
    continuity.check(settings, store)
    with measured(settings, store, observer, "settle", run.id) as telemetry:
        await _settle(settings, store, telemetry, run)


async def settle_where_free(settings: Settings, store: Store, observer: Observer) -> None:
    """As `settle`, under the lease; whoever else is at work brings it to its end themselves."""
    with suppress(StoreLocked), lease(store):
        await settle(settings, store, observer)


async def _settle(settings: Settings, store: Store, telemetry: Telemetry, run: Run) -> None:
    async with reached(settings, telemetry.observer.say, telemetry.metrics) as target:
        if run.target != target.name:
            telemetry.state = "settled"
            return
        ports = _ports(target, store, telemetry)
        await applying.settle_run(stored_plan(store, run).plan, run, ports, options_of(settings, Choices()))
        telemetry.state, telemetry.rate = "settled", target.rate
        checkpoint(settings, store, telemetry.observer.say)
    telemetry.observer.say(
        f"Run {run.id} was interrupted. What it had done is recorded, and the next plan holds the rest. "
        f"To continue that run instead: scimsync apply {run.id}"
    )
