"""Three-way merge: the table of the design row by row, and its laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import SKILLS, place, rfc_place, skill, skills
from tests.strategies import placed_sides, sides_of

from scimsync.core.merge import merge
from scimsync.model.plans import Reason, Sides, Verdict
from scimsync.model.policy import Authority
from scimsync.scim.schema import Kind, Place, Value

TITLE = place("title")
LOCAL, CLOUD, MERGE, ASK = Authority.LOCAL_WINS, Authority.CLOUD_WINS, Authority.MERGE, Authority.ASK
WRITE, KEEP, CONFLICT = Verdict.WRITE, Verdict.KEEP, Verdict.CONFLICT
authorities = st.sampled_from(Authority)


def sides(desired: Value, current: Value, *base: Value) -> Sides:
    return Sides(desired=desired, current=current, base=base[0] if base else None, known=bool(base))


def verdict(views: Sides, authority: Authority, where: Place = TITLE) -> tuple[Verdict, Reason] | None:
    merged = merge(where, views, authority)
    return None if merged is None else (merged.verdict, merged.reason)


@pytest.mark.parametrize("authority", Authority)
@pytest.mark.parametrize(
    "views", [sides("A", "A", "A"), sides("A", "A ", "B"), sides("A", "A"), sides(None, None, "A")]
)
def test_both_sides_equal_asks_for_nothing(authority: Authority, views: Sides) -> None:
    assert merge(TITLE, views, authority) is None


def test_a_correction_of_capitals_is_written() -> None:
    assert verdict(sides("Anna McDonald", "anna mcdonald", "anna mcdonald"), Authority.ASK) == (
        WRITE,
        Reason.SOURCE_MOVED,
    )


@pytest.mark.parametrize("authority", Authority)
def test_what_only_hr_moved_is_written_under_every_authority(authority: Authority) -> None:
    merged = merge(TITLE, sides("B", "A", "A"), authority)
    assert merged is not None
    assert (merged.verdict, merged.reason, merged.value) == (WRITE, Reason.SOURCE_MOVED, "B")


@pytest.mark.parametrize(
    ("authority", "wanted"), [(LOCAL, WRITE), (CLOUD, KEEP), (MERGE, KEEP), (ASK, CONFLICT)], ids=str
)
def test_what_only_the_directory_moved_is_decided_by_authority(authority: Authority, wanted: Verdict) -> None:
    assert verdict(sides("A", "B", "A"), authority) == (wanted, Reason.TARGET_MOVED)


@pytest.mark.parametrize(
    ("authority", "wanted"), [(LOCAL, WRITE), (CLOUD, KEEP), (MERGE, CONFLICT), (ASK, CONFLICT)], ids=str
)
def test_what_both_moved_is_decided_by_authority(authority: Authority, wanted: Verdict) -> None:
    assert verdict(sides("A", "B", "C"), authority) == (wanted, Reason.BOTH_MOVED)


@pytest.mark.parametrize(
    ("authority", "wanted"), [(LOCAL, WRITE), (CLOUD, KEEP), (MERGE, CONFLICT), (ASK, CONFLICT)], ids=str
)
def test_a_first_run_follows_authority(authority: Authority, wanted: Verdict) -> None:
    assert verdict(sides("A", "B"), authority) == (wanted, Reason.NO_BASE)


def test_under_merge_a_blank_gives_way_on_a_first_run() -> None:
    assert verdict(sides("A", None), MERGE) == (WRITE, Reason.NO_BASE)
    assert verdict(sides(None, "B"), MERGE) == (KEEP, Reason.NO_BASE)


def test_an_agreed_blank_is_a_base() -> None:
    assert verdict(sides(None, "B", None), ASK) == (CONFLICT, Reason.TARGET_MOVED)
    assert verdict(sides("A", None, None), ASK) == (WRITE, Reason.SOURCE_MOVED)


def merged_list(views: Sides) -> Value:
    merged = merge(place(SKILLS), views, MERGE)
    assert merged is not None
    assert merged.verdict is WRITE
    return merged.value


def test_a_merged_list_gains_what_hr_added_and_keeps_what_others_added() -> None:
    assert merged_list(sides(skills(a=1, b=2), skills(a=1, c=3), skills(a=1))) == skills(a=1, b=2, c=3)


def test_a_merged_list_loses_what_hr_dropped() -> None:
    assert merged_list(sides(skills(a=1), skills(a=1, b=2, c=3), skills(a=1, b=2))) == skills(a=1, c=3)


def test_a_merged_list_may_become_empty() -> None:
    assert merged_list(sides(None, skills(a=1), skills(a=1))) is None


def test_what_others_removed_from_a_merged_list_is_not_put_back() -> None:
    assert merge(place(SKILLS), sides(skills(a=1), None, skills(a=1)), MERGE) is None


def test_a_level_that_hr_moved_is_written_and_one_that_others_moved_stays() -> None:
    assert merged_list(sides(skills(a=5), skills(a=1, b=2), skills(a=1))) == skills(a=5, b=2)
    assert merge(place(SKILLS), sides(skills(a=1), skills(a=3), skills(a=1)), MERGE) is None


def test_without_a_base_a_merged_list_only_grows() -> None:
    assert merged_list(sides(skills(a=1), skills(b=2))) == skills(a=1, b=2)
    assert merge(place(SKILLS), sides(None, skills(b=2)), MERGE) is None


def test_elements_that_differ_by_a_case_that_does_not_count_are_one() -> None:
    roles = rfc_place("roles")
    views = sides(((("value", "Admin"),),), ((("value", "admin"),), (("value", "other"),)), ())
    assert merge(roles, views, MERGE) is None
    assert merge(roles, replace(views, current=((("value", "admin"),),)), LOCAL) is None


def test_two_elements_with_one_key_do_not_hide_each_other() -> None:
    emails = rfc_place("emails")
    work = tuple((("type", "work"), ("value", value)) for value in ("a@x", "b@x", "c@x"))
    merged = merge(emails, sides(work[:1], work[1:], None), MERGE)
    assert merged is not None
    assert merged.value == work


@given(placed_sides(), authorities)
def test_merge_is_total(drawn: tuple[Place, Sides], authority: Authority) -> None:
    merged = merge(*drawn, authority)
    assert merged is None or merged.verdict in {WRITE, KEEP, CONFLICT}


@given(placed_sides(), authorities)
def test_equal_values_never_write(drawn: tuple[Place, Sides], authority: Authority) -> None:
    where, views = drawn
    assert merge(where, replace(views, current=views.desired), authority) is None


@given(placed_sides(), authorities)
def test_a_landed_write_asks_for_nothing_more(drawn: tuple[Place, Sides], authority: Authority) -> None:
    where, views = drawn
    merged = merge(where, views, authority)
    if merged is not None and merged.verdict is WRITE:
        assert not where.same(merged.value, views.current)
        landed = replace(views, current=merged.value, base=views.desired, known=True)
        assert merge(where, landed, authority) is None


@given(placed_sides())
def test_a_foreign_edit_is_never_overwritten_unasked(drawn: tuple[Place, Sides]) -> None:
    where, views = drawn
    if not views.known or not where.same(views.current, views.base):
        merged = merge(where, views, ASK)
        assert merged is None or merged.verdict is not WRITE


@given(placed_sides())
def test_the_cloud_is_only_overwritten_where_it_did_not_move(drawn: tuple[Place, Sides]) -> None:
    where, views = drawn
    merged = merge(where, views, CLOUD)
    if merged is not None and merged.verdict is WRITE:
        assert views.known
        assert where.same(views.current, views.base)


@given(placed_sides(), authorities)
def test_the_same_question_has_the_same_answer(drawn: tuple[Place, Sides], authority: Authority) -> None:
    assert merge(*drawn, authority) == merge(*drawn, authority)


SHARED = [place(SKILLS), place("roles"), rfc_place("emails"), rfc_place("roles"), place("phoneNumbers")]


@given(st.sampled_from(SHARED).flatmap(lambda where: st.tuples(st.just(where), sides_of(where))))
def test_merging_lists_never_drops_what_others_put_there_and_hr_never_had(drawn: tuple[Place, Sides]) -> None:
    where, views = drawn
    merged = merge(where, views, MERGE)
    if merged is None:
        return
    kept = [where.normal((entry,)) for entry in (merged.value if isinstance(merged.value, tuple) else ())]
    ours = {where.identity(e) for v in (views.base, views.desired) for e in (v if isinstance(v, tuple) else ())}
    for entry in views.current if isinstance(views.current, tuple) else ():
        if where.identity(entry) not in ours:
            assert where.normal((entry,)) in kept


@given(st.sampled_from(SHARED).flatmap(lambda where: st.tuples(st.just(where), sides_of(where))))
def test_a_merged_list_holds_nothing_that_nobody_had(drawn: tuple[Place, Sides]) -> None:
    where, views = drawn
    merged = merge(where, views, MERGE)
    had = {where.normal((e,)) for v in (views.desired, views.current) for e in (v if isinstance(v, tuple) else ())}
    if merged is not None and isinstance(merged.value, tuple):
        assert {where.normal((entry,)) for entry in merged.value} <= had


def test_a_list_under_another_authority_is_replaced_whole() -> None:
    where = place(SKILLS)
    assert where.kind is Kind.LIST
    merged = merge(where, sides((skill("a"),), (skill("b"),), (skill("b"),)), CLOUD)
    assert merged is not None
    assert merged.value == (skill("a"),)
