"""Two sources on one state, and one source under two names: whose people a reading speaks about."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.soak import WHOLE
from tests.unit.engine.test_whole_runs import Company, codes

from scimsync.core import owning
from scimsync.errors import PersonUnknown
from scimsync.model.outcomes import LinkDecision, RunState
from scimsync.model.plans import Action, Finding, Plan, Severity

HR, CONTRACTORS = "hr.csv (1)", "contractors.csv (2)"


class Side(Company):
    """One of the sources on a common state and directory."""

    def __init__(self, folder: Path, source: str, people: range, *, beside: Company | None = None) -> None:
        super().__init__(folder, 0)
        self.source = source
        self.rows = {f"E{n}": self.person(n) for n in people}
        if beside is not None:
            self.target, self.store, self.clock, self._fresh = beside.target, beside.store, beside.clock, beside._fresh

    def drop(self, *keys: str) -> None:
        for key in keys:
            del self.rows[key]


def finding(plan: Plan, code: str) -> Finding:
    (found,) = (each for each in plan.findings if each.code == code)
    return found


def disabled(plan: Plan) -> set[str]:
    return {change.key for change in plan.changes if change.action is Action.DISABLE}


def owners(side: Company) -> dict[str, int]:
    names = [link.source for link in side.store.links()]
    return {name: names.count(name) for name in names}


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Side, Side]:
    """Forty people of HR and three contractors, each with an account and a link of their own source."""
    hr = Side(tmp_path, HR, range(40))
    contractors = Side(tmp_path, CONTRACTORS, range(100, 103), beside=hr)
    hr.sync()
    contractors.sync()
    return hr, contractors


# Two sources


def test_neither_of_two_sources_takes_the_people_of_the_other_for_leavers_however_often_they_run(
    sides: tuple[Side, Side],
) -> None:
    for side in sides * 3:
        plan = side.sync()
        assert not plan.changes
        assert plan.tally.unmanaged == 0
        assert not plan.refusals
    assert owners(sides[0]) == {HR: 40, CONTRACTORS: 3}


def test_each_source_disables_its_own_leavers_and_no_others(sides: tuple[Side, Side]) -> None:
    hr, contractors = sides
    hr.drop("E7")
    contractors.drop("E101")
    assert disabled(contractors.sync()) == {"E101"}
    assert disabled(hr.sync()) == {"E7"}
    assert not hr.account("E7")["active"]


def test_a_second_source_says_how_many_people_it_says_nothing_about_loudly_once_and_then_by_the_way(
    sides: tuple[Side, Side], tmp_path: Path
) -> None:
    hr, contractors = sides
    third = Side(tmp_path, "third", range(200, 202), beside=hr)
    loud = [f for f in third.plan().findings if f.code == "source.second"]
    assert [(f.severity, f.detail) for f in loud] == [
        (Severity.WARNING, f"3 people of {CONTRACTORS}, 0 of them in third"),
        (Severity.WARNING, f"40 people of {HR}, 0 of them in third"),
    ]
    assert "[source] name" in loud[0].hint
    assert finding(contractors.plan(), "source.second").severity is Severity.INFO


def test_people_whose_source_runs_no_more_are_told_of_loudly_again(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    hr, contractors = sides
    nights = owning.SILENT if WHOLE else 5
    monkeypatch.setattr(owning, "SILENT", nights)
    for number in range(nights):
        hr.rows["E1"]["title"] = f"Title {number}"
        hr.sync()
    told = finding(hr.plan(), "source.second")
    assert (told.severity, told.detail.partition("; ")[2]) == (
        Severity.WARNING, f"none of the last {nights} runs was about them"
    )  # fmt: skip
    contractors.sync()
    assert finding(hr.plan(), "source.second").severity is Severity.INFO


def test_each_source_is_judged_by_its_own_last_reading(sides: tuple[Side, Side]) -> None:
    hr, contractors = sides
    assert "source.rows-drop" not in codes(contractors.sync()) | codes(hr.sync())
    hr.drop(*(f"E{n}" for n in range(20)))
    contractors.sync()
    plan = hr.plan()
    assert "source.rows-drop" in codes(plan)
    assert disabled(plan) == set()


def test_what_was_agreed_with_one_source_stays_agreed_when_another_with_less_in_its_mapping_runs(
    sides: tuple[Side, Side],
) -> None:
    hr, contractors = sides
    del contractors.mapping["title"]
    contractors.sync()
    hr.edit("E1", title="By hand")
    plan = hr.plan()
    (change,) = plan.changes
    assert [(delta.path, delta.sides.base) for delta in change.deltas] == [("title", "Agent")]


def test_asking_one_source_for_a_person_of_the_other_is_refused(sides: tuple[Side, Side]) -> None:
    with pytest.raises(PersonUnknown, match="E101"):
        sides[0].plan(only=("E101",))


# Keys and accounts of others


def test_a_key_that_another_source_has_is_held_and_both_sources_are_named(sides: tuple[Side, Side]) -> None:
    hr, contractors = sides
    contractors.rows["E7"] = contractors.person(107) | {"id": "E7"}
    before = hr.account("E7") | {}
    plan = contractors.sync()
    told = finding(plan, "correlation.other-source")
    assert (told.subject, told.holds) == ("E7", True)
    assert HR in told.detail
    assert CONTRACTORS in told.detail
    assert hr.account("E7") == before
    assert not plan.changes
    assert not hr.plan().changes


@pytest.mark.parametrize(("active", "held"), [(True, True), (False, False)])
def test_a_closed_record_under_the_key_of_another_source_waits_only_while_that_person_has_access(
    sides: tuple[Side, Side], active: bool, held: bool
) -> None:
    hr, contractors = sides
    contractors.rows["E7"] = contractors.person(107) | {"id": "E7", "status": "left"}
    hr.edit("E7", active=active)
    assert ("correlation.other-source" in codes(contractors.plan())) is held


def test_a_reference_to_a_key_that_means_somebody_else_in_another_source_is_left_alone(
    sides: tuple[Side, Side],
) -> None:
    hr, contractors = sides
    contractors.rows["E7"] = contractors.person(107) | {"id": "E7"}
    contractors.rows["E100"]["boss"] = "E7"
    contractors.rows["E101"]["boss"] = "E8"  # whom only HR has: the manager may stand there
    plan = contractors.sync()
    bosses = {change.key: delta.sides.desired for change in plan.changes for delta in change.deltas}
    assert bosses == {"E101": hr.account("E8")["id"]}


def test_an_account_of_another_source_is_neither_taken_nor_made_twice(sides: tuple[Side, Side]) -> None:
    hr, contractors = sides
    contractors.rows["X7"] = contractors.person(7) | {"id": "X7"}  # the login of E7
    plan = contractors.sync()
    told = finding(plan, "correlation.other-source")
    assert (told.subject, told.holds) == ("X7", True)
    assert "E7" in told.detail
    assert not plan.changes
    assert not hr.plan().changes


def test_a_reference_that_waits_in_one_source_is_not_forgotten_by_the_other(sides: tuple[Side, Side]) -> None:
    hr, contractors = sides
    hr.rows["E1"]["boss"] = "E50"
    hr.rows["E50"] = hr.person(50) | {"email": "no address"}  # gets no account
    hr.sync()
    assert [edge.key for edge in hr.store.deferred()] == ["E1"]
    plan = contractors.sync()
    assert [edge.key for edge in hr.store.deferred()] == ["E1"]
    assert "reference.deferred" not in codes(plan)


# One source under another name


def test_a_source_that_moved_is_known_by_its_people_and_its_leavers_are_still_seen(tmp_path: Path) -> None:
    hr = Side(tmp_path, HR, range(40))
    hr.sync()
    hr.source = "people.csv (3)"
    hr.drop("E7")
    plan = hr.plan()
    assert disabled(plan) == {"E7"}
    told = finding(plan, "source.renamed")
    assert told.detail == f"{HR} is people.csv (3) now: 39 of 40 people are in this reading"
    assert owners(hr) == {HR: 40}  # a plan that is not applied leaves them
    hr.apply(plan)
    assert owners(hr) == {"people.csv (3)": 40}
    assert not codes(hr.plan())


def test_people_who_left_long_ago_do_not_hide_that_a_source_is_the_same(tmp_path: Path) -> None:
    hr = Side(tmp_path, HR, range(40))
    hr.sync()
    for start in (0, 3, 6, 9, 12, 15, 18, 21, 24):
        hr.drop(*(f"E{n}" for n in range(start, start + 3)))
        hr.sync()
    hr.source = "people.csv (3)"
    assert len(hr.rows) == 13
    assert "source.renamed" in codes(hr.plan())


def test_a_source_that_moved_is_measured_by_what_it_was(tmp_path: Path) -> None:
    hr = Side(tmp_path, HR, range(40))
    hr.sync()
    hr.source = "people.csv (3)"
    hr.drop(*(f"E{n}" for n in range(15)))
    plan = hr.plan()
    assert {"source.renamed", "source.rows-drop"} <= codes(plan)
    assert disabled(plan) == set()


def test_a_source_that_moved_and_has_few_of_its_people_left_is_a_second_one_and_says_so(tmp_path: Path) -> None:
    hr = Side(tmp_path, HR, range(40))
    hr.sync()
    hr.source = "people.csv (3)"
    hr.drop(*(f"E{n}" for n in range(21)))
    plan = hr.sync()
    assert finding(plan, "source.second").severity is Severity.WARNING
    assert finding(plan, "source.second").detail == f"40 people of {HR}, 19 of them in people.csv (3)"
    assert len([f for f in plan.findings if f.code == "correlation.other-source"]) == 19
    assert not plan.changes
    again = Side(tmp_path, "people.csv (3)", range(40), beside=hr).sync()  # the whole file, the day after
    assert "source.renamed" in codes(again)
    assert not again.changes


def test_a_source_whose_people_went_to_another_does_not_take_them_back_unless_somebody_says_so(
    sides: tuple[Side, Side], tmp_path: Path
) -> None:
    hr, _ = sides
    both = Side(tmp_path, "all.csv (4)", range(60), beside=hr)
    refused = both.plan()  # two sources could be meant by it, so none is
    assert "source.renamed" not in codes(refused)
    both.apply(both.plan(overrides=("source.second",)))
    assert owners(hr) == {"all.csv (4)": 60, CONTRACTORS: 3}
    plan = hr.plan()
    assert disabled(plan) == set()
    assert len([f for f in plan.findings if f.code == "correlation.other-source"]) == 40
    assert "source.renamed" in codes(hr.plan(overrides=("source.second",)))


def test_links_of_an_earlier_version_belong_to_the_first_source_that_has_most_of_their_people(tmp_path: Path) -> None:
    hr = Side(tmp_path, "", range(40))
    hr.sync()
    contractors = Side(tmp_path, CONTRACTORS, range(100, 103), beside=hr)
    plan = contractors.sync()
    assert finding(plan, "source.second").detail.startswith("40 people of no named source")
    assert disabled(plan) == set()
    hr.source = HR
    hr.drop("E7")
    plan = hr.sync()
    assert disabled(plan) == {"E7"}
    assert {f.code for f in plan.findings} == {"source.second"}  # quiet about the take-over itself
    assert owners(hr) == {HR: 40, CONTRACTORS: 3}


def test_a_run_that_took_people_over_and_was_killed_takes_them_over_when_it_is_gone_on_with(tmp_path: Path) -> None:
    hr = Side(tmp_path, HR, range(40))
    hr.sync()
    hr.source = "people.csv (3)"
    plan = hr.plan()
    run = hr.store.run(plan.id)
    assert run is not None
    hr.store.save_run(replace(run, state=RunState.APPLYING))
    assert hr.apply(plan).clean
    assert owners(hr) == {"people.csv (3)": 40}


def test_a_link_that_a_person_made_without_a_source_counts_at_once(sides: tuple[Side, Side]) -> None:
    hr, _ = sides
    hr.rows["E300"] = hr.person(300) | {"email": "p5@example.com"}
    hr.store.decide_link(LinkDecision("E300", hr.account("E5")["id"], same=True, actor="ada"))
    hr.drop("E5")
    hr.sync()
    assert {link.key: link.source for link in hr.store.links()}["E300"] == HR
