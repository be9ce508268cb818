"""Run what the clock wants: each slot of each schedule once, one run at a time, whoever else looks at the store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from scimsync.bootstrap import make_clock
from scimsync.config import Settings
from scimsync.core import contract, scheduling
from scimsync.core.blackout import Holding
from scimsync.engine.clock_state import Alarms, Schedules
from scimsync.engine.ports import Clock, Observer, Store
from scimsync.engine.state import Outbox
from scimsync.errors import PlanError, PlanRefused, PlanWaits, ScimsyncError, StoreError, StoreLocked
from scimsync.model.events import MessageState
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.model.schedules import Blackout, Ended, Progress, Result, Schedule
from scimsync.services import alarming, applying, awaiting, planning, state
from scimsync.services.planning import Choices
from scimsync.services.watching import AtWork

#: the longest sleep between two looks: clocks are set, machines sleep, and alarms wait for nobody
LOOK_S = 60.0
#: seconds before somebody who found another at work looks again
BUSY_S = 10.0


class Work(Protocol):
    """What is done for a slot."""

    def __call__(self, store: Store, schedule: Schedule, holding: Holding | None) -> Result | None:
        """Do it, under the lease; None where it was stopped before its end.

        Raises:
            ScimsyncError: It failed.
        """
        ...


class ToldState(Schedules, Alarms, Outbox, Protocol):
    """Of the state: how schedules and alarms stand."""


class Standing(Struct, frozen=True, kw_only=True):
    """How one schedule stands."""

    schedule: Schedule
    #: None where nobody looked at it yet
    progress: Progress | None
    #: when it is due next; now, where it is due
    next: datetime


class Scheduler:
    """Runs what is due, until halted; made inside an event loop.

    Args:
        settings: The configuration.
        store: Where progress and alarms are kept.
        observer: Told what a person should know, from other threads.
        ran: Told of each plan that was applied, and of what came of it.
        clock: The clock; that of this machine where None.
        work: What a run does; a whole synchronisation where None.
        look_s: The longest sleep between two looks, in seconds.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the last three as they are, but in tests
        self,
        settings: Settings,
        store: Store,
        observer: Observer,
        ran: Callable[[Schedule, Plan, Report], None],
        clock: Clock | None = None,
        work: Work | None = None,
        look_s: float = LOOK_S,
    ) -> None:
        self._look_s = look_s
        self._settings, self._store, self._observer, self._ran = settings, store, observer, ran
        self._clock = clock or make_clock()
        self._work = work or self._synchronise
        self._stop, self._ending = asyncio.Event(), threading.Event()
        #: ends the run that is under way
        self._cut: Callable[[], None] = lambda: None
        self._said = ""
        #: the run that has not come to its end, and since when
        self._busy: tuple[Schedule, float] | None = None
        self.has_ended = False
        #: plan that waits -> what was said about it when it was looked at last
        self._looked: dict[str, int] = {}

    @property
    def at_work(self) -> AtWork | None:
        """The run that has not come to its end; None where there is none."""
        busy = self._busy
        return None if busy is None else AtWork(busy[0], self._clock.monotonic() - busy[1])

    def halt(self) -> None:
        """Come to an end: nothing more is begun; writes that are under way are brought to their end."""
        self._ending.set()
        self._stop.set()
        self._cut()

    async def on(self) -> None:
        """Run what is due until halted."""
        try:
            while not self._stop.is_set():
                pause = await asyncio.to_thread(self._look)
                waits = [asyncio.ensure_future(self._stop.wait()), asyncio.ensure_future(self._clock.sleep(pause))]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
        finally:
            self.has_ended = True

    def _look(self) -> float:
        """Run what has been due longest, and see who must be told; seconds until the next look."""
        try:
            pause = self._run_next()
            for words in alarming.watch(self._settings, self._store, self._clock.now()):
                self._observer.say(f"Alarm: {words}")
        except StoreError as error:
            self._complain(error)
            return BUSY_S
        return pause

    def _run_next(self) -> float:
        now = self._clock.now()
        stand = standing(self._settings, self._store, now)
        for one in stand:
            if one.progress is None:
                self._store.begin_schedule(scheduling.begin(one.schedule, None, now))
        due = [(slot, one.schedule) for one in stand if (slot := _due(one, now).slot) is not None]
        if self._ending.is_set():
            return 0.0
        if not due:
            if (approved := self._approved(stand, now)) is not None:
                return self._held_apply(approved)
            return min(self._look_s, *((one.next - now).total_seconds() for one in stand))
        _, schedule = min(due, key=lambda found: found[0])
        try:
            with state.held(self._settings) as store:
                self._run(store, schedule)
        except StoreLocked as error:
            self._complain(error)
            return BUSY_S
        return 0.0

    def _approved(self, stand: list[Standing], now: datetime) -> Standing | None:
        """A schedule whose plan waited and was approved by now; None in a blackout, for plans do more than it lets."""
        if blackout_now(self._settings.blackouts, now) is not None:
            return None
        for one in stand:
            if not (one.schedule.applies_approved and one.progress and one.progress.ended is Ended.WAITING):
                continue
            run = one.progress.run
            given = len(self._store.approvals(run)) if run else 0
            if given and self._looked.get(run) != given:  # a plan is not read again before somebody else said something
                self._looked[run] = given
                return one
        return None

    def _held_apply(self, one: Standing) -> float:
        try:
            with state.held(self._settings) as store, self._busy_with(one.schedule):
                self._apply_approved(store, one)
        except StoreLocked as error:
            self._looked.clear()
            self._complain(error)
            return BUSY_S
        return 0.0

    def _apply_approved(self, store: Store, before: Standing) -> None:
        """Apply a plan that waited, where it may be by now; what it rests on is looked at as ever."""
        now = self._clock.now()
        (one,) = (one for one in standing(self._settings, store, now) if one.schedule == before.schedule)
        progress, schedule = one.progress, one.schedule
        if progress is None or progress.ended is not Ended.WAITING or progress.run != (before.progress or progress).run:
            return
        try:
            made, run = planning.find_plan(store, progress.run)
            stands = awaiting.standing(self._settings, store, made, run) if run is not None else None
            if stands is not None and stands.rejected is None:
                if stands.waits:
                    return
                self._observer.say(f"{schedule.name}: plan {made.id} was approved.")
            result = asyncio.run(self._carry_out(store, schedule, made))  # which says no to what may not be applied
        except StoreLocked:
            raise
        except PlanError as error:  # rejected, out of date, gone: the next slot plans anew
            self._observer.say(f"{schedule.name}: {error}")
            result = Result(ended=Ended.REFUSED, code=error.exit_code, run=progress.run)
        except ScimsyncError as error:
            self._observer.say(f"{schedule.name}: {error}")
            result = Result(ended=Ended.FAILED, code=error.exit_code, run=progress.run)
        if result is not None:
            store.save_progress(scheduling.after(progress, progress.slot, result, self._clock.now()))

    async def _carry_out(self, store: Store, schedule: Schedule, made: Plan) -> Result | None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        self._cut = lambda: _set(loop, stop)
        try:
            return (
                None
                if self._ending.is_set()
                else await self._apply(store, schedule, made, Choices(deliver=False), stop)
            )
        finally:
            self._cut = lambda: None

    @contextmanager
    def _busy_with(self, schedule: Schedule) -> Iterator[None]:
        """A run of a schedule is at work."""
        self._busy = (schedule, self._clock.monotonic())
        try:
            yield
        finally:
            self._busy = None

    def _run(self, store: Store, schedule: Schedule) -> None:
        """Run a schedule that is still due now that nobody else is at work."""
        now = self._clock.now()
        (one,) = (one for one in standing(self._settings, store, now) if one.schedule == schedule)
        due = _due(one, now)
        if due.slot is None or one.progress is None:
            return
        if due.missed:
            self._observer.say(f"{schedule.name}: {due.missed:,} runs were missed; this one catches them up.")
        holding = blackout_now(self._settings.blackouts, now)
        store.save_progress(scheduling.begun(one.progress, now))
        with self._busy_with(schedule):
            result = self._result(store, schedule, holding)
        self._said = ""
        store.save_progress(scheduling.after(one.progress, due.slot, result, self._clock.now()))

    def _result(self, store: Store, schedule: Schedule, holding: Holding | None) -> Result | None:
        """What came of a run; a failure is a value, so that the others go on."""
        try:
            return self._work(store, schedule, holding)
        except StoreLocked:
            raise  # the lease went to somebody else, and what is kept is theirs
        except ScimsyncError as error:
            self._observer.say(f"{schedule.name}: {error}")
            return Result(ended=Ended.FAILED, code=error.exit_code)
        except Exception as error:  # noqa: BLE001 - a fault of ours in one run must not end the service
            self._observer.say(f"{schedule.name}: the run broke ({type(error).__name__}); it is tried again.")
            return Result(ended=Ended.FAILED, code=1)

    def _synchronise(self, store: Store, schedule: Schedule, holding: Holding | None) -> Result | None:
        return asyncio.run(self._plan_and_apply(store, schedule, holding))

    async def _plan_and_apply(self, store: Store, schedule: Schedule, holding: Holding | None) -> Result | None:
        settings, observer = self._settings, self._observer
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        choices = Choices(depth=schedule.depth, blackout=holding, deliver=False)
        await applying.settle(settings, store, observer)
        if self._ending.is_set():
            return None
        made = await planning.plan(settings, store, observer, choices)
        self._cut = lambda: _set(loop, stop)
        try:
            if self._ending.is_set():
                return None
            return await self._apply(store, schedule, made, choices, stop)
        finally:
            self._cut = lambda: None

    async def _apply(
        self, store: Store, schedule: Schedule, made: Plan, choices: Choices, stop: asyncio.Event
    ) -> Result | None:
        def ended(ended: Ended, code: int = 0) -> Result:
            stale = any(finding.code == contract.STALE for finding in made.findings)
            return Result(ended=ended, code=code, run=made.id, held=made.tally.held, stale=stale)

        try:
            found = (made, store.run(made.id))
            report = await applying.apply(self._settings, store, self._observer, found, choices, stop)
        except PlanRefused as error:
            self._observer.say(f"{schedule.name}: {error}")
            return ended(Ended.WAITING if isinstance(error, PlanWaits) else Ended.REFUSED, error.exit_code)
        self._ran(schedule, made, report)
        if report.left or report.stopped or report.kept:
            return None if self._ending.is_set() else ended(Ended.STOPPED, 11)
        return ended(Ended.SUCCEEDED)

    def _complain(self, error: ScimsyncError) -> None:
        """Tell of trouble, once each time it begins."""
        if str(error) != self._said:
            self._observer.say(f"{error} What is due is run when that is over.")
        self._said = str(error)


