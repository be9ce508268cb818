"""Make a plan, find one that was made, read one."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.bootstrap import make_clock, make_phones, person, phones_version
from scimsync.bootstrap_sources import asked_since, make_pairs, make_source
from scimsync.config import Settings
from scimsync.core import exchanging, grouping, identity, limits, owning, returning, sealing, trust, undoing, unshown
from scimsync.core.blackout import Holding
from scimsync.core.depths import Rhythm
from scimsync.core.sealing import Opened
from scimsync.engine import binding, ledger, planning, preceding, preconditions
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.ports import Observer, Source, Store, Target
from scimsync.engine.state import Artifacts, Audit, Runs
from scimsync.engine.unwritten import unwritten
from scimsync.errors import ConfigError, PlanDamaged, PlanStale
from scimsync.model.audit import Kind
from scimsync.model.contracts import Contract
from scimsync.model.decisions import Actor
from scimsync.model.events import Subscription
from scimsync.model.outcomes import Run
from scimsync.model.plans import Plan
from scimsync.model.policy import Depth
from scimsync.services import awaiting, continuity
from scimsync.services.auditing import signing_key
from scimsync.services.observing import Telemetry, measured
from scimsync.services.reaching import reached


class PlansState(Runs, Artifacts, Protocol):
    """Of the state: the plans that were made."""


class Choices(Struct, frozen=True, kw_only=True):
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
    #: the shares of the people to whom a plan is written one after the other; as the configuration has it where None
    rings: tuple[float, ...] | None = None
    #: the blackout that holds, in which access is taken away and nothing else is done
    blackout: Holding | None = None
    #: what stopped a ring was looked at
    resume: bool = False
    #: a run stops by itself after so many changes, but not before so many seconds, to be gone on with; 0 for never
    chunk: int = 0
    chunk_s: float = 0.0
    #: whether events are delivered beside the run; else they wait in the outbox
    deliver: bool = True
    #: who proposes the plan, or applies it; the user of the operating system where None
    author: Actor | None = None


#: of a depth that stands on the command line
AS_TOLD = Rhythm(full=timedelta(), versions=timedelta())

RULES = (
    returning.RULES
    | undoing.RULES
    | trust.RULES
    | identity.RULES
    | exchanging.RULES
    | limits.RULES
    | preconditions.RULES
    | grouping.RULES
    | owning.RULES
    | unshown.RULES
)


def depth_of(word: str | None) -> Depth | None:
    """How deep a person wants to look; None where they do not say."""
    return None if word is None else Depth(word)


#: how the rules of a configuration are called where they are set aside
_OWN = "rule."


def check_rules(rules: Iterable[str], contract: Contract | None = None) -> None:
    """Whether rules that a person sets aside exist.

    Args:
        rules: What the person names.
        contract: Has the rules of the configuration; where it is not given, what is called as they are is one.

    Raises:
        ConfigError: One does not exist; with a suggestion.
    """
    own = frozenset(rule.code for rule in contract.rules) if contract is not None else frozenset()
    known = RULES | own
    for rule in rules:
        if rule not in known and (contract is not None or not rule.startswith(_OWN)):
            near = get_close_matches(rule, known, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise ConfigError(f"--override {rule}: there is no such rule{hint} Rules: {', '.join(sorted(known))}")


async def plan(settings: Settings, store: Store, observer: Observer, choices: Choices) -> Plan:
    """Make a plan and store it; nothing is written to the target."""
    with measured(settings, store, observer, "plan") as telemetry:
        async with reached(settings, telemetry.observer.say, telemetry.metrics) as target:
            source = make_source(settings, changed_since(settings, store))
            return await plan_between(settings, store, telemetry, choices, source, target)


def changed_since(settings: Settings, store: Store) -> datetime | None:
    """From when on a delivery of changes asks for them: a day before the last run with everybody; None for no such.

    So no delivery can be missed, whatever came of those between, and clocks may differ by hours.

    Raises:
        ConfigError: Nobody was ever read whole.
    """
    given = settings.source
    if asked_since(given, datetime(1970, 1, 1, tzinfo=UTC)) == given:
        return None
    whole = (run for run in store.begun(500) if run.source == given.identity and not run.partial)
    if (last := next(whole, None)) is None:
        raise ConfigError(
            "[source] asks for changes {since} the last run with everybody, and there was none. Make one with the "
            f"configuration that reads everybody, under the same [source] name = {given.name!r}; then this one."
        )
    return last.created - timedelta(days=1)


async def plan_between(
    settings: Settings, store: Store, telemetry: Telemetry, choices: Choices, source: Source, target: Target
) -> Plan:
    """As `plan`, between a source and a target that are given."""
    continuity.check(settings, store)
    check_rules(choices.overrides, settings.contract)
    if choices.depth is not None and choices.only:
        raise ConfigError("--depth says how everybody is looked at, and --user reads some alone: leave one out.")
    key = signing_key(settings, telemetry.observer.say)
    quiet = store if choices.as_of is None else unwritten(store, keeps=("save_pin", "save_run"))
    ports = replace(ports_of(settings, quiet, telemetry, source, target), key=key)
    began = ports.clock.monotonic()
    made = await planning.make_plan(ports, request_of(settings, choices))
    spend(store, made.id, "plan", telemetry, ports.clock.monotonic() - began)
    awaiting.tell(settings, store, made)
    telemetry.state, telemetry.rate = ("refused" if made.refusals else "planned"), target.rate
    if made.as_of is None:
        telemetry.metrics.planned(made)
    return made


def ports_of(settings: Settings, store: Store, telemetry: Telemetry, source: Source, target: Target) -> PlanPorts:
    """What planning between a source and a target is handed, but for what signs the plan."""
    return PlanPorts(
        source=source,
        target=target,
        store=store,
        clock=make_clock(),
        observer=telemetry.observer,
        metrics=telemetry.metrics,
        phones=make_phones(),
        phones_version=phones_version,
        fresh=lambda: secrets.token_hex(2),
        pairs=make_pairs(settings),
        counted=telemetry.counted,
    )


def request_of(settings: Settings, choices: Choices) -> PlanRequest:
    """What a configuration, and what a person asked for, mean for planning."""
    return PlanRequest(
        policy=settings.policy,
        contract=settings.contract,
        catalog=settings.target.dialect.users,
        dialect=settings.target.dialect,
        key=settings.source.key,
        source=settings.source.identity,
        former=settings.source.former,
        null_values=settings.source.null_values,
        trim=settings.source.trim,
        is_delta=settings.source.is_delta,
        presence=settings.source.presence,
        configuration=settings.digest,
        parts=settings.parts,
        zone=settings.source.zone,
        validity=replace(settings.source.validity, as_of=choices.as_of),
        workers=settings.target.workers,
        fetches_token=bool(settings.target.client_id),
        recall=settings.target.recall,
        depth=choices.depth or settings.target.depth,
        rhythm=settings.target.rhythm if choices.depth is None else AS_TOLD,
        memory_limit=settings.state.memory,
        only=choices.only,
        overrides=choices.overrides,
        blackout=choices.blackout,
        keep=choices.keep,
        authors=((choices.author or person()).text,),
        subscriptions=subscriptions(settings) if choices.as_of is None else (),
    )


def spend(store: Runs, run_id: str, work: str, telemetry: Telemetry, seconds: float) -> None:
    """Note with a run what a piece of work on it took, with what it took before."""
    run = store.run(run_id)
    if run is not None:
        took = {f"{work}.{kind}": number for kind, number in telemetry.counted.requests.items()}
        spent = Counter(run.spent)
        spent.update(took | {f"{work}.seconds": round(seconds, 3)})
        store.save_run(replace(run, spent=dict(spent)))


def subscriptions(settings: Settings) -> tuple[Subscription, ...]:
    """Who is told of what, by the configuration."""
    return tuple(webhook.subscription for webhook in settings.webhooks)


def as_applied(store: Audit, made: Plan) -> Plan:
    """A plan as its run carried it out: what a person set aside when it was applied refuses no more."""
    told = map(ledger.document_of, store.entries(run=made.id, kind=Kind.OVERRIDE.value))
    aside = {str(one["rule"]): f"{one['reason']} ({one['actor']})" for one in told if one.get("rule")}
    open_ = tuple(refusal for refusal in made.refusals if refusal.rule not in aside)
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
    """Read a plan file, whoever laid it there: of a run that the state knows `stored_plan` is asked."""
    return open_plan(path).plan


def open_plan(path: Path) -> Opened:
    """Read a plan file, with what closes it.

    Raises:
        PlanDamaged: It was changed, cut, or is no plan.
        ConfigError: It cannot be read.
    """
    try:
        with path.open("rb") as lines:
            return sealing.opened(lines)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.__class__.__name__})") from error


def find_plan(store: PlansState, named: str) -> tuple[Plan, Run | None]:
    """The plan a person means: a file, a run id or its beginning, or (where empty) the latest that was stored.

    Raises:
        PlanStale: There is none.
        PlanDamaged: The file was changed, cut, or is no plan.
    """
    found, run = find_file(store, named)
    return found.plan, run


def find_file(store: PlansState, named: str) -> tuple[Opened, Run | None]:
    """As `find_plan`, with what closes the file."""
    if is_file(named):
        return _given_plan(store, Path(named))
    runs: Sequence[Run] = store.runs(1)
    run = store.run(named) if named else (runs[0] if runs else None)
    if run is None or not run.plan:
        what = f"there is no plan {named!r}" if named else "there is no plan yet"
        what = f"plan {run.id} is no longer kept ([state] keep)" if run is not None else what
        raise PlanStale(f"{what}. Make one with: scimsync plan")
    return stored_plan(store, run), run


def is_file(named: str) -> bool:
    """Whether what a person names is a file, and not the id of a run."""
    path = Path(named)
    return bool(named) and (len(path.parts) > 1 or bool(path.suffix) or path.is_file())


def stored_plan(store: Artifacts, run: Run) -> Opened:
    """The plan of a run, proven to be that which the state remembers.

    Raises:
        PlanDamaged: It is another, was changed, or is missing.
    """
    if not store.artifact(run.plan).exists():
        raise PlanDamaged(
            f"plan {run.id}: its file {run.plan} is missing. Put it back from a backup of the artifacts, or make a "
            f"new plan: scimsync plan. Where that asks for this one, because its run was cut short: {binding.RENEW}"
        )
    found = open_plan(store.artifact(run.plan))
    if run.digest not in {"", found.closing.sha256}:
        raise PlanDamaged(f"plan {run.id}: its file is not the plan that was made, by its digest. Make a new plan.")
    return found


def _given_plan(store: PlansState, path: Path) -> tuple[Opened, Run | None]:
    """A plan file, proven to be the plan that was stored: its own digest proves only that it is whole."""
    read = open_plan(path)
    run = store.run(read.plan.id)
    if run is not None and not run.plan:
        raise PlanStale(f"{path}: plan {run.id} is no longer kept ([state] keep). Make a new one: scimsync plan")
    if run is not None and read != stored_plan(store, run):
        raise PlanDamaged(f"{path}: it is not the plan that was stored as {run.id}. Apply that one by its id.")
    return read, run


def stored(store: PlansState, made: Plan) -> bytes:
    """The file of a plan that was stored."""
    run = store.run(made.id)
    return store.artifact(run.plan if run else "").read_bytes()


def has_unfinished(store: Runs) -> bool:
    """Whether the latest run that was begun was interrupted, so that it must be settled before a plan is made."""
    return preceding.unfinished(store) is not None
