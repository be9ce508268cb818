"""Which reading may be believed, and for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import make_health

from scimsync.core.trust import ABSENCE, BLANKS, ROWS, Trust, incomplete, judge
from scimsync.model.outcomes import Sweep
from scimsync.model.policy import Limit, Limits
from scimsync.model.records import SourceHealth

LIMITS = Limits()


def judged(
    health: SourceHealth, previous: SourceHealth | None = None, *, proven: bool = True, keyless: bool = False,
    overrides: tuple[str, ...] = (), limits: Limits = LIMITS, columns_of: Mapping[str, Iterable[str]] | None = None,
) -> Trust:  # fmt: skip
    return judge(
        health,
        previous,
        proven=proven,
        keyless=keyless,
        limits=limits,
        overrides=overrides,
        columns_of=columns_of or {},
    )


def codes(trust: Trust) -> list[str]:
    return [finding.code for finding in trust.findings]


def test_a_proven_reading_is_believed() -> None:
    assert judged(make_health()) == Trust(
        absence=True, blank_columns=frozenset(), frozen=frozenset(), findings=(), remembered=make_health()
    )


def test_an_unproven_reading_never_makes_a_leaver() -> None:
    trust = judged(make_health(), proven=False)
    assert (trust.absence, codes(trust)) == (False, [ABSENCE])


def test_a_person_may_vouch_for_an_unproven_reading() -> None:
    assert judged(make_health(), proven=False, overrides=(ABSENCE,)).absence


def test_a_record_without_key_could_be_anybodys_and_nobody_overrides_that() -> None:
    trust = judged(make_health(), keyless=True, overrides=(ABSENCE, ROWS, BLANKS))
    assert (trust.absence, codes(trust)) == (False, ["source.keyless"])


@pytest.mark.parametrize(("rows", "believed"), [(1000, True), (1200, True), (900, True), (899, False), (1, False)])
def test_a_fall_of_the_rows_beyond_the_limit_is_not_believed(*, rows: int, believed: bool) -> None:
    trust = judged(make_health(rows), make_health(1000))
    assert trust.absence is believed
    assert codes(trust) == ([] if believed else [ROWS])


@pytest.mark.parametrize(("rows", "believed"), [(5, True), (2, True), (1, False)])
def test_of_few_rows_three_may_go(*, rows: int, believed: bool) -> None:
    assert judged(make_health(rows), make_health(5)).absence is believed


def test_a_fall_may_be_overridden_or_allowed_by_count() -> None:
    assert judged(make_health(1), make_health(1000), overrides=(ROWS,)).absence
    assert judged(make_health(1), make_health(1000), limits=Limits(source_rows_drop=Limit(count=999))).absence
    assert not judged(make_health(1), make_health(1000), limits=Limits(source_rows_drop=Limit(count=998))).absence


def test_a_column_that_goes_blank_freezes_what_is_made_of_it_but_not_absence() -> None:
    trust = judged(make_health(100, title=0.5, name=0.1), make_health(100, title=0.1, name=0.05))
    assert trust.blank_columns == {"title"}
    assert trust.absence
    assert [(f.code, f.subject) for f in trust.findings] == [(BLANKS, "title")]


def test_blanks_may_be_overridden_and_need_enough_rows_to_say_something() -> None:
    now = make_health(100, title=1.0)
    assert judged(now, make_health(100, title=0.0), overrides=(BLANKS,)).blank_columns == frozenset()
    assert judged(now, make_health(19, title=0.0)).blank_columns == frozenset()
    assert judged(now, make_health(20, title=0.0)).blank_columns == {"title"}


def test_a_new_column_has_no_past_to_fall_from() -> None:
    assert judged(make_health(100, new=1.0), make_health(100)).blank_columns == frozenset()


def mapped_to(**desired: float) -> SourceHealth:
    return replace(make_health(), desired=desired)


def test_what_the_mapping_makes_may_go_blank_though_no_column_does() -> None:
    trust = judged(mapped_to(title=0.3, phone=0.1), mapped_to(title=0.1, phone=0.1))
    assert [(f.code, f.subject) for f in trust.findings] == [(BLANKS, "title")]
    assert (trust.frozen, trust.blank_columns) == ({"title"}, frozenset())
    assert trust.remembered == mapped_to(title=0.1, phone=0.1)


def test_who_vouches_for_blanks_makes_them_the_new_measure() -> None:
    trust = judged(mapped_to(title=0.3), mapped_to(title=0.1), overrides=(BLANKS,))
    assert (trust.frozen, trust.findings, trust.remembered) == (frozenset(), (), mapped_to(title=0.3))


def test_an_attribute_made_of_a_column_that_went_blank_is_left_alone_and_told_once() -> None:
    now, before = make_health(JOB=0.9), make_health(JOB=0.1)
    now, before = replace(now, desired={"title": 0.9}), replace(before, desired={"title": 0.1})
    trust = judged(now, before, columns_of={"title": ["job"], "nickName": ["job", "x"], "locale": ["x"]})
    assert trust.frozen == {"title", "nickName"}
    assert [f.subject for f in trust.findings] == ["JOB"]


def test_a_memory_of_before_judges_no_attribute() -> None:
    trust = judged(mapped_to(title=1.0), make_health())
    assert (trust.frozen, trust.remembered) == (frozenset(), mapped_to(title=1.0))


def test_of_few_records_blanks_say_nothing() -> None:
    before = replace(mapped_to(title=0.0), rows=19)
    assert not judged(replace(mapped_to(title=1.0), rows=19), before).frozen


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_absence_is_only_believed_within_the_limit(before: int, now: int) -> None:
    trust = judged(make_health(now), make_health(before))
    assert trust.absence == (before - now <= max(3, 0.10 * before))


def test_no_finding_carries_a_value_in_its_summary() -> None:
    trust = judged(make_health(1, title=1.0), make_health(1000, title=0.0), proven=False, keyless=True)
    assert len(trust.findings) == 4
    assert not any(char.isdigit() for finding in trust.findings for char in finding.summary)


def test_a_sweep_with_holes_is_a_finding_and_a_whole_one_is_none() -> None:
    assert incomplete(Sweep(accounts=3, announced=3)) is None
    found = incomplete(Sweep(accounts=2, announced=3, incomplete="page 2 failed"))
    assert found is not None
    assert (found.code, found.detail) == ("target.incomplete", "page 2 failed")
