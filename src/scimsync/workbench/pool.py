"""A few connections to one file of SQLite, shared by many threads: each page takes one, and gives it back."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: kilobytes of the file that one connection keeps in memory
_CACHE_KB = 4000


class Pool:
    """The connections to a file; as many as there ever were questions at a time.

    Args:
        file: The file; made where there is none.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._free: list[sqlite3.Connection] = []
        self._is_closed = False
        # it holds what people's values are, and may be large: nobody asks it, so it is not there
        weakref.finalize(self, _remove, file)

    @contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """One that nobody else has meanwhile: the one that was used last, whose pages are in memory."""
        with self._lock:
            found = self._free.pop() if self._free else None
        if found is None:
            found = sqlite3.connect(self._file, check_same_thread=False, timeout=30)
            found.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        try:
            yield found
        finally:
            with self._lock:
                if not self._is_closed:
                    self._free.append(found)
                    found = None
            if found is not None:
                found.close()

    def close(self) -> None:
        """Close those that are free; the others close when they come back."""
        with self._lock:
            self._is_closed = True
            for connection in self._free:
                with suppress(sqlite3.Error):
                    connection.close()
            self._free.clear()


def _remove(file: Path) -> None:
    for beside in ("", "-journal", "-wal", "-shm"):
        file.with_name(file.name + beside).unlink(missing_ok=True)
