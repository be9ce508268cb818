"""What is measured, as Prometheus metrics. Fits `scimsync.engine.ports.Metrics`.

Runs are short, scrapes are seldom, and a counter must never fall: so the totals of earlier runs, kept as
text beside the artifacts, are added to those of this process when they are written out. Gauges tell of
the latest run. No label holds a person, an account or an address.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from scimsync.model.outcomes import Outcome, RunState
from scimsync.model.plans import Action, Plan
from scimsync.model.records import SourceHealth

#: upper edges in seconds: an answer of Genesys takes 0.1 to 1 s (observed by others), tries and waits more
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
#: states after which the directory was as HR says, but for what is held and left out
_GOOD = {RunState.DONE.value, RunState.PARTIAL.value}


class Clock(Protocol):
    """The part of `scimsync.engine.ports.Clock` that metrics need."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        ...


class Kind(Struct, frozen=True):
    """One metric: counter, gauge or histogram, its labels and what it tells."""

    kind: str
    about: str
    labels: tuple[str, ...] = ()


#: every metric there is, by the name that a query uses
METRICS: Mapping[str, Kind] = {
    "scimsync_request_seconds": Kind(
        "histogram", "Exchanges with the target, by call and outcome, in seconds", ("call", "outcome")
    ),
    "scimsync_retries_total": Kind(
        "counter", "Requests that were sent once more, by call and reason", ("call", "reason")
    ),
    "scimsync_breaker_open": Kind("gauge", "1 while all requests wait because the target is down"),
    "scimsync_breaker_opened_total": Kind("counter", "How often the breaker opened"),
    "scimsync_allowed_requests_per_minute": Kind(
        "gauge", "Requests a minute that the target granted at the end of the run"
    ),
    "scimsync_allowed_rate_used_ratio": Kind("gauge", "Requests of the busiest minute of the run, of those allowed"),
    "scimsync_source_rows": Kind("gauge", "Records of the latest reading of the source"),
    "scimsync_source_proven": Kind("gauge", "1 where that reading proved that nothing is missing"),
    "scimsync_match_ratio": Kind("gauge", "Attributes equal already, of those compared, in the latest plan"),
    "scimsync_plan_changes": Kind("gauge", "Changes of the latest plan, by action", ("action",)),
    "scimsync_plan_conflicts": Kind("gauge", "Conflicts that the latest plan holds for a person"),
    "scimsync_plan_left_out": Kind("gauge", "People whom the latest plan leaves out because of a finding"),
    "scimsync_plan_edits_kept": Kind("gauge", "Edits in the directory that the latest plan keeps"),
    "scimsync_plan_edits_overwritten": Kind("gauge", "Edits in the directory that the latest plan overwrites by rule"),
    "scimsync_plan_refused": Kind("gauge", "1 where a limit refuses the latest plan"),
    "scimsync_plan_findings": Kind("gauge", "Findings of the latest plan, by code", ("code", "severity")),
    "scimsync_changes_total": Kind("counter", "Settled changes, by action and outcome", ("action", "outcome")),
    "scimsync_run_changes": Kind("gauge", "Settled changes of the latest run, by outcome", ("outcome",)),
    "scimsync_races_total": Kind("counter", "Writes that lost against a newer version of the account"),
    "scimsync_runs_total": Kind("counter", "Plans made and plans applied, by how they ended", ("work", "state")),
    "scimsync_run_seconds": Kind("gauge", "How long the latest plan took to make, and to apply", ("work",)),
    "scimsync_last_run_timestamp_seconds": Kind(
        "gauge", "When a plan was last made or applied, however it ended", ("work",)
    ),
    "scimsync_last_success_timestamp_seconds": Kind("gauge", "When a run was last applied to its end"),
}


