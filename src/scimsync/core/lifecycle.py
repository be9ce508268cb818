"""Joiner, mover, leaver, rehire: what a person's state on both sides makes of a change."""

from __future__ import annotations

from scimsync.model.plans import Action, Lifecycle

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
    if writes and wanted is True and held is False:
        return Action.ENABLE, Lifecycle.REHIRE
    return Action.UPDATE, Lifecycle.MOVER


#: The order of work: who loses access goes first, then who needs it, then the rest.
ORDER = {Action.DISABLE: 0, Action.CREATE: 1, Action.ENABLE: 2, Action.UPDATE: 3}
