"""Since when people are left out of plans."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from scimsync.core.leaving import KEPT
from scimsync.engine.elsewhere import Asked, elsewhere
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.state import Quarantine, Runs
from scimsync.model.approvals import Quarantined
from scimsync.model.plans import Finding


def is_left_out(finding: Finding) -> bool:
    """Whether a finding says that a person is left out, and not one value of them."""
    return finding.holds and bool(finding.subject) and not finding.path and finding.code != KEPT


class QuarantineState(Quarantine, Runs, Protocol):
    """Of the state: who is left out, and by which run."""


def remember(
    store: QuarantineState, request: PlanRequest, findings: Iterable[Finding], asked: Asked, run: tuple[str, datetime]
) -> None:
    """Note who is left out now, and forget whom this plan looked at and did not leave out.

    Args:
        store: The state.
        request: Whom the plan looked at.
        findings: Those of the plan.
        asked: The plan: about the people of other sources it has nothing to say.
        run: Its id, and when it was made.
    """
    if request.validity.as_of is not None:
        return
    out = {(f.subject, f.code) for f in findings if is_left_out(f)}
    held = store.quarantined()
    known = {(one.key, one.code) for one in held}
    others = frozenset() if request.is_partial else elsewhere(store, asked, {one.key: one.run for one in held})
    looked = {who for who in known if who[0] in request.only or (not request.is_partial and who[0] not in others)}
    fresh, gone = sorted(out - known), sorted(looked - out)
    if fresh or gone:
        name, at = run
        store.change_quarantined([Quarantined(key=key, code=code, since=at, run=name) for key, code in fresh], gone)
