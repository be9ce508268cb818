"""Traces: a span for the work, one below it for each change."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.factories import make_health, make_plan

from scimsync.adapters.traces_otel import Traces
from scimsync.model.outcomes import Outcome, Status


def spans(state: str = "done") -> dict[str, ReadableSpan]:
    exporter = InMemorySpanExporter()
    traces = Traces("apply", exporter)
    traces.read(make_health(rows=7), proven=True)
    traces.planned(make_plan())
    traces.asked("patch", "ok", 0.1)
    traces.retried("patch", "throttled", 1.0)
    traces.breaker(is_open=True)
    traces.settled("update", Outcome(key="E1", status=Status.FAILED), 0.25)
    traces.ended("apply", state, 1.0, 300)
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_change_is_a_span_below_that_of_the_run_and_as_long_as_it_took() -> None:
    found = spans()
    change, run = found["change update"], found["scimsync apply"]
    assert change.parent is not None
    assert run.context is not None
    assert change.parent.span_id == run.context.span_id
    assert (change.end_time or 0) - (change.start_time or 0) == 250_000_000
    assert dict(change.attributes or {})["scimsync.outcome"] == "failed"
    assert [event.name for event in run.events] == ["request_retried", "breaker_opened"]


def test_what_failed_is_marked() -> None:
    assert not spans()["change update"].status.is_ok
    assert spans("done")["scimsync apply"].status.is_unset
    assert not spans("failed")["scimsync apply"].status.is_ok


def test_no_value_of_a_person_stands_in_a_span() -> None:
    assert all("ada@example.com" not in span.to_json() for span in spans().values())
