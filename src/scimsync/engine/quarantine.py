"""Since when people are left out of plans."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from scimsync.core.leaving import KEPT
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.state import Quarantine
from scimsync.model.approvals import Quarantined
from scimsync.model.plans import Finding


def is_left_out(finding: Finding) -> bool:
    """Whether a finding says that a person is left out, and not one value of them."""
    return finding.holds and bool(finding.subject) and not finding.path and finding.code != KEPT


def remember(store: Quarantine, request: PlanRequest, findings: Iterable[Finding], run: str, at: datetime) -> None:
    """Note who is left out now, and forget whom this plan looked at and did not leave out.

    Args:
        store: The state.
        request: Whom the plan looked at.
        findings: Those of the plan.
        run: Its id.
        at: When it was made.
    """
    if request.validity.as_of is not None:
        return
    out = {(f.subject, f.code) for f in findings if is_left_out(f)}
    known = {(one.key, one.code) for one in store.quarantined()}
    looked = {who for who in known if who[0] in request.only or not request.is_partial}
    fresh, gone = sorted(out - known), sorted(looked - out)
    if fresh or gone:
        store.change_quarantined([Quarantined(key=key, code=code, since=at, run=run) for key, code in fresh], gone)
