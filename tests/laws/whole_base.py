"""What is agreed as earlier releases wrote it: everybody, anew, in one file. `workbench.agreed` must say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from scimsync.model.policy import Mapped
from scimsync.scim.schema import Value
from scimsync.workbench import owning
from scimsync.workbench.agreed import overlay, write_parquet
from scimsync.workbench.bench import ACCOUNT, Workbench, quoted, text
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.values import text_of

#: before the path of a shared list: what HR wants there. Once the merged list is written, that is what
#: was agreed; the elements of others in it are none of ours, and must not look dropped by HR next time.
_WISH = "scimsync_wish "
#: before the path of what an account held before it was disabled; agreed by nobody, so no part of a comparison
_LAST = "scimsync_last "


def write_agreed(
    comparison: Comparison,
    path: Path,
    settled: Iterable[tuple[str, str, Value]],
    former: Path | None = None,
    last: Iterable[tuple[str, str, Value]] = (),
) -> None:
    """Write what both sides agree on now, as the ground of the next base.

    Args:
        comparison: The comparison of the run.
        path: The Parquet file: key, then one text column for each managed path.
        settled: (key, path, value) on which the rules found agreement where tables could not.
        former: The base whose other paths stay agreed for the people of other sources.
        last: (key, path, value) of what accounts hold that are about to be disabled, and will not hold then.
    """
    bench, attributes = comparison.bench, comparison.attributes
    values = [f"{sql} AS {quoted(m.path)}" for m, sql in zip(attributes, comparison.agreement(), strict=True)]
    rest = [f"b.b{i} AS {quoted(m.path)}" for i, m in enumerate(attributes)]
    merged = [(i, m) for i, m in enumerate(attributes) if m.is_shared]
    wishes = ", ".join([f"w.d{i} AS {quoted(_WISH + m.path)}" for i, m in merged])
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE agreed AS SELECT w.key, p.id AS {ACCOUNT}, {', '.join(values)} FROM wanted w "
        "JOIN pairing p ON p.n = w.n JOIN accounts a ON a.id = p.id LEFT JOIN base b ON b.key = w.key "
        f"UNION ALL SELECT b.key, l.account, {', '.join(rest)} FROM base b LEFT JOIN links l ON l.key = b.key "
        f"AND l.account = b.{ACCOUNT} WHERE b.key NOT IN (SELECT key FROM pairing) "
        f"AND coalesce(b.{ACCOUNT}, '') NOT IN (SELECT id FROM pairing)"
    )
    if found := list(settled):
        overlay(bench, "agreed", [m.path for m in attributes], found)
    if merged:
        bench.sql.execute(
            "CREATE OR REPLACE TABLE agreed AS SELECT t.*, "
            f"{', '.join(quoted(_WISH + m.path) for _, m in merged)} FROM agreed t LEFT JOIN "
            f"(SELECT w.key AS wished, {wishes} FROM wanted w) ON wished = t.key"
        )
    if former is not None:
        _keep_rest(bench, attributes, former)
    _keep_last(bench, last, former)
    write_parquet(bench, "agreed", path)


def _keep_last(bench: Workbench, last: Iterable[tuple[str, str, Value]], former: Path | None) -> None:
    """Keep what accounts held before they were disabled, also of those that a base tells of."""
    sql = bench.sql
    base = f"read_parquet({text(str(former))})"
    described = bench.rows(f"SELECT column_name FROM (DESCRIBE SELECT * FROM {base})") if former is not None else ()
    for name in [str(name) for (name,) in described if str(name).startswith(_LAST)]:
        sql.execute(f"ALTER TABLE agreed ADD COLUMN IF NOT EXISTS {quoted(name)} VARCHAR")
        sql.execute(f"UPDATE agreed SET {quoted(name)} = f.{quoted(name)} FROM {base} f WHERE f.key = agreed.key")
    for key, path, value in last:
        sql.execute(f"ALTER TABLE agreed ADD COLUMN IF NOT EXISTS {quoted(_LAST + path)} VARCHAR")
        sql.execute(f"UPDATE agreed SET {quoted(_LAST + path)} = ? WHERE key = ?", [text_of(value), key])


def _keep_rest(bench: Workbench, attributes: Sequence[Mapped], former: Path) -> None:
    """Take the paths that are not mapped over from a base."""
    base = f"read_parquet({text(str(former))})"
    known = {"key", ACCOUNT, *(mapped.path for mapped in attributes)}
    described = bench.rows(f"SELECT column_name FROM (DESCRIBE SELECT * FROM {base})")
    rest = [name for (name,) in described if name not in known]
    if rest and bench.number(f"SELECT count(*) FROM agreed WHERE key IN ({owning.KEYS})"):
        bench.sql.execute(
            f"CREATE OR REPLACE TABLE agreed AS SELECT t.*, {', '.join(f'f.{quoted(str(name))}' for name in rest)} "
            f"FROM agreed t LEFT JOIN (SELECT * FROM {base} WHERE key IN ({owning.KEYS})) f ON f.key = t.key"
        )


def lay_outcomes(
    bench: Workbench, agreed: Path, values: Iterable[tuple[str, str, Value]], accounts: Mapping[str, str], base: Path
) -> None:
    """Make the base of a run: what was agreed when it was planned, and what it really wrote.

    Args:
        bench: A workbench for the work.
        agreed: The file of `write_agreed`.
        values: (key, path, value) that the run wrote.
        accounts: The ids of accounts that the run created, by key.
        base: Where the new base goes.
    """
    bench.sql.execute(f"CREATE OR REPLACE TABLE agreed AS SELECT * FROM read_parquet({text(str(agreed))})")
    described = bench.sql.execute("DESCRIBE agreed").fetchall()
    names = [str(row[0]) for row in described]
    paths = [name for name in names if name not in {"key", ACCOUNT} and not name.startswith(_WISH)]
    wishes = [path for path in paths if _WISH + path in names]
    if wishes:
        columns = ", ".join(quoted(_WISH + path) for path in wishes)
        bench.sql.execute(f"CREATE OR REPLACE TEMP TABLE wishes AS SELECT key, {columns} FROM agreed")
    overlay(bench, "agreed", paths, values)
    for path in wishes:
        bench.sql.execute(
            f"UPDATE agreed SET {quoted(path)} = coalesce(w.wish, '') FROM (SELECT key, {quoted(_WISH + path)} AS wish "
            f"FROM wishes) w WHERE w.key = agreed.key AND agreed.key IN (SELECT k FROM laid WHERE p = {text(path)})"
        )
    with bench.spooled("accounts") as (spool, file):
        file.write(b"{}\n")
        for key, account in accounts.items():
            file.write(msgspec.json.encode({"k": key, "a": account}) + b"\n")
        file.flush()
        bench.sql.execute(
            f"UPDATE agreed SET {ACCOUNT} = made.a FROM read_ndjson({text(str(spool))}, "
            "columns = {k: 'VARCHAR', a: 'VARCHAR'}) made WHERE made.k = agreed.key"
        )
    write_parquet(bench, "agreed", base)
