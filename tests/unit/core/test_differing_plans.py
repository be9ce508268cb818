"""Two plans differ in what they would do and tell, and in nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from msgspec.structs import replace
from tests.factories import make_change, make_delta, make_finding, make_plan, skills
from tests.strategies import plans

from scimsync.core.differing_plans import difference
from scimsync.model.plans import BESIDES, Action, GroupChange, Member, Plan, Seal, Tally, Verdict

GROUP = GroupChange(group="g", name="G", version="1", add=(Member("E1", "u1"),), remove=(), held=1, batch=50)


@given(plans)
def test_a_plan_differs_from_itself_in_nothing(plan: Plan) -> None:
    found = difference(plan, plan)
    assert found.is_empty
    assert not found.seal
    assert not found.people


@given(plans, plans)
def test_what_one_way_is_added_is_gone_the_other_way(first: Plan, second: Plan) -> None:
    there, back = difference(first, second), difference(second, first)
    assert set(map(id, there.added)) == set(map(id, back.gone))
    assert set(map(id, there.groups_gone)) == set(map(id, back.groups_added))
    assert {(one.before.key, one.after.key) for one in there.altered} == {
        (one.after.key, one.before.key) for one in back.altered
    }
    assert sorted(there.findings_added, key=repr) == sorted(back.findings_gone, key=repr)
    assert there.tally == {name: (old, new) for name, (new, old) in back.tally.items()}
    assert there.people == back.people


def test_a_new_name_a_new_time_and_new_versions_make_no_difference() -> None:
    plan = make_plan(changes=(make_change(deltas=(make_delta(),)),))
    later = replace(
        plan,
        id="20260102-000000-bb",
        created=datetime(2026, 1, 2, tzinfo=UTC),
        changes=(replace(plan.changes[0], version="8", row=9),),
    )
    assert difference(plan, later).is_empty


def test_each_change_is_added_gone_or_altered() -> None:
    lead, boss = make_delta(desired="Lead"), make_delta(desired="Boss")
    before = make_plan(changes=(make_change("E1", deltas=(lead,)), make_change("E2"), make_change("E4")))
    after = make_plan(changes=(make_change("E3"), make_change("E1", deltas=(boss,)), make_change("E4")))
    found = difference(before, after)
    assert [c.key for c in found.added] == ["E3"]
    assert [c.key for c in found.gone] == ["E2"]
    assert [one.deltas for one in found.altered] == [{"title": (lead, boss)}]
    assert found.people == ("E1", "E2", "E3")


def test_an_attribute_that_only_one_plan_writes_has_one_side() -> None:
    title, nick = make_delta(), make_delta("nickName", "Ada")
    before, after = make_change(deltas=(title,)), make_change(deltas=(title, nick))
    (one,) = difference(make_plan(changes=(before,)), make_plan(changes=(after,))).altered
    assert one.deltas == {"nickName": (None, nick)}


def test_another_action_and_another_verdict_are_differences() -> None:
    written = make_change(deltas=(make_delta(),))
    held = make_change(deltas=(make_delta(verdict=Verdict.CONFLICT),))
    enabled = replace(written, action=Action.ENABLE)
    assert difference(make_plan(changes=(written,)), make_plan(changes=(enabled,))).altered
    assert difference(make_plan(notices=(written,)), make_plan(notices=(held,))).notices_altered


def test_the_order_of_a_list_makes_no_difference() -> None:
    found = skills(a=1, b=2)
    assert found is not None
    before = make_change(deltas=(make_delta("genesys:routingSkills", found, None),))
    after = make_change(deltas=(make_delta("genesys:routingSkills", found[::-1], None),))
    assert difference(make_plan(changes=(before,)), make_plan(changes=(after,))).is_empty


def test_the_two_changes_of_one_leaver_are_told_apart() -> None:
    access, rest = make_change(action=Action.DISABLE), make_change(part=BESIDES)
    found = difference(make_plan(changes=(access,)), make_plan(changes=(access, rest)))
    assert found.added == (rest,)
    assert not found.altered


def test_of_a_group_it_tells_who_joins_and_leaves_by_one_plan_alone() -> None:
    other = replace(GROUP, add=(Member("E2", "u2"),), remove=(Member("E3", "u3"),), held=7)
    (one,) = difference(make_plan(groups=(GROUP,)), make_plan(groups=(other,))).groups_altered
    assert one.added == ((Member("E1", "u1"),), (Member("E2", "u2"),))
    assert one.removed == ((), (Member("E3", "u3"),))
    assert difference(make_plan(groups=(GROUP,)), make_plan(groups=(replace(GROUP, held=7),))).is_empty


def test_findings_are_counted_and_a_row_that_moved_is_no_news() -> None:
    twice = (make_finding(row=2), make_finding(row=3))
    found = difference(make_plan(findings=twice), make_plan(findings=(make_finding(row=9),)))
    assert found.findings_gone == (twice[1],)
    assert not found.findings_added


def test_numbers_and_seals_stand_side_by_side() -> None:
    before = make_plan(tally=Tally(records=3, actions={"create": 1}))
    after = make_plan(
        tally=Tally(records=4, actions={"update": 2}), seal=Seal(target="t", configuration="d", source="s", base="b")
    )
    found = difference(before, after)
    assert found.tally == {"records": (3, 4), "actions.create": (1, 0), "actions.update": (0, 2)}
    assert found.seal["configuration"] == ("c", "d")


def test_another_seal_alone_is_no_difference() -> None:
    plan = make_plan()
    moved = replace(plan, seal=replace(plan.seal, source="other"))
    assert difference(plan, moved).is_empty
    assert difference(plan, moved).seal == {"source": ("s", "other")}
