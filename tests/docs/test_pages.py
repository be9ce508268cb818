"""All documents: links resolve; no committed file names this machine or a package registry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")

#: put together here, so that this file does not hold them
FORBIDDEN = ["/".join(("", "work", part)) for part in ("main", "shared")] + [
    "/".join(("", "root", "")),
    "pypi" + ".org",
    "python" + "hosted.org",
    "conda" + ".anaconda.org",
]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_between_documents_resolves(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name_of(page)}: {link} leads nowhere"
        assert not anchor or anchor in anchors(there), f"{name_of(page)}: {link} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_begins_with_one_title(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


def test_decisions_have_a_number_each_and_stand_in_the_index() -> None:
    folder = ROOT / "docs/decisions"
    found = sorted(page.name for page in folder.glob("[0-9]*.md"))
    assert len({name[:4] for name in found}) == len(found)  # numbers are handed out before pages are written
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"({name})" in index for name in found)


def committed() -> list[Path]:
    """The files that are, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


#: members of HiBob's answers, which begin like a folder of this machine
HIBOB = re.compile(rb'"/roo[t]/(?:id|email|displayName)\.value"')


@pytest.mark.parametrize("words", FORBIDDEN)
def test_no_committed_file_names_this_machine_or_a_registry(words: str) -> None:
    holders = [name_of(path) for path in committed() if words.encode() in HIBOB.sub(b"", path.read_bytes())]
    assert not holders


def test_every_test_that_a_page_names_is_there_and_its_choice_chooses_something() -> None:
    told = [line for page in PAGES for line in re.findall(r"(?:\$T|pytest)\b[^`\n|]*", page.read_text("utf-8"))]
    chosen = [(re.findall(r"tests/[\w./]+", line), re.search(r'-k "?([\w ]+)"?', line)) for line in told]
    assert sum(len(paths) for paths, _ in chosen) > 30
    for paths, words in chosen:
        for path in paths:
            assert (ROOT / path).exists(), path
        for word in words.group(1).split(" or ") if words else ():
            names = [name for path in paths for name in re.findall(r"def (test_\w+)", (ROOT / path).read_text("utf-8"))]
            assert any(word in name for name in names), (word, paths)
