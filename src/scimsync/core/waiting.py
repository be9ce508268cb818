"""Whether anybody waits, and whether the directory is what HR says: one answer for plan, exit code and report."""

from __future__ import annotations

from scimsync.core import grouping
from scimsync.core.blackout import HELD_BACK
from scimsync.core.trust import BLANKS, INCOMPLETE, is_wary
from scimsync.model.plans import Plan

#: an attribute that nobody gets, what waits for the end of a blackout, a person of whom nobody sees whether there is
#: access
_LEFT = frozenset({BLANKS, HELD_BACK, "account.active-unknown"})


def waits(plan: Plan) -> bool:
    """Whether a plan leaves somebody or something to a person or to another run; only else may a run end with 0."""
    tally = plan.tally
    numbers = (tally.held, tally.values, tally.leavers_kept, tally.conflicts)
    left = any(finding.code in _LEFT for finding in plan.findings)
    partial = is_partial(plan) and not is_wary(plan)
    return any(numbers) or left or partial or grouping.waits(plan.findings)


def is_partial(plan: Plan) -> bool:
    """Whether the directory was not read whole, so that somebody may be missing from all that is said."""
    return any(finding.code == INCOMPLETE for finding in plan.findings)


def differs(plan: Plan) -> bool:
    """Whether the directory may be other than HR says, though nothing is to be written."""
    return waits(plan) or is_partial(plan) or bool(plan.tally.kept) or grouping.differs(plan.findings)
