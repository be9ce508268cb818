"""Every sentence that claims something about the world is told where it is true, and not where it is false."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runs import WIDE_LIMITS, House, house, outcome


@pytest.fixture
def home(tmp_path: Path) -> House:
    with house(tmp_path / "org", users=60) as found:
        found.settle()
        yield found


def findings(home: House, code: str) -> list[tuple[str, str, str]]:
    return [(f.subject, f.summary, f.detail) for f in home.plan().findings if f.code == code]


def test_a_refusal_that_was_set_aside_on_applying_is_not_told_as_one(home: House) -> None:
    home.configure(limits={**WIDE_LIMITS, "update": 0})
    home.set(home.active(1)[0], job_title="Team Lead")
    assert home.command("plan").code == 4
    run = home.runs()[0].id
    assert "Refused by limits.update" in home.command("runs", run).out
    assert home.command("apply", "--override", "limits.update", "--reason", "ticket 17", "--yes").code == 0
    said = home.command("runs", run, "--html", "run.html").out
    page = (home.folder / "run.html").read_text()
    for text in (said, page):
        assert "Refused" not in text
        assert "ticket 17" in text
    assert "set aside" in said


def test_a_refused_write_is_not_told_as_an_edit_that_was_overwritten(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, job_title="Team Lead")
    made = home.plan()
    home.edit(who, "title", "Chief of Everything")
    home.fault({"on": "patch", "status": 403, "skip": 1, "times": 0})
    report = home.apply(made.id)
    assert home.account(who)["title"] == "Chief of Everything"
    assert outcome(report, who).overwritten == ()
    assert "overwrote" not in home.command("runs", made.id).out


def test_an_edit_that_was_overwritten_is_told(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, job_title="Team Lead")
    made = home.plan()
    home.edit(who, "title", "Chief of Everything")
    assert outcome(home.apply(made.id), who).overwritten == ("title",)
    assert "overwrote a directory edit of title" in home.command("runs", made.id).out


def test_people_missing_from_a_proven_source_that_shrank_are_told_so(home: House) -> None:
    home.configure(limits={**WIDE_LIMITS, "source_rows_drop": 1})
    gone = home.active(3)
    home.dismiss(*gone)
    told = findings(home, "leaver.unproven")
    assert {subject for subject, _, _ in told} == {who.employee_id for who in gone}
    for _, summary, detail in told:
        assert "proves nothing" not in summary
        assert "cannot prove" not in summary
        assert detail == "source.rows-drop"


def test_a_manager_who_is_in_hr_without_account_is_not_told_as_unknown(home: House) -> None:
    boss, one, two = home.newcomer(1, active=False), *home.active(2)
    home.hire(boss)
    home.set(one, manager_id=boss.employee_id, job_title="Coach")
    home.set(two, manager_id="E99999", job_title="Coach")
    ((subject, summary, detail),) = findings(home, "reference.no-account")
    assert (subject, detail) == (one.employee_id, f"enterprise:manager names {boss.employee_id}")
    assert "inactive in the source" in summary
    ((subject, summary, detail),) = findings(home, "reference.unknown")
    assert (subject, detail) == (two.employee_id, "enterprise:manager names E99999")
    assert "neither the source nor a link knows" in summary


def test_a_manager_who_is_left_out_of_the_plan_is_told_as_that(home: House) -> None:
    boss, one = home.newcomer(1, email="no address"), home.active(1)[0]
    home.hire(boss)
    home.set(one, manager_id=boss.employee_id, job_title="Coach")
    told = home.plan().findings
    assert boss.employee_id in {f.subject for f in told if f.holds}
    (found,) = [f for f in told if f.code.startswith("reference.") and f.subject == one.employee_id]
    assert boss.employee_id in found.detail


def test_of_people_who_are_not_written_the_first_are_named(home: House) -> None:
    boss = home.newcomer(1, active=False)
    home.hire(boss)
    people = sorted(home.active(7), key=lambda who: who.employee_id)
    for who in people:
        home.set(who, manager_id=boss.employee_id)
    ((subject, _, detail),) = findings(home, "reference.no-account")
    assert subject == ""
    assert detail == f"enterprise:manager of {', '.join(w.employee_id for w in people[:5])} and 2 more"
