"""A plan in a blackout: access is taken from leavers, and everything else waits until it is over.

What is left in it is each change that disables an account (somebody left, is on leave, or fell out of scope), and of
groups the members whom it disables. Nothing of these waits for anything that is left out. A mover who loses a group or
a role waits: half of a move would leave people at work without what they have and without what they are to get. An
account that is to be deleted waits: nobody has access by it any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from scimsync.model.plans import Action, Change, Finding, GroupChange, Severity

#: that changes wait for the end of a blackout
HELD_BACK = "schedule.blackout"


class Holding(Struct, frozen=True):
    """The blackout that holds, and when it ends."""

    name: str
    until: datetime


def leave(
    changes: Sequence[Change], groups: Sequence[GroupChange], holding: Holding | None, *, each: bool = False
) -> tuple[list[Change], tuple[GroupChange, ...], list[Finding]]:
    """What is left of a plan, and a finding that tells how much waits.

    Args:
        changes: Everything that would be written to accounts.
        groups: The same of groups.
        holding: The blackout; all is left where None.
        each: Name each person who waits: a delivery of changes does not hold them again.
    """
    if holding is None:
        return [*changes], tuple(groups), []
    taken = [change for change in changes if change.action is Action.DISABLE]
    gone = {change.key for change in taken}
    cut = (replace(g, add=(), remove=tuple(member for member in g.remove if member.key in gone)) for g in groups)
    left = tuple(group for group in cut if group.remove)
    waiting = len(changes) - len(taken)
    members = sum(len(g.add) + len(g.remove) for g in groups) - sum(len(g.remove) for g in left)
    if not waiting and not members:
        return taken, left, []
    told = Finding(
        severity=Severity.INFO,
        code=HELD_BACK,
        subject="",
        summary="a blackout holds: access is taken from leavers, and all else waits until it is over",
        detail=f"{holding.name} until {holding.until:%Y-%m-%d %H:%M} UTC; "
        f"{waiting:,} changes of accounts and {members:,} memberships wait",
        hint="the first run after it does them; at once: scimsync sync",
    )
    named = {change.key: change for change in changes if change.action is not Action.DISABLE} if each else {}
    return taken, left, [told, *(_waits(change, told.detail) for change in named.values())]


def _waits(change: Change, detail: str) -> Finding:
    """That one person waits, and must be delivered again, or be in the next delivery of everybody."""
    return Finding(
        severity=Severity.WARNING,
        code=HELD_BACK,
        subject=change.key,
        summary="a blackout holds: what this delivery of changes says of this person waits",
        detail=detail.partition(";")[0],
        hint="deliver this person again after it, or everybody",
        row=change.row,
        holds=True,
    )
