"""Bring both sides and the past into tables: records, desired values, accounts, links, base.

Rows travel through a spool file of one JSON object a line (the fastest way into DuckDB that needs no
further library); the spool lies in a folder of mode 0700 and goes away with the workbench. Every
value column holds text: a boolean as true/false, a list as canonical JSON, so that all of them
compare alike. Column `d3` is the desired value of the fourth mapped attribute, `c3` the current one,
`b3` the base ('' stands for "agreed that there is none", NULL for "never agreed").
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import duckdb
import msgspec

from scimsync import files
from scimsync.core.lifecycle import ACTIVE
from scimsync.errors import ConfigError, SourceError, StoreDamaged, TargetUnavailable
from scimsync.model.outcomes import Link
from scimsync.model.plans import Finding, Severity
from scimsync.model.policy import Mapped
from scimsync.model.records import Batch, Cell, Reading, SourceHealth
from scimsync.scim.schema import TRUTHS, Attribute, Catalog, Kind, Place, compared
from scimsync.workbench.expressions import FAULT_MARK, MACROS, Expression, check
from scimsync.workbench.statuses import SPACE

#: phone library: (number as written, region or "") -> E.164, or None where it is not a number
PhoneReader = Callable[[str, str], str | None]

_ENCODE = msgspec.json.Encoder(decimal_format="string").encode
#: names of our own columns in the records table; no source has them
N, PLACE = "scimsync_n", "scimsync_place"
#: how the columns begin that hold the numbers of another column as they were written
TEXT = "scimsync_text_"
#: an element of a list in our own lambdas; a source column of that name would take its place
_E = "scimsync_element"
#: the column of a base that holds the id of the account
ACCOUNT = "scimsync_account"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the staged records and its SQL type."""

    name: str
    type: str


class Workbench:
    """The tables of one planning run. A context manager; leaving it removes every file."""

    def __init__(self, folder: Path, *, memory_limit: str = "512MB", threads: int = 1, zone: str = "UTC") -> None:
        _remove_left_behind(folder)
        self._folder = Path(tempfile.mkdtemp(prefix=f"workbench-{os.getpid()}-", dir=folder))
        self.spool = self._folder / "spool"
        self.spool.mkdir(mode=0o700)
        self.sql = duckdb.connect(  # in memory, and beyond the limit in the folder: no log, no sync to disk
            ":memory:",
            config={
                "memory_limit": memory_limit,
                "threads": threads,
                "preserve_insertion_order": False,
                "temp_directory": str(self._folder / "scratch"),
            },
        )
        self.sql.execute(f"SET TimeZone = {text(zone)}")
        self.sql.execute(MACROS)
        self.sql.execute("SET allowed_directories = [?]", [str(folder)])
        self.sql.execute("SET enable_external_access = false")
        self.sql.execute("SET lock_configuration = true")
        self.columns: tuple[Column, ...] = ()
        #: name of a column of numbers with fractions, in small letters -> the column that has their own texts
        self.texts: dict[str, str] = {}

    def __enter__(self) -> Workbench:
        """Nothing more to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database and remove the folder."""
        self.close()

    def close(self) -> None:
        """Close the database and remove every file of the workbench."""
        self.sql.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def spooled(self, name: str) -> Iterator[tuple[Path, BinaryIO]]:
        """A spool file to write to; it is removed when the block ends."""
        path = self.spool / f"{name}.ndjson"
        with path.open("wb") as file:
            yield path, file
        path.unlink(missing_ok=True)

    def number(self, query: str, parameters: Sequence[object] = ()) -> int:
        """The single number a query gives."""
        row = self.sql.execute(query, list(parameters)).fetchone()
        return int(row[0]) if row and row[0] is not None else 0

    def rows(self, query: str, parameters: Sequence[object] = ()) -> Iterator[tuple[object, ...]]:
        """The rows of a query, a thousand at a time."""
        cursor = self.sql.cursor().execute(query, list(parameters))
        try:
            while found := cursor.fetchmany(1000):
                yield from found
        finally:
            cursor.close()


def _remove_left_behind(folder: Path) -> None:
    """Remove the workbenches and unfinished files of processes that were killed: they hold people's records."""
    for left in (*folder.glob("workbench-*-*"), *folder.glob(files.UNFINISHED)):
        pid = left.name.split("-")[1]
        try:
            os.kill(int(pid), 0)
        except (ProcessLookupError, ValueError):
            left.unlink(missing_ok=True) if left.is_file() else shutil.rmtree(left, ignore_errors=True)
        except PermissionError:
            continue


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """An SQL string."""
    return "'" + value.replace("'", "''") + "'"


# --- the source ---------------------------------------------------------------------------------


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
    shares = _blanks(bench, "records", {c.name: quoted(c.name) for c in bench.columns})
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


def _blanks(bench: Workbench, table: str, columns: Mapping[str, str], where: Iterable[str] = ()) -> dict[str, float]:
    """The share of blanks in columns of a table; for each column in the rows that it is asked about."""
    wheres = [*where] or ["true"] * len(columns)
    shares = [
        f"avg(({is_blank(column)})::INTEGER) FILTER ({asked})"
        for column, asked in zip(columns.values(), wheres, strict=True)
    ]
    found = bench.sql.execute(f"SELECT {', '.join(shares)} FROM {table}").fetchone() if shares else None
    return {name: float(share or 0) for name, share in zip(columns, found or (), strict=True)}


