"""The rules about members of groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync.core.grouping import (
    ADDED,
    GAIN,
    LOSS,
    REMOVED,
    Left,
    batches,
    beyond,
    circular,
    is_readable,
    lost,
    members_of,
    operations,
    read_written,
    remaining,
    unseen,
    waits,
    without,
    written,
)
from scimsync.model.plans import GroupChange, Member
from scimsync.model.policy import Limit, Limits
from scimsync.scim.genesys import GENESYS_GROUP
from scimsync.scim.patch import apply
from scimsync.scim.schema import Catalog

GROUPS = Catalog(GENESYS_GROUP)
IDS = st.sampled_from([f"a{n}" for n in range(8)])
SETS = st.frozensets(IDS)


def group(members: frozenset[str]) -> dict[str, object]:
    return {"id": "g", "displayName": "G", **({"members": [{"value": m} for m in sorted(members)]} if members else {})}


@given(SETS, SETS, SETS, st.integers(1, 5))
def test_what_is_left_sent_in_batches_gives_the_wanted_group_and_moves_nobody_else(
    current: frozenset[str], joining: frozenset[str], leaving: frozenset[str], size: int
) -> None:
    wanted = Left(tuple(sorted(joining - leaving)), tuple(sorted(leaving)))
    left = remaining(wanted, current)
    held: dict[str, object] = group(current)
    for batch in batches(left, size):
        assert 1 <= len(batch) <= size
        held = apply(held, operations(batch), GROUPS, strict_remove=True)
    after = members_of(held).keys()
    assert after == (current | set(wanted.add)) - leaving
    assert len(remaining(wanted, after)) == 0


@given(SETS, SETS, SETS)
def test_a_second_look_only_shrinks(joining: frozenset[str], leaving: frozenset[str], current: frozenset[str]) -> None:
    wanted = Left(tuple(joining), tuple(leaving))
    left = remaining(wanted, current)
    assert set(left.add) <= joining
    assert set(left.remove) <= leaving
    assert remaining(left, current) == left
    assert without(wanted, current) == Left(tuple(m for m in joining if m not in current),
                                            tuple(m for m in leaving if m not in current))  # fmt: skip


@given(SETS, SETS)
def test_who_joined_and_left_comes_back_as_it_was_told(joined: frozenset[str], left: frozenset[str]) -> None:
    told = written(joined, left)
    assert set(read_written(told, ADDED)) == joined
    assert set(read_written(told, REMOVED)) == left
    assert (told == {}) == (not joined and not left)


def test_nestings_between_groups_that_reach_each_other_are_cut_and_a_diamond_is_not() -> None:
    edges = {"top": {"left", "right"}, "left": {"low"}, "right": {"low"}, "a": {"b"}, "b": {"a", "low"}, "me": {"me"}}
    cut, findings = circular(edges, {})
    assert cut == {("a", "b"), ("b", "a"), ("me", "me")}
    assert [f.detail for f in findings] == ["a holds b holds a", "me holds me"]


@pytest.mark.parametrize(
    ("lost", "held", "limit", "refused"),
    [
        (3, 10, Limit(share=0.3), False),
        (4, 10, Limit(share=0.3), True),
        (9, 9, Limit(share=0.3), False),
        (3, 9, Limit(count=2), True),
        (2, 90, Limit(count=2), False),
        (1, 90, Limit(count=0), True),
    ],
)
def test_a_group_may_lose_only_so_many(lost: int, held: int, limit: Limit, refused: bool) -> None:
    change = moving(add=0, remove=lost, held=held)
    assert (beyond(change, Limits(group_loss=limit), ()) is not None) == refused
    assert beyond(change, Limits(group_loss=limit), {LOSS: "because"}) is None


@pytest.mark.parametrize(
    ("gained", "held", "limit", "refused"),
    [
        (148, 2, Limits().group_gain, True),
        (20, 2, Limits().group_gain, False),
        (21, 2, Limits().group_gain, True),
        (50, 100, Limits().group_gain, False),
        (51, 100, Limits().group_gain, True),
        (10_000, 0, Limits().group_gain, False),  # how a group begins
        (6, 0, Limit(count=5), True),
        (1, 90, Limit(count=0), True),
    ],
)
def test_a_group_may_gain_only_so_many(gained: int, held: int, limit: Limit, refused: bool) -> None:
    change = moving(add=gained, remove=0, held=held)
    found = beyond(change, Limits(group_gain=limit), ())
    assert (found is not None) == refused
    assert found is None or (found.code, waits([found])) == (GAIN, True)
    assert beyond(change, Limits(group_gain=limit), {GAIN: "because"}) is None


def moving(*, add: int, remove: int, held: int) -> GroupChange:
    joining = tuple(Member(f"j{n}", f"j{n}") for n in range(add))
    leaving = tuple(Member(f"k{n}", f"a{n}") for n in range(remove))
    return GroupChange(group="g", name="G", version="1", add=joining, remove=leaving, held=held, batch=50)


@pytest.mark.parametrize(
    ("members", "read", "readable"),
    [
        (None, {}, True),
        ([], {}, True),
        ([{"value": "a1", "type": "User"}, {"value": "g1", "type": "Group"}], {"a1": "user", "g1": "group"}, True),
        ([{"value": 17}], {"17": ""}, True),
        (["a1", "a2"], {}, False),
        ([{"display": "Ann"}, {"value": "a1"}], {"a1": ""}, False),
        ([{"value": True}], {}, False),
        ([{"value": ""}], {}, False),
        ({"value": "a1"}, {"a1": ""}, True),
        ("a1", {}, False),
    ],
)
def test_members_are_read_as_they_are_shown_and_what_has_no_id_is_noticed(
    members: object, read: dict[str, str], readable: bool
) -> None:
    resource = {"id": "g", "members": members}
    assert members_of(resource) == read
    assert is_readable(resource) is readable


@given(SETS, SETS, SETS, SETS)
def test_of_a_group_that_shows_only_a_part_nothing_is_sent_twice_and_whoever_must_leave_is_believed_to_be_there(
    shown: frozenset[str], joining: frozenset[str], leaving: frozenset[str], took: frozenset[str]
) -> None:
    wanted = Left(tuple(joining - leaving), tuple(leaving))
    left = unseen(wanted, shown, took)
    assert not set(left.add) & (shown | took)
    assert set(left.remove) == (leaving & shown) | (leaving - took)
    assert set(remaining(wanted, shown).remove) <= set(left.remove)


@given(SETS, SETS, SETS, SETS)
def test_who_had_to_stay_and_is_gone_is_lost(
    before: frozenset[str], joining: frozenset[str], leaving: frozenset[str], after: frozenset[str]
) -> None:
    gone = lost(before, Left(tuple(joining), tuple(leaving)), after)
    assert set(gone) == {one for one in before if one not in leaving and one not in after}
