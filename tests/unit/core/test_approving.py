"""Which approvals a plan needs, and which count."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.factories import make_change, make_plan
from tests.unit.core.test_trimming import make_group

from scimsync.core import approving
from scimsync.core.approving import Doing, Need, Standing
from scimsync.model.approvals import Approval, ApprovalRule, Made
from scimsync.model.decisions import Actor
from scimsync.model.plans import Action, Plan

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
AUTHOR = Actor("ada@laptop", "os")


def leavers(number: int, **more: Any) -> Plan:
    changes = tuple(make_change(f"E{n}", Action.DISABLE) for n in range(number))
    return make_plan(changes=changes, authors=(AUTHOR.text,), **more)


def rule(name: str = "r", **more: Any) -> ApprovalRule:
    return ApprovalRule(name=name, **more)


def met(plan: Plan, *rules: ApprovalRule, remembered: Sequence[ApprovalRule] = (), **done: int) -> list[str]:
    return [need.rule.name for need in approving.needs(Doing.of(plan), rules, remembered, done)]


def approval(name: str = "ben@laptop", proof: str = "os", plan: Plan | None = None, **more: Any) -> Approval:
    given = {"run": (plan or leavers(2)).id, "digest": "d", "approves": True, "reason": "x", "at": NOW, **more}
    return Approval(actor=name, proof=proof, until=NOW + timedelta(days=1), **given)


def judged(*given: Approval, rules: Sequence[ApprovalRule] = (rule(),), plan: Plan | None = None) -> Standing:
    wanted = [Need(one, "why") for one in rules]
    return approving.judge(plan or leavers(2), "d", wanted, given, proven={}, now=NOW)


def test_more_than_counts_the_plan_with_what_was_done_that_day() -> None:
    many = rule(more_than={"disable": 10})
    assert met(leavers(10), many) == []
    assert met(leavers(11), many) == ["r"]
    assert met(leavers(1), many, disable=10) == ["r"]
    assert met(leavers(1), rule(more_than={"update": 0}), update=99) == []


def test_an_account_that_comes_back_counts_as_one_that_is_made() -> None:
    plan = make_plan(changes=(make_change("E1", Action.RESTORE),))
    assert met(plan, rule(more_than={"create": 0})) == ["r"]


@pytest.mark.parametrize(
    ("pattern", "is_met"), [("sales", True), ("Sal*", True), ("g-Sales", True), ("Support", False)]
)
def test_a_group_is_named_by_name_pattern_or_id(pattern: str, is_met: bool) -> None:
    assert bool(met(make_plan(groups=(make_group("A"),)), rule(groups=(pattern,)))) is is_met


def test_what_is_set_aside_and_every_plan_that_writes() -> None:
    assert met(leavers(1), rule(override=True)) == []
    assert met(leavers(1, overrides={"limits.disable": "x"}), rule(override=True)) == ["r"]
    assert met(leavers(1), rule(every=True)) == ["r"]
    assert met(make_plan(), rule(every=True)) == []


def test_a_rule_that_is_gone_or_another_is_met_by_all_that_writes() -> None:
    old = rule("old", more_than={"disable": 10})
    assert met(leavers(1), remembered=[old]) == ["old"]
    assert met(leavers(1), replace(old, more_than={"disable": 100}), remembered=[old]) == ["old"]
    assert met(leavers(1), old, remembered=[old]) == []
    assert met(make_plan(), remembered=[old]) == []


def test_a_rule_is_remembered_as_it_is() -> None:
    whole = rule("x", more_than={"disable": 1}, groups=("A*",), override=True, every=True, needs=2, by=("ada", "ben"))
    assert approving.rule_of("x", approving.document(whole)) == whole


def test_each_rule_wants_its_own_people_and_one_person_counts_once() -> None:
    two, maria = rule("two", needs=2), rule("maria", by=("maria",))
    found = judged(approval(), approval("BEN@other"), rules=(two, maria))
    assert [(need.rule.name, missing) for need, _, missing in found.needs] == [("two", 1), ("maria", 1)]
    assert [why for _, why in found.void] == ["the same person approved before"]
    done = judged(approval(), approval("maria@desk"), rules=(two, maria))
    assert not done.waits


def test_what_does_not_count_says_why() -> None:
    for one, why in (
        (approval("Ada@elsewhere"), "who proposed"),
        (approval(digest="other"), "another plan"),
        (approval(run="other"), "another plan"),
        (replace(approval(), until=NOW - timedelta(seconds=1)), "expired"),
    ):
        found = judged(one)
        assert found.missing == 1
        assert why in found.void[0][1]
    nobody = judged(approval(), plan=replace(leavers(2), authors=()))
    assert "nobody knows who proposed" in nobody.void[0][1]
    old = judged(approval(at=NOW - timedelta(hours=3)), rules=(rule(valid=timedelta(hours=2)),))
    assert old.missing == 1


def test_everybody_who_worked_on_a_plan_is_one_of_its_authors() -> None:
    plan = replace(leavers(2), authors=(AUTHOR.text, Actor("eve@example.com", "oidc").text))
    assert judged(approval("EVE@example.com", "oidc"), plan=plan).missing == 1
    assert judged(approval("ben@example.com", "oidc"), plan=plan).missing == 0


def test_one_rejection_is_final_whoever_approves() -> None:
    found = judged(approval(), approval("maria@desk", approves=False, reason="no"))
    assert found.waits
    assert "rejected by maria@desk (no)" in approving.words("p", found)


def test_each_field_of_an_approval_is_under_its_signature() -> None:
    one = approval()
    others = [
        replace(one, run="x"), replace(one, digest="x"), replace(one, actor="x"), replace(one, proof="x"),
        replace(one, approves=False), replace(one, reason="y"), replace(one, at=NOW + timedelta(1)),
        replace(one, until=NOW + timedelta(9)),
    ]  # fmt: skip
    assert len({approving.message(each) for each in (one, *others)}) == len(others) + 1


def test_two_users_whom_one_person_made_are_one_until_they_settled() -> None:
    ada, bo, cy = (Actor(name, "password") for name in ("ada", "bo", "cy"))
    plan = replace(leavers(2), authors=(bo.text,))
    made = [Made(user=one, maker=ada, at=NOW - timedelta(days=1)) for one in (bo, cy)]

    def waits(name: str, given: Sequence[Made], **more: Any) -> bool:
        wanted = [Need(rule(**more), "why")]
        return approving.judge(plan, "d", wanted, [approval(name, "password")], proven={}, now=NOW, made=given).waits

    assert waits("cy", made)
    assert waits("ada", made)
    assert not waits("dee", made)
    assert not waits("cy", made[:1])
    assert not waits("cy", made, settled=timedelta(0))
    assert not waits("cy", [replace(one, at=NOW - timedelta(days=7)) for one in made])
    assert waits("cy", [replace(one, at=NOW - timedelta(days=7)) for one in made], settled=timedelta(days=30))
    # what is made after the approval takes nothing from it
    assert not waits("cy", [replace(one, at=NOW + timedelta(hours=1)) for one in made])


def test_two_users_whom_one_person_made_approve_once() -> None:
    made = [Made(user=Actor(name, "password"), maker=Actor("zoe", "password"), at=NOW) for name in ("bo", "cy")]
    given = [approval("bo", "password"), approval("cy", "password")]
    found = approving.judge(leavers(2), "d", [Need(rule(needs=2), "why")], given, proven={}, now=NOW, made=made)
    assert found.missing == 1
    assert "zoe" in found.void[0][1]


def test_a_rule_as_the_state_remembers_it_keeps_how_long_users_take_to_settle() -> None:
    assert "settled_s" not in approving.document(rule())
    one = rule(settled=timedelta(days=30))
    assert approving.rule_of("r", approving.document(one)) == one
