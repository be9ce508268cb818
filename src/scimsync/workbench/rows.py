"""Rows that come through Python, into the table `records`: a spool of one JSON object a line, then one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import count as counter
from typing import BinaryIO

import msgspec

from scimsync.core.desired import SPACE
from scimsync.model.records import Batch, Cell, Reading
from scimsync.workbench.bench import PLACE, TEXT, Column, N, Workbench, encode_lines, quoted, text

_MOST_BYTES = 67_108_864


def take_rows(bench: Workbench, reading: Reading) -> int:
    """Walk a reading into the table `records`; how many records there are.

    Raises:
        SourceError: The reading failed.
    """
    spool = _Spool(len(reading.columns))
    with bench.spooled("records") as (path, file):
        for batch in reading.batches:
            spool.write(file, batch)
        file.flush()
        if spool.count:
            columns = [Column(name, sql_type(kinds)) for name, kinds in zip(reading.columns, spool.kinds, strict=True)]
            numbers = {n for n, kinds in enumerate(spool.kinds) if kinds & NUMBERS}
            wanted = {f"c{n}": "VARCHAR" if n in numbers else column.type for n, column in enumerate(columns)}
            wanted |= {f"c{n}": "TIMESTAMPTZ" for n, kinds in enumerate(spool.kinds) if kinds - {type(None)} == {ZONED}}
            listed = ", ".join(
                f"{name}: {text(kind)}" for name, kind in {"n": "BIGINT", "p": "BIGINT", **wanted}.items()
            )
            scan = f"read_ndjson({text(str(path))}, columns = {{{listed}}}, maximum_object_size = {_MOST_BYTES})"
            make_records(bench, columns, numbers, scan)
    return spool.count


def make_records(bench: Workbench, columns: Sequence[Column], numbers: set[int], given: str) -> None:
    """Make the table `records`.

    Args:
        bench: Where the table goes.
        columns: Their names and the types that they get.
        numbers: Which of them are numbers as text.
        given: The table of rows as SQL, with the number n, the place p and the columns c0, c1, ...
    """
    bench.columns = tuple(columns)
    bench.texts = {c.name.lower(): f"{TEXT}{n}" for n, c in enumerate(columns) if n in numbers and c.type == "DOUBLE"}
    made = [f"{_given(c, n, numbers)} AS {quoted(c.name)}" for n, c in enumerate(columns)]
    made += [
        f"{_number_text(f'c{n}')} AS {bench.texts[c.name.lower()]}"
        for n, c in enumerate(columns)
        if c.name.lower() in bench.texts
    ]
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE records AS SELECT n AS {N}, p AS {PLACE}, {', '.join(made)} FROM {given}"
    )


def _number_text(column: str) -> str:
    """The SQL of a number as its own text, whatever stands in other rows: 4711, 4711.5 and 4711.10 stay themselves."""
    return f"regexp_replace({column}, '^(-?[0-9]+)[.]0+$', '\\1')"


def _given(column: Column, n: int, numbers: set[int]) -> str:
    """The SQL of a column; a moment with a zone becomes what the clocks of the workbench showed."""
    if n in numbers:
        return _typed(column, f"c{n}")
    return f"c{n}::TIMESTAMP" if column.type == "TIMESTAMP" else f"c{n}"


def _typed(column: Column, given: str) -> str:
    """The SQL of a column of numbers that came as text."""
    match column.type:
        case "BIGINT":
            return f"{given}::DECIMAL(38, 6)::BIGINT"
        case "DOUBLE":
            return f"{given}::DOUBLE"
    return _number_text(given)


@dataclass(slots=True)
class _Spool:
    """What was written so far."""

    width: int
    count: int = 0
    kinds: list[set[object]] = field(default_factory=list)
    _line: type[msgspec.Struct] = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = [set() for _ in range(self.width)]
        names = ["n", "p", *(f"c{n}" for n in range(self.width))]
        self._line = msgspec.defstruct("Line", [(name, object) for name in names], gc=False)

    def write(self, file: BinaryIO, batch: Batch) -> None:
        kept = _records_of(batch)
        if not kept.rows:
            return
        columns = list(zip(*kept.rows, strict=True))
        types: Sequence[frozenset[type] | None] = kept.types or [None] * self.width
        for kinds, known, values in zip(self.kinds, types, columns, strict=True):
            kinds.update(_kinds(values, set(map(type, values)) if known is None else known))
        file.write(encode_lines(list(map(self._line, counter(self.count), kept.places, *columns))))
        self.count += len(kept.rows)


def _records_of(batch: Batch) -> Batch:
    """A batch without rows of blanks, as spreadsheets leave them at the end: those are no records."""
    blank = {
        n
        for n, row in enumerate(batch.rows)
        # most first cells begin with a plain letter, and are looked at no further
        if not (type(first := row[0]) is str and "!" <= first < "\x7f") and all(map(_is_blank, row))
    }
    if not blank:
        return batch
    kept = [n for n in range(len(batch.rows)) if n not in blank]
    return Batch([batch.rows[n] for n in kept], [batch.places[n] for n in kept])


def _is_blank(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip(SPACE))


#: a number without fraction that came as float or Decimal; an integer that is too large for a column
WHOLE, HUGE = "whole", "huge"
#: a moment with a zone
ZONED = "zoned"
#: what is read as text first, because the same number comes in several spellings
NUMBERS: frozenset[object] = frozenset({WHOLE, float, Decimal})


def _kinds(values: Sequence[Cell], types: Iterable[type]) -> set[object]:
    """The types in a column; numbers are looked at, so that a key 1001 is 1001 however the driver gives it."""
    kinds: set[object] = set(types)
    if kinds & {float, Decimal}:
        numbers = [v for v in values if isinstance(v, float | Decimal)]
        kinds = (kinds - {float, Decimal}) | {_number(v) for v in numbers}
    if datetime in kinds:
        moments = [v for v in values if type(v) is datetime]
        kinds = (kinds - {datetime}) | {datetime if v.tzinfo is None else ZONED for v in moments}
    if int in kinds and any(type(v) is int and abs(v) >= 2**63 for v in values):
        kinds = (kinds - {int}) | {HUGE}
    return kinds


def _number(value: float | Decimal) -> object:
    if value != value or value in {float("inf"), float("-inf")} or value % 1:  # noqa: PLR0124 - NaN
        return type(value)
    return WHOLE if -(2**63) < int(value) < 2**63 else HUGE


def sql_type(kinds: set[object]) -> str:
    """The SQL type that holds everything of a column; text where nothing else does."""
    kinds = kinds - {type(None)}
    columns: tuple[tuple[set[object], str], ...] = (
        ({bool}, "BOOLEAN"),
        ({int, WHOLE}, "BIGINT"),
        ({int, WHOLE, float, Decimal}, "DOUBLE"),
        ({date}, "DATE"),
        ({datetime}, "TIMESTAMP"),
        ({ZONED}, "TIMESTAMP"),
    )
    for fits, name in columns:
        if kinds and kinds <= fits:
            return name
    return "VARCHAR"
