"""What every store promises of schedules and alarms, held by the twin in memory, by SQLite and by PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from scimsync.adapters.store_sql import SqlStore
from scimsync.engine.ports import Store
from scimsync.model.alarms import Alarm, AlarmKind
from scimsync.model.events import Message
from scimsync.model.schedules import Ended, Progress
from scimsync.testing import MemoryStore, VirtualClock

NOW = datetime(2026, 10, 25, 0, 30, 0, 123456, tzinfo=UTC)
NEW = Progress(schedule="nightly", expression="30 2 * * * Europe/Berlin", since=NOW, slot=NOW)
ALARM = Alarm(kind=AlarmKind.FAILED, subject="nightly", since=NOW)


def message(name: str) -> Message:
    return Message(id=name, endpoint="alarm:1", person=name, type="t", body=b"{}", created=NOW, due=NOW)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens stores on one common state; in memory there is one only."""
    with ExitStack() as stack:
        if request.param == "memory":
            one = MemoryStore(tmp_path / "artifacts")
            yield lambda: one
            return
        url = f"sqlite:///{tmp_path}/state.db"
        if request.param == "postgres":
            url = str(request.getfixturevalue("postgres_database"))

        def another() -> SqlStore:
            made = SqlStore(url, tmp_path / "artifacts", VirtualClock(), patience_s=5.0)
            stack.callback(made.close)
            return made

        yield another


def test_progress_is_kept_by_name_and_expression_as_it_was_given(make: Callable[[], Store]) -> None:
    one, another = make(), make()
    assert one.progress() == []
    whole = replace(
        NEW,
        attempts=2,
        retry=NOW + timedelta(minutes=5),
        ended=Ended.FAILED,
        at=NOW,
        code=5,
        run="r1",
        succeeded=NOW,
        held=3,
        stale=True,
    )
    other = replace(NEW, expression="0 * * * * UTC")
    one.save_progress(whole)
    another.save_progress(other)
    assert list(one.progress()) == [other, whole]
    another.save_progress(replace(whole, attempts=0, retry=None))
    assert list(one.progress()) == [other, replace(whole, attempts=0, retry=None)]


def test_who_comes_second_does_not_begin_a_schedule_anew(make: Callable[[], Store]) -> None:
    one, another = make(), make()
    one.begin_schedule(NEW)
    one.save_progress(replace(NEW, slot=NOW + timedelta(hours=1)))
    another.begin_schedule(replace(NEW, slot=NOW + timedelta(minutes=1)))
    assert [found.slot for found in another.progress()] == [NOW + timedelta(hours=1)]


def test_an_alarm_is_saved_by_one_of_two_who_saw_it_alike_and_only_that_one_tells(make: Callable[[], Store]) -> None:
    one, another = make(), make()
    told = replace(ALARM, on=True, told=NOW, announced=True, level=1, peak=2)
    assert one.save_alarm(told, [message("m1")])
    assert not another.save_alarm(told, [message("m2")])
    (seen,) = another.alarms()
    assert seen == replace(told, step=1)
    assert another.save_alarm(replace(seen, on=False, announced=False), [message("m3")])
    assert not one.save_alarm(replace(seen, on=False, announced=False), [message("m4")])
    assert [m.id for m in one.claim("alarm:1", NOW, NOW + timedelta(minutes=1), 10)] == ["m1", "m3"]
