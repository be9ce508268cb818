"""Read people from a database with one SELECT, in one read-only transaction, streamed.

Here lives the knowledge of SQLAlchemy, its drivers and their complaints. Tried for real: SQLite, PostgreSQL
(psycopg 3) and MariaDB (PyMySQL); any other SQLAlchemy address works as far as its driver streams.
One statement in one transaction sees one state of the database, however long it takes.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from msgspec import Struct
from sqlalchemy import Connection, CursorResult, Engine, create_engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from scimsync.adapters.source_columns import check_key, check_width, owned_by
from scimsync.adapters.source_copy import copying
from scimsync.adapters.source_sql_drivers import NEXT_STEPS, be_lenient, driven, guard, make_read_only, missing, writes
from scimsync.errors import SourceEmpty, SourceError
from scimsync.model.records import Batch, Cell, Reading

_BATCH = 5_000
#: rows at a time where each batch costs no way over a network: so many stay in the cache of the processor
_FEW = 1_000
_PLAIN = frozenset({str, int, float, bool, date, datetime, Decimal, type(None)})

#: Parameters of an address that say where it leads. All others stay out of messages: some are secrets.
_PLACES = frozenset({"host", "port", "service", "sslmode"})

#: A dead peer is noticed within a minute, not after the two hours of the operating system.
_PSYCOPG = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

#: What may stand around or inside a statement and hold any text: strings, names, comments, $$ texts.
_TEXTS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$", re.DOTALL)

#: What to do next, by a word of the driver's complaint (with its SQLSTATE in front); the first that fits.
_NEXT_STEPS = (
    *NEXT_STEPS,
    (r"42p01|no such table", "Check the name of the table, and its schema, in query under [source]."),
    (r"42703|no such column", "Check the names of the columns in query under [source]."),
    (r"42501|permission denied", "Let an administrator grant SELECT on the table to this user."),
    (r"25006|read-?only|data-modifying", "The source is only read: write a query that changes nothing."),
    (r"3d000|database .* does not exist", "Check the name of the database in url under [source]."),
    (r"not a database|malformed", "The file is another kind of file, or damaged: check url under [source]."),
    (r"locked|55p03", "Another program is writing to it: run again when it is finished."),
    # a port may look like an SQLSTATE: "port 42221 failed"
    (
        r"(?<!port )(?<!:)\b(42|22)\w{3}\b|syntax|misuse|incomplete input",
        "Correct query under [source]; try it in a database tool.",
    ),
    (r"28p01|28000|password|authentication", "Check user and password in url under [source]."),
    (
        r"\b(08|57)\w{3}\b|connect|server|timeout|resolve|refused",
        "Check that host and port in url under [source] can be reached from here, and run again.",
    ),
)


class SqlSource(Struct, frozen=True):
    """One query in one database. Fits `scimsync.engine.ports.Source`."""

    url: str
    query: str
    key: str

    def __repr__(self) -> str:
        return f"SqlSource({self.name!r})"

    @property
    def name(self) -> str:
        """Kind, host and name of the database; no user, no password."""
        try:
            url = _address(self.url)
        except SourceError:
            return "SQL database"
        host = f" on {url.host}" if url.host else ""
        return f"{url.get_backend_name()} database {url.database or '(default)'}{host}"

    @property
    def guard(self) -> tuple[str, bool]:
        """What keeps the query from writing, in words; and whether the database itself does.

        Raises:
            SourceError: The address cannot be understood.
        """
        return guard(_address(self.url).get_backend_name())

    def read(self) -> Reading:
        """Connect, and ask the query.

        Raises:
            SourceError: The address, driver, host, password, table or query is wrong; the query would
                change something, gives nothing, gives two columns of one name or a value that is no cell,
                or lacks the key column; the connection is lost on the way.
        """
        url = _address(self.url)
        query = _statement(_place(url), url.get_backend_name(), self.query)
        refuse = partial(_refuse, url, query)
        with ExitStack() as stack:
            try:
                connection = _connect(stack, url)
                copied = copying(_driven(connection), query) if url.get_driver_name() == "psycopg" else None
                result = None if copied else _ask(stack, connection, query)
            except ImportError as exc:
                _refuse_driver(url, exc)
            except NoSuchModuleError as exc:
                _refuse_dialect(url, exc)
            except SQLAlchemyError as exc:
                refuse(exc, 0)
            columns = copied.columns if copied else tuple(result.keys()) if result and result.returns_rows else ()
            _check_columns(_place(url), columns, self.key)
            owner = stack.pop_all()
            walk = self._batches(lambda: result or _ask(owner, connection, query), columns, refuse)
            batches = owned_by(owner, walk)
        next(batches)
        pour = copied.pour if copied else None
        return Reading(columns=columns, batches=batches, proven=True, live=True, place="row", pour=pour)

    def _batches(
        self, ask: Callable[[], CursorResult[tuple[object, ...]]], columns: Sequence[str], refuse: partial[NoReturn]
    ) -> Iterator[Batch]:
        where, count = _place(_address(self.url)), 0
        try:
            result = ask()
            for rows in _fetched(result):
                places = range(count + 1, count + len(rows) + 1)
                yield _batch(where, columns, rows, places)
                count += len(rows)
        except SQLAlchemyError as exc:
            refuse(exc, count)
        if count == 0:
            message = (
                f"{where}: the query returned nothing: {_short(self.query)}. An empty source is never taken"
                " for a company without people: check the table and the WHERE clause in query under [source]."
            )
            raise SourceEmpty(message)


def _address(text: str) -> URL:
    """Parse the address; each database goes through our driver unless another is named."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        message = (
            "The address of the source database cannot be understood (it is not shown, because it may hold a"
            ' password). Set url under [source] like "postgresql://user@host/database" or'
            ' "sqlite:///hr.db"; write special characters of a password as %xx.'
        )
        raise SourceError(message) from None
    return driven(url)


