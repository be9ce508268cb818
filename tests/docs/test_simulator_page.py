"""docs/simulator.md against the switches, control endpoints and faults of the simulator."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from scimsync.simulator.control import _HANDLERS
from scimsync.simulator.faults import KINDS, Fault, read_faults
from scimsync.simulator.options import CHOICES, Options, explain

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/simulator.md"
TEXT = PAGE.read_text(encoding="utf-8")
SWITCHES = [*Options.__struct_fields__]


def switches() -> str:
    """The table of switches, the default first."""
    lines = ["| Switch | Values | What it decides | Tag | Section |", "|---|---|---|---|---|"]
    for switch in explain():
        default, words = switch["default"], CHOICES.get(str(switch["name"]), ())
        if isinstance(default, bool):
            words = (str(default).lower(), str(not default).lower())
        values = ", ".join(f"`{word}`" for word in words or [default])
        kind = "" if words else ("number, " if isinstance(default, int) else "text, ")
        lines.append(
            f"| `{switch['name']}` | {kind}{values} | {switch['text']} | {switch['tag']} | {switch['section']} |"
        )
    return "\n".join(lines)


def kinds() -> str:
    """The table of the kinds of faults."""
    return "\n".join(
        ["| Kind | What happens |", "|---|---|", *(f"| `{kind}` | {text} |" for kind, text in KINDS.items())]
    )


TABLES = {"switches": switches, "kinds": kinds}


def between(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: [^\n]*-->\n)(.*?)(<!-- end of {name} -->)", re.DOTALL)


def write() -> None:
    """Write the tables into the page anew."""
    text = TEXT
    for name, table in TABLES.items():
        found = between(name).search(text)
        assert found, name
        text = f"{text[: found.end(1)]}\n{table()}\n\n{text[found.start(3) :]}"
    PAGE.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_is_written_is_up_to_date(name: str) -> None:
    found = between(name).search(TEXT)
    assert found, f"docs/simulator.md has no place for the table of {name}"
    assert found[2].strip() == TABLES[name](), "run: python tests/docs/test_simulator_page.py"


def row(name: str) -> str:
    found = re.search(rf"^\| (?:`\w+`, )?`{name}`.*$", TEXT, re.MULTILINE)
    assert found, f"docs/simulator.md has no row for {name}"
    return found.group(0)


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_has_a_row_with_its_values_and_its_default_first(name: str) -> None:
    cell, default = row(name).split("|")[2], getattr(Options(), name)
    values = re.findall(r"`([^`]+)`", cell)
    if name in CHOICES:
        assert values == list(CHOICES[name])
    elif isinstance(default, bool):
        assert values == [str(default).lower(), str(not default).lower()]
    else:
        assert values == [str(default)]


def test_every_control_endpoint_is_listed_and_no_other() -> None:
    listed = {(method, path) for method, path in re.findall(r"`([A-Z]+) /_simulator/([a-z./]+)`", TEXT)}
    assert listed == {*_HANDLERS} | {("POST", "options")}


@pytest.mark.parametrize("name", [name for name in Fault.__struct_fields__ if not name.startswith("_")])
def test_every_field_of_a_fault_has_a_row(name: str) -> None:
    assert row(name)


def test_every_kind_of_fault_is_explained() -> None:
    assert all(f"`{kind}`" in row("kind") for kind in KINDS)


def test_the_recipe_in_the_page_is_one() -> None:
    found = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert found
    recipes = msgspec.toml.decode(found.group(1))["fault"]
    assert [fault.on for fault in read_faults(recipes)] == ["patch", "list"]


@pytest.mark.parametrize("recipe", sorted((ROOT / "examples/faults").glob("*.toml")), ids=lambda path: path.name)
def test_every_recipe_is_named_and_can_be_read(recipe: Path) -> None:
    assert f"(../examples/faults/{recipe.name})" in TEXT
    document = msgspec.toml.decode(recipe.read_bytes())
    assert read_faults(document["fault"])
    Options().change(document.get("options", {}))


if __name__ == "__main__":
    write()
