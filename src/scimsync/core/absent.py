"""A delivery that holds only changed people: how far it is believed, and what is told of whom it does not hold.

Who is not in it is *absent*, and nothing is decided about them. So what a source is held to as a whole (the number of
its records, their keys, their blanks) says nothing here, and nothing is learned from such a delivery, but which it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from scimsync.core import contract
from scimsync.core.contract import Earlier
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.trust import Trust
from scimsync.model.outcomes import Run
from scimsync.model.plans import Finding, Plan, Severity
from scimsync.model.records import SourceHealth

#: what is told of a delivery of changes
DELTA = "source.delta"
#: what is told of somebody whom an earlier one held in vain
UNDONE = "source.delta-undone"
#: what the fingerprint of a delivery of changes begins with in the state, so that it is never that of a whole one
_MARK = "delta "


def is_delta(run: Run) -> bool:
    """Whether a run is about a delivery of changes."""
    return run.health is not None and run.health.fingerprint.startswith(_MARK)


def changed_nothing(run: Run) -> bool:
    """Whether a run is about a delivery of changes that changed nothing: the whole one before it still says all."""
    return is_delta(run) and not run.tally.get("changes")


def judge(
    health: SourceHealth,
    previous: SourceHealth | None,
    *,
    earlier: Iterable[Earlier] = (),
    overrides: Iterable[str] = (),
) -> Trust:
    """What a delivery of changes may be used for.

    Args:
        health: Numbers of it.
        previous: Numbers of the last reading of the source that was believed.
        earlier: The readings before the last, where an old delivery could come again.
        overrides: Rules that a person set aside.
    """
    mark = f"{_MARK}{health.fingerprint}"
    former = previous or SourceHealth(rows=0, blanks={}, fingerprint="")
    old = None
    if health.rows and mark != former.fingerprint and contract.OLD not in frozenset(overrides):
        old = next((one for one in earlier if one.fingerprint == mark), None)
    return Trust(
        absence=False,
        blank_columns=frozenset(),
        frozen=frozenset({ACTIVE} if old else ()),
        findings=(contract.of_old(old),) if old else (),
        remembered=replace(former, fingerprint=mark),
        broken=(contract.OLD,) if old else (),
        older=old is not None,
        everybody=False,
    )


def told(records: int, absent: int) -> Finding:
    """That this is a delivery of changes.

    Args:
        records: How many records it holds.
        absent: How many people who have access are not in it.
    """
    people = "1 person with access is" if absent == 1 else f"{absent:,} people with access are"
    quiet = "nobody is in this delivery of changes: a quiet day"
    return Finding(
        severity=Severity.INFO,
        code=DELTA,
        subject="",
        summary=f"{people} not in this delivery of changes; nothing is decided about them" if records else quiet,
        detail="" if records else f"{people} as HR said last",
    )


def of_undone(key: str, run: Run, *, leaves: bool) -> Finding:
    """That what an earlier delivery of changes said of somebody was not done.

    Args:
        key: Who it is.
        run: The run that was about that delivery.
        leaves: They left by it, and keep access.
    """
    return Finding(
        severity=Severity.ERROR if leaves else Severity.WARNING,
        code=UNDONE,
        subject=key,
        summary="what an earlier delivery of changes said of this person was not done, and is not said again",
        detail=f"run {run.id} of {run.created:%Y-%m-%d %H:%M} UTC",
        hint=f"see why: scimsync runs {run.id}; then deliver this person again, or run with everybody",
        holds=True,
    )


def is_told(plan: Plan) -> bool:
    """Whether a plan is about a delivery of changes."""
    return any(finding.code == DELTA for finding in plan.findings)
