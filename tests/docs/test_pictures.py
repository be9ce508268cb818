"""Each page of the console has a picture in the documents, and none is there of a page that is gone."""

from __future__ import annotations

import re
from pathlib import Path

from tests.pictures import PICTURES

from scimsync.console.app import PAGES

DOCS = Path(__file__).parents[2] / "docs"
#: what is read, and is no page
NO_PAGES = {"/audit/export", "/works/{work}/events", "/login/oidc", "/login/oidc/back"}
#: bytes of one picture, and of all of them
MOST, ALL = 120_000, 1_300_000


def test_each_page_that_is_read_has_a_picture_and_each_picture_a_page() -> None:
    pages = {page.path for page in PAGES if page.method == "GET" and not page.path.startswith("/api/")}
    assert pages - NO_PAGES == {picture.page for picture in PICTURES.values()}, (
        "tests/pictures.py; tools/pictures PYTHON"
    )


def test_the_pictures_are_there_small_and_shown() -> None:
    taken = {file.stem: file for file in (DOCS / "pictures").glob("console-*")}
    assert set(taken) == {f"console-{name}" for name in PICTURES}, "tools/pictures PYTHON takes them"
    shown = (DOCS / "pictures/README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\((console-[\w-]+)\.webp\)", shown)) == set(taken)
    sizes = [file.stat().st_size for file in taken.values()]
    assert max(sizes) <= MOST
    assert sum(sizes) <= ALL
    for file in taken.values():
        head = file.read_bytes()[:12]
        assert (head[:4], head[8:]) == (b"RIFF", b"WEBP"), file
