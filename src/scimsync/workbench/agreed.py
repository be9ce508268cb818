"""Write what both sides agree on as the next base, and what a run really wrote over it.

Written is what differs from the base before (`workbench.layers`), so the cost is that of the people who changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from scimsync import files
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Place, Value
from scimsync.workbench import owning
from scimsync.workbench.bench import ACCOUNT, Workbench, quoted, text
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.layers import GONE, Layers, readable, write_snapshot
from scimsync.workbench.values import text_of, value_of

#: before the path of a shared list: what HR wants there. Once the merged list is written, that is what
#: was agreed; the elements of others in it are none of ours, and must not look dropped by HR next time.
_WISH = "scimsync_wish "
#: before the path of what an account held before it was disabled; agreed by nobody, so no part of a comparison
_LAST = "scimsync_last "


def wish_of(path: str) -> str:
    """The column in which stands what is agreed of a shared list once it is written."""
    return _WISH + path


def write_agreed(
    comparison: Comparison,
    path: Path,
    settled: Iterable[tuple[str, str, Value]],
    former: Path | None = None,
    last: Iterable[tuple[str, str, Value]] = (),
    changing: Iterable[str] = (),
) -> bool:
    """Write what both sides agree on now, as the ground of the next base.

    Args:
        comparison: The comparison of the run.
        path: The Parquet file: key, then one text column for each managed path; of those people alone of whom it says
            other than the base before, and of those for whom it says more.
        settled: (key, path, value) on which the rules found agreement where tables could not.
        former: The base before; all is written where there is none.
        last: (key, path, value) of what accounts hold that are about to be disabled, and will not hold then.
        changing: The keys of the people whom the plan changes.

    Returns:
        Whether a file was written; else the base before says all.

    Raises:
        StoreDamaged: The base before cannot be read.
    """
    bench, attributes = comparison.bench, comparison.attributes
    found, lost, moving = list(settled), list(last), list(changing)
    held = Layers(bench, former) if former is not None else None
    is_new = held is not None and any(mapped.path not in held.columns for mapped in attributes)
    if held is not None:
        named = {*moving, *(key for key, *_ in found), *(key for key, *_ in lost)}
        if not _suspect(comparison, held, named) and not is_new:
            return False
        with held.readable():
            bench.sql.execute(
                f"CREATE OR REPLACE TEMP TABLE stored AS SELECT * FROM {held.rows('key IN (SELECT key FROM suspects)')}"
            )
    _agree(comparison, everybody=held is None)
    if found:
        overlay(bench, "agreed", [m.path for m in attributes], found)
    shared = _keep_wishes(bench, attributes)
    if held is not None:
        _keep_rest(bench, attributes, held)
    _keep_last(bench, lost)
    if held is None:
        write_snapshot(bench, path, "agreed")
        return True
    if not _differing(bench, held, moving if shared else ()) and not is_new:
        return False
    held.write(path, "differing", gone="dropped", fold=False)
    return True


def _suspect(comparison: Comparison, held: Layers, named: Iterable[str]) -> bool:
    """Make `suspects` (key): everybody of whom something else than before may be agreed; whether there is anybody."""
    bench, attributes = comparison.bench, comparison.attributes
    queries = [
        f"SELECT key FROM {comparison.drifted()}",
        "SELECT key FROM (SELECT key, id FROM pairing) p "
        "WHERE NOT EXISTS (SELECT 1 FROM links l WHERE l.key = p.key AND l.account = p.id)",
        f"(WITH rest AS MATERIALIZED (SELECT key, {ACCOUNT} FROM base ANTI JOIN pairing USING (key)) "
        f"SELECT b.key FROM rest b LEFT JOIN links l ON l.key = b.key AND l.account = b.{ACCOUNT} "
        f"WHERE l.account IS DISTINCT FROM b.{ACCOUNT} OR coalesce(b.{ACCOUNT}, '') IN (SELECT id FROM pairing))",
        "SELECT key FROM rebased",
    ]
    if forgotten := _unmapped(attributes, held):
        any_of = " OR ".join(f"{quoted(name)} IS NOT NULL" for name in forgotten)
        queries.append(f"SELECT key FROM {held.rows()} WHERE ({any_of}) AND key NOT IN ({owning.KEYS})")
    with held.readable():
        bench.sql.execute(
            f"CREATE OR REPLACE TEMP TABLE suspects AS SELECT DISTINCT key FROM ({' UNION ALL '.join(queries)})"
        )
    if listed := sorted(named):
        with bench.spooled("named") as (spool, file):
            file.write(b"".join(msgspec.json.encode({"k": key}) + b"\n" for key in listed))
            file.flush()
            bench.sql.execute(
                f"INSERT INTO suspects SELECT k FROM read_ndjson({text(str(spool))}, columns = {{k: 'VARCHAR'}}) "
                "WHERE k NOT IN (SELECT key FROM suspects)"
            )
    return bench.number("SELECT count(*) FROM suspects") > 0


def _agree(comparison: Comparison, *, everybody: bool) -> None:
    """Make `agreed`: the row of everybody, or of the `suspects`, by what both sides say."""
    bench, attributes = comparison.bench, comparison.attributes
    values = [f"{sql} AS {quoted(m.path)}" for m, sql in zip(attributes, comparison.agreement(), strict=True)]
    rest = [f"b.b{i} AS {quoted(m.path)}" for i, m in enumerate(attributes)]
    some = "" if everybody else "WHERE key IN (SELECT key FROM suspects)"
    theirs = "" if everybody else f"WHERE id IN (SELECT id FROM pairing {some})"
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE agreed AS SELECT w.key, p.id AS {ACCOUNT}, {', '.join(values)} "
        f"FROM (SELECT * FROM wanted {some}) w JOIN (SELECT * FROM pairing {some}) p ON p.n = w.n "
        f"JOIN (SELECT * FROM accounts {theirs}) a ON a.id = p.id LEFT JOIN (SELECT * FROM base {some}) b "
        f"ON b.key = w.key UNION ALL SELECT b.key, l.account, {', '.join(rest)} FROM (SELECT * FROM base {some}) b "
        f"LEFT JOIN links l ON l.key = b.key AND l.account = b.{ACCOUNT} WHERE b.key NOT IN (SELECT key FROM pairing) "
        f"AND coalesce(b.{ACCOUNT}, '') NOT IN (SELECT id FROM pairing)"
    )


def _keep_wishes(bench: Workbench, attributes: Sequence[Mapped]) -> bool:
    """Add to `agreed` what HR wants of shared lists; whether there are such."""
    merged = [(i, m) for i, m in enumerate(attributes) if m.is_shared]
    if merged:
        wishes = ", ".join([f"w.d{i} AS {quoted(_WISH + m.path)}" for i, m in merged])
        bench.sql.execute(
            "CREATE OR REPLACE TABLE agreed AS SELECT t.*, "
            f"{', '.join(quoted(_WISH + m.path) for _, m in merged)} FROM agreed t LEFT JOIN "
            f"(SELECT w.key AS wished, {wishes} FROM wanted w WHERE w.key IN (SELECT key FROM agreed)) "
            "ON wished = t.key"
        )
    return bool(merged)


def _unmapped(attributes: Sequence[Mapped], held: Layers) -> list[str]:
    """The paths of a base that are not mapped now."""
    known = {"key", ACCOUNT, *(mapped.path for mapped in attributes)}
    return [name for name in held.columns if name not in known and not name.startswith((_LAST, _WISH))]


def _keep_rest(bench: Workbench, attributes: Sequence[Mapped], held: Layers) -> None:
    """Take over from `stored` what the mapping does not manage: of other sources' people, and what accounts held."""
    values = [
        f"CASE WHEN t.key IN ({owning.KEYS}) THEN s.{quoted(name)} END AS {quoted(name)}"
        for name in _unmapped(attributes, held)
    ]
    values += [f"s.{quoted(name)}" for name in held.columns if name.startswith(_LAST)]
    if values:
        bench.sql.execute(
            f"CREATE OR REPLACE TABLE agreed AS SELECT t.*, {', '.join(values)} FROM agreed t "
            "LEFT JOIN stored s ON s.key = t.key"
        )


