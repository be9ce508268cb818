"""docs/architecture.md and docs/glossary.md against the code."""

from __future__ import annotations

import re
import tomllib
from enum import Enum
from importlib import import_module
from pathlib import Path

import pytest

from scimsync.model.outcomes import Status
from scimsync.model.plans import Action, Lifecycle, Verdict
from scimsync.model.policy import Authority

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
HOPS = [line for line in TEXT.splitlines() if re.match(r"\| (\d+|-) \|", line)]
QUOTED = set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)))
PATHS = sorted(name for name in QUOTED if re.fullmatch(r"[a-z_]+(?:/[a-z_.]+)+|[a-z_]+\.py", name))
NAMES = sorted(name for name in QUOTED - {*PATHS} if re.fullmatch(r"[a-z_]+(?:\.\w+)+", name))
ON_THE_ROAD = sorted(name for name in NAMES if any(f"`{name}`" in line for line in HOPS))


def find(name: str) -> object:
    """What a dotted name below `scimsync` stands for: a module, or something in one."""
    module, _, rest = f"scimsync.{name}".partition(".")
    found: object = import_module(module)
    for part in rest.split("."):
        if not hasattr(found, part):
            import_module(f"{module}.{part}")
        found = getattr(found, part)
        module += f".{part}"
    return found


def test_the_road_has_all_its_hops() -> None:
    numbers = [found.group(1) for line in HOPS if (found := re.match(r"\| (\d+) \|", line))]
    assert numbers == [str(n) for n in range(1, 17)]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_something(name: str) -> None:
    assert find(name) is not None


@pytest.mark.parametrize("name", ON_THE_ROAD)
def test_a_function_on_the_road_can_be_called(name: str) -> None:
    assert callable(find(name))


@pytest.mark.parametrize("path", PATHS)
def test_a_path_leads_to_a_file_or_folder(path: str) -> None:
    assert (ROOT / "src/scimsync" / path).exists() or (ROOT / path).exists()


def test_the_picture_shows_the_layers_in_the_order_that_is_enforced() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    picture = TEXT.partition("```text\n")[2].partition("```")[0]
    drawn = re.findall(r"^ (\w+(?: \| \w+)*)", picture, re.MULTILINE)
    assert drawn == [layer for layer in layers if layer != "__main__"]


@pytest.mark.parametrize("words", [Action, Lifecycle, Verdict, Authority, Status])
def test_the_words_of_the_vocabulary_stand_in_the_glossary(words: type[Enum]) -> None:
    missing = [word.value for word in words if not re.search(rf"\b{word.value}\b", GLOSSARY)]
    assert not missing


@pytest.mark.parametrize(
    "word",
    "source,record,target,account,base,desired,current,correlation,link,mapping,authority,delta,change,operation,action,"
    "plan,seal,apply,held,quarantine,finding,outcome,run,dialect,workbench,journal,sweep,deferred,notice,tally,refusal,"
    "override,race".split(","),
)
def test_a_word_of_the_design_has_a_row_in_the_glossary(word: str) -> None:
    rows = re.findall(r"^\| ([^|]+) \|", GLOSSARY, re.MULTILINE)
    assert any(word in re.split(r",\s*", row) for row in rows)
