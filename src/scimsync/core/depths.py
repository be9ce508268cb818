"""How deep a plan looks at the directory, and what it says of that."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from scimsync.model.durations import duration_text
from scimsync.model.plans import Finding, Severity
from scimsync.model.policy import Depth

#: code of the finding that says that nobody was listed
NOT_LISTED = "target.not-listed"


class Rhythm(Struct, frozen=True, kw_only=True):
    """How often a plan looks deeper than it is told to; never where zero."""

    #: everybody is listed whole
    full: timedelta = timedelta(days=7)
    #: everybody is listed with a version
    versions: timedelta = timedelta(days=1)


def chosen(wanted: Depth, rhythm: Rhythm, now: datetime, listed: datetime, whole: datetime) -> Depth:
    """How deep a plan looks: as it is told to, or deeper where the last look is too long ago, or not in the past.

    Args:
        wanted: What it is told.
        rhythm: How often it looks deeper.
        now: The time of the plan.
        listed: When everybody was listed last, with a version at least.
        whole: When everybody was listed whole last.
    """
    if wanted is Depth.FULL or _is_due(rhythm.full, now - whole):
        return Depth.FULL
    if wanted is Depth.VERSIONS or _is_due(rhythm.versions, now - listed):
        return Depth.VERSIONS
    return Depth.SOURCE


def _is_due(every: timedelta, age: timedelta) -> bool:
    return age < timedelta() or bool(every and age >= every)


def of_versions(now: datetime, whole: datetime) -> Finding:
    """Accounts were listed with their versions, and read where those had moved."""
    return Finding(
        severity=Severity.INFO,
        code="target.versions-only",
        subject="",
        summary="accounts were listed by version alone: who did not move counts as read before",
        detail=f"everybody was listed whole {_ago(now - whole)} ago; what moves no version is not seen until then",
        hint="to see everything, run: scimsync plan --depth full",
    )


def of_source(now: datetime, listed: datetime, *, groups: bool) -> Finding:
    """Nobody was listed."""
    beside = "; groups and their members were not looked at" if groups else ""
    return Finding(
        severity=Severity.INFO,
        code=NOT_LISTED,
        subject="",
        summary="the directory was not read: accounts count as listed last, and as written since",
        detail=f"listed {_ago(now - listed)} ago; edits by hand since are seen only where we write{beside}",
        hint="to see everything, run: scimsync plan --depth full",
    )


def of_fallback(wanted: Depth, why: str) -> Finding:
    """A plan could not look as little as it was told."""
    return Finding(
        severity=Severity.INFO,
        code="target.read-whole",
        subject="",
        summary="the directory was read whole, although less was asked for",
        detail=f'--depth {wanted.value}, or [target] depth = "{wanted.value}": {why}',
        hint="nothing to do: the next plan may rest on this reading",
    )


def _ago(age: timedelta) -> str:
    return duration_text(max(age.total_seconds(), 0))
