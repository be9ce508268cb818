"""References that wait for the account of somebody: which do, since when, and which do not any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from scimsync.core.findings import of_vain, of_waiting
from scimsync.engine.state import Deferrals, Runs
from scimsync.model.outcomes import Deferred
from scimsync.model.plans import Change, Finding
from scimsync.workbench.comparing import Comparison


class WaitingState(Deferrals, Runs, Protocol):
    """Of the state: what waits, and which run left it."""


class Waiting(Struct, frozen=True):
    """What a plan has that waits for somebody who gets no account in it."""

    #: (change, path, key)
    vain: Sequence[tuple[Change, str, str]]
    #: the names of the source whose people the plan is about
    sources: Sequence[str]
    run: str
    since: datetime


def remember(store: WaitingState, comparison: Comparison, waiting: Waiting) -> list[Finding]:
    """Remember the references that wait, forget those that do not any more; a finding for each that does."""
    edges = {(edge.key, edge.path): edge for edge in store.deferred() if _is_ours(store, edge, waiting)}
    settled = list(comparison.settled_references(edges.values()))
    for pair in settled:
        del edges[pair]
    told = [of_vain(change, path, awaits, edges.pop((change.key, path), None)) for change, path, awaits in waiting.vain]
    told += map(of_waiting, edges.values())
    fresh = [Deferred(change.key, path, awaits, waiting.run, waiting.since) for change, path, awaits in waiting.vain]
    store.save_deferred(fresh, settled)
    return told


def _is_ours(store: WaitingState, edge: Deferred, waiting: Waiting) -> bool:
    """Whether a run of this source left it; another source says when its own references wait no more."""
    run = store.run(edge.run)
    return run is None or run.source in {"", *waiting.sources}
