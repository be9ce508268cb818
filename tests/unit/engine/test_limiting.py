"""Limits over several runs and every door; what a refusal freezes, and what thaws it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.engine.test_whole_runs import Company, Silent, codes, twin_of

from scimsync.engine.applying import apply_plan, settle_run
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts, check_plan
from scimsync.errors import PlanRefused, StoreError, TargetDenied
from scimsync.model.outcomes import Reply, RunState
from scimsync.model.plans import Plan
from scimsync.model.policy import Limit, Limits, Policy
from scimsync.model.reports import Report

HOUR = 3600.0
ALL = ("limits.create", "limits.update", "limits.disable", "limits.enable", "limits.clear")


class Firm(Company):
    """A company whose plans are applied as they are, with no rule set aside unasked."""

    def __init__(self, folder: Path, people: int = 200) -> None:
        super().__init__(folder, people)
        self.limits = Limits()
        self.protected: frozenset[str] = frozenset()
        self.apply(self.plan(), *ALL)

    @property
    def policy(self) -> Policy:
        return replace(super().policy, limits=self.limits, protected=self.protected)

    def ports(self) -> tuple[ApplyPorts, ApplyOptions]:
        return (
            ApplyPorts(target=self.target, store=self.store, clock=self.clock, observer=Silent()),
            ApplyOptions(policy=self.policy, configuration="c"),
        )

    def apply(self, plan: Plan, *overrides: str) -> Report:
        ports, options = self.ports()
        options = replace(options, overrides=dict.fromkeys(overrides, "test"))
        self.clock.advance(1)
        run = check_plan(plan, self.store.run(plan.id), ports, options)
        return asyncio.run(apply_plan(plan, run, ports, options))

    def leave(self, numbers: Iterable[int], status: str = "left") -> None:
        for n in numbers:
            self.rows[f"E{n}"]["status"] = status

    def refused(self, *only: str) -> str:
        """What is said where these people are not synchronised; "" where they are."""
        try:
            self.sync(only=only)
        except PlanRefused as error:
            return str(error)
        return ""

    @property
    def active(self) -> int:
        return sum(bool(user["active"]) for user in self.target.users.values())


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return twin_of(Firm, tmp_path / "artifacts")


# --- the window ---------------------------------------------------------------------------------


def test_eight_runs_of_nine_leavers_stop_at_the_limit_of_one(firm: Firm) -> None:
    said = []
    for step in range(8):
        firm.leave(range(9 * step, 9 * step + 9))
        said.append(firm.refused())
    assert said[0] == ""
    assert all("limits.disable" in words for words in said[1:])
    assert "9 in the last 7 days and 9 now of 200, allowed 5%" in said[1]
    assert firm.active == 191


def test_a_night_later_the_same_number_passes_again_where_leavers_count_for_a_day(firm: Firm) -> None:
    firm.limits = replace(firm.limits, leavers_window=firm.limits.window)
    for night in range(3):
        firm.leave(range(9 * night, 9 * night + 9))
        assert firm.refused() == ""
        firm.clock.advance(24 * HOUR - 300)
    assert firm.active == 173


def test_a_few_percent_every_night_are_stopped_on_the_second(firm: Firm) -> None:
    for night in range(30):
        firm.leave(range(4 * night, 4 * night + 9))
        assert bool(firm.refused()) is (night > 0)
        firm.clock.advance(24 * HOUR - 300)
    assert firm.active == 191


def test_a_week_later_people_may_leave_again(firm: Firm) -> None:
    for week in range(3):
        firm.leave(range(9 * week, 9 * week + 9))
        assert firm.refused() == ""
        firm.clock.advance(7 * 24 * HOUR - 300)
    assert firm.active == 173


@pytest.mark.parametrize("only", [3, 1])
def test_people_taken_by_name_count_with_all_others(firm: Firm, only: int) -> None:
    firm.leave(range(24))
    for first in range(0, 24, only):
        firm.refused(*(f"E{n}" for n in range(first, first + only)))
    assert firm.active >= 190


def test_giving_access_back_counts_over_the_runs_too(firm: Firm) -> None:
    firm.leave(range(60))
    firm.apply(firm.plan(), "limits.disable")
    for first in range(0, 24, 4):
        firm.leave(range(first, first + 4), "active")
        firm.refused()
    assert firm.active == 148


def test_a_window_of_nothing_counts_each_run_alone(firm: Firm) -> None:
    firm.limits = replace(firm.limits, window=firm.limits.window * 0, leavers_window=firm.limits.window * 0)
    for step in range(4):
        firm.leave(range(9 * step, 9 * step + 9))
        assert firm.refused() == ""
    assert firm.active == 164


def test_what_a_person_let_pass_counts_with_no_other_run(firm: Firm) -> None:
    firm.leave(range(40))
    firm.apply(firm.plan(), "limits.disable")
    firm.leave(range(40, 49))
    assert firm.refused() == ""
    assert firm.active == 151


def killed(firm: Firm, plan: Plan, after: int) -> None:
    """Apply a plan until the process ends in the middle of a write."""
    append, told = firm.store.append, []

    def mortal(lines: Any, *more: Any) -> None:
        told.extend(line for line in lines if line.outcome is not None)
        if len(told) > after:
            raise StoreError("gone")
        append(lines, *more)

    firm.store.append = mortal  # type: ignore[method-assign]
    try:
        with pytest.raises(StoreError):
            firm.apply(plan)
    finally:
        firm.store.append = append  # type: ignore[method-assign]


def test_a_run_that_was_killed_counts_what_it_did_and_what_it_left_is_not_counted_twice(firm: Firm) -> None:
    firm.leave(range(9))
    plan = firm.plan()
    killed(firm, plan, 5)
    run = firm.store.run(plan.id)
    assert run is not None
    assert run.state is RunState.APPLYING
    firm.leave(range(9, 14))
    again = firm.plan()
    assert [f.detail for f in again.refusals] == []  # what was done is not asked for again: 5 + (4 + 5)
    assert firm.apply(plan).clean
    ended = firm.store.run(plan.id)
    assert ended is not None
    assert ended.done == {"disable": 9}
    assert "9 in the last 7 days and 5 now" in firm.refused()


def test_a_run_that_was_cut_short_and_settled_counts_what_it_did(firm: Firm) -> None:
    firm.leave(range(9))
    plan = firm.plan()
    killed(firm, plan, 5)
    run = firm.store.run(plan.id)
    assert run is not None
    asyncio.run(settle_run(plan, run, *firm.ports()))
    firm.leave(range(9, 14))
    assert "of 200, allowed 5%" in firm.refused()
    ended = firm.store.run(plan.id)
    assert ended is not None
    assert 5 <= ended.done["disable"] <= 9


def test_what_the_directory_refused_does_not_count(firm: Firm) -> None:
    firm.leave(range(9))
    patch = firm.target.patch

    async def no(*given: Any) -> Reply:
        return replace(await firm.target.get(given[0]), status=403, body=None)

    firm.target.patch = no  # type: ignore[method-assign]
    with pytest.raises(TargetDenied, match="refused 3 people alike"):
        firm.apply(firm.plan())
    firm.target.patch = patch  # type: ignore[method-assign]
    assert firm.refused() == ""
    assert firm.active == 191


# --- what is frozen -----------------------------------------------------------------------------


def many_leave(firm: Firm) -> Plan:
    """A refusal: 124 of 200 would leave."""
    firm.leave(range(124))
    plan = firm.plan()
    assert [finding.code for finding in plan.refusals] == ["limits.disable"]
    return plan


def test_after_a_refusal_nobody_is_disabled_by_name(firm: Firm) -> None:
    refused = many_leave(firm)
    for first in range(0, 24, 3):
        assert refused.id in firm.refused(*(f"E{n}" for n in range(first, first + 3)))
    assert firm.active == 200


def test_after_a_refusal_everything_else_goes_on_by_name(firm: Firm) -> None:
    many_leave(firm)
    firm.rows["E150"]["title"] = "Lead"
    assert firm.refused("E150") == ""
    assert firm.account("E150")["title"] == "Lead"


def test_a_plan_by_name_from_before_a_refusal_is_held_up_too(firm: Firm) -> None:
    firm.leave([0])
    before = firm.plan(only=("E0",))
    refused = many_leave(firm)
    with pytest.raises(PlanRefused, match=refused.id):
        firm.apply(before)


def test_a_later_plan_for_everybody_within_the_limit_thaws(firm: Firm) -> None:
    many_leave(firm)
    firm.leave(range(3, 124), "active")
    firm.plan()
    assert firm.refused("E0", "E1") == ""
    assert firm.active == 198


def test_a_plan_for_some_people_thaws_nothing(firm: Firm) -> None:
    many_leave(firm)
    firm.plan(only=("E150",))
    assert firm.refused("E0") != ""


def test_a_plan_that_cannot_tell_thaws_nothing(firm: Firm) -> None:
    many_leave(firm)
    rows = dict(firm.rows)
    for n in range(110):  # now they are not leavers, but doubtful: the same key twice
        firm.rows[f"again {n}"] = {**firm.rows[f"E{n}"], "title": "Other"}
    assert [f.code for f in firm.plan().refusals if f.code == "limits.disable"]
    for n in range(110, 124):
        firm.rows[f"again {n}"] = {**firm.rows[f"E{n}"], "title": "Other"}
    assert not firm.plan().refusals
    firm.rows = rows
    assert firm.refused("E0") != ""


def test_a_source_that_fell_short_thaws_nothing(firm: Firm) -> None:
    rows = dict(firm.rows)
    for n in range(18):
        del firm.rows[f"E{n}"]
    assert firm.plan().refusals
    for n in range(18, 60):
        del firm.rows[f"E{n}"]
    short = firm.plan()
    assert "source.rows-drop" in codes(short)
    assert not short.refusals
    firm.rows = rows
    firm.leave([0])
    assert firm.refused("E0") != ""


def test_who_lets_the_refused_plan_pass_answers_for_its_kind(firm: Firm) -> None:
    firm.apply(many_leave(firm), "limits.disable")
    firm.leave([150])
    assert firm.refused("E150") == ""
    assert firm.active == 75


def test_who_lets_some_people_pass_answers_for_them_alone(firm: Firm) -> None:
    many_leave(firm)
    plan = firm.plan(only=("E0", "E1"), overrides=("limits.disable",))
    firm.apply(plan)
    assert firm.active == 198
    assert firm.refused("E2") != ""


def test_a_refusal_by_name_freezes_as_well_and_is_answered_by_itself(firm: Firm) -> None:
    firm.leave(range(12))
    plan = firm.plan(only=tuple(f"E{n}" for n in range(12)))
    assert plan.refusals
    assert plan.id in firm.refused("E0")
    firm.apply(plan, "limits.disable")
    firm.leave([20])
    assert firm.refused("E20") == ""


def test_each_source_counts_and_freezes_by_itself(firm: Firm) -> None:
    firm.leave(range(9))
    assert firm.refused() == ""
    ours = dict(firm.rows)
    firm.source = "branch"
    firm.rows = {f"E{n}": firm.person(n) for n in range(1000, 1020)}
    firm.apply(firm.plan(overrides=("source.second",)), "limits.create", "source.second")
    for n in range(1000, 1003):
        firm.rows[f"E{n}"]["status"] = "left"
    assert firm.refused() == ""
    firm.rows, firm.source = ours, ""
    many_leave(firm)
    firm.rows, firm.source = {f"E{n}": firm.person(n) for n in range(1000, 1020)}, "branch"
    firm.plan()
    firm.rows, firm.source = ours, ""
    assert firm.refused("E50") != ""


def test_what_is_frozen_goes_with_a_source_that_is_renamed(firm: Firm) -> None:
    many_leave(firm)
    firm.source = "new name"
    assert firm.refused("E0") != ""
    firm.rows["E150"]["title"] = "Lead"
    assert firm.refused("E150") == ""
    assert firm.refused("E0") != ""


# --- values that are taken away -----------------------------------------------------------------


def titles(firm: Firm) -> int:
    return sum(bool(user.get("title")) for user in firm.target.users.values())


def untitle(firm: Firm, numbers: Iterable[int], title: str | None = None) -> None:
    for n in numbers:
        firm.rows[f"E{n}"]["title"] = title


def test_a_run_that_would_clear_many_leaves_them_alone_and_goes_on(firm: Firm) -> None:
    untitle(firm, range(15))
    firm.rows["E3"]["name"] = firm.rows["E100"]["name"] = "New Name"
    firm.leave([4])
    plan = firm.sync()
    (found,) = [finding for finding in plan.findings if finding.code == "limits.clear"]
    assert found.summary == "this run would clear title of 15 people; it is left alone there"
    assert plan.tally.values == 1
    assert (titles(firm), firm.active) == (200, 199)
    assert firm.account("E3")["displayName"] == firm.account("E100")["displayName"] == "New Name"


def test_in_small_steps_no_more_is_cleared(firm: Firm) -> None:
    for first in range(0, 16, 4):
        untitle(firm, range(first, first + 4))
        firm.sync()
    for n in range(40, 44):
        untitle(firm, [n])
        firm.sync(only=(f"E{n}",))
    assert titles(firm) == 192


def test_who_says_that_it_is_right_clears_them_all(firm: Firm) -> None:
    untitle(firm, range(15))
    firm.sync()
    firm.apply(firm.plan(overrides=("limits.clear",)))
    assert titles(firm) == 185
    untitle(firm, [50])
    assert firm.sync(only=("E50",)).changes
    assert titles(firm) == 184


def test_an_attribute_may_have_a_limit_of_its_own(firm: Firm) -> None:
    firm.limits = replace(firm.limits, clears={"title": Limit(count=0)})
    untitle(firm, [1])
    firm.sync()
    assert titles(firm) == 200


# --- blank is judged on what would be written ---------------------------------------------------


@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\u2009\u200b", "\ufeff"])
def test_what_cannot_be_seen_is_a_blank(firm: Firm, blank: str) -> None:
    untitle(firm, range(40), blank)
    plan = firm.sync()
    assert [(f.code, f.subject) for f in plan.findings] == [("source.blanks", "title")]
    assert titles(firm) == 200


# --- protected ----------------------------------------------------------------------------------


def test_a_protected_name_that_is_nobodys_is_told_with_one_that_is_near(firm: Firm) -> None:
    firm.protected = frozenset({"e7", "p3@example.com", "p1@exmaple.com", "ceo@elsewhere.test"})
    found = [f.detail for f in firm.plan().findings if f.code == "policy.protected-unknown"]
    assert found == ["ceo@elsewhere.test", "p1@exmaple.com; did you mean p1@example.com?"]


def test_a_directory_that_was_not_read_whole_says_nothing_of_protected_names(firm: Firm) -> None:
    firm.protected = frozenset({"nobody"})
    sweep = firm.target.sweep

    async def holes(*given: Any) -> Any:
        return replace(await sweep(*given), incomplete="page 2 failed")

    firm.target.sweep = holes  # type: ignore[method-assign]
    assert codes(firm.plan()) == {"target.incomplete"}


# --- a first run --------------------------------------------------------------------------------


def test_a_first_run_does_not_give_access_back_to_many(tmp_path: Path) -> None:
    firm = Firm(tmp_path / "one")
    firm.leave(range(60))
    firm.apply(firm.plan(), "limits.disable")
    other = Firm.__new__(Firm)
    Company.__init__(other, tmp_path / "two", 200)
    other.limits, other.protected, other.target = Limits(), frozenset(), firm.target
    assert [f.detail for f in other.plan().refusals if f.code == "limits.enable"] == ["60 of 200, allowed 5%"]
