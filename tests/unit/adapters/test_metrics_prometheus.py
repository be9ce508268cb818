"""Prometheus metrics: totals outlast a process, gauges tell of the latest run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.factories import make_finding, make_health, make_plan

from scimsync.adapters.metrics_prometheus import PrometheusMetrics, document, read
from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import Action, Tally
from scimsync.testing import VirtualClock


def value(text: bytes, name: str, **labels: str) -> float | None:
    for metric in read(text).values():
        for sample in metric.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


def applied(clock: VirtualClock, *statuses: Status, state: str = "done") -> PrometheusMetrics:
    metrics = PrometheusMetrics(clock)
    for status in statuses:
        metrics.settled("update", Outcome(key="E1", status=status, races=1), 0.1)
    metrics.asked("patch", "ok", 0.03)
    metrics.ended("apply", state, 2.0, 300)
    return metrics


def test_counters_and_histograms_grow_from_process_to_process() -> None:
    clock, text = VirtualClock(), b""
    for _ in range(3):
        text = applied(clock, Status.DONE, Status.HELD).exposition(text)
    assert value(text, "scimsync_changes_total", action="update", outcome="done") == 3
    assert value(text, "scimsync_races_total") == 6
    assert value(text, "scimsync_runs_total", work="apply", state="done") == 3
    assert value(text, "scimsync_request_seconds_count", call="patch", outcome="ok") == 3
    assert value(text, "scimsync_request_seconds_bucket", call="patch", outcome="ok", le="0.05") == 3
    assert value(text, "scimsync_request_seconds_bucket", call="patch", outcome="ok", le="0.025") == 0
    assert value(text, "scimsync_request_seconds_sum", call="patch", outcome="ok") == pytest.approx(0.09)


def test_gauges_tell_of_the_latest_run_and_stay_where_nothing_new_is_known() -> None:
    clock = VirtualClock()
    text = applied(clock, Status.HELD, state="partial").exposition()
    planning = PrometheusMetrics(clock)
    planning.read(make_health(rows=42), proven=True)
    planning.planned(make_plan(tally=Tally(actions={"create": 2}, equal=9, compared=10, held=1)))
    planning.ended("plan", "planned", 1.0, 300)
    text = planning.exposition(text)
    assert value(text, "scimsync_run_changes", outcome="held") == 1
    assert value(text, "scimsync_source_rows") == 42
    assert value(text, "scimsync_match_ratio") == 0.9
    assert value(text, "scimsync_plan_changes", action="create") == 2
    assert value(text, "scimsync_run_seconds", work="apply") == 2
    assert value(text, "scimsync_run_seconds", work="plan") == 1
    text = applied(clock, Status.DONE).exposition(text)
    assert value(text, "scimsync_run_changes", outcome="held") is None
    assert value(text, "scimsync_source_rows") == 42


def test_findings_of_an_earlier_plan_are_gone_with_it() -> None:
    first, second = PrometheusMetrics(VirtualClock()), PrometheusMetrics(VirtualClock())
    first.planned(make_plan(findings=(make_finding(), make_finding(subject="E2"))))
    text = first.exposition()
    assert value(text, "scimsync_plan_findings", code="record.bad-phone", severity="error") == 2
    second.planned(make_plan())
    assert b"record.bad-phone" not in second.exposition(text)


def test_the_last_success_is_that_of_a_run_that_came_to_its_end() -> None:
    clock = VirtualClock()
    text = applied(clock).exposition()
    good = value(text, "scimsync_last_success_timestamp_seconds")
    clock.advance(3600)
    text = applied(clock, state="failed").exposition(text)
    assert value(text, "scimsync_last_success_timestamp_seconds") == good
    assert value(text, "scimsync_last_run_timestamp_seconds", work="apply") == clock.now().timestamp()
    assert document(text, clock.now())["age_of_last_success_s"] == 3600


def test_before_the_first_success_there_is_no_age_of_it() -> None:
    assert document(b"", datetime(2026, 1, 1, tzinfo=UTC)) == {"age_of_last_success_s": None, "metrics": []}


def test_the_share_of_the_rate_is_that_of_the_busiest_minute() -> None:
    clock = VirtualClock()
    metrics = PrometheusMetrics(clock)
    for _ in range(30):
        metrics.asked("patch", "ok", 0.01)
    clock.advance(61)
    for _ in range(10):
        metrics.asked("patch", "ok", 0.01)
    metrics.ended("apply", "done", 62.0, 300)
    assert value(metrics.exposition(), "scimsync_allowed_rate_used_ratio") == 0.1


def test_a_breaker_that_stays_open_opened_once_and_is_closed_by_the_next_good_run() -> None:
    metrics = PrometheusMetrics(VirtualClock())
    metrics.breaker(is_open=True)
    metrics.breaker(is_open=True)
    metrics.ended("apply", "failed", 1.0, 0)
    text = metrics.exposition()
    assert value(text, "scimsync_breaker_open") == 1
    assert value(text, "scimsync_breaker_opened_total") == 1
    assert value(applied(VirtualClock()).exposition(text), "scimsync_breaker_open") == 0


@pytest.mark.parametrize("broken", [b"\xff\xfe", b"scimsync_races_total {{{", b"not a metric at all !!"])
def test_a_damaged_memory_is_begun_anew(broken: bytes) -> None:
    assert value(applied(VirtualClock(), Status.DONE).exposition(broken), "scimsync_races_total") == 1


def test_every_action_has_its_counter() -> None:
    metrics = PrometheusMetrics(VirtualClock())
    for action in Action:
        metrics.settled(action.value, Outcome(key="E1", status=Status.DONE), 0.1)
    text = metrics.exposition()
    assert all(value(text, "scimsync_changes_total", action=a.value, outcome="done") == 1 for a in Action)
