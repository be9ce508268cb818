"""Everybody whom the last base knows, found by the beginning of any word of key, login or name.

Made once for each base, from its layers, in a file of full-text search (SQLite's FTS5): a million people are found
within milliseconds, and none of them is in memory.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from scimsync.model.plans import LOGIN
from scimsync.workbench.bench import Workbench, quoted
from scimsync.workbench.layers import Layers
from scimsync.workbench.pool import Pool

_WORD = re.compile(r"[^\W_]+")
_NAMED = ("displayName", "name.formatted")


class Known(Struct, frozen=True, kw_only=True):
    """Somebody whom both sides agreed on."""

    key: str
    login: str
    name: str
    #: as it was agreed last; None where the mapping does not manage it
    active: bool | None


class PeopleIndex:
    """A search over the people of one base.

    Args:
        top: The uppermost layer of the base.
        file: Where the index goes; a new one.

    Raises:
        StoreDamaged: The base cannot be read.
    """

    def __init__(self, top: Path, file: Path) -> None:
        self._pool = Pool(file)
        with closing(sqlite3.connect(file)) as made:
            made.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                "CREATE VIRTUAL TABLE person USING fts5(key, login, name, active UNINDEXED, "
                "tokenize = \"unicode61 remove_diacritics 2\", prefix = '1 2 3')"
            )
            with Workbench(top.parent) as bench, made:
                rows = _rows(bench, Layers(bench, top))
                made.executemany("INSERT INTO person VALUES (?, ?, ?, ?)", rows)
            #: how many people there are
            self.number = int(made.execute("SELECT count(*) FROM person").fetchone()[0])

    def search(self, words: str, limit: int) -> list[Known]:
        """The first people of whom each of the words begins a word; everybody where there are no words."""
        terms = " ".join(f'"{word}"*' for word in _WORD.findall(words))
        where, values = ("WHERE person MATCH ?", (terms,)) if terms else ("", ())
        query = f"SELECT key, login, name, active FROM person {where} ORDER BY rowid LIMIT ?"
        with self._pool.borrowed() as connection:
            found = connection.execute(query, (*values, limit)).fetchall()
        return [
            Known(key=key, login=login, name=name, active={"true": True, "false": False}.get(active))
            for key, login, name, active in found
        ]

    def close(self) -> None:
        """Close it; the file can go then."""
        self._pool.close()


def _rows(bench: Workbench, base: Layers) -> Iterator[tuple[str, str, str, str]]:
    def column(*names: str) -> str:
        found = next((quoted(name) for name in names if name in base.columns), "''")
        return f"coalesce({found}, '')"

    query = f"SELECT key, {column(LOGIN)}, {column(*_NAMED)}, {column('active')} FROM {base.rows()}"
    with base.readable():
        for key, login, name, active in bench.rows(query):
            yield str(key), str(login), str(name), str(active)
