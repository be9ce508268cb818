"""What the run before leaves a plan: whether it was cut short, and with which directory it agreed."""

from __future__ import annotations

from scimsync.engine.state import Runs
from scimsync.errors import ConfigError
from scimsync.model.outcomes import Run, RunState


def unfinished(store: Runs) -> Run | None:
    """The latest run that was begun, if it was cut short."""
    last = next(iter(store.begun(1)), None)
    return last if last is not None and last.state in {RunState.APPLYING, RunState.INTERRUPTED} else None


def check_target(last: Run | None, target: str) -> None:
    """Whether what was last agreed was agreed with this target.

    Raises:
        ConfigError: It was agreed with another.
    """
    if last is not None and last.target != target:
        raise ConfigError(
            f"[state] remembers {last.target}, and [target] is {target}. What was agreed with one "
            "directory says nothing about another: give each its own [state] url and artifacts."
        )