#: what a blank is made of: white space, and what has no width or no ink
BLANK = SPACE + "".join(
    chr(point)
    for first, last in (
        (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180E),
        (0x200E, 0x200F), (0x202A, 0x202E), (0x2061, 0x2064), (0x2066, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0),
    )
    for point in range(first, last + 1)
)  # fmt: skip


def is_blank(column: str) -> str:
    """The SQL that says whether a column holds nothing that could be seen."""
    given = f"{column}::VARCHAR"
    # most texts begin with a plain letter, and are looked at no further
    blank = f"coalesce(trim({given}, {text(BLANK)}) = '', true)"
    return f"CASE WHEN {given} >= '!' AND {given} < '\x7f' THEN false ELSE {blank} END"


def stripped(column: str) -> str:
    """The SQL of a text without the blanks around it."""
    return f"regexp_replace({column}, {text(f'^[{BLANK}]+|[{BLANK}]+$')}, '', 'g')"


def desired_blanks(bench: Workbench, attributes: Sequence[Mapped]) -> dict[str, float]:
    """The share of blanks in what the mapping made, for each attribute; a value that is left alone is none."""
    spoiled = {index for (index,) in bench.rows("SELECT DISTINCT i FROM spoiled")}
    good = [
        f"n NOT IN (SELECT n FROM spoiled WHERE i = {index})" if index in spoiled else "true"
        for index, _ in enumerate(attributes)
    ]
    columns = {mapped.path: f"d{index}" for index, mapped in enumerate(attributes)}
    return _blanks(bench, "desired", columns, good)


