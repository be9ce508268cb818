"""Make a plan: read, trust, map, read the directory, correlate, compare, decide, seal, store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from scimsync import files
from scimsync.core import drifting, grouping, identity, limits, logins, planner, sealing, telling, trust, validation
from scimsync.core import owning as owning_rules
from scimsync.core.identity import parted, said
from scimsync.core.leaving import KEPT, sentence
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.limits import Past, Wish
from scimsync.engine import limiting
from scimsync.engine.findings import (
    of_circles,
    of_hidden,
    of_nobody,
    of_unbelieved,
    of_unmatched,
    of_unread,
    of_unresolved,
    of_vain,
    of_waiting,
)
from scimsync.engine.freshness import Freshness
from scimsync.engine.leaving import Decided, kept, unplanned
from scimsync.engine.membership import MembershipPlanning, Pairs
from scimsync.engine.metrics import Unmeasured
from scimsync.engine.ports import Clock, Metrics, Observer, Source, Store, Target
from scimsync.errors import ConfigError, PersonUnknown, SchemaDrifted, SourceError, TargetError, TargetUnavailable
from scimsync.model.accounts import Pair
from scimsync.model.events import Subscription
from scimsync.model.outcomes import Deferred, Run, RunState
from scimsync.model.plans import LOGIN, Action, Change, Finding, GroupChange, Plan, Seal, Severity
from scimsync.model.policy import Authority, BadValue, Mapped, Policy
from scimsync.model.records import Reading, SourceHealth
from scimsync.scim.dialect import GENERIC, Dialect
from scimsync.scim.schema import Catalog, Value
from scimsync.workbench import owning
from scimsync.workbench.accounts import AccountSpool
from scimsync.workbench.agreed import write_agreed
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.correlating import Correlation
from scimsync.workbench.expressions import Expression
from scimsync.workbench.mapping import PhoneReader, check_mapping, desired_blanks, stage_desired, stage_phones
from scimsync.workbench.past import stage_base, stage_links
from scimsync.workbench.records import stage_records
from scimsync.workbench.wording import unknown_words


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
    #: where memberships come from, where policy manages groups
    pairs: Pairs = field(default_factory=Pairs)
    metrics: Metrics = field(default_factory=Unmeasured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What shall be planned."""

    policy: Policy
    catalog: Catalog
    #: what the provider takes, and which names must exist
    dialect: Dialect = GENERIC
    #: column of the source that identifies a person
    key: str
    #: what the source is known by; its people are those of the links that bear this name
    source: str = ""
    #: texts that stand for nothing in a cell of the source
    null_values: tuple[str, ...] = ()
    #: digest of the effective configuration
    configuration: str
    #: the time zone of today() in the mapping
    zone: str = "UTC"
    #: reads of single accounts that run at the same time
    workers: int = 8
    memory_limit: str = "512MB"
    #: keys of the people to look at; everybody where empty
    only: tuple[str, ...] = ()
    #: rule -> reason, for rules that a person sets aside
    overrides: Mapping[str, str] = field(default_factory=dict)
    #: where the accounts are kept as they were read; not kept where None
    keep: Path | None = None
    #: ids of the accounts to read, one by one; the whole directory where empty
    accounts: tuple[str, ...] = ()
    #: whether the target's schema is compared before it is read
    schema: bool = True
    #: who is told where the plan may not be applied
    subscriptions: tuple[Subscription, ...] = ()


async def make_plan(world: World, task: Task) -> Plan:
    """Compute, seal and store a plan. Nothing is written to the target.

    Raises:
        SourceError: The source cannot be read or is empty.
        ConfigError: The mapping does not fit the source; all faults at once.
        TargetError: The directory cannot be read, or its schema drifted where the mapping writes.
        StoreError: The state cannot be read or written.
    """
    with Workbench(world.store.artifact("plan").parent, memory_limit=task.memory_limit, zone=task.zone) as bench:
        return await _Planning(world, task, bench).run()