def _keep_last(bench: Workbench, last: Iterable[tuple[str, str, Value]]) -> None:
    """Keep what accounts held before they were disabled."""
    for key, path, value in last:
        bench.sql.execute(f"ALTER TABLE agreed ADD COLUMN IF NOT EXISTS {quoted(_LAST + path)} VARCHAR")
        bench.sql.execute(f"UPDATE agreed SET {quoted(_LAST + path)} = ? WHERE key = ?", [text_of(value), key])


def _differing(bench: Workbench, held: Layers, changing: Iterable[str]) -> bool:
    """Make `differing` and `dropped`: the rows of `agreed` that are to be written, and the keys that are gone."""
    sql = bench.sql
    names = [str(row[0]) for row in sql.execute("DESCRIBE agreed").fetchall()]
    plain = [name for name in names if not name.startswith(_WISH) and name != "key"]
    tests = ["s.key IS NULL"]
    tests += [
        f"t.{quoted(name)} IS DISTINCT FROM {f's.{quoted(name)}' if name in held.columns else 'NULL'}" for name in plain
    ]
    tests.append(f"(l.account IS NULL AND t.{ACCOUNT} IS NOT NULL)")  # found, and remembered by no link yet
    sql.execute("CREATE OR REPLACE TEMP TABLE moving AS SELECT unnest(?::VARCHAR[]) AS key", [[*changing]])
    tests.append("t.key IN (SELECT key FROM moving)")  # of whom it says what HR wants
    sql.execute(
        "CREATE OR REPLACE TEMP TABLE differing AS SELECT t.* FROM agreed t LEFT JOIN stored s ON s.key = t.key "
        f"LEFT JOIN links l ON l.key = t.key AND l.account = t.{ACCOUNT} WHERE {' OR '.join(tests)}"
    )
    sql.execute(
        "CREATE OR REPLACE TEMP TABLE dropped AS SELECT key FROM stored WHERE key NOT IN (SELECT key FROM agreed)"
    )
    return bench.number("SELECT (SELECT count(*) FROM differing) + (SELECT count(*) FROM dropped)") > 0


