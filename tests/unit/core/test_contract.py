"""What a reading of the source is held to, and what is left alone where it breaks that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import make_health

from scimsync.core.contract import CHURN, COUNT, OLD, SHARES, STALE, Breach, Earlier, breaches, churn, too_blank
from scimsync.core.trust import BLANKS, ROWS, judge
from scimsync.model.contracts import Expect, Newest
from scimsync.model.policy import Limit, Limits
from scimsync.model.records import KeySample, SourceHealth

NOW = datetime(2026, 11, 27, 6, tzinfo=UTC)
FRESH = Expect(newest=Newest(column="updated_at", within=timedelta(hours=36)))


def keys(*numbers: int, whole: bool = True) -> KeySample:
    return KeySample(mark=1, digests=tuple(sorted(numbers)), whole=whole)


def health(rows: int = 100, *, names: range | None = None, **more: object) -> SourceHealth:
    return replace(make_health(rows), keys=keys(*(names or range(rows))), **more)  # type: ignore[arg-type]


def divided(**shares: int) -> Mapping[str, Mapping[str, int]]:
    return {"department": shares}


def found(
    now: SourceHealth, before: SourceHealth | None = None, expect: Expect | None = None, **more: object
) -> list[Breach]:
    given = {"limits": Limits(), "now": NOW, **more}
    return [*breaches(now, before, expect or Expect(), **given)]  # type: ignore[arg-type]


def codes(*args: object, **more: object) -> list[str]:
    return [breach.finding.code for breach in found(*args, **more)]  # type: ignore[arg-type]


# --- rows and keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "told"), [(899, [COUNT]), (900, []), (1200, []), (1201, [COUNT])])
def test_a_source_holds_as_many_records_as_was_said_on_a_first_run_as_well(rows: int, told: list[str]) -> None:
    assert codes(health(rows), None, Expect(least=900, most=1200)) == told


def test_a_breach_says_what_was_what_is_where_the_bar_stands_and_what_to_do() -> None:
    (breach,) = found(health(880), health(1000), Expect(least=900), fewer=True)
    assert breach.finding.detail == "1,000 in the last run, 880 now; expected 900 or more"
    assert breach.finding.hint == 'check the export; if it is right: --override source.rows --reason "..."'


def test_other_people_in_the_same_number_are_not_believed() -> None:
    (breach,) = found(health(names=range(11, 111)), health())
    assert breach.finding.code == CHURN
    assert breach.finding.detail == (
        "of 100 keys of the last run, 11 are gone (11.0%); of 100 now, 11 are new (11.0%); allowed 10% gone"
    )
    assert codes(health(names=range(10, 110)), health()) == []


def test_new_people_alone_are_no_reason_where_nobody_said_so() -> None:
    assert codes(health(300), health()) == []
    assert codes(health(300), health(), Expect(churn=Limit(share=0.5))) == [CHURN]


def test_where_the_rows_may_fall_as_many_keys_may_be_gone() -> None:
    wide = Limits(source_rows_drop=Limit(share=0.5))
    assert codes(health(names=range(40, 140)), health(), limits=wide) == []
    assert codes(health(50), health(), fewer=True) == []


def test_samples_of_another_digest_do_not_compare() -> None:
    assert churn(keys(1, 2), replace(keys(3, 4), mark=2)) is None
    assert churn(None, keys(1)) is None
    assert codes(health(names=range(200, 300)), make_health()) == []


@given(st.sets(st.integers(0, 2**48 - 1), max_size=60), st.sets(st.integers(0, 2**48 - 1), max_size=60))
def test_of_few_keys_the_shares_are_exact(before: set[int], now: set[int]) -> None:
    gone, new = churn(keys(*before), keys(*now)) or (9.0, 9.0)
    assert gone == (len(before - now) / len(before) if before else 0)
    assert new == (len(now - before) / len(now) if now else 0)


@given(st.sets(st.integers(0, 10**6), min_size=200, max_size=400), st.integers(0, 100), st.integers(20, 100))
def test_of_many_keys_an_estimate_never_cries_wolf_over_nobody(all_: set[int], lost: int, size: int) -> None:
    def sample(found: list[int]) -> KeySample:
        return keys(*sorted(found)[:size], whole=len(found) <= size)

    listed = sorted(all_, key=hash)
    gone, new = churn(sample(listed), sample(listed[lost:])) or (9.0, 9.0)
    assert new == 0
    assert gone <= 1
    assert (gone == 0) or lost


# --- how the records divide ---------------------------------------------------------------------


def test_a_value_that_nobody_declared_may_not_vanish_with_its_people() -> None:
    before = health(1000, shares=divided(Sales=900, Legal=60, Lab=40))
    (breach,) = found(health(960, shares=divided(Sales=900, Legal=60)), before)
    assert (breach.finding.code, breach.finding.subject, breach.column) == (SHARES, "department", "")
    assert breach.finding.detail == "Lab: 40 in the last run, none now; none may vanish with its people"


def test_a_value_that_is_called_otherwise_is_not_gone() -> None:
    before = health(1000, shares=divided(Sales=900, Lab=100))
    assert codes(health(1000, shares=divided(Sales=900, Research=100)), before) == []


def test_a_declared_value_may_lose_so_much_and_few_may_always_go() -> None:
    expect = Expect(shares={"Department": Limit(share=0.2, floor=3)})
    before = health(shares=divided(Sales=80, Lab=20))
    assert codes(health(shares=divided(Sales=64, Lab=16)), before, expect) == []
    (breach,) = found(health(shares=divided(Sales=63, Lab=15)), before, expect)
    assert breach.finding.detail == (
        "Sales: 80 in the last run, 63 now; Lab: 20 in the last run, 15 now; each may lose 20%"
    )
    assert codes(health(shares=divided(A=1, Lab=20)), health(shares=divided(A=4, Lab=20)), expect) == []
    assert codes(health(shares=divided(Lab=20)), health(shares=divided(A=3, Lab=20)), expect) == [SHARES]
    assert codes(health(shares=divided(Lab=20)), health(shares=divided(A=2, Lab=20)), expect) == []


def test_the_figures_of_a_finding_are_the_five_that_lost_most() -> None:
    before = health(700, shares=divided(**{f"d{n}": 100 + n for n in range(7)}))
    (breach,) = found(health(700), before, Expect(shares={"department": Limit(share=0.2, floor=3)}))
    assert breach.finding.detail.startswith("d6: 106 in the last run, none now; d5: ")
    assert "; and 2 more values; " in breach.finding.detail


# --- how new it is ------------------------------------------------------------------------------


def test_an_export_that_stands_still_is_not_believed() -> None:
    was = NOW - timedelta(hours=37)
    (breach,) = found(health(newest=was), health(newest=was), FRESH)
    assert (breach.finding.code, breach.finding.subject, breach.backwards) == (STALE, "updated_at", False)
    assert "2026-11-25 17:00 UTC" in breach.finding.detail
    assert breach.finding.detail.endswith("that is 37 h ago; allowed 36 h")
    assert codes(health(newest=NOW - timedelta(hours=36)), None, FRESH) == []


def test_a_source_that_is_older_than_the_last_one_is_not_believed_about_access() -> None:
    now, before = health(newest=NOW - timedelta(hours=5)), health(newest=NOW - timedelta(hours=4))
    (breach,) = found(now, before, FRESH)
    assert (breach.finding.code, breach.backwards) == (STALE, True)
    judged = judge(now, before, proven=True, keyless=False, limits=Limits(), expect=FRESH, breaches=[breach])
    assert (judged.absence, judged.frozen, judged.broken, judged.remembered) == (False, {"active"}, (STALE,), before)


def test_a_column_of_moments_without_any_is_told() -> None:
    assert codes(health(), None, FRESH) == [STALE]


def test_an_old_file_that_comes_again_is_known_by_its_letters() -> None:
    old = Earlier(run="r1", when=NOW, fingerprint="a")
    before, again = health(fingerprint="b"), health(fingerprint="a")
    (breach,) = found(replace(again, fingerprint="a"), replace(before, fingerprint="b"), earlier=[old])
    assert (breach.finding.code, breach.finding.detail) == (OLD, "as in run r1 of 2026-11-27 06:00 UTC")
    assert breach.backwards
    assert codes(replace(again, fingerprint="b"), before, earlier=[replace(old, fingerprint="b")]) == []


# --- what comes of it ---------------------------------------------------------------------------


def test_whoever_vouches_for_a_breach_makes_it_the_new_measure() -> None:
    now, before = health(names=range(50, 150)), health()
    given = {"proven": True, "keyless": False, "limits": Limits(), "breaches": found(now, before)}
    judged = judge(now, before, **given)
    assert (judged.absence, judged.broken, judged.remembered) == (False, (CHURN,), before)
    judged = judge(now, before, **given, overrides=[CHURN])
    assert (judged.absence, judged.broken, judged.remembered, judged.findings) == (True, (), now, ())


def test_fewer_rows_clear_nothing_either() -> None:
    judged = judge(health(80), health(), proven=True, keyless=False, limits=Limits())
    assert judged.broken == (ROWS,)


def test_a_column_that_lost_records_says_nothing_about_access_where_active_is_made_of_it() -> None:
    expect = Expect(shares={"status": Limit(share=0.2, floor=3)})
    before = health(shares={"status": {"active": 90, "left": 10}})
    now = health(shares={"status": {"active": 50, "left": 50}})
    given = {"proven": True, "keyless": False, "limits": Limits(), "expect": expect}
    judged = judge(now, before, **given, breaches=found(now, before, expect), columns_of={"active": ["STATUS"]})
    assert judged.frozen == {"active"}
    judged = judge(now, before, **given, breaches=found(now, before, expect), columns_of={"active": ["x"]})
    assert judged.frozen == frozenset()


def test_a_declared_share_of_blanks_holds_on_a_first_run_and_instead_of_what_is_learned() -> None:
    expect = Expect(blanks={"Email": 0.02, "title": 0.6})
    assert too_blank({"email": 0.03, "title": 0.5}, expect) == {"email": "3.0% of the records have none, allowed 2%"}
    now = replace(make_health(email=0.03, title=0.5), desired={"title": 0.5})
    before = replace(make_health(email=0.03, title=0.1), desired={"title": 0.1})
    given = {"proven": True, "keyless": False, "limits": Limits(), "expect": expect}
    made_of = {"userName": ["email"], "title": ["title"]}
    for previous in (None, before):
        judged = judge(now, previous, **given, columns_of=made_of)
        assert (judged.blank_columns, judged.frozen) == ({"email"}, {"userName"})
        (finding,) = judged.findings
        assert (finding.code, finding.detail) == (BLANKS, "email: 3.0% of the records have none, allowed 2%")
