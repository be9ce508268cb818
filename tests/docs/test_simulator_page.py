"""docs/simulator.md against the switches, control endpoints and faults of the simulator."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from scimsync.simulator.control import _HANDLERS
from scimsync.simulator.faults import KINDS, Fault, read_faults
from scimsync.simulator.options import CHOICES, Options

TEXT = (Path(__file__).parents[2] / "docs/simulator.md").read_text(encoding="utf-8")
SWITCHES = [field.name for field in fields(Options)]


def row(name: str) -> str:
    found = re.search(rf"^\| (?:`\w+`, )?`{name}`.*$", TEXT, re.MULTILINE)
    assert found, f"docs/simulator.md has no row for {name}"
    return found.group(0)


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_has_a_row_with_its_values_and_its_default_first(name: str) -> None:
    cell, default = row(name).split("|")[2], getattr(Options(), name)
    values = re.findall(r"`(\w+)`", cell)
    if name in CHOICES:
        assert values == list(CHOICES[name])
    elif isinstance(default, bool):
        assert values == [str(default).lower(), str(not default).lower()]
    else:
        assert values == [str(default)]


def test_every_control_endpoint_is_listed_and_no_other() -> None:
    listed = {(method, path) for method, path in re.findall(r"`([A-Z]+) /_simulator/([a-z/]+)`", TEXT)}
    assert listed == {*_HANDLERS} | {("POST", "options")}


@pytest.mark.parametrize("name", [field.name for field in fields(Fault)])
def test_every_field_of_a_fault_has_a_row(name: str) -> None:
    assert row(name)


def test_every_kind_of_fault_is_explained() -> None:
    assert all(f"`{kind}`" in row("kind") for kind in KINDS)


def test_the_recipe_in_the_page_is_one() -> None:
    found = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert found
    recipes = msgspec.toml.decode(found.group(1))["fault"]
    assert [fault.on for fault in read_faults(recipes)] == ["patch", "list"]
