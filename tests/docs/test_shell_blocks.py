"""Every shell block of the pages is held by something: it is played, or its commands are known, or it says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").rglob("*.md"))
#: lines that begin so are held elsewhere, by whom
HELD = {
    "scimsync ": "tests/docs/test_commands.py: the command and its options exist; where a page is played, its test",
    "make ": "tests/docs/test_commands.py: the target exists",
    ".venv/bin/scimsync ": "as scimsync",
    "/opt/scimsync/bin/": "tests/acceptance/test_installed.py: installed so, into a folder of its own",
    "pip install": "tests/acceptance/test_installed.py, tools/installed",
    "uv tool install": "tools/installed with UV=1",
    "python3 -m venv": "tests/acceptance/test_installed.py",
    "sha256sum": "tests/acceptance/test_release.py",
    "openssl": "tests/acceptance/test_release.py",
    "chmod": "of the system",
    "cd ": "of the shell",
    "export ": "of the shell; what it names stands in the configuration of the page",
    "#": "a remark",
    "git checkout": "tests/acceptance/test_release.py: a tag is built again",
    "git clone": "REPOSITORY stands for an address that this copy does not know",
    "cosign": "was never run, and the page says so",
}
#: page -> how other lines of it begin, and what holds them
ELSEWHERE = {
    "docs/proof.md": ("", "is for a reader to type; the same is held by the tests that each section names"),
    "docs/console.md": ("curl -H", "tests/integration/test_console.py"),
    "docs/simulator.md": ("curl -X POST http://127.0.0.1:8080/_simulator/", "tests/integration/test_simulator.py"),
}


def lines() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"^ *```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            whole = re.sub(r"\\\n\s*", "", block)
            whole = re.sub(r"<<'?(\w+)'?.*?\n\1\n", "\n", whole, flags=re.DOTALL)
            found += [(page.relative_to(ROOT).as_posix(), line.strip()) for line in whole.splitlines() if line.strip()]
    return found


def test_every_line_of_a_shell_block_is_held_by_something() -> None:
    assert len(lines()) > 150
    loose = [
        f"{page}: {line}" for page, line in lines() if not line.startswith((*HELD, *[ELSEWHERE.get(page, ("-",))[0]]))
    ]
    assert loose == []


@pytest.mark.parametrize(
    "path",
    sorted(
        {
            path
            for why in [*HELD.values(), *(why for _, why in ELSEWHERE.values())]
            for path in re.findall(r"tests/[\w/]+\.py", why)
        }
    ),
)
def test_what_holds_them_is_there(path: str) -> None:
    assert (ROOT / path).is_file()
