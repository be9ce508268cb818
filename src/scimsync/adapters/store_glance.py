"""A glance at a state while somebody types: a few names out of it, without the libraries that a run needs.

It reads, waits for nobody, makes nothing and brings nothing up to date. Where it cannot see, it sees nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

#: what may be asked for: the statement for SQLite, and for PostgreSQL
_ASKED = {
    "runs": ("SELECT id FROM run WHERE id >= ? AND id < ? ORDER BY seq DESC LIMIT ?",
             "SELECT id FROM run WHERE starts_with(id, %s) ORDER BY seq DESC LIMIT %s"),
    "keys": ("SELECT key FROM link WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",
             "SELECT key FROM link WHERE starts_with(key, %s) ORDER BY key LIMIT %s"),
    "revision": ("SELECT version_num FROM scimsync_version WHERE version_num >= ? AND version_num < ? LIMIT ?",
                 "SELECT version_num FROM scimsync_version WHERE starts_with(version_num, %s) LIMIT %s"),
}  # fmt: skip
_PATIENCE_S = 1


def glance(url: str, asked: str, beginning: str = "", most: int = 100) -> Sequence[str]:
    """Names out of a state that begin with a text; none where the state is not there or cannot be read.

    Args:
        url: Of the state, as the configuration has it, with a whole path.
        asked: `runs`, `keys` or `revision`.
        beginning: What was typed so far.
        most: So many at most.
    """
    for_sqlite, for_postgres = _ASKED[asked]
    kind, _, place = url.partition(":///")
    try:
        if kind in {"sqlite", "sqlite+pysqlite"}:
            with _sqlite(Path(unquote(place))) as ask:
                return ask(for_sqlite, (beginning, beginning + chr(0x10FFFF), most))
        if url.startswith("postgres"):
            with _postgres(url) as ask:
                return ask(for_postgres, (beginning, most))
    except Exception:  # noqa: BLE001 - whatever is wrong with it, somebody is typing: doctor tells
        return ()
    return ()


_Ask = Callable[[str, tuple[object, ...]], Sequence[str]]


@contextlib.contextmanager
def _sqlite(file: Path) -> Iterator[_Ask]:
    with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)) as opened:
        yield lambda statement, values: [str(row[0]) for row in opened.execute(statement, values)]


@contextlib.contextmanager
def _postgres(url: str) -> Iterator[_Ask]:
    import psycopg  # noqa: PLC0415 - an extra

    plain = "postgresql://" + url.partition("://")[2]
    with psycopg.connect(plain, connect_timeout=_PATIENCE_S, options="-c default_transaction_read_only=on") as opened:
        yield lambda statement, values: [str(row[0]) for row in opened.execute(statement.encode(), values)]
