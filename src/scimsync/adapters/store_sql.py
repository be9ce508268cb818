"""The store on SQLite (a file of this machine) or PostgreSQL (by URL), and the private files beside it.

Every method is one durable transaction. On SQLite that takes WAL, `synchronous=FULL` and
`BEGIN IMMEDIATE`: the default of the driver loses updates without an error. On PostgreSQL a row that is
read to be written is locked. The tables are made by the steps in `migrations/`.

The lease is one row. Its `fence` grows by one with each holder, and each write of a holder looks at it,
so a process that slept while another took over writes nothing any more.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from scimsync.adapters.store_artifacts import Bindings
from scimsync.adapters.store_birth import bear
from scimsync.adapters.store_connections import WallClock
from scimsync.adapters.store_deciding import Deciding
from scimsync.adapters.store_engine import (
    MIGRATION_KEY,
    check_pages,
    make_schema,
    open_postgres,
    open_sqlite,
    open_sqlite_to_read,
    parse_url,
    shown_name,
    translated,
)
from scimsync.adapters.store_files import private_artifacts
from scimsync.adapters.store_holders import at_work, holds, myself
from scimsync.adapters.store_outbox import Outbox
from scimsync.adapters.store_people import People
from scimsync.adapters.store_runs import Runs
from scimsync.adapters.store_schedules import Schedules
from scimsync.adapters.store_tables import LEASE, NOBODY
from scimsync.adapters.store_visitors import Visitors
from scimsync.errors import StoreError, StoreLocked

#: The steps in `migrations/versions`, oldest first. Kept here so that a store that is up to date opens
#: without importing Alembic; a test holds the two together.
REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0015",
    "0016",
    "0017",
    "0019",
    "0023",
    "0024",
    "0025",
    "0026",
    "0021",
    "0027",
    "0030",
    "0031",
)
VERSION_TABLE = "scimsync_version"
#: how often a holder says that it lives
RENEW_S = 60.0
_ARTIFACT = re.compile(r"[A-Za-z0-9._-]+")
_MIGRATING = threading.Lock()
#: (state, fence) of leases of this process that could not be given back: a disk was full, a database away
_LEFT: set[tuple[str, int]] = set()


class SqlStore(Runs, People, Deciding, Outbox, Schedules, Bindings, Visitors):
    """The state in a database. Fits the Store port; may be used from several threads.

    Args:
        url: `sqlite:///PATH` or `postgresql://USER@HOST/NAME`.
        artifacts: the folder of the immutable files; made with mode 0700 where there is none.
        clock: says when; handed in.
        patience_s: how long to wait for somebody else's lock.
        writes: whether it may write: else it makes nothing, brings nothing up to date, and cannot.

    Raises:
        ConfigError: The URL is none of the two.
        StoreError: The place cannot be used; the message says which, and what to do.
        StoreDamaged: What is there is not what we wrote.
        StoreLocked: Somebody kept it locked for longer than our patience.
    """

    def __init__(
        self, url: str, artifacts: Path, clock: WallClock, *, patience_s: float = 30.0, writes: bool = True
    ) -> None:
        self._clock = clock
        self._artifacts = artifacts
        self._patience_s = patience_s
        self._fence: int | None = None
        parsed = parse_url(url)
        self._name = shown_name(parsed)
        if parsed.get_backend_name() == "sqlite":
            self.engine = (open_sqlite if writes else open_sqlite_to_read)(parsed, patience_s)
        else:
            self.engine = open_postgres(parsed, patience_s, writes=writes)
        self._reader = self.engine.execution_options(scimsync_reading=True)
        try:
            if writes:
                private_artifacts(artifacts)
            self._prepare(writes=writes)
        except BaseException:
            self.engine.dispose()
            raise

    @contextmanager
    def lease(self, owner: str, bears_s: int | None = None) -> Iterator[None]:
        """Hold the right to write to the target; a daemon thread says every minute that we live.

        Args:
            owner: Who, for messages.
            bears_s: After how many seconds of silence others may take it, even from a process that lives; then it is
                renewed four times as often. None: for as long as the process lives, or ten minutes on another machine.

        Raises:
            StoreLocked: Another live process holds it; the message names process, host and since when.
        """
        fence = self._take(owner, bears_s)
        self._fence = fence
        done = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(fence, done, bears_s), name="scimsync-lease", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            done.set()
            renewer.join(self._patience_s)
            self._fence = None
            try:
                self._update_lease(fence, NOBODY)
            except StoreError:  # the next process finds us dead, or silent; keep the first error
                _LEFT.add((str(self.engine.url), fence))

    def artifact(self, name: str) -> Path:
        """Where an artifact of that name is or shall be; the folder exists with mode 0700.

        Raises:
            StoreError: The name is not one of letters, digits, dot, line and underline.
        """
        if not _ARTIFACT.fullmatch(name) or name in {".", ".."}:
            raise StoreError(f"{name!r} cannot name an artifact; use letters, digits, '.', '-' and '_'.")
        return self._artifacts / name

    def size(self) -> int:
        """How many bytes the database takes."""
        size = "pg_database_size(current_database())"
        if self.engine.dialect.name == "sqlite":
            size = "page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        with translated(self._name), self._reader.connect() as connection:
            return int(connection.scalar(sa.text(f"SELECT {size}")) or 0)

    def close(self) -> None:
        """Let go of connections."""
        self.engine.dispose()

    def _take(self, owner: str, bears_s: int | None) -> int:
        me = myself()
        with translated(self._name), self.engine.begin() as connection:
            row = connection.execute(sa.select(LEASE).with_for_update()).mappings().one()
            now = self._clock.now() if bears_s is None and row["bears"] is None else self._time(connection)
            if row["owner"] and holds(row, me, now) and (str(self.engine.url), row["fence"]) not in _LEFT:
                raise StoreLocked(at_work(row, me))
            fence = int(row["fence"]) + 1
            holder = {
                "fence": fence,
                "owner": owner or "scimsync",
                "host": me.host,
                "place": me.place,
                "pid": me.pid,
                "started": me.started,
                "since": now,
                "renewed": now,
                "bears": bears_s,
            }
            connection.execute(sa.update(LEASE).values(holder))
        return fence

    def _renew(self, fence: int, done: threading.Event, bears_s: int | None) -> None:
        while not done.wait(RENEW_S if bears_s is None else bears_s / 4):
            with suppress(StoreError):  # a passing trouble; the next append says so if it stays
                if not self._update_lease(fence, {}, shared=bears_s is not None):
                    return

    def _time(self, connection: sa.Connection) -> datetime:
        """Now, for everybody who shares the state alike: clocks of machines differ."""
        if connection.dialect.name == "sqlite":
            return self._clock.now()
        found: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return found.astimezone(UTC)

    def _update_lease(self, fence: int, values: Mapping[str, object], *, shared: bool = False) -> bool:
        with translated(self._name), self.engine.begin() as connection:
            now = self._time(connection) if shared else self._clock.now()
            mine = sa.update(LEASE).where(LEASE.c.fence == fence).values(dict(values) or {"renewed": now})
            return connection.execute(mine).rowcount == 1

    def _prepare(self, *, writes: bool) -> None:
        with translated(self._name), self._reader.connect() as connection:
            if connection.dialect.name == "sqlite":
                check_pages(connection, self._name)
            version = self._version(connection)
        if version == REVISIONS[-1]:
            return
        if version is not None and version not in REVISIONS:
            raise StoreError(
                f"{self._name} was made by a newer scimsync (schema {version}; this one knows up to "
                f"{REVISIONS[-1]}). Update scimsync, or name another store."
            )
        if not writes:
            raise StoreError(
                f"{self._name} was made by an older scimsync (schema {version or 'none'}), and is opened to be read "
                "alone here. Copy it, and let `scimsync doctor` bring the copy up to date; or do so with the state."
            )
        self._migrate()

    def _version(self, connection: sa.Connection) -> str | None:
        tables = sa.inspect(connection)
        if tables.has_table(VERSION_TABLE):
            version = connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
            return None if version is None else str(version)
        if connection.dialect.name == "sqlite" and tables.get_table_names():
            raise StoreError(f"{self._name} is the database of another program. Name another file.")
        return None

    def _migrate(self) -> None:
        with _MIGRATING, translated(self._name), self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_KEY)))
                make_schema(connection)
            if sa.inspect(connection).has_table(VERSION_TABLE):
                self._step_on(connection)
            else:
                bear(connection, VERSION_TABLE, REVISIONS[-1])

    def _step_on(self, connection: sa.Connection) -> None:
        from alembic import command  # noqa: PLC0415 - 0.5 s, and a store needs it once in a version's life
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util import CommandError  # noqa: PLC0415

        config = Config()
        folder = Path(__file__).parent / "migrations"
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes.update(connection=connection, version_table=VERSION_TABLE)
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(f"{self._name} cannot be brought up to date: {error}") from error
