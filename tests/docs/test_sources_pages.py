"""docs/sources: every configuration that the pages show is loaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scimsync.config import load

PAGES = [
    Path(__file__).parents[2] / f"docs/sources/{name}.md"
    for name in ("sheets", "places", "databases", "joined", "rest", "scim", "ldap")
]
EXAMPLES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_configurations_of_the_pages_are_whole(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"env:(\w+)", text):
        monkeypatch.setenv(name, "mysql://hr@127.0.0.1/people" if name.endswith("URL") else "x")
    file = tmp_path / "scimsync.toml"
    file.write_text(text, encoding="utf-8")
    assert load(file).source.key


def test_every_page_shows_one() -> None:
    assert len(EXAMPLES) >= len(PAGES)
