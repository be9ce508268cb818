"""Runs by the clock: a day and a night on virtual time with everything that happens, and a real `serve --schedule`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from msgspec.structs import replace
from tests.runs import Quiet, house
from tests.servers import Provider, account, firm

from scimsync import bootstrap
from scimsync.cli import serving
from scimsync.config import Settings, load
from scimsync.core import scheduling as rules
from scimsync.core.blackout import Holding
from scimsync.engine.ports import Store
from scimsync.errors import SourceError, StoreLocked, TargetError
from scimsync.model.alarms import AlarmKind
from scimsync.model.schedules import Ended, Result, Schedule
from scimsync.services import alarming, approving, delivery, planning, scheduling
from scimsync.services.acting import Actor
from scimsync.services.planning import Choices
from scimsync.services.scheduling import Scheduler
from scimsync.services.watching import Watch
from scimsync.testing import VirtualClock

#: noon of the day before clocks are set back in Berlin, at 3.00 on the 25th
NOON = datetime(2026, 10, 24, 10, tzinfo=UTC)
SCHEDULES = """\
[[schedule]]
name = "nightly"
cron = "30 2 * * *"
zone = "Europe/Berlin"
[[schedule]]
name = "hourly"
cron = "0 * * * *"
zone = "Europe/Berlin"
depth = "versions"
[[blackout]]
name = "evening"
start = "18:00"
end = "20:00"
zone = "Europe/Berlin"
"""


class Inbox(Sink):
    """A real mail server's end: what was delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[str] = []
        self.refuses = False
        self.came = threading.Event()

    async def handle_DATA(  # noqa: N802 - its name
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        if self.refuses:
            return "451 not now, says secret-canary"
        self.mails.append(envelope.content.decode())
        self.came.set()
        return "250 OK"


class Free(Controller):
    """Takes a free port."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    """A mail server on this machine, and its port."""
    handler = Inbox()
    controller = Free(handler, hostname="127.0.0.1", port=0)
    controller.start()
    yield handler, controller.port
    controller.stop()


def mail_alarm(port: int) -> str:
    return (
        f'[[alarm]]\nkind = "mail"\nserver = "127.0.0.1:{port}"\ntls = "off"\nsender = "scimsync@example.com"\n'
        'to = ["oncall@example.com"]\nsilence = "6h"\n'
    )


def subjects(mails: list[str]) -> list[str]:
    return [
        line.removeprefix("Subject: ") for mail in mails for line in mail.splitlines() if line.startswith("Subject:")
    ]


@dataclass
class Day:
    """What happens in a day: the runs that were begun, and what became of each."""

    settings: Settings
    clock: VirtualClock
    #: from when until when what is away
    source_away: tuple[datetime, datetime] = (NOON, NOON)
    target_away: tuple[datetime, datetime] = (NOON, NOON)
    runs: list[tuple[datetime, str, bool]] = field(default_factory=list)
    blackouts: list[datetime] = field(default_factory=list)
    at_work: int = 0

    def work(self, store: Store, schedule: Schedule, holding: Holding | None) -> Result | None:
        """A run, as far as the schedule is concerned."""
        now = self.clock.now()
        with pytest.raises(StoreLocked), bootstrap.open_store(self.settings) as other, other.lease("somebody else"):
            pass  # nobody else can be at work meanwhile
        if holding is not None:
            self.blackouts.append(now)
        if self.source_away[0] <= now < self.source_away[1]:
            self.runs.append((now, schedule.name, False))
            raise SourceError("hr.csv: E4711 Ada Canary cannot be read")
        if self.target_away[0] <= now < self.target_away[1]:
            self.runs.append((now, schedule.name, False))
            raise TargetError("the directory is away")
        self.runs.append((now, schedule.name, True))
        return Result(ended=Ended.SUCCEEDED, run="", held=0, stale=False)

    @property
    def done(self) -> Counter[str]:
        return Counter(name for _, name, ok in self.runs if ok)


async def _served(day: Day, hours: float, *, processes: int = 1) -> None:
    """Some hours of `serve --schedule`, by one process or several."""
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(bootstrap.open_store(day.settings)) for _ in range(processes)]
        both = [Scheduler(day.settings, s, Quiet(), lambda *_: None, day.clock, day.work, 900.0) for s in stores]
        tasks = [asyncio.create_task(each.on()) for each in both]
        await day.clock.sleep(hours * 3600)
        for each in both:
            each.halt()
        await asyncio.gather(*tasks)


def served(day: Day, hours: float, *, processes: int = 1) -> None:
    asyncio.run(_served(day, hours, processes=processes))


def deliver(settings: Settings) -> None:
    """Carry what waits, as `serve` does."""

    async def once() -> None:
        with bootstrap.open_store(settings) as store:
            async with delivery.rounds(settings, store, lambda _: None, alarms=True) as rounds:
                await rounds.once()

    asyncio.run(once())


def configured(folder: Path, more: str) -> Settings:
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text("x", encoding="utf-8")
    (folder / "scimsync.toml").write_text(
        '[source]\nkind = "csv"\npath = "hr.csv"\nkey = "id"\n[target]\ndialect = "generic"\n'
        'api_url = "http://127.0.0.1:1"\ntoken = "file:token"\n'
        '[attributes]\nuserName = "a"\ndisplayName = "b"\nactive = "true"\n' + more,
        encoding="utf-8",
    )
    return load(folder / "scimsync.toml", secrets={"target", "alarm"})


# Must show 5


def test_a_day_across_the_change_to_winter_time_with_restarts_and_failures_runs_each_once_and_alarms_once(
    tmp_path: Path, inbox: tuple[Inbox, int]
) -> None:
    post, port = inbox
    settings = configured(tmp_path, SCHEDULES + mail_alarm(port))
    clock = VirtualClock(NOON)
    day = Day(
        settings,
        clock,
        source_away=(NOON + timedelta(hours=3, minutes=50), NOON + timedelta(hours=4, minutes=20)),
        target_away=(NOON + timedelta(hours=19, minutes=55), NOON + timedelta(hours=20, minutes=58)),
    )
    served(day, 9.25)
    served(day, 3.0)  # a restart
    clock.advance(150 * 60)  # nobody is there while half past two comes for the first time, and two, and two again
    served(day, 9.2, processes=2)  # two at a time
    assert day.done["nightly"] == 1
    nightly = next(at for at, name, ok in day.runs if name == "nightly" and ok)
    assert nightly - datetime(2026, 10, 25, 0, 45, tzinfo=UTC) < timedelta(minutes=1), "caught up when it was back"
    hours = [at.hour for at, name, ok in day.runs if name == "hourly" and ok]
    # nobody was there at 23 and 0 UTC: one run caught both up. The directory came back after 7: one run for 6 and 7
    assert hours == [*range(11, 23), 0, *range(1, 6), *range(7, 10)]
    assert [at.hour for at in day.blackouts] == [16, 17], "18 and 19 o'clock in Berlin"
    tries = [at for at, _, ok in day.runs if not ok and at < NOON + timedelta(hours=6)]
    assert len(tries) <= 6, "a run that fails is left alone longer and longer"

    deliver(settings)
    deliver(settings)
    assert subjects(post.mails) == [
        "scimsync: run-failed (hourly)",
        "scimsync: run-failed (hourly) is over",
        "scimsync: run-failed (hourly)",
        "scimsync: run-failed (hourly) is over",
    ]
    assert not any("Canary" in mail or "E4711" in mail for mail in post.mails)
    assert "the source was refused" in post.mails[0]
    with bootstrap.open_store(settings) as store:
        assert alarming.standing(settings, store) == []


def test_nothing_for_hours_is_told_once_and_when_it_is_over(tmp_path: Path, inbox: tuple[Inbox, int]) -> None:
    post, port = inbox
    settings = configured(tmp_path, SCHEDULES + mail_alarm(port))
    clock = VirtualClock(NOON)
    day = Day(settings, clock, target_away=(NOON, NOON + timedelta(hours=9)))
    served(day, 10)
    deliver(settings)
    assert sorted(subjects(post.mails)) == [
        "scimsync: run-failed (hourly)",
        "scimsync: run-failed (hourly) is over",
        "scimsync: run-silence (6 h)",
        "scimsync: run-silence (6 h) is over",
    ]


def test_an_alarm_that_cannot_be_sent_fails_nothing_is_shown_and_is_sent_later(
    tmp_path: Path, inbox: tuple[Inbox, int]
) -> None:
    post, port = inbox
    post.refuses = True
    settings = configured(tmp_path, SCHEDULES + mail_alarm(port))
    clock = VirtualClock(NOON)
    day = Day(settings, clock, source_away=(NOON, NOON + timedelta(minutes=90)))
    served(day, 1.1)
    deliver(settings)
    assert post.mails == []
    with bootstrap.open_store(settings) as store:
        words = [line for well, line in scheduling.told(settings, store) if not well]
        assert any(line.startswith("alarm run-failed (hourly) since ") for line in words)
        assert (
            "alarm 1 (mail, 127.0.0.1) could not be told: the mail server refused it (SMTPDataError, 451); "
            "it is tried again" in words
        )
        post.refuses = False
        store.retry_now(settings.alarms[0].name, bootstrap.now())
    deliver(settings)
    assert subjects(post.mails) == ["scimsync: run-failed (hourly)"]
    served(day, 2)
    assert day.done["hourly"] == 3, "the slot that failed, once its pause was over, and two more"


def test_a_run_that_breaks_ends_neither_the_service_nor_the_other_schedules(tmp_path: Path) -> None:
    settings = configured(tmp_path, SCHEDULES)
    clock, ran = VirtualClock(NOON), list[str]()

    def work(store: Store, schedule: Schedule, holding: Holding | None) -> Result | None:
        if schedule.name == "hourly":
            raise ZeroDivisionError("Ada Canary")
        ran.append(schedule.name)
        return Result(ended=Ended.SUCCEEDED)

    said = Quiet()

    async def play() -> None:
        with bootstrap.open_store(settings) as store:
            scheduler = Scheduler(settings, store, said, lambda *_: None, clock, work, 900.0)
            task = asyncio.create_task(scheduler.on())
            await clock.sleep(15 * 3600)
            scheduler.halt()
            await task

    asyncio.run(play())
    assert ran == ["nightly"]


def test_what_a_killed_process_left_at_work_is_run_again_once(tmp_path: Path) -> None:
    settings = configured(tmp_path, SCHEDULES)
    clock = VirtualClock(NOON)
    day = Day(settings, clock)
    served(day, 0.1)
    with bootstrap.open_store(settings) as store:  # it begins, and dies
        (hourly,) = (one for one in alarming.progress_of(settings, store) if one.schedule == "hourly")
        clock.advance(2 * 3600)
        store.save_progress(rules.begun(hourly, clock.now()))
    served(day, 0.5)
    assert day.done == {"hourly": 1}
    (at,) = (at for at, name, _ in day.runs if name == "hourly")
    assert timedelta(minutes=1) <= at - (NOON + timedelta(hours=2, minutes=6)) < timedelta(minutes=2)


# a real process, on the clock of this machine


def overdue(settings: Settings, name: str) -> None:
    """Let a schedule be due: it was settled a day and a half ago."""
    (schedule,) = (one for one in settings.schedules if one.name == name)
    then = bootstrap.now() - timedelta(hours=36)
    with bootstrap.open_store(settings) as store:
        store.save_progress(replace(rules.begin(schedule, None, then), succeeded=then))


def ended(process: subprocess.Popen[str]) -> str:
    """What else it said, after it was told to end and did."""
    process.send_signal(signal.SIGTERM)
    try:
        _, said = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, said
    assert "Traceback" not in said, said
    return said


def heard(process: subprocess.Popen[str], words: str) -> str:
    """The line in which it says something, for which we wait as long as it lives."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"it ended and never said {words!r}")


NIGHTLY = '[[schedule]]\nname = "nightly"\ncron = "30 2 * * *"\n'


def test_two_real_services_run_what_is_due_once_in_a_blackout_for_leavers_alone(tmp_path: Path) -> None:
    with house(tmp_path, users=20) as home:
        home.configure(more=f'{NIGHTLY}[[blackout]]\nname = "frozen"\n')
        home.settle()
        leaver, mover = home.active(2)
        home.set(leaver, status="left")
        home.set(mover, job_title="Lead")
        overdue(home.settings(), "nightly")
        both = [home.start("serve", "--schedule", "--port", "0") for _ in range(2)]
        with both[0], both[1]:
            told = [threading.Thread(target=heard, args=(each, "nightly (30 2")) for each in both]
            for each in told:
                each.start()
            for each in told:
                each.join()
            done = threading.Semaphore(0)

            def listen(process: subprocess.Popen[str]) -> None:
                assert process.stderr is not None
                for line in process.stderr:
                    if "nightly: run " in line:
                        done.release()

            ears = [threading.Thread(target=listen, args=(each,)) for each in both]
            for each in ears:
                each.start()
            assert done.acquire(timeout=60)
            for process in both:
                process.send_signal(signal.SIGTERM)
            for each in ears:
                each.join(60)
            assert [process.wait(60) for process in both] == [0, 0]
            assert not done.acquire(blocking=False), "one run, though two looked"
        assert home.account(leaver)["active"] is False
        assert home.account(mover)["title"] != "Lead"
        made = home.runs()
        assert len(made) == 2, "the first one, and that of the schedule"
        with bootstrap.open_store(home.settings()) as store:
            (progress,) = alarming.progress_of(home.settings(), store)
        assert (progress.ended, progress.attempts, progress.run) == (Ended.SUCCEEDED, 0, made[0].id)

        again = home.start("serve", "--schedule", "--port", "0")  # a restart repeats nothing
        with again:
            assert "its last run succeeded" in heard(again, "nightly (30 2")
            assert "nightly: run" not in ended(again)
        assert len(home.runs()) == 2
        home.configure()
        home.sync()
        assert home.account(mover)["title"] == "Lead"


def test_a_real_service_whose_source_is_away_tells_by_mail_and_doctor_shows_it(
    tmp_path: Path, inbox: tuple[Inbox, int]
) -> None:
    post, port = inbox
    with house(tmp_path, users=10) as home:
        home.configure(more=NIGHTLY + mail_alarm(port).replace("6h", "2d"))
        home.settle()
        overdue(home.settings(), "nightly")
        (home.folder / "hr.db").rename(home.folder / "away.db")
        serving_ = home.start("serve", "--schedule", "--port", "0")
        with serving_:
            assert post.came.wait(60)
            said = ended(serving_)
        assert "Alarm: A run of nightly failed: the source was refused; it is tried again at" in said
        assert subjects(post.mails) == ["scimsync: run-failed (nightly)"]
        assert "hr.db" not in post.mails[0]
        found = home.command("doctor").out
        assert "alarm run-failed (nightly) since" in found
        assert "nightly (30 2 * * *, UTC): next at" in found


def test_serve_says_what_is_missing(tmp_path: Path) -> None:
    with firm(tmp_path, Provider(account(0))) as it:
        it.hr({"id": 0})
        said = it.command("serve", "--schedule")
        assert (said.code, said.faults) == (
            2,
            ["serve --schedule: the configuration has no [[schedule]]. Add one; see docs/schedule.md"],
        )
        it.configure(more=mail_alarm(25))
        found = [line for line in it.command("doctor", "--json").out.splitlines() if "nobody will be told" in line]
        assert found, json.dumps(found)


def looked(settings: Settings) -> Ended:
    """How the run ended that a service finds due when it looks, on the clock of this machine."""
    overdue(settings, "nightly")
    with bootstrap.open_store(settings) as store:
        Scheduler(settings, store, Quiet(), lambda *_: None)._look()
        (progress,) = alarming.progress_of(settings, store)
        return progress.ended


def on_now(settings: Settings) -> set[AlarmKind]:
    with bootstrap.open_store(settings) as store:
        alarming.watch(settings, store, bootstrap.now())
        return {alarm.kind for alarm in alarming.standing(settings, store)}


def test_a_plan_that_waits_for_four_eyes_or_is_refused_is_told_until_somebody_saw_to_it(tmp_path: Path) -> None:
    provider = Provider(*(account(n) for n in range(4)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": n} for n in range(4)))
        it.sync()
        it.configure(more=f'{NIGHTLY}[[approval]]\nname = "eyes"\nevery = true\n')
        it.hr({"id": 0, "status": "left"}, *({"id": n} for n in range(1, 4)))
        settings = load(tmp_path / "scimsync.toml")
        assert looked(settings) is Ended.WAITING
        assert on_now(settings) == {AlarmKind.WAITING}

        it.configure(more=NIGHTLY)
        text = (tmp_path / "scimsync.toml").read_text(encoding="utf-8")
        (tmp_path / "scimsync.toml").write_text(text.replace("disable = 1000", "disable = 0"), encoding="utf-8")
        settings = load(tmp_path / "scimsync.toml")
        assert looked(settings) is Ended.REFUSED
        assert on_now(settings) == {AlarmKind.REFUSED}
        assert provider.named("p0@x.org")[0]["active"] is True

        said = it.command("apply", "--yes", "--override", "limits.disable", "--reason", "they did leave")
        assert provider.named("p0@x.org")[0]["active"] is False, said.err
        assert on_now(settings) == set()


# --- while a run hangs ----------------------------------------------------------------------------


def test_while_a_run_hangs_alarms_are_told_and_health_turns_red_until_it_is_over(
    tmp_path: Path, inbox: tuple[Inbox, int]
) -> None:
    hourly = SCHEDULES.partition('[[schedule]]\nname = "hourly"')[0] + 'longest = "2h"\n'
    settings = configured(tmp_path, hourly + mail_alarm(inbox[1]))
    clock, go, began = VirtualClock(NOON), threading.Event(), threading.Event()

    def work(store: Store, schedule: Schedule, holding: Holding | None) -> Result | None:
        began.set()
        go.wait(60)
        return Result(ended=Ended.SUCCEEDED)

    with bootstrap.open_store(settings) as store:
        scheduler = Scheduler(settings, store, Quiet(), lambda *_: None, clock, work, 900.0)
        watch = Watch(settings, store, said := Quiet(), scheduler, clock)
        scheduler._look()
        clock.advance(15 * 3600)
        runner = threading.Thread(target=scheduler._look)
        runner.start()
        assert began.wait(60)
        watch.look()
        assert (watch.trouble, "scimsync_serve_well 1.0" in watch.exposition().decode()) == ("", True)
        clock.advance(2 * 3600 + 360)
        watch.look()
        assert watch.trouble == "the run of nightly has been at work for 2.1 hours, longer than its `longest`"
        text = watch.exposition().decode()
        assert "scimsync_serve_well 0.0" in text
        assert "scimsync_serve_run_seconds 7560.0" in text
        clock.advance(24 * 3600)
        watch.look()
        assert any("Alarm: " in words for words in said.said)  # nothing succeeded for a day
        go.set()
        runner.join(60)
        assert watch.trouble == ""
        clock.advance(600)
        assert watch.trouble == "nobody has looked for 10 minutes whether alarms are due"
        watch.look()
        assert watch.trouble == ""
        scheduler.has_ended = True
        assert watch.trouble == "nothing is run by the clock any more: start serve again"


def test_a_real_service_with_a_schedule_says_that_it_is_well_and_ends_when_it_is_told(tmp_path: Path) -> None:
    settings = configured(tmp_path, SCHEDULES)
    service = serving._Service(settings, None, None, schedule=True)  # type: ignore[arg-type]
    assert service._watch is not None
    scope = {"method": "GET", "path": "/healthz", "headers": []}
    answer = asyncio.run(service._answer(scope, None))  # type: ignore[arg-type]
    assert (answer.status, answer.document) == (200, {"status": "ok"})
    assert service._scheduler is not None
    service._scheduler.has_ended = True
    answer = asyncio.run(service._answer(scope, None))  # type: ignore[arg-type]
    assert (answer.status, answer.document["status"]) == (503, "unwell")


APPROVED = f'{NIGHTLY}applies_approved = true\n[[approval]]\nname = "eyes"\nevery = true\n'
FROZEN = '[[blackout]]\nname = "frozen"\n'


def said_about(settings: Settings, plan: str, *, approves: bool = True) -> None:
    """Somebody who did not propose it approves a plan, or rejects it."""
    with bootstrap.open_store(settings) as store:
        say = approving.approve if approves else approving.reject
        say(settings, store, plan, Actor("cleo@example.com", "oidc"), "looked at it")


def looked_again(settings: Settings, times: int = 3) -> tuple[Ended, str, list[str]]:
    """How the schedule stands after a service that was just started looked some times, and what it said."""
    quiet = Quiet()
    with bootstrap.open_store(settings) as store:
        scheduler = Scheduler(settings, store, quiet, lambda *_: None)
        for _ in range(times):
            scheduler._look()
        (progress,) = alarming.progress_of(settings, store)
        return progress.ended, progress.run, quiet.said


def test_a_plan_of_a_schedule_that_waited_is_applied_once_when_it_was_approved_and_no_blackout_holds(
    tmp_path: Path,
) -> None:
    provider = Provider(*(account(n) for n in range(4)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": n} for n in range(4)))
        it.sync()
        it.configure(more=APPROVED)
        it.hr({"id": 0, "status": "left"}, *({"id": n} for n in range(1, 4)))
        file = tmp_path / "scimsync.toml"
        settings = load(file)
        assert looked(settings) is Ended.WAITING
        ended_, plan, _ = looked_again(settings)  # nobody said anything
        assert ended_ is Ended.WAITING
        said_about(settings, plan)
        it.configure(more=APPROVED + FROZEN)
        assert looked_again(load(file))[0] is Ended.WAITING
        it.configure(more=APPROVED.replace("applies_approved = true\n", ""))
        assert looked_again(load(file))[0] is Ended.WAITING  # nobody asked for it
        assert provider.named("p0@x.org")[0]["active"] is True
        it.configure(more=APPROVED)
        ended_, run, said = looked_again(settings)
        assert (ended_, run) == (Ended.SUCCEEDED, plan)
        assert provider.named("p0@x.org")[0]["active"] is False
        assert said[:1] == [f"nightly: plan {plan} was approved."]
        assert on_now(settings) == set()
        assert looked_again(settings)[2] == []


WHY = {"rejected": "was rejected by cleo", "overtaken": "another run", "edited": "changed after it was sealed"}


@pytest.mark.parametrize("how", list(WHY))
def test_an_approved_plan_of_a_schedule_is_held_to_its_seal_as_any(tmp_path: Path, how: str) -> None:
    provider = Provider(*(account(n) for n in range(4)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": n} for n in range(4)))
        it.sync()
        it.configure(more=APPROVED)
        it.hr({"id": 0, "status": "left"}, *({"id": n} for n in range(1, 4)))
        settings = load(tmp_path / "scimsync.toml")
        assert looked(settings) is Ended.WAITING
        _, plan, _ = looked_again(settings)
        said_about(settings, plan, approves=how != "rejected")
        if how == "overtaken":
            it.hr(*({"id": n} for n in range(1, 4)), {"id": 0, "title": "Lead"})
            with bootstrap.open_store(settings) as store, store.lease(bootstrap.owner()):
                made = asyncio.run(planning.plan(settings, store, Quiet(), Choices()))
            said_about(settings, made.id)
            it.command("apply", made.id, "--yes")
        if how == "edited":
            with bootstrap.open_store(settings) as store:
                run = store.run(plan)
                assert run is not None
                path = store.artifact(run.plan)
                path.write_bytes(path.read_bytes().replace(b'"p0@x.org"', b'"p1@x.org"'))
        ended_, _, said = looked_again(settings)
        assert ended_ is Ended.REFUSED
        assert WHY[how] in said[how == "overtaken"], said
        assert all(provider.named(f"p{n}@x.org")[0]["active"] for n in range(4))
        assert AlarmKind.WAITING not in on_now(settings)


def test_a_test_alarm_goes_to_each_place_and_says_what_came_of_it(
    tmp_path: Path, inbox: tuple[Inbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    post, port = inbox
    provider = Provider(account(0))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 0})
        said = it.command("alarms", "ping")
        assert (said.code, said.faults) == (
            2,
            ["there is no [[alarm]] in the configuration. Add one; see docs/alarms.md"],
        )
        nobody = '[[alarm]]\nkind = "slack"\nurl = "env:CHAT"\nallow_private = true\n'
        monkeypatch.setenv("CHAT", "https://127.0.0.1:9/hook")
        it.configure(more=mail_alarm(port) + nobody)
        said = it.command("alarms", "ping")
        lines = said.out.splitlines()
        assert (said.code, len(lines)) == (11, 2), said.err
        assert lines[0] == "alarm 1 (mail, 127.0.0.1)  took it"
        assert lines[1].startswith("alarm 2 (slack)  ")
        assert not lines[1].endswith("took it")
        assert it.command("alarms", "ping", "1").code == 0
        assert it.command("alarms", "ping", "3").code == 2
        assert subjects(post.mails) == ["scimsync: a test alarm"] * 2
        assert "Nothing is wrong." in post.mails[0]
        listed = it.command("alarms").out
        assert "alarm 1 (mail, 127.0.0.1)  is told of everything; of silence after 6 h" in listed
        assert "could not be told" not in listed
