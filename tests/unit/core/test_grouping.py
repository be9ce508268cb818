"""The rules about members of groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync.core.grouping import (
    ADDED,
    LOSS,
    REMOVED,
    Left,
    batches,
    circular,
    folded,
    loses_too_many,
    members_of,
    operations,
    read_written,
    remaining,
    resolve,
    without,
    written,
)
from scimsync.model.accounts import Group
from scimsync.model.plans import GroupChange, Member
from scimsync.model.policy import Grouping, Limit
from scimsync.scim.dialect import GENESYS_GROUP
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


def test_names_compare_without_case_and_ids_as_they_are() -> None:
    assert folded("  STRASSE ", "displayName") == folded("straße", "displayName")
    assert folded(" A1 ", "id") == "A1"


def test_a_name_means_one_group_or_is_a_finding() -> None:
    groups = [Group("1", "Billing"), Group("2", "Sales"), Group("3", "SALES")]
    names = {folded(name, "displayName"): name for name in ("billing", "Sales", "Bilings", "Elsewhere")}
    found = resolve(names, groups, Grouping())
    assert found.ids == {"billing": "1"}
    assert {(f.code, f.subject, f.hint.partition("?")[0]) for f in found.findings if "mean" in f.hint} == {
        ("group.unknown", "Bilings", "did you mean Billing")
    }
    assert {(f.code, f.subject) for f in found.findings} == {
        ("group.unknown", "Bilings"),
        ("group.unknown", "Elsewhere"),
        ("group.ambiguous", "Sales"),
    }


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
    gone = tuple(Member(f"k{n}", f"a{n}") for n in range(lost))
    change = GroupChange(group="g", name="G", version="1", add=(), remove=gone, held=held, batch=50)
    assert (loses_too_many(change, limit, ()) is not None) == refused
    assert loses_too_many(change, limit, {LOSS: "because"}) is None
