"""Plans without the directory, from what its last whole reading showed: no connection, no credential."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from scimsync.bootstrap_sources import make_source
from scimsync.config import Settings
from scimsync.core import planner
from scimsync.engine import offline, planning, signatures
from scimsync.engine.ports import Observer, Store
from scimsync.engine.state import Artifacts, Runs
from scimsync.engine.unwritten import unwritten
from scimsync.errors import ConfigError
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Plan
from scimsync.services import continuity
from scimsync.services.auditing import signing_key
from scimsync.services.observing import Telemetry
from scimsync.services.planning import Choices, ports_of, request_of
from scimsync.workbench.bench import Workbench

__all__ = ["check_choices", "plan"]


def check_choices(choices: Choices) -> None:
    """Whether a plan without the directory can give what a person asks for.

    Raises:
        ConfigError: The accounts shall be kept as they were read, or be read in a certain depth, and none are read.
    """
    if choices.keep is not None:
        raise ConfigError("--keep-accounts keeps what the directory answers, and offline nobody asks it: leave it out.")
    if choices.depth is not None:
        raise ConfigError("--depth says how the directory is asked, and offline nobody asks it: leave it out.")


async def plan(settings: Settings, store: Store, observer: Observer, choices: Choices) -> Plan:
    """Make a plan without the directory, and keep it, marked so that it is never applied.

    Args:
        settings: The configuration; its credentials are not needed.
        store: The state. It gets the plan and its run, and nothing else.
        observer: Told how far the work is.
        choices: What a person asked for.

    Raises:
        ConfigError: The choices, or the mapping, do not fit.
        PlanStale: The state remembers no whole reading.
        SourceError: The source cannot be read.
    """
    check_choices(choices)
    continuity.check(settings, store)
    with room(settings, store) as bench:
        known = offline.recalled(bench, store, settings.policy, settings.target.address)
        quiet, target = unwritten(store), offline.unasked(settings.target.address, store)
        ports = replace(
            ports_of(settings, quiet, Telemetry(observer), make_source(settings), target), phones_kept=False
        )
        made = await planning.make_plan(ports, replace(request_of(settings, choices), offline=known), bench)
    _keep(store, made, settings.source.identity, signing_key(settings, observer.say), partial=bool(choices.only))
    return made


def room(settings: Settings, store: Artifacts) -> Workbench:
    """Where the tables of such plans are made."""
    folder = store.artifact("plan").parent
    return Workbench(folder, memory_limit=settings.state.memory, zone=settings.source.zone)


class KeptState(Runs, Artifacts, Protocol):
    """Of the state: where a plan is kept."""


def _keep(store: KeptState, made: Plan, source: str, key: bytes | None, *, partial: bool) -> None:
    name = f"plan-{made.id}.ndjson"
    digest = signatures.write(store.artifact(name), made, key)
    store.save_run(
        Run(
            id=made.id,
            created=made.created,
            state=RunState.OFFLINE,
            target=made.seal.target,
            plan=name,
            tally=planner.numbers(made),
            partial=partial,
            source=source,
            digest=digest,
        )
    )