def _spool_rows(
    file: BinaryIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    places: Sequence[int],
    count: int,
) -> int:
    names = (N, PLACE, *columns)
    lines = [
        _ENCODE(dict(zip(names, (count + offset, place, *row), strict=True)))
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


# --- the mapping --------------------------------------------------------------------------------


def check_mapping(
    bench: Workbench, attributes: Sequence[Mapped], columns: Sequence[str] | None
) -> dict[str, Expression]:
    """Check all expressions of the mapping; without `columns`, only their grammar.

    Raises:
        ConfigError: With every fault of every expression, each with its place.
    """
    faults: list[str] = []
    checked: dict[str, Expression] = {}
    for mapped in attributes:
        texts = {} if mapped.place.kind in {Kind.DECIMAL, Kind.BOOLEAN} else bench.texts
        result = check(mapped.expression, bench.sql, columns, is_status=mapped.path == ACTIVE, texts=texts)
        if not isinstance(result, Expression):
            faults += [f"[attributes] {mapped.path} = {mapped.expression!r}: {fault}" for fault in result]
            continue
        if result.is_reference != (mapped.place.kind is Kind.REFERENCE):
            faults.append(_reference_fault(mapped, result))
            continue
        checked[mapped.path] = result
    if columns is not None:
        faults += _all_type_faults(bench, [mapped for mapped in attributes if mapped.path in checked], checked)
    if faults:
        raise ConfigError(*faults)
    return checked


def _reference_fault(mapped: Mapped, result: Expression) -> str:
    if result.is_reference:
        return f"[attributes] {mapped.path}: ref(...) makes a reference to a person; this attribute takes none"
    return (
        f"[attributes] {mapped.path} = {mapped.expression!r}: the directory wants the id of another account "
        "here; write ref(COLUMN), where COLUMN holds the source key of that person"
    )


def _all_type_faults(
    bench: Workbench, attributes: Sequence[Mapped], expressions: Mapping[str, Expression]
) -> Iterator[str]:
    """What expressions give and attributes do not take; asked at once, and one by one where that fails."""
    given = [expressions[mapped.path].sql for mapped in attributes]
    try:
        types = [str(row[1]) for row in _described(bench, given)]
        _described(bench, [_desired(mapped.place, sql) for mapped, sql in zip(attributes, given, strict=True)])
    except duckdb.Error:
        types = []
    if not types or any(_fits(m.place, found) is not None for m, found in zip(attributes, types, strict=True)):
        for mapped in attributes:
            yield from _type_faults(bench, mapped, expressions[mapped.path])


def _described(bench: Workbench, expressions: Sequence[str]) -> list[tuple[object, ...]]:
    """Name, type and more of each expression, as a column."""
    columns = ", ".join(f"{sql} AS v{n}" for n, sql in enumerate(expressions)) or "0"
    return bench.sql.execute(f"DESCRIBE SELECT {columns} FROM records").fetchall()


def _type_faults(bench: Workbench, mapped: Mapped, expression: Expression) -> list[str]:
    where = f"[attributes] {mapped.path} = {mapped.expression!r}"
    try:
        ((_, found, *_),) = _described(bench, [expression.sql])
    except duckdb.Error as error:
        return [f"{where}: {str(error).split(chr(10))[0].removeprefix('Binder Error: ')}"]
    found = str(found)
    fits = _fits(mapped.place, found)
    if fits is not None:
        return [f"{where}: {fits}, but the expression gives {found}"]
    try:
        _described(bench, [_desired(mapped.place, expression.sql)])
    except duckdb.Error:
        names = ", ".join(sub.name for sub in compared(mapped.place.attribute))
        return [f"{where}: each element must be a struct with {names}, but the expression gives {found}"]
    return []


def _fits(place: Place, found: str) -> str | None:
    """None where an SQL type can become a value of the place; else what is wanted."""
    listed = found.endswith("[]")
    match place.kind:
        case Kind.LIST:
            kept = compared(place.attribute)
            if found == "VARCHAR[]" and len(kept) == 1:
                return None
            if found.startswith("STRUCT(") and listed and len(kept) > 1:
                return None
            helper = "skills(COLUMN)" if place.key == "name" else "names(COLUMN)"
            return f"this attribute is a list; write for instance {helper}"
        case Kind.BOOLEAN:
            return None if found in {"BOOLEAN", '"NULL"'} else "this attribute is true or false"
        case Kind.DECIMAL:
            numeric = found.startswith(("DECIMAL", "DOUBLE", "FLOAT", "BIGINT", "INTEGER", "HUGEINT", "SMALLINT"))
            return None if numeric or found == '"NULL"' else "this attribute is a number"
        case _:
            bad = listed or found.startswith(("STRUCT", "MAP")) or found == "BOOLEAN"
            return "this attribute is a text" if bad else None


def stage_phones(bench: Workbench, expressions: Iterable[Expression], read: PhoneReader) -> int:
    """Ask the phone library about every distinct number that is not yet in E.164; return how many."""
    calls = {call for expression in expressions for call in expression.phones}
    asked = 0
    for raw, country in sorted(calls):
        found = bench.sql.execute(
            f"SELECT DISTINCT tidy(number), coalesce(upper(tidy(country)), '') FROM (SELECT TRY(({raw})::VARCHAR) "
            f"AS number, TRY(({country})::VARCHAR) AS country FROM records) WHERE tidy(number) <> '' "
            "AND NOT regexp_full_match(tidy(number), '\\+[1-9][0-9]{6,14}') EXCEPT "
            "SELECT scimsync_raw, scimsync_region FROM phone_memo"
        )
        while pairs := found.fetchmany(5000):
            asked += len(pairs)
            with bench.spooled("phones") as (path, file):
                for number, region in pairs:
                    file.write(_ENCODE({"r": number, "c": region, "e": read(number, region)}) + b"\n")
                file.flush()
                bench.sql.cursor().execute(
                    "INSERT INTO phone_memo SELECT r, c, e FROM read_ndjson("
                    f"{text(str(path))}, columns = {{r: 'VARCHAR', c: 'VARCHAR', e: 'VARCHAR'}})"
                )
    return asked


def stage_desired(
    bench: Workbench,
    attributes: Sequence[Mapped],
    expressions: Mapping[str, Expression],
    *,
    key: str,
    found_by: Iterable[Place] = (),
    whole: bool = False,
) -> list[Finding]:
    """Map all records into the table `desired`; of a bad value the value is left out, or its person.

    Columns: n, place, key, then d0, d1, ... in the order of `attributes`. The table `spoiled` (n, i) says
    which of them are left alone. The table `held` takes the keys of people who must not be concluded absent
    because their record is bad, and `left_out` their values as far as they could be mapped.

    Args:
        bench: Has the table `records`, and `links` where `found_by` is given.
        attributes: The mapping.
        expressions: Its expressions, checked.
        key: Column that identifies a person.
        found_by: The places by which the account of a person without link is found.
        whole: A bad value leaves out the person.
    """
    # DuckDB finds people by name, so a key is text from here on.
    bench.sql.execute("CREATE OR REPLACE TABLE held (key VARCHAR, n BIGINT)")
    bench.sql.execute("CREATE OR REPLACE TABLE spoiled (n BIGINT, i INTEGER)")
    findings = _bad_keys(bench, key)
    faults: list[_Fault] = []
    try:
        _map(bench, attributes, expressions, key)
    except duckdb.Error:
        for index, mapped in enumerate(attributes):
            found, everybody = _failing(bench, mapped, expressions[mapped.path], index)
            faults += found
            findings += everybody
        _map(bench, attributes, expressions, key)
    bench.sql.execute("CREATE OR REPLACE TABLE left_out AS SELECT * FROM desired WHERE n IN (SELECT n FROM held)")
    bench.sql.execute("DELETE FROM desired WHERE n IN (SELECT n FROM held)")
    faults += _marked_values(bench, attributes)
    _spread(bench, attributes)
    _leave_out(bench, attributes, [place.short for place in found_by], whole=whole)
    return findings + _told(bench, attributes, faults)


@dataclass(frozen=True, slots=True)
class _Fault:
    """A bad value."""

    n: int
    index: int
    code: str
    words: str
    hint: str
    detail: str


def _map(bench: Workbench, attributes: Sequence[Mapped], expressions: Mapping[str, Expression], key: str) -> None:
    """Make the table `desired`; what is in `spoiled` is not computed."""
    _spread(bench, attributes)
    spoiled = {index for (index,) in bench.rows("SELECT DISTINCT i FROM spoiled")}
    columns, joins = [], []
    for index, mapped in enumerate(attributes):
        value = _part(mapped, attributes, expressions)
        if index in spoiled:  # apart and first, because a look-up inside of an expression is made for all rows
            bench.sql.execute(
                f"CREATE OR REPLACE TEMP TABLE good{index} AS SELECT {N} AS n, {value} AS v FROM records "
                f"WHERE {N} NOT IN (SELECT n FROM spoiled WHERE i = {index})"
            )
            joins.append(f"LEFT JOIN good{index} ON good{index}.n = {N}")
            value = f"good{index}.v"
        columns.append(f"{value} AS d{index}")
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE desired AS SELECT {N} AS n, {PLACE} AS place, "
        f"tidy({quoted(key)}) AS key, {', '.join(columns)} FROM records {' '.join(joins)}"
    )


