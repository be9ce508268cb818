"""Whose links are whose: tell ours from those of other sources, and find what our last reading was like."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from scimsync.core import owning as rules
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.state import Links, Runs
from scimsync.model.plans import Finding
from scimsync.model.records import SourceHealth
from scimsync.workbench import absent
from scimsync.workbench import owning as tables
from scimsync.workbench.bench import Workbench


class OwnedState(Runs, Links, Protocol):
    """Of the state: which sources were met, and what came of them."""


class Owned(Struct, frozen=True, kw_only=True):
    """What is known of a source and its links."""

    findings: tuple[Finding, ...]
    #: sources that this one is known to be, under another name
    takes: tuple[str, ...]
    #: the health of our last reading that was applied; None on a first run
    health: SourceHealth | None


def own_links(bench: Workbench, store: OwnedState, request: PlanRequest) -> Owned:
    """Say in the table `links` which are ours; of a delivery of changes, hold whom it does not name.

    Args:
        bench: The tables `links`, `desired` and `held`.
        store: The state.
        request: What the source is known by, and the rules that a person set aside.
    """
    source, overrides = request.source, request.overrides
    recent = store.begun(rules.SILENT)
    lately = {run.source for run in recent} if len(recent) == rules.SILENT else None
    held = []
    for name, links, met in tables.met(bench):
        last = store.last_applied(name)
        rows = last.health.rows if last and last.health else 0
        alive = lately is None or name in lately
        held.append(rules.Held(source=name, links=links, met=met, rows=rows, alive=alive))
    judged = rules.judge(source, held, known=source in store.sources(), overrides=overrides, former=request.former)
    tables.own(bench, (source, *judged.takes))
    if request.is_delta:
        absent.lay(bench, request.key)
    applied = [run for name in (source, *judged.takes) if (run := store.last_applied(name)) is not None]
    health = max(applied, key=lambda run: (run.base, run.begun)).health if applied else None
    return Owned(findings=tuple(judged.findings), takes=judged.takes, health=health)
