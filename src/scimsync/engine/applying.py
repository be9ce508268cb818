"""Carry out a plan: journal, send, judge the answer, settle; concurrently, and so that a crash loses nothing.

Order: leavers, of whom the access alone is taken away before anything else is begun; then those who give a login
up to somebody, joiners, rehires, movers and what else HR says about leavers; then the references that were
deferred and the logins of people who were parked, then the members of groups. A large plan is written in rings,
between who loses access or gives a login up and what is deleted: each ring in that order, and the next one only
where what came of it is good. Joiners stand after those whom
their references name, and whoever carries one out waits for the outcome of the others: the new account is then
written with its manager. Each write has a durable intent before it leaves and a durable outcome after, at the latest
with the same worker's next intent. A run that was cut short is continued by applying the plan again: what has an
outcome is done, an intent without outcome is settled by reading, the rest is carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from msgspec.structs import replace

from scimsync.core import grouping, leaving, lifecycle, logins, protecting, rings, trust, waiting
from scimsync.core.grouping import Left
from scimsync.core.reviving import UNSEEN
from scimsync.engine import approving, limiting, recording, settling, unshown
from scimsync.engine.account_maker import AccountMaker
from scimsync.engine.account_remover import AccountRemover
from scimsync.engine.account_reviver import AccountReviver
from scimsync.engine.account_writer import AccountWriter
from scimsync.engine.attempts import Attempt, Means
from scimsync.engine.caution import Caution
from scimsync.engine.denying import Denials
from scimsync.engine.group_writer import GroupPorts, GroupWriter, Removing
from scimsync.engine.journal import Journal
from scimsync.engine.owners import Owners
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts
from scimsync.engine.recording import Application, Recorder, digest_of, edits_of_members
from scimsync.engine.run_journal import RunJournal
from scimsync.engine.schema_watch import SchemaWatch
from scimsync.engine.searching import Search
from scimsync.engine.standing import GOOD, Standing
from scimsync.engine.urgency import urgently
from scimsync.errors import ScimsyncError, TargetError
from scimsync.model.outcomes import Outcome, Reply, Run, RunState, Status
from scimsync.model.plans import LOGIN, MAKING, Action, Change, GroupChange, Plan
from scimsync.model.policy import Providing
from scimsync.model.reports import Report

_C = TypeVar("_C", Change, GroupChange)


async def apply_plan(
    plan: Plan, run: Run, ports: ApplyPorts, options: ApplyOptions, stop: asyncio.Event | None = None
) -> Report:
    """Carry out a plan, or go on with it where it was left.

    Args:
        plan: A plan that `check_plan` let pass.
        run: The run of that plan.
        ports: The ports.
        options: Policy and numbers.
        stop: When set, no new change is begun, and what is under way is brought to its end.

    Raises:
        TargetError: The target refuses us or cannot be reached; what was done is kept.
        StoreError: The journal cannot be written; nothing more was sent.
    """
    standing = Standing(plan, run, ports.store.journal(run.id), stop or asyncio.Event())
    if run.state is RunState.DONE:
        return standing.report()
    applier = _Applier(standing, run, ports, options)
    given = Application(
        actor=options.actor, at=ports.clock.now(), overrides=options.overrides, attributes=options.policy.attributes
    )
    ports.store.append((), tuple(recording.begun(plan, run, ports.store, given)))
    begun = limiting.begin(ports.store, plan, run, options.overrides, ports.clock.now())
    ports.store.save_run(begun)
    if plan.writes:  # such a plan was held to those that were remembered
        approving.remember(ports.store, options.policy.approvals)
    try:
        await applier.work()
        told = () if standing.paused and standing.report().left else options.subscriptions  # the end of a chunk is none
        report = settling.finish(standing, begun, ports, told, options.attributes)
        if standing.failed is not None:
            raise standing.failed
    except ScimsyncError:
        if lost := standing.report().kept:
            ports.observer.say(leaving.sentence(lost))
        raise
    return report


async def write_plan(plan: Plan, run: Run, ports: ApplyPorts, options: ApplyOptions) -> Report:
    """Carry out a plan of which nothing shall be remembered: no base, no links, no state of the run.

    Raises:
        TargetError: The target refuses us or cannot be reached.
    """
    standing = Standing(plan, run, (), asyncio.Event())
    await _Applier(standing, run, ports, options).work()
    if standing.failed is not None:
        raise standing.failed
    return standing.report()


async def settle_run(plan: Plan, run: Run, ports: ApplyPorts, options: ApplyOptions) -> Report:
    """Learn what a run that was cut short came to, without sending anything that was not sent.

    What it journalled goes into base and links; a write that was left open is settled by reading.

    Raises:
        TargetError: The target refuses us or cannot be reached.
    """
    standing = Standing(plan, run, ports.store.journal(run.id), asyncio.Event())
    await _Applier(standing, run, ports, options).settle()
    return settling.finish(standing, run, ports, options.subscriptions, options.attributes, state=RunState.PARTIAL)


class _Applier:
    """One application of one plan: its phases, in their order."""

    def __init__(self, standing: Standing, run: Run, ports: ApplyPorts, options: ApplyOptions) -> None:
        self._standing, self._run, self._ports, self._workers = standing, run, ports, options.workers
        self._clock, self._observer, self._metrics = ports.clock, ports.observer, ports.metrics
        self._chunk, self._chunk_s, self._settled = options.chunk, options.chunk_s, 0
        self._began = ports.clock.monotonic()
        self._means = Means(
            target=ports.target,
            attributes=options.attributes,
            caution=Caution(trusting=options.keeps_others),
            dropped=options.dropped,
            policy=options.policy,
            doubted=waiting.is_partial(standing.plan) or protecting.has_nameless(standing.plan),
            shown=ports.shown,
            withheld=options.withheld,
            reworded=options.reworded,
            vanishes=options.vanishes,
            hidden=unshown.known(ports.store, standing.plan.changes),
        )
        digest = digest_of(ports.store.artifact(run.plan)) if run.plan else ""
        self._journal = RunJournal(
            run=run.id,
            journal=Journal(ports.store.append),
            recorder=Recorder(standing.plan, digest, options.actor),
            clock=ports.clock,
            subscriptions=options.subscriptions,
            attributes=options.attributes,
        )
        self._denials = Denials(ports.target)
        self._schema = SchemaWatch(ports, options.policy, options.dialect)
        #: changes that take access away, and what came of them, as long as they are not judged
        self._taken: list[tuple[Change, Outcome]] = []
        self._writer = AccountWriter(
            means=self._means,
            journal=self._journal,
            open=standing.open,
            defer=self._defer,
            deny=self._refused,
            operations_per_patch=options.operations_per_patch,
            request_bytes=options.request_bytes,
        )
        self._remover = AccountRemover(
            means=self._means, journal=self._journal, writer=self._writer, policy=options.policy
        )
        places = [place for place in options.policy.match if place.short in options.attributes]
        owners = Owners(standing.plan, ports.store, run.agreed, places, standing.born)
        self._reviver = AccountReviver(
            means=self._means,
            journal=self._journal,
            writer=self._writer,
            owners=owners,
            open=standing.open,
            born=standing.born,
        )
        self._maker = AccountMaker(
            means=self._means,
            journal=self._journal,
            writer=self._writer,
            search=Search(ports.target, ports.clock, places, ports.observer.say, options.search_lag_s),
            owners=owners,
            reviver=self._reviver,
            links=ports.store,
            policy=options.policy,
            unique_logins=options.unique_logins,
            wary=trust.is_wary(standing.plan),
            default_roles=options.default_roles,
            newborn_version=options.newborn_version,
            unrevived=options.lists_deleted and not any(f.code == UNSEEN for f in standing.plan.findings),
            open=standing.open,
            born=standing.born,
        )
        grouped = options.policy.groups
        self._providing = grouped.providing if grouped is not None else Providing()
        self._removing = Removing.of(self._providing, ports.observer.say)
        given = options.policy.rings
        self._shares = given.shares if standing.plan.writes >= given.least else (1.0,)
        self._rings = rings.number(standing.plan.changes, self._shares)
        self._ring_errors = options.policy.limits.ring_errors
        #: what a person has looked at, and does not count any more
        self._excused = frozenset(standing.outcomes) if options.resume else frozenset()
        #: the first parts at work or done whose outcome others may wait for
        self._begun: dict[str, asyncio.Event] = {}
        self._awaited = {d.awaits for c in standing.plan.changes for d in c.awaiting}

    async def work(self) -> None:
        """All phases; cancelled by whoever asked to stop and would not wait, what is under way is left open."""
        try:
            await self._phases()
        except asyncio.CancelledError:
            if not self._standing.stop.is_set():
                raise

    async def settle(self) -> None:
        """Settle by reading whatever was left open, and only that."""
        for change in self._standing.plan.changes:
            for part in (change.part, change.part + 1):
                if (change.key, part) in self._standing.open:
                    outcome = await self._looked_after(change, part)
                    await self._settle(change, part, outcome)
        for group in self._standing.plan.groups:
            if (group.key, 1) in self._standing.open:
                await self._settle(group, 1, await GroupWriter(group, self._group_ports(group)).settle())

    async def _looked_after(self, change: Change, part: int) -> Outcome:
        """What came of a write that was left open, by reading; nothing is sent."""
        if change.action is Action.RESTORE and (await self._ports.target.get(str(change.account))).status == 404:
            attempt = Attempt(self._means, change.key, part, "")
            return attempt.outcome(Status.DEFERRED, "run.unfinished", "the run was cut short before it came back")
        if change.action is not Action.DELETE:
            return await settling.looked_after(change, part, self._standing, self._means, self._maker)
        attempt = Attempt(self._means, change.key, part, change.account or "")
        looked = await self._remover.look(attempt, Status.DONE)
        if isinstance(looked, Outcome):
            return looked
        return attempt.outcome(Status.DEFERRED, "run.unfinished", "the run was cut short; the account is there")

    async def _phases(self) -> None:
        todo = [(c, c.part, self._first) for c in self._standing.plan.changes if c.is_sent]
        later = sum(1 for c in self._standing.plan.changes if c.deferred)
        self._observer.stage("applying", len(todo) + later + len(self._standing.plan.groups))
        givers = lifecycle.giving(self._standing.plan.changes)
        places = rings.places((change for change, _, _ in todo), self._shares)
        steps: dict[tuple[int, int], list[tuple[Change, int, Callable[[Change], Awaitable[Outcome]]]]] = {}
        for task in todo:
            at = rings.step(places[task[0].key], lifecycle.turn(task[0], givers), self._rings)
            steps.setdefault(at, []).append(task)
        for ring, inside in groupby(sorted(steps), key=itemgetter(0)):
            people: set[str] = set()
            for at in inside:
                people |= {change.key for change, _, _ in steps[at]}
                await self._phase(steps[at])
                await self._judge_taken()
            self._judge_ring(ring, people)
        await self._phase(
            [(c, c.part + 1, self._second) for c in self._standing.plan.changes if self._standing.later(c)]
        )
        await self._phase([(group, 1, self._members) for group in self._standing.plan.groups])

    async def _phase(self, todo: Sequence[tuple[_C, int, Callable[[_C], Awaitable[Outcome]]]]) -> None:
        settled = [task for task in todo if (task[0].key, task[1]) in self._standing.outcomes]
        self._observer.advance(len(settled))
        queue = iter([task for task in todo if (task[0].key, task[1]) not in self._standing.outcomes])
        group = asyncio.TaskGroup()

        async def worker() -> None:
            for change, part, carry in queue:
                if self._standing.stop.is_set():
                    return
                began = self._clock.monotonic()
                begun = self._begin(change.key, part)
                try:
                    await self._others(change, part)
                    if self._standing.stop.is_set():
                        return
                    with urgently(when=lifecycle.takes_access(change)):
                        outcome = await carry(change)
                    came = self._came(change, part, outcome, began)
                    if self._is_unasked(change, part, outcome):
                        group.create_task(came)
                        await asyncio.sleep(0)  # so that it waits for the disk before the next intent does
                    else:
                        await came
                except TargetError as error:
                    self._standing.fail(error)
                    return
                finally:
                    begun.set()

        try:
            async with group:
                for _ in range(min(self._workers, len(todo))):
                    group.create_task(worker())
        except BaseExceptionGroup as raised:  # what is wrong with the store is wrong for every worker
            raise raised.exceptions[0] from raised

    def _is_unasked(self, change: Change | GroupChange, part: int, outcome: Outcome) -> bool:
        """Whether the next change may begin before this outcome is durable, as it is with that one's intent."""
        plain = isinstance(change, Change) and part == change.part and change.key not in self._awaited
        return plain and outcome.status in GOOD

    async def _came(self, change: Change | GroupChange, part: int, outcome: Outcome, began: float) -> None:
        """Make what came of a change durable, and judge whether the run may go on."""
        try:
            outcome = await self._settle(change, part, outcome)
            self._metrics.settled(change.word, outcome, self._clock.monotonic() - began)
            await self._judge(change, outcome)
        except TargetError as error:
            self._standing.fail(error)

    async def _judge(self, change: Change | GroupChange, outcome: Outcome) -> None:
        """End the run where the target refuses more than one person; but first try to take access from everybody.

        Raises:
            TargetDenied: It forbids our client something.
            SchemaDrifted: Its schema changed.
        """
        if isinstance(change, Change) and change.action is Action.DISABLE:
            self._taken.append((change, outcome))
        elif isinstance(change, Change) and (error := await self._ended(change, outcome)) is not None:
            raise error

    async def _ended(self, change: Change, outcome: Outcome) -> TargetError | None:
        return await self._denials.judge(change, outcome) or await self._schema.judge()

    def _refused(self, key: str, reply: Reply) -> None:
        self._denials.refused(key, reply)
        self._schema.refused(key, reply)

    async def _judge_taken(self) -> None:
        """The same for access that was to be taken away, once all of it was tried."""
        taken, self._taken = sorted(self._taken, key=lambda one: one[1].status in GOOD, reverse=True), []
        for change, outcome in taken:
            if (error := await self._ended(change, outcome)) is not None:
                self._standing.fail(error)

    def _judge_ring(self, ring: int, people: Set[str]) -> None:
        """Begin nobody after a ring that went wrong."""
        if self._standing.stop.is_set() or not 0 <= ring < self._rings - 1:
            return
        came = [o for at, o in self._standing.outcomes.items() if o.key in people and at not in self._excused]
        if why := rings.halted(ring, self._rings, self._ring_errors, came):
            self._standing.halt(f"{why}. Mend what is wrong, or go on: scimsync apply {self._run.id} --resume")

    def _begin(self, key: str, part: int) -> asyncio.Event:
        begun = asyncio.Event()
        if part == 1 and key in self._awaited:
            self._begun[key] = begun
        return begun

    async def _others(self, change: Change | GroupChange, part: int) -> None:
        """Wait for the outcomes of those whom this change needs.

        Only for what was begun before, so that no two wait for each other, whatever the order of the plan.
        """
        for delta in change.awaiting if isinstance(change, Change) and part == change.part else ():
            if delta.awaits != change.key and (begun := self._begun.get(delta.awaits or "")) is not None:
                await begun.wait()

    async def _settle(self, change: Change | GroupChange, part: int, outcome: Outcome) -> Outcome:
        """Make what came of a change durable, and know it from here on."""
        outcome = await self._journal.settle(change, part, outcome)
        self._standing.outcomes[outcome.key, part] = outcome
        self._settled += outcome.status is not Status.DEFERRED  # what is tried again each time is no progress
        if 0 < self._chunk <= self._settled and self._clock.monotonic() - self._began >= self._chunk_s:
            self._standing.pause()
        self._observer.advance()
        return outcome

    def _defer(self, reply: Reply) -> None:
        self._standing.defer(reply, self._clock.now())

    async def _first(self, change: Change) -> Outcome:
        """Write what can be written by now; delete the account of who left long ago."""
        if change.action is Action.DELETE:
            return await self._remover.remove(Attempt(self._means, change.key, change.part, change.account or ""))
        deltas, left_out = self._standing.written(change)
        attempt = Attempt(self._means, change.key, change.part, change.account or "")
        if not deltas or (change.action in MAKING and LOGIN in left_out):
            outcome = attempt.deferred(change, left_out)
        elif change.account is None:
            outcome = await self._maker.create(attempt, deltas)
        elif change.action is Action.RESTORE:
            outcome = await self._reviver.restore(attempt, deltas, change.version)
        else:
            filled = [d for d in deltas if d.awaits is not None]
            operations = (*change.operations, *self._means.operations_of(filled))
            version, seen = self._standing.version(change), self._standing.is_seen(change)
            outcome = await self._writer.write(attempt, deltas, operations, version, seen=seen)
        if not attempt.looks:  # else its version is of an account that the plan has not seen
            self._standing.straight.add((change.key, change.part))
        return replace(outcome, deferred=left_out) if left_out else outcome

    async def _second(self, change: Change) -> Outcome:
        """Set the references, and the login, that could not be written with the rest."""
        first = self._standing.outcomes.get((change.key, change.part))
        account = change.account or (first.account if first else None)
        attempt = Attempt(self._means, change.key, change.part + 1, account or "")
        later = self._standing.later(change)
        if first is not None and first.status in {Status.HELD, Status.FAILED}:  # but who is parked goes on
            later = tuple(d for d in later if d.path == LOGIN and LOGIN in first.written)
        if account is None or not later:
            why = "the person has no settled account yet"
            return attempt.outcome(Status.DEFERRED, "reference.deferred", why)
        deltas, left_out = self._standing.ready(later)
        back = logins.back(change, self._standing.plan.changes, self._standing.of) if LOGIN in left_out else None
        deltas += [] if back is None else [back]
        if not deltas:
            return attempt.deferred(change, left_out)
        operations = self._means.operations_of(deltas)
        version = first.version if first is not None else change.version
        seen = (change.key, change.part) in self._standing.straight or any(d.path == LOGIN for d in deltas)
        outcome = await self._writer.write(attempt, deltas, operations, version, seen=first is None or seen)
        if outcome.status not in GOOD:
            return logins.still_parked(change, outcome)
        if not left_out:
            return outcome
        rest = attempt.deferred(change, left_out, back)
        return replace(outcome, status=rest.status, code=rest.code, detail=rest.detail)

    async def _members(self, group: GroupChange) -> Outcome:
        resumed = self._run.state in {RunState.APPLYING, RunState.INTERRUPTED}
        return await GroupWriter(group, self._group_ports(group)).write(
            resumed=resumed, reopened=(group.key, 1) in self._standing.open
        )

    def _group_ports(self, group: GroupChange) -> GroupPorts:
        async def intend(batch: Left, version: str, attempt: int) -> None:
            line = self._journal.line(group.key, 1, "PATCH", version, attempt)
            await self._journal.intend(line, edits_of_members(grouping.written(batch.add, batch.remove)), group.group)

        return GroupPorts(
            target=self._ports.target,
            intend=intend,
            account_of=self._standing.settled_account,
            defer=self._defer,
            harmed=self._standing.halt_groups,
            halted=lambda: self._standing.halted,
            providing=self._providing,
            removing=self._removing,
        )
