"""What a plan costs: the roles that are paid for before and after it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from scimsync.core.licensing import NONE, Held, Roles, counted, mapped_roles, moves
from scimsync.model.plans import BESIDES, Action, Change, Delta, Lifecycle, Reason, Sides, Verdict
from scimsync.model.policy import Authority, Mapped, Policy
from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS
from scimsync.scim.schema import Value

ROLES = Mapped(place=GENESYS.users.resolve("roles"), expression="x", authority=Authority.MERGE)
DEFAULT = frozenset({"employee"})


def value(*names: str) -> Value:
    return tuple((("value", name),) for name in names) or None


def delta(path: str, desired: Value, verdict: Verdict = Verdict.WRITE) -> Delta:
    sides = Sides(desired=desired, current=None, base=None, known=False)
    return Delta(path=path, sides=sides, verdict=verdict, reason=Reason.NO_BASE, authority=Authority.MERGE)


def change(action: Action, *deltas: Delta, account: str | None = "a") -> Change:
    return Change(
        key="E1", name="x", action=action, lifecycle=Lifecycle.MOVER, deltas=deltas, account=account,
        version="1", operations=(),
    )  # fmt: skip


def moved(one: Change, held: Held | None) -> list[tuple[Roles, Roles]]:
    return [*moves([one], ROLES, {"a": held} if held is not None else {}, DEFAULT)]


GIVEN, AGENT = delta("roles", value("Lead")), frozenset({"Agent"})
LEAD = frozenset({"Lead"})


@pytest.mark.parametrize(
    ("one", "held", "expected"),
    [
        (change(Action.CREATE, GIVEN, account=None), None, (NONE, LEAD)),
        (change(Action.CREATE, account=None), None, (NONE, DEFAULT)),
        (change(Action.CREATE, GIVEN, delta("active", desired=False), account=None), None, None),
        (change(Action.RESTORE, GIVEN), None, (NONE, LEAD)),
        (change(Action.RESTORE), None, None),
        (change(Action.ENABLE, delta("active", desired=True), GIVEN), Held(False, value("Agent")), (NONE, LEAD)),
        (change(Action.ENABLE, delta("active", desired=True)), Held(False, value("Agent")), (NONE, AGENT)),
        (change(Action.ENABLE, delta("active", desired=True)), Held(False, None), None),
        (change(Action.DISABLE, delta("active", desired=False)), Held(True, value("Agent")), (AGENT, NONE)),
        (change(Action.DISABLE, delta("active", desired=False)), Held(True, None), None),
        (change(Action.DELETE), Held(False, value("Agent")), None),
        (change(Action.UPDATE, GIVEN), Held(True, value("Agent")), (AGENT, LEAD)),
        (change(Action.UPDATE, GIVEN), Held(None, value("Agent")), (AGENT, LEAD)),
        (change(Action.UPDATE, GIVEN), Held(False, value("Agent")), None),
        (change(Action.UPDATE, delta("title", "x")), Held(True, value("Agent")), None),
        (change(Action.UPDATE, delta("roles", None)), Held(True, value("Agent")), (AGENT, NONE)),
        (change(Action.UPDATE, delta("roles", value("Lead"), Verdict.KEEP)), Held(True, value("Agent")), None),
        (replace(change(Action.UPDATE, GIVEN), part=BESIDES), Held(True, value("Agent")), None),
    ],
)
def test_what_is_paid_for_follows_from_the_roles_of_who_is_active(
    one: Change, held: Held | None, expected: tuple[Roles, Roles] | None
) -> None:
    assert moved(one, held) == ([] if expected is None else [expected])


def test_licences_that_come_and_go_alike_are_not_told() -> None:
    known = {AGENT: frozenset({"CX 1"}), LEAD: frozenset({"CX 1", "CX 2"})}
    assert counted([(NONE, AGENT), (AGENT, NONE)], known) == {}
    assert counted([(AGENT, LEAD), (NONE, LEAD), (AGENT, NONE)], known) == {"CX 2": 2}


@pytest.mark.parametrize("path", ["title", 'roles[value eq "Agent"].value'])
def test_nothing_is_told_where_roles_are_not_mapped_as_a_whole(path: str) -> None:
    other = Mapped(place=GENESYS.users.resolve(path), expression="x", authority=Authority.ASK)
    assert mapped_roles(Policy(attributes=(other,), match=()), GENESYS) is None
    assert mapped_roles(Policy(attributes=(other, ROLES), match=()), GENESYS) is ROLES
    assert mapped_roles(Policy(attributes=(ROLES,), match=()), GENERIC) is None
