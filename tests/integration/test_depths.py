"""How deep a plan looks at the directory: whole, by version, or not at all, against the simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.runs import House, actions, codes, house, outcome

from scimsync.workbench.mirror import MIRROR

PEOPLE = 60


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=PEOPLE) as found:
        found.settle()
        found.plan()
        yield found


def look(home: House, depth: str, **more: str) -> None:
    """Have plans look so deep."""
    keys = "".join(f'{name} = "{value}"\n' for name, value in {"depth": depth, **more}.items())
    home.configure(target=f"{home.target}{keys}")


def requests(home: House) -> int:
    return home.stats()["requests"]


def test_where_nothing_changed_source_only_sends_no_request_at_all(home: House) -> None:
    look(home, "source")
    home.sync()
    home.reset()
    made, report = home.sync()
    assert actions(made) == {}
    assert report.clean
    assert requests(home) == 0
    assert "target.not-listed" in codes(made)


def test_source_only_writes_what_hr_changed_and_nothing_else(home: House) -> None:
    mover, leaver = home.active(2)
    new = home.newcomer(PEOPLE + 7)
    look(home, "source")
    home.set(mover, job_title="Team Lead")
    home.dismiss(leaver)
    home.reset()
    made, report = home.sync()
    assert actions(made) == {mover.employee_id: "update", leaver.employee_id: "disable"}
    assert report.clean
    stats = home.stats()
    assert (stats["list"], stats["patch"]) == (0, 2)
    home.hire(new)
    made, report = home.sync()
    assert actions(made) == {new.employee_id: "create"}
    assert report.clean
    assert home.account(mover)["title"] == "Team Lead"
    assert not home.accounts(leaver.email)[0]["active"]
    assert home.account(new)["active"]
    home.reset()
    again, _ = home.sync()
    assert actions(again) == {}
    assert requests(home) == 0, "what was written is known"


def test_who_was_edited_meanwhile_is_read_and_nobody_else(home: House) -> None:
    edited, plain = home.active(2)
    look(home, "source")
    home.edit(edited, "title", "By hand")
    home.set(edited, department="Moved")
    home.set(plain, department="Moved")
    home.reset()
    made, report = home.sync()
    assert set(actions(made)) == {edited.employee_id, plain.employee_id}
    assert home.stats()["get"] >= 1
    assert home.stats()["list"] == 0
    assert outcome(report, edited).races == 1
    account = home.account(edited)
    extension = next(value for name, value in account.items() if name.endswith("enterprise:2.0:User"))
    assert extension["department"] == "Moved"
    assert account["title"] == "By hand", "a second look only shrinks"
    look(home, "full")
    assert actions(home.plan()) == {edited.employee_id: "update"}


def test_an_edit_of_somebody_who_is_not_written_is_seen_by_the_next_full_look(home: House) -> None:
    edited = home.active(1)[0]
    look(home, "source")
    home.edit(edited, "title", "By hand")
    made, _ = home.sync()
    assert actions(made) == {}
    look(home, "full")
    assert actions(home.plan()) == {edited.employee_id: "update"}


def test_a_joiner_whose_login_somebody_else_has_by_now_makes_no_second_account(home: House) -> None:
    new, other = home.newcomer(PEOPLE + 9), home.active(1)[0]
    look(home, "source")
    home.edit(other, "userName", new.email)
    home.hire(new)
    made, report = home.sync()
    assert actions(made) == {new.employee_id: "create"}
    assert not report.clean
    assert len(home.accounts(new.email)) == 1


def test_the_first_plan_and_one_of_a_new_mapping_read_everybody_and_say_so(home: House) -> None:
    artifacts = home.settings().state.artifacts
    (artifacts / MIRROR).unlink()
    look(home, "source")
    home.reset()
    made = home.plan()
    assert home.stats()["list"] > 0
    assert "target.read-whole" in codes(made)
    assert "target.not-listed" not in codes(made)


@pytest.mark.parametrize(("key", "seen"), [("versions_every", "listed"), ("full_every", "whole")])
def test_a_deeper_look_comes_in_its_rhythm(home: House, key: str, seen: str) -> None:
    path = home.settings().state.artifacts / MIRROR
    look(home, "source", **{key: "36h"})
    assert "target.not-listed" in codes(home.plan())
    held = json.loads(path.read_bytes())
    for name in ("listed", "whole"):
        moment = held[name]
        held[name] = _earlier(moment, timedelta(hours=37)) if seen in {name, "listed"} else moment
    path.write_text(json.dumps(held))
    home.reset()
    assert "target.not-listed" not in codes(home.plan())
    assert home.stats()["list"] > 0
    assert "target.not-listed" in codes(home.plan())


def _earlier(moment: str, by: timedelta) -> str:
    return (datetime.fromisoformat(moment) - by).isoformat()


def test_people_who_are_asked_for_are_read_whatever_the_depth(home: House) -> None:
    mover = home.active(1)[0]
    home.edit(mover, "title", "By hand")
    said = home.command("plan", "--depth", "source", "--user", mover.employee_id)
    assert said.code == 2
    assert "leave one out" in said.err
    look(home, "source")
    assert actions(home.plan(mover.employee_id)) == {mover.employee_id: "update"}


def test_doctor_says_that_a_plan_need_not_list_everybody(home: House) -> None:
    look(home, "source")
    assert '[target] depth = "source"' in home.command("doctor").out
