"""Leave something out of a stored plan: a new sealed plan, with whatever waits for it, and who did so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, codes, house

from scimsync import bootstrap
from scimsync.errors import ConfigError, PlanRefused, PlanStale
from scimsync.model.decisions import Actor
from scimsync.model.plans import Plan
from scimsync.services import approving, trimming
from scimsync.services.trimming import Chosen

ADA, BEN = Actor("ada@example.com", "oidc"), Actor("ben@example.com", "oidc")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=20) as found:
        found.sync()
        yield found


def leave_out(home: House, plan: str = "", who: Actor = ADA, **chosen: list[str]) -> Plan:
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        return trimming.leave_out(settings, store, plan, Chosen(**chosen), who, "looked at again tomorrow")


def test_one_person_is_left_out_and_the_others_are_written(home: House) -> None:
    first, second = home.active(2)
    for who in (first, second):
        home.set(who, job_title="Lead")
    before = home.plan()
    said = home.command("plan", "leave-out", "--user", first.employee_id, "--reason", "she asked for it")
    assert said.code == 0, said.err
    with bootstrap.open_store(home.settings()) as store:
        (made, *_) = store.runs()
    assert made.id != before.id
    report = home.apply(made.id)
    assert second.employee_id in report.outcomes
    assert first.employee_id not in report.outcomes
    assert home.account(first)["title"] != "Lead"
    assert home.account(second)["title"] == "Lead"
    home.sync()
    assert home.account(first)["title"] == "Lead"


def test_the_new_plan_says_who_left_what_out_and_of_which_plan(home: House) -> None:
    (who,) = home.active(1)
    home.set(who, job_title="Lead")
    before = home.plan()
    made = leave_out(home, users=[who.employee_id])
    assert (made.trimmed, made.changes, made.expires) == (before.id, (), before.expires)
    assert [Actor.read(text) for text in made.authors] == [bootstrap.person(), ADA]
    (finding,) = [one for one in made.findings if one.code == "plan.left-out"]
    assert ADA.name in finding.detail
    assert "looked at again tomorrow" in finding.detail
    assert made.tally.held == 1
    with bootstrap.open_store(home.settings()) as store:
        kinds = [entry.kind for entry in store.entries(run=made.id)]
    assert kinds == ["approval"]
    assert home.command("apply", made.id, "--yes").code == 11  # somebody waits


def test_a_leaver_who_is_left_out_is_said_to_keep_access(home: House) -> None:
    stays, goes = home.active(2)
    home.dismiss(stays, goes)
    home.plan()
    made = leave_out(home, actions=["disable"], users=[stays.employee_id])
    assert "leaver.kept" in codes(made)
    home.apply(made.id)
    assert home.account(stays)["active"]
    assert not home.account(goes)["active"]


def test_one_attribute_is_left_out_of_everybody(home: House) -> None:
    first, second = home.active(2)
    home.set(first, job_title="Lead", department="Moved")
    home.set(second, job_title="Lead")
    home.plan()
    made = leave_out(home, attributes=["title"])
    assert [change.key for change in made.changes] == [first.employee_id]
    home.apply(made.id)
    assert home.account(first)["title"] != "Lead"
    _, report = home.sync()
    assert home.account(first)["title"] == "Lead"
    assert report.clean


def test_a_department_is_left_out(home: House) -> None:
    first, second = home.active(2)
    home.set(first, department="Sales", job_title="Lead")
    home.set(second, department="Support", job_title="Lead")
    home.plan()
    made = leave_out(home, departments=["sales"])
    assert [change.key for change in made.changes] == [second.employee_id]
    with pytest.raises(ConfigError, match="changes nobody in Nowhere"):
        leave_out(home, departments=["Nowhere"])


def test_who_waits_for_a_new_person_who_is_left_out_is_written_without_that(home: House) -> None:
    boss, report = home.newcomer(1), home.newcomer(2)
    home.hire(boss, report)
    home.hr("UPDATE employee SET manager_id = ? WHERE employee_id = ?", boss.employee_id, report.employee_id)
    home.plan()
    made = leave_out(home, users=[boss.employee_id])
    (change,) = [one for one in made.changes if one.key == report.employee_id]
    assert not change.awaiting
    home.apply(made.id)
    assert home.manager(report) is None
    home.sync()
    assert home.manager(report) is not None


def test_a_login_that_is_not_given_up_is_not_taken(home: House) -> None:
    giver, taker = home.active(2)
    home.set(giver, email="other.address@example.com")
    home.set(taker, email=giver.email)
    planned = home.plan()
    assert len(planned.changes) == 2
    made = leave_out(home, users=[giver.employee_id])
    for change in made.changes:
        assert all(delta.path != "userName" for delta in change.deltas)
    home.apply(made.id)
    assert home.account(giver)["userName"] == giver.email
    assert home.account(taker)["userName"] == taker.email


def test_a_new_account_is_not_made_without_what_it_needs(home: House) -> None:
    home.hire(home.newcomer(1))
    home.plan()
    for path in ("userName", "displayName", "active"):
        with pytest.raises(ConfigError, match="leave out the person"):
            leave_out(home, attributes=[path])


def test_what_is_refused_for_its_size_may_be_applied_once_it_is_smaller(home: House) -> None:
    home.configure(limits={"disable": 1, "update": "100%", "create": "100%"})
    stays, goes = home.active(2)
    home.dismiss(stays, goes)
    refused = home.plan()
    assert refused.refusals
    made = leave_out(home, users=[stays.employee_id])
    assert not made.refusals
    home.apply(made.id)
    assert not home.account(goes)["active"]
    with pytest.raises((PlanStale, PlanRefused)):
        home.apply(refused.id)


def test_nothing_is_left_out_of_a_plan_that_was_applied_or_that_the_world_overtook(home: House) -> None:
    (who,) = home.active(1)
    home.set(who, job_title="Lead")
    made = home.plan()
    home.apply(made.id)
    with pytest.raises(PlanStale, match="was begun"):
        leave_out(home, made.id, users=[who.employee_id])
    home.set(who, job_title="Chief")
    old = home.plan()
    home.sync()
    with pytest.raises(PlanStale, match="another run was applied"):
        leave_out(home, old.id, users=[who.employee_id])


def test_what_names_nothing_of_the_plan_is_told(home: House) -> None:
    (who,) = home.active(1)
    home.set(who, job_title="Lead")
    home.plan()
    for chosen, words in (
        ({"users": ["nobody"]}, "does nothing about this person"),
        ({"actions": ["destroy"]}, "there is no such action"),
        ({"actions": ["disable"]}, "nothing of that kind"),
        ({}, "say what"),
    ):
        with pytest.raises(ConfigError, match=words):
            leave_out(home, **chosen)
    assert home.command("plan", "leave-out", "--user", who.employee_id).code == 2


def test_an_approval_of_the_first_plan_is_none_of_the_second_and_who_left_something_out_does_not_approve(
    home: House,
) -> None:
    home.configure(more='[[approval]]\nname = "all"\nevery = true\n')
    first, second = home.active(2)
    for who in (first, second):
        home.set(who, job_title="Lead")
    before, settings = home.plan(), home.settings()
    with bootstrap.open_store(settings) as store:
        approving.approve(settings, store, before.id, BEN, "good")
        made = trimming.leave_out(settings, store, before.id, Chosen(users=[first.employee_id]), ADA, "not her")
        assert approving.review(settings, store, made.id).standing.missing == 1
        with pytest.raises(PlanRefused, match="somebody else"):
            approving.approve(settings, store, made.id, ADA, "good")
        approving.approve(settings, store, made.id, BEN, "good")
    home.apply(made.id)
    assert home.account(second)["title"] == "Lead"
    assert json.loads(home.command("approvals", made.id, "--json").out)[0]["missing"] == 0
