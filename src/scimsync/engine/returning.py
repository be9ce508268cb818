"""Look at the accounts whose access changes, for what the directory takes from inactive people by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct, field

from scimsync.core import returning
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.errors import TargetError
from scimsync.model.plans import Action, Change, Finding
from scimsync.model.policy import Rehire
from scimsync.scim.schema import Place, Value
from scimsync.workbench.agreed import last_known
from scimsync.workbench.bench import Workbench

#: (key, path, value): what an account holds before it is disabled
Last: TypeAlias = list[tuple[str, str, Value]]


class Looked(Struct, frozen=True):
    """The changes with what is given back, what is told, and what leavers are about to lose."""

    changes: list[Change]
    findings: Sequence[Finding] = ()
    last: Last = field(default_factory=list)


async def look(
    ports: PlanPorts,
    request: PlanRequest,
    bench: Workbench,
    changes: Sequence[Change],
    base: Path | None,
    others: Collection[Finding],
) -> Looked:
    """Remember what leavers are about to lose; give back, or say, what people lack who come back.

    Given back is only to the account that we took it from, under the same key, and not where login and name change
    with it: then it may be another person. An account that cannot be read now stops nobody's plan: then nothing is
    remembered of it, and nothing said.

    Args:
        ports: Has the target, and since when accounts are inactive.
        request: Mapping, dialect, and what a person sets aside.
        bench: The tables of the run.
        changes: What the plan would do.
        base: What was agreed before.
        others: Who may be another person by now.
    """
    places = returning.unmapped(request.policy, request.dialect)
    moved = [c for c in changes if c.account is not None and c.action in {Action.DISABLE, Action.ENABLE}]
    if not places or not moved:
        return Looked([*changes])
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
    strangers = {finding.subject for finding in others}
    same = {(one.key, one.account) for one in ports.store.endings() if one.proven and one.key not in strangers}
    gives = returning.gives(request.policy.rehire, request.overrides)
    given: dict[int, Change] = {}
    for change, resource in await asyncio.gather(*map(read, moved)):
        if resource is None:
            continue
        if change.action is Action.DISABLE:
            held = ((place, place.read(resource)) for place in places)
            last += [(change.key, place.short, value) for place, value in held if value is not None]
            continue
        is_same = (change.key, change.account) in same
        for place in returning.bare(places, resource):
            before = known.get(place.short, {}).get(change.key)
            back = await _existing(ports, request, place, before) if gives and is_same else None
            if back is not None:
                given[id(change)] = returning.giving(given.get(id(change), change), place, back)
                continue
            rehire = request.policy.rehire if is_same else Rehire.LEAVE
            findings.append(returning.finding(change.key, place, before, change.row, rehire=rehire))
    return Looked([given.get(id(change), change) for change in changes], findings, last)


async def _existing(ports: PlanPorts, request: PlanRequest, place: Place, last: Value) -> Value:
    """What of it exists still, so that no name that is gone keeps a person from coming back."""
    kind = next((one.kind for one in request.dialect.names if one.root == place.root), None)
    return returning.existing(place, last, await ports.target.names(kind) if kind and last is not None else None)