def last_known(bench: Workbench, base: Path, place: Place) -> dict[str, Value]:
    """What accounts held at a place before they were disabled, by key."""
    name, held = _LAST + place.short, Layers(bench, base)
    if name not in held.columns:
        return {}
    query = f"SELECT key, {quoted(name)} FROM {held.rows()} WHERE {quoted(name)} IS NOT NULL"
    with readable(base):
        return {str(key): value_of(place, value) for key, value in bench.rows(query)}


def wished(bench: Workbench, agreed: Path, place: Place, keys: Sequence[str]) -> dict[str, Value]:
    """What HR wanted at the place of a shared list of people whom a plan changes, by key.

    Args:
        bench: A workbench for the work.
        agreed: What `write_agreed` wrote for the plan.
        place: The place.
        keys: Whose.
    """
    name, held = _WISH + place.short, Layers(bench, agreed)
    if name not in held.columns:
        return {}
    query = f"SELECT key, {quoted(name)} FROM {held.own()} WHERE key IN (SELECT unnest(?::VARCHAR[])) AND NOT {GONE}"
    with readable(agreed):
        return {str(key): value_of(place, value) for key, value in bench.rows(query, [[*keys]])}


def agreement_of(
    attributes: Sequence[Mapped], agreed: Mapping[str, Value], desired: Mapping[str, Value]
) -> dict[str, str | None]:
    """The row of one person in the file of `write_agreed`: a text for each path, None where nothing new is agreed.

    Args:
        attributes: The mapping.
        agreed: Path -> value on which both sides agree now.
        desired: Path -> what HR wants.
    """
    row = {m.path: text_of(agreed[m.path]) if m.path in agreed else None for m in attributes}
    return row | {_WISH + m.path: text_of(desired[m.path]) for m in attributes if m.is_shared}


