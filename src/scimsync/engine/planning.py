"""Make a plan: read, trust, map, read the directory, correlate, compare, decide, seal, store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from scimsync.core import planner, sealing, telling, trust
from scimsync.core.lifecycle import ACTIVE
from scimsync.engine.ports import Clock, Observer, Source, Store, Target
from scimsync.errors import ConfigError, PersonUnknown
from scimsync.model.events import Subscription
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Action, Change, Finding, Plan, Seal, Severity, Verdict
from scimsync.model.policy import Authority, Mapped, Policy
from scimsync.model.records import Reading, SourceHealth
from scimsync.scim.schema import Catalog, Value
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.expressions import Expression
from scimsync.workbench.staging import (
    AccountSpool,
    PhoneReader,
    Workbench,
    check_mapping,
    stage_base,
    stage_desired,
    stage_links,
    stage_phones,
    stage_records,
    write_private,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ports of one run, and the little else that planning needs from outside."""

    source: Source
    target: Target
    store: Store
    clock: Clock
    observer: Observer
    phones: PhoneReader
    #: makes the tail of a run id, so that two runs in one second differ
    fresh: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What shall be planned."""

    policy: Policy
    catalog: Catalog
    #: column of the source that identifies a person
    key: str
    #: digest of the effective configuration
    configuration: str
    memory_limit: str = "512MB"
    #: keys of the people to look at; everybody where empty
    only: tuple[str, ...] = ()
    #: rule -> reason, for rules that a person sets aside
    overrides: Mapping[str, str] = field(default_factory=dict)
    #: where the accounts are kept as they were read; not kept where None
    keep: Path | None = None
    #: who is told where the plan may not be applied
    subscriptions: tuple[Subscription, ...] = ()


async def make_plan(world: World, task: Task) -> Plan:
    """Compute, seal and store a plan. Nothing is written to the target.

    Raises:
        SourceError: The source cannot be read or is empty.
        ConfigError: The mapping does not fit the source; all faults at once.
        TargetError: The directory cannot be read.
        StoreError: The state cannot be read or written.
    """
    with Workbench(world.store.artifact("plan").parent, memory_limit=task.memory_limit) as bench:
        return await _Planning(world, task, bench).run()


def unfinished(store: Store) -> Run | None:
    """The latest run that was begun, if it was cut short."""
    begun = (run for run in store.runs() if run.state not in {RunState.PLANNED, RunState.REFUSED})
    last = next(begun, None)
    return last if last is not None and last.state in {RunState.APPLYING, RunState.INTERRUPTED} else None


@dataclass(slots=True)
class _Planning:
    world: World
    task: Task
    bench: Workbench
    findings: list[Finding] = field(default_factory=list)
    settled: list[tuple[str, str, Value]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    notices: list[Change] = field(default_factory=list)

    async def run(self) -> Plan:
        policy, store = self.task.policy, self.world.store
        reading, health, expressions = self._read_source()
        last = store.last_applied()
        if last is not None and last.target != self.world.target.name:
            raise ConfigError(
                f"[state] remembers {last.target}, and [target] is {self.world.target.name}. What was agreed with one "
                "directory says nothing about another: give each its own [state] url and artifacts."
            )
        judged = self._judge(reading, health, last.health if last else None)
        base = last.base if last else ""
        stage_links(self.bench, ((link.key, link.account) for link in store.links()))
        stage_base(self.bench, store.artifact(base) if base else None, policy.attributes)
        comparison = Comparison(self.bench, policy.attributes, policy.match)
        if strangers := comparison.strangers(self.task.only):
            raise PersonUnknown(*strangers)
        complete = await self._read_target()

        self.world.observer.stage("comparing")
        self.findings += comparison.correlate(complete=complete, only=self.task.only)
        self._decide(comparison, judged, _frozen(judged, expressions))
        self.findings += [*_unresolved(comparison), *_unmatched(policy), *self._unfinished()]
        return self._store(comparison, judged.remembered, reading, (health.fingerprint, base))

    def _read_source(self) -> tuple[Reading, SourceHealth, dict[str, Expression]]:
        attributes = self.task.policy.attributes
        self.world.observer.stage("reading the source")
        reading = self.world.source.read()
        health = stage_records(self.bench, reading, key=self.task.key)
        expressions = check_mapping(self.bench, attributes, reading.columns)
        stage_phones(self.bench, expressions.values(), self.world.phones)
        self.findings += stage_desired(self.bench, attributes, expressions, key=self.task.key)
        return reading, health, expressions

    def _judge(self, reading: Reading, health: SourceHealth, previous: SourceHealth | None) -> trust.Trust:
        judged = trust.judge(
            health,
            previous,
            proven=reading.proven,
            keyless=any(f.code == "record.no-key" for f in self.findings),
            limits=self.task.policy.limits,
            overrides=self.task.overrides,
        )
        self.findings += judged.findings
        return judged

    def _unfinished(self) -> Iterator[Finding]:
        last = unfinished(self.world.store)
        if last is not None:
            yield Finding(
                severity=Severity.WARNING,
                code="run.unfinished",
                subject="",
                summary="a run was cut short; this plan holds what it left, or that run can be gone on with",
                detail=last.id,
                hint=f"scimsync apply {last.id}",
            )

    async def _read_target(self) -> bool:
        attributes = self.task.policy.attributes
        roots = {mapped.place.root: None for mapped in attributes}
        spool = AccountSpool(self.bench, self.task.catalog, attributes)
        self.world.observer.stage("reading the directory")

        def take(resources: Sequence[bytes]) -> None:
            spool.take(resources)
            self.world.observer.advance(len(resources))

        try:
            sweep = await self.world.target.sweep(list(roots), take)
        except BaseException:
            spool.close()
            raise
        spool.load(self.task.keep)
        finding = trust.incomplete(sweep)
        if finding is not None:
            self.findings.append(finding)
        return finding is None

    def _decide(self, comparison: Comparison, judged: trust.Trust, frozen: frozenset[str]) -> None:
        policy = self.task.policy
        for pair in comparison.pairs():
            self._take(pair.key, planner.plan_pair(pair, policy, frozen=frozen))
        for pair in comparison.joiners():
            self._take(pair.key, planner.plan_joiner(pair, policy, frozen=frozen))
        self._drop_vain_waits()
        active = active_of(policy, self.task.catalog)
        believed = judged.absence and not comparison.opaque()
        for leaver in comparison.leavers():
            if believed:
                self._take(leaver.key, planner.plan_leaver(leaver, policy, active))
            else:
                self.findings.append(_unbelieved(leaver.key))

    def _drop_vain_waits(self) -> None:
        """A reference that waits for somebody who gets no account in this plan is left alone."""
        created = {change.key for change in self.changes if change.action is Action.CREATE}
        kept = []
        for change in self.changes:
            vain = {d.awaits for d in change.deferred} - created
            self.findings += [_vain(change, str(awaited)) for awaited in sorted(filter(None, vain))]
            deltas = tuple(d for d in change.deltas if d.awaits is None or d.awaits not in vain)
            if any(d.verdict in {Verdict.WRITE, Verdict.DEFER} for d in deltas):
                kept.append(replace(change, deltas=deltas))
        self.changes = kept

    def _take(self, key: str, planned: planner.Planned) -> None:
        self.findings += planned.findings
        self.settled += [(key, path, value) for path, value in planned.settled]
        if planned.change is not None:
            self.changes.append(planned.change)
        if planned.notice is not None:
            self.notices.append(planned.notice)

    def _store(self, comparison: Comparison, health: SourceHealth, reading: Reading, rests_on: tuple[str, str]) -> Plan:
        world, task = self.world, self.task
        created = world.clock.now()
        identity = f"{created:%Y%m%d-%H%M%S}-{world.fresh()}"
        changes = planner.ordered(self.changes)
        findings = tuple(self._findings())
        counted = planner.tally(comparison.numbers(), changes, self.notices, findings)
        plan = Plan(
            id=identity,
            created=created,
            seal=Seal(
                target=world.target.name,
                configuration=task.configuration,
                source=rests_on[0],
                base=rests_on[1],
            ),
            tally=counted,
            changes=changes,
            notices=planner.ordered(self.notices),
            findings=findings,
            refusals=planner.refusals(counted, task.policy.limits, task.overrides),
            overrides=dict(task.overrides),
            rate=world.target.rate,
            place=reading.place,
        )
        agreed, name = f"agreed-{identity}.parquet", f"plan-{identity}.ndjson"
        comparison.write_agreed(world.store.artifact(agreed), self.settled)
        write_private(world.store.artifact(name), sealing.encode(plan))
        world.store.save_run(
            Run(
                id=identity,
                created=created,
                state=RunState.REFUSED if plan.refusals else RunState.PLANNED,
                target=world.target.name,
                plan=name,
                agreed=agreed,
                tally=_tally_numbers(plan),
                health=health,
                partial=bool(task.only),
            ),
            [x for told in task.subscriptions for x in telling.address(telling.of_refusal(plan), told)],
        )
        return plan

    def _findings(self) -> Iterator[Finding]:
        """Run-wide findings first, then people's; of people only those asked for."""
        only = frozenset(self.task.only)
        chosen = [f for f in self.findings if not only or not f.subject or f.subject in only]
        yield from sorted(chosen, key=lambda f: (f.subject != "", f.severity is not Severity.ERROR, f.code, f.subject))


