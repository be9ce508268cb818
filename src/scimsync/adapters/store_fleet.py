"""What the workers of a fleet share beside their queue: who lives, and what came of each organisation. PostgreSQL only.

All times are those of the database server, so that the clocks of machines do not matter.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects import postgresql

from scimsync.adapters.store_engine import MIGRATION_KEY, make_schema, open_postgres, parse_url, shown_name, translated
from scimsync.errors import ConfigError

_TABLES = sa.MetaData()
_MOMENT = sa.DateTime(timezone=True)
WORKER = sa.Table(
    "worker",
    _TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("begun", _MOMENT, nullable=False),
    sa.Column("seen", _MOMENT, nullable=False),
    sa.Column("adopted", _MOMENT),
)
ORGANISATION = sa.Table(
    "organisation",
    _TABLES,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("goes_on", sa.Boolean, nullable=False),
    sa.Column("line", sa.JSON, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("at", _MOMENT, nullable=False),
)
_NOW = sa.func.clock_timestamp()


class Noted(Struct, frozen=True, kw_only=True):
    """What was last noted of an organisation."""

    name: str
    #: what its run was asked for by
    cause: str
    #: whether that run goes on
    goes_on: bool
    line: Mapping[str, Any]
    worker: str
    at: datetime


class Known(Struct, frozen=True, kw_only=True):
    """One worker."""

    name: str
    version: str
    #: host and process
    place: str
    #: seconds since it was last heard
    silent_s: float
    #: whether others have taken its work
    is_adopted: bool


class Board:
    """Fits `services.workers.Board`.

    Args:
        url: A PostgreSQL database.
        schema: Where in it; made where there is none.

    Raises:
        ConfigError: It is no PostgreSQL.
        StoreError: It cannot be used.
    """

    def __init__(self, url: str, schema: str) -> None:
        parsed = parse_url(url)
        if parsed.get_backend_name() == "sqlite":
            raise ConfigError("[fleet] url: workers share their work through PostgreSQL; write postgresql://...")
        parsed = parsed.update_query_dict({"options": f'-csearch_path="{schema}"'})
        self._name = shown_name(parsed)
        self._engine = open_postgres(parsed, 30.0)
        with translated(self._name), self._engine.begin() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_KEY)))
            make_schema(connection)
            _TABLES.create_all(connection)

    def skew_s(self) -> float:
        """By how many seconds the clock of this machine is ahead of that of the database."""
        with translated(self._name), self._engine.connect() as connection:
            there: datetime = connection.execute(sa.select(_NOW)).scalar_one()
        return (datetime.now(UTC) - there).total_seconds()

    def enter(self, name: str, version: str) -> None:
        """A worker begins."""
        place = f"process {os.getpid()} on {socket.gethostname()}"
        with translated(self._name), self._engine.begin() as connection:
            connection.execute(sa.insert(WORKER).values(name=name, version=version, place=place, begun=_NOW, seen=_NOW))

    def lives(self, name: str) -> bool:
        """A worker says that it lives; False where others took it for dead, and took its work."""
        mine = sa.update(WORKER).where(WORKER.c.name == name, WORKER.c.adopted.is_(None)).values(seen=_NOW)
        with translated(self._name), self._engine.begin() as connection:
            return connection.execute(mine).rowcount == 1

    def leave(self, name: str) -> None:
        """A worker ends; whatever it leaves may be taken at once."""
        long_ago = _NOW - timedelta(days=1)
        with translated(self._name), self._engine.begin() as connection:
            connection.execute(sa.update(WORKER).where(WORKER.c.name == name).values(seen=long_ago))

    def adopt(self, silent_s: float) -> Sequence[str]:
        """Take over from those who were silent for so long: each is given to one worker alone.

        Those who were taken over a week ago are forgotten.
        """
        silent = WORKER.c.seen < _NOW - timedelta(seconds=silent_s)
        dead = sa.update(WORKER).where(WORKER.c.adopted.is_(None), silent).values(adopted=_NOW)
        old = sa.delete(WORKER).where(WORKER.c.adopted < _NOW - timedelta(days=7))
        with translated(self._name), self._engine.begin() as connection:
            found = connection.execute(dead.returning(WORKER.c.name)).scalars().all()
            connection.execute(old)
        return found

    def workers(self) -> Sequence[Known]:
        """Everybody who was seen in the last week."""
        silent = sa.extract("epoch", _NOW - WORKER.c.seen)
        asked = sa.select(WORKER, silent.label("silent")).order_by(WORKER.c.begun)
        with translated(self._name), self._engine.connect() as connection:
            return [
                Known(
                    name=row["name"],
                    version=row["version"],
                    place=row["place"],
                    silent_s=float(row["silent"]),
                    is_adopted=row["adopted"] is not None,
                )
                for row in connection.execute(asked).mappings()
            ]

    def note(self, name: str, cause: str, line: Mapping[str, Any], worker: str, *, goes_on: bool) -> None:
        """Remember what came of an organisation."""
        row = {"cause": cause, "line": dict(line), "worker": worker, "goes_on": goes_on, "at": _NOW}
        made = postgresql.insert(ORGANISATION).values(name=name, **row)
        with translated(self._name), self._engine.begin() as connection:
            connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=row))

    def noted(self) -> Mapping[str, Noted]:
        """What was last noted of each organisation."""
        with translated(self._name), self._engine.connect() as connection:
            rows = connection.execute(sa.select(ORGANISATION)).mappings().all()
        return {row["name"]: Noted(**row) for row in rows}

    def close(self) -> None:
        """Let go of connections."""
        self._engine.dispose()
