"""What is told of a plan that was made without the directory."""

from __future__ import annotations

from datetime import datetime

from scimsync.model.durations import duration_text
from scimsync.model.plans import Finding, Severity


def offline(read_at: datetime, oldest: datetime, now: datetime) -> Finding:
    """A finding that says how old the knowledge is that a plan rests on, and what it lacks.

    Args:
        read_at: When the directory was read whole.
        oldest: When the oldest value was read that this reading took from one before.
        now: The wall clock.
    """
    age = duration_text(max(0.0, (now - read_at).total_seconds()))
    older = f" (single values since {oldest:%Y-%m-%d %H:%M} UTC)" if oldest < read_at else ""
    return Finding(
        severity=Severity.INFO,
        code="plan.offline",
        subject="",
        summary="the directory was not asked: accounts are as the last whole reading and our writes since left them",
        detail=f"read at {read_at:%Y-%m-%d %H:%M} UTC, {age} ago{older}; edits in the directory since, its schema, its "
        "lists of names, and its deleted accounts are not known, and groups are as the last run left them",
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
