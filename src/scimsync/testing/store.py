"""The Store port in memory."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scimsync.errors import StoreError, StoreLocked
from scimsync.testing.store_artifacts import MemoryBindings
from scimsync.testing.store_deciding import MemoryDeciding
from scimsync.testing.store_outbox import MemoryOutbox
from scimsync.testing.store_people import MemoryPeople
from scimsync.testing.store_runs import MemoryRuns
from scimsync.testing.store_schedules import MemorySchedules
from scimsync.testing.store_visitors import MemoryVisitors


class MemoryStore(
    MemoryRuns, MemoryPeople, MemoryDeciding, MemoryOutbox, MemorySchedules, MemoryBindings, MemoryVisitors
):
    """The state of one process, gone when it ends. May be used from several threads.

    Args:
        artifacts: the folder of the artifacts; a temporary one, removed with the store, where none is given.
    """

    def __init__(self, artifacts: Path | None = None) -> None:
        super().__init__()
        self._owner = ""
        self._artifacts = artifacts or Path(tempfile.mkdtemp(prefix="scimsync-"))
        if artifacts is None:
            weakref.finalize(self, shutil.rmtree, self._artifacts, ignore_errors=True)
        if not self._artifacts.exists():
            self._artifacts.mkdir(parents=True)
            self._artifacts.chmod(0o700)

    @contextmanager
    def lease(self, owner: str, bears_s: int | None = None) -> Iterator[None]:  # noqa: ARG002 - nobody is silent here
        """Hold the right to write to the target.

        Raises:
            StoreLocked: Somebody holds it.
        """
        with self._lock:
            if self._owner:
                raise StoreLocked(f"{self._owner} is at work. Wait until it ends; then start again.")
            self._owner = owner or "scimsync"
        try:
            yield
        finally:
            self._owner = ""

    def artifact(self, name: str) -> Path:
        """Where an artifact of that name is or shall be; the folder exists with mode 0700.

        Raises:
            StoreError: The name is not one of messages, digits, dot, line and underline.
        """
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or name in {".", ".."}:
            raise StoreError(f"{name!r} cannot name an artifact; use messages, digits, '.', '-' and '_'.")
        return self._artifacts / name

    def size(self) -> int:
        """Nothing: it is in memory."""
        return 0

    def close(self) -> None:
        """Do nothing: there is nothing to let go of, and what was kept can still be read."""
