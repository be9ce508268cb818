"""Whoever is missing keeps access until enough readings say so, and not longer; and is told of meanwhile."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.engine.test_whole_runs import Company, twin_of

from scimsync.engine.ports import Source
from scimsync.engine.unwritten import unwritten
from scimsync.model.plans import Action, Lifecycle, Plan
from scimsync.model.policy import Leavers, Limit, Limits
from scimsync.testing import ListSource

HOUR, DAY = 3600.0, 86_400.0


class Firm(Company):
    """A company that takes access where two readings lack somebody, and gives them by file if need be."""

    def __init__(self, folder: Path, people: int = 30) -> None:
        super().__init__(folder, people)
        self.more = {"leavers_readings": 2}
        self.delivery = ""

    def hr(self) -> Source:
        source = super().hr()
        assert isinstance(source, ListSource)
        return replace(source, delivery=self.delivery)

    def night(self, **given: Any) -> Plan:
        """A plan a day later, and a run of it where there is something to do."""
        self.clock.advance(DAY)
        plan = self.plan(**given)
        if plan.changes and not plan.refusals:
            self.apply(plan)
        return plan

    def leave(self, *keys: str) -> None:
        for key in keys:
            del self.rows[key]

    def stands(self, plan: Plan, key: str = "E7") -> str:
        """What a plan says of somebody: the action, or the code of what is found."""
        actions = [change.word for change in plan.changes if change.key == key]
        return " ".join(actions or [one.code for one in plan.findings if one.subject == key])

    def readings(self) -> dict[str, int]:
        return {one.key: one.readings for one in self.store.suspects()}


def run_once(folder: Path) -> Firm:
    made = Firm(folder)
    made.sync()
    return made


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return twin_of(run_once, tmp_path / "artifacts")


def test_who_is_missing_is_suspect_until_the_third_reading(firm: Firm) -> None:
    firm.more = {"leavers_readings": 3}
    firm.leave("E7")
    assert [firm.stands(firm.night()) for _ in range(2)] == ["leaver.suspect"] * 2
    assert firm.account("E7")["active"]
    plan = firm.night()
    assert firm.stands(plan) == "disable"
    assert [one.code for one in plan.findings] == ["leaver.missing"]
    assert not firm.account("E7")["active"]
    plan = firm.night()
    assert (plan.changes, plan.findings) == ((), ())


def test_who_was_missing_often_enough_and_is_enabled_by_hand_loses_access_at_once(firm: Firm) -> None:
    firm.leave("E7")
    for _ in range(2):
        firm.night()
    firm.edit("E7", active=True)
    assert firm.stands(firm.night()) == "disable"


def test_a_suspect_waits_and_is_told_of_as_one_who_does(firm: Firm) -> None:
    firm.leave("E7")
    plan = firm.night()
    (told,) = plan.findings
    assert (told.code, told.subject, told.holds) == ("leaver.suspect", "E7", True)
    assert told.detail.startswith("missing in 1 of 2 readings, first on ")
    assert plan.tally.held == 1


def test_the_first_reading_takes_the_access_where_nobody_said_otherwise(firm: Firm) -> None:
    firm.more = {}
    firm.leave("E7")
    plan = firm.night()
    assert firm.stands(plan) == "disable"
    assert not plan.findings
    assert not firm.readings()


def test_whoever_is_back_begins_anew(firm: Firm) -> None:
    row = firm.rows["E7"]
    firm.leave("E7")
    firm.night()
    firm.rows["E7"] = row
    assert not firm.night().findings
    assert not firm.readings()
    firm.leave("E7")
    assert [firm.stands(firm.night()) for _ in range(2)] == ["leaver.suspect", "disable"]


def test_whom_hr_says_to_have_left_loses_access_at_once(firm: Firm) -> None:
    firm.rows["E7"]["status"] = "left"
    assert firm.stands(firm.night()) == "disable"
    firm.rows["E8"]["status"] = "left"
    firm.leave("E9")
    plan = firm.night()
    assert (firm.stands(plan, "E8"), firm.stands(plan, "E9")) == ("disable", "leaver.suspect")


def test_a_suspect_whom_hr_then_says_to_have_left_loses_access_at_once(firm: Firm) -> None:
    row = firm.rows["E7"]
    firm.leave("E7")
    firm.night()
    firm.rows["E7"] = {**row, "status": "left"}
    assert firm.stands(firm.night()) == "disable"
    assert not firm.readings()


def test_two_looks_within_minutes_are_one_reading(firm: Firm) -> None:
    firm.leave("E7")
    firm.night()
    for _ in range(2):
        assert firm.stands(firm.plan()) == "leaver.suspect"
    assert firm.readings() == {"E7": 1}
    firm.clock.advance(HOUR * 23 / 24)
    assert firm.stands(firm.plan()) == "disable"


def test_the_same_file_is_one_reading_however_often_it_is_read(firm: Firm) -> None:
    firm.leave("E7")
    firm.delivery = "written on monday"
    for _ in range(3):
        assert firm.stands(firm.night()) == "leaver.suspect"
    assert firm.readings() == {"E7": 1}
    firm.delivery = "written on tuesday"
    assert firm.stands(firm.night()) == "disable"


def test_readings_that_prove_nothing_do_not_count(firm: Firm) -> None:
    firm.leave("E7")
    firm.proven = False
    for _ in range(2):
        assert "leaver.unproven" in firm.stands(firm.night())
    assert not firm.readings()
    firm.proven = True
    assert firm.stands(firm.night()) == "leaver.suspect"
    assert firm.readings() == {"E7": 1}


def test_plans_for_some_people_do_not_count(firm: Firm) -> None:
    firm.leave("E7")
    for _ in range(2):
        assert firm.stands(firm.night(only=("E7",))) == "leaver.suspect"
    assert not firm.readings()
    firm.night()
    assert firm.stands(firm.night(only=("E7",))) == "leaver.suspect"
    assert firm.stands(firm.night()) == "disable"


def test_a_plan_for_one_person_takes_the_access_that_a_whole_reading_said_was_over(firm: Firm) -> None:
    firm.leave("E7")
    firm.night()
    firm.clock.advance(DAY)
    firm.plan()  # nobody applied it
    assert firm.stands(firm.sync(only=("E7",))) == "disable"


def test_a_plan_that_is_refused_does_not_count(firm: Firm) -> None:
    firm.leave("E7")
    firm.more = {**firm.more, "limits": Limits(update=Limit(count=0))}
    for key in ("E1", "E2", "E3"):
        firm.rows[key]["title"] = "Lead"
    for _ in range(3):
        plan = firm.night()
        assert plan.refusals
        assert firm.stands(plan) == "leaver.suspect"
    assert not firm.readings()


def test_whoever_is_back_is_back_though_the_plan_is_refused_for_the_sake_of_others(firm: Firm) -> None:
    row = firm.rows["E7"]
    firm.leave("E7")
    firm.night()
    firm.rows["E7"] = row
    wide = firm.more
    firm.more = {**wide, "limits": Limits(update=Limit(count=0))}
    firm.rows["E1"]["title"] = "Lead"
    assert firm.night().refusals
    assert not firm.readings()
    firm.more = wide
    firm.leave("E7")
    assert firm.stands(firm.night()) == "leaver.suspect"


def test_a_look_from_which_nothing_follows_does_not_count(firm: Firm) -> None:
    firm.more = {"leavers_readings": 3}
    firm.leave("E7")
    firm.night()
    before = firm.readings()
    firm.clock.advance(DAY)
    kept = firm.store
    firm.store = unwritten(firm.store)  # type: ignore[assignment]
    assert firm.stands(firm.plan()) == "leaver.suspect"
    firm.store = kept
    assert firm.readings() == before


def test_an_old_file_brings_nobody_back(firm: Firm) -> None:
    firm.live = False
    row = firm.rows["E7"]
    firm.rows["E1"]["title"] = "Lead"
    firm.night()
    firm.leave("E7")
    firm.rows["E1"]["title"] = "Chief"
    firm.night()
    assert firm.readings() == {"E7": 1}
    firm.rows = {**firm.rows, "E7": row, "E1": {**firm.rows["E1"], "title": "Lead"}}
    firm.rows = {key: firm.rows[key] for key in sorted(firm.rows, key=lambda key: int(key[1:]))}
    plan = firm.night()
    assert "source.old" in {one.code for one in plan.findings}
    assert firm.readings() == {"E7": 1}


def test_many_who_are_missing_lose_access_only_within_the_limit(firm: Firm) -> None:
    firm.more = {"leavers_readings": 2, "limits": Limits(disable=Limit(count=1))}
    firm.leave("E7", "E8")
    assert not firm.night().refusals
    for _ in range(2):
        plan = firm.night()
        assert [one.rule for one in plan.refusals] == ["limits.disable"]
    assert firm.account("E7")["active"]


def test_fewer_readings_count_from_the_next_plan(firm: Firm) -> None:
    firm.more = {"leavers_readings": 9}
    firm.leave("E7")
    firm.night()
    firm.more = {"leavers_readings": 2}
    assert firm.stands(firm.night()) == "disable"


def test_the_timetable_says_when_access_and_account_go(firm: Firm) -> None:
    firm.more = {"leavers_readings": 2, "leavers": Leavers.DELETE, "leavers_after": timedelta(days=2)}
    firm.leave("E7")
    today = firm.clock.now().date()
    (coming,) = firm.night().coming
    assert (coming.key, coming.lifecycle, coming.action) == ("E7", Lifecycle.LEAVER, Action.DISABLE)
    assert date.fromordinal(coming.day.toordinal()) == today + timedelta(days=1)
    assert not firm.night().coming  # taken away by this plan
    (coming,) = firm.night().coming
    assert (coming.key, coming.action, coming.day) == ("E7", Action.DELETE, today + timedelta(days=4))
    assert firm.stands(firm.night()) == "delete"


def test_an_account_that_another_hand_disabled_is_deleted_only_when_enough_readings_lack_its_person(firm: Firm) -> None:
    firm.more = {"leavers_readings": 3, "leavers": Leavers.DELETE, "leavers_after": timedelta(days=1)}
    firm.edit("E7", active=False)
    firm.leave("E7")
    assert [firm.stands(firm.night()) for _ in range(3)] == ["", "", "delete"]


def test_nobody_is_suspect_whose_account_policy_keeps(firm: Firm) -> None:
    firm.more = {"leavers_readings": 3, "leavers": Leavers.KEEP}
    firm.leave("E7")
    assert firm.stands(firm.night()) == "account.left"


def test_a_clock_that_was_ahead_makes_nobody_wait_as_long_as_it_was(firm: Firm) -> None:
    firm.leave("E7")
    firm.night()
    (one,) = firm.store.suspects()
    firm.store.change_suspects([replace(one, last=one.last + timedelta(days=900))])
    assert firm.stands(firm.night()) == "leaver.suspect"
    assert firm.stands(firm.night()) == "disable"
