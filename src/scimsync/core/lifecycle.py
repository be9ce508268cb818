"""Joiner, mover, leaver, rehire: what a person's state on both sides makes of a change."""

from __future__ import annotations

from scimsync.model.plans import Action, Lifecycle
from scimsync.scim.schema import Value

ACTIVE = "active"


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


#: The order of work: who loses access goes first, then who needs it, then the rest.
ORDER = {Action.DISABLE: 0, Action.CREATE: 1, Action.ENABLE: 2, Action.UPDATE: 3}
