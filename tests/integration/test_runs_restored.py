"""State and artifacts of yesterday, put back together: what tells of it, and that nobody is hurt by it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.runs import House, actions, codes, house

BEHIND = "state.behind"


def back_up(home: House) -> Path:
    """A copy of state and artifacts."""
    copied = home.folder.parent / "backup"
    shutil.copytree(home.folder / ".scimsync", copied)
    return copied


def put_back(home: House, copied: Path) -> None:
    shutil.rmtree(home.folder / ".scimsync")
    shutil.copytree(copied, home.folder / ".scimsync")


def test_a_state_that_lacks_the_runs_since_a_backup_is_told_of_and_writes_nothing_again(tmp_path: Path) -> None:
    with house(tmp_path / "home", users=30) as home:
        home.settle()
        copied = back_up(home)
        movers = home.active(3)
        for who in movers:
            home.set(who, job_title="Lead")
        leaver = home.active(1, start=12)[0]
        home.set(leaver, status="left")
        home.hire(home.newcomer(0))
        home.sync()
        put_back(home, copied)
        home.reset()
        made = home.plan()
        assert actions(made) == {}
        (told,) = [finding for finding in made.findings if finding.code == BEHIND]
        assert told.detail == "4 people"
        home.apply(made.id)
        assert home.writes() == 0
        assert home.account(leaver)["active"] is False
        assert BEHIND not in codes(home.plan())  # it is agreed on from here on


def test_with_checkpoints_elsewhere_nothing_is_planned_on_it(tmp_path: Path) -> None:
    with house(tmp_path / "home", users=12) as home:
        home.configure(more=f'[audit]\ncheckpoints = "{tmp_path / "elsewhere"}"\n')
        home.settle()
        copied = back_up(home)
        home.set(home.active(1)[0], job_title="Lead")
        home.sync()
        put_back(home, copied)
        said = home.command("plan")
        assert said.code == 6
        assert "an older state was put back" in said.err


def test_two_people_whom_somebody_corrected_as_hr_did_are_no_sign_of_it(tmp_path: Path) -> None:
    with house(tmp_path / "home", users=12) as home:
        home.settle()
        for who in home.active(2):
            home.set(who, job_title="Lead")
            home.edit(who, "title", "Lead")
        assert BEHIND not in codes(home.plan())


def test_doctor_says_where_no_checkpoint_is_kept_elsewhere(tmp_path: Path) -> None:
    with house(tmp_path / "home", users=12) as home:
        home.settle()
        assert "[audit] checkpoints" in home.command("doctor").out
        home.configure(more=f'[audit]\ncheckpoints = "{tmp_path / "elsewhere"}"\n')
        assert "[audit] checkpoints" not in home.command("doctor").out
