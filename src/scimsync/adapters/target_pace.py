"""When the next request goes: one queue for everybody who asks with one client, and a lane for what takes access.

What the limit is says `target_allowance`; it is kept here for one process, or in a `Ledger` for several.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Protocol

from msgspec import Struct, field

from scimsync.adapters.target_allowance import FASTEST, Allowance, Refusal, Terms
from scimsync.adapters.target_limits import Announced, Clock, at_clock
from scimsync.engine.urgency import is_urgent
from scimsync.errors import StoreError, StoreLocked

#: tokens a minute until a token endpoint refuses one; a process needs one for hours
LOGINS_PER_MINUTE = 60
#: a wait of more seconds is told while it lasts
TOLD_S = 10.0
#: seconds below which a wait is rounding
_EPSILON_S = 1e-6
#: for how long requests are leased at once where several processes share
LEASE_S = 1.0
#: for how long more than those that wait are leased, so that a fast target is not asked about each
_AHEAD_S = 0.25
#: a place in the queue that was missed by so much is nobody's
_MISSED_S = 1.0
#: how long a ledger that failed is left alone
_ALONE_S = 60.0
#: moments of served requests that wait to be told
_MOST_TOLD = 1000
#: how much a pace has to move to be told
_TOLD = 0.1


class Told(Struct):
    """What one process learned since it last told."""

    #: when requests were served, and how many
    served: list[tuple[float, int]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    announced: int = 0
    until: float = 0.0

    def then(self, later: Told) -> None:
        """And what was learned after it."""
        self.served += later.served
        self.refusals += later.refusals
        self.announced = later.announced or self.announced
        self.until = max(self.until, later.until)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.served or self.refusals or self.announced or self.until)

    def teach(self, allowance: Allowance, terms: Terms) -> None:
        """Let an allowance know."""
        for at, number in self.served:
            allowance.served(terms, at, number)
        if self.announced:
            allowance.announce(self.announced)
        for refusal in self.refusals:
            allowance.refuse(terms, refusal)
        if self.until:
            allowance.pause(self.until)


class Lease(Struct, frozen=True):
    """What a ledger gave: when requests may go, what is known now, and the ledger's time beside ours."""

    slots: Sequence[float]
    allowance: Allowance
    #: what to add to our monotonic clock to get the ledger's
    ahead: float


class Ledger(Protocol):
    """Where several processes keep one allowance."""

    async def settle(self, terms: Terms, told: Told, wanted: int, ahead: float | None) -> Lease | None:
        """Take in what we learned, in the ledger's time, and lease so many requests for a second.

        None where there is nothing that could be shared yet.

        Raises:
            StoreError: It cannot be used now.
        """
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class Ledgers(Struct, frozen=True):
    """Those of one client: a token endpoint has a limit of its own."""

    requests: Ledger
    logins: Ledger


class _Turn(Struct, eq=False):
    """Somebody who waits."""

    rank: tuple[bool, int]
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    served: bool = False
    gone: bool = False

    def __lt__(self, other: _Turn) -> bool:
        """Whose rank is lower goes first."""
        return self.rank < other.rank


