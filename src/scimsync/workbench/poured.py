"""A reading that was poured into a file, into the table `records`: DuckDB's own readers take it in one statement."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import date, datetime
from decimal import Decimal

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute

from scimsync.model.records import Form, Poured, Reading
from scimsync.workbench.bench import PLACE, Column, N, Workbench, quoted, text
from scimsync.workbench.rows import HUGE, NUMBERS, WHOLE, make_records, sql_type, take_rows
from scimsync.workbench.values import BLANK, is_blank, stripped

#: bytes of the longest text in a cell of Parquet; who walks over the rows says which column has a longer one
_WIDEST = 1 << 20
#: how a column is read, and the one kind of cells that is in it where its form says so already
_READ: dict[Form, tuple[str, object]] = {
    Form.TEXT: ("VARCHAR", str),
    Form.TRUTH: ("BOOLEAN", bool),
    Form.WHOLE: ("BIGINT", int),
    Form.NUMBER: ("VARCHAR", None),
    Form.DAY: ("DATE", date),
    Form.TIME: ("TIMESTAMP", datetime),
}


def take(bench: Workbench, reading: Reading, null_values: Sequence[str] = ()) -> int:
    """Bring a reading into the table `records`, in one go where it can be poured; how many records there are.

    Args:
        bench: Where the table goes.
        reading: The reading.
        null_values: Texts that stand for nothing in a cell.

    Raises:
        SourceError: The reading failed.
    """
    count = take_poured(bench, reading)
    if count is None:
        count = take_rows(bench, reading)
    elif isinstance(reading.batches, Generator):
        reading.batches.close()  # a file or a connection, which nobody needs any longer
    if null_values and count:
        _empty(bench, null_values)
    return count


def _empty(bench: Workbench, null_values: Sequence[str]) -> None:
    """Make cells that hold one of these texts, and nothing else but blanks, null."""
    words = ", ".join(text(word.strip(BLANK)) for word in null_values)
    for column in bench.columns:
        if column.type == "VARCHAR":
            name = quoted(column.name)
            bench.sql.execute(f"UPDATE records SET {name} = NULL WHERE {stripped(name)} IN ({words})")


def take_poured(bench: Workbench, reading: Reading) -> int | None:
    """Pour a reading into the table `records`; how many records there are, or None where that cannot be done."""
    if reading.pour is None:
        return None
    with bench.spooled("records") as (path, file):
        poured = reading.pour(file)
        file.flush()
        if poured is None or poured.rows == 0:  # who walks says what is wrong with a source without records
            return None
        try:
            return _take(bench, reading.columns, poured, _scan(poured, str(path)))
        except duckdb.Error:  # it says nothing of lines: whoever walks the rows finds out, and says more
            return None


def _scan(poured: Poured, path: str) -> str:
    """The SQL of the file as columns c0, c1, ... with the number r of the record, from 0."""
    names = [f"c{n}" for n in range(len(poured.forms))]
    read = [_READ[form][0] for form in poured.forms]
    if poured.is_parquet:
        # the name of a column is anybody's, its place is not
        cast = ", ".join(_cast(name, kind) for name, kind in zip(names, read, strict=True))
        scan = f"read_parquet({text(path)}, hive_partitioning = false, file_row_number = true)"
        return f"SELECT r, {cast} FROM (SELECT * FROM {scan}) AS poured({', '.join(names)}, r)"
    # days as text first: the reader of DuckDB takes "0044-03-15 BC" for a day after Christ
    asked = [
        "VARCHAR" if form in {Form.DAY, Form.TIME} else kind for form, kind in zip(poured.forms, read, strict=True)
    ]
    columns = ", ".join(f"{name}: {text(kind)}" for name, kind in zip(names, asked, strict=True))
    given = ", ".join(
        name if kind == other else _day_of(name, kind) for name, kind, other in zip(names, read, asked, strict=True)
    )
    options = {
        "delim": text(poured.delimiter),
        "allow_quoted_nulls": str(not poured.keeps_empty).lower(),
    }
    more = ", ".join(f"{name} = {value}" for name, value in options.items())
    return (
        f"SELECT row_number() OVER () - 1 AS r, {given} FROM read_csv({text(path)}, columns = {{{columns}}}, {more}, "
        "auto_detect = false, header = false, strict_mode = true, quote = '\"', escape = '\"', nullstr = '', "
        "comment = '', new_line = '\\n', encoding = 'utf-8', max_line_size = 4194304)"
    )


def _cast(name: str, kind: str) -> str:
    """The SQL of a cell of Parquet; a text that is too wide is for whoever walks."""
    if kind != "VARCHAR":
        return f"{name}::{kind} AS {name}"
    return f"CASE WHEN strlen({name}::VARCHAR) > {_WIDEST} THEN error('too wide') ELSE {name}::VARCHAR END AS {name}"


def _day_of(name: str, kind: str) -> str:
    """The SQL of a day or moment that came as text; one before Christ is for whoever walks."""
    return f"(CASE WHEN ends_with({name}, 'BC') THEN error('before Christ') ELSE {name} END)::{kind} AS {name}"


def _take(bench: Workbench, names: tuple[str, ...], poured: Poured, scan: str) -> int | None:
    """Read the file, and look whether it came as it was promised; None where it did not."""
    given = ", ".join(f"c{n} AS {quoted(name)}" for n, name in enumerate(names))
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE records AS SELECT r AS {N}, r + {poured.first} AS {PLACE}, {given} FROM ({scan})"
    )
    blank = " AND ".join(is_blank(quoted(name)) for name in names)
    facts = ", ".join(_facts(form, quoted(name)) for form, name in zip(poured.forms, names, strict=True))
    size = "0" if poured.size is None else _size(names, has_marks=poured.has_marks)
    count, blanks, held, *found = bench.sql.execute(
        f"SELECT count(*), count(*) FILTER ({blank}), {size}, {facts} FROM records"
    ).fetchone() or (0, 0, 0)
    if int(count) != poured.rows or int(held or 0) != (poured.size or 0):
        return None
    if not all(_is_alike(form, told) for form, told in zip(poured.forms, found, strict=True)):
        return None
    kinds = [_kinds(form, told) for form, told in zip(poured.forms, found, strict=True)]
    columns = [Column(name, sql_type(kind)) for name, kind in zip(names, kinds, strict=True)]
    numbers = {n for n, kind in enumerate(kinds) if kind & NUMBERS}
    bench.columns, bench.texts = tuple(columns), {}
    if blanks or numbers or [column.type for column in columns] != [_READ[form][0] for form in poured.forms]:
        again = ", ".join(f"{quoted(c.name)}::{_again(c, n in numbers)} AS c{n}" for n, c in enumerate(columns))
        number = f"row_number() OVER (ORDER BY {N}) - 1" if blanks else N
        rows = f"(SELECT {number} AS n, {PLACE} AS p, {again} FROM records WHERE NOT ({blank}))"
        make_records(bench, columns, numbers, rows)
    return int(count) - int(blanks)


def _size(names: Sequence[str], *, has_marks: bool) -> str:
    """The SQL of how many bytes all cells have together, quotation marks left out."""
    cells = [f"coalesce(strlen({quoted(name)}), 0)" for name in names]
    if has_marks:
        mark = text('"')
        cells += [
            f"-(CASE WHEN contains({c}, {mark}) THEN strlen({c}) - strlen(replace({c}, {mark}, '')) ELSE 0 END)"
            for c in map(quoted, names)
        ]
    return f"sum({' + '.join(cells)})"


def _again(column: Column, is_number: bool) -> str:  # noqa: FBT001 - private
    return "VARCHAR" if is_number else column.type


_SPECIAL = "('NaN', 'Infinity', '-Infinity')"
_LEAST = "-9223372036854775808"


def _facts(form: Form, column: str) -> str:
    """The SQL of what must be known of a column before its type is."""
    if form is Form.TEXT:
        return "NULL"
    if form in {Form.DAY, Form.TIME}:  # what Python has no date for is for whoever walks
        return f"[count({column}) > 0, coalesce(bool_and({column} BETWEEN '0001-01-01' AND '9999-12-31'), true)]"
    if form is not Form.NUMBER:  # one number has no absolute value in 64 bits
        least = f"min({column}) > {_LEAST}" if form is Form.WHOLE else "true"
        return f"[count({column}) > 0, coalesce({least}, true)]"
    broken = f"({column} IN {_SPECIAL} OR regexp_matches({column}, '[.][0-9]*[1-9]'))"
    whole = f"split_part({column}, '.', 1)"
    huge = f"(NOT {broken} AND (TRY_CAST({whole} AS BIGINT) IS NULL OR {whole} = '{_LEAST}'))"
    # of a number with many digits behind its point, Python may write another text
    tests = (f"NOT {broken} AND NOT {huge}", broken, huge, f"regexp_matches({column}, '[.][0-9]{{7}}')")
    return f"[{', '.join(f'coalesce(bool_or({test}) FILTER ({column} IS NOT NULL), false)' for test in tests)}]"


def _is_alike(form: Form, told: Sequence[bool] | None) -> bool:
    """Whether whoever walks over the cells of a column would give the same."""
    return told is None or (not told[3] if form is Form.NUMBER else told[1])


def _kinds(form: Form, told: Sequence[bool] | None) -> set[object]:
    """The kinds of cells in a column, as whoever walks over them would find."""
    if form is Form.NUMBER:
        return {kind for kind, there in zip((WHOLE, Decimal, HUGE), told or (), strict=False) if there}
    return {_READ[form][1]} if told is None or told[0] else set()
