"""One idea of a day, wherever it comes from and wherever it is asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from scimsync.workbench.bench import Workbench
from scimsync.workbench.expressions import Expression, check

KINDS = {"hired": "VARCHAR", "ends": "VARCHAR", "born": "DATE", "begun": "TIMESTAMP", "status": "VARCHAR"}


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = Workbench(tmp_path, zone="Europe/Berlin")
    bench.sql.execute("CREATE OR REPLACE MACRO today() AS DATE '2026-11-28'")
    return bench


def answer(bench: Workbench, text: str, *, is_status: bool = True, **cells: object) -> object:
    found = check(text, bench.sql, [*KINDS], is_status=is_status, kinds=KINDS)
    assert isinstance(found, Expression), found
    given = {name: cells.get(name) for name in KINDS}
    columns = ", ".join(f"?::{kind} AS {name}" for name, kind in KINDS.items())
    row = bench.sql.execute(f"SELECT {found.sql} FROM (SELECT {columns})", [*given.values()]).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("given", "day"),
    [
        ("2026-11-28", date(2026, 11, 28)),
        (" 2026-11-28 ", date(2026, 11, 28)),
        ("20261128", date(2026, 11, 28)),
        ("2026-11-28 14:30:00", date(2026, 11, 28)),
        ("2026-11-28T23:59:59.5", date(2026, 11, 28)),
        ("2026-11-27T23:30:00Z", date(2026, 11, 28)),
        ("2026-11-28 00:30:00+02:00", date(2026, 11, 27)),
        ("0000-00-00", None),
        ("0000-00-00 00:00:00", None),
        ("infinity", None),
        ("2026-02-30", None),
        ("28.11.2026", None),
        ("46000", None),
        ("", None),
        (None, None),
    ],
)
def test_a_text_is_the_day_that_it_says_in_our_zone(bench: Workbench, given: str | None, day: date | None) -> None:
    assert answer(bench, "as_date(hired)", is_status=False, hired=given) == day


@pytest.mark.parametrize(
    ("given", "day"),
    [("46000", date(2025, 12, 9)), ("46000.75", date(2025, 12, 9)), ("2026-11-28", date(2026, 11, 28)), ("60", None)],
)
def test_a_serial_number_is_a_day_where_the_mapping_says_so(bench: Workbench, given: str, day: date | None) -> None:
    assert answer(bench, "excel_date(hired)", is_status=False, hired=given) == day


FILLERS = ["1899-12-30", "1900-01-01", "0001-01-01", "1970-01-01", "19000101", "1900-01-01 00:00:00"]


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize(
    "text",
    [
        "ends >= today()",
        "coalesce(ends >= today(), true)",
        "status = 'active' AND coalesce(ends >= today(), true)",
        "NOT ends < today()",
        "CASE WHEN ends < today() THEN false ELSE true END",
    ],
)
def test_a_filler_for_no_day_takes_nobodys_access(bench: Workbench, text: str, filler: str) -> None:
    assert answer(bench, text, ends=filler, status="active") is None


@pytest.mark.parametrize(
    ("text", "cells", "expected"),
    [
        ("status = 'active' AND coalesce(ends >= today(), true)", {"status": "left", "ends": "1900-01-01"}, False),
        ("status = 'active' AND hired <= today()", {"status": "active", "hired": "1900-01-01"}, True),
        ("status = 'active' AND hired <= today()", {"status": "left", "hired": "1900-01-01"}, False),
        ("coalesce(born >= today(), true)", {"born": date(1900, 1, 1)}, None),
        ("coalesce(born >= today(), true)", {"born": date(2020, 1, 1)}, False),
        ("coalesce(ends >= today(), true)", {"ends": "1985-01-01"}, False),
        ("coalesce(ends >= today(), true)", {"ends": None}, True),
    ],
)
def test_another_ground_decides_beside_a_filler(
    bench: Workbench, text: str, cells: dict[str, object], expected: bool | None
) -> None:
    assert answer(bench, text, **cells) is expected


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("hired <= today()", "2026-11-28", True),
        ("hired <= today()", "2026-11-28T18:00:00", True),
        ("hired <= current_date", "2026-11-29", False),
        ("today() >= trim(hired)", "2026-11-28", True),
        ("hired - 7 <= today()", "2026-12-05", True),
        ("hired - INTERVAL 7 DAY <= today()", "2026-12-06", False),
        ("hired BETWEEN today() - 30 AND today()", "2026-11-01", True),
        ("coalesce(hired, DATE '9999-12-31') <= today()", None, False),
        ("coalesce(hired <= today(), true)", None, True),
        ("CASE WHEN hired <= today() THEN true ELSE false END", "2026-12-01", False),
        ("year(hired) = 2026", "2026-12-01", True),
    ],
)
def test_what_is_compared_with_a_day_is_read_as_one(
    bench: Workbench, text: str, given: str | None, expected: object
) -> None:
    assert answer(bench, text, hired=given) is expected


def test_a_moment_of_a_day_is_that_day(bench: Workbench) -> None:
    assert answer(bench, "begun <= today()", begun="2026-11-28 18:00:00") is True
    assert answer(bench, "begun < today()", begun="2026-11-28 18:00:00") is False


@pytest.mark.parametrize("given", ["0000-00-00", "infinity", "soon", "2026-13-01"])
@pytest.mark.parametrize(
    "text",
    [
        "status = 'active' AND hired <= today()",
        "status = 'active' AND coalesce(hired >= today(), true)",
        "status = 'active' AND coalesce(hired, today()) >= today()",
        "status = 'active' AND NOT (hired <= today())",
        "CASE WHEN hired <= today() THEN true ELSE false END",
        "CASE WHEN hired BETWEEN today() AND today() + 7 THEN false ELSE true END",
        "status = 'active' AND (hired <= today()) IS NULL",
    ],
)
def test_a_text_that_is_no_day_gives_and_takes_no_access(bench: Workbench, text: str, given: str) -> None:
    assert answer(bench, text, status="active", hired=given) is None


@pytest.mark.parametrize(
    "text",
    [
        "status = 'active' AND hired <= today()",
        "CASE WHEN status = 'left' THEN false WHEN hired <= today() THEN true ELSE false END",
    ],
)
def test_another_ground_decides_where_it_can(bench: Workbench, text: str) -> None:
    assert answer(bench, text, status="left", hired="soon") is False


def test_the_expression_says_where_a_text_is_no_day(bench: Workbench) -> None:
    found = check("year(hired)", bench.sql, [*KINDS], kinds=KINDS)
    assert isinstance(found, Expression)
    assert found.undated
    for given, expected in (("soon", True), ("2026-11-28", False), ("", False), (None, False)):
        query = f"SELECT {found.undated} FROM (SELECT ?::VARCHAR AS hired)"
        assert bench.sql.execute(query, [given]).fetchone() == (expected,)


def test_a_column_of_days_is_left_as_it_is(bench: Workbench) -> None:
    found = check("born <= today()", bench.sql, [*KINDS], kinds=KINDS)
    assert isinstance(found, Expression)
    assert (found.sql, found.undated) == ("(born <= today())", "")


def test_a_moment_with_a_zone_is_read_the_same_without_tables() -> None:
    from scimsync.core.desired import _day  # noqa: PLC0415 - the half of the law that is not public

    assert _day(datetime(2026, 11, 28, 23, 30, tzinfo=UTC)) == "2026-11-28"
    assert _day("2026-11-28T14:30") == "2026-11-28"
    assert _day("0000-00-00") == "0000-00-00"
