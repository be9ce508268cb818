"""Who is there on a day: records that hold from a day and until a day, in whole runs on the twins in memory."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.test_whole_runs import COLUMNS, Company

from scimsync.core.validity import Validity
from scimsync.errors import ConfigError
from scimsync.model.plans import Finding, Lifecycle, Plan, Reason

DAYS = Validity(first="first", last="last")


class Office(Company):
    """Everybody is there since 2020; the clock stands where a test sets it."""

    def __init__(self, folder: Path, people: int = 12) -> None:
        super().__init__(folder, people)
        self.columns = (*COLUMNS, "first", "last")
        self.validity, self.zone = DAYS, "UTC"
        self.extra: list[dict[str, Any]] = []

    @staticmethod
    def person(n: int) -> dict[str, Any]:
        return {**Company.person(n), "first": "2020-01-01", "last": None}

    def on(self, moment: str) -> None:
        self.clock.advance((datetime.fromisoformat(moment).replace(tzinfo=UTC) - self.clock.now()).total_seconds())


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path)
    made.on("2026-11-20T12:00:00")
    made.sync()
    return made


def actions(plan: Plan) -> dict[str, str]:
    return {change.key: change.action.value for change in plan.changes}


def about(plan: Plan, key: str) -> list[Finding]:
    return [finding for finding in plan.findings if finding.subject == key]


def newcomer(first: Any, last: Any = None, key: str = "N1", **more: Any) -> dict[str, Any]:
    return {**Company.person(77), "id": key, "first": first, "last": last, **more}


def test_nobody_joins_before_the_first_day(office: Office) -> None:
    office.rows["N1"] = newcomer("2026-12-01")
    office.on("2026-11-30T23:59:00")
    assert actions(office.plan()) == {}
    office.on("2026-12-01T00:01:00")
    assert actions(office.plan()) == {"N1": "create"}


def test_whoever_ends_tomorrow_is_there_today_and_gone_the_day_after_the_last(office: Office) -> None:
    office.rows["E1"]["last"] = "2026-11-30"
    office.on("2026-11-29T12:00:00")
    assert actions(office.plan()) == {}
    office.on("2026-11-30T23:59:00")
    assert actions(office.plan()) == {}
    office.on("2026-12-01T00:01:00")
    plan = office.plan()
    assert actions(plan) == {"E1": "disable"}
    assert [(c.lifecycle, [d.reason for d in c.deltas]) for c in plan.changes] == [(Lifecycle.LEAVER, [Reason.ENDED])]
    office.apply(plan)
    assert actions(office.plan()) == {}


def test_the_day_is_that_of_the_zone(office: Office) -> None:
    office.zone = "Pacific/Auckland"
    office.rows["N1"], office.rows["E1"]["last"] = newcomer("2026-12-01"), "2026-11-30"
    office.on("2026-11-30T10:59:00")  # 23:59 there
    assert actions(office.plan()) == {}
    office.on("2026-11-30T11:01:00")
    assert actions(office.plan()) == {"N1": "create", "E1": "disable"}
    office.zone = "America/Los_Angeles"
    office.on("2026-12-01T07:59:00")
    assert actions(office.plan()) == {}


@pytest.mark.parametrize(
    "written",
    ["2026-12-01", "20261201", "2026-12-01 00:00:00", "2026-12-01T08:00:00.000", "2026-11-30T23:30:00Z",
     "2026-12-01T00:00:00+01:00", date(2026, 12, 1)],
)  # fmt: skip
def test_days_are_read_as_they_are_written(office: Office, written: Any) -> None:
    office.zone = "Europe/Berlin"
    office.rows["N1"] = newcomer(written)
    office.on("2026-11-30T22:59:00")
    assert actions(office.plan()) == {}
    office.on("2026-11-30T23:01:00")
    assert actions(office.plan()) == {"N1": "create"}


@pytest.mark.parametrize("written", ["", None, "0000-00-00", "  "])
def test_a_day_that_is_none_is_no_bound(office: Office, written: Any) -> None:
    office.rows["N1"] = newcomer(written, written)
    assert actions(office.plan()) == {"N1": "create"}


@pytest.mark.parametrize(("first", "last"), [("soon", None), ("2026-02-30", None), ("2020-01-01", "2019-12-31")])
def test_whose_days_cannot_be_told_is_left_as_is(office: Office, first: Any, last: Any) -> None:
    office.rows["E1"] |= {"first": first, "last": last, "title": "Lead"}
    office.rows["N1"] = newcomer(first, last)
    plan = office.plan()
    assert actions(plan) == {}
    assert [(f.subject, f.holds) for f in plan.findings if f.code == "record.bad-validity"] == [
        ("E1", True),
        ("N1", True),
    ]


def test_whoever_left_by_the_status_loses_access_though_the_days_cannot_be_told(office: Office) -> None:
    office.rows["E1"] |= {"status": "left", "last": "soon"}
    plan = office.plan()
    assert actions(plan) == {"E1": "disable"}
    assert [(f.code, f.holds) for f in about(plan, "E1")] == [("record.bad-validity", False)]


def test_of_several_records_of_a_person_the_one_counts_that_holds_today(office: Office) -> None:
    office.rows["E1"]["last"] = "2026-11-30"
    office.rows["next"] = {**office.rows["E1"], "title": "Lead", "first": "2026-12-01", "last": None}
    office.rows["past"] = {**office.rows["E1"], "title": "Trainee", "first": "2019-01-01", "last": "2019-12-31"}
    assert actions(office.plan()) == {}
    office.on("2026-12-01T01:00:00")
    plan = office.sync()
    assert actions(plan) == {"E1": "update"}
    assert office.account("E1")["title"] == "Lead"


def test_records_that_hold_at_the_same_time_are_a_finding(office: Office) -> None:
    office.rows["next"] = {**office.rows["E1"], "title": "Lead", "first": "2026-11-01"}
    plan = office.plan()
    assert actions(plan) == {}
    assert [f.code for f in about(plan, "E1")] == ["record.duplicate-key"]


def test_between_two_contracts_nobody_has_access(office: Office) -> None:
    office.rows["E1"]["last"] = "2026-11-30"
    office.rows["next"] = {**office.rows["E1"], "first": "2027-02-01", "last": None}
    office.on("2026-12-15T12:00:00")
    assert actions(office.sync()) == {"E1": "disable"}
    office.on("2027-02-01T12:00:00")
    assert actions(office.sync()) == {"E1": "enable"}


def test_whoever_has_access_and_only_a_record_to_come_keeps_it_and_is_told(office: Office) -> None:
    office.rows["E1"]["first"] = "2027-01-01"
    plan = office.plan()
    assert actions(plan) == {}
    assert [(f.code, f.detail) for f in about(plan, "E1")] == [
        ("record.not-yet-valid", "the next one holds from 2027-01-01")
    ]
    assert actions(office.plan(only=("E1",))) == {}


def test_whoever_ends_leaves_also_where_absence_proves_nothing(office: Office) -> None:
    del office.mapping["active"]
    office.proven = False
    office.sync()
    office.rows["E1"]["last"], office.rows["E2"] = "2026-11-19", office.rows["E3"]
    del office.rows["E3"]
    plan = office.plan()
    assert actions(plan) == {"E1": "disable"}


def test_the_plan_says_who_comes_moves_and_goes(office: Office) -> None:
    office.rows["N1"] = newcomer("2026-12-01")
    office.rows["N2"] = newcomer("2027-01-01", key="N2", email="n2@x.com")
    office.rows["E1"]["last"] = "2026-11-20"
    office.rows["E2"]["last"] = "2026-12-05"
    office.rows["next"] = {**office.rows["E2"], "first": "2026-12-06", "last": None}
    plan = office.plan()
    assert actions(plan) == {}
    assert [(one.key, one.lifecycle.value, str(one.day)) for one in plan.coming] == [
        ("E1", "leaver", "2026-11-21"),
        ("N1", "joiner", "2026-12-01"),
        ("E2", "mover", "2026-12-06"),
    ]


def test_what_will_be_wrong_with_somebody_who_joins_later_is_told_today(office: Office) -> None:
    office.rows["N1"] = newcomer("2026-12-01", email="P1@example.com")
    office.rows["N2"] = newcomer("2026-12-02", key="N2", email="n@x.com")
    office.rows["N3"] = newcomer("2026-12-03", key="N3", email="n@x.com")
    office.rows["N4"] = newcomer("2026-12-04", key="N4", email="n4@x.com", name=None)
    office.rows["N5"] = newcomer("2027-12-04", key="N5", email="p2@example.com")
    office.rows["N6"] = newcomer("2026-12-06", key="N6", email="n6@x.com", name="x\x07y")
    plan = office.plan()
    assert actions(plan) == {}
    found = [(f.subject, f.code, f.detail) for f in plan.findings]
    assert found[:4] == [
        ("N1", "login.collides", "joins on 2026-12-01; also E1"),
        ("N2", "login.collides", "joins on 2026-12-02; also N3"),
        ("N3", "login.collides", "joins on 2026-12-03; also N2"),
        ("N4", "record.incomplete", "joins on 2026-12-04; displayName"),
    ]
    assert not any(f.holds for f in plan.findings)
    assert plan.tally.held == 0


def test_a_plan_may_be_made_for_a_day_to_come(office: Office) -> None:
    office.rows["N1"] = newcomer("2026-12-01")
    office.rows["E1"]["last"] = "2026-12-15"
    office.rows["E2"]["last"] = "2026-12-14"
    plan = office.plan(as_of=date(2026, 12, 15))
    assert actions(plan) == {"N1": "create", "E2": "disable"}
    assert plan.as_of == date(2026, 12, 15)
    assert [one.key for one in plan.coming] == ["N1", "E2"]


def test_today_is_the_day_that_is_planned_for(office: Office) -> None:
    office.mapping["title"] = "CASE WHEN today() >= make_date(2026, 12, 15) THEN 'Old' ELSE title END"
    assert actions(office.plan()) == {}
    assert set(actions(office.plan(as_of=date(2026, 12, 15))).values()) == {"update"}
    assert actions(office.plan(as_of=date(2026, 12, 14))) == {}
    office.mapping["title"] = "CASE WHEN current_date >= make_date(2026, 12, 15) THEN 'Old' ELSE title END"
    assert set(actions(office.plan(as_of=date(2026, 12, 15))).values()) == {"update"}
    office.mapping["title"] = "CASE WHEN now() >= make_date(2026, 12, 15) THEN 'Old' ELSE title END"
    assert set(actions(office.plan(as_of=date(2026, 12, 15))).values()) == {"update"}


def test_a_plan_for_another_day_needs_days_and_one_that_is_not_gone(office: Office) -> None:
    with pytest.raises(ConfigError, match="that day is gone"):
        office.plan(as_of=date(2026, 11, 19))
    office.validity = Validity()
    with pytest.raises(ConfigError, match="valid_from"):
        office.plan(as_of=date(2026, 12, 1))


@pytest.mark.parametrize("first", ["nothing_of_the_kind", "first = last", "list_value(first)", "("])
def test_an_expression_that_gives_no_day_is_refused(office: Office, first: str) -> None:
    office.validity = Validity(first=first)
    with pytest.raises(ConfigError, match="valid_from"):
        office.plan()


def test_a_person_who_joins_later_may_be_asked_for(office: Office) -> None:
    office.rows["N1"] = newcomer("2026-12-01")
    plan = office.plan(only=("N1",))
    assert (actions(plan), [one.key for one in plan.coming]) == ({}, ["N1"])


def test_nobody_who_has_ended_gets_access_back_because_the_column_of_last_days_went_blank(tmp_path: Path) -> None:
    office = Office(tmp_path, 40)
    office.on("2026-11-20T12:00:00")
    office.sync()
    for number in range(8):
        office.rows[f"E{number}"]["last"] = "2026-11-21"
    office.on("2026-11-25T12:00:00")
    assert set(actions(office.sync()).values()) == {"disable"}
    for number in range(8):
        office.rows[f"E{number}"]["last"] = None
    office.rows["E20"]["title"] = "Lead"
    plan = office.plan()
    assert actions(plan) == {"E20": "update"}
    assert [(f.code, f.subject) for f in plan.findings] == [("source.blanks", "last")]
