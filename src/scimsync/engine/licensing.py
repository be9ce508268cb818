"""Ask the target which licences a plan needs."""

from __future__ import annotations

from collections.abc import Sequence

from scimsync.core import licensing
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.errors import TargetError
from scimsync.model.plans import Change
from scimsync.workbench.accounts import held_by
from scimsync.workbench.bench import Workbench

#: so many different sets of roles are asked for, each with a request of its own; beyond, nothing is told
MOST_SETS = 50


async def needed(ports: PlanPorts, request: PlanRequest, bench: Workbench, changes: Sequence[Change]) -> dict[str, int]:
    """Licence -> how many more the plan needs; empty where that cannot be known, and for some people only.

    Trouble with this question ends no plan.
    """
    roles = licensing.mapped_roles(request.policy, request.dialect)
    if roles is None or not changes or request.only:
        return {}
    index = request.policy.attributes.index(roles)
    accounts = [change.account for change in changes if change.account is not None]
    held = {
        account: licensing.Held(active, value)
        for account, active, value in held_by(bench, index, roles.place, accounts)
    }
    moved = [*licensing.moves(changes, roles, held, request.dialect.default_roles)]
    sets = {roles for pair in moved for roles in pair} - {licensing.NONE}
    if not sets or len(sets) > MOST_SETS:
        return {}
    ports.observer.stage("asking what licences it needs")
    try:
        licences = await ports.target.licences(sets)
    except TargetError:
        return {}
    return licensing.counted(moved, licences) if licences is not None else {}