class Pace:
    """Spreads requests evenly, first come, first served, and lets a refusal pause everybody.

    * configured N: min(N, 97 % of what the target announces);
    * configured None: 97 % of what the target announces, up or down; until it says so, what was learned of it, and
      97 % of the dialect's figure before;
    * configured 0: no pacing. A 429 still pauses all callers.

    Args:
        clock: Says when; handed in.
        configured: Requests a minute, as above.
        default: What the dialect knows; 0 for no limit.
        ledger: Where the allowance is shared with other processes; None: it is ours alone.
        notice: Told when another limit was found.
        name: Whose limit it is, for that.
    """

    def __init__(  # noqa: PLR0913 - each is handed in
        self,
        clock: Clock,
        configured: int | None,
        default: int,
        *,
        ledger: Ledger | None = None,
        notice: Callable[[str], None] = lambda _: None,
        name: str = "",
        window_s: float = 60.0,
    ) -> None:
        self._clock = clock
        self._terms = Terms(configured, default, window_s)
        self._allowance = Allowance()
        self._ledger = ledger if self._terms.paced else None
        self._notice, self._name, self._said = notice, name, 0.0
        self._ahead: float | None = 0.0 if self._ledger is None else None
        self._alone_until, self._is_alone = 0.0, False
        self._told, self._told_until = Told(), -TOLD_S
        self._settling = asyncio.Lock()
        self._slots: deque[float] = deque()
        self._turns: list[_Turn] = []
        self._order = count()
        self._is_led = False

    @property
    def paced(self) -> bool:
        """Whether requests are spread at all."""
        return not math.isinf(self.rate)

    @property
    def ceiling(self) -> float:
        """Requests a minute that configuration and target allow, whatever was refused lately."""
        return self._a_minute(self._allowance.ceiling(self._terms))

    @property
    def rate(self) -> float:
        """Requests a minute right now; infinite where nothing is paced."""
        return self._a_minute(self._allowance.level(self._terms, self._now()))

    @property
    def burst(self) -> int:
        """Requests that may go at once."""
        return self._allowance.burst(self._terms)

    @property
    def announced(self) -> int | None:
        """Requests a minute that the target last announced."""
        return self._allowance.announced or None

    @property
    def learned(self) -> tuple[int, float] | None:
        """Requests a minute that were served before more was refused, and how many seconds ago; None if none was."""
        allowance = self._allowance
        if allowance.learned < 0.0 or not allowance.borne:
            return None
        return max(1, int(self._a_minute(allowance.borne))), max(0.0, self._now() - allowance.learned)

    def _a_minute(self, level: float) -> float:
        return level * 60.0 / self._terms.window_s

    def _now(self) -> float:
        """The time of whoever keeps the allowance."""
        return self._clock.monotonic() + (self._ahead or 0.0)

    # Waiting

    async def take(self) -> float:
        """Wait for our turn; give the time on the monotonic clock. What takes access goes before what does not."""
        if not (self._terms.paced or self._turns) and self._allowance.held <= self._now():
            return self._clock.monotonic()
        turn = _Turn((not is_urgent(), next(self._order)))
        heapq.heappush(self._turns, turn)
        try:
            while not turn.served:
                if self._is_led:
                    await turn.woken.wait()
                    turn.woken.clear()
                else:
                    await self._lead(turn)
        finally:
            turn.gone = True
            self._hand_on()
        return self._clock.monotonic()

    async def _lead(self, mine: _Turn) -> None:
        """Let everybody go in turn, until it was mine; then somebody else leads."""
        self._is_led = True
        try:
            while not mine.served:
                await self._next_slot()
                self._slots.popleft()
                self._clear()
                turn = heapq.heappop(self._turns)
                turn.served = True
                turn.woken.set()
        finally:
            self._is_led = False

    def _hand_on(self) -> None:
        """Let somebody else lead where nobody does."""
        self._clear()
        if self._turns and not self._is_led:
            self._turns[0].woken.set()

    def _clear(self) -> None:
        """Let go of those in front who wait no more."""
        while self._turns and self._turns[0].gone:
            heapq.heappop(self._turns)

    async def _next_slot(self) -> None:
        """Wait until the first of the requests that we may send is due."""
        while True:
            while self._slots and self._now() - self._slots[0] > _MISSED_S:
                self._slots.popleft()
            if not self._slots:
                await self._lease()
            wait = max(self._slots[0], self._allowance.held) - self._now()
            if wait <= _EPSILON_S:
                return
            await self._clock.sleep(wait)

    async def _lease(self) -> None:
        if self._ledger is not None:
            waiting = sum(not turn.gone for turn in self._turns)
            await self._settle(max(1, waiting, int(min(self.rate, FASTEST) / 60.0 * _AHEAD_S)))
        if not self._slots:  # one at a time, so that what is learned meanwhile holds for the next
            self._slots.extend(self._allowance.grant(self._terms, self._now(), 1))

    # Learning

    def served(self) -> None:
        """A request was served."""
        at = self._now()
        self._allowance.served(self._terms, at)
        if self._terms.paced:
            self._tell(served=at)
            self._say()

    def observe(self, said: Announced) -> None:
        """Heed what an answer announced. A minute that is used up is waited out before a refusal."""
        if self._terms.paced and said.count >= said.allowed and 0 < said.reset_s <= 61:
            self.spent(said.reset_s)
        if said.allowed != self._allowance.announced:
            self._allowance.announce(said.allowed)
            if self._ledger is not None:
                self._told.announced = said.allowed

    def spent(self, seconds: float) -> None:
        """Wait out a limit of which nothing is left, before a refusal."""
        if self._terms.paced:
            self._pause(self._now() + seconds)

    async def penalise(self, wait_s: float, sent_at: float, asked_s: float | None = None) -> None:
        """Pause everybody after a refusal, and learn from it.

        Args:
            wait_s: For how long.
            sent_at: When the refused request was sent, on the monotonic clock.
            asked_s: What the target asked us to wait; None where it did not say.
        """
        now = self._now()
        refusal = Refusal(now, sent_at + (self._ahead or 0.0), now + wait_s, asked_s)
        self._allowance.refuse(self._terms, refusal)
        self._told_until = max(self._told_until, self._allowance.held)  # whoever was refused tells of it
        self._slots.clear()
        if self._ledger is not None:
            self._told.refusals.append(refusal)
            await self._settle(0)
        self._say()

    def _await(self, until: float) -> None:
        """Tell of a long wait that nobody told of."""
        wait = until - self._now()
        if wait > TOLD_S and until > self._told_until + TOLD_S:
            self._told_until = until
            at = at_clock(self._clock, wait)
            self._notice(f"{self._name} grants nothing more for now; requests wait {wait:.0f} s, until {at}")

    def _pause(self, until: float) -> None:
        self._allowance.pause(until)
        self._await(until)
        self._slots.clear()
        if self._ledger is not None:
            self._told.until = until

    def _tell(self, *, served: float) -> None:
        if self._ledger is None or self._ahead is None:
            return
        if len(self._told.served) > _MOST_TOLD:  # nobody listens
            del self._told.served[: _MOST_TOLD // 2]
        last = self._told.served[-1] if self._told.served else (-1.0, 0)
        if served - last[0] < self._terms.window_s / 240:
            self._told.served[-1] = (last[0], last[1] + 1)
        else:
            self._told.served.append((served, 1))

    def _say(self) -> None:
        """Tell of another limit than was told of last."""
        allowance = self._allowance
        if allowance.learned < 0.0 or allowance.rising:
            return
        if abs(allowance.borne - self._said) > _TOLD * self._said:
            self._said = allowance.borne
            if allowance.borne < 0.99 * allowance.ceiling(self._terms):
                self._notice(
                    f"{self._name} serves about {self._a_minute(allowance.borne):,.0f} requests a minute, "
                    "learned from what it refused; going on at that pace"
                )

    # Sharing

    async def _settle(self, wanted: int) -> None:
        """Take to the ledger what we learned, and bring back what others did, with leave for requests."""
        if self._ledger is None or self._clock.monotonic() < self._alone_until:
            return
        async with self._settling:
            told, self._told = self._told, Told()
            try:
                lease = await self._ledger.settle(self._terms, told, wanted, self._ahead)
            except StoreError as error:
                is_busy = isinstance(error, StoreLocked)
                self._alone_until = self._clock.monotonic() + (LEASE_S if is_busy else _ALONE_S)
                told.then(self._told)
                self._told = told
                if not (is_busy or self._is_alone):
                    self._is_alone = True
                    self._notice(f"the pace of requests is not shared with other processes: {error}")
                return
            if lease is None:
                self._alone_until = self._clock.monotonic() + LEASE_S
                return
            self._allowance, self._ahead = lease.allowance, lease.ahead
            self._await(lease.allowance.held)
            self._told.teach(self._allowance, self._terms)  # what came while we asked
            if not (self._told.refusals or self._told.until):
                self._slots.extend(lease.slots)

    async def close(self) -> None:
        """Keep what was learned, and let go of the ledger."""
        if self._ledger is not None:
            if not self._told.is_empty:
                await self._settle(0)
            with suppress(StoreError):
                await self._ledger.close()
