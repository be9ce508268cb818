"""Decisions answer conflicts, and nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import make_leaver, make_pair, make_policy, mapped
from tests.soak import examples
from tests.strategies import placed_sides

from scimsync.core import deciding
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.merge import merge
from scimsync.core.planner import plan_leaver, plan_pair
from scimsync.model.decisions import Decision, Decisions, Scope, Wins
from scimsync.model.plans import Action, Sides, Verdict
from scimsync.model.policy import Authority, Policy
from scimsync.scim.schema import Place

MOMENT = datetime(2026, 11, 28, 12, tzinfo=UTC)
TODAY = MOMENT.date()
SIDES = Sides(desired="Lead", current="Chief", base="Clerk", known=True)


def make_decision(wins: Wins = Wins.HR, key: str = "E1", path: str = "title", **more: Any) -> Decision:
    given: dict[str, Any] = {"id": "d1", "actor": "ada@laptop", "at": MOMENT, **more}
    return Decision(key=key, path=path, wins=wins, **given)


def once(wins: Wins, sides: Sides = SIDES, **more: Any) -> Decision:
    return make_decision(wins, sides=deciding.mark(sides, "d1"), **more)


def asking(*decisions: Decision, path: str = "title") -> Policy:
    policy = make_policy("userName", path, authority=Authority.ASK)
    return replace(policy, decisions=Decisions.of(decisions, TODAY))


def of_title(policy: Policy, sides: Sides = SIDES, **more: Any) -> tuple[Verdict | None, str, Authority | None]:
    login = {"userName": "ada@example.com"}
    base = {**login, "title": sides.base} if sides.known else login
    pair = make_pair({**login, "title": sides.desired}, {**login, "title": sides.current}, base, **more)
    planned = plan_pair(pair, policy)
    found = [d for c in (planned.change, planned.notice) if c for d in c.deltas if d.path == "title"]
    return (found[0].verdict, found[0].decided, found[0].authority) if found else (None, "", None)


def test_without_a_decision_a_conflict_stays_one() -> None:
    assert of_title(asking()) == (Verdict.CONFLICT, "", Authority.ASK)


@pytest.mark.parametrize(("wins", "verdict"), [(Wins.HR, Verdict.WRITE), (Wins.DIRECTORY, Verdict.KEEP)])
def test_decided_for_once_it_answers_these_values_and_lends_no_authority(wins: Wins, verdict: Verdict) -> None:
    policy = asking(once(wins))
    assert of_title(policy) == (verdict, "d1", Authority.ASK)
    for moved in ({"desired": "Boss"}, {"current": "Boss"}, {"base": "Boss"}, {"known": False, "base": None}):
        assert of_title(policy, replace(SIDES, **moved))[0] is Verdict.CONFLICT


def test_decided_for_a_person_or_for_everybody_it_answers_whatever_the_values() -> None:
    for decision in (make_decision(), make_decision(key="")):
        assert of_title(asking(decision)) == (Verdict.WRITE, "d1", Authority.LOCAL_WINS)
        assert of_title(asking(decision), replace(SIDES, current="Boss"))[0] is Verdict.WRITE


def test_a_decision_about_the_person_comes_before_one_about_everybody() -> None:
    policy = asking(make_decision(Wins.DIRECTORY, key="", id="all"), make_decision(Wins.HR, id="mine"))
    assert of_title(policy)[:2] == (Verdict.WRITE, "mine")
    assert of_title(policy, key="E2")[:2] == (Verdict.KEEP, "all")


def test_what_hr_alone_changed_is_written_whatever_was_decided() -> None:
    policy = asking(make_decision(Wins.DIRECTORY))
    assert of_title(policy, replace(SIDES, current="Clerk")) == (Verdict.WRITE, "", Authority.ASK)


def test_of_somebody_who_is_protected_nothing_is_written_whatever_was_decided() -> None:
    policy = replace(asking(make_decision()), protected=frozenset({"e1"}))
    assert of_title(policy)[0] is None


def test_decided_that_hr_wins_access_is_taken_away_and_apart_from_the_rest() -> None:
    login = {"userName": "ada@example.com"}
    pair = make_pair({**login, ACTIVE: False}, {**login, ACTIVE: True}, {**login, ACTIVE: False})
    assert plan_pair(pair, asking(path=ACTIVE)).change is None
    change = plan_pair(pair, asking(make_decision(path=ACTIVE), path=ACTIVE)).change
    assert change is not None
    assert (change.action, change.deltas[0].decided) == (Action.DISABLE, "d1")


def test_a_leaver_who_was_made_active_by_hand_loses_access_where_somebody_decided_so() -> None:
    leaver, active = make_leaver(agreed=False), mapped(ACTIVE, authority=Authority.ASK)
    held = plan_leaver(leaver, asking(path=ACTIVE), active)
    assert held.change is None
    decided = asking(make_decision(key="E9", path=ACTIVE), path=ACTIVE)
    change = plan_leaver(leaver, decided, active).change
    assert change is not None
    assert change.operations
    stays = asking(make_decision(Wins.DIRECTORY, key="E9", path=ACTIVE), path=ACTIVE)
    assert plan_leaver(leaver, stays, active).change is None


def test_what_others_fill_is_not_overwritten_by_a_decision() -> None:
    where = replace(mapped("title", authority=Authority.ASK), place=replace(mapped("title").place, filled=True))
    found = Decisions.of([make_decision()], TODAY)
    merged, _, decided = deciding.answer(found, "E1", where, SIDES, merge(where.place, SIDES, Authority.ASK))
    assert merged is not None
    assert (merged.verdict, decided) == (Verdict.KEEP, "d1")


@given(placed_sides(), st.sampled_from(Authority), st.sampled_from(Wins), st.booleans())
@settings(max_examples=examples(400, 60), deadline=None)
def test_a_decision_changes_nothing_but_conflicts_and_that_as_the_authority_of_the_side_would(
    given_: tuple[Place, Sides], authority: Authority, wins: Wins, lasting: bool
) -> None:
    where, sides = given_
    attribute = replace(mapped("title", authority=authority), place=where)
    decision = make_decision(wins, path=attribute.path, sides="" if lasting else deciding.mark(sides, "d1"))
    plain = merge(where, sides, authority)
    merged, _, decided = deciding.answer(Decisions.of([decision], TODAY), "E1", attribute, sides, plain)
    if plain is None or plain.verdict is not Verdict.CONFLICT:
        assert (merged, decided) == (plain, "")
    else:
        said = merge(where, sides, deciding.authority_of(wins))
        assert merged is not None
        assert said is not None
        assert (merged.verdict, merged.value) == (said.verdict, said.value)


def test_a_decision_holds_through_its_last_day() -> None:
    ends = make_decision(until=date(2026, 12, 31))
    assert ends.holds(date(2026, 12, 31))
    assert not ends.holds(date(2027, 1, 1))
    assert not replace(ends, ended=MOMENT).holds(TODAY)
    assert [one.scope for one in (make_decision(), once(Wins.HR), make_decision(key=""))] == [
        Scope.PERSON,
        Scope.ONCE,
        Scope.ATTRIBUTE,
    ]


def test_equal_values_of_two_decisions_look_different_and_no_value_stands_in_the_mark() -> None:
    assert deciding.mark(SIDES, "d1") != deciding.mark(SIDES, "d2")
    assert "Lead" not in deciding.mark(SIDES, "d1")
