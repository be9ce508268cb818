"""Whole runs where listings and filters show a write late: the next plan knows what was written all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, actions, codes, command, house

from scimsync.errors import TargetDenied

LAG = 60_000


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, search_lag_ms=LAG) as found:
        found.settle()
        yield found


def test_a_plan_right_after_a_first_run_reads_again_and_finds_nothing_to_do(home: House) -> None:
    made = home.plan()
    assert actions(made) == {}
    assert made.findings == ()


def test_a_joiner_a_mover_a_leaver_and_a_rehire_are_planned_once(home: House) -> None:
    mover, leaver, lost = home.active(3)
    rehire = next(p for p in home.people if not p.active)
    joiner = home.newcomer(1, manager_id=home.people[0].employee_id)
    report = home.newcomer(2, manager_id=joiner.employee_id)
    home.hire(joiner, report)
    home.set(mover, job_title="Deputy")
    home.set(leaver, status="inactive")
    home.dismiss(lost)
    home.set(rehire, status="active")
    made, applied = home.sync()
    assert len(made.changes) == 6
    assert applied.statuses.keys() == {"done"}, applied.statuses
    for _ in range(2):
        home.quiet()
    assert home.manager(report) == home.account(joiner)["id"]
    assert home.account(lost)["active"] is False


def test_counts_are_those_of_the_directory_as_it_is(home: House) -> None:
    before = home.plan().tally
    joiner, leaver = home.newcomer(1), home.active(1)[0]
    home.hire(joiner)
    home.dismiss(leaver)
    home.sync()
    after = home.plan().tally
    assert (after.accounts, after.linked) == (before.accounts + 1, before.linked)
    assert after.unmanaged == before.unmanaged


def test_a_joiner_who_moves_leaves_and_comes_back_within_the_lag_keeps_one_account(home: House) -> None:
    joiner = home.newcomer(1)
    home.hire(joiner)
    home.sync()
    home.set(joiner, job_title="Deputy", email="other.name@example.com")
    made, report = home.sync()
    assert actions(made) == {joiner.employee_id: "update"}
    assert report.clean, report.outcomes
    home.dismiss(joiner)
    made, report = home.sync()
    assert actions(made) == {joiner.employee_id: "disable"}
    assert report.clean
    home.hire(joiner)
    made, report = home.sync()
    assert actions(made) == {joiner.employee_id: "enable"}
    assert report.statuses.keys() == {"done"}
    assert home.account(joiner)["active"] is True
    home.quiet()
    assert home.stats()["post"] == 1


def test_an_account_is_called_gone_only_where_reading_it_by_id_says_so(home: House) -> None:
    joiner = home.newcomer(1)
    home.hire(joiner)
    home.sync()
    assert "account.gone" not in codes(home.plan())
    home.delete(joiner)
    made = home.plan()
    assert "account.gone" in codes(made)
    assert actions(made) == {joiner.employee_id: "create"}


def test_whoever_cannot_be_read_again_waits(home: House) -> None:
    joiner, mover = home.newcomer(1), home.active(1)[0]
    home.hire(joiner)
    home.set(mover, job_title="Deputy")
    home.sync()
    home.fault({"on": "get", "status": 403, "times": 0})
    home.set(mover, job_title="Director")
    made = home.plan()
    late = {finding.subject for finding in made.findings if finding.code == "target.lagging"}
    assert {joiner.employee_id, mover.employee_id} <= late
    assert not {joiner.employee_id, mover.employee_id} & actions(made).keys()
    home.call("faults", [], "PUT")
    made, report = home.sync()
    assert actions(made) == {mover.employee_id: "update"}
    assert report.clean
    assert home.account(mover)["title"] == "Director"


def test_a_target_that_refuses_us_while_accounts_are_read_again_ends_the_plan_in_words(home: House) -> None:
    home.hire(*(home.newcomer(n) for n in range(1, 20)))
    home.sync()
    home.fault({"on": "get", "status": 401, "times": 0})
    with pytest.raises(TargetDenied):
        home.plan()


def test_the_demo_comes_to_rest(tmp_path: Path) -> None:
    said = command("demo", "--users", "200", "--option", f"search_lag_ms={LAG}", folder=tmp_path)
    assert said.code == 0
    assert "No changes: everything else is what HR says" in said.out


def test_a_listing_that_is_up_to_date_costs_no_further_read(home: House) -> None:
    home.option(search_lag_ms=0)
    home.hire(home.newcomer(1))
    home.sync()
    home.reset()
    home.plan()
    assert home.stats()["get"] == 0
