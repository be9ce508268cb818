"""Join the records of other sources to those of the primary one: whom each of their records is about, and who has none.

A joined source has a table of its own first. Then each record of the primary source gets the columns of the one record
that has the same value in the join, as columns "NAME.column". Nobody is added or removed by a join. The table
`unjoined` (n, source) holds whose values of a source are not known: it could not be read, it has several different
records for this person, or none and does not prove that it is whole.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core.joining import of_unjoined
from scimsync.errors import ConfigError, SourceError
from scimsync.model.plans import Finding
from scimsync.model.policy import Mapped
from scimsync.model.records import Joined, JoinedHealth, Reading
from scimsync.workbench.bench import PLACE, TEXT, Column, N, Workbench, quoted, row_of, text
from scimsync.workbench.expressions import Expression, check
from scimsync.workbench.poured import take
from scimsync.workbench.sources import Sources
from scimsync.workbench.types import type_of

_JOIN = "scimsync_join"


class _Piece(Struct, frozen=True):
    """A joined source in a table of its own."""

    given: Joined
    table: str
    proven: bool
    rows: int
    columns: tuple[Column, ...]
    #: column of numbers, in small letters -> the column with their own texts
    texts: Mapping[str, str] = field(default_factory=dict)


def needed(
    bench: Workbench, joined: Sequence[Joined], attributes: Sequence[Mapped], former: Collection[str]
) -> frozenset[str]:
    """The columns of joined sources that were there when they were read last, and that mapping or joins name.

    Args:
        bench: Parses, and knows how the sources are called.
        joined: The joined sources.
        attributes: The mapping.
        former: The columns of the last reading that was believed.
    """
    sides = [(one.theirs, Sources(primary=one.name), f"{one.name}.") for one in joined]
    given = [*((m.expression, bench.sources, "") for m in attributes), *sides]
    found = [(check(text_, bench.sql, sources=sources), before) for text_, sources, before in given]
    named = {f"{before}{c}".lower() for one, before in found if isinstance(one, Expression) for c in one.columns}
    return frozenset(named & {column.lower() for column in former})


def _taken(bench: Workbench, joined: Sequence[Joined], wanted: Collection[str]) -> list[_Piece | JoinedHealth]:
    """Read each joined source into a table of its own; of one that cannot be read, or lost columns, why.

    Raises:
        ConfigError: Its side of a join does not fit its columns; all faults at once.
    """
    pieces: list[_Piece | JoinedHealth] = []
    faults: list[str] = []
    for number, given in enumerate(joined):
        try:
            reading = given.read()
            rows = take(bench, reading, given.null_values)
            if not rows:
                raise SourceError(f"{given.shown}: it holds no records")
            there = {f"{given.name}.{column.name}".lower() for column in bench.columns}
            if lost := sorted(c for c in wanted if c.startswith(f"{given.name}.") and c not in there):
                raise SourceError(f"{given.shown}: {', '.join(lost)} is not there any more, and was in the last run")
        except SourceError as error:
            reason = str(error).replace("[source]", f"[source.{given.name}]")  # where its keys stand
            pieces.append(JoinedHealth(name=given.name, shown=given.shown, reason=reason))
            continue
        faults += _stand_apart(bench, given, f"joined{number}")
        pieces.append(_Piece(given, f"joined{number}", reading.proven, rows, bench.columns, dict(bench.texts)))
    if faults:
        raise ConfigError(*faults)
    return pieces


def _stand_apart(bench: Workbench, given: Joined, table: str) -> list[str]:
    """Make the table of a joined source out of `records`, with its side of the join as text."""
    where = f"[source.{given.name}] join"
    found = _side(bench, given.theirs, where, Sources(primary=given.name))
    if isinstance(found, list):
        return found
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE {table} AS SELECT *, nullif(tidy(({found})), '') AS {_JOIN} FROM records"
    )
    return []


def _side(bench: Workbench, side: str, where: str, sources: Sources) -> str | list[str]:
    """One side of a join as safe SQL over the table `records`, or its faults."""
    found = check(side, bench.sql, [column.name for column in bench.columns], texts=bench.texts, sources=sources)
    if not isinstance(found, Expression):
        return [f"{where} = {side!r}: {fault}" for fault in found]
    faults: list[str] = []
    type_of(bench, f"tidy(({found.sql}))", f"{where} = {side!r}", faults)
    return faults or found.sql


def join(bench: Workbench, reading: Reading, wanted: Collection[str] = ()) -> tuple[JoinedHealth, ...]:
    """Join to `records`, which hold the first source, what is joined to it; what came of each.

    Args:
        bench: Has the table `records`.
        reading: The reading of the first source.
        wanted: Columns that the joined sources had, and must have still (`needed`).

    Raises:
        ConfigError: A join does not fit the columns; all faults at once.
    """
    first = bench.columns, bench.texts
    bench.sql.execute("ALTER TABLE records RENAME TO first_records")
    pieces = _taken(bench, reading.joined, wanted)
    bench.sql.execute("DROP TABLE IF EXISTS records")
    bench.sql.execute("ALTER TABLE first_records RENAME TO records")
    bench.columns, bench.texts = first
    bench.sql.execute("CREATE OR REPLACE TABLE unjoined (n BIGINT, source VARCHAR)")
    told: list[JoinedHealth] = []
    faults: list[str] = []
    names: list[str] = []
    for piece in pieces:
        name = piece.name if isinstance(piece, JoinedHealth) else piece.given.name
        before = Sources(primary=reading.name, joined=tuple(names))
        names.append(name)
        if isinstance(piece, JoinedHealth):
            bench.sql.execute(f"INSERT INTO unjoined SELECT {N}, ? FROM records", [name])
            told.append(piece)
            continue
        ours = _side(bench, piece.given.ours, f"[source.{name}] join", before)
        if isinstance(ours, list):
            faults += ours
            continue
        told.append(_attach(bench, piece, ours))
    absent = frozenset(one.name for one in told if one.reason)
    bench.sources = Sources(primary=reading.name, joined=tuple(names), absent=absent)
    if faults:
        raise ConfigError(*faults)
    return tuple(told)


def _attach(bench: Workbench, piece: _Piece, ours: str) -> JoinedHealth:
    """Give each record the columns of the one that has the same value in the join."""
    name, table, sql = piece.given.name, piece.table, bench.sql
    held = [*(column.name for column in piece.columns), *piece.texts.values()]
    row = f"hash({', '.join(map(quoted, held))})"
    sql.execute(
        f"CREATE OR REPLACE TEMP TABLE several AS SELECT {_JOIN} AS j FROM {table} WHERE {_JOIN} IS NOT NULL "
        f"GROUP BY 1 HAVING count(DISTINCT {row}) > 1"
    )
    sql.execute(
        f"CREATE OR REPLACE TEMP TABLE one AS SELECT * FROM {table} WHERE {_JOIN} IS NOT NULL AND {_JOIN} NOT IN "
        f"(SELECT j FROM several) QUALIFY row_number() OVER (PARTITION BY {_JOIN} ORDER BY {N}) = 1"
    )
    sql.execute(
        f"CREATE OR REPLACE TEMP TABLE wanted_join AS SELECT {N} AS n, nullif(tidy(({ours})), '') AS j FROM records"
    )
    doubtful = "w.j IN (SELECT j FROM several)"
    if not piece.proven:
        doubtful += f" OR w.j IS NULL OR w.j NOT IN (SELECT {_JOIN} FROM one)"
    sql.execute(f"INSERT INTO unjoined SELECT w.n, ? FROM wanted_join w WHERE {doubtful}", [name])
    columns = [replace(column, name=f"{name}.{column.name}") for column in piece.columns]
    numbers = {
        f"{name}.{column}".lower(): f"{TEXT}{name}_{given.removeprefix(TEXT)}" for column, given in piece.texts.items()
    }
    given = [f"o.{quoted(c.name)} AS {quoted(new.name)}" for c, new in zip(piece.columns, columns, strict=True)]
    given += [f"o.{old} AS {new}" for old, new in zip(piece.texts.values(), numbers.values(), strict=True)]
    sql.execute(
        f"CREATE OR REPLACE TABLE records AS SELECT r.*, {', '.join(given)} FROM records r "
        f"JOIN wanted_join w ON w.n = r.{N} LEFT JOIN one o ON o.{_JOIN} = w.j ORDER BY r.{N}"
    )
    bench.columns, bench.texts = (*bench.columns, *columns), bench.texts | numbers
    several = "SELECT j FROM several"
    found, ambiguous, unmet = sql.execute(
        f"SELECT count(*) FILTER (j IN (SELECT {_JOIN} FROM one)), count(*) FILTER (j IN ({several})), "
        f"(SELECT count(*) FROM one WHERE {_JOIN} NOT IN (SELECT j FROM wanted_join WHERE j IS NOT NULL)) "
        "FROM wanted_join"
    ).fetchone() or (0, 0, 0)
    examples = sql.execute(
        f"SELECT r.{PLACE} FROM wanted_join w JOIN records r ON r.{N} = w.n WHERE w.j IN ({several}) ORDER BY 1 LIMIT 3"
    ).fetchall()
    for gone in (table, "one", "several", "wanted_join"):
        sql.execute(f"DROP TABLE IF EXISTS {gone}")
    return JoinedHealth(
        name=name,
        shown=piece.given.shown,
        rows=piece.rows,
        proven=piece.proven,
        found=int(found),
        ambiguous=int(ambiguous),
        unmet=int(unmet),
        places=tuple(int(place) for (place,) in examples),
    )


#: the table (n, i) of values that are left alone because of a join, and not because they are bad
APART = "apart"


def leave_unjoined(bench: Workbench, attributes: Sequence[Mapped], expressions: Mapping[str, Expression]) -> None:
    """Leave values alone that are made of what is not known of a person.

    They come into the tables `apart` and `spoiled` (n, i), and are none in `desired`.
    """
    bench.sql.execute(f"CREATE OR REPLACE TABLE {APART} (n BIGINT, i INTEGER)")
    for index, mapped in enumerate(attributes):
        listed = ", ".join(map(text, sorted(bench.sources.of(expressions[mapped.path].columns))))
        if not listed:
            continue
        bench.sql.execute(f"INSERT INTO {APART} SELECT DISTINCT n, {index} FROM unjoined WHERE source IN ({listed})")
        bench.sql.execute(f"UPDATE desired SET d{index} = NULL WHERE n IN (SELECT n FROM {APART} WHERE i = {index})")
    bench.sql.execute(f"INSERT INTO spoiled SELECT n, i FROM {APART} EXCEPT SELECT n, i FROM spoiled")


def waiting(bench: Workbench) -> list[Finding]:
    """Who is left out whole because of what is not known of a joined source. After `set_aside` was made."""
    if not bench.number(f"SELECT count(*) FROM {APART}"):
        return []
    found = bench.sql.execute(
        "SELECT l.key, string_agg(DISTINCT u.source, ', ' ORDER BY u.source), any_value(l.place) FROM left_out l "
        "JOIN unjoined u ON u.n = l.n WHERE l.key IS NOT NULL AND "
        f"l.n IN (SELECT n FROM set_aside WHERE NOT leaves) AND l.n IN (SELECT n FROM {APART}) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return [of_unjoined(str(key), str(names), row_of(place)) for key, names, place in found]
