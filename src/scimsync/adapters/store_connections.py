"""How all parts of a store read and write: one reader, one writer, under the lease where there is one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import chain
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from scimsync.adapters.store_engine import translated
from scimsync.adapters.store_files import damaged
from scimsync.adapters.store_holders import taken
from scimsync.adapters.store_tables import LEASE
from scimsync.errors import ProtocolError, StoreLocked

#: rows that are read or written at a time
CHUNK = 1000
#: kept, as all that each write says: SQLAlchemy takes as long to look at a statement as SQLite takes to carry it out
_LEASE = sa.select(LEASE).with_for_update(read=True)


@contextmanager
def _driven(connection: sa.Connection, statement: sa.Select[Any]) -> Iterator[Iterator[tuple[Any, ...]]]:
    """Rows of SQLite as its driver gives them: what SQLAlchemy makes of each costs twice as much again.

    The cursor is our own: one of SQLAlchemy may have read the first rows already.
    """
    with closing(connection.connection.cursor()) as cursor:
        try:
            cursor.execute(str(statement.compile(connection)))
            yield chain.from_iterable(iter(lambda: cursor.fetchmany(CHUNK), []))
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance("", None, error, sqlite3.Error, dialect=connection.dialect) from error


class WallClock(Protocol):
    """The part of the Clock port that the store needs."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...


class Connections:
    """Reads and writes. Whoever makes one sets `engine` and what belongs to it."""

    engine: sa.Engine
    _reader: sa.Engine
    _name: str
    _clock: WallClock
    _fence: int | None

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with translated(self._name), self._reader.connect() as connection:
            try:
                yield connection
            except (ValueError, KeyError, TypeError, ProtocolError) as error:
                raise damaged(self._name, f"a row cannot be read ({type(error).__name__})") from error

    @contextmanager
    def _rows(self, statement: sa.Select[Any]) -> Iterator[sa.MappingResult]:
        """Rows as they are walked; a walk that is given up lets go of its cursor and connection."""
        with (
            self._reading() as connection,
            connection.execution_options(yield_per=CHUNK).execute(statement) as result,
        ):
            yield result.mappings()

    @contextmanager
    def _tuples(self, statement: sa.Select[Any]) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Rows as tuples, for walks over a million of them."""
        with (
            self._reading() as connection,
            connection.execution_options(yield_per=CHUNK).execute(statement) as result,
        ):
            yield map(tuple, result)

    @contextmanager
    def _texts(self, statement: sa.Select[Any]) -> Iterator[Iterator[tuple[Any, ...]]]:
        """As `_tuples`, of columns that hold nothing but texts."""
        if self._reader.dialect.name != "sqlite":
            with self._tuples(statement) as rows:
                yield rows
        else:
            with self._reading() as connection, _driven(connection, statement) as rows:
                yield rows

    @contextmanager
    def _writing(self, *, alone: bool = False) -> Iterator[sa.Connection]:
        """One transaction; under a lease of ours, only while it is ours; `alone`, only if nobody has one."""
        with translated(self._name), self.engine.begin() as connection:
            mine = self._fence
            if mine is not None or alone:
                row = connection.execute(_LEASE).mappings().one()
                if row["fence"] != mine and (mine is not None or row["owner"]):
                    raise StoreLocked(taken(row, mine))
            yield connection

    def _insert_once(self, table: sa.Table) -> sa.Executable:
        """An insert of rows that are all key, and may be there."""
        if self.engine.dialect.name == "sqlite":
            return sqlite.insert(table).on_conflict_do_nothing()
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 30 ms that SQLite need not pay

        return postgresql.insert(table).on_conflict_do_nothing()

    def _upsert(self, table: sa.Table) -> sa.Executable:
        key = [column.name for column in table.primary_key]
        if self.engine.dialect.name == "sqlite":
            lite = sqlite.insert(table)
            return lite.on_conflict_do_update(key, set_={c.name: c for c in lite.excluded if c.name not in key})
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 30 ms that SQLite need not pay

        big = postgresql.insert(table)
        return big.on_conflict_do_update(
            index_elements=key, set_={c.name: c for c in big.excluded if c.name not in key}
        )
