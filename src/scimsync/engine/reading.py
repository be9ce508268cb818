"""Read the directory for a plan: what it says about itself, then all accounts, those that lag once more."""

from __future__ import annotations

from collections.abc import Sequence

from scimsync.core import drifting, ending, trust
from scimsync.core.lifecycle import ACTIVE
from scimsync.engine.freshness import Freshness
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.errors import SchemaDrifted
from scimsync.model.plans import LOGIN, Finding
from scimsync.workbench.accounts import AccountSpool
from scimsync.workbench.bench import Workbench


async def compare_schema(ports: PlanPorts, request: PlanRequest) -> list[Finding]:
    """Hold what the target says about itself against the pin, or what the dialect assumes.

    Raises:
        SchemaDrifted: What the mapping writes is not what it was.
    """
    ports.observer.stage("comparing the schema")
    pin = ports.store.pin(ports.target.name)
    found = await ports.target.describe(pin.documents if pin else None)
    baseline = drifting.Baseline.of(pin, request.catalog)
    rulings = drifting.judge(baseline, found, request.policy, request.catalog)
    if blocking := tuple(f"{r.drift} ({r.hint})" for r in rulings if r.blocks):
        raise SchemaDrifted(baseline.name, blocking)
    unpublished = drifting.unpublished(found)
    return [*drifting.findings(rulings), *([] if unpublished is None else [unpublished])]


async def read_directory(ports: PlanPorts, request: PlanRequest, bench: Workbench) -> tuple[bool, list[Finding]]:
    """Make the table `accounts`; whether it is whole, and what is to be told of it.

    Raises:
        TargetError: The directory cannot be read at all.
    """
    attributes = request.policy.attributes
    # whether managed or not: who is protected, and who has access already
    roots = dict.fromkeys([*(mapped.place.root for mapped in attributes), LOGIN, ACTIVE])
    spool = AccountSpool(bench, request.catalog, attributes)
    ports.observer.stage("reading the directory")

    def take(resources: Sequence[bytes]) -> None:
        spool.take(resources)
        ports.observer.advance(len(resources))

    try:
        sweep = await ports.target.sweep(list(roots), take)
    except BaseException:
        spool.close()
        raise
    spool.load(request.keep)
    holes = trust.incomplete(sweep)
    late = await _renewed(ports, request, bench, spool)
    told = [] if holes is None else [holes]
    told += [ending.of_unlisted(sweep.unlisted)] if sweep.unlisted else []
    return holes is None, [*told, *late]


async def _renewed(ports: PlanPorts, request: PlanRequest, bench: Workbench, spool: AccountSpool) -> Sequence[Finding]:
    """Read again what the listing shows as it was before our last writes."""
    freshness = Freshness(
        target=ports.target,
        store=ports.store,
        clock=ports.clock,
        observer=ports.observer,
        attributes=request.policy.attributes,
        workers=request.workers,
        counters=request.dialect.counts_versions,
    )
    return await freshness.renew(bench, spool)
