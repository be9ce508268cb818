"""Which records of a person hold on a day: the tables held against the rule in plain words."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.factories import make_reading
from tests.soak import examples

from scimsync.core.validity import Validity
from scimsync.workbench.bench import PLACE, Workbench
from scimsync.workbench.presence import ENDED, prepare, restore
from scimsync.workbench.records import stage_records
from scimsync.workbench.validity import check_validity, coming, ended, keep_valid

TODAY = date(2026, 11, 27)
DAY = st.none() | st.integers(-4, 4).map(lambda days: TODAY + timedelta(days=days))
ROWS = st.lists(st.tuples(st.sampled_from(["1", "2"]), DAY, DAY), min_size=1, max_size=6)
Row = tuple[str, date | None, date | None]


def standing(rows: Sequence[Row]) -> dict[str, tuple[list[int], bool]]:
    """Of each key which rows stay, and whether they have ended."""
    found: dict[str, tuple[list[int], bool]] = {}
    for key in {row[0] for row in rows}:
        mine = [(n, first or date.min, last or date.max) for n, (k, first, last) in enumerate(rows) if k == key]
        # who ends before a beginning that is still to come has two spans: until the end, and from the return
        back = [(n, last) for n, first, last in mine if first > last and first > TODAY]
        mine = [one for one in mine if one[0] not in {n for n, _ in back}] + [(n, date.min, last) for n, last in back]
        bad = [n for n, first, last in mine if first > last]
        here = [n for n, first, last in mine if first <= TODAY <= last]
        past = [(last, n) for n, first, last in mine if last < TODAY]
        if bad or here:
            found[key] = (sorted(bad or here), False)
        elif past:
            found[key] = ([max(past)[1]], True)
    return found


@pytest.mark.parametrize("filler", ["1899-12-30", "1900-01-01", "0001-01-01", "1970-01-01"])
def test_a_filler_for_no_last_day_ends_nobody(tmp_path: Path, filler: str) -> None:
    with Workbench(tmp_path) as bench:
        reading = make_reading([{"id": "1", "last": filler}])
        stage_records(bench, reading, key="id")
        days = check_validity(bench, Validity(last="last"), reading.columns)
        prepare(bench)
        keep_valid(bench, "id", days, TODAY, marks=True)
        assert bench.number("SELECT count(*) FROM ended") == 0
        assert [*bench.rows("SELECT key, bad FROM spans")] == [("1", True)]


@settings(max_examples=examples(80, 6), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, st.booleans())
def test_the_tables_keep_what_the_rule_keeps(rows: list[Row], twice: bool) -> None:
    records = [{"id": key, "first": first, "last": last} for key, first, last in rows]
    with tempfile.TemporaryDirectory() as folder, Workbench(Path(folder)) as bench:
        reading = make_reading(records)
        stage_records(bench, reading, key="id")
        days = check_validity(bench, Validity(first="first", last="last"), reading.columns)
        for _ in range(1 + twice):
            prepare(bench)
            keep_valid(bench, "id", days, TODAY, marks=True)
        kept: dict[str, tuple[list[int], bool]] = {}
        numbers = {
            place: n for n, (place,) in enumerate(bench.rows("SELECT place FROM spans GROUP BY place ORDER BY min(n)"))
        }
        for key, place, over in bench.rows(f"SELECT id, {PLACE}, {ENDED} FROM records ORDER BY {PLACE}"):
            kept.setdefault(str(key), ([], bool(over)))[0].append(numbers[place])
        assert kept == standing(rows)
        assert ended(bench).keys() == {key for key, (_, over) in kept.items() if over}
        for one in coming(bench, TODAY, TODAY + timedelta(days=30)):
            assert TODAY < one.day <= TODAY + timedelta(days=30)
        restore(bench)
        assert bench.number("SELECT count(*) FROM records") == len(rows)
