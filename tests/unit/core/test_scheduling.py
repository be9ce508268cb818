"""When schedules are due: the change of clocks, what was missed, what failed, and blackouts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.soak import examples

from scimsync.core import scheduling
from scimsync.model.schedules import Blackout, Ended, Progress, Result, Schedule

NIGHTLY = Schedule(name="nightly", cron="30 2 * * *", zone="Europe/Berlin")
HOURLY = Schedule(name="hourly", cron="0 * * * *", zone="Europe/Berlin")
DONE = Result(ended=Ended.SUCCEEDED)
FAILED = Result(ended=Ended.FAILED, code=5)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def played(schedule: Schedule, begin: datetime, end: datetime, step: timedelta) -> list[datetime]:
    """The slots for which a run is begun, where somebody looks each `step` and all goes well."""
    progress, now, found = scheduling.begin(schedule, None, begin), begin, []
    while now < end:
        if (slot := scheduling.due(schedule, progress, now).slot) is not None:
            found.append(slot)
            progress = scheduling.after(progress, slot, DONE, now)
        now += step
    return found


@pytest.mark.parametrize(
    ("begin", "slots"),
    [
        ("2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),  # 2.30 comes twice on the 25th
        ("2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),  # and not at all on the 29th
    ],
)
def test_what_is_fixed_to_an_hour_runs_once_on_the_day_on_which_clocks_change(begin: str, slots: list[str]) -> None:
    found = played(NIGHTLY, at(begin), at(begin) + timedelta(days=2), timedelta(minutes=10))
    assert found == [at(slot) for slot in slots]


@pytest.mark.parametrize("begin", ["2026-10-24T12:00", "2026-03-28T12:00"])
def test_what_runs_each_hour_keeps_its_distance_when_clocks_change(begin: str) -> None:
    found = played(HOURLY, at(begin), at(begin) + timedelta(days=1, minutes=1), timedelta(minutes=10))
    assert len(found) == 24
    assert {after - before for before, after in pairwise(found)} == {timedelta(hours=1)}


@settings(max_examples=examples(300, few=10), deadline=None)
@given(
    st.sampled_from(["30 2 * * *", "*/15 1-3 * * *", "15 1-3 * * *", "0 0 * * 1", "59 2 * * *"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
    st.sampled_from(
        ["2026-03-07T12:00", "2026-03-28T12:00", "2026-04-03T12:00", "2026-10-24T12:00", "2026-10-31T12:00"]
    ),
    st.integers(20, 240),
    st.integers(0, 2 * 1440),
)
def test_no_slot_is_run_twice_or_forgotten_however_often_somebody_looks_and_whenever_they_restart(
    cron: str, zone: str, begin: str, step: int, restart: int
) -> None:
    """Law: a run is for the latest slot, in order; and whoever begins at any moment finds the slots of who was there."""
    schedule, first = Schedule(name="x", cron=cron, zone=zone), at(begin)
    last = first + timedelta(days=3)
    slots = [
        *takewhile(
            lambda slot: slot <= last, (x.astimezone(UTC) for x in CronSim(cron, first.astimezone(ZoneInfo(zone))))
        )
    ]
    assert slots == sorted(set(slots))
    found = played(schedule, first, last, timedelta(minutes=step))
    assert found == sorted(set(found))
    assert set(found) <= set(slots)
    known = Progress(schedule="x", expression=schedule.expression, since=first, slot=first + timedelta(minutes=restart))
    due = scheduling.due(schedule, scheduling.begin(schedule, known, last), last)
    later = [slot for slot in slots if slot > known.slot]
    assert (due.slot, due.missed) == (later[-1] if later else None, max(len(later) - 1, 0))


def test_what_was_missed_is_caught_up_by_one_run() -> None:
    progress = scheduling.begin(HOURLY, None, at("2026-06-01T00:30"))
    now = at("2026-06-01T07:10")
    due = scheduling.due(HOURLY, progress, now)
    assert (due.slot, due.missed) == (at("2026-06-01T07:00"), 6)
    after = scheduling.after(progress, at("2026-06-01T07:00"), DONE, now)
    assert scheduling.due(HOURLY, after, now) == scheduling.Due(slot=None, next=at("2026-06-01T08:00"))


def test_a_year_of_missed_minutes_is_caught_up_at_once() -> None:
    minutely = Schedule(name="m", cron="* * * * *", zone="UTC")
    progress = scheduling.begin(minutely, None, at("2025-01-01T00:00"))
    due = scheduling.due(minutely, progress, at("2026-01-01T00:00") + timedelta(seconds=5))
    assert due.slot == at("2026-01-01T00:00")


def test_a_schedule_that_is_new_begins_now() -> None:
    now = at("2026-06-01T12:00")
    progress = scheduling.begin(NIGHTLY, None, now)
    assert (progress.since, progress.slot) == (now, now)
    assert scheduling.due(NIGHTLY, progress, now) == scheduling.Due(slot=None, next=at("2026-06-02T00:30"))


def test_a_run_that_fails_is_tried_again_after_longer_and_longer_pauses_and_never_forgotten() -> None:
    progress, now = scheduling.begin(NIGHTLY, None, at("2026-06-01T00:00")), at("2026-06-01T00:30")
    pauses = []
    for _ in range(8):
        slot = scheduling.due(NIGHTLY, progress, now).slot
        assert slot == at("2026-06-01T00:30")
        progress = scheduling.after(progress, slot, FAILED, now)
        again = scheduling.due(NIGHTLY, progress, now).next
        assert scheduling.due(NIGHTLY, progress, again - timedelta(seconds=1)).slot is None
        pauses.append((again - now).total_seconds())
        now = again
    assert pauses == [60, 120, 300, 600, 900, 1800, 1800, 1800]
    assert scheduling.after(progress, at("2026-06-01T00:30"), DONE, now).attempts == 0


@pytest.mark.parametrize("ended", [Ended.REFUSED, Ended.STOPPED, Ended.WAITING])
def test_what_a_person_must_decide_is_not_tried_again_before_its_time(ended: Ended) -> None:
    now = at("2026-06-01T00:31")
    progress = scheduling.begin(NIGHTLY, None, at("2026-06-01T00:00"))
    after = scheduling.after(progress, at("2026-06-01T00:30"), Result(ended=ended, code=4), now)
    assert scheduling.due(NIGHTLY, after, now).next == at("2026-06-02T00:30")
    assert after.succeeded is None


def test_a_run_whose_process_died_is_run_again_after_a_pause_and_one_that_was_stopped_at_once() -> None:
    now = at("2026-06-01T00:31")
    progress = scheduling.begin(NIGHTLY, None, at("2026-06-01T00:00"))
    at_work = scheduling.begun(progress, now)
    assert scheduling.due(NIGHTLY, at_work, now).slot is None
    assert scheduling.due(NIGHTLY, at_work, now + timedelta(minutes=1)).slot == at("2026-06-01T00:30")
    stopped = scheduling.after(progress, at("2026-06-01T00:30"), None, now)
    assert scheduling.due(NIGHTLY, stopped, now).slot == at("2026-06-01T00:30")


def test_a_clock_that_is_set_back_repeats_nothing_and_one_that_was_wrong_by_years_stops_nothing() -> None:
    now = at("2026-06-01T00:31")
    done = scheduling.after(scheduling.begin(NIGHTLY, None, now), at("2026-06-01T00:30"), DONE, now)
    back = now - timedelta(minutes=20)
    assert scheduling.due(NIGHTLY, scheduling.begin(NIGHTLY, done, back), back).slot is None
    wrong = replace(done, slot=at("2031-01-01T00:00"))
    assert scheduling.due(NIGHTLY, scheduling.begin(NIGHTLY, wrong, now), now).next == at("2026-06-02T00:30")
    paused = replace(done, retry=at("2031-01-01T00:00"), slot=at("2026-05-31T00:30"))
    assert scheduling.due(NIGHTLY, paused, now).next == now + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("30 2 * *", "it has 4 fields"),
        ("0 30 2 * * *", "it has 6 fields"),
        ("60 2 * * *", "the minute"),
        ("0 2 * * 1-x", "the weekday"),
        ("0 2 0 * *", "the day of the month"),
        ("0 2 31 2 *", "no day that ever comes"),
        ("@daily", "it has 1 fields"),
    ],
)
def test_a_bad_expression_is_told_by_its_field(cron: str, words: str) -> None:
    assert words in scheduling.fault(cron)


OFFICE = Blackout(
    name="office",
    days=frozenset(range(5)),
    dates=frozenset({date(2026, 10, 25)}),
    start=time(8),
    end=time(20),
    zone="Europe/Berlin",
)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-06-01T05:59", None),  # a Monday, 7.59 in Berlin
        ("2026-06-01T06:00", "2026-06-01T18:00"),
        ("2026-06-01T17:59", "2026-06-01T18:00"),
        ("2026-06-01T18:00", None),
        ("2026-06-06T10:00", None),  # a Saturday
        ("2026-10-25T08:00", "2026-10-25T19:00"),  # a Sunday that is named, in winter time
    ],
)
def test_a_blackout_holds_on_its_days_in_its_zone(now: str, until: str | None) -> None:
    found = scheduling.blackout([OFFICE], at(now))
    assert (found[1] if found else None) == (at(until) if until else None)


def test_a_blackout_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    night = replace(OFFICE, name="night", start=time(22), end=time(6))
    assert scheduling.blackout([night], at("2026-06-06T03:00")) is not None  # Saturday morning, begun on Friday
    assert scheduling.blackout([night], at("2026-06-06T21:00")) is None
    assert scheduling.blackout([OFFICE, night], at("2026-06-01T17:00")) == (OFFICE, at("2026-06-01T18:00"))


def test_a_blackout_that_ends_within_the_hour_that_comes_twice_ends_with_the_second() -> None:
    early = replace(OFFICE, start=time(1), end=time(2, 30))
    assert scheduling.blackout([early], at("2026-10-25T01:15")) == (early, at("2026-10-25T01:30"))