def write_agreed_with(
    bench: Workbench, who: tuple[str, str], row: Mapping[str, str | None], path: Path, former: Path | None
) -> None:
    """As `write_agreed`, where one person alone was looked at: what was agreed with everybody else stays.

    Args:
        bench: A workbench for the work.
        who: Key and account of the person.
        row: What `agreement_of` gave.
        path: The Parquet file.
        former: The base whose values stay agreed; None on a first run.

    Raises:
        StoreDamaged: The base cannot be read.
    """
    sql, key = bench.sql, who[0]
    held = Layers(bench, former) if former is not None else None
    empty = f"(key VARCHAR, {ACCOUNT} VARCHAR)"
    kept = f"AS SELECT * FROM {held.rows(f'key = {text(key)}')}" if held is not None else empty
    with readable(former or path):
        sql.execute(f"CREATE OR REPLACE TABLE agreed {kept}")
    known = {str(found[0]) for found in sql.execute("DESCRIBE agreed").fetchall()}
    for name in row.keys() - known:
        sql.execute(f"ALTER TABLE agreed ADD COLUMN {quoted(name)} VARCHAR")
    sql.execute("INSERT INTO agreed (key) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM agreed)", [key])
    values = {**row, ACCOUNT: who[1]}
    changed = ", ".join(f"{quoted(name)} = coalesce(?, {quoted(name)})" for name in values)
    sql.execute(f"UPDATE agreed SET {changed}", [*values.values()])
    if held is None:
        write_snapshot(bench, path, "agreed")
    else:
        held.write(path, "agreed", fold=False)


def write_nothing(path: Path) -> None:
    """Write a base by which nothing was ever agreed with anybody."""
    with Workbench(path.parent) as bench:
        write_snapshot(bench, path, f"(SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS {ACCOUNT} WHERE false)")


def overlay(bench: Workbench, table: str, paths: Sequence[str], values: Iterable[tuple[str, str, Value]]) -> None:
    """Lay (key, path, value) triples over a table of key and one column for each path."""
    with bench.spooled("overlay") as (spool, file):
        file.write(b"{}\n")
        for key, path, value in values:
            file.write(msgspec.json.encode({"k": key, "p": path, "v": text_of(value)}) + b"\n")
        file.flush()
        bench.sql.execute(
            "CREATE OR REPLACE TEMP TABLE laid AS SELECT * FROM read_ndjson("
            f"{text(str(spool))}, columns = {{k: 'VARCHAR', p: 'VARCHAR', v: 'VARCHAR'}}) WHERE k IS NOT NULL"
        )
    wide = ", ".join(f"max(v) FILTER (WHERE p = {text(path)}) AS {quoted(path)}" for path in paths)
    columns = ", ".join(f"coalesce(o.{quoted(path)}, t.{quoted(path)}) AS {quoted(path)}" for path in paths)
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE {table} AS SELECT coalesce(t.key, o.k) AS key, t.{ACCOUNT}, {columns} FROM {table} t "
        f"FULL JOIN (SELECT k, {wide} FROM laid GROUP BY k) o ON o.k = t.key"
    )


def write_parquet(bench: Workbench, table: str, path: Path, order: str = "key") -> None:
    """Write a table to a private Parquet file, whole or not at all."""
    beside = bench.spool / path.name  # a folder of ours: DuckDB follows links
    bench.sql.execute(f"COPY (SELECT * FROM {table} ORDER BY {order}) TO {text(str(beside))} (FORMAT parquet)")
    files.settle(beside, path)


