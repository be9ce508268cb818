"""Carry out a plan: journal, send, judge the answer, settle; concurrently, and so that a crash loses nothing.

Order: leavers, of whom the access alone is taken away before anything else is begun; then those who give a login
up to somebody, joiners, rehires, movers and what else HR says about leavers; then the references that were
deferred and the logins of people who were parked, then the members of groups. Joiners stand after those whom
their references name, and whoever carries one out waits for the outcome of the others: the new account is then
written with its manager. Each write has a durable intent before it leaves and a durable outcome after. A run that
was cut short is continued by applying the plan again: what has an outcome is done, an intent without outcome is
settled by reading, the rest is carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from scimsync.core import grouping, leaving, lifecycle, logins, notifications, planner
from scimsync.core.grouping import Left
from scimsync.core.identity import brought_back, parted
from scimsync.core.replies import MOST_RACES, Next, decide, is_taken, words
from scimsync.core.writing import resource, split
from scimsync.engine import limiting, recording
from scimsync.engine.attempts import Attempt, Means
from scimsync.engine.caution import Caution
from scimsync.engine.group_writer import GroupPorts, GroupWriter
from scimsync.engine.journal import Journal
from scimsync.engine.membership import remember
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts
from scimsync.engine.recording import Application, Recorder, digest_of, edits_of, edits_of_members
from scimsync.engine.searching import Hit, Search
from scimsync.errors import ScimsyncError, TargetError, TargetUnanswered
from scimsync.model.audit import Edit
from scimsync.model.events import Message, Subscription
from scimsync.model.outcomes import (
    Deferred,
    JournalLine,
    Link,
    LinkDecision,
    Outcome,
    Reply,
    Run,
    RunState,
    Status,
    Step,
)
from scimsync.model.plans import BESIDES, ITSELF, LOGIN, Change, Delta, GroupChange, Plan, Verdict
from scimsync.model.reports import Report
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Place
from scimsync.workbench.agreed import lay_outcomes, unremembered
from scimsync.workbench.bench import Workbench
from scimsync.workbench.owning import own
from scimsync.workbench.past import stage_links

_C = TypeVar("_C", Change, GroupChange)
_GOOD = {Status.DONE, Status.ALREADY}
_FINAL = {*_GOOD, Status.HELD, Status.FAILED}
#: the parts that the work on one person may have
_PARTS = (ITSELF, ITSELF + 1, BESIDES, BESIDES + 1)


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
    applier = _Applier(plan, run, ports, options, stop or asyncio.Event())
    if run.state is RunState.DONE:
        return applier.report()
    given = Application(
        actor=options.actor, at=ports.clock.now(), overrides=options.overrides, attributes=options.policy.attributes
    )
    ports.store.append((), tuple(recording.begun(plan, run, ports.store, given)))
    begun = limiting.begin(ports.store, plan, run, options.overrides, ports.clock.now())
    ports.store.save_run(begun)
    try:
        await applier.work()
        report = _finish(plan, begun, ports, applier.report(), applier)
        if applier.failed is not None:
            raise applier.failed
    except ScimsyncError:
        if lost := applier.report().kept:
            ports.observer.say(leaving.sentence(lost))
        raise
    return report


async def settle_run(plan: Plan, run: Run, ports: ApplyPorts, options: ApplyOptions) -> Report:
    """Learn what a run that was cut short came to, without sending anything that was not sent.

    What it journalled goes into base and links; a write that was left open is settled by reading.

    Raises:
        TargetError: The target refuses us or cannot be reached.
    """
    applier = _Applier(plan, run, ports, options, asyncio.Event())
    await applier.settle()
    return _finish(plan, run, ports, applier.report(), applier, state=RunState.PARTIAL)


class _Applier:
    """One application of one plan."""

    def __init__(self, plan: Plan, run: Run, ports: ApplyPorts, options: ApplyOptions, stop: asyncio.Event) -> None:
        self._plan, self._run, self._options, self._stop = plan, run, options, stop
        self._target, self._store, self._clock, self._observer = ports.target, ports.store, ports.clock, ports.observer
        self._metrics = ports.metrics
        self._attributes = options.attributes
        self._places = {path: mapped.place for path, mapped in self._attributes.items()}
        self._journal = Journal(ports.store.append)
        digest = digest_of(ports.store.artifact(run.plan)) if run.plan else ""
        self._recorder = Recorder(plan, digest, options.actor)
        self._outcomes: dict[tuple[str, int], Outcome] = {}
        self._open: set[tuple[str, int]] = set()
        self._groups = {group.key for group in plan.groups}
        self._owners: dict[str, str] | None = None
        self.caution = Caution(trusting=options.keeps_others)
        self._means = Means(target=ports.target, attributes=options.attributes, caution=self.caution)
        self._search = Search(self._target, self._clock, self._matched(), self._observer.say)
        #: accounts that this run made -> key
        self._born: dict[str, str] = {}
        self._parted = frozenset(parted(ports.store.link_decisions()))
        self._why = ""
        #: why no more groups may be written
        self._halted = ""
        #: the first parts at work or done whose outcome others may wait for
        self._begun: dict[str, asyncio.Event] = {}
        self._awaited = {d.awaits for c in plan.changes for d in c.awaiting}
        #: why the target let us down; whoever is at work then comes to an end, and no more is begun
        self.failed: TargetError | None = None
        for line in ports.store.journal(run.id):
            self._remember(line)

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Who is told of what comes of it."""
        return self._options.subscriptions

    def _matched(self) -> list[Place]:
        return [place for place in self._options.policy.match if place.short in self._places]

    def _remember(self, line: JournalLine) -> None:
        part = (line.key, line.part)
        if line.step is Step.INTENT:
            self._open.add(part)
        elif line.outcome is not None:
            self._open.discard(part)
            if line.outcome.status in _FINAL:
                self._outcomes[part] = line.outcome
                if line.outcome.account and line.outcome.code != "account.gone":
                    self._born[line.outcome.account] = line.key
                if line.outcome.code == grouping.HARMED and line.key in self._groups:
                    self._halted = line.outcome.detail

    async def work(self) -> None:
        """All phases; cancelled by whoever asked to stop and would not wait, what is under way is left open."""
        try:
            await self._phases()
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise

    async def _phases(self) -> None:
        todo = [(c, c.part, self._first) for c in self._plan.changes if c.operations or c.awaiting]
        later = sum(1 for c in self._plan.changes if c.deferred)
        self._observer.stage("applying", len(todo) + later + len(self._plan.groups))
        givers = lifecycle.giving(self._plan.changes)
        turns = [lifecycle.turn(change, givers) for change, _, _ in todo]
        for number in sorted(set(turns)):
            await self._phase([task for task, turn in zip(todo, turns, strict=True) if turn == number])
        await self._phase([(c, c.part + 1, self._second) for c in self._plan.changes if self._later(c)])
        await self._phase([(group, 1, self._members) for group in self._plan.groups])

    async def _phase(self, todo: Sequence[tuple[_C, int, Callable[[_C], Awaitable[Outcome]]]]) -> None:
        settled = [task for task in todo if (task[0].key, task[1]) in self._outcomes]
        self._observer.advance(len(settled))
        queue = iter([task for task in todo if (task[0].key, task[1]) not in self._outcomes])

        async def worker() -> None:
            for change, part, carry in queue:
                if self._stop.is_set():
                    return
                began = self._clock.monotonic()
                begun = self._begin(change.key, part)
                try:
                    await self._others(change, part)
                    if self._stop.is_set():
                        return
                    outcome = await self._settle(change, part, await carry(change))
                    self._metrics.settled(change.word, outcome, self._clock.monotonic() - began)
                except TargetError as error:
                    self.failed = self.failed or error
                    self._stop.set()
                    return
                finally:
                    begun.set()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._options.workers, len(todo))):
                    group.create_task(worker())
        except BaseExceptionGroup as raised:  # what is wrong with the store is wrong for every worker
            raise raised.exceptions[0] from raised

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

    async def settle(self) -> None:
        """Settle by reading whatever was left open, and only that."""
        for change in self._plan.changes:
            for part in (change.part, change.part + 1):
                if (change.key, part) in self._open:
                    await self._settle(change, part, await self._looked_after(change, part))
        for group in self._plan.groups:
            if (group.key, 1) in self._open:
                await self._settle(group, 1, await GroupWriter(group, self._group_hands(group)).settle())

    async def _looked_after(self, change: Change, part: int) -> Outcome:
        attempt = Attempt(self._means, change.key, part, change.account or "")
        written, left_out = self._written(change)
        deltas = [d for d in written if d.path in self._attributes] if part == change.part else []
        if change.account is None and part == change.part:
            hit = await self._search.person(deltas)
            found = hit.accounts[0] if hit is not None and len(hit.accounts) == 1 else None
            if found is not None and self._whose(attempt, deltas, found) == change.key:
                attempt.account = str((found.body or {}).get("id", ""))
                if (back := self._brought_back(attempt, deltas, found)) is not None:
                    return replace(back, deferred=left_out)
        if not attempt.account or not deltas:
            return attempt.outcome(Status.DEFERRED, "run.unfinished", "the run was cut short")
        looked = await attempt.look(deltas)
        if isinstance(looked, Outcome):
            return replace(looked, deferred=left_out)
        return attempt.outcome(Status.DEFERRED, "run.unfinished", "the run was cut short before this was written")

    async def _settle(self, change: Change | GroupChange, part: int, outcome: Outcome) -> Outcome:
        """Make what came of a change durable, and know it from here on."""
        outcome = replace(outcome, part=part)
        if isinstance(change, Change):
            outcome = leaving.judged(change, outcome)
        line = self._line(outcome.key, part, Step.OUTCOME, outcome=outcome)
        record = self._recorder.outcome(outcome, part, line.at)
        await self._journal.write(line, record, self._messages(change, outcome, line))
        self._outcomes[outcome.key, part] = outcome
        self._observer.advance()
        return outcome

    def _messages(self, change: Change | GroupChange, outcome: Outcome, line: JournalLine) -> list[Message]:
        messages: list[Message] = []
        for told in self._options.subscriptions:
            if isinstance(change, GroupChange):
                events = notifications.of_group(change, outcome, line.run, line.at, values=told.values)
            else:
                events = notifications.of_outcome(
                    change, outcome, line.run, line.at, self._attributes, values=told.values
                )
            messages += notifications.messages_to(events, told)
        return messages

    async def _intend(self, line: JournalLine, edits: tuple[Edit, ...], account: str = "") -> None:
        await self._journal.write(line, self._recorder.intent(line, edits, account))

    def _line(self, key: str, part: int, step: Step, **more: object) -> JournalLine:
        return replace(
            JournalLine(run=self._run.id, key=key, part=part, step=step, at=self._clock.now()),
            **more,  # type: ignore[arg-type]
        )

    # --- the first pass ---------------------------------------------------------------------

    async def _first(self, change: Change) -> Outcome:
        deltas, left_out = self._written(change)
        attempt = Attempt(self._means, change.key, change.part, change.account or "")
        if not deltas or (change.account is None and LOGIN in left_out):
            outcome = attempt.deferred(change, left_out)
        elif change.account is None:
            outcome = await self._create(change, deltas)
        else:
            filled = [d for d in deltas if d.awaits is not None]
            operations = (*change.operations, *planner.operations_of(filled, [*self._attributes.values()]))
            outcome = await self._write(attempt, deltas, operations, self._version(change))
        return replace(outcome, deferred=left_out)

    def _version(self, change: Change) -> str:
        """What a change is written under: the version of the plan, or the one that taking the access away left."""
        before = self._outcomes.get((change.key, ITSELF)) if change.part == BESIDES else None
        return change.version if before is None else before.version

    def _written(self, change: Change) -> tuple[list[Delta], tuple[str, ...]]:
        """What the first pass writes, and the paths it leaves out because what they wait for is not there."""
        ready, left_out = self._ready(change.awaiting)
        return [*(d for d in change.deltas if d.verdict is Verdict.WRITE), *ready], left_out

    def _ready(self, waiting: Iterable[Delta]) -> tuple[list[Delta], tuple[str, ...]]:
        """Of what waits for others, what can be written by now, and the paths of the rest."""
        ready: list[Delta] = []
        left_out: list[str] = []
        for delta in waiting:
            awaits = delta.awaits or ""
            account = self._settled_account(awaits)
            if delta.path == LOGIN and logins.is_given_up(delta, self._of(awaits)):
                ready.append(replace(delta, verdict=Verdict.WRITE))
            elif delta.path != LOGIN and account is not None:
                ready.append(_filled(delta, account))
            else:
                left_out.append(delta.path)
        return ready, tuple(left_out)

    def _of(self, key: str) -> list[Outcome]:
        """What came of one person so far."""
        return [found for part in _PARTS if (found := self._outcomes.get((key, part))) is not None]

    async def _write(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation], version: str
    ) -> Outcome:
        """Send operations under a version, until they are settled, held, or there is nothing left to send."""
        reopened = (attempt.key, attempt.part) in self._open
        if reopened or not version or self.caution.wants_sight(operations):
            looked = await attempt.look(deltas, after=Next.SETTLE if reopened or not version else Next.REPLAN)
            if isinstance(looked, Outcome):
                return looked
            deltas, operations, version = looked
        async with self.caution.turn(operations, attempt.before):
            return await self._sent(attempt, deltas, operations, version)

    async def _sent(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation], version: str
    ) -> Outcome:
        looks = attempt.looks
        while True:
            deltas, operations = self._spared(attempt, deltas, operations)
            if not operations:
                return attempt.settled(Status.ALREADY)
            before = attempt.before
            deltas, reply, is_whole = await self._send(attempt, deltas, operations, version)
            step = decide(reply)
            if step in {Next.CONFIRM, Next.READ_BACK} and is_whole:
                return await self._answered(attempt, deltas, operations, reply)
            if is_taken(reply) and any(d.path == LOGIN for d in deltas):
                return await self._without_login(attempt, deltas, reply, version)
            if step not in {Next.CONFIRM, Next.REPLAN, Next.READ_BACK, Next.SETTLE}:
                return self._refused(attempt, step, reply)
            if step is Next.REPLAN:
                attempt.races += 1
            looked = await attempt.look(deltas, after=step)
            if isinstance(looked, Outcome):
                return looked if step is Next.REPLAN else attempt.harmed(before, operations, looked)
            if attempt.races > MOST_RACES or attempt.looks - looks > 2 * MOST_RACES:
                return attempt.outcome(Status.HELD, "write.races", "the account changed again each time we came")
            deltas, operations, version = looked

    async def _without_login(self, attempt: Attempt, deltas: Sequence[Delta], reply: Reply, version: str) -> Outcome:
        """Send the rest of a change whose login somebody else has."""
        attempt.taken = words(reply)
        rest = [delta for delta in deltas if delta.path != LOGIN]
        if not rest:
            return attempt.settled(Status.DONE, reply)
        return await self._sent(attempt, rest, planner.operations_of(rest, [*self._attributes.values()]), version)

    def _spared(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation]
    ) -> tuple[Sequence[Delta], Sequence[Operation]]:
        """What is left to write without the kinds of write that did harm in this run."""
        stopped = self.caution.stopped(operations)
        if not stopped:
            return deltas, operations
        spared = [d for d in deltas if self._places[d.path].root.lower() in stopped]
        attempt.spare(d.path for d in spared)
        rest = [d for d in deltas if d not in spared]
        return rest, planner.operations_of(rest, [*self._attributes.values()])

    async def _answered(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation], reply: Reply
    ) -> Outcome:
        """Judge a success by the account that it shows; by the account itself where it shows none, or shows trouble."""
        seen = reply
        if reply.body is None or attempt.is_doubtful(deltas, operations, reply.body):
            seen = await self._target.get(attempt.account)
            if seen.status == 404:
                return attempt.outcome(Status.HELD, "account.gone", "the account was deleted in the directory", seen)
            if (not seen.ok or seen.body is None) and reply.body is None:
                return attempt.outcome(Status.DEFERRED, "target.not-now", words(seen), seen)
            seen = seen if seen.ok and seen.body is not None else reply
        return attempt.confirm(deltas, operations, seen)

    async def _send(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation], version: str
    ) -> tuple[Sequence[Delta], Reply, bool]:
        """One PATCH, or where it may not hold everything several, each under the version that the one before left.

        Gives the deltas as our own writes leave them, the last reply, and whether nothing is left to send.
        """
        options = self._options
        *first, last = split(operations, most=options.operations_per_patch, size=options.request_bytes) or [()]
        for part in first:
            reply = await self._patch(attempt, deltas, part, version)
            if decide(reply) is not Next.CONFIRM or reply.body is None:
                return deltas, reply, False
            attempt.arrived(deltas, reply.body)
            if not reply.version:
                return deltas, reply, False
            deltas, version = planner.advanced(deltas, reply.body, self._attributes), reply.version
        return deltas, await self._patch(attempt, deltas, last, version), True

    async def _patch(
        self, attempt: Attempt, deltas: Sequence[Delta], operations: Sequence[Operation], version: str
    ) -> Reply:
        number = attempt.races + 1
        line = self._line(attempt.key, attempt.part, Step.INTENT, method="PATCH", version=version, attempt=number)
        await self._intend(line, edits_of(deltas), attempt.account)
        return await self._target.patch(attempt.account, operations, version)

    def _refused(self, attempt: Attempt, step: Next, reply: Reply) -> Outcome:
        if step is Next.DEFER:
            self._defer(reply)
            return attempt.outcome(Status.DEFERRED, "target.not-now", words(reply), reply)
        if step is Next.GONE:
            return attempt.outcome(Status.HELD, "account.gone", "the account was deleted in the directory", reply)
        return attempt.outcome(Status.FAILED, "target.refused", words(reply), reply)

    def _defer(self, reply: Reply) -> None:
        """Stop the run where the target wants a longer pause than we wait."""
        if reply.retry_after_s is not None:
            at = self._clock.now() + timedelta(seconds=reply.retry_after_s)
            self._why = f"the target wants no request before {at:%H:%M} UTC; apply the plan again then"
        elif reply.status == 429:
            self._why = "the target keeps throttling; apply the plan again later"
        if self._why:
            self._stop.set()

    # --- joiners ----------------------------------------------------------------------------

    async def _create(self, change: Change, deltas: Sequence[Delta]) -> Outcome:
        """Make an account, where nobody who fits is found; what was answered with a success is never sent again."""
        attempt = Attempt(self._means, change.key, 1, "")
        is_resumed = (change.key, 1) in self._open
        try:
            hit = await self._search.person(deltas, login=is_resumed or not self._options.unique_logins)
            if hit is not None:
                return await self._met(attempt, deltas, hit, ours=is_resumed)
            for _ in range(MOST_RACES):
                outcome = await self._made(attempt, deltas)
                if outcome is not None:
                    return outcome
        except TargetUnanswered as error:
            return attempt.outcome(Status.DEFERRED, "target.not-now", str(error))
        return attempt.outcome(Status.HELD, "write.unknown", "the account could be neither created nor found")

    async def _made(self, attempt: Attempt, deltas: Sequence[Delta]) -> Outcome | None:
        """Send one POST; None where it was lost, nobody is found, and the directory refuses a second account."""
        await self._intend(self._line(attempt.key, attempt.part, Step.INTENT, method="POST"), edits_of(deltas))
        reply = await self._target.create(resource((self._places[d.path], d.sides.desired) for d in deltas))
        step = decide(reply)
        if step in {Next.CONFIRM, Next.READ_BACK} and (made := await self._told(reply, deltas)) is not None:
            return self._created(attempt, deltas, made)
        if step not in {Next.SETTLE, Next.READ_BACK, Next.CONFIRM, Next.LOOK_UP}:
            return self._refused(attempt, step, reply)
        look = self._search.person if step is Next.LOOK_UP else self._search.patiently
        if (hit := await look(deltas)) is not None:
            return await self._met(attempt, deltas, hit, ours=step is not Next.LOOK_UP)
        if step is Next.LOOK_UP:
            told = "the login is taken by an account that cannot be seen"
            return attempt.outcome(Status.HELD, "account.name-taken", told, reply)
        if step is Next.SETTLE and self._options.unique_logins:
            return None
        told = f"{words(reply) or 'no answer'}: whether the account was made is unknown, and nobody is found"
        return attempt.outcome(Status.HELD, "write.unknown", told, reply)

    async def _told(self, reply: Reply, deltas: Sequence[Delta]) -> Reply | None:
        """The new account as the answer shows it, or as it is found at the place that the answer names."""
        account = reply.location if reply.body is None else str(reply.body.get("id", ""))
        if account and (reply.body is None or planner.unmet(deltas, reply.body, self._attributes)):
            seen = await self._target.get(account)
            reply = seen if reply.body is None or seen.ok else reply
        if not reply.ok or reply.body is None:
            return None
        is_known = self._owner(str(reply.body.get("id", ""))) is not None
        return reply if is_known or self._fits(deltas, reply, but=LOGIN) else None

    def _created(self, attempt: Attempt, deltas: Sequence[Delta], made: Reply) -> Outcome:
        """What came of a creation that was answered: a new account, one that was brought back, or somebody else's."""
        account = str((made.body or {}).get("id", ""))
        owner = self._owner(account)
        if owner not in {None, attempt.key} or (attempt.key, account) in self._parted:
            told = f"the directory answered with the account {account}, which is {_whose(owner)}; look at it"
            return attempt.outcome(Status.HELD, "correlation.taken", told, made)
        attempt.account = account
        back = self._brought_back(attempt, deltas, made)
        outcome = attempt.confirm(deltas, (), made) if back is None else back
        self._born[account] = attempt.key
        restored = owner == attempt.key and outcome.status is Status.DONE
        told = "the deleted account of this person came back; look whether roles and groups did too"
        return replace(outcome, code="account.restored", detail=told) if restored else outcome

    def _brought_back(self, attempt: Attempt, deltas: Sequence[Delta], reply: Reply) -> Outcome | None:
        """Hold a joiner whose new account holds what nobody sent: it was somebody's before."""
        sent = resource((self._places[d.path], d.sides.desired) for d in deltas)
        shown = brought_back(sent, reply.body or {}, self._options.default_roles)
        if not shown or self._owner(attempt.account) == attempt.key:
            return None
        account, attempt.account = attempt.account, ""
        self._store.decide_link(LinkDecision(attempt.key, account, same=False))
        told = f"a deleted account came back as {account}, with {', '.join(shown)} of whoever had it"
        return attempt.outcome(Status.HELD, "account.restored", told, reply)

    async def _met(self, attempt: Attempt, deltas: Sequence[Delta], hit: Hit, *, ours: bool) -> Outcome:
        """Go on with what a search found; `ours` where it should be the account that we asked for."""
        if len(hit.accounts) > 1:
            told = f"{hit.path} finds {len(hit.accounts)} accounts that the listing did not show to be this person's"
            return attempt.outcome(Status.HELD, "correlation.ambiguous", told)
        found = hit.accounts[0]
        body = found.body or {}
        account = str(body.get("id", ""))
        owner = self._whose(attempt, deltas, found)
        if owner != attempt.key:
            told = f"{hit.path} finds the account of another person, {account}, which is {_whose(owner)}"
            return attempt.outcome(Status.HELD, "correlation.taken", told, found)
        if self._is_protected(attempt.key, body):
            told = f"{hit.path} finds a protected account, or one that shows no login: {account}"
            return attempt.outcome(Status.HELD, "account.protected", told, found)
        attempt.account = account
        back = self._brought_back(attempt, deltas, found) if ours else None
        return await self._adopt(attempt, deltas, found) if back is None else back

    async def _adopt(self, attempt: Attempt, deltas: Sequence[Delta], found: Reply) -> Outcome:
        """Take over the account that a search found, and that is nobody else's."""
        body = found.body or {}
        adopted = planner.adopt(deltas, body, self._attributes)
        held = [d.path for d in adopted if d.verdict is Verdict.CONFLICT]
        if held:
            attempt.account = ""
            told = f"an account of this person exists and differs in {', '.join(held)}"
            return attempt.outcome(Status.HELD, "account.adoption", told)
        attempt.already = {d.path: d.sides.desired for d in deltas if d.path not in {a.path for a in adopted}}
        writes = [d for d in adopted if d.verdict is Verdict.WRITE]
        if not writes:
            return attempt.outcome(Status.ALREADY, reply=found)
        self._open.discard((attempt.key, attempt.part))
        attempt.overwrite(d.path for d in writes if d.sides.current is not None)
        operations = planner.operations_of(writes, [*self._attributes.values()])
        outcome = await self._write(attempt, writes, operations, found.version)
        # What was agreed is what HR wants, not the list with what others have in it.
        wanted = {d.path: d.sides.desired for d in deltas if d.path in outcome.written}
        adopted_code = "account.adopted" if outcome.status is Status.DONE and not outcome.code else outcome.code
        return replace(outcome, written={**outcome.written, **wanted}, code=adopted_code)

    def _is_protected(self, key: str, body: Mapping[str, object]) -> bool:
        name, policy = str(body.get(LOGIN) or ""), self._options.policy
        return planner.is_nameless(name, policy) or planner.is_protected(key, name, policy)

    def _fits(self, deltas: Iterable[Delta], found: Reply, *, but: str = "") -> bool:
        """Whether an account carries nobody else's key: where it has a value to match by, it is ours."""
        wanted = {delta.path: delta.sides.desired for delta in deltas}
        for place in self._options.policy.match:
            held = place.read(found.body or {}) if place.short in self._places and place.short != but else None
            if held is not None and not place.alike(held, wanted.get(place.short)):
                return False
        return True

    def _whose(self, attempt: Attempt, deltas: Iterable[Delta], found: Reply) -> str | None:
        """The key that an account may be taken for: ours where it is nobody's and carries nobody else's mark."""
        account = str((found.body or {}).get("id", ""))
        owner = self._owner(account)
        if owner is not None:
            return owner
        if not self._fits(deltas, found) or (attempt.key, account) in self._parted:
            return None
        return attempt.key

    def _owner(self, account: str) -> str | None:
        """Whose account it is: by this plan, by what this run made, or by a link."""
        if self._owners is None:
            self._owners = {c.account: c.key for c in self._plan.changes if c.account} | self._paired()
        return self._born.get(account) or self._owners.get(account) or self._store.owner_of(account)

    def _paired(self) -> dict[str, str]:
        """Who was found for whom while planning, and is not linked yet."""
        agreed = self._store.artifact(self._run.agreed)
        with Workbench(agreed.parent, helpers=False) as bench:
            stage_links(bench, self._store.links())
            return {account: key for key, account in unremembered(bench, agreed)}

    # --- the second pass --------------------------------------------------------------------

    def _later(self, change: Change) -> tuple[Delta, ...]:
        """What is left to the second pass, by the plan or because what it waits for was not there."""
        first = self._outcomes.get((change.key, change.part))
        left_out = first.deferred if first is not None and first.status is not Status.DEFERRED else ()
        return (*change.deferred, *(d for d in change.awaiting if d.path in left_out))

    async def _second(self, change: Change) -> Outcome:
        """Set the references, and the login, that could not be written with the rest."""
        first = self._outcomes.get((change.key, change.part))
        account = change.account or (first.account if first else None)
        attempt = Attempt(self._means, change.key, change.part + 1, account or "")
        later = self._later(change)
        if first is not None and first.status in {Status.HELD, Status.FAILED}:  # but who is parked goes on
            later = tuple(d for d in later if d.path == LOGIN and LOGIN in first.written)
        if account is None or not later:
            why = "the person has no settled account yet"
            return attempt.outcome(Status.DEFERRED, "reference.deferred", why)
        deltas, left_out = self._ready(later)
        back = logins.back(change, self._plan.changes, self._of) if LOGIN in left_out else None
        deltas += [] if back is None else [back]
        if not deltas:
            return attempt.deferred(change, left_out)
        operations = planner.operations_of(deltas, [*self._attributes.values()])
        version = first.version if first is not None else change.version
        outcome = await self._write(attempt, deltas, operations, version)
        if outcome.status not in _GOOD:
            return logins.still_parked(change, outcome)
        if not left_out:
            return outcome
        rest = attempt.deferred(change, left_out, back)
        return replace(outcome, status=rest.status, code=rest.code, detail=rest.detail)

    # --- members ----------------------------------------------------------------------------

    async def _members(self, group: GroupChange) -> Outcome:
        resumed = self._run.state in {RunState.APPLYING, RunState.INTERRUPTED}
        return await GroupWriter(group, self._group_hands(group)).write(resumed=resumed)

    def _group_hands(self, group: GroupChange) -> GroupPorts:
        async def intend(batch: Left, version: str, attempt: int) -> None:
            line = self._line(group.key, 1, Step.INTENT, method="PATCH", version=version, attempt=attempt)
            await self._intend(line, edits_of_members(grouping.written(batch.add, batch.remove)), group.group)

        return GroupPorts(
            target=self._target,
            intend=intend,
            account_of=self._settled_account,
            defer=self._defer,
            harmed=self._halt_groups,
            halted=lambda: self._halted,
        )

    def _halt_groups(self, why: str) -> None:
        self._halted = why

    def _settled_account(self, key: str) -> str | None:
        """The account that this run made for a person."""
        made = self._outcomes.get((key, 1))
        return made.account if made is not None and made.status not in {Status.HELD, Status.FAILED} else None

    # --- the end ----------------------------------------------------------------------------

    def report(self) -> Report:
        """What came of it so far."""
        parts: dict[str, tuple[Outcome, ...]] = {}
        for (key, _), outcome in sorted(self._outcomes.items()):
            parts[key] = (*parts.get(key, ()), outcome)
        wanted = [(c.key, c.part) for c in self._plan.changes if c.operations or c.awaiting]
        wanted += [(c.key, c.part + 1) for c in self._plan.changes if self._later(c)]
        wanted += [(group.key, 1) for group in self._plan.groups]
        left = dict.fromkeys(key for key, part in wanted if (key, part) not in self._outcomes)
        stopped = str(self.failed or "") or self._why or ("stopped by you" if self._stop.is_set() else "")
        kept = leaving.by_run(self._plan, self._outcomes)
        return Report(run=self._run.id, outcomes=parts, left=tuple(left), stopped=stopped, kept=kept)

    def waiting(self) -> tuple[list[Deferred], list[tuple[str, str]]]:
        """The references that still wait for an account, and the (key, path) of those that were set."""
        waiting, settled = [], []
        for change in self._plan.changes:
            references = [d for d in (*change.awaiting, *change.deferred) if d.path != LOGIN]
            if not references:
                continue
            first, second = (self._outcomes.get((change.key, change.part + number)) for number in (0, 1))
            written = {path for part in (first, second) if part is not None for path in part.written}
            left = {d.path for d in change.deferred} | set(first.deferred if first is not None else ())
            if second is not None and second.status is not Status.DEFERRED:
                left = set()
            for delta in references:
                if delta.path in written:
                    settled.append((change.key, delta.path))
                elif delta.path in left:
                    awaits = delta.awaits or ""
                    waiting.append(Deferred(change.key, delta.path, awaits, self._run.id, self._run.created))
        return waiting, settled


