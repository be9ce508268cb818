"""How much may change: of one plan, of several runs together, and of the values that are taken away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import SKILLS, make_change, make_delta, mapped, skills

from scimsync.core import limits
from scimsync.core.limits import CLEAR, Demand, Past, clearing, demands, done, refusals, spare
from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import Action, Change, Finding, Tally, Verdict
from scimsync.model.policy import Limit, Limits

DAY = timedelta(days=1)
ACTIONS = [action.value for action in Action if action is not Action.RESTORE]


def told(counted: Tally, given: Limits, *overrides: str, **more: Any) -> list[Finding]:
    return [*refusals(demands(counted, given), overrides, **more)]


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


# --- one plan -----------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("limit", "number", "refused"),
    [
        (Limit(count=5), 5, False),
        (Limit(count=5), 6, True),
        (Limit(count=0), 1, True),
        (Limit(share=0.05), 5, False),
        (Limit(share=0.05), 6, True),
        (Limit(share=0.05, floor=7), 7, False),
        (Limit(share=0.05, floor=7), 8, True),
        (Limit(share=0.0), 1, True),
        (Limit(share=1.0), 200, False),
        (Limit(), 100, False),
    ],
)
def test_a_plan_beyond_a_limit_is_refused(*, action: str, limit: Limit, number: int, refused: bool) -> None:
    counted = Tally(records=100, linked=100, actions={action: number})
    assert codes(told(counted, Limits(**{action: limit}))) == ([f"limits.{action}"] if refused else [])  # type: ignore[arg-type]


def test_a_refusal_is_overridden_by_its_own_rule_only() -> None:
    counted = Tally(records=10, linked=10, actions={"disable": 9, "create": 9})
    given = Limits(disable=Limit(count=1), create=Limit(count=1))
    assert codes(told(counted, given, "limits.disable")) == ["limits.create"]
    assert told(counted, given, "limits.disable", "limits.create") == []
    assert len(told(counted, given, "limits.update")) == 2


def test_shares_are_of_the_linked_accounts_and_of_the_records_for_joiners() -> None:
    limit = Limit(share=0.5)
    assert told(Tally(linked=10, records=0, actions={"disable": 5}), Limits(disable=limit)) == []
    assert told(Tally(linked=0, records=10, actions={"create": 5}), Limits(create=limit)) == []
    assert told(Tally(linked=0, records=10, actions={"disable": 5}), Limits(disable=limit)) != []


def test_whom_an_account_is_given_back_is_made_one() -> None:
    counted = Tally(records=10, actions={"create": 3, "restore": 3})
    assert codes(told(counted, Limits(create=Limit(count=5)))) == ["limits.create"]


def test_giving_access_back_is_limited_like_taking_it() -> None:
    assert codes(told(Tally(linked=150, actions={"enable": 50}), Limits())) == ["limits.enable"]
    assert told(Tally(linked=10, actions={"enable": 3}), Limits()) == []


# --- several runs -------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 300), st.integers(0, 20))
def test_in_however_many_steps_no_more_is_done_than_in_one(steps: list[int], linked: int, count: int) -> None:
    limit, total = Limit(share=0.05, floor=count), 0
    for number in steps:
        before = Past(leavers_window=DAY, done={"disable": total})
        if not told(Tally(linked=linked, actions={"disable": number}), Limits(disable=limit), past=before):
            total += number
    assert limit.allows(total, linked)


def test_a_refusal_tells_what_was_done_before_and_what_is_wanted_now() -> None:
    before = Past(leavers_window=DAY, done={"disable": 24})
    (found,) = told(Tally(linked=200, actions={"disable": 9}), Limits(), past=before)
    assert found.detail == "24 in the last day and 9 now of 200, allowed 5%"


def test_who_wants_nothing_is_not_refused_for_what_others_did() -> None:
    assert told(Tally(linked=200), Limits(), past=Past(window=DAY, done={"disable": 100})) == []


def test_what_is_frozen_is_refused_to_a_plan_for_some_people_and_to_it_only() -> None:
    counted, before = Tally(linked=200, actions={"disable": 1, "update": 5}), Past(frozen={"disable": "run-1"})
    (found,) = told(counted, Limits(), past=before, partial=True)
    assert found.code == "limits.disable"
    assert "run-1" in found.detail
    assert "scimsync apply run-1 --override limits.disable" in found.hint
    assert told(counted, Limits(), past=before) == []
    assert told(counted, Limits(), "limits.disable", past=before, partial=True) == []
    assert told(Tally(linked=200, actions={"update": 5}), Limits(), past=before, partial=True) == []


# --- what a run did -----------------------------------------------------------------------------


def outcome(status: Status = Status.DONE, **written: Any) -> Outcome:
    return Outcome(key="E1", status=status, account="u1", written=written)


@pytest.mark.parametrize(
    ("parts", "counted"),
    [
        ([outcome(active=False)], {"disable": 1}),
        ([outcome(active=False), outcome(title="Lead")], {"disable": 1}),
        ([outcome(active=True, title="Lead")], {"enable": 1}),
        ([outcome(title="Lead")], {"update": 1}),
        ([outcome(title=None, division=None)], {"update": 1, "clear title": 1, "clear division": 1}),
        ([outcome(Status.HELD, active=False)], {"disable": 1}),
        ([outcome(Status.ALREADY, active=False)], {}),
        ([outcome(Status.FAILED)], {}),
        ([], {}),
    ],
)
def test_what_was_written_counts_whatever_else_became_of_the_person(
    parts: list[Outcome], counted: dict[str, int]
) -> None:
    assert done([("E1", parts)], set()) == counted


def test_a_joiner_counts_as_created_and_clears_nothing() -> None:
    assert done([("E1", [outcome(active=True, title=None)]), ("E2", [outcome(Status.FAILED)])], {"E1", "E2"}) == {
        "create": 1
    }


# --- values that are taken away -----------------------------------------------------------------

ATTRIBUTES = [mapped("title"), mapped("enterprise:department"), mapped(SKILLS)]


def losing(number: int, *paths: str, others: tuple[Any, ...] = ()) -> Change:
    deltas = tuple(make_delta(path, None, "x") for path in paths) + others
    return make_change(f"E{number}", deltas=deltas)


def spared(changes: list[Change], given: Limits, linked: int = 100) -> tuple[list[Change], list[Finding]]:
    found = refusals(clearing(changes, given, linked))
    left = spare(changes, {finding.path: finding for finding in found}, ATTRIBUTES)
    return [*left.changes], [*left.findings]


def test_values_beyond_the_limit_stay_and_the_rest_of_the_change_goes_on() -> None:
    more = make_delta("enterprise:department", "Al", "Bo")
    changes = [losing(n, "title") for n in range(11)] + [losing(11, "title", others=(more,)), make_change("E99")]
    left, (finding,) = spared(changes, Limits())
    assert [(c.key, [d.path for d in c.deltas]) for c in left] == [("E11", ["enterprise:department"]), ("E99", [])]
    assert [str(o.path).rpartition(":")[2] for o in left[0].operations] == ["department"]
    assert (finding.code, finding.path, finding.holds) == (CLEAR, "title", True)
    assert finding.summary == "this run would clear title of 12 people; it is left alone there"
    assert finding.detail == "12 of 100, allowed 5%: E0, E1, E2, E3, E4 and 7 more"


def test_each_attribute_counts_by_itself_and_may_have_a_limit_of_its_own() -> None:
    changes = [losing(n, "title", "enterprise:department") for n in range(6)]
    assert spared(changes, Limits()) == (changes, [])
    left, findings = spared(changes, Limits(clears={"title": Limit(count=5)}))
    assert [finding.path for finding in findings] == ["title"]
    assert {d.path for change in left for d in change.deltas} == {"enterprise:department"}


def test_a_list_that_would_be_empty_is_a_value_that_goes_and_one_that_shrinks_is_none() -> None:
    gone = make_delta(SKILLS, None, skills(a=1))
    shrinks = make_delta(SKILLS, skills(a=1), skills(a=1, b=2))
    blank = make_delta("title", None, None)
    kept = make_delta("title", None, "x", verdict=Verdict.KEEP)
    assert [limits.clears(delta) for delta in (gone, shrinks, blank, kept)] == [True, False, False, False]


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 400))
def test_nothing_is_taken_away_beyond_the_limit(before: int, number: int, linked: int) -> None:
    changes = [losing(n, "title") for n in range(number)]
    past = Past(window=DAY, done={"clear title": before})
    found = refusals(clearing(changes, Limits(), linked), past=past)
    left = spare(changes, {finding.path: finding for finding in found}, ATTRIBUTES)
    assert not left.changes or Limits().clear.allows(before + len(left.changes), linked)
    assert bool(left.findings) is (len(left.changes) < number)


def test_a_frozen_kind_is_asked_about_though_nobody_wants_it() -> None:
    assert [*clearing([], Limits(), 10, ["clear title", "disable"])] == [
        Demand(kind="clear title", number=0, of=10, limit=Limits().clear)
    ]
