"""Some days of one organisation on a virtual clock: what each takes. `python -m benchmarks.nights PEOPLE`."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

import httpx2

from benchmarks import world
from benchmarks.harness import BenchmarkError
from scimsync import bootstrap, bootstrap_sources
from scimsync.adapters.target_scim import ScimTarget
from scimsync.adapters.target_wire import TargetSettings
from scimsync.cli.sample import COLUMNS, rows
from scimsync.config import Settings, load
from scimsync.engine.applying import apply_plan
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.planning import make_plan
from scimsync.engine.ports import Store
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts, check_plan
from scimsync.model.plans import Plan
from scimsync.services.planning import find_plan
from scimsync.simulator.app import Simulator
from scimsync.simulator.directory import Directory
from scimsync.simulator.options import Options
from scimsync.simulator.people import people, person
from scimsync.simulator.tokens import Tokens
from scimsync.testing import VirtualClock

#: requests a minute
LIMIT = 300
#: requests, and seconds
Took = tuple[float, float]


def days(folder: Path, number: int) -> dict[str, Took]:
    with organisation(folder, number) as it:
        who = [p.employee_id for p in people(world.SEED, number) if p.active]
        took = {"first plan": it.play(it.plan)}
        it.play(it.apply)
        it.night()
        it.play(it.sync)
        it.night()
        took["quiet night"] = it.play(it.sync)
        it.night()
        it.title(who[:: max(1, len(who) // max(1, number // 100))], "Team Lead")
        took["night with 1 %"] = it.play(it.sync)
        it.night()
        took["quiet night after it"] = it.play(it.sync)
        took["one person, nothing to do"] = it.play(lambda: it.sync(who[3]))
        it.title(who[3:4], "Deputy")
        took["one person"] = it.play(lambda: it.sync(who[3]))
        it.hire(number + 7)
        took["one new person"] = it.play(lambda: it.sync(f"E{number + 7:05d}"))
    return took


@contextmanager
def organisation(folder: Path, number: int) -> Iterator[Organisation]:
    """HR and a directory of the same people, with the state of a product between them."""
    clock = VirtualClock()
    world.furnish(folder, number)
    directory = Directory(Options(rate_limit=LIMIT), lambda: clock.now().timestamp())
    directory.fill(world.SEED, number)
    given = {"client_id": "bench", "client_secret": "bench-secret"}
    tokens = Tokens(given["client_id"], given["client_secret"], directory.options, directory.clock)
    announced = {**given, "api_url": "https://simulator", "login_url": "https://simulator"}
    settings = load(world.home(folder, "home", announced) / "scimsync.toml")
    with bootstrap.open_store(settings) as store:
        yield Organisation(folder, settings, store, Simulator(directory, tokens), clock)


class Silent:
    """An observer who hears nothing."""

    # ruff: noqa: D102
    def stage(self, name: str, total: int | None = None) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def say(self, text: str) -> None: ...


class Organisation:
    def __init__(
        self, folder: Path, settings: Settings, store: Store, simulator: Simulator, clock: VirtualClock
    ) -> None:
        self.folder, self.settings, self.store, self.simulator, self.clock = folder, settings, store, simulator, clock
        self._fresh = count()
        self._target: ScimTarget | None = None

    def play(self, work: Callable[[], Awaitable[object]]) -> Took:
        """What one process would take for a piece of work."""
        before, since = self._requests(), self.clock.monotonic()
        asyncio.run(self._with_target(work))
        return self._requests() - before, self.clock.monotonic() - since

    async def _with_target(self, work: Callable[[], Awaitable[object]]) -> None:
        given = self.settings.target
        self._target = ScimTarget(
            TargetSettings(
                api_url=given.api_url, login_url=given.login_url, dialect=given.dialect, client_id=given.client_id,
                client_secret=given.client_secret, exchange_s=3600.0,
            ),
            clock=self.clock, rng=random.Random(world.SEED), transport=httpx2.ASGITransport(self.simulator),
        )  # fmt: skip
        try:
            await work()
        finally:
            await self._target.close()

    def _requests(self) -> int:
        return self.simulator.requests.count

    async def plan(self, *only: str) -> Plan:
        ports = PlanPorts(
            source=bootstrap_sources.make_source(self.settings), target=self._target, store=self.store,
            clock=self.clock,
            observer=Silent(), phones=bootstrap.make_phones(), fresh=lambda: f"{next(self._fresh):04d}",
        )  # fmt: skip
        given = self.settings
        request = PlanRequest(
            policy=given.policy, catalog=given.target.dialect.users, dialect=given.target.dialect,
            key=given.source.key, source=given.source.identity, configuration=given.digest, only=only,
            recall=given.target.recall,
        )  # fmt: skip
        return await make_plan(ports, request)

    async def apply(self) -> None:
        made, run = find_plan(self.store, "")
        ports = ApplyPorts(target=self._target, store=self.store, clock=self.clock, observer=Silent())
        options = ApplyOptions(policy=self.settings.policy, configuration=self.settings.digest, unique_logins=True,
                               keeps_others=True, default_roles=self.settings.target.dialect.default_roles)  # fmt: skip
        report = await apply_plan(made, check_plan(made, run, ports, options), ports, options)
        if not report.clean:
            raise BenchmarkError(f"the run did not go through: {report.stopped or report.left or 'somebody waits'}")

    async def sync(self, *only: str) -> None:
        await self.plan(*only)
        await self.apply()

    def night(self) -> None:
        """Until the same time of the next day."""
        self.clock.advance(timedelta(days=1).total_seconds())

    def title(self, keys: list[str], title: str) -> None:
        """HR gives people another title."""
        with closing(sqlite3.connect(self.folder / "hr.db")) as database, database:
            database.executemany("UPDATE employee SET job_title = ? WHERE employee_id = ?", [(title, k) for k in keys])

    def hire(self, index: int) -> None:
        """HR has somebody new."""
        with closing(sqlite3.connect(self.folder / "hr.db")) as database, database:
            marks = ", ".join("?" for _ in COLUMNS)
            database.executemany(f"INSERT INTO employee VALUES ({marks})", rows([person(world.SEED, index)]))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="scimsync-bench-") as made:
        print(json.dumps(days(Path(made), int(sys.argv[1]))))
