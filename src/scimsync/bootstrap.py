"""The composition root: the one place that knows ports and adapters. Heavy libraries load in here, when needed."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Literal

from scimsync.adapters.clock_system import SystemClock
from scimsync.config import Settings
from scimsync.core import planner, sealing, trust
from scimsync.engine import applying, delivering, planning
from scimsync.engine.applying import Hands, Order, Report
from scimsync.engine.delivering import Post
from scimsync.engine.planning import Task, World
from scimsync.engine.ports import Clock, Observer, Outbox, Source, Store, Target
from scimsync.errors import ConfigError, PlanDamaged, PlanStale
from scimsync.model.events import Subscription
from scimsync.model.outcomes import Run
from scimsync.model.plans import Plan
from scimsync.scim.schema import schema_from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a person asked for on the command line."""

    #: keys of the people to look at; everybody where empty
    only: tuple[str, ...] = ()
    #: rule -> reason, for rules that are set aside
    overrides: Mapping[str, str] = field(default_factory=dict)
    #: where the accounts are kept as they were read; not kept where None
    keep: Path | None = None
    #: whether events are delivered beside the run; else they wait in the outbox
    deliver: bool = True


RULES = trust.RULES | planner.RULES | applying.RULES


def check_rules(rules: Iterable[str]) -> None:
    """Whether rules that a person sets aside exist.

    Raises:
        ConfigError: One does not; with a suggestion.
    """
    for rule in rules:
        if rule not in RULES:
            near = get_close_matches(rule, RULES, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ConfigError(f"--override {rule}: there is no such rule; {hint}Rules: {', '.join(sorted(RULES))}")


def make_source(settings: Settings) -> Source:
    """The source that the configuration names."""
    given = settings.source
    if given.kind == "sql":
        from scimsync.adapters.source_sql import SqlSource  # noqa: PLC0415 - loads SQLAlchemy

        return SqlSource(given.url, given.query, given.key)
    from scimsync.adapters import source_file  # noqa: PLC0415

    path = given.path or Path()
    if given.kind == "parquet":
        return source_file.ParquetSource(path, given.key)
    complete: Literal["unproven", "checksum", "assume"] = given.complete
    encoding = "utf-8-sig" if given.encoding.lower() in {"utf-8", "utf8"} else given.encoding
    if given.kind == "jsonl":
        return source_file.JsonlSource(path, given.key, encoding=encoding, complete=complete)
    return source_file.CsvSource(path, given.key, delimiter=given.delimiter, encoding=encoding, complete=complete)


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """The state that the configuration names, closed at the end."""
    from scimsync.adapters.store_sql import SqlStore  # noqa: PLC0415 - loads SQLAlchemy

    store = SqlStore(settings.state.url, settings.state.artifacts, SystemClock())
    try:
        yield store
    finally:
        store.close()


def make_target(settings: Settings, notice: Callable[[str], None]) -> Target:
    """The target that the configuration names; must be made and closed inside one event loop."""
    from scimsync.adapters.target_scim import ScimTarget, TargetSettings  # noqa: PLC0415 - loads httpx2

    given = settings.target
    return ScimTarget(
        TargetSettings(
            api_url=given.api_url,
            login_url=given.login_url,
            dialect=given.dialect,
            client_id=given.client_id,
            client_secret=given.client_secret,
            token=given.token,
            requests_per_minute=given.requests_per_minute,
            workers=given.workers,
            ca_file=given.ca_file,
        ),
        clock=SystemClock(),
        rng=random.Random(secrets.randbits(64)),  # noqa: S311 - jitter, not secrets
        notice=notice,
    )


def warm_up() -> None:
    """Load what a run needs, so that the first one need not."""
    for name in ("phones_library", "source_file", "source_sql", "target_scim"):
        import_module(f"scimsync.adapters.{name}")


def make_clock() -> Clock:
    """The clock of this machine."""
    return SystemClock()


def owner() -> str:
    """Who holds the lease: for messages to whoever comes second."""
    return f"scimsync, process {os.getpid()} on {socket.gethostname()}"


async def plan(settings: Settings, store: Store, observer: Observer, choices: Choices) -> Plan:
    """Make a plan and store it; nothing is written to the target."""
    from scimsync.adapters.phones_library import read_phone  # noqa: PLC0415 - loads phonenumbers

    target = make_target(settings, observer.say)
    try:
        world = World(
            source=make_source(settings),
            target=target,
            store=store,
            clock=SystemClock(),
            observer=observer,
            phones=read_phone,
            fresh=lambda: secrets.token_hex(2),
        )
        task = Task(
            policy=settings.policy,
            catalog=settings.target.dialect.users,
            key=settings.source.key,
            configuration=settings.digest,
            memory_limit=settings.state.memory,
            only=choices.only,
            overrides=choices.overrides,
            keep=choices.keep,
            subscriptions=_subscriptions(settings),
        )
        return await planning.make_plan(world, task)
    finally:
        await target.close()


async def apply(
    settings: Settings,
    store: Store,
    observer: Observer,
    found: tuple[Plan, Run | None],
    choices: Choices,
    stop: asyncio.Event | None = None,
) -> Report:
    """Carry out a plan. The caller holds the lease."""
    target = make_target(settings, observer.say)
    try:
        hands = Hands(target=target, store=store, clock=SystemClock(), observer=observer)
        order = _order(settings, choices)
        read, run = found
        async with _telling(settings, store, observer, choices):
            return await applying.apply_plan(read, applying.check_plan(read, run, hands, order), hands, order, stop)
    finally:
        await target.close()


@asynccontextmanager
async def _telling(settings: Settings, store: Store, observer: Observer, choices: Choices) -> AsyncIterator[None]:
    """Deliver events while a run goes on, where there is somebody to tell."""
    if not settings.webhooks or not choices.deliver:
        yield
        return
    async with make_post(settings, store, observer.say) as post, delivering.beside(post):
        yield


@asynccontextmanager
async def make_post(settings: Settings, outbox: Outbox, say: Callable[[str], None]) -> AsyncIterator[Post]:
    """What delivering needs, for the endpoints of the configuration; inside one event loop."""
    from scimsync.adapters.webhook_http import HttpCourier  # noqa: PLC0415 - loads httpx2

    clock, draw = SystemClock(), random.Random(secrets.randbits(64))  # noqa: S311 - jitter, not secrets
    endpoints = [
        delivering.Endpoint(
            name=given.name,
            shown=given.shown,
            courier=HttpCourier(given.url, clock, allow_private=given.allow_private),
            keys=given.keys,
        )
        for given in settings.webhooks
    ]
    try:
        yield Post(outbox=outbox, endpoints=endpoints, clock=clock, chance=draw.random, say=say)
    finally:
        for endpoint in endpoints:
            await endpoint.courier.close()


def _order(settings: Settings, choices: Choices) -> Order:
    return Order(
        policy=settings.policy,
        configuration=settings.digest,
        workers=settings.target.workers,
        overrides=choices.overrides,
        beyond=(planning.active_of(settings.policy, settings.target.dialect.users),),
        subscriptions=_subscriptions(settings),
    )


def _subscriptions(settings: Settings) -> tuple[Subscription, ...]:
    return tuple(webhook.subscription for webhook in settings.webhooks)


def has_unfinished(store: Store) -> bool:
    """Whether the latest run that was begun was cut short."""
    return planning.unfinished(store) is not None


def find_plan(store: Store, named: str) -> tuple[Plan, Run | None]:
    """The plan a person means: a file, a run id or its beginning, or (where empty) the latest that was stored.

    Raises:
        PlanStale: There is none.
        PlanDamaged: The file was changed, cut, or is no plan.
    """
    path = Path(named) if named else None
    if path is not None and (path.is_file() or len(path.parts) > 1 or path.suffix):
        return _given_plan(store, path)
    runs: Sequence[Run] = store.runs(1)
    run = store.run(named) if named else (runs[0] if runs else None)
    if run is None or not run.plan:
        what = f"there is no plan {named!r}" if named else "there is no plan yet"
        raise PlanStale(f"{what}. Make one with: scimsync plan")
    return read_plan(store.artifact(run.plan)), run


def _given_plan(store: Store, path: Path) -> tuple[Plan, Run | None]:
    """A plan file, proven to be the plan that was stored: its own digest proves only that it is whole."""
    read = read_plan(path)
    run = store.run(read.id)
    if run is not None and read != read_plan(store.artifact(run.plan)):
        raise PlanDamaged(f"{path}: it is not the plan that was stored as {run.id}. Apply that one by its id.")
    return read, run


async def settle(settings: Settings, store: Store, observer: Observer) -> None:
    """Take note of what a run that was cut short had done, so that the next plan does not take it for foreign edits.

    Nothing is sent that was not sent. The caller holds the lease.
    """
    run = planning.unfinished(store)
    if run is None:
        return
    target = make_target(settings, observer.say)
    try:
        if run.target != target.name:
            return
        hands = Hands(target=target, store=store, clock=SystemClock(), observer=observer)
        await applying.settle_run(read_plan(store.artifact(run.plan)), run, hands, _order(settings, Choices()))
    finally:
        await target.close()
    observer.say(
        f"Run {run.id} was cut short. What it had done is taken note of; the next plan holds what it left, "
        f"or go on with it instead: scimsync apply {run.id}"
    )


def read_plan(path: Path) -> Plan:
    """Read a plan file."""
    try:
        with path.open("rb") as lines:
            return sealing.decode(lines)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.__class__.__name__})") from error


