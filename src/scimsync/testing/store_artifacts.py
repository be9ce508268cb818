"""The digests of the files beside the store, in memory."""

from __future__ import annotations

from collections.abc import Collection

from scimsync.model.outcomes import Bound
from scimsync.testing.store_memory import Memory


class MemoryBindings(Memory):
    """What each file was when it was written."""

    def __init__(self) -> None:
        super().__init__()
        self._bound: dict[str, Bound] = {}

    def bind(self, name: str, bound: Bound) -> None:
        """Remember what a file is, in place of what was remembered under its name."""
        self._bound[name] = bound

    def bound(self, name: str) -> Bound | None:
        """What a file was when it was written; None where that is not known."""
        return self._bound.get(name)

    def unbind(self, names: Collection[str]) -> None:
        """Forget what files were that are no longer kept."""
        for name in names:
            self._bound.pop(name, None)
