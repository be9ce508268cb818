"""Limits over several runs: what counts with a plan, what a refusal freezes, and what an answer thaws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from scimsync.core import limits, sealing
from scimsync.core.limits import Demand, Past, rule_of
from scimsync.engine.state import Artifacts, Journal, Refusals, Runs
from scimsync.model.outcomes import Outcome, Run, RunState
from scimsync.model.plans import MAKING, Action, Plan
from scimsync.model.policy import Limits

#: a run of last night does not count with that of tonight, though this one starts some minutes earlier in the day
_EARLY = 24


class PastState(Runs, Refusals, Journal, Protocol):
    """Of the state: what was done and refused before."""


class RefusedState(Runs, Refusals, Artifacts, Protocol):
    """Of the state: what was refused, with the plans."""


def past(  # noqa: PLR0913 - each is a fact of its own
    store: PastState,
    now: datetime,
    allowed: Limits,
    sources: Sequence[str],
    *,
    besides: str = "",
    approved: Container[str] = (),
    answered: bool = False,
) -> Past:
    """What counts with a plan that is judged now.

    Args:
        store: The state.
        now: The wall clock.
        allowed: The limits, and how long what was done counts with them.
        sources: The names of the source whose people it is about.
        besides: The run whose plan that is: what it did already is in its plan.
        approved: Runs that do not count, because people approved them.
        answered: Whether what an override answered counts, too: it answers a limit, and no rule of approvals.
    """
    counted: Counter[str] = Counter()
    for taking, window in ((True, allowed.leavers_window), (False, allowed.window)):
        since = now - window + window / _EARLY
        for run in store.worked(since) if window else ():
            if run.id != besides and run.id not in approved and run.source in sources:
                did = run.done if run.state is not RunState.APPLYING else _journalled(store, run, since)
                ours = {kind: n for kind, n in did.items() if (kind in limits.TAKING) is taking}
                counted.update({kind: n for kind, n in ours.items() if answered or rule_of(kind) not in run.answered})
    frozen = {kind: run for source in reversed(sources) for kind, run in store.frozen(source).items()}
    return Past(window=allowed.window, leavers_window=allowed.leavers_window, done=counted, frozen=frozen)


def _journalled(store: Journal, run: Run, since: datetime) -> dict[str, int]:
    """What a run did that has not come to its end."""
    created, deleted = set[str](), set[str]()
    outcomes: dict[str, list[Outcome]] = {}
    for line in store.journal(run.id, since=since):
        if line.method == "POST":
            created.add(line.key)
        elif line.method == "DELETE":
            deleted.add(line.key)
        if line.outcome is not None and not line.key.startswith("group:"):
            outcomes.setdefault(line.key, []).append(line.outcome)
    return limits.done(outcomes.items(), created, deleted)


def done(plan: Plan, outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, int]:
    """What a run did to people by the end of its work."""
    created = {change.key for change in plan.changes if change.action in MAKING}
    deleted = {change.key for change in plan.changes if change.action is Action.DELETE}
    return limits.done(outcomes.items(), created, deleted)


def begin(store: Refusals, plan: Plan, run: Run, overrides: Iterable[str], now: datetime) -> Run:
    """The run as it is when somebody begins to apply it; what an override answers is frozen no more.

    An override for some people answers for them alone, unless theirs is the plan that was refused.
    """
    answered = limits.RULES & {*run.answered, *plan.overrides, *overrides}
    for source in (run.source, *run.takes):
        frozen = store.frozen(source)
        left = {k: r for k, r in frozen.items() if rule_of(k) not in answered or (run.partial and r != run.id)}
        if source != run.source:
            store.change_frozen(run.source, left)
            store.change_frozen(source, {}, frozen)
        elif left != frozen:
            store.change_frozen(source, left, frozen)
    return replace(run, state=RunState.APPLYING, began=now, answered=tuple(sorted(answered)))


def remember(
    store: RefusedState, plan: Plan, demanded: Sequence[Demand], before: Past, sources: Sequence[str], *, whole: bool
) -> None:
    """Freeze what was refused; thaw what a later plan for everybody asks for within its limit.

    Args:
        store: The state.
        plan: The plan that was just made.
        demanded: What it wanted, of every kind that is frozen at least.
        before: What counted with it.
        sources: The names of the source whose people it is about.
        whole: It is for everybody, and both sides were read whole and believed.
    """
    known = () if whole else before.frozen
    beyond = [
        demand.kind for demand in demanded if demand.beyond(before) and rule_of(demand.kind) not in plan.overrides
    ]
    refused = {kind: plan.id for kind in beyond if kind not in known}
    waiting = {finding.subject for finding in plan.findings if finding.holds}
    thawed = [
        demand.kind
        for demand in demanded
        if whole
        and demand.kind in before.frozen
        and not replace(demand, number=demand.number + _asked(store, before, demand.kind, waiting)).beyond(before)
    ]
    for source in sources if thawed else ():
        store.change_frozen(source, {}, thawed)
    if refused:
        store.change_frozen(sources[0], refused)


def _asked(store: RefusedState, before: Past, kind: str, waiting: Container[str]) -> int:
    """How many of those whom the refused plan was about are left out now: about them nothing is decided yet."""
    run = store.run(before.frozen[kind])
    file = store.artifact(run.plan) if run is not None and run.plan else None
    if file is None or not file.is_file():
        return 0
    with file.open("rb") as lines:
        refused = sealing.decode(lines)
    return sum(change.action.value == kind and change.key in waiting for change in refused.changes)
