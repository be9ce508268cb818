"""What everybody who measures promises: hears everything, in any order, and keeps no value of a person."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from tests.factories import make_change, make_delta, make_finding, make_health, make_plan

from scimsync.adapters.log_structlog import Log
from scimsync.adapters.metrics_prometheus import PrometheusMetrics
from scimsync.engine.metrics import Together, Unmeasured
from scimsync.engine.ports import Metrics
from scimsync.model.outcomes import Outcome, Status
from scimsync.testing import KeptMetrics, VirtualClock

LOGIN, TITLE = "canary.person@example.com", "Canary Title"
Measured = tuple[Metrics, Callable[[], str]]


def _prometheus() -> Measured:
    metrics = PrometheusMetrics(VirtualClock())
    return metrics, lambda: metrics.exposition().decode()


def _log() -> Measured:
    stream = io.StringIO()
    return Log(stream, form="json", level="debug"), stream.getvalue


def _kept() -> Measured:
    kept = KeptMetrics()
    return kept, lambda: repr(kept.told)


def _together() -> Measured:
    kept, stream = KeptMetrics(), io.StringIO()
    return Together([kept, Unmeasured(), Log(stream, form="console", level="debug")]), lambda: repr(kept.told)


@pytest.fixture(params=[_prometheus, _log, _kept, _together], ids=["prometheus", "log", "memory", "together"])
def measured(request: pytest.FixtureRequest) -> Measured:
    made: Measured = request.param()
    return made


def tell(metrics: Metrics) -> None:
    deltas = (make_delta("title", TITLE, f"{TITLE} before"),)
    change = make_change("E1", name=LOGIN, deltas=deltas)
    metrics.ended("plan", "failed", 0.0, 0)
    for status in Status:
        outcome = Outcome(key="E1", status=status, detail=f"{LOGIN} is taken", written={"title": TITLE})
        metrics.settled(change.word, outcome, 0.1)
    metrics.breaker(is_open=False)
    metrics.retried("get", "not sent", 0.0)
    metrics.asked("token", "lost", 0.0)
    metrics.planned(make_plan(changes=(change,), findings=(make_finding(detail=LOGIN),)))
    metrics.read(make_health(rows=0), proven=False)
    metrics.ended("apply", "done", 1.0, 1)


def test_everything_can_be_told_in_any_order(measured: Measured) -> None:
    metrics, said = measured
    tell(metrics)
    tell(metrics)
    assert "apply" in said()


def test_no_value_of_a_person_is_kept(measured: Measured) -> None:
    metrics, said = measured
    tell(metrics)
    assert LOGIN not in said()
    assert TITLE not in said()


def test_several_hear_the_same_in_the_same_order() -> None:
    first, second = KeptMetrics(), KeptMetrics()
    tell(Together([first, second]))
    assert first.told == second.told
    assert [name for name, _ in first.told][:2] == ["ended", "settled"]
