"""What a change of configuration does, taken apart into items, and told under the rules that bring them about."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import make_change, make_delta, make_finding, make_plan, make_policy, mapped
from tests.strategies import plans

from scimsync.core.changed_rules import _FIELDS, changed, under
from scimsync.core.differing_plans import difference
from scimsync.core.effects import SEVERAL, Item, Kind, attributed, effects, items
from scimsync.model.plans import BESIDES, Action, GroupChange, Member, Plan, Verdict
from scimsync.model.policy import Authority, Leavers, Limit, Limits, LoginExchange, Policy, Rings


def told(before: Plan, after: Plan) -> set[tuple[str, str, str, object, object]]:
    return {(i.kind.value, i.subject, i.what, i.before, i.after) for i in items(difference(before, after))}


# --- laws -------------------------------------------------------------------------------------------


@given(plans)
def test_a_plan_against_itself_has_no_effect(plan: Plan) -> None:
    assert not items(difference(plan, plan))


@given(plans, plans)
def test_each_item_is_told_once_and_all_are_told(first: Plan, second: Plan) -> None:
    total = items(difference(first, second))
    rules = ["a", "b", "c"]
    alone = {rule: total[index :: len(rules)] for index, rule in enumerate(rules)}
    for by in (attributed(total, ["a"]), attributed(total, rules), attributed(total, rules, alone)):
        found = effects(total, by)
        assert Counter(item for effect in found for item in effect.items) == Counter(total)
        assert Counter(total) == Counter(dict.fromkeys(total, 1))
        assert all(by[item] == effect.rule for effect in found for item in effect.items)


@given(plans, plans)
def test_the_other_way_round_the_same_people_are_told(first: Plan, second: Plan) -> None:
    there, back = (items(difference(*pair)) for pair in ((first, second), (second, first)))
    assert {(i.kind, i.subject) for i in there} == {(i.kind, i.subject) for i in back}


@given(plans, plans)
def test_whoever_a_plan_treats_otherwise_is_told_by_what_becomes_of_them(first: Plan, second: Plan) -> None:
    found = difference(first, second)
    known = {i.subject for i in items(found) if i.kind in {Kind.ACCESS, Kind.VALUE}}
    assert known <= set(found.people)


PATHS = ("userName", "title", "displayName", "active")
policies = st.builds(
    lambda expressions, leavers, protected, disable, exchange: Policy(
        attributes=tuple(mapped(path, *given) for path, given in expressions.items()),
        match=(),
        leavers=leavers,
        protected=protected,
        limits=replace(Limits(), disable=disable),
        exchange=exchange,
    ),
    st.dictionaries(
        st.sampled_from(PATHS), st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(Authority)), min_size=1
    ),
    st.sampled_from(Leavers),
    st.frozensets(st.sampled_from(["ada", "bob"])),
    st.sampled_from([Limit(count=1), Limit(count=2)]),
    st.sampled_from(LoginExchange),
)


def same(policy: Policy) -> object:
    return {**{m.path: m for m in policy.attributes}, "": replace(policy, attributes=())}


@given(policies, policies)
def test_all_changed_rules_together_are_the_change_and_none_is_none(before: Policy, after: Policy) -> None:
    rules = {rule.name for rule in changed(before, after)}
    assert same(under(before, after, rules)) == same(after)
    assert same(under(before, after, ())) == same(before)
    assert not changed(before, before)
    assert bool(rules) is (same(before) != same(after))


@given(policies, policies)
def test_one_rule_of_another_policy_changes_that_rule_alone(before: Policy, after: Policy) -> None:
    for rule in changed(before, after):
        assert [one.name for one in changed(before, under(before, after, {rule.name}))] == [rule.name]


def test_every_field_of_a_policy_stands_under_a_rule() -> None:
    given = set(Policy.__struct_fields__) - {"by_path"}  # the others are made of these
    assert given == {
        *_FIELDS,
        "attributes",
        "limits",
        "decisions",
    }  # the last is of the state, not of the configuration


# --- people -----------------------------------------------------------------------------------------


def test_a_person_who_would_now_be_disabled_is_one_item_about_access() -> None:
    active = make_delta("active", desired=False, current=True)
    disabled = make_change(action=Action.DISABLE, deltas=(active,))
    assert told(make_plan(), make_plan(changes=(disabled,))) == {("access", "E1", "disable", None, "disable")}
    assert told(make_plan(changes=(disabled,)), make_plan()) == {("access", "E1", "not disable", "disable", None)}


def test_what_else_is_written_of_a_leaver_is_told_once_whatever_part_it_stands_in() -> None:
    title, active = make_delta(), make_delta("active", desired=False, current=True)
    moved = make_change(deltas=(title,))
    left = (make_change(action=Action.DISABLE, deltas=(active,)), make_change(deltas=(title,), part=BESIDES))
    assert told(make_plan(changes=(moved,)), make_plan(changes=left)) == {("access", "E1", "disable", None, "disable")}


def test_a_new_account_is_one_item_and_its_first_values_are_none() -> None:
    made = make_change(action=Action.CREATE, deltas=(make_delta(current=None), make_delta("displayName", "A", None)))
    assert told(make_plan(), make_plan(changes=(made,))) == {("access", "E1", "create", None, "create")}
    other = replace(made, deltas=(make_delta(desired="Boss", current=None), made.deltas[1]))
    assert told(make_plan(changes=(made,)), make_plan(changes=(other,))) == {("value", "E1", "title", "Lead", "Boss")}


def test_a_value_is_told_from_what_would_be_to_what_would_be() -> None:
    lead, boss = (make_plan(changes=(make_change(deltas=(make_delta(desired=word),)),)) for word in ("Lead", "Boss"))
    assert told(make_plan(), lead) == {("value", "E1", "title", "Clerk", "Lead")}
    assert told(lead, boss) == {("value", "E1", "title", "Lead", "Boss")}
    assert told(lead, make_plan()) == {("value", "E1", "title", "Lead", "Clerk")}


def test_an_edit_that_would_be_kept_is_told_with_what_becomes_of_it() -> None:
    kept = make_plan(notices=(make_change(deltas=(make_delta(verdict=Verdict.KEEP),)),))
    written = make_plan(changes=(make_change(deltas=(make_delta(),)),))
    assert told(written, kept) == {("value", "E1", "title", "Lead", "Clerk"), ("edit", "E1", "title", None, "keep")}


def test_members_findings_and_refusals_are_told() -> None:
    group = GroupChange(group="g", name="G", version="1", add=(Member("E1", "u1"),), remove=(), held=1, batch=50)
    finding = make_finding(code="record.bad-phone", subject="E2", detail="x")
    refusal = make_finding(code="limits.disable", subject="", detail="y")
    found = told(make_plan(), make_plan(groups=(group,), findings=(finding,), refusals=(refusal,)))
    assert found == {
        ("member", "E1", "G", None, "joins"),
        ("finding", "E2", "record.bad-phone", None, "x"),
        ("refusal", "", "limits.disable", None, "y"),
    }


def test_whoever_is_found_in_another_account_comes_before_everything() -> None:
    both = difference(make_plan(), make_plan(changes=(make_change(action=Action.DELETE, deltas=()),)))
    total = items(both, [("E9", "u1", "u2")])
    assert [effect.kind for effect in effects(total, attributed(total, ["r"]))] == [Kind.ACCOUNT, Kind.ACCESS]


# --- rules ------------------------------------------------------------------------------------------


def value(path: str, subject: str = "E1", after: str = "b") -> Item:
    return Item(kind=Kind.VALUE, subject=subject, what=path, before="a", after=after)


def test_an_item_is_of_the_one_rule_that_brings_it_about_alone() -> None:
    one, two, three, four = (value("title", key) for key in ("E1", "E2", "E3", "E4"))
    alone = {"r": (one, three), "s": (two, three)}
    assert attributed((one, two, three, four), ["r", "s"], alone) == {one: "r", two: "s", three: SEVERAL, four: SEVERAL}


def test_too_many_rules_are_told_by_path_where_only_paths_changed() -> None:
    rules = [f"[attributes] {path}" for path in ("title", "displayName", "nickName")]
    made = Item(kind=Kind.ACCESS, subject="E2", what="create")
    assert attributed((value("title"), made), rules) == {value("title"): rules[0], made: SEVERAL}
    assert attributed((value("title"),), [*rules, "[policy] leavers"]) == {value("title"): SEVERAL}


def test_rules_are_named_as_they_stand_in_the_configuration() -> None:
    before = replace(make_policy(), attributes=(mapped("title", "a"),))
    after = replace(
        before,
        attributes=(mapped("title", "b", Authority.ASK), mapped("displayName")),
        leavers=Leavers.KEEP,
        protected=frozenset({"ada"}),
        limits=replace(Limits(), create=Limit(count=3)),
    )
    told = {rule.name: (rule.before, rule.after) for rule in changed(before, after)}
    assert told == {
        "[attributes] title": ("a", "b"),
        "[attributes] displayName": ("", "x"),
        "[policy] authority": ("title: local_wins", "title: ask"),
        "[policy] leavers": ("disable", "keep"),
        "[policy] protected": ("", "1 of 1 names"),
        "[limits] create": ("20%", "3"),
    }


def test_the_rungs_the_rings_and_the_patience_of_a_policy_are_said_in_words() -> None:
    before = make_policy()
    rings = Rings(shares=(0.05, 1.0), least=50, first="site = 'Leeds'")
    more = {
        "leavers_readings": 2,
        "leavers_apart": timedelta(hours=12),
        "rings": rings,
        "outage": timedelta(minutes=30),
    }
    told = {rule.name: (rule.before, rule.after) for rule in changed(before, replace(before, **more))}
    assert told == {
        "[policy] leavers": ("missing once, 1 h 0 min apart", "missing in 2 readings, 12 h 0 min apart"),
        "[policy] rings": (
            "1%, 10%, 100%, from 500 changes on",
            "site = 'Leeds' first, 5%, 100%, from 50 changes on",
        ),
        "[policy] outage": ("stop", "wait 30 min"),
    }