def _place(url: URL) -> str:
    """Say where the database is: no password, and no parameter that could be one."""
    kept = {name: value for name, value in url.query.items() if name in _PLACES}
    return url.set(query=kept).render_as_string(hide_password=True)


def _short(query: str) -> str:
    flat = " ".join(query.split())
    return flat if len(flat) <= 200 else flat[:200] + " ..."


def _statement(where: str, database: str, query: str) -> str:
    """Let through one statement that reads; the read-only transaction is the second guard."""
    bare = _TEXTS.sub(" '' ", query).strip().rstrip("; \t\r\n")
    first = re.match(r"[('\s]*(\w+)", bare)
    if first is None or first[1].upper() not in {"SELECT", "WITH"} or ";" in bare:
        message = (
            f"{where}: the query must be one statement that begins with SELECT or WITH: {_short(query)}."
            " Correct query under [source]."
        )
        raise SourceError(message)
    if word := writes(database, query, bare):
        message = (
            f"{where}: the query holds {word}, which can write, so it is not sent: {_short(query)}. Correct query under"
            " [source]."
        )
        raise SourceError(message)
    return query.strip()


def _connect(stack: ExitStack, url: URL) -> Connection:
    """Connect, to read only; `stack` learns how to let go of everything."""
    engine = _engine(url)
    stack.callback(engine.dispose)
    connection = stack.enter_context(engine.connect())
    make_read_only(connection)
    if url.get_driver_name() == "psycopg":
        be_lenient(_driven(connection))
    return connection


def _driven(connection: Connection) -> object:
    """The connection of the driver, in its transaction."""
    return connection.connection.driver_connection


def _ask(stack: ExitStack, connection: Connection, query: str) -> CursorResult[tuple[object, ...]]:
    """Execute; `stack` learns how to end it."""
    options = {"stream_results": True, "yield_per": _BATCH, "no_parameters": True}
    result = connection.exec_driver_sql(query, execution_options=options)
    stack.callback(result.close)
    return result


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return create_engine("sqlite://", creator=_sqlite(url), poolclass=NullPool, hide_parameters=True)
    extra: dict[str, object] = {}
    if url.get_driver_name() == "psycopg":
        extra = {name: value for name, value in _PSYCOPG.items() if name not in url.query}
    return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=extra)


