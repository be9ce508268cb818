"""Lay what people decided about conflicts into a plan, and end what is used up by a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from scimsync.core.deciding import moved
from scimsync.core.waiting import is_partial
from scimsync.engine.elsewhere import Asked, elsewhere
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.state import Decided, Runs
from scimsync.model.decisions import Decisions, Scope
from scimsync.model.outcomes import Outcome
from scimsync.model.plans import Plan

__all__ = ["end_idle", "moved", "obeying", "remember", "today"]


def obeying(request: PlanRequest, ports: PlanPorts) -> PlanRequest:
    """The request with what people decided, as of the day that the plan is made for."""
    day = request.validity.as_of or today(ports.clock.now(), request.zone)
    return replace(request, policy=replace(request.policy, decisions=Decisions.of(ports.store.decisions(), day)))


def today(now: datetime, zone: str) -> date:
    """The day by which the last day of a decision is told."""
    return now.astimezone(ZoneInfo(zone)).date()


class DecidedState(Decided, Runs, Protocol):
    """Of the state: what was decided, and which plan showed it."""


def end_idle(store: DecidedState, request: PlanRequest, plan: Plan, asked: Asked) -> None:
    """End the decisions for once whose conflict is over: the same values another day are another conflict.

    Args:
        store: The state.
        request: Whom the plan looked at, and what was decided.
        plan: The plan. One that did not look at everybody ends nothing, and nobody whom it leaves out is looked at.
        asked: The same: about the people of other sources it has nothing to say.
    """
    once = [one for one in request.policy.decisions.held.values() if one.scope is Scope.ONCE]
    if not once or request.is_partial or plan.as_of is not None or is_partial(plan):
        return
    if plan.refusals or request.blackout is not None:  # what waits in it stands there no more, and is not over
        return
    out = {finding.subject for finding in plan.findings if finding.holds}
    out |= elsewhere(store, asked, {one.key: one.plan for one in once})
    met = {(c.key, d.path) for c in (*plan.changes, *plan.notices) for d in c.deltas}
    for one in once:
        if (one.key, one.path) not in met and one.key not in out:
            store.end_decision(one.id, plan.created, plan.id)


def remember(store: Decided, plan: Plan, people: Mapping[str, Sequence[Outcome]], now: datetime) -> None:
    """End the decisions for once that a run has written: the next conflict about the same is another one.

    Args:
        store: The state.
        plan: The plan of the run.
        people: What came of it, by person.
        now: When it ended.
    """
    obeyed = {(c.key, d.path): d.decided for c in plan.changes for d in c.deltas if d.decided}
    if not obeyed:
        return
    once = {one.id for one in store.decisions() if one.scope is Scope.ONCE}
    written = {(o.key, path) for parts in people.values() for o in parts for path in o.written}
    for who, decided in obeyed.items():
        if decided in once and who in written:
            store.end_decision(decided, now, plan.id)