def _whose(owner: str | None) -> str:
    """Whose account it is, for people to read."""
    return f"linked to {owner}" if owner is not None else "not known to be this person's"


def _filled(delta: Delta, account: str) -> Delta:
    """A reference whose account is known by now."""
    return replace(delta, verdict=Verdict.WRITE, sides=replace(delta.sides, desired=account))


def _finish(
    plan: Plan, run: Run, ports: ApplyPorts, report: Report, applier: _Applier, *, state: RunState | None = None
) -> Report:
    """Take into the base what really happened, remember the links, close the run."""
    store = ports.store
    groups = {group.key: group.group for group in plan.groups}
    people = {key: parts for key, parts in report.outcomes.items() if key not in groups}
    remember(store, run.id, ((groups[k], o) for k, parts in report.outcomes.items() if k in groups for o in parts))
    values = {  # the last word on each: a login may be written twice
        (outcome.key, path): value
        for parts in people.values()
        for outcome in parts
        for path, value in outcome.written.items()
    }
    found = (o for parts in people.values() for o in parts)
    accounts = {o.key: o.account for o in found if o.account and o.code != "account.gone"}
    last = store.last_applied()
    number = int(last.base.split("-")[1]) + 1 if last else 1
    base = store.artifact(f"base-{number:08d}-{run.id}.parquet")
    with Workbench(base.parent, helpers=False) as bench:
        lay_outcomes(
            bench, store.artifact(run.agreed), ((*who, value) for who, value in values.items()), accounts, base
        )
        for former in run.takes:
            store.take_links(former, run.source)
        stage_links(bench, store.links())
        own(bench, [run.source])
        fresh = (Link(key, account, run.source) for key, account in unremembered(bench, base))
        report = _contradicted(report, store.save_links(fresh, frozenset(plan.moved.values())))
    store.save_deferred(*applier.waiting())
    if state is None:
        state = RunState.DONE if report.clean else RunState.PARTIAL
        state = RunState.INTERRUPTED if report.stopped or report.left else state
    now = ports.clock.now()
    did = limiting.done(plan, people)
    ended = replace(run, state=state, base=base.name, finished=now, statuses=report.statuses, done=did)
    unbegun = [key for key, why in report.kept.items() if why == leaving.UNBEGUN]
    told = [notifications.of_kept(key, leaving.UNBEGUN, run.id, now) for key in unbegun]
    told.append(notifications.of_run(ended, now, report.stopped, len(report.kept)))
    store.save_run(
        ended, [message for one in applier.subscriptions for message in notifications.messages_to(told, one)]
    )
    return report


def _contradicted(report: Report, refused: Iterable[Link]) -> Report:
    """Hold whoever cannot be linked, because another key has the account by now."""
    words = "the account is linked to another key by now; the link stays"
    held = {
        link.key: Outcome(key=link.key, status=Status.HELD, code="correlation.taken", detail=f"{link.account}: {words}")
        for link in refused
    }
    outcomes = {key: (*report.outcomes.get(key, ()), outcome) for key, outcome in held.items()}
    return replace(report, outcomes={**report.outcomes, **outcomes})
