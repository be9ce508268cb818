"""What keeps us from asking too much: waiting, retry budget, breaker; the pace is `target_pace`. No HTTP in here.

Time comes from a clock, chance from a generator handed in, so that all of it plays on a virtual
clock. The figures and where they come from stand in docs (reliability, "retry, limiter, breaker").
"""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Protocol

from msgspec import Struct

from scimsync.errors import TargetUnavailable

#: a wait the target asks for beyond this is handed back instead of slept (Genesys' own CLI does so)
LONGEST_WAIT_S = 180.0
#: longest wait that we choose ourselves
LONGEST_BACKOFF_S = 60.0
#: what a `Retry-After` may ask at most before it is nonsense
_YEAR_S = 366 * 86400.0
_ISO = re.compile(r"\d{4}-\d\d-\d\dT")
#: seconds below which a wait is rounding
_EPSILON_S = 1e-6


class Clock(Protocol):
    """The part of `scimsync.engine.ports.Clock` that limits need."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


def retry_after(values: Sequence[str], now: datetime) -> float | None:
    """Read `Retry-After` (RFC 9110 §10.2.3): whole seconds, or a date.

    Args:
        values: every `Retry-After` header of the answer; more than one is no answer.
        now: the wall clock that a date is measured against, aware.

    Returns:
        Seconds to wait, or None where the header is missing, unreadable, negative, in the past, or
        further away than a year. None means: use your own backoff.

    Examples:
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> retry_after(["7"], noon), retry_after(["Thu, 01 Jan 2026 12:00:30 GMT"], noon)
        (7.0, 30.0)
        >>> [retry_after([text], noon) for text in ("soon", "-5", "1e9", "1.5", "٣", "")]
        [None, None, None, None, None, None]
    """
    if len(values) != 1:
        return None
    text = values[0].strip(" \t")
    if text.isascii() and text.isdigit():
        seconds = float(text) if len(text) <= 12 else math.inf
    else:
        seconds = _seconds_until(text, now)
    return seconds if 0 <= seconds <= _YEAR_S else None


def _seconds_until(text: str, now: datetime) -> float:
    """Seconds until an HTTP date, or one of ISO 8601 (observed: Zoom); negative where there is nothing to wait for."""
    try:
        date = datetime.fromisoformat(text) if _ISO.match(text) else parsedate_to_datetime(text)
        # "-0000" gives a naive time by RFC 5322 §3.3; HTTP dates are UTC (RFC 9110 §5.6.7)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return ((date - now).total_seconds()) or -1.0
    except (ValueError, TypeError, IndexError, OverflowError):
        return -1.0


def at_clock(clock: Clock, seconds: float) -> str:
    """The time of day here after so many seconds, for messages about waiting."""
    return f"{(clock.now() + timedelta(seconds=seconds)).astimezone():%H:%M:%S}"


class Backoff(Struct, frozen=True):
    """How long to wait before the next try: full jitter, so that a crowd does not return at once."""

    rng: random.Random

    def delay(self, attempt: int, base: float = 0.25) -> float:
        """Our own wait after try number `attempt` (1, 2, ...) that failed."""
        return self.rng.random() * min(LONGEST_BACKOFF_S, base * 2.0 ** (attempt - 1))

    def throttled(self, asked: float | None, attempt: int) -> float:
        """The wait after a 429. What the target asks is a minimum; refused again means wait longer.

        Observed (field reports): the first call right after the asked time was refused again.
        """
        if asked is None:
            return max(0.1, self.delay(attempt, 1.0))
        longer = 0.0 if attempt <= 1 else min(LONGEST_BACKOFF_S, 2.0 ** (attempt - 2))
        return asked + max(0.1, asked * 0.1 * self.rng.random()) + longer


class Announced(Struct, frozen=True):
    """What the target says about its limit in one answer."""

    allowed: int
    count: int = 0
    reset_s: float = 0.0


def announced(headers: Mapping[str, str]) -> Announced | None:
    """Read `inin-ratelimit-allowed`, `-count` and `-reset` (documented: seconds left of the minute)."""
    allowed = _whole(headers.get("inin-ratelimit-allowed"))
    if not allowed:
        return None
    return Announced(
        allowed,
        _whole(headers.get("inin-ratelimit-count")) or 0,
        float(_whole(headers.get("inin-ratelimit-reset")) or 0),
    )


def _whole(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 7 else None


class RetryBudget:
    """How much trying again the whole run may do; a success pays back what its tries cost.

    The figures are botocore's: 500 tokens, 14 for a failure, 5 for a refusal to be served now.
    """

    CAPACITY = 500
    TRANSIENT = 14
    THROTTLED = 5

    def __init__(self) -> None:
        self.left = self.CAPACITY

    def spend(self, cost: int) -> bool:
        """Whether one more try is allowed; takes its cost."""
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def give_back(self, cost: int) -> None:
        """A request succeeded after tries that cost so much; one that needed none gives back 1."""
        self.left = min(self.CAPACITY, self.left + max(cost, 1))


class Health(Enum):
    """What one exchange says about the target, as the breaker counts it."""

    GOOD = "good"
    BAD = "bad"  #: 5xx, lost, slower than 30 s
    UNREACHABLE = "unreachable"  #: not even a connection


class Breaker:
    """Stops everybody while the target is down, and looks after it with one GET at a time.

    Closed -> open when 10 of the last 20 exchanges went bad, or 10 connections in a row failed.
    Open for 30 s, then one caller probes while the others wait; each failed probe doubles the time,
    up to 10 minutes. A caller for whom no further probe falls within its patience is sent away.
    """

    WINDOW = 20
    BAD_SHARE = 0.5
    REFUSALS = 10
    OPEN_S = 30.0
    LONGEST_OPEN_S = 600.0
    SLOW_S = 30.0

    def __init__(
        self,
        clock: Clock,
        probe: Callable[[], Awaitable[bool]],
        notice: Callable[[str], None],
        *,
        name: str,
        patience_s: float = 120.0,
    ) -> None:
        self._clock = clock
        self._probe = probe
        self._notice = notice
        self._name = name
        self._patience_s = patience_s
        self._bad: deque[bool] = deque(maxlen=self.WINDOW)
        self._refusals = 0
        self._why = ""
        self._open_s = self.OPEN_S
        self._since = 0.0
        self._until: float | None = None
        self._probed: asyncio.Event | None = None

    @property
    def is_open(self) -> bool:
        """Whether callers have to wait."""
        return self._until is not None

    def record(self, health: Health, why: str = "") -> None:
        """Count one exchange. What was still on its way when the breaker opened does not count."""
        if self.is_open:
            return
        self._bad.append(health is not Health.GOOD)
        self._refusals = self._refusals + 1 if health is Health.UNREACHABLE else 0
        if health is Health.GOOD:
            return
        self._why = why
        if self._refusals >= self.REFUSALS or sum(self._bad) >= self.WINDOW * self.BAD_SHARE:
            self.trip(why)

    def trip(self, why: str) -> None:
        """Let all callers wait from now on, where they do not yet."""
        if self.is_open:
            return
        self._why, self._since = why, self._clock.monotonic()
        self._until = self._since + self._open_s
        self._notice(
            f"{self._name} fails again and again (last: {why}); all requests wait, next look in {self._open_s:.0f} s, "
            f"at {at_clock(self._clock, self._open_s)}"
        )

    async def admit(self) -> None:
        """Return at once while closed; while open wait for a probe that succeeds.

        Raises:
            TargetUnavailable: It stays open longer than a caller waits.
        """
        deadline = self._clock.monotonic() + self._patience_s
        while self._until is not None:
            if self._probed is not None:
                await self._probed.wait()
            elif (wait := self._until - self._clock.monotonic()) <= _EPSILON_S:
                await self._look()
            elif self._until > deadline:
                raise TargetUnavailable(self._farewell())
            else:
                await self._clock.sleep(wait)

    def _farewell(self) -> str:
        down = self._clock.monotonic() - self._since
        return (
            f"{self._name} has not served us for {down:.0f} s (last: {self._why}). Nothing more was sent. "
            "Look at the provider's status page and the network, then start the same command again: "
            "it goes on where it stopped."
        )

    async def _look(self) -> None:
        """The one probe of this open period."""
        self._probed = asyncio.Event()
        try:
            healthy = await self._probe()
        except BaseException:
            self._reopen()
            raise
        else:
            if healthy:
                self._close()
            else:
                self._reopen()
        finally:
            self._probed.set()
            self._probed = None

    def _reopen(self) -> None:
        self._open_s = min(self.LONGEST_OPEN_S, self._open_s * 2)
        self._until = self._clock.monotonic() + self._open_s
        self._notice(
            f"{self._name} still fails; next look in {self._open_s:.0f} s, at {at_clock(self._clock, self._open_s)}"
        )

    def _close(self) -> None:
        self._until, self._open_s, self._refusals = None, self.OPEN_S, 0
        self._bad.clear()
        self._notice(f"{self._name} serves again after {self._clock.monotonic() - self._since:.0f} s; going on")
