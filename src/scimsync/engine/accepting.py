"""Mark the findings of a plan that a person accepted, as of the day that the plan is made for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from scimsync.core import accepting
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.state import Acceptances
from scimsync.model.plans import Finding


def marked(store: Acceptances, request: PlanRequest, findings: Iterable[Finding], now: datetime) -> tuple[Finding, ...]:
    """The findings, each that is accepted with the last day of it.

    Args:
        store: Has what was accepted.
        request: Has the time zone, and the day that the plan is made for.
        findings: Those of the plan.
        now: When it is made.
    """
    today = request.validity.as_of or now.astimezone(ZoneInfo(request.zone)).date()
    return tuple(accepting.marked(findings, store.acceptances(), today))
