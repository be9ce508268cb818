"""Metrics and log of the installed command."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, house

CONFIG = '[metrics]\ntextfile = "out/scimsync.prom"\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose metrics are asked for, before its first run."""
    with house(tmp_path_factory.mktemp("metrics"), users=20) as found:
        found.configure(more=CONFIG)
        yield found


def test_metrics_of_a_whole_life(home: House) -> None:
    assert home.command("metrics").out.strip() == ""
    (home.folder / "out").mkdir()
    assert home.command("sync").err == ""
    home.set(home.active(1)[0], job_title="Lead")
    assert home.command("sync").err == ""
    file = home.folder / "out/scimsync.prom"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert home.command("metrics").out == file.read_text(encoding="utf-8")
    document = json.loads(home.command("metrics", "--json").out)
    found = {(s["name"], *s["labels"].values()): s["value"] for s in document["metrics"]}
    assert 0 <= document["age_of_last_success_s"] < 60
    assert found["scimsync_changes_total", "update", "done"] == 1
    assert found["scimsync_runs_total", "done", "apply"] == 2
    assert found["scimsync_source_rows",] == 20
    assert found["scimsync_source_proven",] == 1
    assert found["scimsync_request_seconds_count", "patch", "ok"] == 1
    assert found["scimsync_request_seconds_count", "list", "ok"] >= 2


def test_a_run_that_fails_is_counted_and_is_no_success(home: House) -> None:
    before = json.loads(home.command("metrics", "--json").out)["age_of_last_success_s"]
    home.write_hr([])
    assert home.command("sync").code == 3
    home.write_hr(home.people)
    document = json.loads(home.command("metrics", "--json").out)
    failed = {"name": "scimsync_runs_total", "labels": {"state": "failed", "work": "plan"}, "value": 1.0}
    assert failed in document["metrics"]
    assert document["age_of_last_success_s"] >= before


def test_a_textfile_that_cannot_be_written_is_said_and_stops_nothing(home: House) -> None:
    home.configure(more=CONFIG.replace("out/", "nowhere/"))
    said = home.command("sync")
    assert said.code == 0
    assert "The metrics cannot be written to" in said.err


def test_a_textfile_that_nobody_would_collect_is_refused(home: House) -> None:
    home.configure(more='[metrics]\ntextfile = "scimsync.txt"\n[log]\nformat = "jsno"\n')
    said = home.command("plan")
    assert said.code == 2
    assert "must end with .prom" in said.err
    assert "did you mean json?" in said.err


def test_the_log_is_one_event_a_line_and_the_result_stays_on_stdout(home: House) -> None:
    home.configure(more='[log]\nformat = "json"\n')
    said = home.command("sync")
    told = [json.loads(line) for line in said.err.splitlines()]
    events = [line["event"] for line in told]
    assert events[0] == "stage_begun"
    assert events[-1] == "run_ended"
    assert {"source_read", "plan_made"} <= set(events)
    assert len({line["run"] for line in told if "run" in line}) == 1
    assert said.out.startswith("Plan ")
    assert home.command("sync", "--log", "off").err == ""
    assert "plan_made" in home.command("plan", "--log", "console").err


def test_traces_without_the_extra_or_without_a_collector_do_not_go_unnoticed(home: House, tmp_path: Path) -> None:
    """With the extra, a collector that is down is said by OpenTelemetry and stops nothing; without it, we say it."""
    home.configure()
    home.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    home.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1"
    said = home.command("plan")
    del home.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert said.code in {0, 2}
    assert "scimsync[otel]" in said.err or said.code == 0
