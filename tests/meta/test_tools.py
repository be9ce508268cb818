"""What the tools of this repository judge."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tools_{name}", TOOLS / f"{name}.py")
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize(
    ("said", "is_fault"),
    [("MIT", False), ("LGPL-3.0-only", False), ("EPL-2.0 OR GPL-2.0-or-later", False), ("GPL-3.0-or-later", True),
     ("GNU Affero General Public License v3", True), ("GNU General Public License v2 (GPLv2)", True), ("", True)],
)  # fmt: skip
def test_a_licence_that_would_bind_whoever_uses_us_is_a_fault_and_so_is_one_that_nobody_knows(
    said: str, *, is_fault: bool
) -> None:
    assert tool("licences").verdict(said)[1] is is_fault


def test_no_library_that_is_installed_would_bind_whoever_uses_us() -> None:
    licences = tool("licences")
    assert {"duckdb", "psycopg", "typing-extensions"} <= set(licences.wanted())
    assert licences.main() == 0


def test_the_site_has_every_page_in_one_of_its_parts_and_no_link_leaves_it(tmp_path: Path) -> None:
    pages = tool("pages")
    pages.lay_out(tmp_path / "pages")
    shown = (tmp_path / "docs.yml").read_text()
    laid = {each.relative_to(tmp_path / "pages").as_posix() for each in (tmp_path / "pages").rglob("*.md")}
    assert [name for name in laid if f"- {name}" not in shown and not name.startswith("files/")] == []
    named = [name for names in pages.PARTS.values() for name in names]
    assert [name for name in named if f"{name}.md" not in laid] == []
    for name in laid:
        text = pages.FENCE.sub("", (tmp_path / "pages" / name).read_text(encoding="utf-8"))
        for _, link, _ in pages.LINK.findall(text):
            path = link.partition("#")[0]
            assert ":" in path or not path or (tmp_path / "pages" / name).parent.joinpath(path).resolve().exists(), (
                name,
                link,
            )
