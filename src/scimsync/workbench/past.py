"""Bring the past into tables: `links` (whose account is whose) and `base` (what was agreed)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from scimsync.model.outcomes import Link
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Value
from scimsync.workbench.bench import ACCOUNT, Workbench, encode_lines, quoted, text
from scimsync.workbench.layers import Layers, readable
from scimsync.workbench.values import value_of


def stage_links(bench: Workbench, links: Iterable[Link], parted: Sequence[tuple[str, str]] = ()) -> None:
    """Load the remembered links into the table `links` (key, account, source, ours); all are ours until said else.

    Pairs that are never to be linked go into `parted`; `absent` (key) is made, and nobody is in it.
    """
    bench.sql.execute("CREATE OR REPLACE TABLE absent (key VARCHAR)")
    bench.sql.execute("CREATE OR REPLACE TABLE parted (key VARCHAR, account VARCHAR)")
    if parted:
        bench.sql.executemany("INSERT INTO parted VALUES (?, ?)", parted)
    with bench.spooled("links") as (path, file):
        file.write(b"{}\n")
        waiting = iter(links)
        while chunk := list(islice(waiting, 1000)):
            file.write(encode_lines(chunk))
        file.flush()
        bench.sql.execute(
            "CREATE OR REPLACE TABLE links AS SELECT key, account, source, true AS ours FROM "
            f"read_ndjson({text(str(path))}, columns = {{key: 'VARCHAR', account: 'VARCHAR', source: 'VARCHAR'}}) "
            "WHERE key IS NOT NULL"
        )


def stage_base(bench: Workbench, base: Path | None, attributes: Sequence[Mapped]) -> None:
    """Load the base (key, b0, b1, ...) of the last run; paths it does not know stay NULL.

    Whoever changes the table says of whom in `rebased` (key): nobody else's row is compared with what is kept.

    Raises:
        StoreDamaged: It cannot be read.
    """
    bench.sql.execute("CREATE OR REPLACE TABLE rebased (key VARCHAR)")
    if base is None:
        empty = ", ".join(f"b{i} VARCHAR" for i, _ in enumerate(attributes))
        bench.sql.execute(f"CREATE OR REPLACE TABLE base (key VARCHAR, {ACCOUNT} VARCHAR, {empty})")
        return
    held = Layers(bench, base)
    columns = ", ".join(
        f"{quoted(m.path) if m.path in held.columns else 'NULL::VARCHAR'} AS b{i}" for i, m in enumerate(attributes)
    )
    with readable(base):
        bench.sql.execute(f"CREATE OR REPLACE TABLE base AS SELECT key, {ACCOUNT}, {columns} FROM {held.rows()}")


def agreed_with(bench: Workbench, base: Path, key: str, attributes: Sequence[Mapped]) -> dict[str, Value]:
    """What both sides agreed on about one person, by path; paths on which they never did are missing.

    Raises:
        StoreDamaged: It cannot be read.
    """
    held = Layers(bench, base)
    mapped = [m for m in attributes if m.path in held.columns]
    columns = ", ".join(["key", *(quoted(m.path) for m in mapped)])
    with readable(base):
        row = next(bench.rows(f"SELECT {columns} FROM {held.rows(f'key = {text(key)}')}"), None)
    found = zip(mapped, row[1:], strict=True) if row is not None else ()
    return {m.path: value_of(m.place, value) for m, value in found if value is not None}
