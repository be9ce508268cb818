"""What the overview calls well."""

from __future__ import annotations

from pathlib import Path

from tests.runs import house

from scimsync import bootstrap
from scimsync.services.overview import overview


def test_each_plan_that_nothing_overtook_waits_and_none_else(tmp_path: Path) -> None:
    with house(tmp_path, users=12) as home:
        home.settle()
        one, two = home.active(2)
        home.set(one, job_title="Lead")
        home.plan()
        home.set(two, job_title="Lead")
        whole, alone = home.plan().id, home.plan(two.employee_id).id
        with bootstrap.open_store(home.settings()) as store:
            told = overview(home.settings(), store).waiting
        assert [(x.run, x.kind, x.number) for x in told] == [(alone, "plan", 1), (whole, "plan", 2)]
        home.apply(alone)  # whole rests on what was before
        with bootstrap.open_store(home.settings()) as store:
            assert not overview(home.settings(), store).waiting


def test_nothing_is_well_after_a_run_in_which_a_leaver_could_not_be_disabled(tmp_path: Path) -> None:
    with house(tmp_path, users=12) as home:
        home.settle()
        (leaver,) = home.active(1)
        home.set(leaver, status="inactive")
        home.fault({"on": "patch", "kind": "status", "status": 403, "times": 1})
        _, report = home.sync()
        assert set(report.kept) == {leaver.employee_id}
        with bootstrap.open_store(home.settings()) as store:
            told = overview(home.settings(), store)
        assert not told.is_well
        assert ("undone", 1) in {(one.kind, one.number) for one in told.waiting}
        home.sync()
        with bootstrap.open_store(home.settings()) as store:
            assert "undone" not in {one.kind for one in overview(home.settings(), store).waiting}