def unfinished(store: Store) -> Run | None:
    """The latest run that was begun, if it was cut short."""
    last = next(iter(store.begun(1)), None)
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
    #: (change, path, key): references that wait for somebody who gets no account in this plan
    vain: list[tuple[Change, str, str]] = field(default_factory=list)
    #: (path, key) -> row of the people of this plan whose reference names nobody with an account
    strange: dict[tuple[str, str], int | None] = field(default_factory=dict)
    #: sources that this one is known to be, under another name; their people are its own from now on
    takes: tuple[str, ...] = ()
    memberships: MembershipPlanning | None = None
    #: new key of an account that follows its person -> former key
    moved: Mapping[str, str] = field(default_factory=dict)
    #: people whose login and name change at once
    others: list[Finding] = field(default_factory=list)
    #: what forbids the plan besides its size
    refusals: tuple[Finding, ...] = ()
    #: what counts with the plan, and what it wanted to take away
    past: Past = field(default_factory=Past)
    clearing: list[Wish] = field(default_factory=list)

    async def run(self) -> Plan:
        policy, store = self.task.policy, self.world.store
        reading, health, expressions = self._read_source()
        last = store.last_applied()
        if last is not None and last.target != self.world.target.name:
            raise ConfigError(
                f"[state] remembers {last.target}, and [target] is {self.world.target.name}. What was agreed with one "
                "directory says nothing about another: give each its own [state] url and artifacts."
            )
        base = last.base if last else ""
        decisions = store.link_decisions()
        stage_links(self.bench, store.links(), parted(decisions))
        stage_base(self.bench, store.artifact(base) if base else None, policy.attributes)
        health = self._map(health, expressions)
        judged = self._judge(reading, health, self._own(), expressions)
        comparison = Comparison(self.bench, policy.attributes, policy.match)
        if strangers := comparison.strangers(self.task.only):
            raise PersonUnknown(*strangers)
        try:
            groups, complete = await self._decide_all(comparison, judged)
        except (SourceError, TargetError):
            if lost := unplanned(self.bench, policy):
                self.world.observer.say(sentence(lost))
            raise
        self.findings += [*of_unresolved(comparison, self.strange), *of_unmatched(policy), *self._unfinished()]
        self.findings += [of_hidden(key, row) for key, row in comparison.hidden()]
        self.findings += identity.named(self.others)
        if complete:
            self.findings += [of_nobody(*found) for found in comparison.nobody(policy.protected)]
            self.settled += [(key, ACTIVE, False) for key in comparison.vanished()]
        seal = Seal(
            target=self.world.target.name,
            configuration=self.task.configuration,
            source=health.fingerprint,
            base=base,
            links=said(decisions),
        )
        plan = self._store(comparison, judged.remembered, reading, seal, groups)
        whole = complete and judged.whole and not comparison.opaque() and not self.task.only
        wished = [*limits.wishes(plan.tally, policy.limits), *self.clearing]
        limiting.remember(store, plan, wished, self.past, self._sources(), whole=whole)
        return plan

    async def _decide_all(self, comparison: Comparison, judged: trust.Trust) -> tuple[tuple[GroupChange, ...], bool]:
        """Read the directory, decide about everybody; what becomes of groups, and whether it was read whole."""
        policy = self.task.policy
        if self.task.schema:
            await self._compare_schema()
        complete = await self._read_target()
        self.world.observer.stage("comparing")
        correlation = Correlation(self.bench, policy.attributes, policy.match, rekey=policy.rekey)
        self.findings += correlation.run(complete=complete, only=self.task.only, source=self.task.source)
        comparison.resolve()
        self.moved = correlation.moved()
        self.refusals = identity.keys_changed(*correlation.renumbered(), policy.limits, self.task.overrides)
        self._decide(comparison, judged)
        await self._validate(comparison)
        self._spare(comparison.linked())
        self._drop_vain_waits()
        decided = Decided(
            changes=self.changes,
            notices=self.notices,
            findings=[*self.findings],
            frozen=judged.frozen,
            believed=judged.absence and not comparison.opaque(),
            complete=complete,
        )
        self.findings += kept(self.bench, comparison, policy, decided)
        return await self._plan_groups(comparison, judged, complete=complete), complete

    def _read_source(self) -> tuple[Reading, SourceHealth, dict[str, Expression]]:
        attributes = self.task.policy.attributes
        self.world.observer.stage("reading the source")
        reading = self.world.source.read()
        health = stage_records(self.bench, reading, key=self.task.key, null_values=self.task.null_values)
        self.world.metrics.read(health, proven=reading.proven)
        expressions = check_mapping(self.bench, attributes, reading.columns)
        stage_phones(self.bench, expressions.values(), self.world.phones)
        return reading, health, expressions

    def _map(self, health: SourceHealth, expressions: Mapping[str, Expression]) -> SourceHealth:
        """Map the records; the health of the source, with that of what the mapping made of it."""
        policy = self.task.policy
        self.findings += stage_desired(
            self.bench,
            policy.attributes,
            expressions,
            key=self.task.key,
            found_by=policy.match,
            whole=policy.on_bad_value is BadValue.PERSON,
        )
        column = f"d{[*policy.by_path].index(ACTIVE)}" if ACTIVE in policy.by_path else ""
        self.findings += unknown_words(self.bench, expressions.get(ACTIVE), column)
        return replace(health, desired=desired_blanks(self.bench, policy.attributes))

    def _own(self) -> SourceHealth | None:
        """Tell our links from those of other sources; give the health of our last reading that was applied."""
        store, source = self.world.store, self.task.source
        recent = store.begun(owning_rules.SILENT)
        lately = {run.source for run in recent} if len(recent) == owning_rules.SILENT else None
        held = []
        for name, links, met in owning.met(self.bench):
            last = store.last_applied(name)
            rows = last.health.rows if last and last.health else 0
            alive = lately is None or name in lately
            held.append(owning_rules.Held(source=name, links=links, met=met, rows=rows, alive=alive))
        judged = owning_rules.judge(source, held, known=source in store.sources(), overrides=self.task.overrides)
        self.findings += judged.findings
        self.takes = judged.takes
        owning.own(self.bench, (source, *self.takes))
        applied = [run for name in (source, *self.takes) if (run := store.last_applied(name)) is not None]
        return max(applied, key=lambda run: run.base).health if applied else None

    def _judge(
        self,
        reading: Reading,
        health: SourceHealth,
        previous: SourceHealth | None,
        expressions: Mapping[str, Expression],
    ) -> trust.Trust:
        judged = trust.judge(
            health,
            previous,
            proven=reading.proven,
            keyless=any(f.code == "record.no-key" for f in self.findings),
            limits=self.task.policy.limits,
            overrides=self.task.overrides,
            columns_of={path: expression.columns for path, expression in expressions.items()},
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

    async def _compare_schema(self) -> None:
        """Hold what the target says about itself against the pin, or what the dialect assumes.

        Raises:
            SchemaDrifted: What the mapping writes is not what it was.
        """
        world, task = self.world, self.task
        world.observer.stage("comparing the schema")
        pin = world.store.pin(world.target.name)
        found = await world.target.describe(pin.documents if pin else None)
        baseline = drifting.Baseline.of(pin, task.catalog)
        rulings = drifting.judge(baseline, found, task.policy, task.catalog)
        if blocking := tuple(f"{r.drift} ({r.hint})" for r in rulings if r.blocks):
            raise SchemaDrifted(baseline.name, blocking)
        self.findings += drifting.findings(rulings)
        if (finding := drifting.unpublished(found)) is not None:
            self.findings.append(finding)

    async def _read_target(self) -> bool:
        attributes = self.task.policy.attributes
        # whether managed or not: who is protected, and who has access already
        roots = dict.fromkeys([*(mapped.place.root for mapped in attributes), "userName", ACTIVE])
        spool = AccountSpool(self.bench, self.task.catalog, attributes)
        self.world.observer.stage("reading the directory")

        def take(resources: Sequence[bytes]) -> None:
            spool.take(resources)
            self.world.observer.advance(len(resources))

        try:
            if self.task.accounts:
                await self._read_few(take)
            else:
                sweep = await self.world.target.sweep(list(roots), take)
        except BaseException:
            spool.close()
            raise
        spool.load(self.task.keep)
        if self.task.accounts:  # what a few accounts do not show is not absent
            return False
        finding = trust.incomplete(sweep)
        if finding is not None:
            self.findings.append(finding)
        self.findings += await self._freshness().renew(self.bench, spool)
        return finding is None

    async def _read_few(self, take: Callable[[Sequence[bytes]], None]) -> None:
        for account in self.task.accounts:
            reply = await self.world.target.get(account)
            if reply.body is not None:
                take([msgspec.json.encode(reply.body)])
            elif reply.status != 404:
                raise TargetUnavailable(f"{self.world.target.name}: account {account} cannot be read: {reply.detail}")

    def _freshness(self) -> Freshness:
        world, task = self.world, self.task
        return Freshness(
            target=world.target,
            store=world.store,
            clock=world.clock,
            observer=world.observer,
            attributes=task.policy.attributes,
            workers=task.workers,
            counters=task.dialect.counts_versions,
        )

    def _decide(self, comparison: Comparison, judged: trust.Trust) -> None:
        policy = self.task.policy
        for pair in comparison.pairs():
            self._take(pair.key, planner.plan_pair(pair, policy, frozen=judged.frozen), pair)
        for pair in comparison.joiners():
            self._take(pair.key, planner.plan_joiner(pair, policy, frozen=judged.frozen), pair)
        active = active_of(policy, self.task.catalog)
        opaque = comparison.opaque()
        doubts = [f.code for f in judged.findings if f.code != trust.BLANKS] if not judged.absence else []
        doubts += [f"{opaque:,} records that cannot be mapped may be anybody's"] if opaque else []
        for leaver in comparison.leavers():
            if not doubts:
                self._take(leaver.key, planner.plan_leaver(leaver, policy, active))
            else:
                self.findings.append(of_unbelieved(leaver.key, doubts))

    def _sources(self) -> tuple[str, ...]:
        """The names of the source whose people the plan is about."""
        return (self.task.source, *self.takes)

    def _spare(self, linked: int) -> None:
        """Leave values alone that would be taken away from more people than a limit allows."""
        task, world = self.task, self.world
        self.past = limiting.past(world.store, world.clock.now(), task.policy.limits.window, self._sources())
        self.clearing = [*limits.clearing(self.changes, task.policy.limits, linked, self.past.frozen)]
        refused = limits.refusals(self.clearing, task.overrides, self.past, partial=bool(task.only))
        if refused:
            attributes = [*task.policy.attributes, active_of(task.policy, task.catalog)]
            spared = limits.spare(self.changes, {finding.path: finding for finding in refused}, attributes)
            self.changes = list(spared.changes)
            self.findings += spared.findings

    async def _plan_groups(
        self, comparison: Comparison, judged: trust.Trust, *, complete: bool
    ) -> tuple[GroupChange, ...]:
        policy, world = self.task.policy, self.world
        if policy.groups is None:
            return ()
        world.observer.stage("reading the groups")
        self.memberships = MembershipPlanning(
            policy, policy.groups, self.bench, comparison, world.target, world.store, self.task.overrides
        )
        groups = await self.memberships.run(world.pairs, judged, self.changes, key=self.task.key, complete=complete)
        self.findings += self.memberships.findings
        return groups

    def _drop_vain_waits(self) -> None:
        """A reference that waits for somebody who gets no account in this plan is left alone."""
        created = {change.key for change in self.changes if change.action is Action.CREATE}
        kept = []
        for change in self.changes:
            vain = {d.path: d.awaits for d in change.awaiting if d.path != LOGIN and d.awaits not in created}
            self.vain += [(change, path, awaits) for path, awaits in vain.items() if awaits is not None]
            deltas = tuple(d for d in change.deltas if d.path not in vain)
            if any(d.verdict in planner.SENT for d in deltas):
                kept.append(replace(change, deltas=deltas))
        self.changes = kept

    def _wait(self, comparison: Comparison, run: str, since: datetime) -> None:
        """Say which references wait, and since when; forget those that do not any more."""
        store = self.world.store
        edges = {(edge.key, edge.path): edge for edge in store.deferred() if self._is_ours(edge)}
        settled = list(comparison.settled_references(edges.values()))
        for pair in settled:
            del edges[pair]
        for change, path, awaits in self.vain:
            known = edges.pop((change.key, path), None)
            self.findings.append(of_vain(change, path, awaits, known))
        self.findings += map(of_waiting, edges.values())
        waiting = [Deferred(change.key, path, awaits, run, since) for change, path, awaits in self.vain]
        store.save_deferred(waiting, settled)

    def _is_ours(self, edge: Deferred) -> bool:
        """Whether a run of this source left it; another source says when its own references wait no more."""
        run = self.world.store.run(edge.run)
        return run is None or run.source in {"", self.task.source, *self.takes}

    def _circles(self, comparison: Comparison) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The loops of references in HR, but for people who name themselves and are held for it."""
        selves = {finding.subject for finding in self.findings if finding.code == "reference.self"}
        return (
            (path, members) for path, members in comparison.circles() if len(members) > 1 or members[0] not in selves
        )

    async def _validate(self, comparison: Comparison) -> None:
        """Leave out whoever could not be written, before anybody is."""
        task = self.task
        attributes = [*task.policy.attributes, active_of(task.policy, task.catalog)]
        names = {
            kind: await self.world.target.names(kind)
            for kind in validation.name_kinds(self.changes, attributes, task.dialect)
        }
        if unread := [kind for kind, found in names.items() if found is None]:
            self.findings.append(of_unread(unread))
        known = validation.Known(names=names)
        marks = frozenset(place.short for place in task.policy.match)
        whole = task.policy.on_bad_value is BadValue.PERSON
        validated = validation.validate(
            self.changes, attributes, task.catalog, task.dialect, known, marks=marks, whole=whole
        )
        holders = comparison.holders(logins.wanted(validated.changes))
        handed = logins.hand_over(validated.changes, holders, attributes, task.policy.exchange)
        self.changes = list(handed.changes)
        self.findings += [*validated.findings, *handed.findings]

    def _take(self, key: str, planned: planner.Planned, pair: Pair | None = None) -> None:
        if pair is not None and planned.change is not None:
            self.strange.update({(path, pair.key): pair.row for path in pair.unresolved})
            self.others += filter(None, [identity.other_person(pair, planned.change)])
        self.findings += planned.findings
        self.settled += [(key, path, value) for path, value in planned.settled]
        self.changes += [change for change in (planned.change, planned.besides) if change is not None]
        if planned.notice is not None:
            self.notices.append(planned.notice)

    def _store(
        self,
        comparison: Comparison,
        health: SourceHealth,
        reading: Reading,
        seal: Seal,
        groups: tuple[GroupChange, ...],
    ) -> Plan:
        world, task = self.world, self.task
        created = world.clock.now()
        identity = self._name(created)
        changes, loops = planner.lined_up(self.changes)
        self.findings += of_circles(self._circles(comparison), loops)
        self._wait(comparison, identity, created)
        findings = tuple(self._findings())
        counted = planner.tally(comparison.numbers(), changes, self.notices, findings, groups)
        plan = Plan(
            id=identity,
            created=created,
            seal=seal,
            tally=counted,
            changes=changes,
            notices=planner.ordered(self.notices),
            findings=findings,
            groups=groups,
            refusals=(
                *self.refusals,
                *limits.refusals(
                    limits.wishes(counted, task.policy.limits), task.overrides, self.past, partial=bool(task.only)
                ),
            ),
            moved=self.moved,
            overrides=dict(task.overrides),
            rate=world.target.rate,
            place=reading.place,
        )
        agreed, name = f"agreed-{identity}.parquet", f"plan-{identity}.ndjson"
        former = world.store.artifact(seal.base) if seal.base else None
        whose = owning.EVERYBODY if task.accounts else owning.KEYS
        write_agreed(comparison, world.store.artifact(agreed), self.settled, former, whose=whose)
        if self.memberships is not None:
            self.memberships.write_agreed(identity)
        files.write(world.store.artifact(name), sealing.encode(plan))
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
                source=task.source,
                takes=self.takes,
            ),
            [x for told in task.subscriptions for x in telling.address(telling.of_plan(plan), told)],
        )
        return plan

    def _name(self, created: datetime) -> str:
        """A name that no run has yet: a clock that stepped back shows the same second twice."""
        while True:
            name = f"{created:%Y%m%d-%H%M%S}-{self.world.fresh()}"
            if self.world.store.run(name) is None:
                return name

    def _findings(self) -> Iterator[Finding]:
        """Leavers who keep access, then run-wide findings and groups, then people's; of people only those asked for."""
        only = frozenset(self.task.only)
        chosen = [
            finding
            for finding in self.findings
            if not only
            or not finding.subject
            or finding.subject in only
            or finding.code in trust.RULES
            or finding.code.startswith(grouping.ABOUT)
        ]
        yield from sorted(
            chosen,
            key=lambda f: (f.code != KEPT, f.subject != "", f.severity is not Severity.ERROR, f.code, f.subject),
        )


def _tally_numbers(plan: Plan) -> dict[str, int]:
    return {
        "records": plan.tally.records,
        "accounts": plan.tally.accounts,
        "changes": len(plan.changes),
        "conflicts": plan.tally.conflicts,
        "held": plan.tally.held,
        "values": plan.tally.values,
        "leavers_kept": plan.tally.leavers_kept,
        "groups": plan.tally.groups,
        **plan.tally.actions,
    }


def active_of(policy: Policy, catalog: Catalog) -> Mapped:
    """The attribute that disabling writes, whether the mapping manages it or not."""
    mapped = policy.by_path.get(ACTIVE)
    return mapped or Mapped(place=catalog.resolve(ACTIVE), expression="", authority=Authority.LOCAL_WINS)