class PrometheusMetrics:
    """The metrics of this process. `exposition` gives them with those of earlier runs added."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._set: set[str] = set()
        for name, kind in METRICS.items():
            if kind.kind == "counter":
                self._counters[name] = Counter(name, kind.about, kind.labels, registry=self._registry)
            elif kind.kind == "gauge":
                self._gauges[name] = Gauge(name, kind.about, kind.labels, registry=self._registry)
        seconds = METRICS["scimsync_request_seconds"]
        self._seconds = Histogram(
            "scimsync_request_seconds", seconds.about, seconds.labels, registry=self._registry, buckets=BUCKETS
        )
        self._bound: dict[tuple[str, str], Histogram] = {}
        self._minute: deque[float] = deque()
        self._busiest = 0
        self._open = False

    # --- the port -------------------------------------------------------------------------------

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """Count one exchange."""
        bound = self._bound.get((call, outcome))
        if bound is None:
            bound = self._bound[call, outcome] = self._seconds.labels(call, outcome)
        bound.observe(seconds)
        now = self._clock.monotonic()
        self._minute.append(now)
        while self._minute[0] < now - 60:
            self._minute.popleft()
        self._busiest = max(self._busiest, len(self._minute))

    def retried(self, call: str, reason: str, wait_s: float) -> None:  # noqa: ARG002 - the log tells of it
        """Count one more try."""
        self._counters["scimsync_retries_total"].labels(call, reason).inc()

    def breaker(self, *, is_open: bool) -> None:
        """Note the state of the breaker."""
        if is_open and not self._open:
            self._counters["scimsync_breaker_opened_total"].inc()
        self._open = is_open

    def read(self, health: SourceHealth, *, proven: bool) -> None:
        """Note how the source was found."""
        self._put("scimsync_source_rows", health.rows)
        self._put("scimsync_source_proven", int(proven))

    def planned(self, plan: Plan) -> None:
        """Note the numbers of a plan."""
        tally = plan.tally
        self._put("scimsync_match_ratio", tally.match_rate)
        for action in Action:
            self._put("scimsync_plan_changes", tally.actions.get(action.value, 0), action.value)
        self._put("scimsync_plan_conflicts", tally.conflicts)
        self._put("scimsync_plan_left_out", tally.held)
        self._put("scimsync_plan_edits_kept", tally.kept)
        self._put("scimsync_plan_edits_overwritten", tally.overwritten)
        self._put("scimsync_plan_refused", int(bool(plan.refusals)))
        self._set.add("scimsync_plan_findings")
        for finding in plan.findings:
            self._gauges["scimsync_plan_findings"].labels(finding.code, finding.severity.value).inc()

    def settled(self, action: str, outcome: Outcome, seconds: float) -> None:  # noqa: ARG002 - traces tell of it
        """Count one settled change."""
        self._counters["scimsync_changes_total"].labels(action, outcome.status.value).inc()
        self._counters["scimsync_races_total"].inc(outcome.races)
        self._gauges["scimsync_run_changes"].labels(outcome.status.value).inc()

    def ended(self, work: str, state: str, seconds: float, rate: int) -> None:
        """Note the end of a plan or of a run; `rate` in requests a minute, 0 where it is not known."""
        now = self._clock.now().timestamp()
        self._counters["scimsync_runs_total"].labels(work, state).inc()
        self._put("scimsync_breaker_open", int(self._open))
        self._put("scimsync_run_seconds", seconds, work)
        self._put("scimsync_last_run_timestamp_seconds", now, work)
        if rate:
            self._put("scimsync_allowed_requests_per_minute", rate)
            self._put("scimsync_allowed_rate_used_ratio", self._busiest / rate)
        if work == "apply":
            self._set.add("scimsync_run_changes")
            if state in _GOOD:
                self._put("scimsync_last_success_timestamp_seconds", now)

    def _put(self, name: str, value: float, *labels: str) -> None:
        self._set.add(name)
        gauge = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    # --- out --------------------------------------------------------------------------------------

    def exposition(self, earlier: bytes = b"") -> bytes:
        """The metrics as Prometheus text, with the totals of an earlier exposition added."""
        return generate_latest(_Together(list(self._registry.collect()), read(earlier), self._set))


class _Together:
    """This process and what was before it. Fits prometheus_client's Collector."""

    def __init__(self, now: Iterable[Metric], before: Mapping[str, Metric], put: Iterable[str]) -> None:
        self._now, self._before, self._put = now, before, frozenset(put)

    def collect(self) -> Iterator[Metric]:
        """Each metric once: counters and histograms added up, gauges the latest."""
        for metric in self._now:
            before = self._before.get(metric.name)
            merged = Metric(metric.name, metric.documentation, metric.type)
            samples = {} if before is None else {_key(s.name, s.labels): s.value for s in before.samples}
            if metric.type == "gauge":
                kept = {} if metric.name in self._put and metric.name not in _BY_WORK else samples
                samples = kept | self._fresh(metric) if metric.name in self._put else kept
            else:
                for key, value in self._fresh(metric).items():
                    samples[key] = samples.get(key, 0.0) + value
            for (name, labels), value in samples.items():
                merged.add_sample(name, dict(labels), value)
            if merged.samples:
                yield merged

    def _fresh(self, metric: Metric) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {_key(s.name, s.labels): s.value for s in metric.samples if not s.name.endswith("_created")}


#: gauges of which one process sets only some labels
_BY_WORK = {"scimsync_run_seconds", "scimsync_last_run_timestamp_seconds"}


def _key(name: str, labels: Mapping[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


def read(exposition: bytes) -> dict[str, Metric]:
    """Metrics by name, from Prometheus text; none where it is not such a text."""
    try:
        return {metric.name: metric for metric in text_string_to_metric_families(exposition.decode())}
    except (ValueError, KeyError, IndexError):
        return {}


def document(exposition: bytes, now: datetime) -> dict[str, object]:
    """Prometheus text as JSON: `{"metrics": [{"name": .., "labels": {..}, "value": ..}], ..}`."""
    samples = [
        {"name": sample.name, "labels": sample.labels, "value": sample.value}
        for metric in read(exposition).values()
        for sample in metric.samples
    ]
    success = next((s["value"] for s in samples if s["name"] == "scimsync_last_success_timestamp_seconds"), None)
    age = None if not isinstance(success, int | float) else round(now.timestamp() - success, 3)
    return {"age_of_last_success_s": age, "metrics": samples}


def gauged(gauges: Mapping[str, tuple[str, float]]) -> bytes:
    """What holds at this moment, as Prometheus text: name -> what it tells, and its value."""
    registry = CollectorRegistry()
    for name, (about, value) in gauges.items():
        Gauge(name, about, registry=registry).set(value)
    return bytes(generate_latest(registry))
