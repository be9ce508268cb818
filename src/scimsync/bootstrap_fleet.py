"""The wiring of a fleet's workers: the durable queue, and what they share. Loads DBOS, an extra."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scimsync.adapters.store_fleet import Board, Known, Noted
from scimsync.config import Fleet
from scimsync.errors import ConfigError

__all__ = ["Board", "Known", "Noted", "ask", "make_board", "make_queue"]

_MISSING = "workers need DBOS and PostgreSQL's driver: pip install 'scimsync[fleet]'"


def make_board(fleet: Fleet) -> Board:
    """What workers share beside the queue.

    Raises:
        ConfigError: The fleet file names no database, or one that is no PostgreSQL.
        StoreError: It cannot be used.
    """
    if fleet.unset:
        raise ConfigError(fleet.unset)
    if not fleet.url:
        raise ConfigError(
            f"{fleet.file.name}: [fleet] url is missing: workers share their work through a PostgreSQL database. For "
            "one machine no workers are needed: scimsync fleet sync"
        )
    return Board(fleet.url, fleet.db_schema)


def make_queue(fleet: Fleet, worker: str, version: str, slots: int, carry: Callable[..., Mapping[str, Any]]) -> Any:  # noqa: ANN401 - DBOS is an extra
    """The durable queue of this process.

    Raises:
        ConfigError: DBOS is not installed.
    """
    try:
        from scimsync.adapters.fleet_dbos import Durable  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigError(_MISSING) from error
    return Durable(fleet.url, fleet.db_schema, worker, version, slots, carry)


def ask(fleet: Fleet, version: str, legs: Sequence[tuple[str, str]], priority: int) -> None:
    """Put runs into the queue from a process that is no worker.

    Raises:
        ConfigError: DBOS is not installed.
        StoreError: The database cannot be used, or no worker ever was there.
    """
    try:
        from scimsync.adapters import fleet_dbos  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigError(_MISSING) from error
    fleet_dbos.ask(fleet.url, fleet.db_schema, version, legs, priority)
