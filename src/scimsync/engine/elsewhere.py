"""Whom another source of the same state has the word about: a plan of this one leaves alone what waits of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from scimsync.engine.state import Runs
from scimsync.workbench import suspects
from scimsync.workbench.bench import Workbench


class Asked(Protocol):
    """What is known of the plan that asks: its tables, after correlation, and the names of its source."""

    @property
    def bench(self) -> Workbench:
        """The tables of the run."""
        ...

    @property
    def sources(self) -> Collection[str]:
        """The names of the source whose people the plan is about."""
        ...


def elsewhere(store: Runs, asked: Asked, seen: Mapping[str, str]) -> frozenset[str]:
    """Those of some keys about whom another source has the word.

    That is the source that their link names; of whoever has none, that of the run in which they were met. Of a run
    that nobody remembers the plan that asks has the word.

    Args:
        store: The state.
        asked: The plan that asks.
        seen: Key -> the run in which they were met.
    """
    if not seen:
        return frozenset()
    linked = suspects.linked(asked.bench, sorted(seen))
    found = {key for key, ours in linked.items() if not ours}
    sources: dict[str, bool] = {}
    for key, name in seen.items():
        if key not in linked:
            if name not in sources:
                run = store.run(name)
                sources[name] = run is not None and run.source not in asked.sources
            found |= {key} if sources[name] else set()
    return frozenset(found)
