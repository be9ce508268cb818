"""What is told of a plan that was made without the directory."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from scimsync.model.durations import duration_text
from scimsync.model.plans import Finding, Severity


class Known(Struct, frozen=True, kw_only=True):
    """What is known of the directory without asking it."""

    #: when everybody was listed last, and when whole, with all that is mapped
    listed: datetime
    whole: datetime
    #: the mapped paths that were read
    paths: frozenset[str]


def offline(known: Known, now: datetime) -> Finding:
    """A finding that says how old the knowledge is that a plan rests on, and what it lacks."""
    age = duration_text(max(0.0, (now - known.listed).total_seconds()))
    older = f" (by version alone; whole at {known.whole:%Y-%m-%d %H:%M} UTC)" if known.whole < known.listed else ""
    return Finding(
        severity=Severity.INFO,
        code="plan.offline",
        subject="",
        summary="the directory was not asked: accounts are as the last whole reading and our writes since left them",
        detail=f"read at {known.listed:%Y-%m-%d %H:%M} UTC, {age} ago{older}; edits in the directory since, its "
        "schema, its lists of names, and its deleted accounts are not known, and groups are as the last run left them",
        hint="this plan is for reading; make one that can be applied with: scimsync plan",
    )


def unread(path: str) -> Finding:
    """A finding about a mapped path that the last whole reading did not read."""
    return Finding(
        severity=Severity.WARNING,
        code="plan.offline-unread",
        subject=path,
        summary="the last whole reading did not read this path, so it is left alone for everybody who has an account",
        hint="make a plan that asks the directory, once; then it is known: scimsync plan",
    )
