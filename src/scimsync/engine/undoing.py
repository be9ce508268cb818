"""Make a plan that looks back: the inverse of a run, or one person as of an earlier moment. HR is not asked.

It is a plan like any other from there on: shown, sealed, limited, applied, journalled, and taken back itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from scimsync.core import grouping, limits, logins, notifications, planner, validation
from scimsync.core import undoing as rules
from scimsync.core.findings import in_order, of_unread
from scimsync.core.identity import said
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.merge import merge
from scimsync.core.planner import Planned
from scimsync.core.returning import unmapped
from scimsync.core.undoing import Move, Seen, Trail
from scimsync.engine import binding, guarding, limiting
from scimsync.engine.foreseeing import foreseen
from scimsync.engine.hindsight import Wanted
from scimsync.engine.ledger import plain
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.preceding import check_target
from scimsync.engine.signatures import write as write_plan
from scimsync.engine.trails import GroupTrail
from scimsync.errors import FilterRefused, TargetUnanswered, TargetUnavailable
from scimsync.model.outcomes import Link, Run, RunState
from scimsync.model.plans import LOGIN, MAKING, Action, Change, Finding, GroupChange, Member, Plan, Seal, Sides
from scimsync.model.policy import Authority, Mapped, Policy
from scimsync.scim.schema import Value
from scimsync.workbench import layers
from scimsync.workbench import undone as tables
from scimsync.workbench.bench import Workbench

_T = TypeVar("_T")
#: why nobody takes back what another person would feel
ANOTHERS = "the account is linked to {owner} by now, and was this person's then"
PARTED = "the account is linked to nobody by now"
GONE = "the account is not there any more"


async def make_plan(ports: PlanPorts, request: PlanRequest, wanted: Wanted) -> Plan:
    """Compute, seal and store a plan that looks back. Nothing is written to the target; the source is not read.

    Args:
        ports: What it is made with.
        request: Policy, dialect, and what a person sets aside.
        wanted: What shall be taken back.

    Raises:
        TargetError: The directory cannot be read.
        StoreError: The state cannot be read or written.
    """
    folder = ports.store.artifact("plan").parent
    with Workbench(folder, memory_limit=request.memory_limit) as bench:
        return await _LookingBack(ports, request, wanted, bench).run()


@dataclass(slots=True)
class _LookingBack:
    ports: PlanPorts
    request: PlanRequest
    wanted: Wanted
    bench: Workbench
    findings: list[Finding] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    notices: list[Change] = field(default_factory=list)
    #: account -> as it is now; who is not there is missing
    seen: dict[str, Seen] = field(default_factory=dict)
    #: (key, path, value) of shared lists: what is agreed once they are written
    wishes: list[tuple[str, str, Value]] = field(default_factory=list)
    policy: Policy = field(init=False)
    former: Path | None = None
    agreed: dict[str, dict[str, Value]] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)

    async def run(self) -> Plan:
        ports, store, request = self.ports, self.ports.store, self.request
        self.policy = rules.backwards(request.policy, request.catalog, unmapped(request.policy, request.dialect))
        ports.target.manage(mapped.place for mapped in request.policy.attributes)
        self.findings += self.wanted.findings
        last = store.last_applied()
        check_target(last, ports.target.name)
        self.former = binding.proven(store, last.base) if last is not None and last.base else None
        trails = self.wanted.trails
        self.links = {link.account: link for link in store.links()}
        ports.observer.stage("reading the accounts", len(trails.people))
        await self._read({trail.account for trail in trails.people if trail.account})
        if self.former is not None:
            keys = {trail.key for trail in trails.people}
            self.agreed = tables.agreed(self.bench, self.former, keys, request.policy.attributes)
        deleted = [trail for trail in trails.people if trail.action is Action.DELETE and trail.account not in self.seen]
        for trail in trails.people:
            if trail not in deleted:
                self._decide(trail)
        await self._come_back(deleted)
        await self._validate()
        ports.observer.stage("reading the groups", len(trails.groups))
        groups = [change for group in trails.groups if (change := await self._group(group)) is not None]
        self._stage_accounts()
        guarded, told = await guarding.look(ports.target, self.bench, self.changes, groups)
        self.changes, self.findings = [*guarded], [*self.findings, *told]
        return self._store(last, tuple(groups))

    # --- people -------------------------------------------------------------------------------

    async def _read(self, accounts: Collection[str]) -> None:
        async def one(account: str) -> None:
            reply = await self.ports.target.get(account)
            self.ports.observer.advance()
            if reply.ok and reply.body is not None:
                self.seen[account] = Seen(resource=reply.body, version=reply.version)
            elif reply.status not in {404, 410}:
                raise TargetUnavailable(f"{self.ports.target.name}: account {account} cannot be read: {reply.detail}")

        await _each(sorted(accounts), one, self.request.workers)

    def _decide(self, trail: Trail) -> None:
        """Plan one person; or say why not."""
        if why := self._why_not(trail):
            self.findings.append(rules.left_out(trail.key, why))
            return
        trail = self._asked_for(trail)
        seen = self.seen[trail.account]
        if self.wanted.restores:
            then = self._chosen(self.wanted.then.get(trail.key, {}))
            planned = rules.bring_back(trail, seen, self.policy, then, self.agreed.get(trail.key, {}))
        else:
            planned = rules.take_back(trail, seen, self.policy)
        self._take(trail, planned)

    def _why_not(self, trail: Trail) -> str:
        if trail.doubtful:
            return "whether the run made this account is not known: the answer to its creation was lost"
        if not trail.account or trail.account not in self.seen:
            return GONE
        owner = self.links.get(trail.account)
        if owner is None:
            return PARTED
        if owner.source not in {"", self.request.source}:
            return f"the person belongs to the source {owner.source}: take it back with the configuration of that one"
        return "" if owner.key == trail.key else ANOTHERS.format(owner=owner.key)

    def _asked_for(self, trail: Trail) -> Trail:
        """The paths of a person that are asked for and can be taken back; what the directory took is given back too."""
        if trail.action in MAKING:
            return trail
        hidden = {one.path for one in self.ports.store.unshown((trail.key,))}
        moves = dict(trail.moves)
        known = self.policy.by_path
        for path in trail.moves:
            if self.wanted.paths and path not in self.wanted.paths:
                del moves[path]
            elif path not in known:
                self.findings.append(rules.left_out(trail.key, "the mapping does not manage it any more", path))
                del moves[path]
            elif path in hidden:
                self.findings.append(rules.left_out(trail.key, "the directory never shows it", path))
                del moves[path]
        if self._was_disabled(moves):
            lost = self.wanted.lost.get(trail.key, {})
            moves |= {path: Move(plain(value), None) for path, value in lost.items() if path not in moves}
        return replace(trail, moves=moves)

    def _was_disabled(self, moves: Mapping[str, Move]) -> bool:
        return ACTIVE in moves and moves[ACTIVE].after is False and moves[ACTIVE].before is not False

    def _chosen(self, then: Mapping[str, Value]) -> Mapping[str, Value]:
        return {path: value for path, value in then.items() if not self.wanted.paths or path in self.wanted.paths}

    def _take(self, trail: Trail, planned: Planned) -> None:
        self.findings += planned.findings
        made = [change for change in (planned.change, planned.besides) if change is not None]
        self.changes += made
        if planned.notice is not None:
            later = self._later(trail.key) if self.wanted.undoes else frozenset()
            self.notices.append(rules.by_later(planned.notice, later))
        for delta in (delta for change in made for delta in change.deltas):
            mapped = self.policy.by_path[delta.path]
            if mapped.is_shared and delta.path in self.request.policy.by_path:
                self.wishes.append((trail.key, delta.path, self._wish(trail, mapped, delta.sides)))

    def _wish(self, trail: Trail, mapped: Mapped, sides: Sides) -> Value:
        """What is agreed of a shared list once it is given back: what was agreed, moved as the list is moved."""
        agreed = self.agreed.get(trail.key, {}).get(mapped.path)
        turned = Sides(desired=sides.desired, current=agreed, base=sides.current, known=True)
        merged = merge(mapped.place, turned, Authority.MERGE)
        return agreed if merged is None else merged.value

    def _later(self, key: str) -> frozenset[str]:
        """The paths of a person that runs of ours wrote after the one that is taken back."""
        undone = self.ports.store.run(self.wanted.undoes)
        began = undone.begun if undone is not None else 0
        runs: dict[str, bool] = {}
        found = set[str]()
        for line in self.ports.store.journal_of(key):
            if line.outcome is not None and line.run not in runs:
                run = self.ports.store.run(line.run)
                runs[line.run] = run is not None and run.begun > began
            if line.outcome is not None and runs[line.run]:
                found |= line.outcome.written.keys()
        return frozenset(found)

    async def _come_back(self, deleted: Sequence[Trail]) -> None:
        """Bring back accounts that the run deleted, where the directory can."""
        if not deleted:
            return
        names = {trail.name.lower() for trail in deleted if trail.name}
        can = bool(self.request.dialect.deleted)
        bygone = await self.ports.target.deleted(names) if can and names else None
        for trail in deleted:
            found = [
                one for one in (bygone or {}).get(trail.name.lower(), ()) if one.id == trail.account and one.version
            ]
            owner = self.links.get(trail.account)
            if not can:
                why = "this directory cannot bring an account back"
            elif bygone is None:
                why = "the directory does not show us deleted accounts"
            elif owner is not None and owner.key != trail.key:
                why = ANOTHERS.format(owner=owner.key)
            else:
                why = "" if found else "the directory does not know it any more"
            if why:
                self.findings.append(rules.of_deleted(trail, why))
            else:
                self.changes.append(rules.come_back(trail, found[0], self.policy, self.agreed.get(trail.key, {})))

    async def _validate(self) -> None:
        """Leave out whatever could not be written, before anything is."""
        request, attributes = self.request, self.policy.attributes
        names = {
            kind: await self.ports.target.names(kind)
            for kind in validation.name_kinds(self.changes, attributes, request.dialect)
        }
        if unread := [kind for kind, found in names.items() if found is None]:
            self.findings.append(of_unread(unread))
        marks = frozenset(place.short for place in request.policy.match)
        validated = validation.validate(
            self.changes, attributes, request.catalog, request.dialect, validation.Known(names=names), marks=marks
        )
        holders = await self._holders(logins.wanted(validated.changes))
        handed = logins.hand_over(validated.changes, holders, attributes, request.policy.exchange)
        self.changes = list(handed.changes)
        self.findings += [*validated.findings, *handed.findings]

    async def _holders(self, wanted: Iterable[str]) -> dict[str, frozenset[str]]:
        """The accounts that have the logins which people shall get back, as far as the directory says."""
        found: dict[str, frozenset[str]] = {}

        async def one(login: str) -> None:
            try:
                replies = await self.ports.target.find(LOGIN, login)
            except (FilterRefused, TargetUnanswered):
                replies = ()
            ids = {str((reply.body or {}).get("id", "")) for reply in replies}
            ids |= {a for a, seen in self.seen.items() if logins.folded(seen.resource.get(LOGIN)) == login}
            found[login] = frozenset(ids - {""})

        await _each(sorted(wanted), one, self.request.workers)
        return found

    # --- groups -------------------------------------------------------------------------------

    async def _group(self, trail: GroupTrail) -> GroupChange | None:
        """Plan one group; None where nothing is left to do there."""
        if self.wanted.paths and rules.GROUPS not in self.wanted.paths:
            return None
        if self.request.policy.groups is None:
            self._tell(trail, "[groups] does not manage memberships any more")
            return None
        reply = await self.ports.target.get_group(trail.group)
        if not reply.ok or reply.body is None:
            self._tell(
                trail, "it is not there any more" if reply.status == 404 else f"it cannot be read: {reply.detail}"
            )
            return None
        if not grouping.is_readable(reply.body):
            self._tell(trail, "its members are not told by their ids")
            return None
        joined = self._ours(trail, trail.joined, told=False)
        left = self._ours(trail, trail.left, told=True)
        members, memory = grouping.members_of(reply.body).keys(), self.ports.store.group_memory()
        partial = trail.group in memory.partial
        moved = rules.Moved(add=left, remove=joined, since=()) if partial else rules.regroup(joined, left, members)
        if moved.since:
            named = ", ".join(self._member(one).key or one for one in moved.since)
            self._tell(trail, f"changed since: {named}")
        if not moved.add and not moved.remove:
            return None
        change = GroupChange(
            group=trail.group,
            name=str(reply.body.get("displayName") or trail.name),
            version=reply.version,
            add=tuple(map(self._member, moved.add)),
            remove=tuple(map(self._member, moved.remove)),
            held=len(members),
            batch=self.request.policy.groups.batch,
            partial=partial,
            cut=memory.partial.get(trail.group),
        )
        protected = {name.lower() for name in self.request.policy.groups.protected}
        if {change.name.lower(), change.group.lower()} & protected:
            self.findings.append(grouping.protected(change))
            return None
        if (finding := grouping.beyond(change, self.request.policy.limits, self.request.overrides)) is not None:
            self.findings.append(finding)
            return None
        return change

    def _ours(self, trail: GroupTrail, accounts: Iterable[str], *, told: bool) -> tuple[str, ...]:
        """Of some accounts those that are the same person's as then, and whom somebody wants to be looked at.

        Who leaves the group loses something alone; who comes back must be known to be who was in it.
        """
        then = (self.wanted.members or {}).get(trail.group, {})
        found, strange = [], []
        for account in accounts:
            member = self._member(account)
            if self.request.only and member.key not in self.request.only:
                continue
            if self.wanted.members is not None and then.get(account, "") in {"", member.key}:
                found.append(account)
            elif told:
                strange.append(account)
            else:
                found.append(account)
        if strange:
            why = "nobody knows that they are the accounts of the same people as then"
            self._tell(trail, f"{why}: {', '.join(strange)}")
        return tuple(found)

    def _member(self, account: str) -> Member:
        link = self.links.get(account)
        return Member(link.key if link is not None else "", account)

    def _tell(self, trail: GroupTrail, why: str) -> None:
        self.findings.append(rules.of_groups(trail.name, why))

    # --- the plan -----------------------------------------------------------------------------

    def _stage_accounts(self) -> None:
        """The accounts that were read, as far as a guard and an estimate ask for them."""
        rows = [(a, s.version, s.resource.get(ACTIVE) is not False) for a, s in self.seen.items()]
        self.bench.sql.execute("CREATE OR REPLACE TABLE accounts (id VARCHAR, version VARCHAR, active BOOLEAN)")
        if rows:
            self.bench.sql.executemany("INSERT INTO accounts VALUES (?, ?, ?)", rows)

    def _store(self, last: Run | None, groups: tuple[GroupChange, ...]) -> Plan:
        ports, request, store = self.ports, self.request, self.ports.store
        created, base = ports.clock.now(), last.base if last is not None else ""
        changes, _ = planner.lined_up(self.changes)
        findings = tuple(in_order(self.findings))
        counted = planner.tally(self._numbers(changes), changes, self.notices, findings, groups)
        source = self._source()
        past = limiting.past(store, created, request.policy.limits, (source,))
        demanded = [*limits.demands(counted, request.policy.limits)]
        demanded += limits.clearing(changes, request.policy.limits, counted.linked)
        identity = _name(ports, f"{created:%Y%m%d-%H%M%S}")
        plan = Plan(
            id=identity,
            created=created,
            seal=Seal(
                target=ports.target.name,
                configuration=request.configuration,
                source=f"undo {self.wanted.words}",
                base=base,
                links=said(store.link_decisions()),
            ),
            tally=counted,
            changes=changes,
            findings=findings,
            groups=groups,
            notices=planner.ordered(self.notices),
            refusals=limits.refusals(demanded, request.overrides, past, partial=True),
            overrides=dict(request.overrides),
            rate=ports.target.rate,
            expires=created + request.policy.plan_expires,
            parts=dict(request.parts),
            undoes=self.wanted.undoes,
            restores=self.wanted.restores,
            authors=request.authors,
        )
        plan = foreseen(plan, ports, request, self.bench)
        agreed, name = base, f"plan-{identity}.ndjson"
        if self.wishes and self.former is not None:
            agreed = f"agreed-{identity}.parquet"
            tables.write_wishes(self.bench, self.former, store.artifact(agreed), self.wishes)
            binding.bind(store, agreed, layers.needed(self.bench, store.artifact(agreed)))
        digest = write_plan(store.artifact(name), plan, ports.key)
        messages = [
            x for one in request.subscriptions for x in notifications.messages_to(notifications.of_plan(plan), one)
        ]
        store.save_run(
            Run(
                id=identity,
                created=created,
                state=RunState.REFUSED if plan.refusals else RunState.PLANNED,
                target=ports.target.name,
                plan=name,
                agreed=agreed,
                tally=planner.numbers(plan),
                health=last.health if last is not None else None,  # the next reading of HR is judged by the last one
                partial=True,
                source=source,
                digest=digest,
                undoes=self.wanted.words,
            ),
            messages,
        )
        return plan

    def _source(self) -> str:
        """Whose people it is about: those of the run that is taken back."""
        run = self.ports.store.run(self.wanted.undoes) if self.wanted.undoes else None
        return run.source if run is not None else self.request.source

    def _numbers(self, changes: Sequence[Change]) -> dict[str, int]:
        """The numbers of the tally that do not follow from the changes; compared is what was done, or agreed then."""
        compared = sum(len(trail.moves) for trail in self.wanted.trails.people)
        compared += sum(len(then) for then in self.wanted.then.values())
        differ = sum(len(one.deltas) for one in (*changes, *self.notices))
        return {
            "records": len(self.links),
            "accounts": len(self.seen),
            "linked": len(self.links),
            "unmanaged": 0,
            "compared": compared,
            "equal": max(0, compared - differ),
        }


async def _each(things: Iterable[_T], work: Callable[[_T], Awaitable[None]], at_once: int) -> None:
    """Do something about each, some at a time."""
    queue = iter(things)

    async def worker() -> None:
        for one in queue:
            await work(one)

    await asyncio.gather(*(worker() for _ in range(at_once)))


def _name(ports: PlanPorts, second: str) -> str:
    """A name that no run has yet."""
    while True:
        name = f"{second}-{ports.fresh()}"
        if ports.store.run(name) is None:
            return name
