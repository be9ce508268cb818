"""One leg of a run: what a worker does for an organisation before it lets others have their turn.

A run is planned in its first leg and written in as many as it takes, each of about 50 changes, by the engine that
applies plans on one machine. Where a run stands is known from the state alone, so a leg may be played twice, or by
two workers at once: the lease lets one of them write, and its fence refuses whoever was thought dead and wakes up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from scimsync.config import Fleet, LogSettings, Settings, load_fleet
from scimsync.core import lifecycle
from scimsync.engine import preceding
from scimsync.engine.ports import Observer, Store
from scimsync.errors import ConfigError, PlanError, StoreError, StoreLocked, TargetUnavailable
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.services import applying, approving, fleet, planning, state
from scimsync.services.fleet import Line, Stop, Told
from scimsync.services.planning import Choices

#: which legs this program understands: whoever changes what a leg means counts one up
PROTOCOL = "fleet-1"
#: what goes first: legs that take access away, then plans, which find out whom to take it from, then everything else
LEAVERS, PLANS, REST = 1, 2, 3
#: changes of a leg, and the seconds that it works at least, so that opening a large plan costs little of it
CHUNK, CHUNK_S = 50, 20.0
#: seconds of silence after which others may take the lease of a worker
BEARS_S = 20
#: seconds before a leg is tried again that found somebody at work, or its state away
BUSY_S, AWAY_S = 5.0, 10.0
#: what passes by itself
_AWAY = (StoreError, TargetUnavailable)
#: how often a target or a state that is away is tried again before the run is left to the next slot
_TRIES = 30


class Leg(Struct, frozen=True, kw_only=True):
    """What came of a leg."""

    line: Line
    goes_on: bool = False
    #: of the next leg; the lower, the earlier
    priority: int = REST
    #: seconds before it
    pause_s: float = 0.0
    #: the run that it goes on with; "" where that is not known
    run: str = ""
    #: how often in a row it found its target or its state away
    tries: int = 0


class Labour:
    """Does legs, several at a time, each in a thread.

    Args:
        file: The fleet file.
        told: Told of what a person should know.
        stop: Set when this worker shall come to its end.
        chunk: Changes of a leg.
        chunk_s: Seconds that it works at least.
        bears_s: Seconds of silence after which others may take over.
    """

    def __init__(
        self,
        file: Path,
        told: Told,
        stop: Stop,
        chunk: int = CHUNK,
        chunk_s: float = CHUNK_S,
        bears_s: int = BEARS_S,
    ) -> None:
        self._file, self._told, self._stop = file, told, stop
        self._choices = Choices(chunk=chunk, chunk_s=chunk_s, deliver=False)
        self._bears_s = bears_s
        self._looked: tuple[object, Mapping[str, Line]] = ((), {})

    def carry(self, organisation: str, run: str, tries: int) -> Leg:
        """Do one leg of the run of an organisation; whatever happens is a line.

        Args:
            organisation: Whose run it is.
            run: The run that is gone on with; "" in the first leg, which plans.
            tries: How often in a row the target or the state was away.
        """
        try:
            found = load_fleet(self._file)
            settings = self._settings(found, organisation)
            with state.held(settings, self._bears_s) as store:
                return asyncio.run(self._leg(organisation, settings, store, run))
        except StoreLocked as error:
            line = Line(name=organisation, word="busy", code=error.exit_code, says=str(error))
            return Leg(line=line, goes_on=True, priority=PLANS, pause_s=BUSY_S, run=run)
        except BaseException as raised:  # noqa: BLE001 - a fault of ours in one organisation is none of the others
            line = fleet.failed(organisation, raised)
            again = isinstance(fleet.first(raised), _AWAY) and tries < _TRIES
            return Leg(line=line, goes_on=again, priority=REST, pause_s=AWAY_S, run=run, tries=tries + 1)

    def refused(self, found: Fleet) -> Mapping[str, Line]:
        """Organisations for which nothing may be sent; looked for anew where a file changed."""
        places = [found.file, *(found.file.parent / (one.config or one.extends) for one in found.members)]
        seen = tuple((place, place.stat().st_mtime_ns if place.is_file() else 0) for place in dict.fromkeys(places))
        if self._looked[0] != seen:
            _, faulty = fleet.loaded(found, secrets=True)
            self._looked = (seen, {name: line for name, line in faulty.items() if line.word == "refused"})
        return self._looked[1]

    def _settings(self, found: Fleet, organisation: str) -> Settings:
        member = next((one for one in found.members if one.name == organisation), None)
        if member is None:
            raise ConfigError(
                f"{organisation} is not in {found.file.name} any more, and a run of it is under way: nothing more is "
                "sent for it. Put it back, and the next run settles what was begun."
            )
        if (line := self.refused(found).get(organisation)) is not None:
            raise ConfigError(line.says)
        return replace(fleet.settings_of(found, member), log=LogSettings())

    async def _leg(self, name: str, settings: Settings, store: Store, planned: str) -> Leg:
        watch = fleet.observer(name, self._told)
        with self._stop.heard() as stopping:
            if (run := preceding.unfinished(store)) is not None:
                try:
                    found = planning.find_plan(store, run.id)
                    return await self._write(name, settings, store, watch, found, stopping)
                except PlanError as error:
                    # of another configuration, or too old: what it did is noted, and a new plan holds the rest
                    self._told(name, f"run {run.id} is not gone on with: {error}")
                    await applying.settle(settings, store, watch)
            elif planned and (known := store.run(planned)) is not None and known.state is RunState.PLANNED:
                found = planning.find_plan(store, planned)
                return await self._write(name, settings, store, watch, found, stopping)
            elif planned:
                return Leg(line=fleet.status_of(name, settings, store))
            ready = approving.ready(settings, store)
            made = ready.plan if ready else await planning.plan(settings, store, watch, self._choices)
            line = fleet.planned(name, settings, store, made)
            if line.code:
                return Leg(line=line)
            if made.writes > self._choices.chunk:
                # whoever loses access anywhere goes before what this plan does
                return Leg(line=line, goes_on=True, priority=_priority(made, None), run=made.id)
            return await self._write(name, settings, store, watch, (made, store.run(made.id)), stopping)

    async def _write(
        self,
        name: str,
        settings: Settings,
        store: Store,
        watch: Observer,
        found: tuple[Plan, Run | None],
        stopping: asyncio.Event,
    ) -> Leg:
        report = await applying.apply(settings, store, watch, found, self._choices, stopping)
        line = fleet.applied(name, found[0], report)
        goes_on = bool(report.left) and (not report.stopped or self._stop.is_set)
        line = replace(line, word="at work") if goes_on else line
        return Leg(line=line, goes_on=goes_on, priority=_priority(found[0], report), run=report.run)


def _priority(plan: Plan, report: Report | None) -> int:
    """What comes next: whether somebody is left whose access shall be taken away."""
    done = report.outcomes if report is not None else {}
    return LEAVERS if any(lifecycle.takes_access(one) and one.key not in done for one in plan.changes) else REST
