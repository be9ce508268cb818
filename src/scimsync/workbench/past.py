"""Bring the past into tables: `links` (whose account is whose) and `base` (what was agreed)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute

from scimsync.errors import StoreDamaged
from scimsync.model.outcomes import Link
from scimsync.model.policy import Mapped
from scimsync.workbench.bench import ACCOUNT, Workbench, encode, quoted, text


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
            file.write(encode({"k": link.key, "a": link.account, "s": link.source}) + b"\n")
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
