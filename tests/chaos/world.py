"""One world: a company, its directory, and runs under fire; then the fire stops, and runs go on until nothing is left to do."""

from __future__ import annotations

import asyncio
import contextvars
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, cast

from msgspec.structs import replace
from tests.chaos import faults as weather
from tests.chaos.disk import Disk, Handle
from tests.chaos.faults import Fault, Weather
from tests.chaos.groups import TEAM, TEAMS, regroup
from tests.chaos.loop import KilledError, Loop, VirtualTime, gathered
from tests.chaos.plain import PlainRequest, make_plain_plan, without_tables
from tests.chaos.provider import ENTERPRISE, GENESYS_USER, SECRET, Hooks, Json, Line, Provider, Traits

from scimsync.adapters.target_scim import ScimTarget
from scimsync.adapters.target_wire import TargetSettings
from scimsync.core.ladder import SUSPECTED
from scimsync.core.lifecycle import active_of
from scimsync.core.returning import unmapped
from scimsync.engine import checkpoints, preceding, undoing
from scimsync.engine.applying import apply_plan, settle_run
from scimsync.engine.hindsight import inverse
from scimsync.engine.plan_request import PlanPorts, PlanRequest
from scimsync.engine.planning import make_plan
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts, check_plan
from scimsync.errors import PlanRefused, PlanStale, ScimsyncError, StoreLocked
from scimsync.model.events import Subscription
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Plan
from scimsync.model.policy import Authority, Grouping, Leavers, Limit, Limits, Mapped, Policy, Rings
from scimsync.model.reports import Report
from scimsync.scim.dialect import Dialect
from scimsync.scim.genesys import GENESYS
from scimsync.services.planning import read_plan
from scimsync.testing import ListSource

USERS = GENESYS.users
SKILLS, MANAGER, DEPARTMENT = "genesys:routingSkills", "enterprise:manager", "enterprise:department"
#: path -> the expression of the tables, and who wins
MAPPING = {
    "userName": ("login", Authority.LOCAL_WINS),
    "displayName": ("name", Authority.LOCAL_WINS),
    "active": ("status = 'active'", Authority.LOCAL_WINS),
    "externalId": ("id", Authority.LOCAL_WINS),
    "enterprise:employeeNumber": ("id", Authority.LOCAL_WINS),
    "title": ("title", Authority.LOCAL_WINS),
    DEPARTMENT: ("department", Authority.CLOUD_WINS),
    SKILLS: ("skills(skills)", Authority.MERGE),
    MANAGER: ("ref(boss)", Authority.LOCAL_WINS),
}
COLUMNS = ("id", "login", "name", "status", "title", "department", "skills", "boss", TEAM)
MATCH = ("externalId", "enterprise:employeeNumber", "userName")
OPEN = Limit(share=10.0)
WIDE = Limits(**{name: OPEN for name in Limits.__struct_fields__ if isinstance(getattr(Limits(), name, None), Limit)})
POLICY = Policy(
    attributes=tuple(
        Mapped(place=USERS.resolve(path), expression=text, authority=authority)
        for path, (text, authority) in MAPPING.items()
    ),
    match=tuple(USERS.resolve(path) for path in MATCH),
    limits=WIDE,
)
#: what an operator sets aside once the fire stopped
ANSWERED = {"limits.disable": "they left", "limits.delete": "they left", "undo.held": "HR is right after all"}
SEED = bytes(range(32))
#: runs that go on after the fire stopped, until nothing is left to do
MOST_CALM = 12
_PROCESS: contextvars.ContextVar[Running | None] = contextvars.ContextVar("process", default=None)


