"""What is left of a plan once something is left out, and what goes with it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.factories import MANAGER, make_change, make_delta, make_plan, make_policy
from tests.soak import examples

from scimsync.core.lifecycle import ACTIVE
from scimsync.core.trimming import LEFT_OUT, LeaveOut, Trimmed, leave_out
from scimsync.model.plans import LOGIN, MAKING, Action, Change, GroupChange, Lifecycle, Member, Plan, Reason, Verdict

POLICY = make_policy(LOGIN, "displayName", "title", ACTIVE, MANAGER)


def trimmed(plan: Plan, **chosen: Any) -> Trimmed:
    given = {name: frozenset(value) for name, value in chosen.items()}
    return leave_out(plan, LeaveOut(**given), POLICY.attributes, "ada: why")


def login(key: str, new: str, *, waits: str = "", account: str | None = "u", **more: Any) -> Change:
    verdict = Verdict.AWAIT if waits else Verdict.WRITE
    delta = make_delta(LOGIN, f"{new}@x.org", "old@x.org", verdict=verdict, awaits=waits or None)
    deltas = (delta, make_delta("title"))
    action = Action.UPDATE if account else Action.CREATE
    return make_change(key, action, deltas=deltas, account=account and f"{account}-{key}", **more)


def make_group(*add: str, remove: tuple[str, ...] = (), name: str = "Sales") -> GroupChange:
    return GroupChange(
        group=f"g-{name}",
        name=name,
        version="1",
        add=tuple(Member(key, f"u-{key}") for key in add),
        remove=tuple(Member(key, f"u-{key}") for key in remove),
        held=9,
        batch=100,
    )


def keys(found: Trimmed) -> list[str]:
    return [change.key for change in found.changes]


def members(found: Trimmed) -> set[tuple[str, str]]:
    return {(group.name, member.key) for group in found.groups for member in (*group.add, *group.remove)}


def test_a_chain_of_logins_is_left_alone_from_where_it_stays() -> None:
    plan = make_plan(changes=(login("A", "a2"), login("B", "a", waits="A"), login("C", "b", waits="B")))
    found = trimmed(plan, users=["A"])
    assert keys(found) == ["B", "C"]
    assert all(delta.path != LOGIN for change in found.changes for delta in change.deltas)
    assert {one.subject for one in found.findings if one.path == LOGIN} == {"B", "C"}
    assert all(operation.path != LOGIN for change in found.changes for operation in change.operations)


def test_a_new_person_whose_login_stays_with_another_is_left_out_whole() -> None:
    plan = make_plan(changes=(login("A", "a2"), login("N", "a", waits="A", account=None)))
    assert keys(trimmed(plan, users=["A"])) == []


def test_of_people_who_exchange_their_logins_nobody_does_once_one_is_left_out() -> None:
    parked = (
        make_delta(LOGIN, "scimsync-parking-1@x.org", "a@x.org", reason=Reason.PARKED),
        make_delta(LOGIN, "b@x.org", "a@x.org", verdict=Verdict.DEFER, awaits="B"),
    )
    plan = make_plan(changes=(make_change("A", deltas=parked), login("B", "a", waits="A")))
    for one in ("A", "B"):
        found = trimmed(plan, users=[one])
        assert all(delta.path != LOGIN for change in found.changes for delta in change.deltas)


def test_a_reference_to_an_account_that_is_not_made_is_left_alone() -> None:
    waits = make_delta(MANAGER, None, None, verdict=Verdict.AWAIT, awaits="N", reason=Reason.AWAITS)
    new = make_change("N", Action.CREATE, account=None, deltas=(make_delta(),))
    plan = make_plan(changes=(new, make_change("E", deltas=(make_delta(), waits))))
    found = trimmed(plan, users=["N"])
    assert keys(found) == ["E"]
    assert [delta.path for delta in found.changes[0].deltas] == ["title"]
    assert ("E", MANAGER) in {(one.subject, one.path) for one in found.findings}


def test_who_is_left_out_stays_in_and_out_of_groups_and_others_do_not() -> None:
    plan = make_plan(changes=(make_change("A", deltas=(make_delta(),)),), groups=(make_group("A", "B", remove=("C",)),))
    assert members(trimmed(plan, users=["A"])) == {("Sales", "B"), ("Sales", "C")}
    assert members(trimmed(plan, users=["C"])) == {("Sales", "A"), ("Sales", "B")}
    assert keys(trimmed(plan, users=["C"])) == ["A"]


def test_memberships_are_left_out_by_action_by_attribute_and_by_group() -> None:
    groups = (make_group("A", "B"), make_group("A", name="Support"))
    plan = make_plan(changes=(make_change("A", deltas=(make_delta(),)),), groups=groups)
    assert members(trimmed(plan, actions=["members"])) == set()
    assert keys(trimmed(plan, actions=["members"])) == ["A"]
    assert members(trimmed(plan, attributes=["groups"], users=["A"])) == {("Sales", "B")}
    assert members(trimmed(plan, groups=["Support"])) == {("Sales", "A"), ("Sales", "B")}
    assert members(trimmed(plan, groups=["g-Sales"], users=["B"])) == {("Sales", "A"), ("Support", "A")}
    assert keys(trimmed(plan, groups=["Support"])) == ["A"]


def test_a_leaver_who_is_left_out_keeps_access_groups_and_all_else_and_is_told_of() -> None:
    access = make_delta(ACTIVE, desired=False, current=True, reason=Reason.LEFT)
    leaver = make_change("L", Action.DISABLE, lifecycle=Lifecycle.LEAVER, deltas=(access,))
    besides = make_change("L", Action.UPDATE, lifecycle=Lifecycle.LEAVER, deltas=(make_delta(),), part=3)
    plan = make_plan(changes=(leaver, besides), groups=(make_group(remove=("L",)),))
    found = trimmed(plan, actions=["disable"])
    assert (keys(found), members(found)) == ([], set())
    assert "leaver.kept" in {one.code for one in found.findings}


def test_what_a_leavers_record_says_besides_is_left_out_alone_and_the_access_goes() -> None:
    access = make_delta(ACTIVE, desired=False, current=True, reason=Reason.LEFT)
    leaver = make_change("L", Action.DISABLE, lifecycle=Lifecycle.LEAVER, deltas=(access,))
    besides = make_change("L", Action.UPDATE, lifecycle=Lifecycle.LEAVER, deltas=(make_delta(),), part=3)
    plan = make_plan(changes=(leaver, besides), groups=(make_group(remove=("L",)),))
    found = trimmed(plan, actions=["update"])
    assert [(one.key, one.action) for one in found.changes] == [("L", Action.DISABLE)]
    assert members(found) == {("Sales", "L")}
    assert "leaver.kept" not in {one.code for one in found.findings}


PEOPLE = st.sampled_from(["A", "B", "C", "D"])
PATHS = st.sampled_from(["title", "displayName", LOGIN, ACTIVE])


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    changes = []
    for key in ("A", "B", "C", "D"):
        action = draw(st.sampled_from([Action.UPDATE, Action.CREATE, Action.DISABLE, None]))
        if action is Action.DISABLE:
            changes.append(make_change(key, action, deltas=(make_delta(ACTIVE, desired=False, current=True),)))
        elif action is not None:
            waits = draw(st.none() | PEOPLE.filter(lambda other, key=key: other != key))
            account = None if action is Action.CREATE else f"u{key}"
            deltas = [make_delta(path) for path in draw(st.sets(PATHS, min_size=1)) if path != ACTIVE] or [make_delta()]
            deltas = [
                make_delta(d.path, verdict=Verdict.AWAIT, awaits=waits) if d.path == LOGIN and waits else d
                for d in deltas
            ]
            changes.append(make_change(key, action, account=account, deltas=tuple(deltas)))
    named = draw(st.lists(PEOPLE, unique=True))
    groups = (make_group(*named),) if named else ()
    return make_plan(changes=tuple(changes), groups=groups)


choices = st.fixed_dictionaries(
    {},
    optional={
        "users": st.sets(PEOPLE, min_size=1),
        "actions": st.sets(st.sampled_from(["update", "create", "disable", "members"]), min_size=1),
        "attributes": st.sets(st.sampled_from(["title", LOGIN, ACTIVE, "groups"]), min_size=1),
    },
).filter(bool)


@given(plans(), choices)
@settings(max_examples=examples(600, 80), deadline=None)
def test_nothing_comes_into_a_plan_by_leaving_out_and_nothing_waits_for_what_is_left_out(
    plan: Plan, chosen: dict[str, Any]
) -> None:
    found = trimmed(plan, **chosen)
    before = {(c.key, c.part, d) for c in plan.changes for d in c.deltas}
    assert {(c.key, c.part, d) for c in found.changes for d in c.deltas} <= before
    assert members(found) <= {(g.name, m.key) for g in plan.groups for m in (*g.add, *g.remove)}
    made = {c.key for c in found.changes if c.action in MAKING}
    unmade = {c.key for c in plan.changes if c.action in MAKING} - made
    assert not {key for _, key in members(found)} & unmade
    gives = {c.key for c in plan.changes for d in c.deltas if d.path == LOGIN}
    still = {c.key for c in found.changes for d in c.deltas if d.path == LOGIN}
    assert not {d.awaits for c in found.changes for d in c.deltas if d.path == LOGIN} & (gives - still)
    taken = {c.key for c in found.changes if c.action is Action.DISABLE}
    kept = {one.subject for one in found.findings if one.code == "leaver.kept"}
    assert kept == {c.key for c in plan.changes if c.action is Action.DISABLE} - taken
    told = {one.subject for one in found.findings if one.code == LEFT_OUT}
    assert {c.key for c in plan.changes} - {c.key for c in found.changes} <= told
