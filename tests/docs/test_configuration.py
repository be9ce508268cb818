"""docs/configuration.md against the configuration and the mapping language; the README's example is loaded."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from scimsync.config import KEYS, load
from scimsync.model.policy import Authority, Leavers, Limit, Limits
from scimsync.scim.dialect import DIALECTS
from scimsync.workbench.expressions import HELPERS, PLAIN_FUNCTIONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^##? |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"docs/configuration.md has no {heading}"
    return found.group(1)


def heading(name: str) -> str:
    return "## [[webhook]]" if name == "webhook" else f"## [{name}]"


@pytest.mark.parametrize("name", sorted(KEYS))
def test_every_section_has_every_key_in_its_table(name: str) -> None:
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", section(heading(name)), re.MULTILINE))
    members = {"value", "authority"} if name == "attributes" else set(KEYS[name])
    assert members <= rows
    if name != "attributes":
        assert rows <= members


def test_no_section_is_made_up() -> None:
    named = set(re.findall(r"^## \[+([a-z]+)\]+$", TEXT, re.MULTILINE))
    assert named == set(KEYS)


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
    limits = {name: limit for name in KEYS["limits"] if isinstance(limit := getattr(standard, name), Limit)}
    assert KEYS["limits"].keys() - limits.keys() == {"window"}
    assert standard.window == timedelta(days=1)
    assert '| `window` | text | `"1d"` |' in text
    for name, limit in limits.items():
        assert re.search(rf'^\| `{name}` \| [^|]+ \| `"{limit}"` \| {limit.floor} \|', text, re.MULTILINE), name


def test_every_region_is_listed() -> None:
    text = section("## [target]")
    assert all(region in text for region in DIALECTS["genesys"].regions)


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
