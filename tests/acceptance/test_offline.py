"""Plans without the directory, by the installed command: from what the last whole reading showed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, house

TITLE = 'title                                = "job_title"'


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that was synchronised once."""
    with house(tmp_path_factory.mktemp("offline")) as found:
        found.settle()
        yield found


@pytest.fixture
def home(settled: House) -> House:
    settled.configure()
    settled.write_hr(settled.people)
    settled.reset()
    return settled


def unreachable(home: House) -> None:
    """No target, no credential."""
    text = home.file.read_text(encoding="utf-8")
    home.file.write_text(text.replace('"file:client_secret"', '"env:NO_SUCH_SECRET"'), encoding="utf-8")


def test_after_a_sync_nothing_is_to_be_done_offline_either(home: House) -> None:
    unreachable(home)
    said = home.command("plan", "--offline", "--detailed-exitcode")
    assert said.code == 0, said.out + said.err
    assert "plan.offline" in said.out
    assert sum(home.stats().values()) == 0


def test_a_changed_line_of_the_mapping_is_previewed_without_asking_anybody(home: House) -> None:
    assert TITLE in home.file.read_text()
    home.file.write_text(home.file.read_text().replace(TITLE, "title = \"job_title || '!'\""))
    unreachable(home)
    said = home.command("plan", "--offline", "--json", "--detailed-exitcode")
    assert said.code == 10, said.err
    assert sum(home.stats().values()) == 0
    told = json.loads(said.out)
    assert told["offline"]
    assert {d["path"] for c in told["changes"] for d in c["deltas"]} == {"title"}


def test_an_offline_plan_is_read_and_never_applied(home: House) -> None:
    home.set(home.active(1)[0], job_title="Moved")
    file = home.folder / "offline.ndjson"
    assert home.command("plan", "--offline", "--out", str(file)).code == 0
    run = home.runs()[0]
    assert run.state.value == "offline"
    assert "made offline" in home.command("runs", run.id).out
    for named in (run.id, str(file), ""):
        said = home.command("apply", "--yes", *([named] if named else []))
        assert said.code == 4
        assert "offline" in said.err
    assert home.writes() == 0
    home.sync()
    home.write_hr(home.people)
    home.sync()


def test_the_state_hears_nothing_of_it(home: House) -> None:
    home.set(home.active(1)[0], job_title="Moved")
    before = {path.name: path.read_bytes() for path in (home.folder / ".scimsync/artifacts").iterdir()}
    assert home.command("plan", "--offline").code == 0
    after = {path.name: path.read_bytes() for path in (home.folder / ".scimsync/artifacts").iterdir()}
    new = {name for name in after if before.get(name) != after[name]}
    assert {name.split("-")[0] for name in new} == {"plan"}


def test_without_a_reading_the_error_says_what_to_do(home: House, tmp_path: Path) -> None:
    text = home.file.read_text() + '\n[state]\nartifacts = "elsewhere"\nurl = "sqlite:///elsewhere.db"\n'
    home.file.write_text(text)
    said = home.command("plan", "--offline")
    assert said.code == 4
    assert "scimsync plan" in said.err


def test_a_path_that_was_never_read_is_left_alone_and_told(home: House) -> None:
    home.file.write_text(home.file.read_text().replace(TITLE, f"{TITLE}\n'emails[type eq \"work\"].value' = \"email\""))
    said = home.command("plan", "--offline", "--detailed-exitcode")
    assert said.code == 0, said.out + said.err
    assert "plan.offline-unread" in said.out
