"""Tell whoever subscribed that a plan was made which waits for somebody to approve it."""

from __future__ import annotations

from typing import Protocol

from scimsync.bootstrap import now
from scimsync.config import Settings
from scimsync.core import notifications
from scimsync.core.approving import Standing
from scimsync.engine import approving
from scimsync.engine.approving import ApprovalsState, Asked
from scimsync.engine.state import Outbox
from scimsync.model.outcomes import Run
from scimsync.model.plans import Plan
from scimsync.services.auditing import audit_public


class AwaitingState(ApprovalsState, Outbox, Protocol):
    """Of the state: plans, what people said about them, and the outbox."""


def asked(settings: Settings) -> Asked:
    """By what plans are judged here and now."""
    return Asked(rules=settings.policy.approvals, public=lambda: audit_public(settings), now=now())


def standing(settings: Settings, store: ApprovalsState, plan: Plan, run: Run) -> Standing:
    """How a plan that is at hand stands with those who must approve it."""
    return approving.standing(plan, run, store, asked(settings))


def tell(settings: Settings, store: AwaitingState, made: Plan) -> None:
    """Put the event into the outbox for each webhook that wants it, where a plan that was just made waits."""
    run = store.run(made.id) if settings.webhooks and not made.refusals else None
    if run is None or not run.plan:
        return
    found = standing(settings, store, made, run)
    if found.waits:
        event = notifications.of_waiting(made, found)
        store.enqueue([x for one in settings.webhooks for x in notifications.messages_to([event], one.subscription)])