def _tally_numbers(plan: Plan) -> dict[str, int]:
    return {
        "records": plan.tally.records,
        "accounts": plan.tally.accounts,
        "changes": len(plan.changes),
        "conflicts": plan.tally.conflicts,
        "held": plan.tally.held,
        **plan.tally.actions,
    }


def _frozen(judged: trust.Trust, expressions: Mapping[str, Expression]) -> frozenset[str]:
    return frozenset(
        path
        for path, expression in expressions.items()
        if {c.lower() for c in expression.columns} & {c.lower() for c in judged.blank_columns}
    )


def active_of(policy: Policy, catalog: Catalog) -> Mapped:
    """The attribute that disabling writes, whether the mapping manages it or not."""
    mapped = policy.by_path.get(ACTIVE)
    return mapped or Mapped(place=catalog.resolve(ACTIVE), expression="", authority=Authority.LOCAL_WINS)


def _unresolved(comparison: Comparison) -> Iterator[Finding]:
    for path, number in comparison.unresolved():
        yield Finding(
            severity=Severity.INFO,
            code="reference.unknown",
            subject="",
            summary="references name people who are neither in the source nor linked; they are left alone",
            detail=f"{path}: {number}",
        )


def _unmatched(policy: Policy) -> Iterator[Finding]:
    for place in policy.match:
        if place.short not in policy.by_path:
            yield Finding(
                severity=Severity.WARNING,
                code="correlation.unmapped",
                subject="",
                summary="a path of [correlation] match is not mapped, so nobody is found by it",
                detail=place.short,
                hint="map it in [attributes], or take it from match",
            )


def _vain(change: Change, awaited: str) -> Finding:
    return Finding(
        severity=Severity.INFO,
        code="reference.deferred",
        subject=change.key,
        summary="a reference waits for a person who gets no account in this plan; it is left alone",
        detail=f"waits for {awaited}",
        hint=f"see the finding about {awaited}",
        row=change.row,
    )


def _unbelieved(key: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="leaver.unproven",
        subject=key,
        summary="this person is missing from a source that proves nothing by absence; the account stays",
        hint="see the finding about the source",
        holds=True,
    )
