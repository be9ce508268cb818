"""How deep a plan looks at the directory, and the accounts where it does not look at all."""

from __future__ import annotations

from scimsync.core import depths
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.model.plans import Finding
from scimsync.model.policy import Depth
from scimsync.workbench.accounts import stage_written
from scimsync.workbench.bench import Workbench
from scimsync.workbench.mirror import Mirror


def chosen(ports: PlanPorts, request: PlanRequest, mirror: Mirror) -> tuple[Depth, list[Finding]]:
    """How deep this plan looks, and what is to be told of it."""
    seen, wanted, now = mirror.seen, request.depth, ports.clock.now()
    if wanted is Depth.FULL or request.keep is not None:
        return Depth.FULL, []
    if seen is None:
        return Depth.FULL, [depths.of_fallback(wanted, "nothing is remembered of the directory yet")]
    if new := [mapped.path for mapped in request.policy.attributes if not mirror.knows(mapped.path)]:
        return Depth.FULL, [depths.of_fallback(wanted, f"nothing is remembered of {', '.join(new)}")]
    depth = depths.chosen(wanted, request.rhythm, now, seen.listed, seen.whole)
    told = {
        Depth.SOURCE: lambda: [depths.of_source(now, seen.listed, groups=request.policy.groups is not None)],
        Depth.VERSIONS: lambda: [depths.of_versions(now, seen.whole)],
    }
    return depth, told[depth]() if depth in told else []


def stand_in(bench: Workbench, mirror: Mirror) -> None:
    """Make the tables of a reading from what is remembered: everybody as read last, and as written since.

    Raises:
        StoreDamaged: That cannot be read.
    """
    sql = bench.sql
    with mirror.readable():
        sql.execute(f"CREATE OR REPLACE TABLE accounts AS {mirror.accounts}")
    for table in ("renewed", "gone"):
        sql.execute(f"CREATE OR REPLACE TABLE {table} (id VARCHAR)")
    stage_written(bench, [])
