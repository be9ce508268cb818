"""Records without a key, and records that have one key: who cannot be told apart is left out, and why is said.

Records of one key that say the same in all that is mapped are one person and no trouble. Where many keys come several
times the source multiplies people, most often by a join: the columns in which the doubles differ say by which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scimsync.model.plans import Finding, Severity
from scimsync.model.wording import some_of
from scimsync.workbench.bench import PLACE, N, Workbench, quoted, row_of

#: so many keys that come several times, and such a share of all, are no slip of a hand
_MANY, _SHARE = 5, 0.02
#: people of whom it is said one by one that their records are equal
_NAMED = 100
#: columns of which it is said that they differ
_COLUMNS = 8


def keyless(bench: Workbench, key: str) -> list[Finding]:
    """Hold the records without a key, and note in table `doubles` (key, n) those that share one.

    Args:
        bench: Has the tables `records` and `held`.
        key: Column that identifies a person.
    """
    column = f"tidy({quoted(key)})"
    bench.sql.execute("CREATE OR REPLACE TABLE doubles (key VARCHAR, n BIGINT)")
    (records, keys, different), *_ = bench.sql.execute(
        f"SELECT count(*), count(nullif(k, '')), count(DISTINCT nullif(k, '')) FROM (SELECT {column} AS k FROM records)"
    ).fetchall()
    if records == keys == different:
        return []
    bench.sql.execute(
        f"INSERT INTO doubles SELECT {column}, {N} FROM records WHERE {column} IN (SELECT {column} FROM records "
        f"WHERE coalesce({column}, '') <> '' GROUP BY 1 HAVING count(*) > 1)"
    )
    findings = [_no_key(key, place) for _, place in _without(bench, column)]
    bench.sql.execute(f"INSERT INTO held SELECT NULL, {N} FROM records WHERE coalesce({column}, '') = ''")
    return [*findings, *_multiplied(bench, different)]


def _without(bench: Workbench, column: str) -> Iterator[tuple[object, ...]]:
    return bench.rows(f"SELECT {N}, {PLACE} FROM records WHERE coalesce({column}, '') = '' ORDER BY 1")


def unite(bench: Workbench, number: int, also: Sequence[str] = ()) -> list[Finding]:
    """Leave in `desired` the first of the records that say the same of one person; hold the people of the others.

    Args:
        bench: Has the tables `doubles`, `desired`, `held`, `spoiled`.
        number: How many attributes are mapped.
        also: Columns of the source beside the mapping that say something of people.
    """
    if not bench.number("SELECT count(*) FROM doubles"):
        return []
    values = ", ".join([f"d.d{i}" for i in range(number)] + [f"r.{quoted(name)}::VARCHAR" for name in also])
    bench.sql.execute(
        "CREATE OR REPLACE TABLE united AS SELECT key, first, rows, first_place, equal FROM ("
        f"SELECT o.key, min(o.n) AS first, list(r.{PLACE} ORDER BY o.n) AS rows, "
        f"arg_min(r.{PLACE}, o.n) AS first_place, count(DISTINCT row({values or '1'})) = 1 "
        "AND count(s.n) = 0 AS equal FROM doubles o JOIN desired d ON d.n = o.n "
        f"JOIN records r ON r.{N} = o.n LEFT JOIN (SELECT DISTINCT n FROM spoiled) s ON s.n = o.n GROUP BY o.key)"
    )
    bench.sql.execute(
        "DELETE FROM desired WHERE n IN (SELECT o.n FROM doubles o JOIN united u ON u.key = o.key "
        "WHERE u.equal AND o.n <> u.first)"
    )
    bench.sql.execute(
        "INSERT INTO held SELECT key, n FROM doubles WHERE key NOT IN (SELECT key FROM united WHERE equal)"
    )
    found = list(bench.rows("SELECT key, rows, first_place, equal FROM united ORDER BY key"))
    same = [(str(key), rows, place) for key, rows, place, is_one in found if is_one]
    findings = [_doubled(str(key), rows, place) for key, rows, place, is_one in found if not is_one]
    if len(same) > _NAMED:
        return [*findings, _same("", some_of([key for key, _, _ in same]))]
    return [*findings, *(_same(key, f"rows {_listed(rows)}", row_of(place)) for key, rows, place in same)]


def _multiplied(bench: Workbench, keys: int) -> list[Finding]:
    """That many keys come several times, and in which columns the doubles differ."""
    doubled = bench.number("SELECT count(DISTINCT key) FROM doubles")
    if doubled < max(_MANY, keys * _SHARE):
        return []
    names = [column.name for column in bench.columns if column.name not in {N, PLACE} and not _is_ours(column.name)]
    columns = [quoted(name) for name in names]
    differ = ", ".join(f"count(DISTINCT {c}::VARCHAR) > 1 OR count({c}) NOT IN (0, count(*))" for c in columns)
    asked = ", ".join(f"bool_or(v{i})" for i, _ in enumerate(names))
    named = ", ".join(f"v{i}" for i, _ in enumerate(names))
    (row,) = bench.sql.execute(
        f"SELECT {asked} FROM (SELECT o.key, {differ} FROM doubles o JOIN records r ON r.{N} = o.n GROUP BY o.key) "
        f"AS t(key, {named})"
    ).fetchall()
    found = [name for name, differs in zip(names, row, strict=True) if differs]
    more = f" and {len(found) - _COLUMNS} more" if len(found) > _COLUMNS else ""
    where = f"they differ in {', '.join(found[:_COLUMNS])}{more}" if found else "they are equal in every column"
    most = bench.number("SELECT max(c) FROM (SELECT count(*) AS c FROM doubles GROUP BY key)")
    return [
        Finding(
            severity=Severity.WARNING,
            code="source.multiplied",
            subject="",
            summary="the source multiplies people: many keys come several times",
            detail=f"{doubled:,} of {keys:,} keys, up to {most:,} times; {where}",
            hint="look at the joins of the query, or at the key: one record for each person is wanted",
        )
    ]


def _is_ours(name: str) -> bool:
    return name.startswith("scimsync_")


def _no_key(key: str, place: object) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="record.no-key",
        subject=f"row {place}",
        summary="a record has no key",
        hint=f"fill the column {key} in the source",
        row=row_of(place),
        holds=True,
    )


def _doubled(key: str, rows: object, place: object) -> Finding:
    return Finding(
        severity=Severity.ERROR,
        code="record.duplicate-key",
        subject=key,
        summary="several records have the same key",
        detail=f"rows {_listed(rows)}",
        hint="keep one of them in the source; until then this person is left as is",
        row=row_of(place),
        holds=True,
    )


def _same(key: str, detail: str, row: int | None = None) -> Finding:
    return Finding(
        severity=Severity.INFO,
        code="record.repeated",
        subject=key,
        summary="several records have the same key and say the same; they count as one",
        detail=detail,
        hint="keep one of them in the source",
        row=row,
    )


def _listed(rows: object) -> str:
    return ", ".join(str(row) for row in rows) if isinstance(rows, list) else ""
