"""From when until when a record holds: who is there on a day, and what is told of who comes and goes after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.errors import ConfigError
from scimsync.model.plans import Change, Finding, Reason, Severity, Verdict

#: so many days ahead it is told who comes, moves and goes, and looked whether who comes can be made an account
AHEAD = timedelta(days=30)
#: the codes of what is told
BAD, EARLY, COLLIDES = "record.bad-validity", "record.not-yet-valid", "login.collides"


class Validity(Struct, frozen=True, kw_only=True):
    """How a source says from when until when its records hold."""

    #: SQL expressions over one record: its first and its last day; "" for none
    first: str = ""
    last: str = ""
    #: the day that a plan is made for; None for today
    as_of: date | None = None

    @property
    def is_known(self) -> bool:
        """Whether the source says anything of it."""
        return bool(self.first or self.last)


#: of a source that says nothing of days
ALWAYS = Validity()


def day_of(validity: Validity, today: date) -> date:
    """The day that a plan is made for.

    Raises:
        ConfigError: The source says nothing of days, or the day is gone.
    """
    if validity.as_of is None:
        return today
    if not validity.is_known:
        raise ConfigError(
            "--as-of: the source does not say from when until when its records hold. "
            'Name it: [source] valid_from = "hire_date", valid_until = "end_date".'
        )
    if validity.as_of < today:
        raise ConfigError(
            f"--as-of {validity.as_of}: that day is gone, and the directory is as it is today ({today}). "
            "Name today or a day to come."
        )
    return validity.as_of


def explained(changes: Iterable[Change], ended: Mapping[str, date]) -> list[Change]:
    """The changes, with the reason of whoever leaves because the record has ended.

    Args:
        changes: All of a plan.
        ended: Key -> the last day.
    """
    return [_explained(change) if change.key in ended else change for change in changes]


def _explained(change: Change) -> Change:
    left = {Reason.LEFT, Reason.SOURCE_MOVED, Reason.NO_BASE}
    deltas = tuple(
        replace(d, reason=Reason.ENDED)
        if d.path == ACTIVE and d.verdict is Verdict.WRITE and d.sides.desired is False and d.reason in left
        else d
        for d in change.deltas
    )
    return replace(change, deltas=deltas)


# --- what is told ----------------------------------------------------------------------------------


def of_bad(key: str, row: int | None, what: str, *, holds: bool) -> Finding:
    """That the days of a record cannot be read, or end before they begin."""
    return Finding(
        severity=Severity.ERROR if holds else Severity.WARNING,
        code=BAD,
        subject=key,
        summary="from when until when a record holds cannot be told",
        detail=what,
        hint="write a day as 2026-11-30 in the source, and an end that is not before the beginning; "
        "until then this person is left as is",
        row=row,
        holds=holds,
    )


def of_early(key: str, first: date, row: int | None) -> Finding:
    """That somebody has access whose record holds from a later day only."""
    return Finding(
        severity=Severity.ERROR,
        code=EARLY,
        subject=key,
        summary="this person has an active account, and HR has no record that holds today",
        detail=f"the next one holds from {first}",
        hint="let the source also give the record that holds today, or one that has ended; until then this person is "
        "left as is",
        row=row,
        holds=True,
    )


def of_collision(key: str, first: date, who: Sequence[str], row: int | None) -> Finding:
    """That the login of somebody who joins later is another's."""
    return Finding(
        severity=Severity.WARNING,
        code=COLLIDES,
        subject=key,
        summary="the login of somebody who joins later is that of another person",
        detail=f"joins on {first}; also {', '.join(who)}",
        hint="give one of them another login in the source before that day",
        row=row,
    )


def ahead(finding: Finding, first: date) -> Finding:
    """What is wrong with the record of somebody who joins later: nobody waits for it yet."""
    detail = f"joins on {first}" + (f"; {finding.detail}" if finding.detail else "")
    return replace(finding, severity=Severity.WARNING, holds=False, detail=detail)