def lay_outcomes(
    bench: Workbench,
    agreed: Path,
    values: Iterable[tuple[str, str, Value]],
    accounts: Mapping[str, str],
    base: Path,
    former: Path | None = None,
) -> None:
    """Make the base of a run: what was agreed when it was planned, and what it really wrote.

    Args:
        bench: A workbench for the work.
        agreed: What was agreed when it was planned: the file of `write_agreed`, or `former`.
        values: (key, path, value) that the run wrote.
        accounts: The ids of accounts that the run created, by key.
        base: Where the new base goes: what is new in it, above the base before.
        former: The base before; None on a first run.

    Raises:
        StoreDamaged: What was agreed, or the base before, cannot be read.
    """
    found, sql = list(values), bench.sql
    with bench.spooled("accounts") as (spool, file):
        file.write(b"{}\n")
        for key, account in accounts.items():
            file.write(msgspec.json.encode({"k": key, "a": account}) + b"\n")
        file.flush()
        sql.execute(
            f"CREATE OR REPLACE TEMP TABLE made AS SELECT * FROM read_ndjson({text(str(spool))}, "
            "columns = {k: 'VARCHAR', a: 'VARCHAR'}) WHERE k IS NOT NULL"
        )
    under = _take_agreed(bench, agreed, former, {key for key, *_ in found})
    names = [str(row[0]) for row in sql.execute("DESCRIBE agreed").fetchall()]
    paths = [name for name in names if name not in {"key", ACCOUNT} and not name.startswith(_WISH)]
    wishes = [path for path in paths if _WISH + path in names]
    if wishes:
        columns = ", ".join(quoted(_WISH + path) for path in wishes)
        sql.execute(f"CREATE OR REPLACE TEMP TABLE wishes AS SELECT key, {columns} FROM agreed")
    overlay(bench, "agreed", paths, found)
    for path in wishes:
        sql.execute(
            f"UPDATE agreed SET {quoted(path)} = coalesce(w.wish, '') FROM (SELECT key, {quoted(_WISH + path)} AS wish "
            f"FROM wishes) w WHERE w.key = agreed.key AND agreed.key IN (SELECT k FROM laid WHERE p = {text(path)})"
        )
    sql.execute(f"UPDATE agreed SET {ACCOUNT} = made.a FROM made WHERE made.k = agreed.key")
    if under is None:
        write_snapshot(bench, base, "agreed")
    else:
        under.write(base, "agreed", gone="(SELECT * FROM dropped ANTI JOIN agreed USING (key))")


def _take_agreed(bench: Workbench, agreed: Path, former: Path | None, written: Iterable[str]) -> Layers | None:
    """Make `agreed` and `dropped` of what a plan says, with the rows of who was written besides; the base before."""
    sql, top = bench.sql, Layers(bench, agreed)
    with readable(agreed):
        if agreed == former:
            under: Layers | None = top
            sql.execute(f"CREATE OR REPLACE TABLE agreed AS SELECT * FROM {top.own()} LIMIT 0")
        else:
            under = Layers(bench, top.under) if top.under is not None else None
            sql.execute(f"CREATE OR REPLACE TABLE agreed AS SELECT * FROM {top.own()}")
        sql.execute(f"CREATE OR REPLACE TEMP TABLE dropped AS SELECT key FROM agreed WHERE {GONE}")
        sql.execute(f"DELETE FROM agreed WHERE {GONE}")
        sql.execute(f"ALTER TABLE agreed DROP {GONE}")
        if under is not None:
            sql.execute("CREATE OR REPLACE TEMP TABLE written AS SELECT unnest(?::VARCHAR[]) AS key", [[*written]])
            sql.execute("INSERT INTO written SELECT k FROM made")
            only = (
                "key IN (SELECT key FROM written) AND key NOT IN (SELECT key FROM agreed UNION ALL "
                "SELECT key FROM dropped)"
            )
            rows = f"SELECT * FROM agreed UNION ALL BY NAME SELECT * FROM {under.rows(only)}"
            sql.execute(f"CREATE OR REPLACE TABLE agreed AS {rows}")
    return under


def unremembered(bench: Workbench, base: Path) -> Iterator[tuple[str, str]]:
    """(key, account) of a base that the table `links` does not hold; a key of another source's person stays theirs.

    Raises:
        StoreDamaged: It cannot be read.
    """
    query = (
        f"SELECT b.key, b.{ACCOUNT} FROM {Layers(bench, base).rows()} b LEFT JOIN links l ON l.key = b.key "
        f"WHERE b.{ACCOUNT} IS NOT NULL AND l.account IS DISTINCT FROM b.{ACCOUNT} AND coalesce(l.ours, true)"
    )
    with readable(base):
        for key, account in bench.rows(query):
            yield str(key), str(account)
