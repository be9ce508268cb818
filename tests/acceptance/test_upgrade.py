"""A state that the first version which could apply anything left behind is opened by this one, and goes on.

tests/data/first-state.tar.xz was made by commit 2ef6a6b (23 November 2026, version 0.1.0, revision 0001), playing
`plan`, `apply` and `plan` on the simulator's first 30 people of seed 7, of whom one got a new title. Nothing in it was
made by hand, and nothing is stripped from a newer state.
"""

from __future__ import annotations

import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.runs import House, house

from scimsync.adapters.store_sql import REVISIONS

STATE = Path(__file__).parents[1] / "data/first-state.tar.xz"
TITLE = "Upgrade Tester"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    """The directory as that run left it, at another port of this machine."""
    with house(tmp_path, users=30) as found:
        found.configure()
        with tarfile.open(STATE) as archive:
            archive.extractall(tmp_path, filter="tar")
        with closing(sqlite3.connect(tmp_path / ".scimsync/state.db")) as state, state:
            assert state.execute("SELECT version_num FROM scimsync_version").fetchall() == [("0001",)]
            state.execute("UPDATE run SET target = ?", (f"{found.simulator.api_url}/api/v2/scim/v2",))
        found.edit(found.active(1)[0], "title", TITLE)
        yield found


def test_a_state_of_the_first_version_is_opened_and_knows_everybody(home: House) -> None:
    said = home.command("plan", "--detailed-exitcode")
    assert said.code == 0, said.err
    assert "30 linked" in said.out
    with closing(sqlite3.connect(home.folder / ".scimsync/state.db")) as state:
        assert state.execute("SELECT version_num FROM scimsync_version").fetchall() == [(REVISIONS[-1],)]
    assert home.command("doctor").code == 0
    assert len(home.runs()) == 3


def test_it_goes_on_from_what_was_agreed_then(home: House) -> None:
    """The base of then still says who moved: an edit by hand stays where the directory wins, HR's move is written."""
    someone, other = home.active(2)
    home.configure(authority="cloud_wins")
    home.edit(other, "title", "Edited By Hand")
    home.set(someone, job_title="Moved By HR")
    said = home.command("sync")
    assert said.code in {0, 11}, said.err
    assert home.account(someone)["title"] == "Moved By HR"
    assert home.account(other)["title"] == "Edited By Hand"
    assert home.command("audit", "verify").code == 0


def test_the_run_of_then_is_shown(home: House) -> None:
    assert home.command("plan").code == 0
    first = min(run.id for run in home.runs())
    assert TITLE in home.command("runs", first).out
