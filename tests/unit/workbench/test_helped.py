"""Helpers of the mapping language are there once a statement calls them, and cost nothing where none does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scimsync.workbench.bench import Workbench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with Workbench(tmp_path) as found:
        yield found


def made(bench: Workbench) -> set[str]:
    """The helpers that there are."""
    return {str(name) for (name,) in bench.rows("SELECT function_name FROM duckdb_functions() WHERE NOT internal")}


def test_a_helper_comes_with_those_it_needs_when_it_is_first_called(bench: Workbench) -> None:
    assert made(bench) == set()
    assert bench.sql.execute("SELECT Blank(' x '), \"blank\"('')").fetchone() == ("x", None)
    assert made(bench) == {"blank", "tidy", "bare"}


def test_a_cursor_sees_what_another_made(bench: Workbench) -> None:
    bench.sql.execute("SELECT tidy('x')")
    assert bench.sql.cursor().execute("SELECT tidy(' y '), ref(' 7 ')").fetchone() == ("y", "7")


def test_a_column_of_the_name_of_a_helper_makes_none(bench: Workbench) -> None:
    bench.sql.execute("CREATE TABLE links (account VARCHAR, names VARCHAR)")
    bench.sql.execute("SELECT account, l.names FROM links l WHERE account = 'skills'")
    assert made(bench) == set()


def test_a_result_that_is_being_read_goes_on_when_a_helper_is_made(bench: Workbench) -> None:
    rows = bench.sql.execute("SELECT i FROM range(5000) t(i)")
    first = rows.fetchmany(10)
    assert bench.sql.cursor().execute("SELECT title_case('ada b')").fetchone() == ("Ada B",)
    assert [*first, *rows.fetchall()] == [(i,) for i in range(5000)]


def test_a_table_of_the_helpers_is_there_for_whoever_reads_it_first(bench: Workbench) -> None:
    assert bench.number("SELECT count(*) FROM phone_memo") == 0
    assert not bench.are("ahead")


@pytest.mark.parametrize("name", ["lpad", "rpad", "LPAD"])
def test_a_text_of_any_width_is_never_made(bench: Workbench, name: str) -> None:
    with pytest.raises(Exception, match="wider than 10,000"):
        bench.sql.execute(f"SELECT {name}('x', 2000000000, 'x')")


@pytest.mark.parametrize("name", ["lpad", "rpad"])
def test_a_width_that_nobody_gave_makes_no_text(bench: Workbench, name: str) -> None:
    widths = "(VALUES (NULL::INTEGER), (3)) t(wide)"
    found = bench.sql.execute(f"SELECT {name}('x', wide, '-') FROM {widths} ORDER BY wide NULLS FIRST").fetchall()
    assert found == [(None,), ("--x" if name == "lpad" else "x--",)]
    assert bench.sql.execute(f"SELECT {name}('x', NULL, '-')").fetchall() == [(None,)]
