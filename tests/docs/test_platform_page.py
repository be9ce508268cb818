"""docs/platform.md against the table of what the Platform API has beside SCIM."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scimsync.scim.platform import SERVED, UNSERVED

PAGE = Path(__file__).parents[2] / "docs/platform.md"


def served() -> str:
    lines = [
        "| Attribute | Read with | Written with | Permission to read | Permission to write |",
        "|---|---|---|---|---|",
    ]
    for one in SERVED:
        cells = (
            f"`platform:{one.name}`", f"`expand={one.expand}`", f"`{one.writes}`", ", ".join(f"`{p}`" for p in one.reading),
            ", ".join(f"`{p}`" for p in one.writing),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def unserved() -> str:
    lines = ["| What | In the Platform API | Permission | Names that the hint knows |", "|---|---|---|---|"]
    for one in UNSERVED:
        words = ", ".join(f"`{word}`" for word in one.words)
        lines.append(f"| {one.what} | {one.where} | {f'`{one.permission}`' if one.permission else '-'} | {words} |")
    return "\n".join(lines)


TABLES = {"served": served, "unserved": unserved}


def between(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: [^\n]*-->\n)(.*?)(<!-- end of {name} -->)", re.DOTALL)


def write() -> None:
    """Write the tables into the page anew."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in TABLES.items():
        found = between(name).search(text)
        assert found, name
        text = f"{text[: found.end(1)]}\n{table()}\n\n{text[found.start(3) :]}"
    PAGE.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_made_from_the_data(name: str) -> None:
    found = between(name).search(PAGE.read_text(encoding="utf-8"))
    assert found
    assert found[2].strip() == TABLES[name](), "run: python tests/docs/test_platform_page.py"


if __name__ == "__main__":
    write()
