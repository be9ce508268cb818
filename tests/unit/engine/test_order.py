"""Order is a number: what comes first does not depend on what a clock says."""

from __future__ import annotations

import asyncio
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.engine.test_whole_runs import Company, run_once, twin_of

from scimsync.engine.applying import apply_plan
from scimsync.engine.preceding import unfinished
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts, check_plan
from scimsync.engine.urgency import is_urgent
from scimsync.errors import PlanStale
from scimsync.model.outcomes import RunState
from scimsync.model.plans import Plan
from scimsync.services import planning

TWO_HOURS = 7200.0


class Silent:
    def stage(self, name: str, total: int | None = None) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def say(self, text: str) -> None: ...


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return twin_of(run_once, tmp_path / "artifacts")


def retitle(company: Company, title: str, *keys: str) -> Plan:
    for key in keys or ("E1",):
        company.rows[key]["title"] = title
    return company.plan()


def test_apply_means_the_plan_that_was_shown_last_though_the_clock_stepped_back_between_two(company: Company) -> None:
    retitle(company, "AAA")
    company.clock.advance(-TWO_HOURS)
    shown = retitle(company, "BBB")
    found, run = planning.find_plan(company.store, "")
    assert found == shown
    assert run is not None
    company.apply(found)
    assert company.account("E1")["title"] == "BBB"


def test_a_run_that_was_killed_is_seen_though_the_clock_stepped_back_before_it(company: Company) -> None:
    company.clock.advance(-TWO_HOURS)
    plan = retitle(company, "Lead")
    run = company.store.run(plan.id)
    assert run is not None
    company.store.save_run(replace(run, state=RunState.APPLYING))
    found = unfinished(company.store)
    assert found is not None
    assert found.id == plan.id


def test_a_run_that_was_killed_is_seen_behind_any_number_of_plans(company: Company) -> None:
    killed = retitle(company, "Lead")
    run = company.store.run(killed.id)
    assert run is not None
    for number in range(60):
        company.store.save_run(replace(run, id=f"later-{number}"))
    company.store.save_run(replace(run, state=RunState.APPLYING))
    found = unfinished(company.store)
    assert found is not None
    assert found.id == killed.id


def test_a_plan_from_before_a_run_that_was_killed_is_stale_and_one_from_after_it_is_not(company: Company) -> None:
    killed, before = retitle(company, "Lead"), retitle(company, "Chief")
    run = company.store.run(killed.id)
    assert run is not None
    company.store.save_run(replace(run, state=RunState.APPLYING))
    with pytest.raises(PlanStale, match=f"scimsync apply {killed.id}"):
        company.apply(before)
    assert company.apply(retitle(company, "Chief")).clean


def test_a_killed_run_can_be_gone_on_with_and_no_plan_of_before_after_it(company: Company) -> None:
    killed = retitle(company, "Lead")
    before = retitle(company, "Chief")
    run = company.store.run(killed.id)
    assert run is not None
    company.store.save_run(replace(run, state=RunState.APPLYING))
    assert company.apply(killed).clean
    with pytest.raises(PlanStale, match="another run was applied"):
        company.apply(before)


@pytest.mark.parametrize(("step", "fresh"), [(-TWO_HOURS, False), (-60.0, True), (25 * 3600.0, False)])
def test_a_plan_whose_age_nobody_can_tell_is_not_applied_unless_somebody_says_so(
    company: Company, step: float, fresh: bool
) -> None:
    plan = retitle(company, "Lead")
    company.clock.advance(step)
    if fresh:
        assert company.apply(plan).clean
        return
    with pytest.raises(PlanStale, match=r"plan\.age"):
        company.apply(plan)
    ports = ApplyPorts(target=company.target, store=company.store, clock=company.clock, observer=Silent())
    options = ApplyOptions(policy=company.policy, configuration="c", overrides={"plan.age": "the clock was mended"})
    run = check_plan(plan, company.store.run(plan.id), ports, options)
    assert asyncio.run(apply_plan(plan, run, ports, options)).clean


def test_a_second_that_comes_twice_makes_no_two_runs_of_one_name(company: Company) -> None:
    company._fresh = cycle([1, 1, 2])  # type: ignore[assignment]
    first = company.plan()
    company.clock.advance(-1)
    second = company.plan()
    assert first.id[:-1] == second.id[:-1]
    assert first.id != second.id


def test_what_was_written_before_the_clock_stepped_back_is_still_known_to_be_newer_than_the_listing(
    company: Company,
) -> None:
    company._fresh = count(100)
    company.target.lag()
    retitle(company, "Lead", "E1", "E2")
    company.sync()
    company.clock.advance(-TWO_HOURS)
    assert not company.plan().changes


def test_all_that_is_asked_to_take_access_is_urgent_and_nothing_else(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.rows["E1"]["status"] = "left"
    plan = retitle(company, "Lead", "E2", "E3")
    asked: dict[str, set[bool]] = {}
    patch = company.target.patch

    async def watched(account: str, *given: Any) -> Any:
        asked.setdefault(account, set()).add(is_urgent())
        return await patch(account, *given)

    monkeypatch.setattr(company.target, "patch", watched)
    company.apply(plan)
    accounts = {change.key: str(change.account) for change in plan.changes}
    assert asked == {accounts["E1"]: {True}, accounts["E2"]: {False}, accounts["E3"]: {False}}
