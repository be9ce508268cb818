"""A large plan is written in rings: one that goes wrong stops the run by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.engine.test_limiting import ALL, Firm
from tests.unit.engine.test_whole_runs import twin_of

from scimsync.core.rings import ring_of
from scimsync.core.sealing import decode, encode
from scimsync.engine.applying import apply_plan
from scimsync.engine.preconditions import check_plan
from scimsync.errors import ConfigError
from scimsync.model.outcomes import Reply, RunState
from scimsync.model.plans import Plan
from scimsync.model.policy import Rings
from scimsync.model.reports import Report
from scimsync.scim.messages import Operation

SHARES = (0.10, 0.5, 1.0)
FIRST = [n for n in range(200) if ring_of(f"E{n}", SHARES) == 0]


class Fussy(Firm):
    """A firm whose directory refuses some titles, and notes in which order people are written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.more = {"rings": Rings(shares=SHARES, least=50)}
        self.refuses: frozenset[str] = frozenset()
        self.order: list[str] = []

    def apply_resumed(self, plan: Plan, *, resume: bool) -> Report:
        ports, options = self.ports()
        options = replace(options, overrides=dict.fromkeys(ALL, "test"), resume=resume)
        return asyncio.run(apply_plan(plan, check_plan(plan, self.store.run(plan.id), ports, options), ports, options))

    def listen(self) -> None:
        patch, people = self.target.patch, {user["id"]: str(user["externalId"]) for user in self.target.users.values()}

        async def heard(account: str, operations: Sequence[Operation], version: str) -> Reply:
            self.order.append(people[account])
            if any(str(op.value) in self.refuses for op in operations):
                return self.target._refused("PATCH", 400, "no such title", "invalidValue")
            return await patch(account, operations, version)

        self.target.patch = heard  # type: ignore[method-assign]


@pytest.fixture
def firm(tmp_path: Path) -> Fussy:
    firm = twin_of(Fussy, tmp_path / "artifacts")
    firm.listen()
    return firm


def new_titles(firm: Fussy, wrong: int = 0) -> None:
    """Everybody gets another title; of ten, `wrong` get one that the directory refuses."""
    for n in range(200):
        firm.rows[f"E{n}"]["title"] = "Wrong" if n % 10 < wrong else "Coach"
    firm.refuses = frozenset({"Wrong"})


def titles(firm: Fussy) -> list[Any]:
    return [user["title"] for user in firm.target.users.values()]


def test_a_mapping_that_makes_three_of_ten_writes_fail_is_stopped_in_the_first_ring(firm: Fussy) -> None:
    new_titles(firm, wrong=3)
    report = firm.apply(firm.plan(), *ALL)
    assert set(firm.order) == {f"E{n}" for n in FIRST}
    assert "ring 1 of 3 went wrong" in report.stopped
    assert f"scimsync apply {report.run} --resume" in report.stopped
    assert len(report.left) == 200 - len(FIRST)
    assert (run := firm.store.run(report.run)) is not None
    assert run.state is RunState.INTERRUPTED


def test_it_says_the_same_until_somebody_looked_and_then_goes_on(firm: Fussy) -> None:
    new_titles(firm, wrong=3)
    plan = firm.plan()
    firm.apply(plan, *ALL)
    firm.order.clear()
    again = firm.apply_resumed(plan, resume=False)
    assert (firm.order, "ring 1 of 3" in again.stopped) == ([], True)
    firm.refuses = frozenset()
    looked = firm.apply_resumed(plan, resume=True)
    assert (looked.stopped, looked.left) == ("", ())
    assert titles(firm).count("Agent") == sum(n % 10 < 3 for n in FIRST)  # the held stay for the next plan
    assert firm.apply(firm.plan(), *ALL).clean
    assert "Agent" not in titles(firm)


def test_a_plan_that_goes_well_reaches_everybody_in_the_order_of_the_rings(firm: Fussy) -> None:
    new_titles(firm)
    assert firm.apply(firm.plan(), *ALL).clean
    placed = [ring_of(key, SHARES) for key in firm.order]
    assert placed == sorted(placed)
    assert len(placed) == 200


def test_who_leaves_loses_access_before_the_first_ring(firm: Fussy) -> None:
    new_titles(firm, wrong=3)
    firm.leave(range(190, 200))
    firm.apply(firm.plan(), *ALL)
    assert set(firm.order[:10]) == {f"E{n}" for n in range(190, 200)}
    assert firm.active == 190


def test_a_short_plan_is_written_as_a_whole(firm: Fussy) -> None:
    for n in range(40):
        firm.rows[f"E{n}"]["title"] = "Wrong"
    firm.refuses = frozenset({"Wrong"})
    assert firm.apply(firm.plan(), *ALL).stopped == ""
    assert len(firm.order) == 40


def test_the_pilots_are_written_before_all_others_and_stop_the_run(firm: Fussy) -> None:
    firm.more = {"rings": Rings(shares=SHARES, least=50, first="id IN ('E1', 'E11', 'E21', 'E31', 'E41')")}
    new_titles(firm, wrong=2)
    plan = firm.plan()
    assert {change.key for change in plan.changes if change.pilot} == {"E1", "E11", "E21", "E31", "E41"}
    assert decode([*encode(plan)]).changes == plan.changes
    report = firm.apply(plan, *ALL)
    assert set(firm.order) == {"E1", "E11", "E21", "E31", "E41"}
    assert "ring 1 of 4 went wrong for 5 of 5 people" in report.stopped


def test_pilots_of_whom_all_goes_well_are_followed_by_the_rings(firm: Fussy) -> None:
    firm.more = {"rings": Rings(shares=SHARES, least=50, first="id IN ('E1', 'E11', 'E21')")}
    new_titles(firm)
    assert firm.apply(firm.plan(), *ALL).clean
    assert set(firm.order[:3]) == {"E1", "E11", "E21"}
    assert set(firm.order[3 : 3 + len(FIRST)]) <= {f"E{n}" for n in FIRST}


def test_a_condition_that_names_no_column_of_the_source_is_refused(firm: Fussy) -> None:
    firm.more = {"rings": Rings(first="site = 'Leeds'")}
    with pytest.raises(ConfigError, match="rings_first"):
        firm.plan()
