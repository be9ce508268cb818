"""How SQLite and PostgreSQL are opened, and what their errors mean."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.util import LRUCache

from scimsync.adapters.store_files import damaged, private_file
from scimsync.adapters.store_tables import GONE, KEY
from scimsync.errors import ConfigError, StoreError, StoreLocked

# of the advisory locks on PostgreSQL; any numbers that nobody else uses
MIGRATION_KEY, NUMBER_KEY = 7_364_963_219, 7_364_963_220


#: statements as SQLite is told them; a process that opens many states, or one many times, compiles each once
_COMPILED: LRUCache[Any, Any] = LRUCache(500)


class Lite(SQLiteDialect_pysqlite):
    """SQLite, which speaks alike in every file: what was compiled for one holds for all."""

    supports_statement_cache = True

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


registry.register("sqlite.scimsync", __name__, "Lite")


def parse_url(url: str) -> sa.URL:
    """A URL of a state, checked."""
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError("the store's url cannot be read; it looks like sqlite:///state.db") from error
    if parsed.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError(f"the store cannot be {parsed.drivername}; use sqlite:///PATH or postgresql://...")
    if parsed.database in {None, "", ":memory:"} or str(parsed.database).startswith("file:"):
        raise StoreError("the store needs a file, for a write-ahead log works nowhere else: sqlite:///state.db")
    return parsed.set(drivername="sqlite", query={})


def shown_name(url: sa.URL) -> str:
    """What a state is called in messages: no password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    options = url.query.get("options", "")
    schema = _SCHEMA.search(options if isinstance(options, str) else " ".join(options))
    within = f" (schema {schema.group(1)})" if schema else ""
    return f"PostgreSQL {url.host or 'on this host'}/{url.database or ''}{within}"


#: the one schema that a URL names
_SCHEMA = re.compile(r'-c ?search_path="?([a-z0-9_-]+)"?\s*$')


def make_schema(connection: sa.Connection) -> None:
    """Make the schema that the URL names, where there is none; the caller keeps others from doing so, too."""
    path = str(connection.exec_driver_sql("SHOW search_path").scalar_one())
    if (
        re.fullmatch(r'"?[a-z0-9_-]+"?', path)
        and connection.exec_driver_sql("SELECT current_schema()").scalar() is None
    ):
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {path}")


def open_sqlite(url: sa.URL, patience_s: float) -> sa.Engine:
    """Open SQLite, set up as a state wants it."""
    path = str(url.database)
    private_file(Path(path))
    engine = sa.create_engine(
        url.set(drivername="sqlite+scimsync"),
        hide_parameters=True,
        connect_args={"timeout": patience_s},
        execution_options={"compiled_cache": _COMPILED},
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001
        try:
            _set_up(connection, path, patience_s)
        except BaseException:
            connection.close()
            raise

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reading = connection.get_execution_options().get("scimsync_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def open_sqlite_to_read(url: sa.URL, patience_s: float) -> sa.Engine:
    """Open SQLite so that nothing in it can be changed, nor its file be made.

    Raises:
        StoreError: There is no such file.
    """
    path = Path(str(url.database))
    if not path.is_file():
        raise StoreError(f"there is no state in {path}: nothing was kept yet, or it was removed. Check [state] url.")

    def connect() -> sqlite3.Connection:
        # where nobody may write, and nothing waits in a log, SQLite needs be told that the file stays as it is
        log = path.with_name(path.name + "-wal")
        still = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
        place = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
        connection = sqlite3.connect(place, uri=True, timeout=patience_s, check_same_thread=False)
        connection.isolation_level = None
        return connection

    engine = sa.create_engine(url, hide_parameters=True, creator=connect)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _set_up(connection: sqlite3.Connection, path: str, patience_s: float) -> None:
    connection.isolation_level = None  # so that BEGIN is ours to say
    connection.execute(f"PRAGMA busy_timeout={round(patience_s * 1000)}")
    mode = _write_ahead(connection, patience_s)
    if mode != "wal":
        raise StoreError(
            f"{path} stands where SQLite cannot keep a write-ahead log (it answers {mode!r}), as on many "
            "network file systems. Put it on a local disk, or use PostgreSQL."
        )
    connection.execute("PRAGMA synchronous=full")
    connection.execute("PRAGMA foreign_keys=on")


def _write_ahead(connection: sqlite3.Connection, patience_s: float) -> str:
    """Ask for WAL. Two who make one file meet here, and SQLite does not wait for this lock by itself."""
    end = time.monotonic() + patience_s
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=wal").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
        time.sleep(0.01)


def open_postgres(url: sa.URL, patience_s: float, *, writes: bool = True) -> sa.Engine:
    """Open PostgreSQL, set up as a state wants it; where it shall not write, so that it cannot."""
    GONE.dialect_kwargs["postgresql_where"] = KEY.c.secret.is_(None)
    more = {} if writes else {"options": "-c default_transaction_read_only=on"}
    try:
        engine = sa.create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "application_name": "scimsync", **more},
        )
    except ImportError as error:
        raise StoreError("PostgreSQL needs a driver: pip install 'scimsync[postgres]'") from error

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:  # noqa: ARG001, ANN401 - psycopg is an extra
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, false), CASE current_setting('synchronous_commit')"
                " WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END",
                (f"{round(patience_s * 1000)}ms",),
            )
        connection.commit()

    return engine


def check_pages(connection: sa.Connection, name: str) -> None:
    """Let SQLite look at the structure of the file. It keeps no checksums: values it cannot vouch for."""
    answer = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if answer != "ok":
        raise damaged(name, str(answer).splitlines()[0])


# Errors

_BY_SQLSTATE = {
    "25006": "it is read-only, perhaps a replica; name the primary",
    "28000": "it refuses this user; check the url",
    "28P01": "it refuses this password; check the url",
    "3D000": "there is no such database; create it, or check the url",
    "42501": "this user has not the rights; grant them",
    "53100": "its disk is full; make room",
}
_BY_SQLITE = {
    sqlite3.SQLITE_FULL: "the disk is full; make room and start again",
    sqlite3.SQLITE_READONLY: "it is read-only; give the user that runs scimsync the right to write it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; give the user that runs scimsync rights on its folder",
    sqlite3.SQLITE_IOERR: "the disk reports an error; look at the system log before starting again",
}


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Say what a driver's errors mean."""
    try:
        yield
    except DBAPIError as error:
        raise _from_driver(name, error.orig) from error
    except SQLAlchemyError as error:
        raise damaged(name, f"it does not hold what it should ({type(error).__name__})") from error


def _from_driver(name: str, error: BaseException | None) -> StoreError:
    """What the driver's error means. Only its first line is told: the next ones may hold values."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    state = getattr(error, "sqlstate", None) or ""
    reason = (str(error).splitlines() or [""])[0]
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} or state == "55P03":
        return StoreLocked(f"somebody else keeps {name} locked (a backup, a viewer?). End that and try again.")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or state in {"XX001", "XX002"}:
        return damaged(name, reason)
    known = _BY_SQLITE.get(code) or _BY_SQLSTATE.get(state)
    if known:
        return StoreError(f"{name} cannot be used: {known}.")
    if not code and not state:
        return StoreError(f"{name} cannot be reached ({reason}). See that the server runs; check the url.")
    return StoreError(f"{name} answers: {reason}")
