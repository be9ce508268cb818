"""Edits by other hands, before and while a plan is applied: what nobody planned is never lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.runs import ENTERPRISE, SKILLS, House, actions, house, outcome, paths, status

from scimsync.model.outcomes import Status

#: nobody maps it, so it is nobody's business
WORK_MAIL = 'emails[type eq "work"].value'
CONFLICTS = ["400_invalid_vers", "409_scim", "409_general_conflict", "412"]


def work_mail(account: dict[str, Any]) -> str | None:
    return next((mail["value"] for mail in account.get("emails", []) if mail["type"] == "work"), None)


@contextmanager
def planned(tmp_path: Path, authority: str, **options: object) -> Iterator[House]:
    """A house where HR gave one person a new title."""
    with house(tmp_path, **options) as home:  # type: ignore[arg-type]
        home.configure(authority=authority)
        home.settle()
        home.set(home.active(1)[0], job_title="From HR")
        yield home


@pytest.mark.parametrize("conflict", CONFLICTS)
def test_under_ask_an_edit_made_after_the_plan_is_held_and_stays(tmp_path: Path, conflict: str) -> None:
    with planned(tmp_path, "ask", version_conflict=conflict) as home:
        who = home.active(1)[0]
        made = home.plan()
        home.edit(who, "title", "By hand")
        report = home.apply(made.id)
        assert outcome(report, who).code == "conflict.open"
        assert status(report, who) is Status.HELD
        assert home.account(who)["title"] == "By hand"
        again = home.plan()
        assert again.changes == ()
        assert again.tally.conflicts == 1


@pytest.mark.parametrize("conflict", CONFLICTS)
def test_under_local_wins_an_edit_made_after_the_plan_is_overwritten_and_reported(
    tmp_path: Path, conflict: str
) -> None:
    with planned(tmp_path, "local_wins", version_conflict=conflict) as home:
        who = home.active(1)[0]
        made = home.plan()
        home.edit(who, "title", "By hand")
        report = home.apply(made.id)
        assert report.clean
        assert outcome(report, who).overwritten == ("title",)
        assert outcome(report, who).races == 1
        assert home.account(who)["title"] == "From HR"
        home.quiet()


def test_under_cloud_wins_an_edit_made_after_the_plan_is_kept(tmp_path: Path) -> None:
    with planned(tmp_path, "cloud_wins") as home:
        who = home.active(1)[0]
        made = home.plan()
        home.edit(who, "title", "By hand")
        report = home.apply(made.id)
        assert report.clean
        assert home.account(who)["title"] == "By hand"
        home.quiet()


@pytest.mark.parametrize("authority", ["ask", "local_wins", "cloud_wins", "merge"])
def test_an_edit_of_an_attribute_that_was_not_planned_survives_under_every_authority(
    tmp_path: Path, authority: str
) -> None:
    with planned(tmp_path, authority) as home:
        who = home.active(1)[0]
        made = home.plan()
        home.edit(who, WORK_MAIL, "k17@elsewhere.example")  # not mapped
        home.edit(who, f"{ENTERPRISE}:department", "By hand")  # mapped, and not planned
        home.edit(who, SKILLS, [{"name": "Warranty", "proficiency": 5.0}], op="add")
        report = home.apply(made.id)
        assert report.clean
        assert outcome(report, who).races == 1
        account = home.account(who)
        assert account["title"] == "From HR"
        assert work_mail(account) == "k17@elsewhere.example"
        assert account[ENTERPRISE]["department"] == "By hand"
        assert "Warranty" in home.skills(who)


def test_somebody_who_makes_our_change_by_hand_saves_us_the_write(tmp_path: Path) -> None:
    with planned(tmp_path, "ask") as home:
        who = home.active(1)[0]
        made = home.plan()
        home.edit(who, "title", "From HR")
        report = home.apply(made.id)
        assert status(report, who) is Status.ALREADY
        assert home.effects() == {}
        assert report.clean
        home.quiet()


def test_an_edit_held_under_ask_does_not_hold_the_rest_of_that_person(tmp_path: Path) -> None:
    with planned(tmp_path, "ask") as home:
        who = home.active(1)[0]
        home.set(who, department="Field Service")
        made = home.plan()
        home.edit(who, "title", "By hand")
        report = home.apply(made.id)
        assert outcome(report, who).code == "conflict.open"
        assert home.account(who)["title"] == "By hand"
        assert home.account(who)[ENTERPRISE]["department"] == "Field Service"
        assert home.plan().changes == ()


def test_a_skill_that_a_supervisor_adds_after_the_plan_stays_beside_ours(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        who = next(p for p in home.active(40) if not p.skills)
        home.set(who, skill_list="Billing:3")
        made = home.plan()
        home.edit(who, SKILLS, [{"name": "Warranty", "proficiency": 4.0}], op="add")
        report = home.apply(made.id)
        assert report.clean
        assert home.skills(who) == {"Billing", "Warranty"}
        home.quiet()


def test_an_account_deleted_after_the_plan_is_held_and_the_others_are_done(tmp_path: Path) -> None:
    with planned(tmp_path, "local_wins") as home:
        gone, other = home.active(2)
        home.set(other, job_title="From HR")
        made = home.plan()
        home.delete(gone)
        report = home.apply(made.id)
        assert outcome(report, gone).code == "account.gone"
        assert status(report, other) is Status.DONE


def test_an_edit_before_the_plan_shows_in_the_plan_and_authority_decides(tmp_path: Path) -> None:
    for authority, written in (("local_wins", True), ("cloud_wins", False), ("merge", False), ("ask", False)):
        with house(tmp_path / authority) as home:
            home.configure(authority=authority)
            home.settle()
            who = home.active(1)[0]
            home.edit(who, "title", "By hand")
            made, _ = home.sync()
            assert ("title" in paths(made, who)) is written
            assert (home.account(who)["title"] == "By hand") is not written
            assert made.tally.overwritten + made.tally.kept + made.tally.conflicts == 1


def test_endless_conflicts_are_held_after_three_rounds_and_others_go_on(tmp_path: Path) -> None:
    with planned(tmp_path, "local_wins") as home:
        who, other = home.active(2)
        home.set(other, job_title="From HR")
        made = home.plan()
        account = home.account(who)["id"]
        for round_ in range(12):
            fault = {
                "on": "patch", "user": account, "kind": "foreign_edit", "path": WORK_MAIL,
                "value": f"k{round_}@elsewhere.example", "times": 1,
            }  # fmt: skip
            home.call("faults", [fault], "PATCH")
        report = home.apply(made.id)
        assert outcome(report, who).code == "write.races"
        assert status(report, who) is Status.HELD
        assert outcome(report, who).races == 4
        assert status(report, other) is Status.DONE
        assert home.effects() == {home.account(other)["id"]: 1}
        home.fault()
        home.sync()
        home.quiet()


def test_two_hundred_edits_during_an_apply_of_a_thousand_changes_lose_nothing(tmp_path: Path) -> None:
    """Must show 4. Edits strike people at random while we write: mostly what we did not plan, some what we did."""
    with house(tmp_path, users=1100) as home:
        home.settle()
        movers = home.active(1000, start=0)
        home.hr("UPDATE employee SET job_title = 'New ' || job_title WHERE status = 'active'")
        made = home.plan()
        assert len(made.changes) >= 1000
        draw, foreign = random.Random(4), dict[str, str]()
        applied = threading.Event()

        def disturb() -> None:
            while home.counted("effective_writes") < 10 and not applied.is_set():
                time.sleep(0.001)
            for number, who in enumerate(draw.sample(movers, 200)):
                if number % 5 == 4:
                    home.edit(who, "title", f"Foreign {number}")
                else:
                    home.edit(who, WORK_MAIL, f"k{number}@elsewhere.example")
                    foreign[who.email] = f"k{number}@elsewhere.example"

        other = threading.Thread(target=disturb)
        other.start()
        report = home.apply(made.id)
        applied.set()
        other.join()
        assert report.clean, report.statuses
        lost = [login for login, value in foreign.items() if work_mail(home.account(login)) != value]
        assert lost == []
        assert sum(o.races for parts in report.outcomes.values() for o in parts) > 0, "no edit came in between"
        assert len(foreign) == 160
        assert len(home.history("edit")) == 200
        # the history agrees: nothing of ours names what others own, and each account saw one write of ours
        for entry in home.history():
            assert "emails" not in str(entry["operations"])
        assert set(home.effects().values()) <= {1, 2}  # 2: our title, edited before or after, set again by rule
        home.sync()  # puts back the titles that were edited after our write
        home.quiet()
        assert home.account(movers[0])["title"] == f"New {movers[0].title}"
        assert set(actions(made).values()) == {"update"}
