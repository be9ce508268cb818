"""What is told of a delivery of changes: whom it does not hold, and that nothing is decided about them."""

from __future__ import annotations

from collections.abc import Iterator

from scimsync.core import absent as rules
from scimsync.engine.plan_request import PlanRequest
from scimsync.model.plans import Finding
from scimsync.workbench.comparing import Comparison


def look(request: PlanRequest, comparison: Comparison) -> Iterator[Finding]:
    """What is to be told, where the source delivers changes alone. After the directory was read."""
    if request.is_delta:
        records = comparison.bench.number("SELECT count(*) FROM records")
        yield rules.told(records, comparison.absent())
