"""Somebody joins who just left under another key: whole runs on the twins in memory."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.test_whole_runs import COLUMNS, MAPPING, Company

from scimsync.model.outcomes import LinkDecision
from scimsync.model.plans import Finding, Plan
from scimsync.model.policy import Renames

MOBILE, DESK = 'phoneNumbers[type eq "mobile"].value', 'phoneNumbers[type eq "work"].value'
MORE = {MOBILE: "mobile", DESK: "desk", "enterprise:dateHire": "hired", "enterprise:employeeNumber": "number"}


class Office(Company):
    def __init__(self, folder: Path, people: int = 30) -> None:
        super().__init__(folder, people)
        self.mapping = {**MAPPING, **MORE}
        self.columns = (*COLUMNS, *MORE.values())
        self.match = ("externalId", "userName")

    @staticmethod
    def person(n: int) -> dict[str, Any]:
        return {
            "id": f"E{n}",
            "email": f"p{n}@example.com",
            "name": f"Person Number{n}",
            "status": "active",
            "title": "Agent",
            "boss": None,
            "mobile": f"+4915100000{n:02d}",
            "desk": f"+4930100000{n:02d}",
            "hired": f"20{n % 20:02d}-0{1 + n % 9}-1{n % 10}",
            "number": f"N{n}",
        }

    def again(self, former: str, key: str, **more: Any) -> None:
        """The record of a person is closed, and another is opened under a new key."""
        self.rows[key] = {**self.rows.pop(former), "id": key, "email": f"{key}@example.com", "number": key, **more}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path)
    made.sync()
    return made


def told(plan: Plan) -> list[Finding]:
    return [finding for finding in plan.findings if finding.code == "rename.suspected"]


def actions(plan: Plan) -> dict[str, str]:
    return {change.key: change.action.value for change in plan.changes}


def test_a_person_with_a_new_key_keeps_access_and_gets_no_second_account(office: Office) -> None:
    account = office.account("E1")["id"]
    office.again("E1", "F1")
    plan = office.plan()
    assert actions(plan) == {}
    (finding,) = told(plan)
    assert (finding.subject, finding.holds) == ("F1", True)
    assert finding.detail == (
        f"E1 left, account {account}; the same: name, mobile phone, phone, date of hire; "
        "different: address, address before the @, externalId, enterprise:employeeNumber"
    )
    assert finding.hint.startswith("until a person says so, E1 keeps access and F1 gets no account; one person: ")
    assert f'scimsync link F1 {account} --from E1 --reason "..."' in finding.hint
    assert f'scimsync link F1 {account} --different --reason "..."' in finding.hint
    (kept,) = (f for f in plan.findings if f.code == "leaver.kept")
    assert (kept.subject, kept.detail) == ("E1", "rename.suspected")
    assert f"scimsync explain {told(plan)[0].subject}" in kept.hint, "the leaver's story says where to go on"
    assert (plan.tally.held, plan.tally.leavers_kept) == (1, 1)


def test_of_a_closed_record_and_a_new_one_neither_is_carried_out(office: Office) -> None:
    office.rows["F1"] = {**office.rows["E1"], "id": "F1", "email": "f1@example.com", "number": "F1"}
    office.rows["E1"]["status"] = "left"
    plan = office.sync()
    assert actions(plan) == {}
    assert [f.subject for f in told(plan)] == ["F1"]
    assert office.account("E1")["active"] is True
    assert [(f.subject, f.detail) for f in plan.findings if f.code == "leaver.kept"] == [("E1", "rename.suspected")]


def test_once_a_person_says_that_they_are_one_the_account_moves(office: Office) -> None:
    account = office.account("E1")["id"]
    office.again("E1", "F1", title="Lead")
    office.sync()
    office.store.decide_link(LinkDecision("F1", account, same=True, actor="me"))
    plan = office.sync()
    assert (actions(plan), told(plan)) == ({"F1": "update"}, [])
    assert (office.account("F1")["id"], office.account("F1")["title"]) == (account, "Lead")
    plan = office.plan()
    assert (actions(plan), plan.findings) == ({}, ())


def test_once_a_person_says_that_they_are_two_one_joins_and_one_leaves_and_nobody_asks_again(office: Office) -> None:
    account = office.account("E1")["id"]
    office.again("E1", "F1")
    office.sync()
    office.store.decide_link(LinkDecision("F1", account, same=False, actor="me"))
    plan = office.sync()
    assert (actions(plan), told(plan)) == ({"F1": "create", "E1": "disable"}, [])
    assert (actions(office.plan()), told(office.plan())) == ({}, [])


def test_whoever_comes_again_within_the_time_gets_no_second_account(office: Office) -> None:
    row = office.rows.pop("E1")
    assert actions(office.sync()) == {"E1": "disable"}
    office.clock.advance(29 * 86400)
    office.rows["F1"] = {**row, "id": "F1", "email": "f1@example.com", "number": "F1"}
    plan = office.plan()
    assert actions(plan) == {}
    assert [f.hint.partition(";")[0] for f in told(plan)] == ["until a person says so, F1 gets no account"]
    assert "leaver.kept" not in {f.code for f in plan.findings}
    office.clock.advance(2 * 86400)
    assert (actions(office.plan()), told(office.plan())) == ({"F1": "create"}, [])


@pytest.mark.parametrize("renames", [Renames.TELL, Renames.OFF])
def test_policy_may_only_tell_or_not_look(office: Office, renames: Renames) -> None:
    office.more["renames"] = renames
    office.again("E1", "F1")
    plan = office.plan()
    assert actions(plan) == {"F1": "create", "E1": "disable"}
    assert [(f.severity.value, f.holds) for f in told(plan)] == (
        [("warning", False)] if renames is Renames.TELL else []
    )
    assert all("this plan makes F1 a new account, and E1 loses access" in f.hint for f in told(plan))


OTHER = {"name": "Al Other", "mobile": "+491601", "desk": "+49301", "hired": "2026-11-01"}


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(("name",), id="a namesake"),
        pytest.param(("name", "desk"), id="a namesake at the same desk"),
        pytest.param(("mobile",), id="the phone of the company"),
        pytest.param(("desk", "title"), id="whoever gets the desk"),
        pytest.param(("hired",), id="hired on one day"),
        pytest.param((), id="nobody"),
    ],
)
def test_two_people_who_have_one_strong_mark_in_common_are_two(office: Office, same: tuple[str, ...]) -> None:
    office.again("E1", "F1", **{name: value for name, value in OTHER.items() if name not in same})
    plan = office.plan()
    assert (actions(plan), told(plan)) == ({"F1": "create", "E1": "disable"}, [])


@pytest.mark.parametrize(
    "same", [("name", "mobile"), ("name", "hired"), ("mobile", "hired"), ("name", "mobile", "hired")]
)
def test_two_strong_traits_are_enough(office: Office, same: tuple[str, ...]) -> None:
    office.again("E1", "F1", **{name: value for name, value in OTHER.items() if name not in same})
    assert ([f.subject for f in told(office.plan())], actions(office.plan())) == (["F1"], {})


def test_a_phone_that_others_have_is_no_mark(office: Office) -> None:
    for key in ("E1", "E2", "E3"):
        office.rows[key]["mobile"] = "+4930555"
    office.sync()
    office.again("E1", "F1", hired="2026-11-01")
    plan = office.plan()
    assert (actions(plan), told(plan)) == ({"F1": "create", "E1": "disable"}, [])


def test_a_name_and_a_day_that_are_common_alone_are_rare_together(office: Office) -> None:
    office.rows["E2"]["name"] = office.rows["E1"]["name"]
    office.rows["E3"]["hired"] = office.rows["E1"]["hired"]
    office.sync()
    office.again("E1", "F1", mobile="+491601")
    assert [f.subject for f in told(office.plan())] == ["F1"]
    office.rows["E2"]["hired"] = office.rows["E3"]["hired"]
    office.sync(only=("E2",))
    assert (told(office.plan()), actions(office.plan())) == ([], {"F1": "create", "E1": "disable"})


def test_a_person_with_several_new_keys_is_held_for_each(office: Office) -> None:
    office.rows["F2"] = {**office.rows["E1"], "id": "F2", "email": "f2@x.com", "number": "F2", "hired": "2026-11-02",
                         "name": "Someone Else", "desk": None}  # fmt: skip
    office.again("E1", "F1")
    plan = office.plan()
    assert actions(plan) == {"F2": "create"}  # the mobile is that of two new people, so it says nothing
    assert [f.subject for f in told(plan)] == ["F1"]


def test_who_is_held_changes_nobody_else(office: Office) -> None:
    office.rows["E5"]["boss"] = "E1"
    office.sync()
    boss = office.account("E5")
    office.again("E1", "F1")
    office.rows["E5"]["boss"] = "F1"
    office.rows["E6"]["title"] = "Lead"
    office.rows.pop("E7")
    plan = office.sync()
    assert actions(plan) == {"E6": "update", "E7": "disable"}
    assert office.account("E5") == boss


def test_one_person_who_is_asked_for_is_held_like_everybody(office: Office) -> None:
    office.again("E1", "F1")
    plan = office.plan(only=("F1",))
    assert (actions(plan), [f.subject for f in told(plan)]) == ({}, ["F1"])
    plan = office.plan(only=("E1",))
    assert actions(plan) == {}


def test_a_leaver_of_another_source_is_suspected_once_that_source_has_let_them_go(office: Office) -> None:
    staff, office.source = dict(office.rows), "contractors"
    office.rows = {
        "C1": {**Office.person(90), "id": "C1", "email": "c1@x.com"},
        "C2": {**Office.person(91), "id": "C2"},
    }
    office.sync()
    contractor = office.rows.pop("C1")
    office.source, contractors = "hr", dict(office.rows)
    office.rows = {**staff, "F1": {**contractor, "id": "F1", "email": "f1@x.com", "number": "F1"}}
    assert told(office.plan()) == []  # nobody here knows whether the contractor leaves
    office.source, office.rows = "contractors", contractors
    assert actions(office.sync()) == {"C1": "disable"}
    office.source, office.rows = "hr", {**staff, "F1": {**contractor, "id": "F1", "email": "f1@x.com", "number": "F1"}}
    plan = office.plan()
    assert actions(plan).get("F1") is None
    assert ["C1 of contractors left" in f.detail for f in told(plan)] == [True]


def test_many_people_under_other_keys_are_told_at_once_and_refuse_the_plan(office: Office) -> None:
    for number in range(1, 11):
        office.again(f"E{number}", f"F{number}")
    plan = office.plan()
    assert (len(told(plan)), actions(plan)) == (10, {})
    assert "source.keys-changed" in {refusal.code for refusal in plan.refusals}


def test_the_time_counts_from_the_day_on_which_access_ended(office: Office) -> None:
    office.more["renames_within"] = timedelta(days=1)
    row = office.rows.pop("E1")
    office.sync()
    office.clock.advance(3 * 86400)
    office.rows["F1"] = {**row, "id": "F1", "email": "f1@example.com"}
    assert actions(office.plan()) == {"F1": "create"}
