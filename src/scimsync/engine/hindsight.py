"""What an undo, or a way back to an earlier moment, means: read from what was kept of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core import undoing as rules
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.returning import unmapped
from scimsync.core.undoing import Linked, Trail
from scimsync.engine import binding
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.state import Artifacts, Audit, Journal, Links, Runs
from scimsync.engine.trails import GroupTrail, Trails, trails
from scimsync.errors import PlanStale
from scimsync.model.outcomes import Run
from scimsync.model.plans import MAKING, Action, Finding, Plan
from scimsync.scim.schema import Value
from scimsync.workbench import undone as tables
from scimsync.workbench.agreed import last_known
from scimsync.workbench.bench import Workbench

#: runs among which a moment is looked for
_RUNS = 10_000


class UndoState(Runs, Links, Journal, Audit, Artifacts, Protocol):
    """Of the state: runs, what they did, what was agreed, and who is who."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What shall be planned."""

    #: what was done, and is taken back
    trails: Trails = field(default_factory=Trails)
    #: short paths; all where empty
    paths: frozenset[str] = frozenset()
    #: the run that did it; "" where people are brought back to a moment
    undoes: str = ""
    #: keys of group -> account -> the key that it belonged to in the plan of the run; None where that plan is not kept
    members: Mapping[str, Mapping[str, str]] | None = None
    #: the moment to which people are brought back, and what was agreed then: key -> path -> value
    restores: str = ""
    then: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    #: what accounts held that the run disabled, and the directory took from them: key -> path -> value
    lost: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    #: what is told beside
    findings: tuple[Finding, ...] = ()

    @property
    def words(self) -> str:
        """What it takes back, as runs are listed."""
        return self.undoes or f"as of {self.restores}"


def inverse(store: UndoState, run: Run, made: Plan | None, request: PlanRequest, paths: frozenset[str]) -> Wanted:
    """What taking a run back means.

    Args:
        store: The state.
        run: The run.
        made: Its plan; None where that is not kept.
        request: Mapping, dialect, and the keys of the people to look at.
        paths: Short paths of the attributes to look at; all where empty.

    Raises:
        PlanStale: Nothing of it is on record, or it did nothing to somebody who is asked for.
        StoreDamaged: A record cannot be read though its key is there.
    """
    found = trails(store, run.id)
    people = tuple(trail for trail in found.people if not request.only or trail.key in request.only)
    members = None
    if made is not None:
        members = {
            group.group: {str(one.account): one.key for one in (*group.add, *group.remove) if one.account}
            for group in made.groups
        }
    written = any(line.outcome is not None and line.outcome.written for line in store.journal(run.id))
    if written and not (found.people or found.groups or found.erased or found.others):
        raise PlanStale(
            f"run {run.id}: what it replaced is not on record: it is of before the audit chain, or the chain is gone. "
            "Nothing can be taken back of it."
        )
    mine = {trail.key for trail in people} | {key for held in (members or {}).values() for key in held.values()}
    if strangers := sorted(set(request.only) - mine):
        raise PlanStale(f"--user {', '.join(strangers)}: run {run.id} did nothing to this person")
    told = [rules.of_erased(found.erased)] if found.erased and not request.only else []
    told += rules.of_links(_linked(store, made, people)) if made is not None and not paths else []
    wanted = Wanted(
        trails=replace(found, people=people), paths=paths, undoes=run.id, members=members, findings=tuple(told)
    )
    return replace(wanted, lost=_lost(store, run, made, people, request))


def _linked(store: UndoState, made: Plan, people: Sequence[Trail]) -> list[Linked]:
    """Who got an account by the run that was there before it, and has it still."""
    keys = {trail.key: trail.account for trail in people if trail.action not in MAKING}
    now = {link.key: link.account for link in store.links() if keys.get(link.key) == link.account}
    if not now:
        return []
    before: dict[str, str] = {}
    if made.seal.base:
        base = _kept(store, made.seal.base)
        if base is None:
            return []
        with Workbench(store.artifact("plan").parent) as bench:
            before = tables.owners(bench, base, now)
    return [
        Linked(key, account, made.moved.get(key, ""))
        for key, account in sorted(now.items())
        if before.get(key) != account
    ]