def standing(settings: Settings, store: Schedules, now: datetime) -> list[Standing]:
    """How each schedule of the configuration stands, in its order."""
    known = {(one.schedule, one.expression): one for one in store.progress()}
    found = []
    for schedule in settings.schedules:
        progress = known.get((schedule.name, schedule.expression))
        begun = scheduling.begin(schedule, progress, now)
        due = scheduling.due(schedule, begun, now)
        next_ = now if due.slot is not None else due.next
        found.append(Standing(schedule=schedule, progress=None if progress is None else begun, next=next_))
    return found


def standing_now(settings: Settings, store: Schedules) -> list[Standing]:
    """As `standing`, by the clock of this machine."""
    return standing(settings, store, make_clock().now())


def told(settings: Settings, store: ToldState) -> list[tuple[bool, str]]:
    """How the schedules and the alarms stand, a sentence each, and whether all is well with it."""
    lines = [(is_well(one), _words(one)) for one in standing(settings, store, make_clock().now())]
    lines += [
        (False, f"alarm {alarm.kind.value} ({alarm.subject}) since {alarm.since:%Y-%m-%d %H:%M} UTC")
        for alarm in alarming.standing(settings, store)
    ]
    for given, message in alarming.undelivered(settings, store):
        why = message.detail or "it was not tried yet"
        given_up = "was given up" if message.state is MessageState.DEAD else "is tried again"
        lines.append((False, f"{given.shown} could not be told: {why}; it {given_up}"))
    return lines


