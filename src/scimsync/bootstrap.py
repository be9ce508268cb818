"""The composition root: the one place that knows ports and adapters. Heavy libraries load in here, when needed."""

from __future__ import annotations

import asyncio
import getpass
import os
import random
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol

from scimsync import files
from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.keys_local import FileKey, RingKey
from scimsync.config import Settings, SourceSettings
from scimsync.core import drifting, grouping, identity, limits, owning, sealing, trust
from scimsync.engine import applying, checkpoints, delivering, ledger, linking, planning
from scimsync.engine.applying import Hands, Order, Report
from scimsync.engine.delivering import Post
from scimsync.engine.linking import Records, Said, Wish
from scimsync.engine.membership import Pairs
from scimsync.engine.metrics import Together, Unmeasured
from scimsync.engine.planning import Task, World
from scimsync.engine.ports import Clock, Metrics, Observer, Outbox, Source, Store, Target
from scimsync.errors import ConfigError, PlanDamaged, PlanStale, StoreError, TargetError
from scimsync.model.audit import Edit, Kind, Record
from scimsync.model.events import Subscription
from scimsync.model.outcomes import Document, Pin, Run
from scimsync.model.plans import Plan
from scimsync.scim.drift import CONFIG, SCHEMAS, config_facts
from scimsync.scim.schema import schemas_from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a person asked for on the command line."""

    #: keys of the people to look at; everybody where empty
    only: tuple[str, ...] = ()
    #: rule -> reason, for rules that are set aside
    overrides: Mapping[str, str] = field(default_factory=dict)
    #: where the accounts are kept as they were read; not kept where None
    keep: Path | None = None
    #: ids of the accounts to read, one by one; the whole directory where empty
    accounts: tuple[str, ...] = ()
    #: whether the target's schema is compared before it is read
    schema: bool = True
    #: whether events are delivered beside the run; else they wait in the outbox
    deliver: bool = True


RULES = trust.RULES | identity.RULES | limits.RULES | applying.RULES | grouping.RULES | owning.RULES


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


def make_source(settings: Settings) -> Source:
    """The source that the configuration names."""
    return _make_source(settings.source)


def make_pairs(settings: Settings) -> Pairs:
    """The sources of memberships and nestings that the configuration names: of the kind of the records."""
    groups = settings.groups
    if groups is None:
        return Pairs()
    bare = replace(settings.source, key="")
    return Pairs(
        pairs=_make_source(replace(bare, query=groups.query, path=groups.path))
        if groups.query or groups.path
        else None,
        nesting=_make_source(replace(bare, query=groups.nesting, path=groups.nesting_path))
        if groups.nesting or groups.nesting_path
        else None,
    )


def _make_source(given: SourceSettings) -> Source:
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


#: the artifact that holds the metrics of all runs, as Prometheus text
METRICS = "metrics.prom"


@dataclass(slots=True)
class Told:
    """Who is told of a piece of work, and how it came out."""

    observer: Observer
    metrics: Metrics = field(default_factory=Unmeasured)
    state: str = "failed"
    #: requests a minute that the target granted; 0 where it was not asked
    rate: int = 0


@contextmanager
def _measured(settings: Settings, store: Store, observer: Observer, work: str, run: str = "") -> Iterator[Told]:
    """Measure a piece of work: metrics always, log and traces where they are wanted."""
    from scimsync.adapters import metrics_prometheus as prometheus  # noqa: PLC0415 - loads prometheus-client

    clock = SystemClock()
    counted = prometheus.PrometheusMetrics(clock)
    log = _make_log(settings, run)
    told = Told(log or observer, Together([counted, *([log] if log else []), *_make_traces(work)]))
    began = clock.monotonic()
    try:
        yield told
    finally:
        told.metrics.ended(work, told.state, clock.monotonic() - began, told.rate)
        kept = store.artifact(METRICS)
        try:
            text = counted.exposition(kept.read_bytes() if kept.is_file() else b"")
            files.write(kept, [text])
            if settings.textfile is not None:
                files.write(settings.textfile, [text], files.READABLE)
        except OSError as error:
            told.observer.say(f"The metrics cannot be written to {error.filename}: {error.strerror}.")


class _Log(Observer, Metrics, Protocol):
    """What the log is: both."""


def _make_log(settings: Settings, run: str) -> _Log | None:
    if settings.log.format == "off":
        return None
    from scimsync.adapters.log_structlog import Log  # noqa: PLC0415 - loads structlog

    return Log(sys.stderr, form=settings.log.format, level=settings.log.level, run=run)


def _make_traces(work: str) -> list[Metrics]:
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return []
    try:
        from scimsync.adapters.traces_otel import Traces  # noqa: PLC0415 - loads OpenTelemetry
    except ModuleNotFoundError as error:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set and OpenTelemetry is not installed: pip install 'scimsync[otel]', "
            "or unset it"
        ) from error
    return [Traces(work)]


def exposition(store: Store) -> bytes:
    """The metrics of all runs as Prometheus text; empty before the first."""
    kept = store.artifact(METRICS)
    return kept.read_bytes() if kept.is_file() else b""


def metrics_document(store: Store) -> dict[str, object]:
    """The same as JSON, with the age of the last success."""
    from scimsync.adapters.metrics_prometheus import document  # noqa: PLC0415 - loads prometheus-client

    return document(exposition(store), now())


def make_target(settings: Settings, notice: Callable[[str], None], metrics: Metrics | None = None) -> Target:
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
        watch=metrics,
    )


def now() -> datetime:
    """The wall clock, aware, UTC."""
    return SystemClock().now()


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


def actor() -> str:
    """On whose behalf this process works, for the audit chain: SCIMSYNC_ACTOR, or user@host."""
    given = os.environ.get("SCIMSYNC_ACTOR", "").strip()
    if given:
        return given
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number without a name
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"


def _key(settings: Settings) -> FileKey | RingKey:
    given = settings.audit
    return RingKey(given.keyring) if given.key_file is None else FileKey(given.key_file)


def audit_key(settings: Settings, *, make: bool = False) -> tuple[bytes, str]:
    """The key that signs checkpoints, and where it is.

    Args:
        settings: where it is.
        make: make it where there is none; where nobody named a key this is always done.

    Raises:
        ConfigError: There is none where one was named, or it cannot be read or made.
    """
    key = _key(settings)
    seed = key.read()
    if seed is None:
        if not make and not settings.audit.makes:
            raise ConfigError(f"[audit] key: there is no key in {key}. Make it with: scimsync audit key")
        seed = secrets.token_bytes(32)
        key.write(seed)
    return seed, str(key)


def audit_public(settings: Settings) -> bytes | None:
    """The public key of who signs here; None where there is no key yet."""
    seed = _key(settings).read()
    return None if seed is None else checkpoints.public_of(seed)


def checkpoint(settings: Settings, store: Store, notice: Callable[[str], None]) -> str:
    """Sign the audit chain as it is now; keep the note in the store and where else the configuration says.

    Returns the note; "" where nothing was added since the last one. A file elsewhere that cannot be written is
    told of, and stops nothing.

    Raises:
        ConfigError: There is no key to sign with.
    """
    note = checkpoints.close(store, SystemClock(), audit_key(settings)[0])
    if note and settings.audit.checkpoints is not None:
        try:
            files.append(settings.audit.checkpoints, note.encode() + b"\n")
        except OSError as error:
            notice(
                f"[audit] checkpoints: {settings.audit.checkpoints} cannot be written ({error.strerror}). The "
                "checkpoint is kept in the state only; append the next one with: scimsync audit checkpoint"
            )
    return note


@contextmanager
def _signed(settings: Settings, store: Store, notice: Callable[[str], None]) -> Iterator[None]:
    """Sign the audit chain behind a piece of work. Trouble with that does not hide trouble of the work itself."""
    try:
        yield
    except BaseException:
        with suppress(ConfigError, StoreError):
            checkpoint(settings, store, notice)
        raise
    checkpoint(settings, store, notice)


def note(  # noqa: PLR0913 - a record has many parts
    settings: Settings,
    store: Store,
    kind: Kind,
    *,
    action: str,
    reason: str = "",
    rule: str = "",
    run: str = "",
    person: str = "",
    account: str = "",
    edits: Sequence[Edit] = (),
    detail: str = "",
) -> None:
    """Append one record outside a run: a schema that was pinned, a run that was taken back, a hold that was decided.

    Time, actor and target are filled in. The values of `edits`, and `detail`, are encrypted where a person is named
    and stand in clear where none is.
    """
    record = Record(
        kind=kind,
        at=SystemClock().now(),
        actor=actor(),
        target=settings.target.api_url + settings.target.dialect.base_path,
        run=run,
        person=person,
        account=account,
        action=action,
        reason=reason,
        rule=rule,
        edits=tuple(edits),
        detail=detail,
        configuration=settings.digest,
    )
    store.append((), (record,))


def erase(store: Store, person: str, reason: str) -> int:
    """Destroy the key of a person in the audit chain; how many keys were destroyed."""
    at = SystemClock().now()
    record = Record(kind=Kind.ERASURE, at=at, actor=actor(), person=person, action="erased", reason=reason)
    return store.erase(person, record)


async def link(settings: Settings, store: Store, wish: Wish, reason: str) -> Said:
    """Link a record with an account, or part them, and record it. The caller holds the lease."""
    target = make_target(settings, lambda _: None)
    try:
        records = Records(make_source(settings), settings.source.key, settings.source.identity)
        said = await linking.decide(wish, records, store, target, actor())
    finally:
        await target.close()
    decision = said.decision
    action, detail = ("linked" if decision.same else "parted"), f"from {said.former}" if said.former else ""
    note(
        settings, store, Kind.LINK, action=action, reason=reason, person=decision.key, account=decision.account,
        detail=detail,
    )  # fmt: skip
    return said


async def plan(settings: Settings, store: Store, observer: Observer, choices: Choices) -> Plan:
    """Make a plan and store it; nothing is written to the target."""
    with _measured(settings, store, observer, "plan") as told:
        target = make_target(settings, told.observer.say, told.metrics)
        try:
            return await plan_between(settings, store, told, choices, make_source(settings), target)
        finally:
            await target.close()


async def plan_between(
    settings: Settings, store: Store, told: Told, choices: Choices, source: Source, target: Target
) -> Plan:
    """As `plan`, between a source and a target that are given."""
    from scimsync.adapters.phones_library import read_phone  # noqa: PLC0415 - loads phonenumbers

    world = World(
        source=source,
        target=target,
        store=store,
        clock=SystemClock(),
        observer=told.observer,
        metrics=told.metrics,
        phones=read_phone,
        fresh=lambda: secrets.token_hex(2),
        pairs=make_pairs(settings),
    )
    task = Task(
        policy=settings.policy,
        catalog=settings.target.dialect.users,
        dialect=settings.target.dialect,
        key=settings.source.key,
        source=settings.source.identity,
        null_values=settings.source.null_values,
        configuration=settings.digest,
        zone=settings.source.zone,
        workers=settings.target.workers,
        memory_limit=settings.state.memory,
        only=choices.only,
        overrides=choices.overrides,
        keep=choices.keep,
        accounts=choices.accounts,
        schema=choices.schema,
        subscriptions=_subscriptions(settings),
    )
    made = await planning.make_plan(world, task)
    told.state, told.rate = ("refused" if made.refusals else "planned"), target.rate
    told.metrics.planned(made)
    return made


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
    with _measured(settings, store, observer, "apply", found[0].id) as told:
        target = make_target(settings, told.observer.say, told.metrics)
        with _signed(settings, store, told.observer.say):
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
    report = await applying.apply_plan(read, applying.check_plan(read, run, hands, order), hands, order, stop)
    after = store.run(report.run)
    told.state, told.rate = (after.state.value if after else "failed"), target.rate
    return report


def _hands(target: Target, store: Store, told: Told) -> Hands:
    return Hands(target=target, store=store, clock=SystemClock(), observer=told.observer, metrics=told.metrics)


@asynccontextmanager
async def telling(settings: Settings, store: Store, observer: Observer, choices: Choices) -> AsyncIterator[None]:
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
        operations_per_patch=settings.target.dialect.operations_per_patch,
        request_bytes=settings.target.dialect.request_bytes,
        keeps_others=settings.target.dialect.keeps_others,
        unique_logins=settings.target.dialect.unique_logins,
        overrides=choices.overrides,
        actor=actor(),
        beyond=(planning.active_of(settings.policy, settings.target.dialect.users),),
        subscriptions=_subscriptions(settings),
        default_roles=settings.target.dialect.default_roles,
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
    if path is not None and (len(path.parts) > 1 or path.suffix or path.is_file()):
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
    with _measured(settings, store, observer, "settle", run.id) as told:
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


def as_applied(store: Store, made: Plan) -> Plan:
    """A plan as its run carried it out: what a person set aside when it was applied refuses no more."""
    told = map(ledger.document_of, store.entries(run=made.id, kind=Kind.OVERRIDE.value))
    aside = {str(one["rule"]): f"{one['reason']} ({one['actor']})" for one in told if one.get("rule")}
    open_ = tuple(refusal for refusal in made.refusals if refusal.code not in aside)
    return replace(made, refusals=open_, overrides={**made.overrides, **aside})


def chart_groups(settings: Settings, store: Store, run: Run, plan: Plan) -> tuple[str, dict[str, str]]:
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


def try_source(settings: Settings) -> tuple[int, bool, int, bool]:
    """Read the source to its end and check the mapping against it: records, proof, columns, open status words.

    Raises:
        SourceError: It cannot be read.
        ConfigError: The mapping does not fit; all faults at once.
    """
    from scimsync.workbench.staging import Workbench, check_mapping, stage_records  # noqa: PLC0415 - loads DuckDB

    reading = make_source(settings).read()
    given = settings.source
    with tempfile.TemporaryDirectory() as folder, Workbench(Path(folder), zone=given.zone) as bench:
        health = stage_records(bench, reading, key=given.key, null_values=given.null_values)
        mapped = check_mapping(bench, settings.policy.attributes, reading.columns)
    bare = any(expression.is_bare for expression in mapped.values())
    return health.rows, reading.proven, len(reading.columns), bare


def try_pairs(settings: Settings) -> int | None:
    """Read the memberships of the source to their end, and count them; None where none are managed.

    Raises:
        SourceError: They cannot be read.
        ConfigError: They have other than two columns.
    """
    from scimsync.engine.membership import read_pairs  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.staging import Workbench, stage_records  # noqa: PLC0415

    if settings.policy.groups is None:
        return None
    with tempfile.TemporaryDirectory() as folder, Workbench(Path(folder)) as bench:
        if settings.policy.groups.column:
            stage_records(bench, make_source(settings).read(), key=settings.source.key)
        return read_pairs(bench, settings.policy.groups, make_pairs(settings), key=settings.source.key)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What a look at the target found."""

    rate: int
    skew_s: float | None
    #: what its ServiceProviderConfig says, as text by name
    config: Mapping[str, str]
    #: names of the schemas that it publishes
    schemas: tuple[str, ...]
    #: mapped paths that the target's schemas do not have
    missing: tuple[str, ...]
    #: what the schemas were compared with, and what drifted
    baseline: str
    rulings: tuple[drifting.Ruling, ...]


