"""docs/configuration.md against the configuration and the mapping language; the README's example is loaded."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scimsync.cli.configuring import toml
from scimsync.config import load
from scimsync.config.keys import FORMER_REFERENCE, REFERENCE, SIGNING_KEY
from scimsync.config.schema import schema
from scimsync.model.policy import Authority, Leavers, Limit, Limits
from scimsync.scim.dialect_file import CODED
from scimsync.workbench.expressions import HELPERS, PLAIN_FUNCTIONS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/configuration.md"
TEXT = PAGE.read_text(encoding="utf-8")
SCHEMA = schema()
SECTIONS = tuple(SCHEMA["properties"])
#: with the tables within a section
TABLES = (*SECTIONS, "source.expect", "source.NAME", "console.oidc")
#: sections of which there may be several
SEVERAL = {"webhook", "rule", "approval", "schedule", "blackout", "alarm"}


def section(heading: str) -> str:
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^##? |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"docs/configuration.md has no {heading}"
    return found.group(1)


def heading(name: str) -> str:
    return f"## [[{name}]]" if name in SEVERAL else f"## [{name}]" if "." not in name else f"### [{name}]"


def table(name: str) -> str:
    """The table of the keys of a section, made from the models that read it."""
    keys, floors = keys_of(name), name == "limits"
    needed = section_of(name).get("required", ())
    rows = [["Key", "Type", "Default", *["Floor"] * floors, "What", "Example"]]
    rows.append(["---"] * len(rows[0]))
    for key, known in keys.items():
        default, what = default_of(known, needed=key in needed)
        floor = [str(limit.floor) if isinstance(limit := getattr(Limits(), key), Limit) else ""] if floors else []
        rows.append([f"`{key}`", type_of(known), default, *floor, what, f"`{toml(known['examples'][0])}`"])
    safe = ([cell.replace("|", "\\|") for cell in cells] for cells in rows)
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in safe)


def section_of(name: str) -> dict[str, Any]:
    outer, _, inner = name.partition(".")
    found = SCHEMA["properties"][outer]
    if inner:
        found = found["additionalProperties"] if inner == "NAME" else found["properties"][inner]
    if name == "attributes":
        found = found["additionalProperties"]["anyOf"][1]
    return dict(found.get("items", found))


def keys_of(name: str) -> dict[str, Any]:
    """The keys of a section; of a joined source, those that it has besides the keys of the first."""
    keys = dict(section_of(name)["properties"])
    return {key: keys[key] for key in ("join", "key")} if name == "source.NAME" else keys


def type_of(known: dict[str, Any]) -> str:
    if "enum" in known:
        return ", ".join(f"`{word}`" for word in known["enum"])
    kinds = {part.get("type") for part in known.get("anyOf", [known])} - {None}
    if kinds == {"array", "object"}:
        return "list of texts, or table"
    if "object" in kinds:
        return {1: "table"}.get(len(kinds), "list of texts or table" if "array" in kinds else "number, share or table")
    if kinds == {"integer", "string"}:
        return "text" if known["anyOf"][0].get("maximum") == 0 else "number or share"
    if "array" in kinds:
        return "list of texts"
    if known.get("pattern") in {REFERENCE, FORMER_REFERENCE, SIGNING_KEY}:
        return "reference"
    if kinds & {"integer", "boolean"}:
        return {"integer": "whole number", "boolean": "true or false"}[kinds.pop()]
    return "text or reference" if "env:NAME" in known["description"] else "text"


def default_of(known: dict[str, Any], *, needed: bool) -> tuple[str, str]:
    """What holds where a key is missing, and the rest of the description, with links."""
    said = re.search(r" (?:Default: (?P<default>.+)|(?P<needed>Needed [^.]+))\.$", known["description"])
    what = known["description"][: said.start()] if said else known["description"].removesuffix(".")
    what = re.sub(r"\(([a-z]+\.[a-z-]+)\)", r"([\1](errors/\1.md))", what.removesuffix("."))
    what = re.sub(r"\(decision (\d+)\)", lambda found: f"([decision {found[1]}](decisions/{decision(found[1])}))", what)
    if said:
        return said["default"] or said["needed"][0].lower() + said["needed"][1:], what
    if "default" in known:
        return f"`{toml(known['default'])}`", what
    return "needed" if needed else "none", what


def decision(number: str) -> str:
    (found,) = (ROOT / "docs/decisions").glob(f"{int(number):04}-*.md")
    return found.name


def between(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- keys of {name}: [^\n]*-->\n)(.*?)(<!-- end of keys of {name} -->)", re.DOTALL)


def write() -> None:
    """Write the tables into the page anew."""
    text = TEXT
    for name in TABLES:
        found = between(name).search(text)
        assert found, name
        text = f"{text[: found.end(1)]}\n{table(name)}\n\n{text[found.start(3) :]}"
    PAGE.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_the_table_of_a_section_is_made_from_the_models(name: str) -> None:
    found = between(name).search(section(heading(name)))
    assert found, f"docs/configuration.md has no place for the keys of {name}"
    assert found[2].strip() == table(name), "run: python tests/docs/test_configuration.py"


def test_no_section_is_made_up() -> None:
    named = set(re.findall(r"^## \[+([a-z]+)\]+$", TEXT, re.MULTILINE))
    assert named == set(SECTIONS)


def test_every_helper_has_a_row_with_its_call() -> None:
    rows = set(re.findall(r"^\| `([a-z0-9_]+)` \| `\1\(", TEXT, re.MULTILINE))
    assert rows == set(HELPERS)


def test_every_allowed_function_is_listed_and_no_other() -> None:
    found = re.search(r"^### Functions$(.*?)(?=^## )", TEXT, re.MULTILINE | re.DOTALL)
    assert found
    listed = {
        name
        for line in re.findall(r"^- \*\*.*$", found.group(1), re.MULTILINE)
        for name in re.findall(r"`(\w+)`", line)
    }
    assert listed == set(PLAIN_FUNCTIONS)


def test_every_word_of_the_policy_is_explained() -> None:
    text = section("## [policy]")
    assert all(f"`{word.value}`" in text for word in (*Authority, *Leavers))


def test_the_defaults_and_floors_of_the_limits_are_those_of_the_code() -> None:
    standard, text = Limits(), section("## [limits]")
    limits = {name: limit for name in keys_of("limits") if isinstance(limit := getattr(standard, name), Limit)}
    assert keys_of("limits").keys() - limits.keys() == {"window", "leavers_window"}
    assert (standard.window, standard.leavers_window) == (timedelta(days=1), timedelta(days=7))
    assert '| `window` | text | `"1d"` |' in text
    for name, limit in limits.items():
        assert re.search(rf'^\| `{name}` \| [^|]+ \| `"{limit}"` \| {limit.floor} \|', text, re.MULTILINE), name


def test_every_region_is_listed() -> None:
    text = section("## [target]")
    assert all(region in text for region in CODED["genesys"].regions)


def example(page: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```toml\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    whole = [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks if "[source]" in block]
    assert len(whole) == 1
    return whole[0]


def test_the_configuration_in_the_readme_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET", "HR_DATABASE_URL"):
        monkeypatch.setenv(name, "sqlite:///hr.db")
    file = tmp_path / "scimsync.toml"
    file.write_text(example("README.md"), encoding="utf-8")
    settings = load(file)
    assert settings.target.api_url == "https://api.mypurecloud.com"
    assert settings.policy.by_path["genesys:routingSkills"].authority is Authority.MERGE
    assert len(settings.policy.match) == 3


if __name__ == "__main__":
    write()
