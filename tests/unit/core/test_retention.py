"""Which runs are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from scimsync.core.retention import kept
from scimsync.model.outcomes import Run, RunState
from scimsync.model.policy import Keep

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def applied(number: int, days: int, state: RunState = RunState.DONE, source: str = "hr") -> Run:
    at = NOW - timedelta(days=days)
    base = f"base-{number:08d}-r{number}.parquet"
    return Run(
        id=f"r{number}", created=at, state=state, target="t", base=base, seq=2 * number, begun=2 * number + 1,
        source=source,
    )  # fmt: skip


def planned(number: int, days: int) -> Run:
    return replace(applied(number, days, RunState.PLANNED), base="", begun=0)


def test_the_newest_applied_runs_are_kept_however_old_they_are() -> None:
    runs = [applied(number, 1000 - number) for number in range(1, 6)]
    assert kept(runs, Keep(runs=2, days=30), NOW) == {"r4", "r5"}


def test_whatever_is_younger_is_kept_however_many_there_are() -> None:
    runs = [applied(number, 30 - number) for number in range(1, 6)] + [planned(6, 20)]
    assert kept(runs, Keep(runs=1, days=30), NOW) == {f"r{number}" for number in range(1, 7)}


def test_a_plan_that_nobody_applied_does_not_count_as_one_of_the_newest() -> None:
    runs = [applied(1, 900), planned(2, 800), planned(3, 700), planned(4, 600)]
    assert kept(runs, Keep(runs=1, days=30), NOW) == {"r1", "r4"}


def test_a_run_that_can_be_gone_on_with_is_kept_and_one_that_another_followed_is_not() -> None:
    runs = [applied(1, 900, RunState.INTERRUPTED), applied(2, 800), applied(3, 700, RunState.APPLYING)]
    assert kept(runs, Keep(runs=1, days=30), NOW) == {"r3"}
    assert kept(runs[:1], Keep(runs=1, days=30), NOW) == {"r1"}


def test_a_run_that_waits_for_an_answer_is_kept() -> None:
    runs = [planned(1, 900), applied(2, 800), applied(3, 700)]
    assert kept(runs, Keep(runs=1, days=30), NOW, {"r1"}) == {"r1", "r3"}


def test_the_last_run_of_each_source_is_kept() -> None:
    runs = [applied(1, 900, source="contractors"), applied(2, 800), applied(3, 700)]
    assert kept(runs, Keep(runs=1, days=30), NOW) == {"r1", "r3"}
