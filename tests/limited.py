"""A limit of so many requests a minute, in each of the ways in which services count them."""

from __future__ import annotations

import math
from collections import deque

WINDOW = 60.0
KINDS = ("first", "clock", "sliding", "bucket")


class Counted:
    """Counts in one of the ways. `limit` may be changed at any time.

    Args:
        kind: `first`: a minute begins with the first request after the last one; `clock`: with the minute; `sliding`:
            the last 60 seconds; `bucket`: one that fills evenly and holds ten seconds' worth.
        limit: Requests a minute.
    """

    def __init__(self, kind: str, limit: int) -> None:
        self.kind, self.limit = kind, limit
        self._started, self._count = -math.inf, 0
        self._log: deque[float] = deque()
        self._held, self._at = limit / 6, 0.0

    def ask(self, now: float) -> float:
        """0 for a request that is served, or the seconds until one will be."""
        return {"first": self._window, "clock": self._window, "sliding": self._last, "bucket": self._bucket}[self.kind](
            now
        )

    def _window(self, now: float) -> float:
        if now - self._started >= WINDOW:
            self._started = now if self.kind == "first" else now // WINDOW * WINDOW
            self._count = 0
        if self._count >= self.limit:
            return self._started + WINDOW - now
        self._count += 1
        return 0.0

    def _last(self, now: float) -> float:
        while self._log and self._log[0] <= now - WINDOW:
            self._log.popleft()
        if len(self._log) >= self.limit:
            return self._log[len(self._log) - self.limit] + WINDOW - now
        self._log.append(now)
        return 0.0

    def _bucket(self, now: float) -> float:
        self._held = min(self.limit / 6, self._held + (now - self._at) * self.limit / WINDOW)
        self._at = now
        if self._held < 1.0:
            return (1.0 - self._held) * WINDOW / self.limit
        self._held -= 1.0
        return 0.0
