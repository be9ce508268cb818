"""Bring what a source gives into the table `records`, and take the health of the reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec.structs import replace

from scimsync.errors import SourceEmpty, SourceError
from scimsync.model.records import Reading, SourceHealth
from scimsync.workbench.bench import Column, Workbench, quoted, text
from scimsync.workbench.joining import join
from scimsync.workbench.poured import take
from scimsync.workbench.rows import make_records
from scimsync.workbench.values import is_blank

#: how the columns begin that we add
OURS = "scimsync_"


def stage_records(  # noqa: PLR0913 - all of it says how records are taken
    bench: Workbench,
    reading: Reading,
    *,
    key: str,
    null_values: Sequence[str] = (),
    trim: bool = False,
    wanted: Collection[str] = (),
    may_be_empty: bool = False,
) -> SourceHealth:
    """Bring a reading into the table `records`, in one go where it can be poured, and take its health.

    Args:
        bench: Where the table goes.
        reading: The reading.
        key: Column that identifies a person.
        null_values: Texts that stand for nothing in a cell.
        trim: Take blanks around texts away.
        wanted: Columns that joined sources must have still (`joining.needed`).
        may_be_empty: Whether it may hold no record.

    Raises:
        SourceError: The reading failed, has no key column, or holds no record though it has to.
    """
    lowered = [name.lower() for name in reading.columns]
    several = {name for name, count in Counter(lowered).items() if count > 1}
    if doubled := sorted(name for name in reading.columns if name.lower() in several):
        words = ", ".join(doubled)
        raise SourceError(f"source: the columns {words} differ in case only. Rename all but one, with AS for instance.")
    if ours := sorted(name for name in reading.columns if name.lower().startswith(OURS)):
        raise SourceError(
            f"source: the column {ours[0]} has a name that begins with {OURS}, as columns of our own do. Rename it, "
            "with AS for instance, or leave it out."
        )
    if key.lower() not in lowered:
        names = ", ".join(reading.columns)
        raise SourceError(f"source: the key column {key!r} is missing; the columns are {names}. Set [source] key.")
    count = _taken(bench, reading, null_values, may_be_empty=may_be_empty)
    if count == 0 and not may_be_empty:
        raise SourceError("source: it holds no records. An empty source never means that everybody left.")
    if trim:
        _trim(bench)
    joined = join(bench, reading, wanted) if reading.joined else ()
    return replace(_health(bench, count), joined=joined)


def _taken(bench: Workbench, reading: Reading, null_values: Sequence[str], *, may_be_empty: bool) -> int:
    """Take the records; how many there are. Where there is none, the table has the columns and no types."""
    try:
        count = take(bench, reading, null_values)
    except SourceEmpty:
        if not may_be_empty:
            raise
        count = 0
    if count == 0:
        columns = [Column(name, "VARCHAR") for name in reading.columns]
        given = ", ".join(f"NULL::VARCHAR AS c{n}" for n, _ in enumerate(columns))
        make_records(bench, columns, set(), f"(SELECT 0::BIGINT AS n, 0::BIGINT AS p, {given} WHERE false)")
    return count


def _trim(bench: Workbench) -> None:
    """Take the blanks around texts away."""
    for name in (quoted(column.name) for column in bench.columns if column.type == "VARCHAR"):
        bench.sql.execute(f"UPDATE records SET {name} = tidy({name}) WHERE {name} IS DISTINCT FROM tidy({name})")


def _health(bench: Workbench, count: int) -> SourceHealth:
    """Blanks and fingerprint of `records`, in one pass."""
    kept = ", ".join(quoted(column.name) for column in bench.columns)
    named = ", ".join(f"{quoted(column.name)} {column.type}" for column in bench.columns)
    # twice, because the last column of a row goes into its hash without being stirred
    rows = f"bit_xor(hash(hash({', '.join([kept, *bench.texts.values()])})))"
    shares = [f"avg(({is_blank(quoted(column.name))})::INTEGER)" for column in bench.columns]
    printed, *found = bench.sql.execute(
        f"SELECT xor({rows}, hash({text(named)}))::VARCHAR, {', '.join(shares)} FROM records"
    ).fetchone() or ("",)
    blank = {column.name: float(share or 0) for column, share in zip(bench.columns, found, strict=True)}
    return SourceHealth(rows=count, blanks=blank, fingerprint=f"{printed}-{count}")


def stage_keys(bench: Workbench, reading: Reading, *, key: str) -> None:
    """Walk a reading into the table `keys`, as text."""
    stage_records(bench, reading, key=key)
    bench.sql.execute(f"CREATE OR REPLACE TABLE keys AS SELECT tidy({quoted(key)}) AS key FROM records")


def blanks(bench: Workbench, table: str, columns: Mapping[str, str], where: Iterable[str] = ()) -> dict[str, float]:
    """The share of blanks in columns of a table; for each column in the rows that it is asked about."""
    wheres = [*where] or ["true"] * len(columns)
    shares = [
        f"avg(({is_blank(column)})::INTEGER) FILTER ({asked})"
        for column, asked in zip(columns.values(), wheres, strict=True)
    ]
    found = bench.sql.execute(f"SELECT {', '.join(shares)} FROM {table}").fetchone() if shares else None
    return {name: float(share or 0) for name, share in zip(columns, found or (), strict=True)}
