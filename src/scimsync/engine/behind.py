"""Whether a state seems to lack runs: what they wrote stands in the directory, and is not what was agreed."""

from __future__ import annotations

from scimsync.engine.plan_request import PlanRequest
from scimsync.model.plans import Finding, Severity
from scimsync.workbench.comparing import Comparison

#: people whom somebody may have corrected by hand just as HR did
BY_HAND = 2


def look(comparison: Comparison, request: PlanRequest, *, whole: bool) -> list[Finding]:
    """A finding where HR moved for several people, and the directory with it, without us.

    State and artifacts of yesterday that were put back together prove nothing by themselves. What the lost runs wrote
    is the one trace: HR says it, the directory holds it, and nobody here remembers to have agreed on it.

    Args:
        comparison: After everybody was decided about.
        request: What was asked for.
        whole: Everybody was read and compared.
    """
    if not whole or request.is_partial or request.offline is not None:
        return []
    number = comparison.caught_up()
    if number <= BY_HAND:
        return []
    return [
        Finding(
            severity=Severity.WARNING,
            code="state.behind",
            subject="",
            summary="the directory holds what HR says now, and no run of this state wrote it",
            detail=f"{number:,} people",
            hint="was a backup of the state and its artifacts put back? then the journal of the runs since is not in "
            "it: bring a newer one. If another program or a person wrote it, there is nothing to do",
        )
    ]
