"""What is told of a delivery of changes: whom it does not hold, and whom an earlier one held in vain.

A whole delivery says everything again, so whatever could not be done is tried by the next run. A delivery of changes
says it once. So whoever it held, and who was not done, is told of by each plan until they are delivered again, or
everybody is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from scimsync import files
from scimsync.core import absent as rules
from scimsync.core import leaving, sealing
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.state import Artifacts, Journal, Runs
from scimsync.errors import PlanDamaged
from scimsync.model.outcomes import Run, RunState, Status
from scimsync.model.plans import ITSELF, Action, Finding, Plan, Severity
from scimsync.model.policy import Leavers
from scimsync.workbench import absent as tables
from scimsync.workbench.comparing import Comparison

#: how many runs are looked at for deliveries that were not done
_LOOKED_AT = 60


class DeliveredState(Runs, Journal, Artifacts, Protocol):
    """Of the state: what was delivered, and what came of it."""


class _Undone(Struct, frozen=True):
    """Somebody whom a delivery of changes held in vain."""

    run: Run
    #: that delivery would have taken their access away
    leaves: bool


def look(
    request: PlanRequest, comparison: Comparison, store: DeliveredState, sources: Sequence[str]
) -> Iterator[Finding]:
    """What is to be told, where the source delivers changes alone. After the directory was read.

    Args:
        request: What shall be planned.
        comparison: The tables of the run.
        store: The state.
        sources: The names of the source.
    """
    if not request.is_delta:
        return
    bench = comparison.bench
    records = bench.number("SELECT count(*) FROM records")
    yield rules.told(records, comparison.absent())
    undone = _undone(store, sources)
    has_access = tables.not_delivered(bench, request.key, [*undone])
    only = frozenset(request.only)
    for key, active in has_access.items():
        one = undone[key]
        if (one.leaves and not active) or (only and key not in only):
            continue
        yield rules.of_undone(key, one.run, leaves=one.leaves)
        if one.leaves and request.policy.leavers is not Leavers.KEEP:
            yield leaving.finding(key, rules.UNDONE)


def _undone(store: DeliveredState, sources: Sequence[str]) -> dict[str, _Undone]:
    """Whom the deliveries of changes since the last whole one held in vain, by key; the last word on each counts."""
    found: dict[str, _Undone] = {}
    told: dict[str, _Undone] = {}  # by later runs, however long ago it was that they were delivered
    settled: set[str] = set()
    for run in store.runs(_LOOKED_AT):
        if run.source not in sources or run.state is RunState.OFFLINE:
            continue
        if not run.partial and run.state in {RunState.DONE, RunState.PARTIAL}:
            break  # it was about everybody
        plan = _plan(store, run)
        if plan is None or plan.as_of is not None:
            continue
        left, done = _left(plan, store, run)
        settled |= (done | _delivered(store, run)) - left.keys() - found.keys()
        if not rules.is_delta(run):
            continue
        for key, leaves in left.items():
            if key not in settled:
                found.setdefault(key, _Undone(run, leaves))
        for one in plan.findings:
            if one.code == rules.UNDONE and one.subject not in settled:
                told.setdefault(one.subject, _Undone(run, one.severity is Severity.ERROR))
    return {key: one for key, one in told.items() if key not in settled} | found


def keep(request: PlanRequest, comparison: Comparison, store: Artifacts, run: str) -> None:
    """Keep whom a delivery of changes holds: of whom its plan changes nothing is as HR says."""
    if request.is_delta and not request.only:
        keys = tables.delivered(comparison.bench, request.key)
        files.write(store.artifact(_file(run)), [msgspec.json.encode(keys)])


def _file(run: str) -> str:
    return f"delivered-{run}.json"


def _delivered(store: Artifacts, run: Run) -> set[str]:
    """Whom the delivery of a run held; nobody where that is not kept."""
    file = store.artifact(_file(run.id))
    return set(msgspec.json.decode(file.read_bytes(), type=list[str])) if file.is_file() else set()


def _plan(store: Artifacts, run: Run) -> Plan | None:
    """The plan of a run; None where it is not kept any more."""
    file = store.artifact(run.plan) if run.plan else None
    if file is None or not file.is_file():
        return None
    try:
        with file.open("rb") as lines:
            return sealing.decode(lines)
    except PlanDamaged:
        return None


def _left(plan: Plan, store: Journal, run: Run) -> tuple[dict[str, bool], set[str]]:
    """Whom a run left undone, each with whether that leaves them access; and the keys of the others in its plan."""
    good: dict[tuple[str, int], bool] = {}
    for line in store.journal(run.id) if run.begun else ():
        if line.outcome is not None:
            good[line.key, line.part] = line.outcome.status in {Status.DONE, Status.ALREADY}
    bad = {key for (key, _), is_good in good.items() if not is_good}
    bad |= {change.key for change in plan.changes if not good.get((change.key, change.part))}
    people = {change.key for change in plan.changes}
    for group in plan.groups:
        members = {member.key for member in (*group.add, *group.remove)}
        people |= members
        bad |= set() if good.get((group.key, ITSELF)) else members
    left = dict.fromkeys(bad & people, False)
    held = [one for one in plan.findings if one.row is not None]  # about a record
    left |= {one.subject: False for one in held if one.holds and not one.path}
    disabled = [c for c in plan.changes if c.action is Action.DISABLE and not good.get((c.key, c.part))]
    left |= dict.fromkeys(
        [*(one.subject for one in held if one.code == leaving.KEPT), *(c.key for c in disabled)], True
    )
    return left, people - left.keys()
