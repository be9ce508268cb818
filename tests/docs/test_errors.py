"""docs/errors: a page for each code that the program can print, and no page for one that it cannot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scimsync.core.limits import demands, refusals
from scimsync.model.outcomes import Status
from scimsync.model.plans import Tally
from scimsync.model.policy import Limit, Limits

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs/errors"
FAMILIES = (
    "mapping schema attribute record correlation account source target reference leaver limits plan write conflict run operation role division "
    "skill language location team platform group member policy login rule rename undo state schedule"
).split()
INDEX = (PAGES / "README.md").read_text(encoding="utf-8")


def codes() -> set[str]:
    """Every code that stands as a text in the source, and those of the limits, which are put together."""
    found: set[str] = set()
    families = re.compile(rf'"((?:{"|".join(FAMILIES)})\.[a-z]+(?:[-_][a-z]+)*)"')
    said = re.compile(r'\bcode="([a-z]+\.[a-z-]+)"')
    for file in (ROOT / "src/scimsync").rglob("*.py"):
        if "simulator" not in file.parts:
            text = file.read_text(encoding="utf-8")
            found |= set(families.findall(text)) | set(said.findall(text))
    none = Limit(count=0)
    passed = Tally(actions={"disable": 1, "create": 1, "update": 1, "enable": 1, "delete": 1})
    given = Limits(disable=none, create=none, update=none, enable=none, delete=none)
    return found | {f.code for f in refusals(demands(passed, given))}


CODES = sorted(codes())


def test_codes_are_found_at_all() -> None:
    assert {"record.bad-phone", "source.absence", "limits.disable", "write.races", "plan.age"} <= set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_page_that_says_what_why_and_what_to_do(code: str) -> None:
    text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {code}\n")
    for part in ("**What it means.**", "**Why.**", "**What to do.**"):
        assert part in text
    assert f"[{code}]({code}.md)" in INDEX


def test_no_page_explains_a_code_that_does_not_exist() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} - {"README"} == set(CODES)


def test_every_status_of_a_change_stands_in_the_index() -> None:
    rows = set(re.findall(r"^\| `([a-z]+)` \|", INDEX, re.MULTILINE))
    assert rows >= {status.value for status in Status}