def try_source(settings: Settings) -> tuple[int, bool, int]:
    """Read the source to its end and check the mapping against it: records, proof, columns.

    Raises:
        SourceError: It cannot be read.
        ConfigError: The mapping does not fit; all faults at once.
    """
    from scimsync.workbench.staging import Workbench, check_mapping, stage_records  # noqa: PLC0415 - loads DuckDB

    reading = make_source(settings).read()
    with tempfile.TemporaryDirectory() as folder, Workbench(Path(folder)) as bench:
        health = stage_records(bench, reading, key=settings.source.key)
        check_mapping(bench, settings.policy.attributes, reading.columns)
    return health.rows, reading.proven, len(reading.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What a look at the target found."""

    rate: int
    skew_s: float | None
    #: mapped paths that the target's schemas do not have
    missing: tuple[str, ...]


async def describe_target(settings: Settings) -> TargetFacts:
    """Ask the target who it is: token, schemas, clock, rate.

    Raises:
        TargetError: It refuses us or cannot be reached.
    """
    target = make_target(settings, lambda _: None)
    try:
        found = await target.describe()
    finally:
        await target.close()
    known = {
        (schema.id.lower(), attribute.name.lower())
        for schema in map(schema_from_json, _resources(found.schemas))
        for attribute in schema.attributes
    }
    core = settings.target.dialect.users.core.id
    missing = [
        mapped.path
        for mapped in settings.policy.attributes
        if ((mapped.place.urn or core).lower(), mapped.place.attribute.name.lower()) not in known
    ]
    return TargetFacts(rate=target.rate, skew_s=found.skew_s, missing=tuple(missing) if known else ())


def _resources(listed: Mapping[str, object]) -> list[Mapping[str, object]]:
    found = listed.get("Resources")
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []
