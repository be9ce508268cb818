"""Read what the tables of a planning run say of one person. Nothing is decided here: the plan did that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute

from scimsync.core.desired import BAD_PHONE, PHONE_FAULTS
from scimsync.core.lifecycle import ACTIVE
from scimsync.model.plans import LOGIN
from scimsync.model.policy import Mapped
from scimsync.model.stories import Cell, Hit, Step, Traces
from scimsync.scim.schema import Kind, Value
from scimsync.workbench.bench import PLACE, N, Workbench, quoted, row_of, text
from scimsync.workbench.expressions import ACCOUNT_MARK, PHONE_MARK
from scimsync.workbench.unfolding import parts
from scimsync.workbench.values import lowered, value_of


def hits(bench: Workbench, word: str, attributes: Sequence[Mapped]) -> list[Hit]:
    """Whom a word may mean: a source key, the id of an account that is somebody's, or a login of either side."""
    index = {mapped.path: number for number, mapped in enumerate(attributes)}
    known = "SELECT key FROM desired UNION SELECT key FROM held UNION SELECT key FROM links WHERE ours"
    queries = [
        f"SELECT key, 'key' AS how, 0 AS rank FROM ({known}) WHERE key = $word",
        "SELECT key, 'account', 1 FROM links WHERE account = $word",
    ]
    if LOGIN in index:
        login = lowered(f"d{index[LOGIN]}")
        queries.append(
            f"SELECT key, 'login', 2 FROM (SELECT * FROM desired UNION ALL SELECT * FROM left_out WHERE key IS NOT "
            f"NULL) WHERE {login} = {lowered('$word')}"
        )
        queries.append(f"SELECT key, 'login', 3 FROM base WHERE {lowered(f'b{index[LOGIN]}')} = {lowered('$word')}")
    if _has(bench, "accounts"):
        queries.append(
            "SELECT l.key, 'login', 3 FROM accounts a JOIN links l ON l.account = a.id WHERE "
            f"{lowered('a.user_name')} = {lowered('$word')}"
        )
    found = bench.sql.execute(
        f"SELECT key, arg_min(how, rank) FROM ({' UNION ALL '.join(queries)}) WHERE key IN ({known}) "
        "GROUP BY key ORDER BY min(rank), key",
        {"word": word},
    ).fetchall()
    return [Hit(str(key), str(how)) for key, how in found]


def near(bench: Workbench, word: str, attributes: Sequence[Mapped]) -> list[str]:
    """The keys of people whose key or login is written nearly so; logins themselves are personal and are not shown."""
    names = [f"SELECT key, key AS name FROM {table}" for table in ("desired", "held", "links WHERE ours")]
    names += [f"SELECT key, d{i} FROM desired" for i, mapped in enumerate(attributes) if mapped.path == LOGIN]
    query = (
        f"SELECT key, min(damerau_levenshtein(lower(name), lower($word))) AS far FROM ({' UNION '.join(names)}) "
        "WHERE key IS NOT NULL AND name IS NOT NULL AND abs(length(name) - length($word)) <= 3 GROUP BY key "
        "HAVING far <= greatest(1, length($word) // 5) ORDER BY far, key LIMIT 3"
    )
    return [str(key) for key, _ in bench.sql.execute(query, {"word": word}).fetchall()]


def traces(bench: Workbench, key: str, column: str, attributes: Sequence[Mapped]) -> Traces:
    """What the tables say of one person, however far planning came.

    Args:
        bench: the tables of a planning run.
        key: source key of the person.
        column: the source column that holds it.
        attributes: the mapping.
    """
    found = bench.sql.execute(
        f"SELECT {N}, {PLACE} FROM records WHERE tidy({quoted(column)}) = ? ORDER BY {N}", [key]
    ).fetchall()
    one = found if len(found) == 1 else bench.sql.execute("SELECT n FROM desired WHERE key = ?", [key]).fetchall()
    n = one[0][0] if len(one) == 1 else None  # of records that say the same, one is left
    desired = _values(bench, "desired", "d", attributes, "n = ?", n)
    desired = desired if desired is not None else _values(bench, "left_out", "d", attributes, "n = ?", n)
    if desired is not None:  # references with the ids of the accounts that they name, where those are known
        wanted = _values(bench, "wanted", "d", attributes, "n = ?", n) or {}
        desired = {path: value if (named := wanted.get(path)) is None else named for path, value in desired.items()}
    spoiled = bench.sql.execute("SELECT DISTINCT i FROM spoiled WHERE n = ?", [n]).fetchall()
    paired = _one(bench, "pairing", "SELECT id FROM pairing WHERE key = ?", key)
    linked = _one(bench, "links", "SELECT account FROM links WHERE key = ?", key)
    account = paired or linked
    row = _one_row(bench, "accounts", f"SELECT user_name, version, active FROM accounts WHERE id = ? {_SEEN}", account)
    current = _values(bench, "accounts", "c", attributes, f"id = ? {_SEEN}", account) if row else None
    if current is not None and row is not None:
        current = {**current, ACTIVE: row[2] if isinstance(row[2], bool) else current.get(ACTIVE)}
    early = _one_row(bench, "early", "SELECT first FROM early WHERE key = ?", key)
    unseen = _one(bench, "unseen", "SELECT id FROM unseen WHERE id = ?", account)  # could not be read
    return Traces(
        rows=tuple(place for _, where in found if (place := row_of(where)) is not None),
        ns=tuple(number for number, _ in found),
        desired=desired or {},
        spoiled=frozenset(attributes[int(i)].path for (i,) in spoiled),
        held=bench.number("SELECT count(*) FROM held WHERE key = ?", [key]) > 0,
        absent=_one(bench, "absent", "SELECT key FROM absent WHERE key = ?", key) is not None,
        early=early[0] if early and isinstance(early[0], date) else None,
        account=account,
        paired=paired is not None,
        gone=account is not None and row is None and _has(bench, "pairing") and not unseen,
        current=current,
        login=str((row[0] if row else None) or ""),
        version=str((row[1] if row else None) or ""),
        active=row[2] if row and isinstance(row[2], bool) else None,
        base=_base(bench, key, attributes),
    )


#: accounts that only stand in the table by their id were not read (`asked.stand_in`)
_SEEN = "AND (user_name IS NOT NULL OR version IS NOT NULL)"


def awaited(bench: Workbench, key: str, attributes: Sequence[Mapped], most: int = 20) -> list[str]:
    """Who goes before somebody in a plan for everybody, the next one first.

    That is the new people whom they name, whoever has the login that they are to get, and who goes before those.

    Args:
        bench: the tables of a planning run.
        key: source key of the person.
        attributes: the mapping.
        most: so many are followed.
    """
    names = [
        f"SELECT d{i} AS whom FROM desired WHERE key = $who AND d{i} IN (SELECT key FROM joiners)"
        for i in _references(attributes)
    ]
    names += [
        "SELECT l.key AS whom FROM desired d "
        f"JOIN accounts a ON {lowered('a.user_name')} = {lowered(f'd.d{i}')} JOIN links l ON l.account = a.id "
        "WHERE d.key = $who AND l.ours AND l.key <> d.key"
        for i, mapped in enumerate(attributes)
        if mapped.path == LOGIN
    ]
    found: list[str] = []
    todo = [key] if names else []
    while todo and len(found) < most:
        who = todo.pop(0)
        query = f"SELECT DISTINCT whom FROM ({' UNION '.join(names)}) ORDER BY 1"
        more = [str(whom) for (whom,) in bench.sql.execute(query, {"who": who}).fetchall()]
        todo += [whom for whom in more if whom not in {key, *found}]
        found += [whom for whom in more if whom not in {key, *found}]
    return found


def _references(attributes: Sequence[Mapped]) -> list[int]:
    return [index for index, mapped in enumerate(attributes) if mapped.place.kind is Kind.REFERENCE]


def cells(bench: Workbench, numbers: Sequence[int], columns: Sequence[str]) -> tuple[Cell, ...]:
    """Cells of some records, in the order of the source."""
    wanted = {name.lower() for name in columns}
    names = [column.name for column in bench.columns if column.name.lower() in wanted]
    shown = [quoted(bench.texts.get(name.lower(), name)) + "::VARCHAR" for name in names]
    rows = bench.rows(
        f"SELECT {', '.join([PLACE, *shown])} FROM records WHERE list_contains(?, {N}) ORDER BY {N}", [[*numbers]]
    )
    return tuple(
        Cell(name, None if value is None else str(value), row_of(place))
        for place, *values in rows
        for name, value in zip(names, values, strict=True)
    )


def steps(bench: Workbench, n: int, mapped: Mapped) -> tuple[Step, ...]:
    """The parts of an expression, each evaluated on one record."""
    texts = {} if mapped.place.kind in {Kind.DECIMAL, Kind.BOOLEAN} else bench.texts
    is_status, sources = mapped.path == ACTIVE, bench.sources
    unfolded = parts(mapped.expression, bench.sql, is_status=is_status, texts=texts, kinds=bench.kinds, sources=sources)
    return tuple(_step(bench, n, part.text, part.sql) for part in unfolded)


def _step(bench: Workbench, n: int, shown: str, sql: str) -> Step:
    try:
        row = bench.sql.execute(f"SELECT CAST(({sql}) AS VARCHAR) FROM records WHERE {N} = ?", [n]).fetchone()
    except duckdb.Error as error:
        return Step(shown, None, type(error).__name__.removesuffix("Exception").lower() + " error")
    value = None if row is None or row[0] is None else str(row[0])
    if value is not None and value.startswith(PHONE_MARK):
        return Step(shown, None, PHONE_FAULTS.get(value.removeprefix(f"{PHONE_MARK}:"), BAD_PHONE).code)
    return Step(shown, value.removeprefix(ACCOUNT_MARK) if value is not None else None)


def _values(
    bench: Workbench, table: str, letter: str, attributes: Sequence[Mapped], where: str, value: object
) -> dict[str, Value] | None:
    columns = ", ".join(f"{letter}{i}" for i, _ in enumerate(attributes))
    row = _one_row(bench, table, f"SELECT {columns or '1'} FROM {table} WHERE {where}", value)
    if row is None:
        return None
    named = (
        (m, one.removeprefix(ACCOUNT_MARK) if isinstance(one, str) else one)
        for m, one in zip(attributes, row, strict=False)
    )
    return {m.path: value_of(m.place, one) for m, one in named}


def _base(bench: Workbench, key: str, attributes: Sequence[Mapped]) -> dict[str, Value]:
    columns = ", ".join(f"b{i}" for i, _ in enumerate(attributes))
    row = _one_row(bench, "base", f"SELECT {columns or '1'} FROM base WHERE key = ?", key)
    found = zip(attributes, row, strict=False) if row is not None else ()
    return {m.path: value_of(m.place, value) for m, value in found if value is not None}


def _has(bench: Workbench, table: str) -> bool:
    query = f"SELECT count(*) FROM duckdb_tables() WHERE table_name = {text(table)}"
    return bench.number(query) > 0


def _one_row(bench: Workbench, table: str, query: str, value: object) -> tuple[object, ...] | None:
    if value is None or not _has(bench, table):
        return None
    return bench.sql.execute(query, [value]).fetchone()


def _one(bench: Workbench, table: str, query: str, value: object) -> str | None:
    row = _one_row(bench, table, query, value)
    return None if row is None or row[0] is None else str(row[0])
