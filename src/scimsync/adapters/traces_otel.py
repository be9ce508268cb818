"""What happens, as OpenTelemetry traces: one span for each plan or run, one below it for each change.

Fits `scimsync.engine.ports.Metrics`. Needs the extra `otel`, and an address in the variable
`OTEL_EXPORTER_OTLP_ENDPOINT`; the other variables of OpenTelemetry count as its documentation says.
"""

from __future__ import annotations

import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import Plan
from scimsync.model.records import SourceHealth


class Traces:
    """The spans of one piece of work, sent when it ends.

    Args:
        work: `plan`, `apply` or `settle`: the name of the span above all.
        exporter: Where spans go; by OTLP over HTTP where none is given.
    """

    def __init__(self, work: str, exporter: SpanExporter | None = None) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": "scimsync"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("scimsync")
        self._span = self._tracer.start_span(f"scimsync {work}")
        self._above = trace.set_span_in_context(self._span)

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """Too small for a span."""

    def retried(self, call: str, reason: str, wait_s: float) -> None:
        """An event of the span above."""
        self._span.add_event("request_retried", {"call": call, "reason": reason, "wait_s": wait_s})

    def breaker(self, *, is_open: bool) -> None:
        """An event of the span above."""
        self._span.add_event("breaker_opened" if is_open else "breaker_closed")

    def read(self, health: SourceHealth, *, proven: bool) -> None:
        """Members of the span above."""
        self._span.set_attributes({"scimsync.source.rows": health.rows, "scimsync.source.proven": proven})

    def planned(self, plan: Plan) -> None:
        """Members of the span above."""
        self._span.set_attributes({"scimsync.run": plan.id, "scimsync.changes": len(plan.changes)})

    def settled(self, action: str, outcome: Outcome, seconds: float) -> None:
        """One span for the change, begun when it was."""
        end = time.time_ns()
        span = self._tracer.start_span(
            f"change {action}",
            context=self._above,
            start_time=end - int(seconds * 1e9),
            attributes={
                "scimsync.key": outcome.key,
                "scimsync.action": action,
                "scimsync.outcome": outcome.status.value,
                "scimsync.code": outcome.code,
                "scimsync.races": outcome.races,
                "scimsync.correlation_id": outcome.correlation_id,
            },
        )
        if outcome.status is Status.FAILED:
            span.set_status(trace.StatusCode.ERROR)
        span.end(end)

    def ended(self, work: str, state: str, seconds: float, rate: int) -> None:  # noqa: ARG002 - the span knows
        """End the span above, and send what there is."""
        self._span.set_attribute("scimsync.state", state)
        if state == "failed":
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()
        self._provider.shutdown()
