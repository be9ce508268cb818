"""docs/metrics.md, the alert rules and the dashboard against the metrics that exist; docs/logs.md against the events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scimsync.adapters.log_structlog import EVENTS, LEVELS
from scimsync.adapters.metrics_prometheus import METRICS
from scimsync.config import LOG_FORMATS, LOG_LEVELS

ROOT = Path(__file__).parents[2]
METRICS_PAGE = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
LOGS_PAGE = (ROOT / "docs/logs.md").read_text(encoding="utf-8")
RULES = yaml.safe_load((ROOT / "examples/monitoring/alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD = json.loads((ROOT / "examples/monitoring/dashboard.json").read_text(encoding="utf-8"))
#: what a query may call a metric
SERIES = {name: name for name in METRICS} | {
    f"{name}_{part}": name
    for name, kind in METRICS.items()
    if kind.kind == "histogram"
    for part in ("bucket", "sum", "count")
}


def queries() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_every_metric_has_its_row_and_no_other() -> None:
    rows = re.findall(r"^\| `(scimsync_\w+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$", METRICS_PAGE, re.MULTILINE)
    wanted = {
        (name, kind.kind, ", ".join(f"`{label}`" for label in kind.labels) or "–", kind.about)
        for name, kind in METRICS.items()
    }
    assert set(rows) == wanted


def test_every_label_is_explained() -> None:
    rows = " ".join(re.findall(r"^\| (`[^|]+) \|", METRICS_PAGE.partition("## Labels")[2], re.MULTILINE))
    assert all(f"`{label}`" in rows for kind in METRICS.values() for label in kind.labels)


@pytest.mark.parametrize(("where", "query"), sorted(set(queries())))
def test_a_query_names_metrics_and_labels_that_exist(where: str, query: str) -> None:
    named = set(re.findall(r"scimsync_\w+", query))
    assert named, where
    assert named <= set(SERIES), where
    labels = {label for name in named for label in METRICS[SERIES[name]].labels} | {"le"}
    used = set(re.findall(r"[{,]\s*(\w+)\s*[=!]", query))
    for group in re.findall(r"by \(([^)]*)\)", query):
        used |= {label.strip() for label in group.split(",")}
    assert used <= labels, where
    assert query.count("(") == query.count(")")


def test_counters_are_asked_for_their_growth_and_gauges_for_their_value() -> None:
    for where, query in queries():
        for name in re.findall(r"scimsync_\w+", query):
            grows = METRICS[SERIES[name]].kind != "gauge"
            assert bool(re.search(rf"(?:rate|increase)\({name}", query)) == grows, where


def test_every_metric_is_watched_by_a_rule_or_a_panel() -> None:
    seen = {SERIES[name] for _, query in queries() for name in re.findall(r"scimsync_\w+", query)}
    assert set(METRICS) - seen <= {"scimsync_allowed_requests_per_minute"}


def test_every_rule_says_what_it_means_and_how_bad_it_is() -> None:
    for rule in RULES:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}


def test_every_event_has_its_row_and_no_other() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$", LOGS_PAGE, re.MULTILINE)
    wanted = {
        (name, level, ", ".join(f"`{member}`" for member in members) or "–", about)
        for name, (level, members, about) in EVENTS.items()
    }
    assert set(rows) == wanted


def test_the_words_of_the_configuration_are_those_of_the_log() -> None:
    assert set(LOG_LEVELS) == set(LEVELS)
    assert set(LOG_FORMATS) == {"json", "console", "off"}
