"""The rungs: how often somebody was missing, whatever readings came in between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scimsync.core.ladder import climb, next_due, over
from scimsync.model.outcomes import Suspect

START, APART = datetime(2026, 3, 1, tzinfo=UTC), timedelta(hours=1)


@dataclass(frozen=True)
class Reading:
    """One reading: so long after the one before, with the person or not, and whether it counts."""

    after: timedelta
    there: bool
    counts: bool
    delivery: str


readings = st.lists(
    st.builds(
        Reading,
        after=st.integers(0, 180).map(lambda minutes: timedelta(minutes=minutes)),
        there=st.sampled_from((False, False, False, True)),
        counts=st.booleans(),
        delivery=st.sampled_from(("", "monday", "tuesday")),
    ),
    max_size=12,
)


@given(readings)
def test_somebody_stands_as_high_as_the_readings_in_a_row_that_lacked_them(found: list[Reading]) -> None:
    known: Suspect | None = None
    counted: list[tuple[datetime, str]] = []  # since the person was last there
    now = START
    for one in found:
        now += one.after
        if one.there:
            gone = [*over([known] if known else [], (), ["E1"])]
            known, counted = (None if gone else known), []
            assert known is None
            continue
        stands = climb(known, "E1", "a1", now, apart=APART, delivery=one.delivery, counts=one.counts)
        is_late = not counted or now - counted[-1][0] >= APART * 23 / 24
        is_other = not counted or not one.delivery or one.delivery != counted[-1][1]
        if one.counts and is_late and is_other:
            counted.append((now, one.delivery))
        assert stands.readings == len(counted)
        if one.counts:  # what does not count is not kept
            known = stands
            assert known.last == counted[-1][0]
            assert known.since == counted[0][0]
            assert next_due(known, len(counted) + 2, APART) == known.last + 2 * APART


def test_another_account_of_the_same_key_begins_anew() -> None:
    known = Suspect("E1", "a1", 5, START, START)
    stands = climb(known, "E1", "a2", START + APART, apart=APART, delivery="", counts=True)
    assert (stands.readings, stands.account) == (1, "a2")


def test_whoever_is_missing_still_is_not_over() -> None:
    known = [Suspect("E1", "a1", 1, START, START), Suspect("E2", "a2", 1, START, START)]
    assert [*over(known, ["E1"], ["E1", "E2"])] == ["E2"]
