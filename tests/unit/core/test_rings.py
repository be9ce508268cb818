"""Who stands in which ring, and when no further one is begun."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from scimsync.core.rings import halted, number, places, ring_of, shares_of, step
from scimsync.model.outcomes import Outcome, Status
from scimsync.model.plans import Action, Change, Delta, Lifecycle, Reason, Sides, Verdict
from scimsync.model.policy import Authority, Limits


def change(key: str, awaits: str | None = None) -> Change:
    sides = Sides(desired=None, current=None, base=None, known=False)
    delta = Delta(
        path="manager",
        sides=sides,
        verdict=Verdict.AWAIT,
        reason=Reason.AWAITS,
        authority=Authority.LOCAL_WINS,
        awaits=awaits,
    )
    return Change(
        key=key,
        name=key,
        account=None,
        version="",
        action=Action.CREATE,
        lifecycle=Lifecycle.JOINER,
        deltas=(delta,) if awaits else (),
        operations=(),
    )


@given(st.text(max_size=12), st.lists(st.floats(0.001, 0.99), max_size=4, unique=True), st.floats(0.0001, 0.9))
def test_everybody_stands_in_one_ring_and_a_larger_ring_holds_the_smaller(
    key: str, shares: list[float], more: float
) -> None:
    rings = (*sorted(shares), 1.0)
    assert 0 <= ring_of(key, rings) < len(rings)
    wider = tuple(min(1.0, share + more * (1 - share)) for share in rings)
    assert ring_of(key, wider) <= ring_of(key, rings)


def test_the_rings_hold_about_the_shares_they_say() -> None:
    placed = [ring_of(f"E{n}", (0.01, 0.10, 1.0)) for n in range(20_000)]
    assert [round(placed.count(ring) / 200) for ring in (0, 1, 2)] == [1, 9, 90]


@pytest.mark.parametrize(
    "words", [[], ["10%"], ["10%", "5%", "100%"], ["0%", "100%"], ["100%", "100%"], ["one%", "100%"], ["off", "100%"]]
)
def test_what_cannot_be_rings_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        shares_of(words)


def test_whom_a_joiner_waits_for_is_written_no_later() -> None:
    shares = (0.1, 0.5, 1.0)
    by_ring = {ring_of(f"E{n}", shares): f"E{n}" for n in range(100)}
    boss, lead, agent = by_ring[2], by_ring[1], by_ring[0]
    joiners = [change(agent, awaits=lead), change(lead, awaits=boss), change(boss, awaits="somebody who is there")]
    assert places(joiners, shares) == {agent: 0, lead: 0, boss: 0}
    assert places(reversed(joiners), shares) == {agent: 0, lead: 0, boss: 0}
    assert places([change(boss, awaits=agent), change(agent)], shares) == {boss: 2, agent: 0}


def test_access_is_taken_before_all_rings_and_accounts_are_deleted_after_them() -> None:
    shares = (0.01, 1.0)
    turns = [step(1, turn, len(shares)) for turn in range(6)]
    assert turns == sorted(turns)
    assert [ring for ring, _ in turns] == [-1, -1, 1, 1, 1, 2]


@pytest.mark.parametrize(("bad", "of", "goes_on"), [(3, 4, True), (4, 40, True), (5, 40, False), (30, 100, False)])
def test_a_ring_may_fail_for_a_share_of_its_people_but_never_trips_below_three(
    bad: int, of: int, goes_on: bool
) -> None:
    outcomes = [
        Outcome(key=f"E{n}", status=Status.HELD if n < bad else Status.DONE, code="write.refused" if n < bad else "")
        for n in range(of)
    ]
    told = halted(0, 3, Limits().ring_errors, outcomes)
    assert (told == "") is goes_on
    assert goes_on or f"ring 1 of 3 went wrong for {bad} of {of} people, allowed 10%: E0 (write.refused)" in told


def test_pilots_stand_before_everybody_else_where_there_are_rings() -> None:
    shares = (0.5, 1.0)
    people = [change(f"E{n}") for n in range(20)]
    alone = places(people, shares)
    people[3:5] = [replace(one, pilot=True) for one in people[3:5]]
    found = places(people, shares)
    assert [key for key, ring in found.items() if ring == 0] == ["E3", "E4"]
    assert {key: ring - 1 for key, ring in found.items() if ring} == {k: r for k, r in alone.items() if found[k]}
    assert [number(people, shares), number(people, (1.0,)), number([], shares)] == [3, 1, 2]
    assert set(places(people, (1.0,)).values()) == {0}


def test_whom_a_pilot_who_joins_waits_for_is_written_with_the_pilots() -> None:
    people = [replace(change("E1", awaits="E2"), pilot=True), change("E2"), change("E3")]
    assert places(people, (0.0001, 1.0)) == {"E1": 0, "E2": 0, "E3": 2}
