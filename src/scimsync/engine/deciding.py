"""Lay what people decided about conflicts into a plan, and end what is used up by a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from scimsync.core.deciding import moved
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.state import Decided
from scimsync.model.decisions import Decisions, Scope
from scimsync.model.outcomes import Outcome
from scimsync.model.plans import Plan

__all__ = ["moved", "obeying", "remember", "today"]


def obeying(request: PlanRequest, ports: PlanPorts) -> PlanRequest:
    """The request with what people decided, as of the day that the plan is made for."""
    day = request.validity.as_of or today(ports.clock.now(), request.zone)
    return replace(request, policy=replace(request.policy, decisions=Decisions.of(ports.store.decisions(), day)))


def today(now: datetime, zone: str) -> date:
    """The day by which the last day of a decision is told."""
    return now.astimezone(ZoneInfo(zone)).date()


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