def _sqlite(url: URL) -> partial[sqlite3.Connection]:
    """Open the file that is there, read-only: SQLite would make an empty one of a misspelt name."""
    if url.database in {None, "", ":memory:"}:
        message = f"{_place(url)}: names no file. Set url under [source] to the file, like sqlite:///hr.db."
        raise SourceError(message)
    path = Path(url.database or "")
    if not path.is_file():
        message = (
            f"{_place(url)}: there is no database file {str(path)!r}. Check url under [source]; a relative"
            " path has three slashes (sqlite:///hr.db), an absolute one has four."
        )
        raise SourceError(message)
    return partial(sqlite3.connect, f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def _check_columns(where: str, columns: Sequence[str], key: str) -> None:
    """Refuse equal names (SQL does not tell case), too many columns, and a missing key column."""
    check_width(where, columns)
    seen: set[str] = set()
    for column in columns:
        if column.casefold() in seen:
            message = (
                f"{where}: the query gives two columns of the name {column!r} (upper and lower case count as"
                " equal). Give one of them another name with AS in query under [source]."
            )
            raise SourceError(message)
        seen.add(column.casefold())
    check_key(where, columns, key, " of the query")


def _fetched(result: CursorResult[tuple[object, ...]]) -> Iterator[Sequence[tuple[object, ...]]]:
    """The rows as tuples; those of SQLite as its driver gives them, because SQLAlchemy wraps each once more."""
    if result.dialect.name != "sqlite" or result.cursor is None:
        while found := result.fetchmany(_BATCH):
            yield [tuple(row) for row in found]
        return
    try:
        while rows := result.cursor.fetchmany(_FEW):
            yield rows
    except sqlite3.Error as exc:
        raise DBAPIError.instance("", None, exc, sqlite3.Error, dialect=result.dialect) from exc


def _batch(where: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]], places: range) -> Batch:
    """Rows as a batch; what is odd in them is looked at cell by cell."""
    types = [frozenset(map(type, values)) for values in zip(*rows, strict=True)]
    if _PLAIN.issuperset(frozenset().union(*types)):
        return Batch(rows, places, types)  # type: ignore[arg-type]  # each type is one of Cell
    return Batch([_cells(where, columns, row, place) for row, place in zip(rows, places, strict=True)], places)


def _cells(where: str, columns: Sequence[str], row: tuple[object, ...], place: int) -> Sequence[Cell]:
    return [_cell(where, column, value, place) for column, value in zip(columns, row, strict=True)]


def _cell(where: str, column: str, value: object, place: int) -> Cell:
    if isinstance(value, UUID):
        return str(value)
    if value is None or isinstance(value, str | int | float | date | Decimal):
        return value
    kind = "bytes" if isinstance(value, bytes | bytearray | memoryview) else f"a {type(value).__name__}"
    message = (
        f"{where}: row {place}: the column {column!r} holds {kind}; a cell is text, a number, truth or a"
        " date. Leave the column out of query under [source], or CAST it to text."
    )
    raise SourceError(message)


# --- the complaints of drivers -------------------------------------------------------------------------


def _refuse_driver(url: URL, fault: ImportError) -> NoReturn:
    driver = url.get_driver_name()
    message = f"{_place(url)}: {missing(driver, fault.name or '')}"
    raise SourceError(message) from fault


def _refuse_dialect(url: URL, fault: NoSuchModuleError) -> NoReturn:
    message = (
        f"{_place(url)}: SQLAlchemy knows no database {url.drivername!r}. Correct the beginning of url under"
        " [source] (postgresql, sqlite, mysql, mssql, oracle), or install its"
        " dialect."
    )
    raise SourceError(message) from fault


def _refuse(url: URL, query: str, fault: SQLAlchemyError, count: int) -> NoReturn:
    """Say where, what, and what to do next, once for every complaint of a driver."""
    if count or (isinstance(fault, DBAPIError) and fault.connection_invalidated):
        what = f"reading broke off after at least {count:,} rows, and nothing of them is used"
    else:
        what = "the source cannot be read"
    reason = _reason(url, fault)
    step = next((step for pattern, step in _NEXT_STEPS if re.search(pattern, reason, re.IGNORECASE)), "")
    step = step or "Check url and query under [source], and run again."
    message = f"{_place(url)}: {what}: {reason} (query: {_short(query)}). {step}"
    raise SourceError(message) from None


def _reason(url: URL, fault: SQLAlchemyError) -> str:
    """The driver's words, flat: without secrets, and without the values of people that some of them quote."""
    cause = fault.orig if isinstance(fault, DBAPIError) and fault.orig is not None else fault
    state = str(getattr(cause, "sqlstate", None) or "")
    if state.startswith("22"):
        return f"a value cannot be converted as the query asks (SQLSTATE {state})"
    told = str(cause).partition("\nLINE ")[0]
    text = " ".join(re.sub(r"( with text|:) '.*'\Z", "", told, flags=re.DOTALL).split())
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    return (f"{text[:300]} (SQLSTATE {state})" if state else text[:300]).rstrip(". ")


def _secrets(url: URL) -> Iterator[str]:
    if url.password:
        yield str(url.password)
    for name, value in url.query.items():
        if name not in _PLACES:
            yield from [value] if isinstance(value, str) else value
