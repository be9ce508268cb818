"""SQLite as a state wants it, and as much of a state there as a plan asks for, without SQLAlchemy.

Loading SQLAlchemy takes longer than planning some thousand people. So for a plan, a state on SQLite that is new or up
to date is opened by `QuickStore`; it reads and writes the rows of `store_tables` by statements of its own, in
transactions alike. Whatever it has no statement for, or fails at, it leaves to the whole store, which then does
everything.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from scimsync.adapters.store_files import artifact_path, damaged, private_artifacts, private_file
from scimsync.adapters.store_shapes import health_to_json, line_from, pin_from, run_from
from scimsync.engine.ports import Store
from scimsync.errors import StoreError
from scimsync.model.events import Letter
from scimsync.model.outcomes import Deferred, JournalLine, Link, LinkDecision, Pin, Run, RunState

#: The steps in `migrations/versions`, oldest first. Kept here so that a store that is up to date opens
#: without importing Alembic; a test holds the two together.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
VERSION_TABLE = "scimsync_version"
_SQLITE = "sqlite:///"
_RUN = (
    "id", "created", "state", "target", "plan", "agreed", "base", "finished", "tally", "statuses", "health", "partial",
    "source", "takes", "seq", "begun", "began", "done", "answered",
)  # fmt: skip
_SAVE_RUN = (
    f"INSERT INTO run ({', '.join(_RUN)}) VALUES ({', '.join(f':{name}' for name in _RUN)}) "  # noqa: S608 - our names
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _RUN[1:])}"
)
_JSON = frozenset({"tally", "statuses", "health", "takes", "done", "answered", "documents", "outcome"})
_MOMENTS = frozenset({"created", "finished", "began", "at", "since"})
_FLAGS = frozenset({"partial", "same"})
_P = ParamSpec("_P")
_T = TypeVar("_T")


def set_up(connection: sqlite3.Connection, path: str, patience_s: float) -> None:
    """Set a connection up.

    Raises:
        StoreError: The file stands where SQLite cannot keep a write-ahead log.
    """
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


def _make(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none, as the steps in `migrations` would."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return
    text = (Path(__file__).parent / "migrations" / "sqlite.sql").read_text(encoding="utf-8")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:  # nobody else was faster
            for statement in text.split(";\n"):
                connection.execute(statement)
            origin = f"scimsync/{secrets.token_hex(8)}"
            head = (1, origin, secrets.token_bytes(32), 0, hashlib.sha256(origin.encode()).digest(), b"")
            connection.execute("INSERT INTO audit_head VALUES (?, ?, ?, ?, ?, ?)", head)
            connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES (?)", [REVISIONS[-1]])  # noqa: S608
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _quick(
    method: Callable[Concatenate[QuickStore, _P], _T],
) -> Callable[Concatenate[QuickStore, _P], _T]:
    """What is not to be had quickly is had from the whole store, which also knows what an error means."""

    def either(self: QuickStore, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        if not self.is_whole:
            with suppress(sqlite3.Error, ValueError, KeyError, TypeError):
                return method(self, *args, **kwargs)
        found: _T = getattr(self.whole(), method.__name__)(*args, **kwargs)
        return found

    return either


class WholeStore(Store, Protocol):
    """All of the port, and an end."""

    def close(self) -> None:
        """Let go of connections."""
        ...


class _NotQuickError(ValueError):
    """The whole store is wanted for this."""


class QuickStore:
    """A state on SQLite that is new or up to date. Fits the Store port, by `__getattr__` for the most part.

    Args:
        path: The database.
        artifacts: The folder of the immutable files.
        whole: Opens the whole store.
        patience_s: How long to wait for somebody else's lock.
    """

    def __init__(self, path: Path, artifacts: Path, whole: Callable[[], WholeStore], patience_s: float) -> None:
        self._path, self._artifacts, self._open_whole = path, artifacts, whole
        self._whole: WholeStore | None = None
        self._opening = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=patience_s)
        try:
            set_up(self._connection, str(path), patience_s)
            self._connection.row_factory = sqlite3.Row
            if self._connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("its pages do not fit together")
            _make(self._connection)
            (version,) = self._connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608
            if version != REVISIONS[-1]:
                raise sqlite3.DatabaseError("it is not up to date")
        except BaseException:
            self._connection.close()
            raise

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the port has
        """What there is no statement for."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.whole(), name)

    @property
    def is_whole(self) -> bool:
        """Whether the whole store was needed; it holds the lease, if there is one."""
        return self._whole is not None

    def whole(self) -> WholeStore:
        """The whole store, opened when it is first needed."""
        with self._opening:  # one for all threads: it is the one that knows whether we hold the lease
            if self._whole is None:
                self._whole = self._open_whole()
            return self._whole

    def close(self) -> None:
        """Let go of connections."""
        with suppress(sqlite3.ProgrammingError):  # another thread is not let near it
            self._connection.close()
        if self._whole is not None:
            self._whole.close()

    def artifact(self, name: str) -> Path:
        """Where an artifact of that name is or shall be."""
        return artifact_path(self._artifacts, name)

    @_quick
    def begun(self, limit: int = 50) -> Sequence[Run]:
        """The runs that somebody began to apply, the one that was begun last first."""
        return self._runs("begun > 0 ORDER BY begun DESC LIMIT ?", limit)

    @_quick
    def run(self, run_id: str) -> Run | None:
        """One run by its id, or by an unambiguous beginning of it."""
        found = {run.id: run for run in self._runs("substr(id, 1, ?) = ?", len(run_id), run_id)} if run_id else {}
        if len(found) > 1 and run_id not in found:
            raise _NotQuickError
        return found.get(run_id) or next(iter(found.values()), None)

    @_quick
    def worked(self, since: datetime) -> Sequence[Run]:
        """The runs that somebody began to apply since a moment, and those that are still at it or were cut short."""
        return self._runs("began >= ? OR state = ? ORDER BY seq", _moment(since), RunState.APPLYING.value)

    @_quick
    def last_applied(self, source: str | None = None) -> Run | None:
        """The run (of one source, where one is named) that left the latest base, by the number in its name."""
        ours, named = ("", ()) if source is None else (" AND source = ?", (source,))
        return next(iter(self._runs(f"base <> ''{ours} ORDER BY base DESC, id DESC LIMIT 1", *named)), None)

    @_quick
    def save_run(self, run: Run, letters: Sequence[Letter] = ()) -> None:
        """Insert or replace a run; one that letters tell of is left to the whole store."""
        if letters:
            raise _NotQuickError
        row = {
            **{name: getattr(run, name) for name in _RUN if name not in {"seq", "begun"}},
            "state": run.state.value,
            "created": _moment(run.created),
            "finished": _moment(run.finished),
            "began": _moment(run.began),
            "tally": json.dumps(dict(run.tally)),
            "statuses": json.dumps(dict(run.statuses)),
            "health": None if run.health is None else json.dumps(health_to_json(run.health)),
            "takes": json.dumps(list(run.takes)),
            "done": json.dumps(dict(run.done)),
            "answered": json.dumps(list(run.answered)),
        }
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.execute(_SAVE_RUN, row | self._numbers(run))
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def _numbers(self, run: Run) -> dict[str, int]:
        """The numbers of a run: those it has, and the next one for what happens now."""
        held = self._connection.execute("SELECT seq, begun FROM run WHERE id = ?", [run.id]).fetchone()
        seq, begun = held or (0, 0)
        begins = run.begins(begun)
        if seq and not begins:
            return {"seq": seq, "begun": begun}
        highest = max(self._connection.execute("SELECT ifnull(max(seq), 0), ifnull(max(begun), 0) FROM run").fetchone())
        seq = seq or highest + 1
        return {"seq": seq, "begun": max(highest, seq) + 1 if begins else begun}

    @_quick
    def frozen(self, source: str) -> Mapping[str, str]:
        """The kinds of change of a source that wait for an answer, each with the run that was refused."""
        rows = self._connection.execute("SELECT kind, run FROM frozen WHERE source = ?", [source])
        return {row["kind"]: row["run"] for row in rows}

    @_quick
    def pin(self, target: str) -> Pin | None:
        """The latest baseline of a target."""
        latest = "SELECT * FROM schema_pin WHERE target = ? ORDER BY id DESC LIMIT 1"
        return next((pin_from(row) for row in self._rows(latest, target)), None)

    @_quick
    def journal(self, run_id: str, *, since: datetime | None = None) -> Iterator[JournalLine]:
        """The lines of one run in the order they were written; only later ones, where `since` says so."""
        later, moment = ("", ()) if since is None else (" AND at >= ?", (_moment(since),))
        query = f"SELECT * FROM journal WHERE run = ?{later} ORDER BY seq"  # noqa: S608 - fixed texts
        return self._walked(map(line_from, self._rows(query, run_id, *moment)))

    @_quick
    def links(self) -> Iterator[Link]:
        """All links, read as they are walked."""
        return self._walked(Link(**row) for row in self._rows("SELECT key, account, source FROM link"))

    @_quick
    def link_decisions(self) -> Sequence[LinkDecision]:
        """All of them, oldest first."""
        rows = self._rows("SELECT key, account, same, actor, source FROM link_decision ORDER BY seq")
        return [LinkDecision(**row) for row in rows]

    @_quick
    def sources(self) -> frozenset[str]:
        """The sources that have, or ever had, a link."""
        return frozenset(str(name) for (name,) in self._connection.execute("SELECT name FROM source"))

    @_quick
    def deferred(self) -> Iterator[Deferred]:
        """References that wait for an account, by key and path."""
        return self._walked(Deferred(**row) for row in self._rows("SELECT * FROM deferred ORDER BY key, path"))

    @_quick
    def save_deferred(self, waiting: Iterable[Deferred], settled: Iterable[tuple[str, str]] = ()) -> None:
        """Forget the settled ones and remember those that wait; mostly there are none."""
        waiting, settled = list(waiting), list(settled)
        if waiting or settled:
            self.whole().save_deferred(waiting, settled)

    def _runs(self, where: str, *values: object) -> list[Run]:
        query = f"SELECT {', '.join(_RUN)} FROM run WHERE {where}"  # noqa: S608 - fixed texts
        return [run_from(row) for row in self._rows(query, *values)]

    def _rows(self, query: str, *values: object) -> Iterator[dict[str, Any]]:
        return map(_read, self._connection.execute(query, values))

    def _walked(self, found: Iterator[_T]) -> Iterator[_T]:
        try:
            yield from found
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise damaged(str(self._path), f"a row cannot be read ({type(error).__name__})") from error


def open_quickly(
    url: str, artifacts: Path, whole: Callable[[], WholeStore], patience_s: float = 30.0
) -> WholeStore | None:
    """The state of a URL; None where the whole store is wanted, or where it shall say what is the matter."""
    name = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not name or set(name) & set("?#%:"):
        return None
    path = Path(name)
    try:
        private_file(path)
        private_artifacts(artifacts)
        return cast("WholeStore", QuickStore(path, artifacts, whole, patience_s))  # by `__getattr__`
    except (StoreError, OSError, sqlite3.Error, TypeError):
        return None


def _moment(value: datetime | None) -> str | None:
    """As `store_tables.Instant` keeps it."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")


def _read(row: sqlite3.Row) -> dict[str, Any]:
    """A row with its values as `store_tables` gives them."""
    found = dict(row)
    for name, value in found.items():
        if value is None:
            continue
        if name in _JSON:
            found[name] = json.loads(value)
        elif name in _MOMENTS:
            found[name] = datetime.fromisoformat(value)
        elif name in _FLAGS:
            found[name] = bool(value)
    return found
