"""Bring what a source gives into the table `records`, and take the health of the reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import BinaryIO

from scimsync.core.desired import SPACE
from scimsync.errors import SourceError
from scimsync.model.records import Batch, Cell, Reading, SourceHealth
from scimsync.workbench.bench import PLACE, TEXT, Column, N, Workbench, encode, quoted, text
from scimsync.workbench.values import BLANK, is_blank, stripped


def stage_records(bench: Workbench, reading: Reading, *, key: str, null_values: Sequence[str] = ()) -> SourceHealth:
    """Walk a reading into the table `records`, and take its health.

    Args:
        bench: Where the table goes.
        reading: The reading.
        key: Column that identifies a person.
        null_values: Texts that stand for nothing in a cell.

    Raises:
        SourceError: The reading failed, has no key column, or holds no record.
    """
    lowered = [name.lower() for name in reading.columns]
    if doubled := sorted({name for name in reading.columns if lowered.count(name.lower()) > 1}):
        words = ", ".join(doubled)
        raise SourceError(f"source: the columns {words} differ in case only. Rename all but one, with AS for instance.")
    if key.lower() not in lowered:
        names = ", ".join(reading.columns)
        raise SourceError(f"source: the key column {key!r} is missing; the columns are {names}. Set [source] key.")
    seen: list[set[object]] = [set() for _ in reading.columns]
    count = 0
    with bench.spooled("records") as (path, file):
        for batch in map(_records_of, reading.batches):
            for index, values in enumerate(zip(*batch.rows, strict=True)):
                seen[index] |= _kinds(values)
            count = _spool_rows(file, reading.columns, batch.rows, batch.places, count)
        file.flush()
        if count == 0:
            raise SourceError("source: it holds no records. An empty source never means that everybody left.")
        bench.columns = tuple(Column(name, _sql_type(types)) for name, types in zip(reading.columns, seen, strict=True))
        ours = (Column(N, "BIGINT"), Column(PLACE, "BIGINT"))
        numbers = [c for c, types in zip(bench.columns, seen, strict=True) if types & {_WHOLE, float, Decimal}]
        as_text = {c.name for c in numbers}
        wanted = ", ".join(
            f"{quoted(c.name)}: {text('VARCHAR' if c.name in as_text else c.type)}" for c in (*ours, *bench.columns)
        )
        cast = ", ".join(f"{_typed(c)} AS {quoted(c.name)}" for c in numbers)
        bench.texts = {c.name.lower(): f"{TEXT}{n}" for n, c in enumerate(bench.columns) if c.type == "DOUBLE"}
        more = "".join(
            f", {_number_text(c.name)} AS {bench.texts[c.name.lower()]}" for c in numbers if c.type == "DOUBLE"
        )
        bench.sql.execute(
            f"CREATE OR REPLACE TABLE records AS SELECT *{f' REPLACE ({cast})' if cast else ''}{more} FROM "
            f"read_ndjson({text(str(path))}, columns = {{{wanted}}}, maximum_object_size = 67108864)"
        )
    if null_values:
        _empty(bench, null_values)
    (printed,) = bench.sql.execute(
        "SELECT coalesce(bit_xor(hash(to_json(r)::VARCHAR)), 0)::VARCHAR || '-' || count(*) FROM "
        f"(SELECT * EXCLUDE ({N}, {PLACE}) FROM records) r"
    ).fetchone() or ("",)
    shares = blanks(bench, "records", {c.name: quoted(c.name) for c in bench.columns})
    return SourceHealth(rows=count, blanks=shares, fingerprint=str(printed))


def _number_text(column: str) -> str:
    """The SQL of a number as its own text, whatever stands in other rows: 4711, 4711.5 and 4711.10 stay themselves."""
    return f"regexp_replace({quoted(column)}, '^(-?[0-9]+)[.]0+$', '\\1')"


def _typed(column: Column) -> str:
    """The SQL of a column of numbers that came as text."""
    match column.type:
        case "BIGINT":
            return f"{quoted(column.name)}::DECIMAL(38, 6)::BIGINT"
        case "DOUBLE":
            return f"{quoted(column.name)}::DOUBLE"
    return _number_text(column.name)


def _records_of(batch: Batch) -> Batch:
    """A batch without rows of blanks, as spreadsheets leave them at the end: those are no records."""
    if not any(_is_blank(row[0]) and all(map(_is_blank, row)) for row in batch.rows if row):
        return batch
    kept = [n for n, row in enumerate(batch.rows) if not all(map(_is_blank, row))]
    return Batch([batch.rows[n] for n in kept], [batch.places[n] for n in kept])


def _is_blank(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip(SPACE))


def stage_keys(bench: Workbench, reading: Reading, *, key: str) -> None:
    """Walk a reading into the table `keys`, as text."""
    stage_records(bench, reading, key=key)
    bench.sql.execute(f"CREATE OR REPLACE TABLE keys AS SELECT tidy({quoted(key)}) AS key FROM records")


def _empty(bench: Workbench, null_values: Sequence[str]) -> None:
    """Make cells that hold one of these texts, and nothing else but blanks, null."""
    words = ", ".join(text(word.strip(BLANK)) for word in null_values)
    for column in bench.columns:
        if column.type == "VARCHAR":
            name = quoted(column.name)
            bench.sql.execute(f"UPDATE records SET {name} = NULL WHERE {stripped(name)} IN ({words})")


def blanks(bench: Workbench, table: str, columns: Mapping[str, str], where: Iterable[str] = ()) -> dict[str, float]:
    """The share of blanks in columns of a table; for each column in the rows that it is asked about."""
    wheres = [*where] or ["true"] * len(columns)
    shares = [
        f"avg(({is_blank(column)})::INTEGER) FILTER ({asked})"
        for column, asked in zip(columns.values(), wheres, strict=True)
    ]
    found = bench.sql.execute(f"SELECT {', '.join(shares)} FROM {table}").fetchone() if shares else None
    return {name: float(share or 0) for name, share in zip(columns, found or (), strict=True)}


def _spool_rows(
    file: BinaryIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    places: Sequence[int],
    count: int,
) -> int:
    names = (N, PLACE, *columns)
    lines = [
        encode(dict(zip(names, (count + offset, place, *row), strict=True)))
        for offset, (place, row) in enumerate(zip(places, rows, strict=True))
    ]
    if lines:
        file.write(b"\n".join(lines) + b"\n")
    return count + len(lines)


#: a number without fraction that came as float or Decimal; an integer that is too large for a column
_WHOLE, _HUGE = "whole", "huge"


def _kinds(values: Sequence[Cell]) -> set[object]:
    """The types in a column; numbers are looked at, so that a key 1001 is 1001 however the driver gives it."""
    kinds: set[object] = set(map(type, values))
    if kinds & {float, Decimal}:
        numbers = [v for v in values if isinstance(v, float | Decimal)]
        kinds = (kinds - {float, Decimal}) | {_number(v) for v in numbers}
    if int in kinds and any(type(v) is int and abs(v) >= 2**63 for v in values):
        kinds = (kinds - {int}) | {_HUGE}
    return kinds


def _number(value: float | Decimal) -> object:
    if value != value or value in {float("inf"), float("-inf")} or value % 1:  # noqa: PLR0124 - NaN
        return type(value)
    return _WHOLE if -(2**63) < int(value) < 2**63 else _HUGE


def _sql_type(kinds: set[object]) -> str:
    """The SQL type that holds everything of a column; text where nothing else does."""
    kinds = kinds - {type(None)}
    columns: tuple[tuple[set[object], str], ...] = (
        ({bool}, "BOOLEAN"),
        ({int, _WHOLE}, "BIGINT"),
        ({int, _WHOLE, float, Decimal}, "DOUBLE"),
        ({date}, "DATE"),
        ({datetime}, "TIMESTAMP"),
    )
    for fits, name in columns:
        if kinds and kinds <= fits:
            return name
    return "VARCHAR"
