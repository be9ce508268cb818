"""How many pages may be told of work as it goes on."""

from __future__ import annotations

from collections import Counter


class Watching:
    """How many pages are told of work as it goes on: each costs a look several times a second.

    Asked in the event loop of the service alone.
    """

    def __init__(self, most: int = 60, each: int = 8) -> None:
        self._most, self._each = most, each
        self._by = Counter[str]()

    def enter(self, who: str) -> bool:
        """Let a page of somebody in; False where they, or all together, have enough."""
        if self._by.total() >= self._most or self._by[who] >= self._each:
            return False
        self._by[who] += 1
        return True

    def leave(self, who: str) -> None:
        """A page was closed, or the work came to its end."""
        self._by[who] -= 1
        if not self._by[who]:
            del self._by[who]
