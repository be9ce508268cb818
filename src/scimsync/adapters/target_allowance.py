"""What is known of one client's limit, and what of it is spoken for: pure rules on a small state, no clock, no HTTP.

Nobody says how a limit counts: in minutes that begin with the first request or on the clock, over the last sixty
seconds, or as a bucket that fills. Requests that are spread evenly, a little below what was last served in a window,
are within all of them. So that is what is kept to, and the figure is found like this:

* A refusal tells how many were served. `Retry-After` says when the window ends, so it says when it began, and the
  requests since then that were served are the limit: of a window of either kind, to a second's worth of them.
* Where nobody announced or configured a limit, what was not refused for a window is tried with a quarter more. If that
  is borne for longer than the old limit would have, the old one is gone, and the pace doubles what is borne until it
  is refused again: from 120 to 600 in less than two windows.
* What looking upwards may cost is a budget: 0.7 % of what is served.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from msgspec import Struct

#: share of an announced limit that is used; the rest is for whoever else uses the client, and for clocks
SHARE = 0.97
#: requests that need not be spread: these, or what a minute leaves over, up to those of a short run
BURST, LONGEST_BURST = 5, 10
#: the same once a limit was met
_MET_BURST = 2
#: what is left of the pace after a refusal that does not tell what was served, and the least after one that does
CUT, DEEPEST_CUT = 0.7, 0.5
#: a refusal this soon after the last one cuts by so much at least
_AGAIN = 0.98
#: a refused client never goes below this many a minute
SLOWEST = 6.0
#: nobody is asked more than this a minute unasked
FASTEST = 6000.0
#: refusals that looking upwards may cost, as a share of what is served; how many are saved up, and owed, at most
BUDGET, SAVED, OWED = 0.007, 3.0, 8.0
#: how much more than the last limit is tried, what proves that it is gone, and how fast what is borne then grows
_TRIED, _PROVEN, _GROWTH = 1.25, 1.12, 2.0
#: nothing that was ever said may be further away
LONGEST_S = 600.0
#: share of what is borne that has to be used before more is tried
_USED = 0.8
#: how long what was learned is believed
BELIEVED_S = 7 * 86400.0
#: parts of a window in which requests are counted
_PARTS = 120
_NEVER, _LONG_AGO = -1.0, -1e9


class Terms(Struct, frozen=True):
    """What configuration and dialect say of a limit, in requests a minute."""

    #: what was configured; 0: no pacing; None: what the target grants
    configured: int | None
    #: what the dialect knows; 0: no limit
    default: int
    #: the seconds for which the target counts
    window_s: float = 60.0

    def of_window(self, a_minute: float) -> float:
        """So many of a minute in one window."""
        return a_minute * self.window_s / 60.0

    @property
    def paced(self) -> bool:
        """Whether anything is spread and learned."""
        return self.configured != 0


class Refusal(Struct, frozen=True):
    """One request that was not served because there were too many."""

    at: float
    #: when it was sent
    sent_at: float
    #: until when nobody asks
    until: float
    #: what the target itself asked to wait
    asked_s: float | None = None


class Allowance(msgspec.Struct):
    """The limit of one client. Times are seconds on one clock of whoever keeps it, and never below 0."""

    #: when the next request may go, and before when none may
    next: float = _LONG_AGO
    held: float = _LONG_AGO
    #: requests a minute that the target announces; 0 for none
    announced: int = 0
    #: requests a window that are known to be borne; 0 where nothing was learned
    borne: float = 0.0
    #: when that was last seen, and when a refusal last said so
    seen: float = _NEVER
    learned: float = _NEVER
    #: requests sent before this tell nothing new by being refused
    cut: float = _NEVER
    #: refusals of the last storm, and what looking upwards may cost now
    storm: int = 0
    saved: float = 1.0
    #: refusals in a row that did not say how long to wait
    blind: int = 0
    #: whether the last limit is gone, and the next was not met yet
    rising: bool = False
    #: before this nothing more is tried
    calm: float = _NEVER
    #: since when requests are counted without a gap
    since: float = _NEVER
    #: requests that were served: number of the part of a window, count
    counts: list[tuple[int, int]] = []

    def ceiling(self, terms: Terms) -> float:
        """Requests a window that configuration and target allow, whatever was refused lately."""
        if not terms.paced:
            return math.inf
        if self.announced:
            return max(1.0, terms.of_window(min(terms.configured or math.inf, SHARE * self.announced)))
        if terms.configured is None and not terms.default:
            return math.inf
        return terms.of_window(terms.configured or FASTEST)

    def begun(self, terms: Terms) -> float:
        """Requests a window to begin with."""
        if self.announced or terms.configured or not terms.default:
            return self.ceiling(terms)
        return max(1.0, terms.of_window(SHARE * terms.default))

    def level(self, terms: Terms, now: float) -> float:
        """Requests a window right now; infinite where nothing is paced."""
        ceiling, borne = self.ceiling(terms), self.borne or self.begun(terms)
        if borne >= ceiling or not self._tries(terms, now):
            return min(borne, ceiling)
        more = _GROWTH * self._served(terms, now - terms.window_s) if self.rising else 0.0
        return min(ceiling, max(_TRIED * borne, more))

    def _tries(self, terms: Terms, now: float) -> bool:
        """Whether more than what is known to be borne is tried: all of it was used for a while, and more may cost."""
        if not 0.0 <= self.calm <= now or self.saved < min(SAVED, max(1, self.storm)):
            return False
        return self._served(terms, now - terms.window_s) >= _USED * (self.borne or self.begun(terms))

    def burst(self, terms: Terms) -> int:
        """Requests that may go at once: with those of the next window they are not more than the target grants."""
        if self.learned >= 0.0:
            return _MET_BURST
        if not terms.paced:
            return BURST
        granted = self.announced or terms.default
        left = granted - SHARE * granted if terms.configured is None else float(BURST)
        if self.announced:
            left = min(left, self.announced - self.ceiling(terms) * 60.0 / terms.window_s)
        return max(1 if self.announced else BURST, min(LONGEST_BURST, int(left)))

    def grant(self, terms: Terms, now: float, wanted: int, within_s: float = 0.0) -> Sequence[float]:
        """When the next requests may go: one at least, and of those wanted what falls within so many seconds."""
        level = self.level(terms, now)
        spacing = terms.window_s / level  # 0.0 where nothing is paced
        if self.calm < 0.0:
            self.calm = now + terms.window_s
        if self.since < 0.0:
            self.since = now
        first = max(self.next, now - (self.burst(terms) - 1) * spacing, self.held)
        if self.blind:  # one looks whether the window has ended
            spacing, wanted = max(spacing, terms.window_s / 60), min(wanted, 1)
        most = min(wanted, max(1, int((now + within_s - first) / spacing) + 1)) if spacing else wanted
        self.next = first + most * spacing
        return [max(now, first + n * spacing) for n in range(most)]

    def served(self, terms: Terms, at: float, count: int = 1) -> None:
        """So many requests were served then."""
        self.blind = 0
        if not terms.paced:
            return
        part = int(at / terms.window_s * _PARTS)
        if self.counts and self.counts[-1][0] >= part:
            last, before = self.counts[-1]
            self.counts[-1] = (last, before + count)
        else:
            self.counts.append((part, count))
            oldest = part - 2 * _PARTS
            while self.counts[0][0] < oldest:
                del self.counts[0]
        self.saved = min(SAVED, self.saved + BUDGET * count)
        if self._tries(terms, at):
            known = self.borne or self.begun(terms)
            found = min(self._served(terms, at - terms.window_s), self.ceiling(terms))
            if found > (1.0 if self.rising else _PROVEN) * known:
                self.borne, self.seen, self.rising = found, at, True

    def _served(self, terms: Terms, since: float) -> float:
        first = since / terms.window_s * _PARTS
        return float(sum(count for part, count in self.counts if part >= first))

    def announce(self, allowed: int) -> None:
        """The target says what it grants a minute."""
        self.announced = allowed

    def pause(self, until: float) -> None:
        """Nobody asks before then, and nobody saves up for then."""
        self.held = max(self.held, until)
        self.next = max(self.next, self.held)

    def refuse(self, terms: Terms, refusal: Refusal) -> None:
        """Heed a refusal: pause everybody, and fall to what was served, once for all requests on their way then."""
        is_again = refusal.asked_s is None and self.blind > 0
        if terms.paced and refusal.sent_at > self.cut and not is_again:
            self._fall(terms, refusal)
        else:
            self.storm += 1
        self.saved = max(-OWED, self.saved - 1.0)
        if refusal.asked_s is None:
            self._grope(terms, refusal)
        self.pause(refusal.until)
        self.calm = max(self.calm, self.held + terms.window_s)

    def _grope(self, terms: Terms, refusal: Refusal) -> None:
        """Wait for a window that ends nobody knows when: longer each time, while nothing is served."""
        if refusal.sent_at >= self.held:  # none of those that were on their way
            self.blind += 1
        self.pause(refusal.at + min(terms.window_s / 2, terms.window_s / 60 * 2.0 ** (min(self.blind, 9) - 1)))

    def _fall(self, terms: Terms, refusal: Refusal) -> None:
        known, tried = min(self.borne or self.begun(terms), self.ceiling(terms)), self.level(terms, refusal.at)
        found = self._measured(terms, refusal)
        if found is None:
            left = CUT * min(tried, terms.of_window(FASTEST))
        elif found > 1.01 * known and self._is_soon(terms, refusal.at):
            left = known  # the window is full of what was sent before the pace was lowered: it has to move on
            self.pause(self._freed(terms, refusal.at, found))
        else:
            least = 0.0 if math.isinf(tried) else DEEPEST_CUT * tried
            left = max(found - max(1.0, 0.01 * found), least)
            if tried <= known:  # it was no look upwards: what was borne is borne no more
                left = min(left, _AGAIN * known)
        slowest = min(terms.of_window(SLOWEST), self.ceiling(terms))
        self.borne = max(min(left, tried), slowest)
        self.seen = self.learned = self.cut = refusal.at
        self.rising, self.storm = False, 1

    def _is_soon(self, terms: Terms, now: float) -> bool:
        """Whether the pace was lowered within the window that ends now."""
        return self.cut >= 0.0 and now - self.cut < terms.window_s

    def _freed(self, terms: Terms, now: float, full: float) -> float:
        """When a window of the last seconds, which is full now, has some room again."""
        before = full - SHARE * full
        for part, count in self.counts:
            end = (part + 1) / _PARTS * terms.window_s + terms.window_s
            if end > now:
                before -= count
                if before <= 0.0:
                    return end
        return now

    def _measured(self, terms: Terms, refusal: Refusal) -> float | None:
        """What was served in the window that is full; None where it cannot be told."""
        window, asked = terms.window_s, refusal.asked_s
        if asked is not None and asked > 1.05 * window:
            return None
        # whole seconds are rounded up, so the window is half a second older than they say
        began = refusal.at + (asked or 0.0) - window - (0.5 if asked is not None and asked >= 1.0 else 0.0)
        if self.since < 0.0 or self.since > began + 1.0:
            return None
        return self._served(terms, began)

    def aged(self, now: float) -> None:
        """Forget what is too old to be believed, and what a clock says that was set back."""
        if self.borne and now - self.seen > BELIEVED_S:
            self.borne, self.seen, self.learned = 0.0, _NEVER, _NEVER
        if now - self.next > BELIEVED_S:
            self.announced = 0
        if max(self.next, self.held) > now + LONGEST_S or self.seen > now + LONGEST_S:
            self.next = self.held = _LONG_AGO
            self.cut = self.calm = self.since = _NEVER
            self.seen, self.learned = min(self.seen, now), min(self.learned, now)
            self.counts = []
