"""Make a plan, find one that was made, read one."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from scimsync.bootstrap import make_clock, make_pairs, make_phones, make_source
from scimsync.config import Settings
from scimsync.core import grouping, identity, limits, owning, sealing, trust, unshown
from scimsync.core.depths import Rhythm
from scimsync.engine import ledger, planning, preconditions
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.ports import Observer, Source, Store, Target
from scimsync.engine.previewing import unnoted
from scimsync.engine.state import Artifacts, Audit, Runs
from scimsync.errors import ConfigError, PlanDamaged, PlanStale
from scimsync.model.audit import Kind
from scimsync.model.events import Subscription
from scimsync.model.outcomes import Run
from scimsync.model.plans import Plan
from scimsync.model.policy import Depth
from scimsync.services.observing import Telemetry, measured
from scimsync.services.reaching import reached


class PlansState(Runs, Artifacts, Protocol):
    """Of the state: the plans that were made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a person asked for on the command line."""

    #: keys of the people to look at; everybody where empty
    only: tuple[str, ...] = ()
    #: rule -> reason, for rules that are set aside
    overrides: Mapping[str, str] = field(default_factory=dict)
    #: where the accounts are kept as they were read; not kept where None
    keep: Path | None = None
    #: how deep the directory is looked at; as the configuration has it where None
    depth: Depth | None = None
    #: the day that is planned for; None for today
    as_of: date | None = None
    #: whether events are delivered beside the run; else they wait in the outbox
    deliver: bool = True


#: of a depth that stands on the command line
AS_TOLD = Rhythm(full=timedelta(), versions=timedelta())

RULES = (
    trust.RULES | identity.RULES | limits.RULES | preconditions.RULES | grouping.RULES | owning.RULES | unshown.RULES
)


def depth_of(word: str | None) -> Depth | None:
    """How deep a person wants to look; None where they do not say."""
    return None if word is None else Depth(word)


def check_rules(rules: Iterable[str]) -> None:
    """Whether rules that a person sets aside exist.

    Raises:
        ConfigError: One does not; with a suggestion.
    """
    for rule in rules:
        if rule not in RULES:
            near = get_close_matches(rule, RULES, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise ConfigError(f"--override {rule}: there is no such rule{hint} Rules: {', '.join(sorted(RULES))}")


async def plan(settings: Settings, store: Store, observer: Observer, choices: Choices) -> Plan:
    """Make a plan and store it; nothing is written to the target."""
    with measured(settings, store, observer, "plan") as telemetry:
        async with reached(settings, telemetry.observer.say, telemetry.metrics) as target:
            return await plan_between(settings, store, telemetry, choices, make_source(settings), target)


async def plan_between(
    settings: Settings, store: Store, telemetry: Telemetry, choices: Choices, source: Source, target: Target
) -> Plan:
    """As `plan`, between a source and a target that are given."""
    ports = PlanPorts(
        source=source,
        target=target,
        store=store if choices.as_of is None else unnoted(store),
        clock=make_clock(),
        observer=telemetry.observer,
        metrics=telemetry.metrics,
        phones=make_phones(),
        fresh=lambda: secrets.token_hex(2),
        pairs=make_pairs(settings),
    )
    request = PlanRequest(
        policy=settings.policy,
        catalog=settings.target.dialect.users,
        dialect=settings.target.dialect,
        key=settings.source.key,
        source=settings.source.identity,
        null_values=settings.source.null_values,
        configuration=settings.digest,
        zone=settings.source.zone,
        validity=replace(settings.source.validity, as_of=choices.as_of),
        workers=settings.target.workers,
        recall=settings.target.recall,
        depth=choices.depth or settings.target.depth,
        rhythm=settings.target.rhythm if choices.depth is None else AS_TOLD,
        memory_limit=settings.state.memory,
        only=choices.only,
        overrides=choices.overrides,
        keep=choices.keep,
        subscriptions=subscriptions(settings) if choices.as_of is None else (),
    )
    made = await planning.make_plan(ports, request)
    telemetry.state, telemetry.rate = ("refused" if made.refusals else "planned"), target.rate
    if made.as_of is None:
        telemetry.metrics.planned(made)
    return made


def subscriptions(settings: Settings) -> tuple[Subscription, ...]:
    """Who is told of what, by the configuration."""
    return tuple(webhook.subscription for webhook in settings.webhooks)


def as_applied(store: Audit, made: Plan) -> Plan:
    """A plan as its run carried it out: what a person set aside when it was applied refuses no more."""
    told = map(ledger.document_of, store.entries(run=made.id, kind=Kind.OVERRIDE.value))
    aside = {str(one["rule"]): f"{one['reason']} ({one['actor']})" for one in told if one.get("rule")}
    open_ = tuple(refusal for refusal in made.refusals if refusal.code not in aside)
    return replace(made, refusals=open_, overrides={**made.overrides, **aside})


def chart_groups(settings: Settings, store: Artifacts, run: Run, plan: Plan) -> tuple[str, dict[str, str]]:
    """By which path the people of a plan are grouped ("" where by none), and the group of each as agreed before."""
    from scimsync.workbench import charting  # noqa: PLC0415 - loads DuckDB

    path = charting.chosen(settings.policy.by_path)
    agreed = store.artifact(run.agreed) if run.agreed else None
    if not path or agreed is None or not agreed.is_file():
        return path, {}
    return path, charting.groups(agreed, path, [change.key for change in plan.changes])


def read_plan(path: Path) -> Plan:
    """Read a plan file."""
    try:
        with path.open("rb") as lines:
            return sealing.decode(lines)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.__class__.__name__})") from error


def find_plan(store: PlansState, named: str) -> tuple[Plan, Run | None]:
    """The plan a person means: a file, a run id or its beginning, or (where empty) the latest that was stored.

    Raises:
        PlanStale: There is none.
        PlanDamaged: The file was changed, cut, or is no plan.
    """
    path = Path(named) if named else None
    if path is not None and (len(path.parts) > 1 or path.suffix or path.is_file()):
        return _given_plan(store, path)
    runs: Sequence[Run] = store.runs(1)
    run = store.run(named) if named else (runs[0] if runs else None)
    if run is None or not run.plan:
        what = f"there is no plan {named!r}" if named else "there is no plan yet"
        raise PlanStale(f"{what}. Make one with: scimsync plan")
    return read_plan(store.artifact(run.plan)), run


def _given_plan(store: PlansState, path: Path) -> tuple[Plan, Run | None]:
    """A plan file, proven to be the plan that was stored: its own digest proves only that it is whole."""
    read = read_plan(path)
    run = store.run(read.id)
    if run is not None and read != read_plan(store.artifact(run.plan)):
        raise PlanDamaged(f"{path}: it is not the plan that was stored as {run.id}. Apply that one by its id.")
    return read, run


def stored(store: PlansState, made: Plan) -> bytes:
    """The file of a plan that was stored."""
    run = store.run(made.id)
    return store.artifact(run.plan if run else "").read_bytes()


def has_unfinished(store: Runs) -> bool:
    """Whether the latest run that was begun was interrupted, so that it must be settled before a plan is made."""
    return planning.unfinished(store) is not None
