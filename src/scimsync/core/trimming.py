"""Leave people, actions or attributes out of a plan that was made, and nothing else out of it.

What waits for somebody who is left out is left out too: a reference to an account that is not made, a login that is
not given up, a membership of somebody who has no account.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from scimsync.core.planner import SENT
from scimsync.model.plans import (
    LOGIN,
    MAKING,
    Change,
)

#: that a person left something out of a plan
LEFT_OUT = "plan.left-out"


def without_vain(changes: Iterable[Change]) -> tuple[list[Change], list[tuple[Change, str, str]]]:
    """Leave alone the references that wait for somebody who gets no account in this plan.

    Returns:
        The changes that are left, and of each such reference the change, the path, and whom it waits for.
    """
    found = list(changes)
    created = {change.key for change in found if change.action in MAKING}
    kept, told = list[Change](), list[tuple[Change, str, str]]()
    for change in found:
        waits = (*change.awaiting, *change.deferred)
        vain = {d.path: d.awaits for d in waits if d.path != LOGIN and d.awaits is not None and d.awaits not in created}
        told += [(change, path, awaits) for path, awaits in vain.items()]
        deltas = tuple(d for d in change.deltas if d.path not in vain) if vain else change.deltas
        if any(d.verdict in SENT for d in deltas):
            kept.append(replace(change, deltas=deltas) if vain else change)
    return kept, told
