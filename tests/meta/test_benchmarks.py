"""The benchmarks run, do their work, and write what they promise. What they measure is not judged here."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.soak import examples

ROOT = Path(__file__).parents[2]
KEYS = {"work", "value", "unit", "bar", "met", "command", "machine"}


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.harness")


@pytest.fixture
def commands(harness: Any) -> Any:
    return importlib.import_module("benchmarks.__main__")


def check(row: Mapping[str, Any]) -> None:
    assert set(row) == KEYS
    assert set(row["value"]) == {"median", "low", "high", "pairs"}
    assert 0 < row["value"]["low"] <= row["value"]["median"] <= row["value"]["high"]
    assert row["bar"] is None or row["bar"][:3] in {">= ", "<= "}
    assert row["met"] in {True, False, None}
    assert (row["met"] is None) or row["bar"]
    assert row["command"].startswith("make bench NAME=")
    assert "cores" in row["machine"]


@pytest.mark.parametrize(
    "name",
    ["startup", "main_job", "plan", "apply", "estimate", "limits", "audit", "references", "requests", "simulator"],
)
def test_quick_look_writes_its_figures(
    name: str,
    harness: Any,
    commands: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(harness, "OUT", tmp_path)
    measure, usual = commands.BENCHMARKS[name]
    # the one keeps to a real limit of requests a minute; in fewer groups than that the other finds no loop
    few = {"estimate": 40, "references": 200}.get(name, examples(200, 60))
    report = measure(harness.Size(people=few, usual=usual, pairs=1))
    rows = json.loads(report.save().read_text(encoding="utf-8"))
    assert rows
    for row in rows:
        check(row)
    table = "\n".join(report.lines())
    assert all(row["work"] in table for row in rows)
    assert report.notes, "what is inside the measured work is said beside the table"
    assert capfd.readouterr().err == ""


def test_a_kind_of_source_stands_beside_its_bare_library(
    harness: Any, commands: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two kinds only: the others start servers, which their own tests do too."""
    sources = importlib.import_module("benchmarks.sources")
    world, side = (importlib.import_module(f"benchmarks.{name}") for name in ("source_world", "source_side"))
    assert commands.BENCHMARKS["sources"] == (sources.measure, sources.USUAL)
    assert set(sources.LIBRARIES) == set(world.MAKERS) == set(side.BARE)
    report = sources.measure(harness.Size(people=200, usual=sources.USUAL, pairs=1), kinds=("csv", "scim"))
    assert len(report.rows) == 12
    assert all(min(row.values) > 0 for row in report.rows)
    assert capfd.readouterr().err == ""


def test_a_count_is_judged_at_every_size(harness: Any) -> None:
    row = harness.Row(work="requests", values=[19.1], bar=">= 15", always=True)
    assert row.met(harness.Size(people=200, usual=10_000)) is True


def test_bars_are_judged_at_a_fair_size_only(harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row_of, size = harness.Row, harness.Size
    monkeypatch.delenv("CI", raising=False)
    row = row_of(work="wall", values=[1.0, 2.5, 9.0], bar=">= 3")
    assert row.median == 2.5
    assert row.met(size(people=99, usual=1000)) is None
    assert row.met(size(people=500, usual=1000)) is True, "a smaller size has slack"
    assert row.met(size(people=1000, usual=1000)) is False
    monkeypatch.setenv("CI", "1")
    assert row.met(size(people=1000, usual=1000)) is True, "so has a machine of others"
    assert row_of(work="figure", values=[1.0]).met(size(people=1, usual=1)) is None


@pytest.mark.parametrize("arguments", [["nothing-of-that-name"], ["all", "plan"]])
def test_unknown_name_is_a_usage_error(arguments: list[str], commands: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(arguments) == 2
    assert "usage: python -m benchmarks all|" in capsys.readouterr().err


@pytest.mark.parametrize("people", ["none", "-5", "3"])
def test_bad_size_is_a_usage_error(
    people: str, commands: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PEOPLE", people)
    assert commands.main(["plan"]) == 2
    assert "PEOPLE=" in capsys.readouterr().err