async def describe_target(settings: Settings) -> TargetFacts:
    """Ask the target who it is: token, schemas, clock, rate.

    Raises:
        TargetError: It refuses us or cannot be reached.
    """
    catalog = settings.target.dialect.users
    target = make_target(settings, lambda _: None)
    pin = None
    try:
        with suppress(StoreError), open_store(settings) as store:  # the state has a check of its own
            pin = store.pin(target.name)
        found = await target.describe()
    finally:
        await target.close()
    published = schemas_from_json(found.body(SCHEMAS))
    known = {(s.id.lower(), a.name.lower()) for s in published for a in s.attributes}
    missing = [
        mapped.path
        for mapped in settings.policy.attributes
        if ((mapped.place.urn or catalog.core.id).lower(), mapped.place.attribute.name.lower()) not in known
    ]
    baseline = drifting.Baseline.of(pin, catalog)
    return TargetFacts(
        rate=target.rate,
        skew_s=found.skew_s,
        config=config_facts(found.body(CONFIG)),
        schemas=tuple(schema.name or schema.id for schema in published),
        missing=tuple(missing) if known else (),
        baseline=baseline.name,
        rulings=drifting.judge(baseline, found, settings.policy, catalog),
    )


async def pin_schema(settings: Settings, store: Store, given: Mapping[str, Document] | None, actor: str) -> Pin:
    """Record a baseline of the target's schemas: what it says now, or documents that are given.

    Raises:
        TargetError: It does not say, or publishes no schemas.
    """
    target = make_target(settings, lambda _: None)
    try:
        documents = given if given is not None else (await target.describe()).documents
        if not given and not schemas_from_json(documents[SCHEMAS].body if SCHEMAS in documents else {}):
            raise TargetError(
                f"{target.name} publishes no schemas, so nothing was recorded. Check api_url and the rights of the "
                "client; else check [attributes] against the provider's manual."
            )
        pin = Pin(target=target.name, at=SystemClock().now(), actor=actor, documents=documents)
    finally:
        await target.close()
    store.save_pin(pin)
    note(settings, store, Kind.PIN, action="pinned", detail=", ".join(sorted(documents)))
    return pin


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaDiff:
    """A baseline, and what drifted since."""

    target: str
    baseline: str
    rulings: tuple[drifting.Ruling, ...]


async def diff_schema(settings: Settings, store: Store, given: drifting.Baseline | None) -> SchemaDiff:
    """Compare the target's schemas with a baseline that is given, else the pin, else what the dialect assumes.

    Raises:
        TargetError: The target does not say.
        ConfigError: The baseline cannot be read.
    """
    catalog = settings.target.dialect.users
    target = make_target(settings, lambda _: None)
    try:
        pin = store.pin(target.name) if given is None else None
        found = await target.describe(pin.documents if pin else None)
    finally:
        await target.close()
    baseline = given or drifting.Baseline.of(pin, catalog)
    rulings = drifting.judge(baseline, found, settings.policy, catalog, whole=True)
    return SchemaDiff(target=target.name, baseline=baseline.name, rulings=rulings)
