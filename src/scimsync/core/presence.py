"""Who of the people in HR is there for the directory: in scope, on leave, with which of several records; what is told.

A person who falls out of scope, or is on leave, has not left: what becomes of the account is policy, and the return is
no rehire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.plans import Action, Change, Finding, Lifecycle, Reason, Severity, Verdict
from scimsync.model.wording import some_of

OUTSIDE, UNSURE, AWAY, PREPARED = "record.out-of-scope", "record.scope-unknown", "record.on-leave", "record.prepared"
#: what stands for memberships among what a leave takes
GROUPS = "groups"


class Presence(Struct, frozen=True, kw_only=True):
    """What a source says of its people besides their days, as SQL expressions over one record; "" for nothing."""

    #: whether a record is about somebody whom the directory shall know
    where: str = ""
    #: whether the person is on leave
    on_leave: str = ""
    #: by what the record of a person is chosen where several hold: the first in this order
    main: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the source says anything of it."""
        return bool(self.where or self.on_leave or self.main)


#: of a source that says nothing of it
ALL_THERE = Presence()


class Absence(Struct, frozen=True, kw_only=True):
    """Of whom a plan knows that their access changes for another reason than that they left, or came."""

    #: key -> why access is taken
    away: Mapping[str, Reason]
    #: key -> why access is given
    back: Mapping[str, Reason]


def explained(changes: Iterable[Change], absence: Absence) -> list[Change]:
    """The changes, with the reason of whoever did not leave, or does not come back from having left."""
    return [_explained(change, absence) for change in changes]


def _explained(change: Change, absence: Absence) -> Change:
    why = {Action.DISABLE: absence.away, Action.ENABLE: absence.back}.get(change.action, {}).get(change.key)
    if why is None:
        return change
    deltas = tuple(
        replace(d, reason=why) if d.path == ACTIVE and d.verdict is Verdict.WRITE else d for d in change.deltas
    )
    return replace(change, deltas=deltas, lifecycle=Lifecycle.JOINER if why is Reason.BEGAN else Lifecycle.MOVER)


# --- what is told ----------------------------------------------------------------------------------


def of_outside(keys: Sequence[str]) -> Finding:
    """That people with an account are not in scope any more, and are left alone."""
    return Finding(
        severity=Severity.WARNING,
        code=OUTSIDE,
        subject="",
        summary=f"{_people(keys)} with an account out of scope ([source] where); the accounts are left alone",
        detail=some_of(keys),
        hint='whoever falls out of scope loses access with [policy] out_of_scope = "disable"',
    )


def of_unsure(key: str, row: int | None) -> Finding:
    """That it cannot be told whether somebody is in scope."""
    return Finding(
        severity=Severity.ERROR,
        code=UNSURE,
        subject=key,
        summary="whether this person is in scope, or on leave, cannot be told",
        hint="fill the columns that [source] where and on_leave read; until then this person is left as is",
        row=row,
        holds=True,
    )


def of_leave(keys: Sequence[str]) -> Finding:
    """That people are on leave and nothing is written of them."""
    return Finding(
        severity=Severity.INFO,
        code=AWAY,
        subject="",
        summary=f"{_people(keys)} on leave; nothing of them is written until they are back",
        detail=some_of(keys),
    )


def of_prepared(keys: Sequence[str]) -> Finding:
    """That people get an account before their first day, which is inactive until then."""
    return Finding(
        severity=Severity.INFO,
        code=PREPARED,
        subject="",
        summary=f"{_people(keys)} known before the first day; the accounts are inactive until then",
        detail=some_of(keys),
    )


def _people(keys: Sequence[str]) -> str:
    return "1 person is" if len(keys) == 1 else f"{len(keys):,} people are"
