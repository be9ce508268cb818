"""Read the source into the tables of a plan, once for all plans that are made from the same reading."""

from __future__ import annotations

from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.ports import Source
from scimsync.model.records import Reading, SourceHealth
from scimsync.workbench.bench import Workbench
from scimsync.workbench.records import stage_records


def staged(bench: Workbench, source: Source, request: PlanRequest) -> tuple[Reading, SourceHealth]:
    """Make the table `records`, or leave it where this source was read there in this way before.

    Raises:
        SourceError: The source cannot be read, or is empty.
    """
    how = (id(source), request.key, request.null_values)
    if bench.read is not None and bench.read[0] == how:
        return bench.read[1]
    reading = source.read()
    health = stage_records(bench, reading, key=request.key, null_values=request.null_values)
    bench.read = (how, (reading, health))
    return reading, health
