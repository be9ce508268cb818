"""Past runs: list them, and tell of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from scimsync.bootstrap import now
from scimsync.core import leaving
from scimsync.engine.state import Artifacts, Audit, Journal, Runs
from scimsync.errors import PlanStale
from scimsync.model.outcomes import JournalLine, Outcome, Run, RunState
from scimsync.model.plans import Plan
from scimsync.services.planning import as_applied, stored_plan


class RunsState(Runs, Journal, Audit, Artifacts, Protocol):
    """Of the state: runs and what was told of them."""


class PastRun(Struct, frozen=True, kw_only=True):
    """What is known of one run."""

    run: Run
    plan: Plan
    journal: Sequence[JournalLine]
    #: when it was looked at
    at: datetime

    @property
    def outcomes(self) -> list[Outcome]:
        """What came of each part of each change, in the order in which it was settled."""
        return [line.outcome for line in self.journal if line.outcome is not None]

    @property
    def kept(self) -> Mapping[str, str] | None:
        """Which leavers keep access, with why; None where the run was not begun, so that the plan says it."""
        if self.run.state in {RunState.PLANNED, RunState.REFUSED, RunState.OFFLINE}:
            return None
        return leaving.by_run(self.plan, {(o.key, o.part): o for o in self.outcomes})


def listed(store: Runs, limit: int = 50) -> Sequence[Run]:
    """The latest runs, newest first."""
    return store.runs(limit)


def known(store: Runs, named: str) -> Run:
    """The run that a person means by its id or the beginning of it.

    Raises:
        PlanStale: There is none.
        ConfigError: There are several.
    """
    run = store.run(named)
    if run is None:
        raise PlanStale(f"there is no run {named!r}. List them with: scimsync runs")
    return run


def find(store: RunsState, named: str) -> PastRun:
    """The run that a person means by its id or the beginning of it.

    Raises:
        PlanStale: There is none, or its plan is no longer kept.
        ConfigError: There are several.
    """
    run = store.run(named)
    if run is None:
        raise PlanStale(f"there is no run {named!r}. List them with: scimsync runs")
    if not run.plan:
        raise PlanStale(f"run {run.id}: its plan is no longer kept ([state] keep). The audit chain knows what it did.")
    return _told(store, run, as_applied(store, stored_plan(store, run).plan))


def of_plan(store: RunsState, made: Plan) -> PastRun:
    """The run of a plan that was just made.

    Raises:
        PlanStale: It was not stored here.
    """
    run = store.run(made.id)
    if run is None:
        raise PlanStale(f"plan {made.id}: this state does not know it. Make the plan with the same [state].")
    return _told(store, run, made)


def _told(store: Journal, run: Run, plan: Plan) -> PastRun:
    return PastRun(run=run, plan=plan, journal=list(store.journal(run.id)), at=now())
