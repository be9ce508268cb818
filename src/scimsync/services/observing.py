"""Measure and log a piece of work, and hand out what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct, field

from scimsync import files
from scimsync.bootstrap import make_clock, make_counter, make_log, make_traces, read_exposition
from scimsync.config import Settings
from scimsync.engine.metrics import Counted, Together, Unmeasured
from scimsync.engine.ports import Metrics, Observer
from scimsync.engine.state import Artifacts

__all__ = ["METRICS", "Observer", "Silent", "Telemetry", "exposition", "measured", "metrics_document"]

#: the artifact that holds the metrics of all runs, as Prometheus text
METRICS = "metrics.prom"


class Silent:
    """An observer who shows nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Nothing to show."""

    def advance(self, steps: int = 1) -> None:
        """Nothing to show."""

    def say(self, text: str) -> None:
        """Nothing to show."""


class Telemetry(Struct):
    """Who is told of a piece of work, and how it came out."""

    observer: Observer
    metrics: Metrics = field(default_factory=Unmeasured)
    state: str = "failed"
    #: requests a minute that the target granted; 0 where it was not asked
    rate: int = 0
    #: what was asked of the target
    counted: Counted = field(default_factory=Counted)


@contextmanager
def measured(settings: Settings, store: Artifacts, observer: Observer, work: str, run: str = "") -> Iterator[Telemetry]:
    """Measure a piece of work: metrics always, log and traces where they are wanted."""
    clock, counted = make_clock(), make_counter()
    log = make_log(settings, run)
    asked = Counted()
    told = Together([counted, asked, *([log] if log else []), *make_traces(work)])
    telemetry = Telemetry(log or observer, told, counted=asked)
    began = clock.monotonic()
    try:
        yield telemetry
    finally:
        telemetry.metrics.ended(work, telemetry.state, clock.monotonic() - began, telemetry.rate)
        kept = store.artifact(METRICS)
        try:
            text = counted.exposition(kept.read_bytes() if kept.is_file() else b"")
            files.write(kept, [text])
            if settings.textfile is not None:
                files.write(settings.textfile, [text], files.READABLE)
        except OSError as error:
            telemetry.observer.say(f"The metrics cannot be written to {error.filename or kept}: {error.strerror}.")


def exposition(store: Artifacts) -> bytes:
    """The metrics of all runs as Prometheus text; empty before the first."""
    kept = store.artifact(METRICS)
    return kept.read_bytes() if kept.is_file() else b""


def metrics_document(store: Artifacts) -> dict[str, object]:
    """The same as JSON, with the age of the last success."""
    return read_exposition(exposition(store))
