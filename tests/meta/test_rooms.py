"""No file of the product is longer than 500 lines, but where its first lines say why."""

from __future__ import annotations

import re
from pathlib import Path

SRC = Path(__file__).parents[2] / "src/scimsync"
MOST = 500


def longer() -> set[str]:
    """The files that are longer and do not say why within their first 15 lines."""
    found = set()
    for file in SRC.rglob("*.py"):
        lines = file.read_text(encoding="utf-8").splitlines()
        if len(lines) > MOST and not re.search(r"^# above 500 lines: \w", "\n".join(lines[:15]), re.MULTILINE):
            found.add(file.relative_to(SRC).as_posix())
    return found


def test_a_file_is_no_longer_than_500_lines_or_says_why() -> None:
    assert longer() == set()


def test_every_file_says_what_it_is_for() -> None:
    files = [file for file in SRC.rglob("*.py") if not file.read_text(encoding="utf-8").startswith('"""')]
    assert not files