def _spread(bench: Workbench, attributes: Sequence[Mapped]) -> None:
    """Without its `value`, the other parts of an element are left alone too."""
    for index, mapped in enumerate(attributes):
        main = next((i for i, other in enumerate(attributes) if _is_main(other, mapped)), None)
        if main is not None:
            bench.sql.execute(
                f"INSERT INTO spoiled SELECT n, {index} FROM (SELECT n FROM spoiled WHERE i = {main} "
                f"EXCEPT SELECT n FROM spoiled WHERE i = {index})"
            )


def _is_main(other: Mapped, mapped: Mapped) -> bool:
    element = mapped.place.element
    return other is not mapped and other.place.leaf.name == "value" and bool(element) and element == other.place.element


def _leave_out(bench: Workbench, attributes: Sequence[Mapped], found_by: Sequence[str], *, whole: bool) -> None:
    """Leave out people of whom more is unsure than a value; but take the access of a leaver away all the same.

    That is whoever has a bad status or login, whoever has no link and a bad value by which the account is
    found, and where policy says so everybody with a bad value.
    """
    if not bench.number("SELECT count(*) FROM spoiled"):
        return
    index = {mapped.path: number for number, mapped in enumerate(attributes)}
    grave = [index[path] for path in (ACTIVE, "userName") if path in index]
    marks = [index[path] for path in found_by if path in index]
    lost = f"(s.i IN {_tuple(marks)} AND d.key NOT IN (SELECT key FROM links))" if marks else "false"
    out = "true" if whole else f"(s.i IN {_tuple(grave)} OR {lost})"
    left = f"coalesce(d.d{index[ACTIVE]} = 'false', false)" if ACTIVE in index else "false"
    sql = bench.sql
    sql.execute(
        "CREATE OR REPLACE TEMP TABLE set_aside AS SELECT d.n, d.key, "
        f"bool_and({left}) AND NOT bool_or({lost}) AS leaves FROM desired d "
        f"JOIN spoiled s ON s.n = d.n WHERE {out} GROUP BY d.n, d.key"
    )
    for number in (number for path, number in index.items() if path != ACTIVE):
        sql.execute(
            f"INSERT INTO spoiled SELECT n, {number} FROM (SELECT n FROM set_aside WHERE leaves "
            f"EXCEPT SELECT n FROM spoiled WHERE i = {number})"
        )
    sql.execute("INSERT INTO held SELECT key, n FROM set_aside WHERE NOT leaves")
    sql.execute("INSERT INTO left_out SELECT * FROM desired WHERE n IN (SELECT n FROM set_aside WHERE NOT leaves)")
    sql.execute("DELETE FROM desired WHERE n IN (SELECT n FROM set_aside WHERE NOT leaves)")


def _tuple(numbers: Iterable[int]) -> str:
    return f"({', '.join(map(str, numbers)) or 'NULL'})"


def _told(bench: Workbench, attributes: Sequence[Mapped], faults: Sequence[_Fault]) -> list[Finding]:
    """A finding for each bad value; it names the path alone where the person goes on without it."""
    if not faults:
        return []
    wanted = [fault.n for fault in faults]
    people = {
        n: (str(key), _int(place), bool(goes_on))
        for n, key, place, goes_on in bench.rows(
            "SELECT n, key, place, goes_on FROM (SELECT n, key, place, true AS goes_on FROM desired UNION ALL "
            "SELECT n, key, place, false FROM left_out WHERE key IS NOT NULL) WHERE n IN (SELECT unnest(?))",
            [wanted],
        )
    }
    return [
        Finding(
            severity=Severity.ERROR,
            code=fault.code,
            subject=people[fault.n][0],
            summary=fault.words,
            detail=fault.detail,
            hint=fault.hint,
            row=people[fault.n][1],
            holds=True,
            path=attributes[fault.index].path if people[fault.n][2] else "",
        )
        for fault in faults
        if fault.n in people
    ]


