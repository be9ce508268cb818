"""When leavers end: whose account is deleted, how many at once, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from scimsync.model.outcomes import Ending
from scimsync.model.plans import Action, Change, Finding, Lifecycle, Severity
from scimsync.model.wording import some_of

#: a run of tonight may begin some minutes earlier in the day than the one that disabled the account
_EARLY = timedelta(hours=1)
#: the code of accounts of which nobody knows since when they are inactive
UNDATED = "leaver.undated"
#: the code of inactive accounts that the target does not list
UNLISTED = "target.unlisted"


def is_due(since: datetime, after: timedelta, now: datetime) -> bool:
    """Whether an account was inactive for long enough.

    Examples:
        >>> day = datetime(2026, 3, 1, 2, 0)
        >>> is_due(day, timedelta(days=30), datetime(2026, 3, 31, 1, 58))
        True
        >>> is_due(day, timedelta(days=30), datetime(2026, 3, 30, 23, 0))
        False
    """
    return since + after - min(_EARLY, after / 24) <= now


def plan_ending(ending: Ending, name: str, version: str, row: int | None) -> Change:
    """Delete the account of somebody who left."""
    return Change(
        key=ending.key,
        name=name,
        action=Action.DELETE,
        lifecycle=Lifecycle.LEAVER,
        deltas=(),
        account=ending.account,
        version=version,
        operations=(),
        row=row,
    )


def of_expired(ending: Ending, row: int | None) -> Finding:
    """That an account is deleted, and since when it is inactive."""
    ground = "disabled by us then" if ending.proven else "a plan first met it inactive then"
    return Finding(
        severity=Severity.INFO,
        code="leaver.expired",
        subject=ending.key,
        summary="this person left long enough ago; the account is deleted",
        detail=f"inactive since {ending.since:%Y-%m-%d} ({ground})",
        row=row,
    )


def of_undated(keys: Sequence[str], due: datetime) -> Finding:
    """That nobody knows since when some accounts are inactive; told once, on the day from which they count."""
    return Finding(
        severity=Severity.INFO,
        code=UNDATED,
        subject="",
        summary="accounts of people who left are inactive since a day that nobody knows; they count from today",
        detail=f"{len(keys):,}, to be deleted from {due:%Y-%m-%d}: {some_of(keys)}",
    )


def of_unlisted(why: str) -> Finding:
    """That the target does not list all inactive accounts."""
    return Finding(
        severity=Severity.WARNING,
        code=UNLISTED,
        subject="",
        summary="the directory does not list all inactive accounts; those that are known are read one by one",
        detail=why,
        hint='delete accounts of people who left long ago: [policy] leavers = "delete"',
    )


def beyond(refused: Iterable[Finding], keys: Sequence[str]) -> list[Finding]:
    """That nobody is deleted, because that would be too many."""
    return [
        replace(
            finding,
            summary="this run would delete more accounts than [limits] delete allows; none is deleted",
            detail=f"{finding.detail}: {some_of(keys)}",
            holds=True,
        )
        for finding in refused
    ]
