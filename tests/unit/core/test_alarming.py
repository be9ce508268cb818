"""What people are alarmed about: once when it begins, once when it is over, and no oftener though it comes and goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.soak import examples

from scimsync.core import alarming
from scimsync.model.alarms import Alarm, AlarmKind, Condition, Notice
from scimsync.model.outcomes import RunState
from scimsync.model.schedules import Ended, Progress

NOW = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
NEW = Progress(schedule="nightly", expression="x", since=NOW, slot=NOW)


def found(progress: Progress, state: RunState | None = None, now: datetime = NOW) -> dict[AlarmKind, bool]:
    states = {} if state is None else {progress.run: state}
    told = alarming.conditions([progress], states, {"24 h": timedelta(days=1)}, now)
    return {condition.kind: condition.holds for condition in told}


def played(conditions: list[Condition], every: timedelta) -> list[Notice]:
    alarm, told, now = None, [], NOW
    for condition in conditions:
        stepped = alarming.step(alarm, condition, now)
        if stepped is not None:
            alarm, notice = stepped
            alarm = replace(alarm, step=alarm.step + 1)
            told += [notice] if notice is not None else []
        now += every
    return told


def failed(holds: bool) -> Condition:
    return Condition(AlarmKind.FAILED, "nightly", holds, "it failed")


def held(number: int) -> Condition:
    return Condition(AlarmKind.QUARANTINE, "nightly", False, number=number)


@pytest.mark.parametrize(
    ("ended", "state", "alarms"),
    [
        (Ended.NEVER, None, set()),
        (Ended.SUCCEEDED, RunState.DONE, set()),
        (Ended.FAILED, None, {AlarmKind.FAILED}),
        (Ended.STOPPED, RunState.INTERRUPTED, {AlarmKind.FAILED}),
        (Ended.REFUSED, RunState.REFUSED, {AlarmKind.REFUSED}),
        (Ended.REFUSED, RunState.DONE, set()),  # somebody set the rule aside, and applied it
        (Ended.WAITING, RunState.PLANNED, {AlarmKind.WAITING}),
        (Ended.WAITING, RunState.APPLYING, set()),
    ],
)
def test_what_is_wrong_follows_from_how_the_last_run_ended(
    ended: Ended, state: RunState | None, alarms: set[AlarmKind]
) -> None:
    progress = replace(NEW, ended=ended, run="r1", code=5)
    assert {kind for kind, holds in found(progress, state).items() if holds} == alarms


def test_of_what_a_run_at_work_may_change_nothing_is_said_until_it_ended() -> None:
    assert AlarmKind.FAILED not in found(replace(NEW, ended=Ended.BEGUN, attempts=1))
    assert found(replace(NEW, ended=Ended.BEGUN, attempts=2))[AlarmKind.FAILED], "its process died before"
    assert AlarmKind.REFUSED not in found(replace(NEW, ended=Ended.FAILED))


def test_silence_counts_from_the_last_success_or_from_when_the_schedule_was_known() -> None:
    day = timedelta(days=1)
    assert not found(NEW, now=NOW + day - timedelta(seconds=1))[AlarmKind.SILENCE]
    assert found(NEW, now=NOW + day)[AlarmKind.SILENCE]
    assert not found(replace(NEW, succeeded=NOW + timedelta(hours=1)), now=NOW + day)[AlarmKind.SILENCE]


def test_a_source_that_stands_still_is_told_of_once_a_plan_was_made() -> None:
    assert AlarmKind.STALE not in found(NEW)
    assert found(replace(NEW, held=0, stale=True))[AlarmKind.STALE]


def test_an_alarm_is_told_once_and_its_end_once() -> None:
    told = played([failed(False), *[failed(True)] * 96, *[failed(False)] * 96], timedelta(minutes=15))
    assert [notice.over for notice in told] == [False, True]
    assert (told[1].since, told[1].at) == (NOW + timedelta(minutes=15), NOW + timedelta(hours=24, minutes=15))


def test_what_comes_and_goes_every_quarter_of_an_hour_is_told_once_an_hour_at_most() -> None:
    told = played([failed(n % 2 == 0) for n in range(96)], timedelta(minutes=15))
    begun = [notice.at for notice in told if not notice.over]
    assert all(after - before >= timedelta(hours=1) for before, after in pairwise(begun))
    assert [notice.over for notice in told] == [False, True] * (len(told) // 2)


@settings(max_examples=examples(500, few=30))
@given(st.lists(st.booleans(), max_size=60), st.integers(1, 90))
def test_beginnings_and_ends_take_turns_whatever_happens(holds: list[bool], minutes: int) -> None:
    """Law: what is told of one alarm is begun, over, begun, over; and where it is over, people know it in the end."""
    told = played([failed(each) for each in holds], timedelta(minutes=minutes))
    assert [notice.over for notice in told] == [bool(n % 2) for n in range(len(told))]
    if holds and not holds[-1]:
        assert len(told) % 2 == 0


def test_quarantine_alarms_where_it_grows_and_again_where_it_doubles_and_forgets_what_healed() -> None:
    numbers = [5, 5, 3, 3, 4, 4, 5, 8, 9, 3, 2]
    told = played([held(number) for number in numbers], timedelta(hours=2))
    assert [(notice.over, notice.words) for notice in told] == [
        (False, "more people are left out by the plans of nightly: 4; before it was 3"),
        (False, "more people are left out by the plans of nightly: 8; before it was 3"),
        (True, ""),
    ]


def test_what_is_told_is_a_sentence_with_a_title_and_names_nobody() -> None:
    progress = replace(NEW, ended=Ended.FAILED, code=5, retry=NOW + timedelta(minutes=1))
    (condition, *_) = alarming.conditions([progress], {}, {}, NOW)
    notice = Notice(condition.kind, condition.subject, False, NOW, NOW, condition.words)
    assert alarming.title(notice) == "scimsync: run-failed (nightly)"
    assert alarming.text(notice) == (
        "A run of nightly failed: the directory refused us, or cannot be reached; it is tried again at "
        "2026-10-25 00:31 UTC."
    )
    over = replace(notice, over=True)
    assert alarming.text(over) == "The runs of nightly succeed again. It began at 2026-10-25 00:30 UTC."


def test_an_alarm_that_was_told_by_a_clock_that_was_ahead_is_told_all_the_same() -> None:
    known = Alarm(kind=AlarmKind.FAILED, subject="nightly", since=NOW, told=NOW + timedelta(days=900), step=3)
    stepped = alarming.step(known, failed(True), NOW)
    assert stepped is not None
    assert stepped[1] is not None
