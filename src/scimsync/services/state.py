"""Open the state, and hold the right to write to the target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from scimsync.bootstrap import open_store, owner
from scimsync.config import Settings
from scimsync.engine.ports import Store
from scimsync.engine.state import Lease

__all__ = ["Store", "held", "lease", "open_store"]


@contextmanager
def held(settings: Settings, bears_s: int | None = None) -> Iterator[Store]:
    """The state under the lease; others may take it after so many seconds of our silence, if any.

    Raises:
        StoreLocked: Somebody else is at work.
    """
    with open_store(settings) as store, store.lease(owner(), bears_s):
        yield store


def lease(store: Lease) -> AbstractContextManager[None]:
    """The right to write, held in the name of this process.

    Raises:
        StoreLocked: Somebody else is at work.
    """
    return store.lease(owner())
