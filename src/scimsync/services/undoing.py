"""Plan to take a run back, or to bring people back to an earlier moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from scimsync.bootstrap_sources import make_source
from scimsync.config import Settings
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.undoing import GROUPS
from scimsync.engine import hindsight, undoing
from scimsync.engine.hindsight import Wanted
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.ports import Observer, Store
from scimsync.errors import ConfigError, InvalidPath, PlanStale
from scimsync.model.outcomes import RunState
from scimsync.model.plans import Plan
from scimsync.services import awaiting
from scimsync.services.auditing import signing_key
from scimsync.services.observing import measured
from scimsync.services.planning import Choices, check_rules, ports_of, request_of, spend, stored_plan
from scimsync.services.reaching import reached

__all__ = ["restore", "undo"]
#: what nothing was written by
_UNBEGUN = frozenset({RunState.PLANNED, RunState.REFUSED, RunState.OFFLINE})


async def undo(
    settings: Settings, store: Store, observer: Observer, named: str, choices: Choices, attributes: Sequence[str] = ()
) -> Plan:
    """Make a plan that takes a run back, and store it; nothing is written to the target.

    Args:
        settings: The configuration.
        store: The state.
        observer: Is told how far it is.
        named: The id of the run, or its beginning.
        choices: The people to look at, and the rules that are set aside.
        attributes: Paths of the attributes to look at, `groups` for memberships; all where empty.

    Raises:
        PlanStale: There is no such run, nothing was written by it, or nothing of it is on record.
        ConfigError: A path or a rule does not exist.
        TargetError: The directory cannot be read.
    """
    paths = _paths(settings, attributes)
    run = store.run(named)
    if run is None:
        raise PlanStale(f"there is no run {named!r}. List them with: scimsync runs")
    if run.state in _UNBEGUN:
        raise PlanStale(f"run {run.id} was never applied ({run.state.value}): there is nothing to take back.")
    if run.state is RunState.APPLYING:
        raise PlanStale(
            f"run {run.id} is at work, or was cut short. Go on with it (scimsync apply {run.id}), "
            "or settle it: scimsync plan"
        )
    request = request_of(settings, choices)
    made = stored_plan(store, run).plan if run.plan else None
    return await _plan(settings, store, observer, request, hindsight.inverse(store, run, made, request, paths))


async def restore(
    settings: Settings,
    store: Store,
    observer: Observer,
    moment: datetime,
    choices: Choices,
    attributes: Sequence[str] = (),
) -> Plan:
    """As `undo`, to bring people back to what was agreed after the last run before a moment.

    Raises:
        PlanStale: No run ended before it, what was agreed then is not kept, or knows nothing of somebody.
        ConfigError: Nobody is named, or a path or a rule does not exist.
        TargetError: The directory cannot be read.
    """
    if not choices.only:
        raise ConfigError(
            "restore: name the people, with --user KEY. A whole run is taken back with: scimsync undo RUN"
        )
    paths = _paths(settings, attributes)
    request = request_of(settings, choices)
    return await _plan(settings, store, observer, request, hindsight.as_of(store, moment, request, paths))


async def _plan(settings: Settings, store: Store, observer: Observer, request: PlanRequest, wanted: Wanted) -> Plan:
    check_rules(request.overrides, settings.contract)
    with measured(settings, store, observer, "plan") as telemetry:
        async with reached(settings, telemetry.observer.say, telemetry.metrics) as target:
            key = signing_key(settings, telemetry.observer.say)
            ports = replace(ports_of(settings, store, telemetry, make_source(settings), target), key=key)
            began = ports.clock.monotonic()
            made = await undoing.make_plan(ports, request, wanted)
            spend(store, made.id, "plan", telemetry, ports.clock.monotonic() - began)
            awaiting.tell(settings, store, made)
            telemetry.state, telemetry.rate = ("refused" if made.refusals else "planned"), target.rate
            telemetry.metrics.planned(made)
            return made


def _paths(settings: Settings, attributes: Sequence[str]) -> frozenset[str]:
    """The short paths that a person means.

    Raises:
        ConfigError: One is none of the target's, or is not managed.
    """
    known = {*settings.policy.by_path, ACTIVE, GROUPS}
    found = set()
    for path in attributes:
        try:
            short = path if path == GROUPS else settings.target.dialect.users.resolve(path).short
        except InvalidPath as error:
            raise ConfigError(f"--attribute {path}: {error}") from error
        if short not in known:
            raise ConfigError(
                f"--attribute {path}: the mapping does not manage it. It manages: {', '.join(sorted(known))}"
            )
        found.add(short)
    return frozenset(found)
