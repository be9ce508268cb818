"""Joiner, mover, leaver, rehire: what a person's state on both sides makes of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scimsync.model.plans import LOGIN, Action, Change, GroupChange, Lifecycle
from scimsync.model.policy import Authority, Mapped, Policy
from scimsync.scim.schema import Catalog, Value

ACTIVE = "active"


def active_of(policy: Policy, catalog: Catalog) -> Mapped:
    """The attribute that disabling writes, whether the mapping manages it or not."""
    mapped = policy.by_path.get(ACTIVE)
    return mapped or Mapped(place=catalog.resolve(ACTIVE), expression="", authority=Authority.LOCAL_WINS)


def of_pair(*, wanted: object, held: object, writes: bool) -> tuple[Action, Lifecycle]:
    """What a change of an existing account is.

    Args:
        wanted: The desired value of `active`; None where the mapping does not manage it.
        held: Its current value.
        writes: Whether the change writes `active`.
    """
    if writes and wanted is False:
        return Action.DISABLE, Lifecycle.LEAVER
    if writes and wanted is True and held is not True:
        return Action.ENABLE, Lifecycle.REHIRE
    return Action.UPDATE, Lifecycle.MOVER


def shown(held: Value, before: Value) -> Value:
    """What a resource says of `active`, where some directories show it of active accounts only.

    Where it was shown as true and is not shown any more, it is not true any more. Where it never was
    shown, nothing is known.

    Args:
        held: What is shown now; None where nothing is.
        before: What was shown before.
    """
    return False if held is None and before is True else held


#: The order of work: who loses access goes first, then who needs it, then the rest; what is deleted goes last.
ORDER = {
    Action.DISABLE: 0,
    Action.RESTORE: 2,
    Action.CREATE: 2,
    Action.ENABLE: 3,
    Action.UPDATE: 4,
    Action.DELETE: 5,
}
#: when those come who give a login up to somebody: whoever takes it may be a joiner
GIVING = 1


def giving(changes: Sequence[Change]) -> dict[str, int]:
    """Who gives a login up to somebody, by key, with how many give up theirs before."""
    takers = {d.awaits: c.key for c in changes for d in c.deltas if d.path == LOGIN and d.awaits is not None}
    waiting = {c.key for c in changes for d in c.awaiting if d.path == LOGIN}
    found: dict[str, int] = {}
    for first in takers.keys() - waiting:
        giver, depth = first, 0
        while giver in takers and giver not in found:
            found[giver] = depth
            giver, depth = takers[giver], depth + 1
    return found


def takes_access(change: Change | GroupChange) -> bool:
    """Whether a change takes access from somebody, and so waits for nothing that does not."""
    if isinstance(change, GroupChange):
        return bool(change.remove)
    return change.action in {Action.DISABLE, Action.DELETE}


def turn(change: Change, givers: Mapping[str, int]) -> int:
    """When a change is carried out, among all of a plan."""
    early = change.key in givers and change.action is not Action.DISABLE
    return GIVING if early and any(delta.path == LOGIN for delta in change.deltas) else ORDER[change.action]
