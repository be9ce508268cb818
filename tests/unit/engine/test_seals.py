"""What a plan rests on is looked at point by point, and what moved names whom of the plan it concerns."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec.structs import replace
from tests.factories import make_change, make_delta, make_plan

from scimsync.engine.seals import Point, World, age, looked_at, of_itself
from scimsync.model.outcomes import JournalLine, LinkDecision, Outcome, Run, RunState, Status, Step
from scimsync.model.plans import Plan, Seal
from scimsync.testing import MemoryStore

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PARTS = {"attributes.title": "a", "attributes.nickName": "b", "limits": "c"}
PLAN = make_plan(
    created=NOW - timedelta(hours=1),
    seal=Seal(target="t", configuration="c", source="s", base=""),
    parts=PARTS,
    changes=(
        make_change("E1", deltas=(make_delta("title"),)),
        make_change("E2", deltas=(make_delta("nickName"),), account="u2"),
        make_change("E3", deltas=(make_delta("title"), make_delta("nickName"))),
    ),
)


def points(plan: Plan = PLAN, store: MemoryStore | None = None, **now: Any) -> dict[str, Point]:
    """What moved, by name."""
    store = store or MemoryStore()
    run = store.run(plan.id)
    if run is None:
        store.save_run(Run(id=plan.id, created=plan.created, state=RunState.PLANNED, target="t"))
        run = store.run(plan.id)
    assert run is not None
    world = World(**{"store": store, "target": "t", "configuration": "c", "parts": PARTS, "now": NOW, **now})
    return {point.name: point for point in looked_at(plan, run, world) if point.moved}


def test_where_nothing_moved_every_point_holds() -> None:
    assert points() == {}


def test_where_one_expression_moved_those_are_named_whose_change_writes_it() -> None:
    moved = points(configuration="d", parts={**PARTS, "attributes.nickName": "x"})["configuration"]
    assert moved.people == ("E2", "E3")
    assert "attributes.nickName" in moved.sentence("p")
    assert "2 people: E2, E3" in moved.sentence("p")


def test_where_something_else_moved_it_may_be_anybody() -> None:
    moved = points(configuration="d", parts={**PARTS, "limits": "x"})["configuration"]
    assert moved.people is None
    assert "(limits)" in moved.told


def test_of_a_plan_that_knows_no_parts_it_is_said_that_the_configuration_moved_and_no_more() -> None:
    moved = points(replace(PLAN, parts={}), configuration="d")["configuration"]
    assert moved.told == "the configuration changed since it was made"


def test_who_was_linked_since_is_named_by_key_or_account() -> None:
    store = MemoryStore()
    store.decide_link(LinkDecision("E1", "u9", same=True, actor="ada"))
    store.decide_link(LinkDecision("E7", "u2", same=False, actor="ada"))
    assert points(store=store)["links"].people == ("E1", "E2")


def test_whom_a_later_run_settled_is_named() -> None:
    store = MemoryStore()
    store.save_run(Run(id=PLAN.id, created=NOW, state=RunState.PLANNED, target="t"))
    other = Run(id="later", created=NOW, state=RunState.APPLYING, target="t", statuses={"done": 2})
    store.save_run(other)
    for key in ("E3", "E8"):
        outcome = Outcome(key=key, status=Status.DONE)
        store.append([JournalLine(run="later", key=key, part=1, step=Step.OUTCOME, at=NOW, outcome=outcome)], ())
    store.save_run(replace(other, state=RunState.DONE, base="base-1"))
    moved = points(store=store)["base"]
    assert "another run was applied" in moved.told
    assert moved.people == ("E3",)


def test_a_run_that_is_too_large_to_look_through_names_nobody() -> None:
    store = MemoryStore()
    store.save_run(Run(id=PLAN.id, created=NOW, state=RunState.PLANNED, target="t"))
    other = Run(id="later", created=NOW, state=RunState.APPLYING, target="t", statuses={"done": 20_000})
    store.save_run(other)
    store.save_run(replace(other, state=RunState.DONE, base="base-1"))
    assert points(store=store)["base"].people is None


def test_a_plan_says_itself_when_it_is_too_old() -> None:
    plan = replace(PLAN, expires=PLAN.created + timedelta(hours=8))
    assert not age(plan, plan.created + timedelta(hours=8)).moved
    assert "expired" in age(plan, plan.created + timedelta(hours=8, seconds=1)).moved
    old = replace(PLAN, expires=None)
    assert not age(old, old.created + timedelta(hours=24)).moved
    assert age(old, old.created + timedelta(hours=25)).moved
    assert "unknown" in age(plan, plan.created - timedelta(minutes=6)).moved


def test_a_plan_for_reading_says_so_of_itself_and_of_no_time_until_which_it_may_be_applied() -> None:
    for plan, name, words in (
        (replace(PLAN, offline=NOW), "directory", "it was made offline"),
        (replace(PLAN, as_of=date(2026, 2, 1)), "day", "it was made as of 2026-02-01"),
    ):
        (point,) = of_itself(plan, NOW)
        assert (point.name, point.moved[: len(words)]) == (name, words)
        assert [*points(plan)] == [name]
    (point,) = of_itself(PLAN, NOW)
    assert (point.name, point.moved) == ("expiry", "")