def _bad_keys(bench: Workbench, key: str) -> list[Finding]:
    findings = []
    column = f"tidy({quoted(key)})"
    for n, place in bench.rows(f"SELECT {N}, {PLACE} FROM records WHERE coalesce({column}, '') = '' ORDER BY 1"):
        findings.append(
            Finding(
                severity=Severity.ERROR,
                code="record.no-key",
                subject=f"row {place}",
                summary="a record has no key",
                hint=f"fill the column {key} in the source",
                row=_int(place),
                holds=True,
            )
        )
        bench.sql.execute("INSERT INTO held VALUES (NULL, ?)", [n])
    doubled = f"SELECT {column} AS k FROM records WHERE coalesce({column}, '') <> '' GROUP BY 1 HAVING count(*) > 1"
    for found, places in bench.rows(
        f"SELECT {column}, list({PLACE} ORDER BY {N}) FROM records WHERE {column} IN ({doubled}) GROUP BY 1 ORDER BY 1"
    ):
        rows = ", ".join(str(p) for p in places) if isinstance(places, list) else ""
        findings.append(
            Finding(
                severity=Severity.ERROR,
                code="record.duplicate-key",
                subject=str(found),
                summary="several records have the same key",
                detail=f"rows {rows}",
                hint="keep one of them in the source; until then this person is left as is",
                row=_int(places[0]) if isinstance(places, list) else None,
                holds=True,
            )
        )
    bench.sql.execute(f"INSERT INTO held SELECT {column}, {N} FROM records WHERE {column} IN ({doubled})")
    return findings


def _failing(
    bench: Workbench, mapped: Mapped, expression: Expression, index: int
) -> tuple[list[_Fault], list[Finding]]:
    """Find the records on which an expression fails, by halving; where there are too many, for everybody.

    Raises:
        SourceError: It is the status that fails on too many: nobody's can be told.
    """
    faults: list[_Fault] = []
    last = bench.number(f"SELECT max({N}) FROM records")
    where = f"{mapped.path} = {mapped.expression}"
    for n, message in _halve(bench, _desired(mapped.place, expression.sql), 0, last):
        words, hint = "an expression of the mapping fails on this record", "mend the record, or use TRY_CAST"
        faults.append(_Fault(n, index, "record.unmappable", words, f"{hint} in the expression", f"{where}: {message}"))
        if len(faults) > _TOO_MANY:
            break
    if len(faults) <= _TOO_MANY:
        bench.sql.execute("INSERT INTO spoiled SELECT unnest(?), ?", [[fault.n for fault in faults], index])
        return faults, []
    row = bench.number(f"SELECT {PLACE} FROM records WHERE {N} = ?", [faults[0].n])
    if mapped.path == ACTIVE:
        raise SourceError(
            f"[attributes] {where} fails on more than {_TOO_MANY} records, first on row {row}: {faults[0].detail}. "
            "Mend the expression or the source."
        )
    bench.sql.execute(f"INSERT INTO spoiled SELECT {N}, {index} FROM records")
    return [], [_failing_for_all(mapped, faults[0].detail, row)]


def _failing_for_all(mapped: Mapped, detail: str, row: int) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="mapping.failing",
        subject="",
        summary=f"an expression fails on more than {_TOO_MANY:,} records, so its attribute is left alone for everybody",
        detail=f"{detail}, first on row {row}",
        hint="mend the expression or the source",
        holds=True,
        path=mapped.path,
    )


_TOO_MANY = 1000


def _halve(bench: Workbench, expression: str, first: int, last: int) -> Iterator[tuple[int, str]]:
    pending = [(first, last)]
    while pending:
        low, high = pending.pop()
        try:
            bench.sql.execute(
                f"SELECT count({expression}) FROM records WHERE {N} BETWEEN ? AND ?", [low, high]
            ).fetchone()
        except duckdb.Error as error:
            if low == high:
                yield low, _without_values(error)
            else:
                middle = (low + high) // 2
                pending += [(middle + 1, high), (low, middle)]


def _without_values(error: duckdb.Error) -> str:
    """What kind of error it was, without the value that caused it."""
    return type(error).__name__.removesuffix("Exception").lower() + " error"


def _marked_values(bench: Workbench, attributes: Sequence[Mapped]) -> Iterator[_Fault]:
    """Find the values that say they are faults, and make them none."""
    tests = [_bad(index, mapped) for index, mapped in enumerate(attributes)]
    counts = ", ".join(f"count(*) FILTER (WHERE {test})" for test, *_ in tests) or "0"
    (numbers,) = bench.sql.execute(f"SELECT {counts} FROM desired").fetchall()
    for index, (mapped, (bad, code, words, hint)) in enumerate(zip(attributes, tests, strict=True)):
        if numbers[index]:
            found = [_int(n) or 0 for (n,) in bench.rows(f"SELECT n FROM desired WHERE {bad} ORDER BY n")]
            bench.sql.execute(f"INSERT INTO spoiled SELECT n, {index} FROM desired WHERE {bad}")
            bench.sql.execute(f"UPDATE desired SET d{index} = NULL WHERE {bad}")
            yield from (_Fault(n, index, code, words, hint, mapped.path) for n in found)


