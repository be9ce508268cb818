"""Which runs of the past are kept with their files, and which no longer."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from scimsync.model.outcomes import Run, RunState
from scimsync.model.policy import Keep

_CUT_SHORT = frozenset({RunState.APPLYING, RunState.INTERRUPTED})


def touched(run: Run) -> datetime:
    """When something was last done to a run, by the clock."""
    return max(moment for moment in (run.created, run.began, run.finished) if moment is not None)


def kept(runs: Iterable[Run], keep: Keep, now: datetime, waiting: Collection[str] = ()) -> frozenset[str]:
    """The ids of the runs that are kept with everything they left.

    Whatever retention says, that is the newest plan, the run that left the newest base (of each source too, for a
    plan compares the health of its source with it), the run that was begun last and can be gone on with, and those of
    which a person must decide something.

    Args:
        runs: All of them.
        keep: How many, and how old.
        now: The wall clock.
        waiting: The ids of runs that wait for a person's answer.
    """
    known = list(runs)
    begun = sorted((run for run in known if run.begun), key=lambda run: run.begun, reverse=True)
    found = {run.id for run in begun[: keep.runs]} | set(waiting)
    found |= {run.id for run in known if now - touched(run) <= timedelta(days=keep.days)}
    found |= {run.id for run in begun[:1] if run.state in _CUT_SHORT}
    found |= {run.id for run in sorted(known, key=lambda run: run.seq)[-1:]}
    newest: dict[str, Run] = {}
    for run in sorted((run for run in known if run.base), key=lambda run: (run.base, run.begun, run.id)):
        newest |= {run.source: run, "\0all": run}
    return frozenset(found | {run.id for run in newest.values()})