def is_well(one: Standing) -> bool:
    """Whether nobody has to look at a schedule."""
    return one.progress is None or one.progress.ended in {Ended.NEVER, Ended.BEGUN, Ended.SUCCEEDED}


def _words(one: Standing) -> str:
    schedule, progress = one.schedule, one.progress
    next_ = one.next.astimezone(ZoneInfo(schedule.zone))
    words = f"{schedule.name} ({schedule.cron}, {schedule.zone}): next at {next_:%Y-%m-%d %H:%M}"
    if progress is None or progress.at is None:
        return f"{words}; it has not run yet"
    ended = progress.ended.value if progress.ended is not Ended.BEGUN else "began"
    return f"{words}; its last run {ended} at {progress.at.astimezone(ZoneInfo(schedule.zone)):%Y-%m-%d %H:%M}"


def blackout_now(blackouts: tuple[Blackout, ...], now: datetime) -> Holding | None:
    """The blackout that holds now, for a plan; None where none does."""
    found = scheduling.blackout(blackouts, now)
    return None if found is None else Holding(found[0].name, found[1])


def _due(one: Standing, now: datetime) -> scheduling.Due:
    progress = one.progress or scheduling.begin(one.schedule, None, now)
    return scheduling.due(one.schedule, progress, now)


def _set(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(stop.set)