class Heard:
    """An observer who remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, name: str, total: int | None = None) -> None: ...

    def advance(self, steps: int = 1) -> None: ...

    def say(self, text: str) -> None:
        self.said.append(text)


@dataclass(eq=False)
class Running:
    """One process: alive, asleep or dead."""

    number: int
    loop: Loop
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    dead: bool = False
    asleep_since: float | None = None
    asleep_until: float = 0.0
    #: faults of the next commits
    torn: list[Fault] = field(default_factory=list)
    heard: Heard = field(default_factory=Heard)
    ended: str = ""
    began: float = 0.0
    #: how long it lived
    seconds: float = 0.0
    plans: list[str] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    #: it takes the last run back
    undoes: bool = False

    async def awake(self) -> None:
        """Come back when it is not asleep."""
        while self.loop.now < self.asleep_until:  # noqa: ASYNC110 - the time is virtual
            await asyncio.sleep(self.asleep_until - self.loop.now)
        self.asleep_since = None
        if self.dead:
            raise KilledError


@dataclass(frozen=True, slots=True)
class Intended:
    """One plan, and what HR said when it was made."""

    plan: Plan
    hr: Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Read:
    """One reading of HR: when by the wall clock, who was in it, and whether it proves that nobody is missing."""

    at: datetime
    keys: frozenset[str]
    proven: bool
    #: the plan that was made of it; "" where none was
    plan: list[str]


def drawn_policy(rng: Random) -> Policy:
    """What becomes of leavers in one world: in most as everywhere, in some on a ladder, deleted, or within a limit."""
    more: dict[str, Any] = {}
    if rng.random() < 0.3:
        more["leavers_readings"] = rng.choice((2, 2, 3))
    if rng.random() < 0.3:
        more |= {"leavers": Leavers.DELETE, "leavers_after": timedelta(days=1)}
    if rng.random() < 0.2:
        more["limits"] = replace(WIDE, disable=Limit(count=rng.choice((1, 2))))
    if rng.random() < 0.25:
        more["groups"] = Grouping(column=TEAM)
    return replace(POLICY, **more)


@dataclass
class Company:
    """What HR says."""

    rng: Random
    #: key -> path -> value
    people: dict[str, dict[str, object]] = field(default_factory=dict)
    gone: dict[str, dict[str, object]] = field(default_factory=dict)
    _next: Any = field(default_factory=lambda: count(1))
    #: all that HR ever said of skills, by key
    skills: dict[str, set[str]] = field(default_factory=dict)

    def person(self) -> str:
        """Somebody new."""
        n, rng = next(self._next), self.rng
        key = f"E{n}"
        self.people[key] = {
            "userName": f"p{n}@example.com", "displayName": f"Canary Person {n}", "active": True, "externalId": key,
            "enterprise:employeeNumber": key, "title": rng.choice(("Agent", "Lead")),
            DEPARTMENT: rng.choice(("Care", "Sales")), SKILLS: self._skills(),
            MANAGER: rng.choice([None, *self.people]) if self.people else None,
        }  # fmt: skip
        self._say()
        return key

    def _skills(self) -> list[dict[str, object]]:
        names = self.rng.sample(("Billing", "Sales", "Tech"), self.rng.randrange(3))
        return [{"name": name, "proficiency": float(self.rng.randint(1, 5))} for name in names]

    def _say(self) -> None:
        for key, person in self.people.items():
            listed = cast("list[dict[str, object]]", person[SKILLS])
            self.skills.setdefault(key, set()).update(str(one["name"]) for one in listed)

    def night(self) -> None:  # noqa: C901, PLR0912 - a list
        """What happens until the next day."""
        rng = self.rng
        for _ in range(rng.randint(2, 6)):
            key = rng.choice(sorted(self.people)) if self.people else None
            happens = rng.choice(
                ("joins", "joins", "joins with boss", "leaves", "vanishes", "back", "moves", "moves", "skills", "renamed",
                 "boss")
            )  # fmt: skip
            if happens == "joins" or key is None:
                self.person()
            elif happens == "joins with boss":
                boss = self.person()
                self.people[self.person()][MANAGER] = boss
            elif happens == "leaves":
                self.people[key]["active"] = False
            elif happens == "vanishes":
                self.gone[key] = self.people.pop(key)
            elif happens == "back":
                if self.gone and rng.random() < 0.5:
                    back = rng.choice(sorted(self.gone))
                    self.people[back] = {**self.gone.pop(back), "active": True}
                else:
                    self.people[key]["active"] = True
            elif happens == "moves":
                self.people[key]["title"] = rng.choice(("Agent", "Lead", "Coach", None))
                self.people[key][DEPARTMENT] = rng.choice(("Care", "Sales"))
            elif happens == "skills":
                self.people[key][SKILLS] = self._skills()
            elif happens == "renamed":
                self.people[key]["userName"] = f"r{rng.randrange(10**6)}.{key.lower()}@example.com"
            else:
                self.people[key][MANAGER] = rng.choice([None, *sorted(self.people)])
        for person in self.people.values():
            if person[MANAGER] not in self.people or person[MANAGER] == person["externalId"]:
                person[MANAGER] = None
        self._say()


def row_of(key: str, person: Mapping[str, object]) -> list[str | None]:
    """A person as a row of the tables."""
    skills = cast("list[dict[str, object]]", person[SKILLS])
    held = {
        "id": key, "login": person["userName"], "name": person["displayName"],
        "status": "active" if person["active"] else "left", "title": person["title"], "department": person[DEPARTMENT],
        "skills": ";".join(f"{one['name']}:{one['proficiency']}" for one in skills) or None, "boss": person[MANAGER],
        TEAM: person.get(TEAM),
    }  # fmt: skip
    return [None if held[column] is None else str(held[column]) for column in COLUMNS]


def _folder() -> Path:
    """Memory, where there is some: files are made durable in no time."""
    shm = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="chaos-", dir=shm if os.access(shm, os.W_OK) else None))


class World:
    """One seed.

    Args:
        seed: draws everything.
        only: numbers of the faults that happen; all where None.
        whole: whether plans are made, and bases kept, on the tables.
    """

    def __init__(self, seed: int, only: Sequence[int] | None = None, whole: bool = False) -> None:
        self.seed, self.whole = seed, whole
        rng = Random(f"{seed}-world")
        drawn = weather.drawn(Random(f"{seed}-faults"))
        self.faults = tuple(fault for fault in drawn if only is None or fault.number in only)
        self.weather = Weather(self.faults)
        self.loop = Loop()
        self.clock = VirtualTime(self.loop)
        self.traits = Traits(
            unique=rng.random() < 0.7,
            page=rng.choice((2, 5, 100)),
            conflict=rng.choice(("412", "409", "400")),
            lag_s=rng.choice((0.0, 0.0, 2.0)),
            tells_of_deleted=Random(f"{seed}-deleted").random() < 0.8,
        )
        if not self.traits.unique:
            self.traits.lag_s = 0.0
        lag = GENESYS.search_lag_s if self.traits.unique else ()
        self.dialect: Dialect = replace(GENESYS, unique_logins=self.traits.unique, search_lag_s=lag)
        self.provider = Provider(self.loop, self.clock, self.weather, Random(f"{seed}-way"), self.traits)
        self.provider.hooks = Hooks(self.kill, self._stop, self._cancel, self._second)
        self.company = Company(Random(f"{seed}-hr"))
        self.folder = _folder()
        self.disk = Disk(self.folder / "state", self.loop)
        self.intended: dict[str, Intended] = {}
        self.processes: list[Running] = []
        self.breaches: list[str] = []
        self.workers = rng.choice((1, 2, 4, 8))
        self.days = rng.choice((1, 1, 2, 3))
        self.policy = drawn_policy(Random(f"{seed}-policy"))
        if self.policy.leavers is Leavers.DELETE:
            self.days = max(self.days, 3)
        #: in some worlds HR cannot always prove that it gave everybody
        self.proves = 0.8 if self.policy.leavers_readings > 1 else 1.0
        self.readings: list[Read] = []
        #: where there is a ladder, a record is missing now and then, and there again at the next reading
        self._flicker = Random(f"{seed}-flicker")
        #: in some worlds the last run of a day is taken back
        self.takes_back = Random(f"{seed}-undo").random() < 0.2
        #: some companies write even small plans in rings
        self.ringed = rng.random() < 0.2
        self.calm_runs = 0
        self.quiet = False
        #: number of the first process after the fire
        self.calm_from = 10**9
        self._rng = Random(f"{seed}-runs")
        self._commit = Random(f"{seed}-commit")
        self._fresh = count()
        self._killed: Running | None = None
        self._extra = 0.0
        self._turn = 0
        self.loop.commit_s = self._commit_s
        self.loop.watch = self._watch
        self._found()

    @property
    def special(self) -> tuple[str, ...]:
        """What is not in every world."""
        found = {
            "on a ladder": self.policy.leavers_readings > 1, "deleting": self.policy.leavers is Leavers.DELETE,
            "within a limit": self.policy.limits != WIDE, "with teams": self.policy.groups is not None,
            "that hide who was deleted": not self.traits.tells_of_deleted,
            "taken back": self.takes_back, "in rings": self.ringed, "on tables": self.whole,
        }  # fmt: skip
        return tuple(name for name, is_so in found.items() if is_so)

    def _found(self) -> None:
        """The first people, and the accounts that were there before us."""
        rng = Random(f"{self.seed}-found")
        for _ in range(rng.randint(2, 5)):
            key = self.company.person()
            if rng.random() < 0.7:
                person = self.company.people[key]
                account: Json = {"userName": person["userName"], "displayName": "Old Name", "active": True}
                if rng.random() < 0.7:
                    account["externalId"] = key
                if rng.random() < 0.5:
                    account[ENTERPRISE] = {"employeeNumber": key, "department": rng.choice(("Care", "Other"))}
                if rng.random() < 0.3:
                    account[GENESYS_USER] = {"routingSkills": [{"name": "Theirs", "proficiency": 2.0}]}
                self.provider.found(account)
        stranger = self.provider.found({"userName": "stranger@example.com", "displayName": "Stranger"})
        self._teams = Random(f"{self.seed}-teams")
        if self.policy.groups is not None:
            regroup(self._teams, self.company.people)
            for team in TEAMS:
                self.provider.found_group(team, [stranger])

    # --- what faults do -------------------------------------------------------------------------------

    def kill(self, process: Any) -> None:
        """End every process at once, without a word."""
        self._killed = process
        for one in self.processes:
            one.dead = True

    def _watch(self) -> None:
        if self._killed is None and self._turn >= 0 and not self.weather.calm:
            for fault in self.weather.at("turn"):
                if any(one.task is not None and not one.dead for one in self.processes):
                    self.weather.struck(fault)
                    self.kill(self.processes[-1])
        if self._killed is not None:
            self._killed = None
            raise KilledError

    def _stop(self, process: Any) -> None:
        process.stop.set()

    def _cancel(self, process: Any) -> None:
        process.stop.set()
        if process.task is not None:
            self.loop.call_soon(process.task.cancel)

    def _second(self, _: Any) -> None:
        """Somebody starts another run beside this one."""
        self._start(late=True)

    def _commit_s(self) -> float:
        """How long the commit takes that begins now, and what becomes of it."""
        process, extra = _PROCESS.get(), 0.0
        if process is None:
            return 0.001
        for fault in self.weather.at("append"):
            if fault.kind == "slow disk":
                self.weather.struck(fault)
                extra = 25.0
            elif fault.kind == "sleeps":
                self.weather.struck(fault)
                process.asleep_since, process.asleep_until = self.loop.now, self.loop.now + 660.0
                self.loop.call_later(fault.rng.uniform(601, 700), lambda: self._start(late=True))
                extra = 660.0
            else:
                process.torn.append(fault)
        return extra + self._commit.uniform(0.0002, 0.004)

    # --- processes ------------------------------------------------------------------------------------

    def _start(self, *, late: bool = False, undoes: bool = False) -> Running:
        process = Running(number=len(self.processes), loop=self.loop, undoes=undoes)
        process.began = self.loop.now
        self.processes.append(process)
        context = contextvars.copy_context()
        context.run(_PROCESS.set, process)
        process.task = self.loop.create_task(self._life(process), context=context)
        return process

    def run_process(self, *, undoes: bool = False) -> Running:
        """One process, and whoever else comes beside it, to their ends."""
        process = self._start(undoes=undoes)
        try:
            self.loop.play(self._all())
        except KilledError:
            for one in self.processes:
                one.ended = one.ended or "killed"
            self._bury()
        for one in self.processes:
            one.task = None
        return process

    async def _all(self) -> None:
        while waiting := [one.task for one in self.processes if one.task is not None and not one.task.done()]:
            await asyncio.wait(waiting)

    def _bury(self) -> None:
        """Let the tasks of the dead come to their ends; nothing that they do has an effect."""
        while True:
            self._killed = None
            tasks = sorted(asyncio.all_tasks(self.loop), key=lambda task: task.get_name())
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            self._turn = -1
            try:
                self.loop.play(gathered(tasks))
            except KilledError:
                continue
            finally:
                self._turn = 0

    async def _life(self, process: Running) -> None:
        """What one process does: what `sync` does, or `apply RUN`."""
        handle = Handle(self.disk, process, self.weather, self.kill)
        settings = TargetSettings(
            api_url="http://directory.test", dialect=self.dialect, login_url="http://login.test", client_id="chaos",
            client_secret=SECRET, workers=self.workers,
        )  # fmt: skip
        target = ScimTarget(
            settings, clock=self.clock, rng=Random(f"{self.seed}-jitter-{process.number}"),
            notice=process.heard.say, transport=Line(self.provider, process),
        )  # fmt: skip
        try:
            with handle.lease():
                await self._work(process, cast("Any", handle), target)
            process.ended = process.ended or "done"
        except StoreLocked:
            process.ended = "locked"
        except ScimsyncError as error:
            process.ended = f"{type(error).__name__}: {error}"
        except asyncio.CancelledError:
            process.ended = "cancelled"
        except KilledError:
            process.ended = "killed"
        except Exception as error:  # noqa: BLE001 - none may be
            process.ended = f"{type(error).__name__}: {error}"
            self.breaches.append(f"uncaught: {process.ended}")
        finally:
            process.seconds = self.loop.now - process.began
            if not process.dead:
                await target.close()

    async def _work(self, process: Running, store: Any, target: ScimTarget) -> None:
        ports = ApplyPorts(target=target, store=store, clock=self.clock, observer=process.heard)
        options = self.options()
        rng = Random(f"{self.seed}-life-{process.number}")
        cut = preceding.unfinished(store)
        if cut is not None:
            plan = read_plan(store.artifact(cut.plan))
            process.plans.append(plan.id)
            if rng.random() < 0.5 and await self._applied(process, plan, store, ports, options):
                return
            await settle_run(plan, store.run(cut.id), ports, options)
        plan = await (self._look_back if process.undoes else self.plan)(process, store, target, process.heard)
        if plan is None:
            return
        process.plans.append(plan.id)
        if rng.random() < 0.3 and not self.weather.calm:
            await asyncio.sleep(rng.choice((5.0, 300.0)))
            await process.awake()
        await self._applied(process, plan, store, ports, options)
        checkpoints.close(store, self.clock, SEED)

    async def _applied(
        self, process: Running, plan: Plan, store: Any, ports: ApplyPorts, options: ApplyOptions
    ) -> Report | None:
        """Apply a plan, where it still may be."""
        try:
            run: Run = check_plan(plan, store.run(plan.id), ports, options)
        except (PlanStale, PlanRefused) as error:
            process.ended = f"{type(error).__name__}: {error}"
            return None
        if run.state is RunState.DONE:
            return None
        return await apply_plan(plan, run, ports, options, process.stop)

    async def plan(self, process: Running, store: Any, target: ScimTarget, observer: Heard) -> Plan:
        """Make a plan of what HR says now."""
        hr = {key: dict(person) for key, person in self.company.people.items()}
        if self.policy.leavers_readings > 1 and hr and not self.weather.calm and self._flicker.random() < 0.4:
            hr.pop(self._flicker.choice(sorted(hr)), None)
        proven = self.weather.calm or self.proves >= 1 or self._rng.random() < self.proves
        self.readings.append(Read(self.clock.now(), frozenset(hr), proven, []))
        made = self.readings[-1].plan
        plan = await (self._on_tables if self.whole else self._plainly)(store, target, observer, hr, proven)
        made.append(plan.id)
        self.intended[plan.id] = Intended(plan, hr)
        return plan

    async def _look_back(self, process: Running, store: Any, target: ScimTarget, observer: Heard) -> Plan | None:
        """Make a plan that takes the last run back; None where there is none, or nothing was written by it."""
        hr = {key: dict(person) for key, person in self.company.people.items()}
        run = next((r for r in store.begun(60) if r.state in {RunState.DONE, RunState.PARTIAL} and r.plan), None)
        if run is None:
            return None
        request, made = self._request(), read_plan(store.artifact(run.plan))
        try:
            wanted = inverse(store, run, made, request, frozenset())
        except PlanStale as error:
            process.ended = f"PlanStale: {error}"
            return None
        plan = await undoing.make_plan(self._ports(store, target, observer, hr, proven=True), request, wanted)
        self.intended[plan.id] = Intended(plan, hr)
        return plan

    @property
    def overrides(self) -> Mapping[str, str]:
        """What an operator sets aside."""
        return ANSWERED if self.weather.calm else {}

    async def _plainly(
        self, store: Any, target: ScimTarget, observer: Heard, hr: Mapping[str, Mapping[str, object]], proven: bool
    ) -> Plan:
        request = PlainRequest(
            policy=self.policy, dialect=self.dialect, wanted=hr, source="hr", proven=proven, overrides=self.overrides,
            fresh=lambda: f"{next(self._fresh):04d}",
        )  # fmt: skip
        return await make_plain_plan(target, store, self.clock, observer, request)

    async def _on_tables(
        self, store: Any, target: ScimTarget, observer: Heard, hr: Mapping[str, Mapping[str, object]], proven: bool
    ) -> Plan:
        return await make_plan(self._ports(store, target, observer, hr, proven=proven), self._request())

    def _ports(
        self, store: Any, target: ScimTarget, observer: Heard, hr: Mapping[str, Mapping[str, object]], *, proven: bool
    ) -> PlanPorts:
        return PlanPorts(
            source=ListSource(COLUMNS, [row_of(key, person) for key, person in hr.items()], name="hr", proven=proven),
            target=target, store=store, clock=self.clock, observer=observer, phones=lambda number, _: number,
            fresh=lambda: f"{next(self._fresh):04d}",
        )  # fmt: skip

    def _request(self) -> PlanRequest:
        return PlanRequest(
            policy=self.policy, catalog=USERS, key="id", source="hr", configuration="c", dialect=self.dialect,
            schema=False, overrides=self.overrides,
        )  # fmt: skip

    def options(self) -> ApplyOptions:
        """As `services.applying.options_of`."""
        dialect, policy = self.dialect, self.policy
        if self.ringed:
            policy = replace(policy, rings=Rings(shares=(0.3, 0.6, 1.0), least=1))
        return ApplyOptions(
            policy=policy, configuration="c", workers=self.workers, operations_per_patch=dialect.operations_per_patch,
            request_bytes=dialect.request_bytes, withheld=dialect.hidden, reworded=dialect.normalised,
            keeps_others=dialect.keeps_others, unique_logins=dialect.unique_logins, search_lag_s=dialect.search_lag_s,
            actor="chaos", beyond=(active_of(POLICY, USERS),), subscriptions=(Subscription(endpoint="hr"),),
            default_roles=dialect.default_roles, newborn_version=dialect.newborn_version,
            lists_deleted=bool(dialect.deleted),
            dropped=unmapped(POLICY, dialect), overrides=self.overrides,
        )  # fmt: skip

    # --- the story ------------------------------------------------------------------------------------

    def play(self) -> None:
        """Days under fire, then calm."""
        try:
            with nullcontext() if self.whole else without_tables():
                for day in range(self.days):
                    if day or self._rng.random() < 0.5:
                        self.company.night()
                        if self.policy.groups is not None:
                            regroup(self._teams, self.company.people)
                    for _ in range(self._rng.choice((1, 2, 3, 4))):
                        process = self.run_process()
                        self.loop.now += self._rng.choice((1.0, 60.0, 900.0, 7200.0))
                        if process.ended == "done" and self._rng.random() < 0.6:
                            break
                    if self.takes_back:
                        self.run_process(undoes=True)
                        self.loop.now += 900.0
                        self.run_process()
                    self.loop.now += 86400
                self._calm()
        finally:
            self.loop.end()

    def _calm(self) -> None:
        self.weather.calm = True
        self.loop.now += 7200
        self.clock.ahead *= 0
        self.calm_from = len(self.processes)
        for _ in range(MOST_CALM):
            self.calm_runs += 1
            before, known = len(self.provider.arrivals) + len(self.provider.group_arrivals), len(self.intended)
            process = self.run_process()
            self.loop.now += 3600
            plan = self.intended[process.plans[-1]].plan if process.plans else None
            if (
                process.ended == "done"
                and len(self.intended)
                > known  # a plan of the fire that was cut off and is carried out says nothing of now
                and plan is not None
                and not plan.changes
                and not plan.groups
                and not any(finding.code == SUSPECTED for finding in plan.findings)
                and len(self.provider.arrivals) + len(self.provider.group_arrivals) == before
            ):
                self.quiet = True
                return

    def close(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.folder, ignore_errors=True)


Judge = Callable[[World], list[str]]
