"""From pairs to a plan, and a second look at one person."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import (
    MANAGER,
    SKILLS,
    USERS,
    WORK_PHONE,
    make_change,
    make_delta,
    make_finding,
    make_leaver,
    make_pair,
    make_plan,
    make_policy,
    mapped,
    place,
    skills,
)
from tests.strategies import PLACES, values_of

from scimsync.core.lifecycle import ACTIVE, shown
from scimsync.core.planner import (
    adopt,
    lined_up,
    operations_of,
    ordered,
    plan_joiner,
    plan_leaver,
    plan_pair,
    replan,
    tally,
    unmet,
)
from scimsync.core.writing import resource
from scimsync.model.plans import Action, Change, Lifecycle, Reason, Tally, Verdict
from scimsync.model.policy import Authority, Leavers
from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.messages import Operation
from scimsync.scim.patch import apply
from scimsync.scim.schema import Value

PATHS = ("userName", "displayName", "title", "active", MANAGER)
POLICY = make_policy(*PATHS)
HELD: dict[str, Value] = {
    "userName": "ada@example.com", "displayName": "Ada", "title": "Clerk", "active": True, MANAGER: "u2",
}  # fmt: skip


def pair(base: dict[str, Value] | None = None, current: dict[str, Value] | None = None, **more: Any) -> Any:
    """A person who agrees in everything but what is named."""
    moved = {name: more.pop(name) for name in PATHS if name in more}
    return make_pair({**HELD, **moved}, {**HELD, **(current or {})}, HELD if base is None else base, **more)


# --- pairs --------------------------------------------------------------------------------------


def test_a_mover_is_updated_in_what_moved_and_nothing_else() -> None:
    planned = plan_pair(pair(title="Lead"), POLICY)
    assert planned.change is not None
    assert (planned.change.action, planned.change.lifecycle) == (Action.UPDATE, Lifecycle.MOVER)
    assert planned.change.operations == (Operation("replace", "title", "Lead"),)
    assert (planned.change.account, planned.change.version, planned.change.row) == ("u1", "7", 2)
    assert [d.reason for d in planned.change.deltas] == [Reason.SOURCE_MOVED]


def test_nobody_who_agrees_is_changed_and_what_agrees_is_settled() -> None:
    planned = plan_pair(pair(title="Clerk "), POLICY)
    assert (planned.change, planned.notice, planned.findings) == (None, None, ())
    assert dict(planned.settled) == {"title": "Clerk "}


def test_a_person_made_inactive_in_hr_is_a_leaver() -> None:
    planned = plan_pair(pair(active=False), POLICY)
    assert planned.change is not None
    assert (planned.change.action, planned.change.lifecycle) == (Action.DISABLE, Lifecycle.LEAVER)
    assert planned.change.deltas[0].reason is Reason.LEFT


def test_a_person_made_active_again_is_a_rehire() -> None:
    planned = plan_pair(pair(base={**HELD, "active": False}, current={"active": False}), POLICY)
    assert planned.change is not None
    assert (planned.change.action, planned.change.lifecycle) == (Action.ENABLE, Lifecycle.REHIRE)
    assert planned.change.deltas[0].reason is Reason.RETURNED


def test_leavers_keep_leaves_the_account_active_and_agrees_on_nothing() -> None:
    planned = plan_pair(pair(active=False), make_policy(*PATHS, leavers=Leavers.KEEP))
    assert planned.change is None
    assert "active" not in dict(planned.settled)


def test_leavers_keep_still_moves_the_rest_and_lets_people_return() -> None:
    policy = make_policy(*PATHS, leavers=Leavers.KEEP)
    moved = plan_pair(pair(active=False, title="Lead"), policy).change
    assert moved is not None
    assert (moved.action, [d.path for d in moved.deltas]) == (Action.UPDATE, ["title"])
    back = plan_pair(pair(base={}, current={"active": False}), policy).change
    assert back is not None
    assert back.action is Action.ENABLE


@pytest.mark.parametrize("name", ["Root@Example.com", " root@example.com\u00a0"])
def test_nobody_is_given_a_protected_login_and_the_rest_is_written(name: str) -> None:
    planned = plan_pair(
        pair(userName=name, title="Lead"), make_policy(*PATHS, protected=frozenset({"root@example.com"}))
    )
    assert planned.change is not None
    assert [delta.path for delta in planned.change.deltas] == ["title"]
    assert [(f.code, f.holds) for f in planned.findings] == [("account.protected", True)]


@pytest.mark.parametrize("name", ["ADA@example.com", "  ada@example.com ", "\u200bada@example.com"])
def test_a_login_is_protected_however_the_directory_writes_it(name: str) -> None:
    planned = plan_pair(pair(title="Lead", name=name), make_policy(*PATHS, protected=frozenset({"ada@example.com"})))
    assert planned.change is None
    assert [f.code for f in planned.findings] == ["account.protected"]


@pytest.mark.parametrize("protected", ["e1", "ada@example.com"])
def test_a_protected_account_is_left_alone_with_a_finding(protected: str) -> None:
    planned = plan_pair(
        pair(title="Lead", key="E1", name="Ada@Example.com"), make_policy(*PATHS, protected=frozenset({protected}))
    )
    assert planned.change is None
    assert [(f.code, f.subject, f.holds) for f in planned.findings] == [("account.protected", "E1", True)]


def test_a_protected_account_that_agrees_is_no_finding() -> None:
    assert plan_pair(pair(), make_policy(*PATHS, protected=frozenset({"e1"}))).findings == ()


def test_an_edit_in_the_directory_is_noticed_even_where_it_is_kept() -> None:
    planned = plan_pair(pair(current={"title": "Boss"}), make_policy(*PATHS, authority=Authority.CLOUD_WINS))
    assert planned.change is None
    assert planned.notice is not None
    assert [(d.path, d.verdict) for d in planned.notice.deltas] == [("title", Verdict.KEEP)]
    assert planned.notice.operations == ()


def test_under_ask_a_foreign_edit_holds_that_attribute_only() -> None:
    planned = plan_pair(
        pair(displayName="Ada Berg", current={"title": "Boss"}), make_policy(*PATHS, authority=Authority.ASK)
    )
    assert planned.change is not None
    assert planned.change.operations == (Operation("replace", "displayName", "Ada Berg"),)
    assert planned.notice is not None
    assert [d.verdict for d in planned.notice.deltas] == [Verdict.CONFLICT]


@given(st.sampled_from(Authority), st.sampled_from(["Clerk", "Boss", None]))
def test_a_foreign_edit_of_another_attribute_never_changes_what_we_write(
    authority: Authority, edit: str | None
) -> None:
    policy = make_policy(*PATHS, authority=authority)
    planned = plan_pair(pair(displayName="Ada Berg", current={"title": edit}), policy).change
    assert planned is not None
    assert [o for o in planned.operations if o.path == "displayName"] == [
        Operation("replace", "displayName", "Ada Berg")
    ]


def test_frozen_and_unresolved_paths_are_neither_written_nor_settled() -> None:
    planned = plan_pair(
        pair(title="Lead", unresolved=frozenset({MANAGER}), **{MANAGER: None}), POLICY, frozen=frozenset({"title"})
    )
    assert planned.change is None
    assert not {"title", MANAGER} & dict(planned.settled).keys()


def test_a_reference_to_a_joiner_awaits_the_account_and_has_no_operation_yet() -> None:
    planned = plan_pair(pair(awaits={MANAGER: "E7"}, **{MANAGER: None}), POLICY)
    assert planned.change is not None
    assert planned.change.operations == ()
    assert [(d.path, d.verdict, d.reason, d.awaits) for d in planned.change.awaiting] == [
        (MANAGER, Verdict.AWAIT, Reason.AWAITS, "E7")
    ]
    assert not planned.change.deferred


def test_a_merged_list_says_what_the_directory_will_hold() -> None:
    policy = make_policy(SKILLS, authority=Authority.MERGE)
    views = make_pair({SKILLS: skills(a=1, b=2)}, {SKILLS: skills(a=1, c=3)}, {SKILLS: skills(a=1)})
    planned = plan_pair(views, policy).change
    assert planned is not None
    assert planned.deltas[0].sides.desired == skills(a=1, b=2, c=3)


# --- joiners and leavers ------------------------------------------------------------------------


def joiner(**more: Any) -> Any:
    moved = {name: more.pop(name) for name in PATHS if name in more}
    return make_pair({**HELD, **moved}, account=None, version="", **more)


def test_a_joiner_is_created_with_every_value_that_is_there() -> None:
    planned = plan_joiner(joiner(title=None), POLICY).change
    assert planned is not None
    assert (planned.action, planned.lifecycle, planned.account, planned.version) == (
        Action.CREATE,
        Lifecycle.JOINER,
        None,
        "",
    )
    assert [d.path for d in planned.deltas] == ["userName", "displayName", "active", MANAGER]
    assert {d.reason for d in planned.deltas} == {Reason.JOINER}


def test_a_joiner_without_a_required_value_is_held() -> None:
    planned = plan_joiner(joiner(displayName=None), POLICY)
    assert planned.change is None
    assert [(f.code, f.detail, f.holds) for f in planned.findings] == [("record.incomplete", "displayName", True)]


def test_nobody_joins_without_a_login() -> None:
    assert plan_joiner(joiner(userName=None), POLICY).findings[0].detail == "userName"
    only_title = make_pair({"title": "Lead"}, account=None)
    assert plan_joiner(only_title, make_policy("title")).findings[0].detail == "userName"


def test_a_protected_joiner_is_held() -> None:
    planned = plan_joiner(joiner(), make_policy(*PATHS, protected=frozenset({"e1"})))
    assert [f.code for f in planned.findings] == ["account.protected"]


def test_a_joiner_whose_manager_joins_too_awaits_the_account() -> None:
    planned = plan_joiner(joiner(awaits={MANAGER: "E7"}, **{MANAGER: None}), POLICY).change
    assert planned is not None
    assert [d.path for d in planned.awaiting] == [MANAGER]
    assert all(MANAGER.rpartition(":")[2] not in str(o.path) for o in planned.operations)


@pytest.mark.parametrize("path", ["userName", "displayName"])
def test_a_joiner_waits_where_a_value_that_every_account_needs_is_not_believed(path: str) -> None:
    planned = plan_joiner(joiner(), POLICY, frozen=frozenset({path, "title"}))
    assert planned.change is None
    assert [(f.code, f.detail, f.holds) for f in planned.findings] == [("record.incomplete", path, True)]


@pytest.mark.parametrize("active", [True, False])
def test_a_joiner_of_whom_the_status_is_not_believed_is_never_made_active_against_what_hr_says(*, active: bool) -> None:
    planned = plan_joiner(joiner(active=active), POLICY, frozen=frozenset({"active"})).change
    assert planned is not None
    assert [d.sides.desired for d in planned.deltas if d.path == "active"] == ([] if active else [False])


def test_what_went_blank_in_the_source_is_not_given_to_a_joiner() -> None:
    planned = plan_joiner(joiner(), POLICY, frozen=frozenset({"title"})).change
    assert planned is not None
    assert "title" not in [d.path for d in planned.deltas]


def test_a_leaver_is_disabled_under_its_version() -> None:
    planned = plan_leaver(make_leaver(), POLICY, mapped("active")).change
    assert planned is not None
    assert (planned.action, planned.lifecycle, planned.account, planned.version) == (
        Action.DISABLE,
        Lifecycle.LEAVER,
        "u9",
        "3",
    )
    assert planned.operations == (Operation("replace", "active", False),)
    assert planned.row is None


def test_a_leaver_is_kept_by_policy_or_protected_by_name() -> None:
    keep = plan_leaver(make_leaver(), make_policy(*PATHS, leavers=Leavers.KEEP), mapped("active"))
    guarded = plan_leaver(
        make_leaver(), make_policy(*PATHS, protected=frozenset({"gone@example.com"})), mapped("active")
    )
    assert (keep.change, [f.code for f in keep.findings]) == (None, ["account.left"])
    assert (guarded.change, [f.code for f in guarded.findings]) == (None, ["account.protected"])


# --- the whole ----------------------------------------------------------------------------------


@given(st.permutations([(a, k) for a in Action if a is not Action.RESTORE for k in ("E1", "E2")]))
def test_leavers_go_before_joiners_before_rehires_before_movers(order: list[tuple[Action, str]]) -> None:
    done = [(c.action, c.key) for c in ordered(make_change(k, a) for a, k in order)]
    assert [a for a, _ in done[::2]] == [Action.DISABLE, Action.CREATE, Action.ENABLE, Action.UPDATE, Action.DELETE]
    assert [k for _, k in done] == ["E1", "E2"] * 5


def awaits(key: str, *managers: str, action: Action = Action.CREATE) -> Change:
    deltas = [make_delta(MANAGER, None, None, verdict=Verdict.AWAIT, awaits=m) for m in managers]
    return make_change(key, action, deltas=tuple(deltas))


def in_order(*changes: Change) -> tuple[list[str], list[tuple[str, str | None]]]:
    """Keys in order, and who defers a reference to whom."""
    placed, _ = lined_up(changes)
    return [c.key for c in placed], [(c.key, d.awaits) for c in placed for d in c.deferred]


def test_a_joiner_is_created_after_the_manager_who_joins_too() -> None:
    assert in_order(awaits("E1", "E2"), awaits("E2", "E3"), awaits("E3"), awaits("E4", "E3")) == (
        ["E3", "E2", "E4", "E1"],
        [],
    )


def test_joiners_who_lead_each_other_defer_one_reference_and_the_loop_is_told() -> None:
    changes = [awaits("E1", "E2"), awaits("E2", "E3"), awaits("E3", "E1"), awaits("E4", "E3"), awaits("E5", "E5")]
    keys, deferred = in_order(*changes)
    assert (keys, deferred) == (["E1", "E5", "E3", "E2", "E4"], [("E1", "E2"), ("E5", "E5")])
    _, loops = lined_up(changes)
    assert [loop.members for loop in loops] == [("E1", "E2", "E3"), ("E5",)]


def test_a_mover_waits_for_no_second_pass() -> None:
    assert in_order(awaits("E1", "E9", action=Action.UPDATE), awaits("E9")) == (["E9", "E1"], [])


def test_a_plan_counts_a_second_request_only_for_what_is_deferred() -> None:
    placed, _ = lined_up([awaits("E1", "E9", action=Action.UPDATE), awaits("E9", "E9")])
    assert (
        make_plan(
            changes=tuple(replace(c, operations=(Operation("replace", "title", "Lead"),)) for c in placed)
        ).requests
        == 3
    )
    assert make_plan(changes=placed).requests == 2


def test_a_tally_counts_people_and_attributes() -> None:
    overwritten = make_delta(reason=Reason.TARGET_MOVED)
    waiting = make_delta(MANAGER, verdict=Verdict.DEFER, reason=Reason.AWAITS)
    changes = [
        make_change("E1", deltas=(overwritten, make_delta())),
        make_change("E2", Action.DISABLE, deltas=(waiting,)),
    ]
    notice = make_change("E3", deltas=(make_delta(verdict=Verdict.KEEP), make_delta(verdict=Verdict.CONFLICT)))
    held = [
        make_finding(holds=True),
        make_finding(holds=True),
        make_finding(subject="E5", holds=True),
        make_finding(subject="E6"),
        make_finding(subject="", path="title", holds=True),
    ]
    counted = tally({"records": 9, "compared": 10, "equal": 8}, changes, [notice], held)
    assert counted.actions == {"update": 1, "disable": 1}
    assert (counted.overwritten, counted.deferred, counted.kept, counted.conflicts, counted.held) == (1, 1, 1, 1, 2)
    assert (counted.changes, counted.match_rate, counted.values) == (2, 0.8, 1)
    assert Tally().match_rate == 1.0


# --- a second look ------------------------------------------------------------------------------

drawn_changes = st.sampled_from(PLACES).flatmap(
    lambda p: st.tuples(st.just(p), values_of(p), values_of(p), values_of(p))
)


@given(st.lists(drawn_changes, min_size=1, max_size=4, unique_by=lambda d: d[0].short), st.sampled_from(Authority))
def test_a_second_look_can_only_shrink_or_hold(
    drawn: list[tuple[Any, Value, Value, Value]], authority: Authority
) -> None:
    attributes = {p.short: mapped(p.short, authority=authority) for p, *_ in drawn}
    deltas = [make_delta(p.short, desired, current, authority=authority) for p, desired, current, _ in drawn]
    fresh = resource((p, edit) for p, *_, edit in drawn)
    found = replan(deltas, fresh, attributes)
    planned = {d.path for d in deltas}
    sent = {d.path for d in found.writes}
    assert sent <= planned
    assert sent | {path for path, _ in found.already} | {*found.kept} | {*found.conflicts} == planned
    sent_roots = {str(o.path).partition("[")[0] for o in operations_of(found.writes, [*attributes.values()])}
    assert sent_roots <= {str(attributes[path].place.path.attribute) for path in planned}


@given(drawn_changes)
def test_under_ask_a_foreign_edit_of_a_planned_attribute_is_held(drawn: tuple[Any, Value, Value, Value]) -> None:
    where, desired, current, edit = drawn
    seen = shown(edit, current) if where.short == ACTIVE else edit  # what vanished is not true any more
    if where.same(seen, current) or where.same(seen, desired):
        return
    attributes = {where.short: mapped(where.short, authority=Authority.ASK)}
    found = replan(
        [make_delta(where.short, desired, current, authority=Authority.ASK)], resource([(where, edit)]), attributes
    )
    assert (found.writes, found.conflicts) == ((), (where.short,))


@given(drawn_changes, st.sampled_from(Authority))
def test_an_edit_of_another_attribute_does_not_disturb_a_second_look(
    drawn: tuple[Any, Value, Value, Value], authority: Authority
) -> None:
    where, desired, current, _ = drawn
    delta = make_delta(where.short, desired, current, authority=authority)
    attributes = {where.short: mapped(where.short, authority=authority)}
    fresh = resource([(where, current)])
    quiet = replan([delta], fresh, attributes)
    assert replan([delta], {**fresh, "nickName": "X", "id": "u1"}, attributes) == quiet
    assert (quiet.overwritten, quiet.kept, quiet.conflicts) == ((), (), ())
    assert bool(quiet.writes) is not where.same(desired, current)


@given(drawn_changes)
def test_what_landed_meanwhile_is_not_sent_again(drawn: tuple[Any, Value, Value, Value]) -> None:
    where, desired, current, _ = drawn
    assume(where.short != "active" or desired is not None)  # an account that shows no state is judged by itself
    found = replan(
        [make_delta(where.short, desired, current)], resource([(where, desired)]), {where.short: mapped(where.short)}
    )
    assert (found.writes, found.already) == ((), ((where.short, desired),))


def test_by_rule_a_foreign_edit_is_overwritten_or_kept_and_named() -> None:
    fresh = {"title": "Boss"}
    for authority, field in ((Authority.LOCAL_WINS, "overwritten"), (Authority.CLOUD_WINS, "kept")):
        found = replan([make_delta(authority=authority)], fresh, {"title": mapped("title", authority=authority)})
        assert getattr(found, field) == ("title",)


def test_a_skill_that_somebody_added_meanwhile_survives_the_second_look() -> None:
    attributes = {SKILLS: mapped(SKILLS, authority=Authority.MERGE)}
    delta = make_delta(SKILLS, skills(a=1, b=2), skills(a=1), authority=Authority.MERGE)
    fresh = resource([(place(SKILLS), skills(a=1, z=5))])
    found = replan([delta], fresh, attributes)
    after = apply(fresh, operations_of(found.writes, [*attributes.values()]), USERS)
    assert place(SKILLS).read(after) == skills(a=1, b=2, z=5)


def test_an_account_that_was_there_before_is_adopted_as_on_a_first_run() -> None:
    deltas = [make_delta("title", "Lead", None, known=False), make_delta("displayName", "Ada", None, known=False)]
    for authority, verdict in (
        (Authority.LOCAL_WINS, Verdict.WRITE),
        (Authority.CLOUD_WINS, Verdict.KEEP),
        (Authority.ASK, Verdict.CONFLICT),
    ):
        asked = [make_delta(d.path, d.sides.desired, None, known=False, authority=authority) for d in deltas]
        attributes = {path: mapped(path, authority=authority) for path in ("title", "displayName")}
        (found,) = adopt(asked, {"title": "Boss", "displayName": "Ada "}, attributes)
        assert (found.path, found.verdict, found.reason, found.sides.current) == (
            "title",
            verdict,
            Reason.NO_BASE,
            "Boss",
        )


def test_what_was_not_taken_over_is_told_by_the_equality_of_scim() -> None:
    attributes = {path: mapped(path) for path in ("title", WORK_PHONE, SKILLS, "active")}
    held = {
        "title": "Lead ",
        "phoneNumbers": [{"type": "Work", "value": "tel:+1-317-555-0100", "primary": True}],
        "active": True,
        GENESYS_USER: {"routingSkills": [{"name": "b", "proficiency": 2}, {"name": "a", "proficiency": 1}]},
    }
    wanted: dict[str, Value] = {"title": "Lead", WORK_PHONE: "+13175550100", SKILLS: skills(a=1, b=2), "active": False}
    assert unmet([make_delta(path, value) for path, value in wanted.items()], held, attributes) == ["active"]


@pytest.mark.parametrize(("authority", "missing"), [(Authority.MERGE, []), (Authority.LOCAL_WINS, [SKILLS])])
def test_a_shared_list_of_a_new_account_may_hold_what_the_directory_put_there(
    authority: Authority, missing: list[str]
) -> None:
    held = {GENESYS_USER: {"routingSkills": [{"name": "a", "proficiency": 1}, {"name": "theirs", "proficiency": 1}]}}
    delta = make_delta(SKILLS, skills(a=1), None, reason=Reason.JOINER, authority=authority)
    assert unmet([delta], held, {SKILLS: mapped(SKILLS, authority=authority)}) == missing
