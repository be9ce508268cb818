"""Look whether somebody who joins just left under another key; who is suspected of it waits for a person."""

from __future__ import annotations

from scimsync.core import renaming as rules
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.model.plans import Finding
from scimsync.model.policy import Renames
from scimsync.workbench import ending
from scimsync.workbench.bench import Workbench
from scimsync.workbench.renaming import Renaming, begin


def look(bench: Workbench, request: PlanRequest, ports: PlanPorts, *, whole: bool) -> list[Finding]:
    """Find suspected renames and hold both, where policy says so. After correlation, before anybody is decided.

    Args:
        bench: The tables of the run.
        request: What is looked at, and what becomes of suspected renames.
        ports: The clock, and the state that says since when accounts are inactive.
        whole: Everybody was read, and not only who was asked for.
    """
    policy = request.policy
    begin(bench)
    if policy.renames is Renames.OFF:
        return []
    ending.stage_endings(bench, ports.store.endings())
    since = (ports.clock.now() - policy.renames_within).isoformat()
    renaming = Renaming(bench, policy.attributes, rules.telling(policy.attributes), since=since, whole=whole)
    found = list(rules.suspects(renaming.pairs()))
    if policy.renames is Renames.HOLD:
        renaming.hold(found)
    return [rules.finding(pair, policy.renames) for pair in found]
