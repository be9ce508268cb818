"""Look at the accounts whose access changes, for what the directory takes from inactive people by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from scimsync.core import returning
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.errors import TargetError
from scimsync.model.plans import Action, Change, Finding
from scimsync.scim.schema import Value
from scimsync.workbench.agreed import last_known
from scimsync.workbench.bench import Workbench

#: (key, path, value): what an account holds before it is disabled
Last: TypeAlias = list[tuple[str, str, Value]]


async def look(
    ports: PlanPorts, request: PlanRequest, bench: Workbench, changes: Sequence[Change], base: Path | None
) -> tuple[list[Finding], Last]:
    """Remember what leavers are about to lose, and say what people lack who come back.

    An account that cannot be read now stops nobody's plan: then nothing is remembered of it, and nothing said.

    Args:
        ports: Has the target.
        request: Mapping and dialect.
        bench: The tables of the run.
        changes: What the plan would do.
        base: What was agreed before.
    """
    places = returning.unmapped(request.policy, request.dialect)
    moved = [c for c in changes if c.account is not None and c.action in {Action.DISABLE, Action.ENABLE}]
    if not places or not moved:
        return [], []
    findings: list[Finding] = []
    last: Last = []
    gate = asyncio.Semaphore(request.workers)

    async def read(change: Change) -> tuple[Change, dict[str, object] | None]:
        async with gate:
            try:
                reply = await ports.target.get(str(change.account))
            except TargetError:
                return change, None
            return change, dict(reply.body) if reply.ok and reply.body is not None else None

    known = {place.short: last_known(bench, base, place) for place in places} if base is not None else {}
    for change, resource in await asyncio.gather(*map(read, moved)):
        if resource is None:
            continue
        if change.action is Action.DISABLE:
            held = ((place, place.read(resource)) for place in places)
            last += [(change.key, place.short, value) for place, value in held if value is not None]
            continue
        lost = returning.bare(places, resource)
        findings += [
            returning.finding(change.key, place, known.get(place.short, {}).get(change.key), change.row)
            for place in lost
        ]
    return findings, last
