"""One row for each client of a target, changed by one process at a time: what is known of its limit.

The row is opaque here. It is no part of what a run rests on: it has a connection of its own, does not wait for the
disk, and where it cannot be used every process goes on with what it knows itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from scimsync.adapters.store_connections import WallClock
from scimsync.adapters.store_engine import open_postgres, open_sqlite, parse_url, shown_name, translated
from scimsync.adapters.store_tables import ALLOWANCE

#: whether the table is there; asking SQLAlchemy loads much more
_LOOK = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE name = 'allowance'",
    "postgresql": "SELECT to_regclass('allowance') IS NOT NULL",
}
#: how long somebody else's lock is waited for
_PATIENCE_S = 5.0


class Allowances:
    """What is known of limits, in the state. May be used from several threads.

    Args:
        url: Of the state.
        clock: Says when, for a state on this machine; a database server has a clock of its own, alike for everybody.
    """

    def __init__(self, url: str, clock: WallClock) -> None:
        self._url = parse_url(url)
        self._clock = clock
        self._engine: sa.Engine | None = None
        self._opening = threading.Lock()
        self._process = os.getpid()

    def change(self, client: str, target: str, turn: Callable[[str, float], str]) -> bool:
        """Change what is known of a client, alone.

        Args:
            client: Whose limit it is.
            target: What its target is called.
            turn: Takes what is known ("" for nothing) and the time, and gives what is known then.

        Returns:
            Whether it was; there may be no state yet, or one of an older version.

        Raises:
            StoreError: The state cannot be used now.
        """
        with translated(shown_name(self._url)):
            with self._opening:
                engine = self._opened()
            if engine is None:
                return False
            with engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                    self._make(connection, client, target)
                row = connection.execute(
                    sa.select(ALLOWANCE.c.known).where(ALLOWANCE.c.client == client).with_for_update()
                ).one_or_none()
                now = self._now(connection)
                known = turn(row.known if row is not None else "", now)
                values = {"known": known, "changed": datetime.fromtimestamp(now, UTC)}
                if row is None:
                    connection.execute(sa.insert(ALLOWANCE).values(client=client, target=target, **values))
                else:
                    connection.execute(sa.update(ALLOWANCE).where(ALLOWANCE.c.client == client).values(**values))
        return True

    def _make(self, connection: sa.Connection, client: str, target: str) -> None:
        """A row that can be locked, whoever else makes it at the same time."""
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 30 ms that SQLite need not pay

        new = {"client": client, "target": target, "known": "", "changed": datetime.fromtimestamp(0, UTC)}
        connection.execute(postgresql.insert(ALLOWANCE).values(**new).on_conflict_do_nothing())

    def _now(self, connection: sa.Connection) -> float:
        if connection.dialect.name != "postgresql":
            return self._clock.now().timestamp()
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())

    def _opened(self) -> sa.Engine | None:
        """The state, where there is one that has the table."""
        if self._engine is not None and self._process == os.getpid():
            return self._engine
        is_file = self._url.get_backend_name() == "sqlite"
        if is_file and not Path(str(self._url.database)).is_file():
            return None
        engine = open_sqlite(self._url, _PATIENCE_S) if is_file else open_postgres(self._url, _PATIENCE_S)
        if is_file:
            sa.event.listen(engine, "connect", _hurry)
        with engine.execution_options(scimsync_reading=True).connect() as connection:
            is_there = connection.exec_driver_sql(_LOOK[engine.dialect.name]).scalar()
        if not is_there:
            engine.dispose()
            return None
        self._engine, self._process = engine, os.getpid()
        return engine

    def close(self) -> None:
        """Let go of the state."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _hurry(connection: object, record: object) -> None:  # noqa: ARG001
    """Wait for no disk: what is lost with the power is a second of what was learned."""
    connection.execute("PRAGMA synchronous=normal")  # type: ignore[attr-defined]