def _lost(
    store: UndoState, run: Run, made: Plan | None, people: Sequence[Trail], request: PlanRequest
) -> dict[str, dict[str, Value]]:
    """What those held whom a run disabled, of what the directory takes from inactive people."""
    keys = {trail.key for trail in people if ACTIVE in trail.moves and trail.moves[ACTIVE].after is False}
    dropped = [mapped for mapped in request.policy.attributes if mapped.place.dropped]
    beside = unmapped(request.policy, request.dialect)
    if not keys or not (dropped or beside):
        return {}
    found: dict[str, dict[str, Value]] = {}
    with Workbench(store.artifact("plan").parent) as bench:
        before = _kept(store, made.seal.base if made is not None else "")
        if before is not None:
            for key, held in tables.agreed(bench, before, keys, dropped).items():
                found[key] = {path: value for path, value in held.items() if value is not None}
        after = _kept(store, run.base)
        if after is not None:
            for place in beside:
                for key, value in last_known(bench, after, place).items():
                    if key in keys and value is not None:
                        found.setdefault(key, {})[place.short] = value
    return found


def _kept(store: UndoState, name: str) -> Path | None:
    """A base as it was written; None where it is not kept.

    Raises:
        StoreDamaged: It is there, and is another.
    """
    return binding.proven(store, name) if name and store.artifact(name).is_file() else None


def as_of(store: UndoState, moment: datetime, request: PlanRequest, paths: frozenset[str]) -> Wanted:
    """What bringing people back to a moment means: to what was agreed after the last run before it.

    Args:
        store: The state.
        moment: The moment.
        request: Mapping, and the keys of the people.
        paths: Short paths of the attributes to look at; all where empty.

    Raises:
        PlanStale: No run ended before it, its base is not kept, or it knows nothing of somebody.
    """
    runs = [run for run in store.begun(_RUNS) if run.base and run.finished is not None]
    earlier = [run for run in runs if run.finished <= moment]  # type: ignore[operator]
    if not earlier:
        raise PlanStale(f"no run that is kept ended before {moment:%Y-%m-%d %H:%M} UTC. List them with: scimsync runs")
    run = max(earlier, key=lambda one: one.begun)
    base = _kept(store, run.base)
    if base is None:
        raise PlanStale(f"run {run.id}: what was agreed after it is no longer kept ([state] keep)")
    keys = set(request.only)
    with Workbench(base.parent) as bench:
        then = tables.agreed(bench, base, keys, request.policy.attributes)
        owners = tables.owners(bench, base, keys)
    if strangers := sorted(keys - owners.keys()):
        raise PlanStale(f"--user {', '.join(strangers)}: run {run.id}, the last before, knew no account of this person")
    people = [Trail(key=key, name="", account=owners[key], action=Action.UPDATE) for key in sorted(keys)]
    groups, told_ = _memberships(store, run, {owners[key]: key for key in keys})
    return Wanted(
        trails=Trails(people=tuple(people), groups=groups),
        paths=paths,
        members=told_,
        restores=moment.isoformat(),
        then=then,
    )


def _memberships(
    store: UndoState, run: Run, accounts: Mapping[str, str]
) -> tuple[tuple[GroupTrail, ...], dict[str, dict[str, str]]]:
    """What later runs did to the memberships of some accounts, all together."""
    first = dict[tuple[str, str], bool]()
    names = dict[str, str]()
    for later in reversed([one for one in store.begun(_RUNS) if one.begun > run.begun]):
        for group in trails(store, later.id).groups:
            names[group.group] = group.name
            for ids, joined in ((group.joined, True), (group.left, False)):
                for account in ids:
                    if account in accounts:
                        first.setdefault((group.group, account), joined)
    found = tuple(
        GroupTrail(
            group,
            name,
            tuple(a for (g, a), joined in first.items() if g == group and joined),
            tuple(a for (g, a), joined in first.items() if g == group and not joined),
        )
        for group, name in sorted(names.items())
    )
    members = {group.group: {one: accounts[one] for one in (*group.joined, *group.left)} for group in found}
    return tuple(group for group in found if group.joined or group.left), members