def _bad(index: int, mapped: Mapped) -> tuple[str, str, str, str]:
    """The SQL that says that a value is a fault; with its code, the words for it and what to do."""
    if mapped.place.kind is Kind.LIST:
        good = '"proficiency":(null|[0-4](\\.[0-9]+)?|[0-9](\\.[0-9]+)?e-[0-9]+|5(\\.0+)?)([,}])'
        return (
            f"contains(regexp_replace(d{index}, {text(good)}, '', 'g'), '\"proficiency\":')",
            "record.bad-level",
            "a level is not a number from 0 to 5",
            "write levels as 0 to 5, for instance Billing:4",
        )
    if mapped.place.kind is Kind.BOOLEAN and mapped.path == ACTIVE:
        return (
            f"d{index} IS NULL AND n NOT IN (SELECT n FROM spoiled WHERE i = {index})",
            "record.active-unknown",
            "the mapping of active gives neither true nor false",
            "fill the status in the source, or name its word in the mapping: one_of(status, 'active', ['left'])",
        )
    return (
        f"contains(d{index}, {text(FAULT_MARK + 'phone')})",
        "record.bad-phone",
        "a phone number cannot be read",
        "write it with country code (+1...), or give e164 the country as second argument",
    )


def _int(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _desired(place: Place, expression: str) -> str:
    """The SQL that turns the value of an expression into the text of a value column."""
    match place.kind:
        case Kind.LIST:
            return _list_text(place, f"({expression})", of_text=True)
        case Kind.DECIMAL:
            return f"CAST(CAST(({expression}) AS DOUBLE) AS VARCHAR)"
        case Kind.DATE:
            midnight = "'^([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]00:00:00([.]0+)?([+-]00(:?00)?|Z)?$'"
            return f"regexp_replace(nullif(tidy(({expression})), ''), {midnight}, '\\1')"
        case _:
            return f"nullif(tidy(({expression})), '')"


def _part(mapped: Mapped, attributes: Sequence[Mapped], expressions: Mapping[str, Expression]) -> str:
    """A desired value; that of a part of an element is none where the element has no `value`."""
    wanted = _desired(mapped.place, expressions[mapped.path].sql)
    for other in attributes:
        if _is_main(other, mapped):
            return f"CASE WHEN {_desired(other.place, expressions[other.path].sql)} IS NOT NULL THEN {wanted} END"
    return wanted


def _list_text(place: Place, value: str, *, of_text: bool = False) -> str:
    """A list as sorted canonical JSON text, NULL where it is empty."""
    kept = compared(place.attribute)
    if len(kept) == 1:
        only = kept[0].name
        item = f"{{{text(only)}: {_E if of_text else f'{_E}.{quoted(only)}'}}}"
    else:
        item = "{" + ", ".join(_member(sub) for sub in kept) + "}"
    listed = f"list_sort(list_distinct(list_transform({value}, lambda {_E}: {item})))"
    return f"CASE WHEN len({value}) > 0 THEN to_json({listed})::VARCHAR END"


def _member(sub: Attribute) -> str:
    cast = {"decimal": "DOUBLE", "integer": "BIGINT", "boolean": "BOOLEAN"}.get(sub.type, "VARCHAR")
    return f"{text(sub.name)}: CAST({_E}.{quoted(sub.name)} AS {cast})"


# --- the target ---------------------------------------------------------------------------------


class AccountSpool:
    """Takes the raw resources of a sweep, and makes the table `accounts` of them.

    Columns: id, user_name, active, version, then c0, c1, ... in the order of the attributes. `active` is NULL
    where the directory does not show it: unknown, which is neither true nor false.
    """

    def __init__(self, bench: Workbench, catalog: Catalog, attributes: Sequence[Mapped]) -> None:
        self._bench = bench
        self._places = [mapped.place for mapped in attributes]
        self._columns = _resource_columns(catalog, self._places)
        self._path = bench.spool / "accounts.ndjson"
        self._file = self._path.open("wb")

    def take(self, resources: Sequence[bytes]) -> None:
        """Write the resources of one page to the spool. Each must be one line of JSON or is made one."""
        lines = [r if b"\n" not in r else _ENCODE(msgspec.json.decode(r)) for r in resources]
        if lines:
            self._file.write(b"\n".join(lines) + b"\n")

    def load(self, keep: Path | None = None) -> int:
        """Make the table; return how many accounts it holds.

        Args:
            keep: Where the accounts are kept as they were read, one JSON object a line; not kept where None.

        Raises:
            ConfigError: They cannot be kept there.
        """
        self._file.close()
        if keep is not None:
            try:
                with self._path.open("rb") as read:
                    files.write(keep, read)
            except OSError as error:
                raise ConfigError(f"--keep-accounts {keep}: cannot be written ({error.strerror}).") from error
        self._execute("CREATE OR REPLACE TABLE accounts AS")
        return self._bench.number("SELECT count(*) FROM accounts")

    def renew(self, resources: Sequence[bytes], gone: Sequence[str]) -> None:
        """Put accounts that were read again in the place of what the sweep showed; take out those that are gone.

        Args:
            resources: Raw resources, each one line of JSON.
            gone: Ids of accounts that are not there any more.
        """
        self._path.write_bytes(b"".join(resource + b"\n" for resource in resources))
        self._execute("CREATE OR REPLACE TEMP TABLE renewed AS")
        sql = self._bench.sql
        sql.execute("DELETE FROM accounts WHERE id IN (SELECT id FROM renewed) OR list_contains(?, id)", [list(gone)])
        sql.execute("INSERT INTO accounts SELECT * FROM renewed")

    def _execute(self, into: str) -> None:
        """Read the spool file into a table, and remove it."""
        values = [f"{current(place)} AS c{index}" for index, place in enumerate(self._places)]
        columns = ", ".join(f"{quoted(name)}: {text(kind)}" for name, kind in self._columns.items())
        if self._path.stat().st_size == 0:
            self._path.write_bytes(b"{}\n")
        query = (
            f'{into} SELECT id, "userName" AS user_name, '
            f"{_truth(quoted('active'))} AS active, "
            "regexp_replace(coalesce(meta.version, ''), '^W/|\"', '', 'g') AS version, "
            f"{', '.join(values)} FROM read_ndjson({text(str(self._path))}, columns = {{{columns}}}, "
            "maximum_object_size = 67108864) WHERE id IS NOT NULL"
        )
        try:
            self._bench.sql.execute(query)
        except duckdb.Error as error:
            raise TargetUnavailable(
                "target: an account does not have the form that the schema gives it "
                f"({type(error).__name__.removesuffix('Exception').lower()} error), so nobody can be compared. "
                "Look with scimsync doctor whether its schema is the one of [target] dialect."
            ) from None
        self._path.unlink()

    def close(self) -> None:
        """Give up: close the spool file."""
        self._file.close()


def _resource_columns(catalog: Catalog, places: Sequence[Place]) -> dict[str, str]:
    columns = {"id": "VARCHAR", "userName": "VARCHAR", "active": "VARCHAR", "meta": "STRUCT(version VARCHAR)"}
    extensions: dict[str, dict[str, str]] = {}
    for place in places:
        holder = columns if place.urn is None else extensions.setdefault(place.urn, {})
        kind = "VARCHAR" if place.attribute.type == "boolean" else _json_type(place.attribute)
        holder.setdefault(place.attribute.name, kind)
    for schema in catalog.extensions:
        if members := extensions.get(schema.id):
            fields = ", ".join(f"{quoted(name)} {kind}" for name, kind in members.items())
            columns[schema.id] = f"STRUCT({fields})"
    return columns


def _json_type(attribute: Attribute) -> str:
    if attribute.sub_attributes:
        subs = [s for s in attribute.sub_attributes if s.name != "$ref"]
        fields = ", ".join(f"{quoted(s.name)} {_json_type(s)}" for s in subs)
        return f"STRUCT({fields})" + ("[]" if attribute.multi_valued else "")
    kind = {"boolean": "BOOLEAN", "decimal": "DOUBLE", "integer": "BIGINT"}.get(attribute.type, "VARCHAR")
    return kind + ("[]" if attribute.multi_valued else "")


def current(place: Place) -> str:
    """The SQL that reads a place out of the columns of a resource, as the text of a value column."""
    holder = (
        quoted(place.attribute.name) if place.urn is None else f"{quoted(place.urn)}.{quoted(place.attribute.name)}"
    )
    if place.kind is Kind.LIST:
        return _list_text(place, holder)
    if place.path.filter is not None:
        tests = " AND ".join(_selects(place, name, wanted) for name, wanted in place.selector.items())
        holder = f"list_filter({holder}, lambda {_E}: {tests})[1]"
    if place.leaf is not place.attribute:
        holder = f"{holder}.{quoted(place.leaf.name)}"
    if place.kind is Kind.BOOLEAN:
        return f"CAST({_truth(holder)} AS VARCHAR)"
    return f"nullif(CAST({holder} AS VARCHAR), '')"


def _truth(value: str) -> str:
    """The SQL of a boolean that may travel as text or number; NULL where it says neither."""
    cases = " ".join(f"WHEN {text(word)} THEN {str(meant).lower()}" for word, meant in TRUTHS.items())
    return f"(CASE lower(trim(CAST({value} AS VARCHAR))) {cases} END)"


def _selects(place: Place, name: str, wanted: object) -> str:
    sub = place.attribute.sub(name)
    member = f"{_E}.{quoted(sub.name if sub else name)}"
    if isinstance(wanted, str) and not (sub and sub.case_exact):
        return f"lower({member}) = {text(wanted.lower())}"
    return f"{member} = {text(wanted) if isinstance(wanted, str) else wanted}"


# --- what a listing shows late ------------------------------------------------------------------


def stage_written(bench: Workbench, written: Iterable[tuple[str, str, str]]) -> None:
    """Load what was lately written into the table `written` (key, account, version), the newest of each account."""
    with bench.spooled("written") as (path, file):
        file.write(b"{}\n")
        for key, account, version in written:
            file.write(_ENCODE({"k": key, "a": account, "v": version}) + b"\n")
        file.flush()
        bench.sql.execute(
            "CREATE OR REPLACE TABLE written AS SELECT max(k) AS key, a AS account, "
            "max(TRY_CAST(v AS UBIGINT)) AS version FROM "
            f"read_ndjson({text(str(path))}, columns = {{k: 'VARCHAR', a: 'VARCHAR', v: 'VARCHAR'}}) "
            "WHERE a IS NOT NULL GROUP BY a"
        )


def late_accounts(bench: Workbench, attributes: Sequence[Mapped], *, counters: bool) -> list[str]:
    """The ids of accounts of which the listing surely or possibly shows an old state, or nothing; who stays first.

    A linked account that the listing does not show matters where its person would get another one, and where the
    person left and may have access still: not where both sides agreed that it is inactive.

    Args:
        bench: The tables of the run.
        attributes: The mapping, in the order of the columns.
        counters: Whether versions are numbers that grow.
    """
    queries = ["SELECT account FROM written WHERE account NOT IN (SELECT id FROM accounts)"]
    if counters:
        queries.append(
            "SELECT w.account FROM written w JOIN accounts a ON a.id = w.account "
            "WHERE TRY_CAST(a.version AS UBIGINT) < w.version"
        )
    active = next((n for n, mapped in enumerate(attributes) if mapped.path == "active"), None)
    matters = "true" if active is None else f"(d.d{active} = 'true' OR b.b{active} IS DISTINCT FROM 'false')"
    queries.append(
        "SELECT l.account FROM links l LEFT JOIN desired d ON d.key = l.key LEFT JOIN base b ON b.key = l.key "
        f"WHERE l.ours AND l.account NOT IN (SELECT id FROM accounts) AND {matters}"
    )
    stays = "account IN (SELECT l.account FROM links l JOIN desired d ON d.key = l.key)"
    found = bench.rows(f"SELECT account FROM ({' UNION '.join(queries)}) ORDER BY {stays} DESC, account")
    return [str(account) for (account,) in found]


def hold_late(bench: Workbench, accounts: Sequence[str], why: str) -> list[Finding]:
    """Leave out the people whose accounts are not known as they are now."""
    if not accounts:
        return []
    sql = bench.sql
    sql.execute(
        "CREATE OR REPLACE TABLE late AS SELECT DISTINCT o.key, coalesce(d.n, -1) AS n, d.place FROM "
        "(SELECT key, account FROM links UNION SELECT key, account FROM written) o "
        "LEFT JOIN desired d ON d.key = o.key WHERE list_contains(?, o.account) "
        "AND o.key NOT IN (SELECT key FROM links WHERE NOT ours)",
        [list(accounts)],
    )
    sql.execute("INSERT INTO held SELECT key, n FROM late")
    sql.execute("INSERT INTO left_out SELECT * FROM desired WHERE n IN (SELECT n FROM late)")
    sql.execute("DELETE FROM desired WHERE n IN (SELECT n FROM late)")
    return [
        Finding(
            severity=Severity.WARNING,
            code="target.lagging",
            subject=str(key),
            summary="the listing of the directory is behind what was written; this person waits",
            detail=why,
            hint="run again in some minutes; the listing has then caught up",
            row=_int(place),
            holds=True,
        )
        for key, place in bench.rows("SELECT key, place FROM late ORDER BY key")
    ]


# --- the past -----------------------------------------------------------------------------------


def stage_links(bench: Workbench, links: Iterable[Link], parted: Sequence[tuple[str, str]] = ()) -> None:
    """Load the remembered links into the table `links` (key, account, source, ours); all are ours until said else.

    Pairs that are never to be linked go into `parted`.
    """
    bench.sql.execute("CREATE OR REPLACE TABLE parted (key VARCHAR, account VARCHAR)")
    if parted:
        bench.sql.executemany("INSERT INTO parted VALUES (?, ?)", parted)
    with bench.spooled("links") as (path, file):
        file.write(b"{}\n")
        for link in links:
            file.write(_ENCODE({"k": link.key, "a": link.account, "s": link.source}) + b"\n")
        file.flush()
        bench.sql.execute(
            "CREATE OR REPLACE TABLE links AS SELECT k AS key, a AS account, s AS source, true AS ours FROM "
            f"read_ndjson({text(str(path))}, columns = {{k: 'VARCHAR', a: 'VARCHAR', s: 'VARCHAR'}}) "
            "WHERE k IS NOT NULL"
        )


def stage_base(bench: Workbench, base: Path | None, attributes: Sequence[Mapped]) -> None:
    """Load the base (key, b0, b1, ...) of the last run; paths it does not know stay NULL."""
    known: set[str] = set()
    if base is not None:
        try:
            described = bench.sql.execute(f"DESCRIBE SELECT * FROM read_parquet({text(str(base))})").fetchall()
        except duckdb.Error as error:
            raise StoreDamaged(
                f"state: the base {base.name} cannot be read. Put the file back from a backup of the artifacts folder; "
                "without one, start with a new [state], as on a first run."
            ) from error
        known = {str(row[0]) for row in described}
    columns = ", ".join(
        f"{quoted(m.path) if m.path in known else 'NULL::VARCHAR'} AS b{i}" for i, m in enumerate(attributes)
    )
    if base is None:
        empty = ", ".join(f"b{i} VARCHAR" for i, _ in enumerate(attributes))
        bench.sql.execute(f"CREATE OR REPLACE TABLE base (key VARCHAR, {ACCOUNT} VARCHAR, {empty})")
    else:
        bench.sql.execute(
            f"CREATE OR REPLACE TABLE base AS SELECT key, {ACCOUNT}, {columns} FROM read_parquet({text(str(base))})"
        )
