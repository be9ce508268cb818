"""Make a plan: read, trust, map, read the directory, correlate, compare, decide, seal, store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from scimsync.core import (
    blackout,
    contract,
    fixing,
    grouping,
    identity,
    limits,
    logins,
    notifications,
    planner,
    reviving,
    trimming,
    trust,
    validation,
)
from scimsync.core.depths import NOT_LISTED
from scimsync.core.ending import UNLISTED
from scimsync.core.findings import (
    in_order,
    of_circles,
    of_hidden,
    of_nobody,
    of_unfinished,
    of_unmatched,
    of_unread,
    of_unresolved,
)
from scimsync.core.identity import parted, said
from scimsync.core.leaving import UNTRUSTED, sentence
from scimsync.core.lifecycle import ACTIVE, active_of
from scimsync.core.limits import Demand, Past
from scimsync.engine import (
    absent,
    accepting,
    behind,
    binding,
    deciding,
    deferring,
    ending,
    guarding,
    limiting,
    quarantine,
    renaming,
    returning,
    ruling,
    trusting,
    undone,
    unshown,
    validity,
)
from scimsync.engine.foreseeing import foreseen
from scimsync.engine.ladder import Ladder
from scimsync.engine.leaving import Decided, kept, unplanned
from scimsync.engine.licensing import needed
from scimsync.engine.membership import MembershipPlanning
from scimsync.engine.offline import leave_unread
from scimsync.engine.owning import own_links
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.preceding import check_target, unfinished
from scimsync.engine.reading import Compared, compare_schema, left_alone, read_asked, read_directory
from scimsync.engine.reviving import plan_revivals
from scimsync.engine.signatures import write as write_plan
from scimsync.engine.staging import mapped, read_source
from scimsync.errors import PersonUnknown, SourceError, TargetError
from scimsync.model.accounts import Pair
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Change, Finding, GroupChange, Plan, Seal
from scimsync.model.policy import BadValue
from scimsync.model.records import Reading, SourceHealth
from scimsync.scim.schema import Value
from scimsync.workbench import layers, pilots, unmanaged
from scimsync.workbench.agreed import write_agreed
from scimsync.workbench.asked import forget_unseen
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.correlating import Correlation
from scimsync.workbench.expressions import Expression
from scimsync.workbench.past import stage_base, stage_links
from scimsync.workbench.unlisted import owe


async def make_plan(ports: PlanPorts, request: PlanRequest, room: Workbench | None = None) -> Plan:
    """Compute, seal and store a plan (but for one that is made offline). Nothing is written to the target.

    Args:
        ports: What it is made with.
        request: What it is about.
        room: Where its tables are made; a place of its own where None. A source that was read there, in the same way,
            is not read again.

    Raises:
        SourceError: The source cannot be read or is empty.
        ConfigError: The mapping does not fit the source; all faults at once.
        TargetError: The directory cannot be read, or its schema drifted where the mapping writes.
        StoreError: The state cannot be read or written.
    """
    if room is not None:
        return await _Planning(ports, request, room).run()
    with Workbench(ports.store.artifact("plan").parent, memory_limit=request.memory_limit, zone=request.zone) as bench:
        return await _Planning(ports, request, bench).run()


async def look(ports: PlanPorts, request: PlanRequest, bench: Workbench, findings: list[Finding]) -> Plan:
    """As `make_plan`, on a workbench of the caller, who reads its tables afterwards, also where it fails half way.

    `findings` takes all that is found, also about others.
    """
    planning = _Planning(ports, request, bench, findings=findings)
    plan = await planning.run()
    findings[:] = planning.findings
    return plan


@dataclass(slots=True)
class _Planning:
    ports: PlanPorts
    request: PlanRequest
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
    #: from when until when records hold
    calendar: validity.Calendar = field(init=False)
    #: who is missing from the source, and in how many readings
    ladder: Ladder = field(init=False)
    #: who stands in the ring before the first
    pilots: Expression | None = None
    #: all accounts were asked for, and not only those of some people
    whole: bool = True
    memberships: MembershipPlanning | None = None
    #: new key of an account that follows its person -> former key
    moved: Mapping[str, str] = field(default_factory=dict)
    #: people whose login and name change at once
    others: list[Finding] = field(default_factory=list)
    #: what forbids the plan besides its size
    refusals: tuple[Finding, ...] = ()
    #: what counts with the plan, and what it wanted to take away
    past: Past = field(default_factory=Past)
    clearing: list[Demand] = field(default_factory=list)
    ends: ending.Ends = field(default_factory=ending.Ends)
    #: the paths of which HR says that there is nothing, of those who join
    cleared: dict[str, frozenset[str]] = field(default_factory=dict)
    #: the directory lists all inactive accounts
    listed: bool = True
    #: the base that the plan rests on
    former: Path | None = None
    #: what leavers hold that the directory is about to take from them
    last: returning.Last = field(default_factory=list)
    licences: dict[str, int] = field(default_factory=dict)  #: licence -> how many more are needed

    async def run(self) -> Plan:
        self.request = deciding.obeying(self.request, self.ports)
        policy, store = self.request.policy, self.ports.store
        reading, health, expressions = read_source(self.bench, self.ports, self.request)
        self.ladder = Ladder(self.request, store, self.ports.clock.now(), reading.delivery)
        self.pilots = pilots.check_pilots(self.bench, policy.rings.first, reading.columns)
        self.calendar = validity.begin(self.bench, self.ports, self.request, reading.columns)
        expressions = self.calendar.mapped(expressions)
        last = store.last_applied()
        check_target(last, self.ports.target.name)
        base = last.base if last else ""
        decisions = store.link_decisions()
        stage_links(self.bench, store.links(), parted(decisions))
        self.former = binding.proven(store, base) if base else None
        stage_base(self.bench, self.former, policy.attributes)
        health, told = mapped(self.bench, self.request, health, expressions, self.ports.clock.now())
        self.findings += self.calendar.held(told)
        owned = own_links(self.bench, store, self.request)
        self.findings += owned.findings
        self.takes = owned.takes
        judged = self._judge(reading, health, owned.health, expressions)
        comparison = Comparison(self.bench, policy.attributes, policy.match)
        if strangers := self.calendar.unknown(comparison.strangers(self.request.only)):
            raise PersonUnknown(*strangers)
        try:
            groups, complete = await self._decide_all(comparison, judged)
        except (SourceError, TargetError):
            if lost := unplanned(self.bench, policy):
                self.ports.observer.say(sentence(lost))
            raise
        changes, groups, waiting = blackout.leave(
            self.changes, groups, self.request.blackout, each=self.request.is_delta
        )
        found, told = await guarding.look(self.ports.target, self.bench, changes, groups)
        self.changes, self.findings = [*found], [*self.findings, *waiting, *told]
        self.findings += [
            *of_unresolved(comparison.unresolved(self.request.only), self.strange, each=self.request.each),
            *of_unmatched(policy),
            *(of_unfinished(run.id) for run in [unfinished(store)] if run is not None),
        ]
        self.findings += [*(of_hidden(*found) for found in comparison.hidden()), *identity.named(self.others)]
        if complete and self.whole and self.listed:
            self.findings += [of_nobody(*found) for found in comparison.nobody(policy.protected)]
        if complete:
            self.settled += [(key, ACTIVE, False) for key in comparison.vanished()]
        self.findings += behind.look(comparison, self.request, whole=complete and self.whole)
        ruled = ruling.rule(self.bench, self.request, self.changes, self.findings, complete=complete and self.whole)
        self.findings, self.refusals = [*self.findings, *ruled.findings], (*self.refusals, *ruled.refusals)
        self.licences = await needed(self.ports, self.request, self.bench, self.changes)
        seal = Seal(
            target=self.ports.target.name,
            configuration=self.request.configuration,
            source=health.fingerprint,
            base=base,
            links=said(decisions),
        )
        plan = self._store(comparison, judged.remembered, reading, seal, groups)
        whole = complete and judged.whole and not (comparison.opaque() or self.request.only or self.request.blackout)
        wanted = {demand.kind: demand for demand in limits.demands(plan.tally, policy.limits)}
        demanded = [*(wanted | {demand.kind: demand for demand in self.ends.demanded}).values(), *self.clearing]
        limiting.remember(store, plan, demanded, self.past, self.sources, whole=whole)
        return plan

    async def _decide_all(self, comparison: Comparison, judged: trust.Trust) -> tuple[tuple[GroupChange, ...], bool]:
        """Read the directory, decide about everybody; what becomes of groups, and whether it was read whole."""
        policy = self.request.policy
        schema = await compare_schema(self.ports, self.request) if self.request.schema else Compared()
        told = await read_asked(self.ports, self.request, self.bench)
        self.whole, complete = told is None, True
        if told is None:
            complete, told = await read_directory(self.ports, self.request, self.bench)
        closed = await left_alone(self.ports, self.request)
        judged = replace(judged, frozen=judged.frozen | {finding.subject for finding in closed})
        self.findings += [*schema.told, *told, *closed]
        self.listed = all(finding.code not in {UNLISTED, NOT_LISTED} for finding in told)
        self.ports.observer.stage("comparing")
        correlation = Correlation(self.bench, policy.attributes, policy.match, rekey=policy.rekey)
        given = complete or trust.INCOMPLETE in self.request.overrides
        self.findings += correlation.run(
            complete=given, follow=complete, only=self.request.only, source=self.request.source
        )
        self.calendar.met()
        self.findings += absent.look(self.request, comparison, self.ports.store, self.sources)
        self.findings += renaming.look(self.bench, self.request, self.ports, whole=self.whole)
        owe(self.bench, policy.attributes)
        comparison.resolve()
        leave_unread(comparison, self.request)
        self.findings += unshown.look(self.bench, comparison, self.request, self.ports.store, schema.mark)
        self.moved = correlation.moved()
        self.refusals = identity.keys_changed(*correlation.renumbered(), policy.limits, self.request.overrides)
        self._decide(comparison, judged)
        self.findings += deciding.moved(self.notices, policy.decisions)
        self.changes = self.calendar.explained(self.changes)
        self.findings += self.calendar.told()
        self.changes, unchanged = fixing.leave(self.changes, schema.fixed, policy.attributes)
        absence = judged.absence and not comparison.opaque() and not self.request.only
        believed = undone.Believed(judged.frozen, absence, self.request.overrides)
        left = undone.leave(comparison, self.ports.store, self.changes, believed)
        self.changes, self.notices = left.changes, [*self.notices, *left.notices]
        self.findings += [*unchanged, *left.findings]
        await self._validate(comparison)
        await self._revive()
        self._spare(comparison.linked() + comparison.absent())
        self.changes, self.vain = trimming.without_vain(self.changes)
        self._end(comparison, judged, complete=complete)
        back = await returning.look(self.ports, self.request, self.bench, self.changes, self.former, self.others)
        self.changes, self.last, self.findings = back.changes, back.last, [*self.findings, *back.findings]
        decided = Decided(
            changes=self.changes,
            notices=self.notices,
            findings=[*self.findings],
            frozen=judged.frozen,
            believed=judged.absence and not comparison.opaque(),
            complete=complete,
            untrusted=next(iter(judged.broken), UNTRUSTED),
        )
        self.findings += kept(self.bench, comparison, policy, decided)
        return await self._plan_groups(comparison, judged, complete=complete), complete

    def _judge(
        self,
        reading: Reading,
        health: SourceHealth,
        previous: SourceHealth | None,
        expressions: Mapping[str, Expression],
    ) -> trust.Trust:
        judged = trusting.judge(
            self.request,
            reading,
            health,
            previous,
            expressions,
            keyless=any(f.code == "record.no-key" for f in self.findings),
            earlier=trusting.earlier(self.ports.store, self.sources, is_delta=self.request.is_delta),
            now=self.ports.clock.now(),
        )
        self.findings += judged.findings
        return judged

    def _decide(self, comparison: Comparison, judged: trust.Trust) -> None:
        policy = self.request.policy
        for pair in comparison.pairs():
            self._take(pair.key, planner.plan_pair(pair, policy, frozen=judged.frozen), pair)
        for pair in comparison.joiners():
            self.cleared[pair.key] = reviving.cleared(pair, judged.frozen)
            self._take(pair.key, planner.plan_joiner(pair, policy, frozen=judged.frozen), pair)
        active = active_of(policy, self.request.catalog)
        for leaver in self.ladder.leavers(comparison, judged, self.calendar.ended):
            self._take(leaver.key, planner.plan_leaver(leaver, policy, active))
        self.findings += self.ladder.told
        written = [*policy.attributes, active]
        withheld = contract.withhold(self.changes, judged.broken, written, older=judged.older)
        self.changes, self.findings = [*withheld.changes], [*self.findings, *withheld.findings]

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the source whose people the plan is about."""
        return (self.request.source, *self.takes)

    def _spare(self, linked: int) -> None:
        """Leave values alone that would be taken away from more people than a limit allows."""
        request, ports = self.request, self.ports
        self.past = limiting.past(ports.store, ports.clock.now(), request.policy.limits, self.sources)
        self.clearing = [*limits.clearing(self.changes, request.policy.limits, linked, self.past.frozen)]
        refused = limits.refusals(self.clearing, request.overrides, self.past, partial=request.is_partial)
        if refused:
            attributes = [*request.policy.attributes, active_of(request.policy, request.catalog)]
            spared = limits.spare(self.changes, {finding.path: finding for finding in refused}, attributes)
            self.changes = list(spared.changes)
            self.findings += spared.findings

    async def _revive(self) -> None:
        """Ask whether a joiner's login belonged to a deleted account; of who is found, this is told and no more."""
        if self.request.dialect.deleted:
            ports, policy = self.ports, self.request.policy
            self.changes, told = await plan_revivals(self.changes, self.cleared, ports.target, ports.store, policy)
            found = {("account.gone", finding.subject) for finding in told}
            self.findings = [*(f for f in self.findings if (f.code, f.subject) not in found), *told]

    def _end(self, comparison: Comparison, judged: trust.Trust, *, complete: bool) -> None:
        """Delete who left long enough ago, and do nothing else about them."""
        known = ending.Known(
            now=self.ports.clock.now(),
            believed=complete and judged.whole and not comparison.opaque(),
            listed=self.listed,
            whole=self.whole,
            absence=judged.absence,
            past=self.past,
            apart=self.calendar.apart,
            missing=self.ladder.missing,
        )
        self.ends = ending.plan_ends(self.bench, comparison, self.request, self.ports.store, known)
        ended = {change.key for change in self.ends.changes}
        self.changes = [*(change for change in self.changes if change.key not in ended), *self.ends.changes]
        self.findings += self.ends.findings

    async def _plan_groups(
        self, comparison: Comparison, judged: trust.Trust, *, complete: bool
    ) -> tuple[GroupChange, ...]:
        policy, ports, key, away = self.request.policy, self.ports, self.request.key, self.calendar.ungrouped
        if policy.groups is None or any(finding.code == NOT_LISTED for finding in self.findings):
            return ()
        ports.observer.stage("reading the groups")
        self.memberships = MembershipPlanning(
            policy, policy.groups, self.bench, comparison, ports.target, ports.store, self.request.overrides
        )
        groups = await self.memberships.run(ports.pairs, judged, self.changes, key=key, complete=complete, away=away)
        self.findings += self.memberships.findings
        return groups

    def _circles(self, comparison: Comparison) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The loops of references in HR, but for people who name themselves and are held for it."""
        selves = {finding.subject for finding in self.findings if finding.code == "reference.self"}
        return (
            (path, members) for path, members in comparison.circles() if len(members) > 1 or members[0] not in selves
        )

    async def _validate(self, comparison: Comparison) -> None:
        """Leave out whoever could not be written, before anybody is."""
        request = self.request
        attributes = [*request.policy.attributes, active_of(request.policy, request.catalog)]
        names = {
            kind: await self.ports.target.names(kind)
            for kind in validation.name_kinds(self.changes, attributes, request.dialect)
        }
        if unread := [kind for kind, found in names.items() if found is None]:
            self.findings.append(of_unread(unread))
        known = validation.Known(names=names, phones=self.ports.phones)
        marks = frozenset(place.short for place in request.policy.match)
        whole = request.policy.on_bad_value is BadValue.PERSON
        validated = validation.validate(
            self.changes, attributes, request.catalog, request.dialect, known, marks=marks, whole=whole
        )
        holders = comparison.holders(logins.wanted(validated.changes))
        handed = logins.hand_over(validated.changes, holders, attributes, request.policy.exchange)
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
        ports, request = self.ports, self.request
        identity = ports.name(created := ports.clock.now())
        changes, loops = planner.lined_up(pilots.marked(self.bench, request.key, self.pilots, self.changes))
        self.findings += of_circles(self._circles(comparison), loops)
        waiting = deferring.Waiting(self.vain, (request.source, *self.takes), identity, created)
        self.findings += deferring.remember(ports.store, comparison, waiting)
        findings = accepting.marked(ports.store, request, self._findings(), created)
        numbers = comparison.numbers()
        if not self.whole:
            forget_unseen(self.bench)
            numbers = comparison.numbers() | {name: numbers[name] for name in ("linked", "absent", "unmanaged")}
        counted = planner.tally(numbers, changes, self.notices, findings, groups, self.licences)
        demanded = limits.demands(counted, request.policy.limits)
        refused = limits.refusals(demanded, request.overrides, self.past, partial=request.is_partial)
        plan = Plan(
            id=identity,
            created=created,
            seal=seal,
            tally=counted,
            changes=changes,
            notices=planner.ordered(self.notices),
            findings=findings,
            groups=groups,
            refusals=(*self.refusals, *refused),
            moved=self.moved,
            as_of=self.calendar.as_of,
            coming=self.calendar.coming(self.ladder.coming, self.ends.coming),
            expires=created + request.policy.plan_expires,
            parts=dict(request.parts),
            overrides=dict(request.overrides),
            rate=ports.target.rate,
            place=reading.place,
            offline=request.offline.listed if request.offline else None,
            authors=request.authors,
        )
        if request.offline is not None:  # nothing rests on it: whoever wants to keep it does so
            return plan
        plan = foreseen(plan, ports, request, self.bench)
        agreed, name = f"agreed-{identity}.parquet", f"plan-{identity}.ndjson"
        path = ports.store.artifact(agreed)
        if not write_agreed(comparison, path, self.settled, self.former, self.last, [c.key for c in changes]):
            agreed = seal.base  # nothing else than before
        else:
            binding.bind(ports.store, agreed, layers.needed(self.bench, path))
        if self.memberships is not None:
            self.memberships.write_agreed(identity)
        if self.whole and plan.as_of is None:
            unmanaged.keep(comparison, ports.store.artifact(unmanaged.UNMANAGED), plan)
        absent.keep(request, comparison, ports.store, identity)
        self.ladder.keep(comparison, plan)
        quarantine.remember(ports.store, request, findings, self, (identity, created))
        deciding.end_idle(ports.store, request, plan, self)
        ports.store.save_run(
            Run(
                id=identity,
                created=created,
                state=RunState.REFUSED if plan.refusals else RunState.PLANNED,
                target=ports.target.name,
                plan=name,
                agreed=agreed,
                tally=planner.numbers(plan),
                health=contract.remembered(health, request.contract.expect),
                partial=request.is_partial,
                source=request.source,
                takes=self.takes,
                digest=write_plan(ports.store.artifact(name), plan, ports.key),
            ),
            [x for told in request.subscriptions for x in notifications.messages_to(notifications.of_plan(plan), told)],
        )
        return plan

    def _findings(self) -> Iterator[Finding]:
        """Leavers who keep access, then run-wide findings and groups, then people's; of people only those asked for."""
        only = frozenset(self.request.only)
        of_all = (*trust.RULES, *grouping.ABOUT)
        told = (f for f in self.findings if not only or f.subject in {"", *only} or f.code.startswith(of_all))
        yield from in_order([*told])
