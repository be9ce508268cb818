"""Who is found in another account by a second plan of the same reading."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scimsync.workbench.agreed import write_parquet
from scimsync.workbench.bench import Workbench, text


def keep_pairing(bench: Workbench, path: Path) -> None:
    """Keep which account belongs to which record, after a plan; `path` is in the folder of the artifacts."""
    write_parquet(bench, "pairing", path)


def relinked(bench: Workbench, path: Path) -> Iterator[tuple[str, str, str]]:
    """(key, account then, account now) of whoever has another account now than in a file of `keep_pairing`."""
    query = (
        f"SELECT p.key, f.id, p.id FROM pairing p JOIN read_parquet({text(str(path))}) f ON f.key = p.key "
        "WHERE f.id <> p.id ORDER BY p.key"
    )
    for key, then, now in bench.rows(query):
        yield str(key), str(then), str(now)
