"""What applying a plan will take, from what is known of the target when the plan is made."""

from __future__ import annotations

from msgspec.structs import replace

from scimsync.core import protecting, waiting
from scimsync.core.estimating import Habits, estimate
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.model.plans import Plan
from scimsync.scim.platform import is_platform
from scimsync.workbench.bench import Workbench


def foreseen(plan: Plan, ports: PlanPorts, request: PlanRequest, bench: Workbench) -> Plan:
    """A plan with its estimate."""
    policy = request.policy
    habits = Habits(
        dialect=request.dialect,
        compares=any(finding.code == "target.compares" for finding in plan.findings),
        doubted=waiting.is_partial(plan) or protecting.has_nameless(plan),
        match=tuple(place for place in policy.match if place.short in policy.by_path),
        inactive=bench.number("SELECT count(*) FROM accounts WHERE active IS NOT DISTINCT FROM false"),
        beside=any(is_platform(mapped.place.root) for mapped in policy.attributes),
        fetches_token=request.fetches_token,
        rate=plan.rate,
        latency_s=ports.counted.latency_s,
        workers=request.workers,
    )
    return replace(plan, estimate=estimate(plan, habits))
