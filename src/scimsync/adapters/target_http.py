"""One request to a target, sent as often as it takes and is allowed: pace, tries, patience, token, breaker."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import httpx2
from msgspec import Struct
from msgspec.structs import replace

from scimsync.adapters.target_auth import (
    Credentials,
    Grant,
    Keeper,
    LoginAnswer,
    TokenKeeper,
    basic,
    own_header,
    ready_made,
    wanted,
)
from scimsync.adapters.target_limits import (
    LONGEST_WAIT_S,
    Backoff,
    Breaker,
    Health,
    RetryBudget,
    announced,
    at_clock,
    retry_after,
)
from scimsync.adapters.target_pace import LOGINS_PER_MINUTE, TOLD_S, Ledgers, Pace
from scimsync.adapters.target_redirects import MOST_HOPS, Slashes, followed
from scimsync.adapters.target_throttles import in_milliseconds, is_spent, is_throttle, policy_of, wait_of
from scimsync.adapters.target_wire import (
    TRIES,
    Answer,
    Ask,
    TargetSettings,
    Wire,
    check_addresses,
    judged,
    said_by,
)
from scimsync.errors import ConfigError, TargetDenied, TargetError, TargetUnavailable
from scimsync.model.outcomes import Exchange

#: seconds that one request may wait between its tries, all together
LONGEST_PATIENCE_S = 600.0
#: letters from which on a secret is told from a word of a message
LEAST_SECRET = 6
_T = TypeVar("_T")
#: server errors that say how the server is made, and not how it is
_LASTING = frozenset({501, 505})


class Clock(Protocol):
    """What `scimsync.engine.ports.Clock` promises."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Watch(Protocol):
    """What `scimsync.engine.ports.Metrics` promises of exchanges."""

    def asked(self, call: str, outcome: str, seconds: float) -> None:
        """One exchange, and how it ended."""
        ...

    def retried(self, call: str, reason: str, wait_s: float) -> None:
        """One more try, after a wait."""
        ...

    def breaker(self, *, is_open: bool) -> None:
        """The state of the breaker, whenever it may have changed."""
        ...


class _Unwatched:
    def asked(self, call: str, outcome: str, seconds: float) -> None:
        pass

    def retried(self, call: str, reason: str, wait_s: float) -> None:
        pass

    def breaker(self, *, is_open: bool) -> None:
        pass


class _Again(Struct, frozen=True):
    """One more try: what it costs the budget, and how long to wait before."""

    cost: int
    wait_s: float
    throttled: bool = False


def _ending(answer: Answer) -> str:
    """How one exchange ended, in a word that is one of few."""
    if answer.exchange is not Exchange.ANSWERED:
        return str(answer.exchange.value)
    known: dict[int, str] = {
        404: "absent",
        409: "conflict",
        412: "conflict",
        429: "throttled",
        401: "denied",
        403: "denied",
    }
    if is_troubled(answer.status):
        return "failing"
    return known.get(answer.status, "ok" if 200 <= answer.status < 300 else "refused")


def _cause(answer: Answer) -> str:
    """Why a request is sent once more."""
    if answer.status == 429:
        return "throttled"
    return "not sent" if answer.exchange is Exchange.NOT_SENT else "failing"


def _is_transient(answer: Answer) -> bool:
    """Whether a GET may do better next time. An unreadable 200 comes from something in between."""
    return answer.exchange is Exchange.LOST or is_troubled(answer.status) or _is_unreadable(answer)


def _is_unreadable(answer: Answer) -> bool:
    return 200 <= answer.status < 300 and answer.value is None


def _is_down(ask: Ask, answer: Answer) -> bool:
    """Whether an answer is none, because the target does not serve; not where trouble may be the answer."""
    if answer.exchange is Exchange.NOT_SENT:
        return True
    failing = answer.exchange is Exchange.LOST or is_troubled(answer.status)
    return failing and ask.safe and ask.troubles >= TRIES and answer.retry_after_s is None


def is_troubled(status: int) -> bool:
    """Whether a status says that the server is not well, and may be another time: any 5xx, known or not."""
    return status in {408, 425} or (status >= 500 and status not in _LASTING)


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The `Date` of an answer (RFC 9110 §6.6.1)."""
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


class Client:
    """Asks until there is an answer to give back: pace, tries, patience, token, breaker. Knows nothing of resources.

    Args:
        settings: Where, and with what.
        probe: What is asked to find out whether the target serves again; it changes nothing.
        clock: Says when; handed in.
        rng: Draws the jitter of pauses.
        notice: Takes a sentence when the target goes or comes back.
        transport: What carries requests; a connection pool where None.
        watch: Is told of each exchange.
        ledgers: Where the allowances of the client are kept and shared; by this process alone where None.
    """

    def __init__(  # noqa: PLR0913 - each is handed in
        self,
        settings: TargetSettings,
        probe: Ask,
        *,
        clock: Clock,
        rng: random.Random,
        notice: Callable[[str], None],
        transport: httpx2.AsyncBaseTransport | None,
        watch: Watch | None,
        ledgers: Ledgers | None = None,
    ) -> None:
        check_addresses(settings)
        self._settings = settings
        self._probe_ask = probe
        self._clock = clock
        self._wire = Wire(settings, transport)
        self._media = settings.dialect.media_type
        self._slashes = Slashes(settings.api_url.rstrip("/") + settings.dialect.base_path)
        self._keeper = self.make_keeper(rng)
        self._backoff = Backoff(rng)
        self._budget = RetryBudget()
        self.pace = Pace(
            clock, settings.requests_per_minute, settings.dialect.requests_per_minute,
            ledger=ledgers.requests if ledgers else None, notice=notice, name=self.host,
        )  # fmt: skip
        logins = 0 if settings.requests_per_minute == 0 else None
        self._logins = Pace(clock, logins, LOGINS_PER_MINUTE, ledger=ledgers.logins if ledgers else None)
        self._watch = watch or _Unwatched()
        self._notice = notice
        self._breaker = Breaker(clock, self._probe, self._noticed, name=self.host, patience_s=settings.patience_s)
        #: a wait in thousands was not one in milliseconds, or was tried as such
        self._in_seconds = False
        #: when the long wait ends that was last told
        self._told_until = -TOLD_S
        #: requests that were sent, by kind
        self.counts: dict[str, int] = {}

    def make_keeper(self, rng: random.Random) -> Keeper:
        """Who gives out what lets requests in."""
        who = self._settings
        if who.token:
            return ready_made(who.token)
        if who.username:
            return basic(who.username, who.password)
        if who.header:
            return own_header(who.header, who.header_value)
        if not ((who.login_url or who.token_url) and who.client_id and who.client_secret):
            raise ConfigError(
                "[target] needs client_id and client_secret with login_url, region or token_url; or token; or username "
                "and password; or header and header_value"
            )
        credentials = Credentials(
            login_url=who.login_url,
            token_url=who.token_url,
            client_id=who.client_id,
            client_secret=who.client_secret,
            scopes=who.scopes,
            audience=who.audience,
            posted=who.client_auth == "post",
        )
        return TokenKeeper(credentials, self._login, clock=self._clock, rng=rng)

    @property
    def host(self) -> str:
        """Where the target is, for messages."""
        return urlsplit(self._settings.api_url).netloc or self._settings.api_url

    @property
    def rate(self) -> int:
        """Requests a minute that are allowed now; where nothing is paced, what one could hope for."""
        rate = self.pace.rate
        return max(1, int(rate)) if rate < 60_000 else 60_000

    async def close(self) -> None:
        """Keep what was learned of the limit, and let go of connections."""
        try:
            await self.pace.close()
            await self._logins.close()
        finally:
            await self._wire.close()

    async def call(self, ask: Ask) -> Answer:
        """Ask until there is an answer to give back.

        Raises:
            TargetUnavailable: The breaker stays open, or no token is to be had.
            TargetDenied: The credentials are refused.
        """
        end = self._clock.monotonic() + self._settings.patience_s
        while True:
            answer = await self._tries(ask)
            if not (self._settings.outlasts and _is_down(ask, answer)) or self._clock.monotonic() > end:
                return answer
            self._breaker.trip(answer.why())

    async def _tries(self, ask: Ask) -> Answer:
        """The answer after as many tries as a request has."""
        spent, waited = 0, 0.0
        for attempt in range(1, TRIES + 1):
            sent_at = await self._turn()
            answer = replace(await self._authorised(ask), tries=attempt)
            self._learn(answer, sent_at, is_asked_for=ask.troubles < TRIES)
            again = self._again(ask, answer, ask.tried + attempt)
            if again is None:
                await self._heed(answer, sent_at)
                if 0 < answer.status < 400:
                    self._budget.give_back(spent)
                return answer
            if again.throttled:
                await self.pace.penalise(again.wait_s, sent_at, self._asked(answer))
            waited += again.wait_s
            last = attempt >= min(ask.throttles if again.throttled else ask.troubles, TRIES)
            if last or waited > LONGEST_PATIENCE_S or not self._budget.spend(again.cost):
                return replace(answer, retry_after_s=None)
            spent += again.cost
            self._watch.retried(ask.kind, _cause(answer), again.wait_s)
            self._tell(answer, again.wait_s)
            if not again.throttled:  # a refusal is waited out by everybody, in the pace
                await self._clock.sleep(again.wait_s)
        raise AssertionError("the last try returns")

    def _tell(self, answer: Answer, wait_s: float) -> None:
        """Tell of a long wait while it lasts, once of those that end together."""
        end = self._clock.monotonic() + wait_s
        if wait_s > TOLD_S and end > self._told_until + TOLD_S:
            self._told_until = end
            at = at_clock(self._clock, wait_s)
            self._notice(f"{self.host}: {answer.why()}; the next try is in {wait_s:.0f} s, at {at}")

    async def _turn(self) -> float:
        """Wait until the target is up and it is our turn; give the time."""
        while True:
            await self._breaker.admit()
            sent_at = await self.pace.take()
            if not self._breaker.is_open:
                return sent_at

    def _again(self, ask: Ask, answer: Answer, attempt: int) -> _Again | None:
        """Whether and how to try once more; None where this is the answer.

        A wait that is too long to be slept may be one in milliseconds (observed), which is tried once.
        """
        throttled = answer.status == 429
        if _is_unreadable(answer) and attempt >= ask.unreadables:
            return None
        unsent = answer.exchange is Exchange.NOT_SENT
        failing = ask.safe and _is_transient(answer) and attempt < ask.tried + ask.failures
        if not (throttled or unsent or failing):
            return None
        asked = self._asked(answer)
        if asked is not None and asked > LONGEST_WAIT_S:
            asked = None if self._in_seconds else in_milliseconds(answer.headers.get_list("retry-after"))
            self._in_seconds = True
            if asked is None:
                return None
        if throttled:
            return _Again(RetryBudget.THROTTLED, self._backoff.throttled(asked, attempt), throttled=True)
        return _Again(RetryBudget.TRANSIENT, max(asked or 0.0, self._backoff.delay(attempt)))

    async def _heed(self, answer: Answer, sent_at: float) -> None:
        """Let everybody wait where a write, which is not sent again here, was answered with a pause to make."""
        asked = self._asked(answer)
        if asked is not None and asked <= LONGEST_WAIT_S:
            await self.pace.penalise(self._backoff.throttled(asked, 1), sent_at)

    def _asked(self, answer: Answer) -> float | None:
        """What a refusal asks us to wait, by the target's own clock where it shows one."""
        if answer.status != 429 and not is_troubled(answer.status):
            return None
        if answer.status != 429 and not is_spent(answer.headers):  # else its limits say nothing of this trouble
            values = answer.headers.get_list("retry-after")
            return retry_after(values, date_of(answer.headers) or self._clock.now())
        return self._wait(answer)

    def _wait(self, answer: Answer) -> float | None:
        now = date_of(answer.headers) or self._clock.now()
        return wait_of(answer.headers, answer.headers.get_list("retry-after"), now)

    async def _authorised(self, ask: Ask) -> Answer:
        """One try. An answer of 401 renews the token once, and the request is repeated once."""
        grant = await self._keeper.grant()
        answer = await self._send(ask, grant)
        if answer.status != 401:
            return answer
        grant = await self._keeper.renew(grant, wanted(answer.headers.get_list("www-authenticate")))
        taken: bool | None = None
        try:
            await self.pace.take()
            answer = await self._send(ask, grant)
            if answer.status:
                taken = answer.status != 401
        finally:
            self._keeper.report(grant, taken=taken)
        if taken is False and grant.trial:
            await self._keeper.grant()  # raises what was just reported
        return answer

    async def _send(self, ask: Ask, grant: Grant) -> Answer:
        headers = ask.headers(self._media) | grant.headers
        url = self._slashes.address(ask.url)
        answer = await self._exchange(ask.kind, ask.method, url, headers, ask.body)
        for _ in range(MOST_HOPS):
            if (there := followed(ask.method, url, answer)) is None:
                break
            self._slashes.learn(url, there)
            answer = await self._exchange(ask.kind, ask.method, url := there, headers, ask.body)
        answer = self._hushed(answer, grant)
        is_known = str(answer.status) in self._settings.dialect.throttles
        if is_known or is_throttle(answer.status, answer.headers, answer.content):
            told = "" if answer.status == 429 else f"the target throttles with status {answer.status}"
            answer = replace(answer, status=429, detail=told)
            self._count("throttled")
        asked = self._asked(answer)
        if asked is not None and asked > LONGEST_WAIT_S:
            answer = replace(answer, retry_after_s=asked)
        return judged(replace(answer, asked=ask.shown), ask)

    def _hushed(self, answer: Answer, grant: Grant) -> Answer:
        """A refusal that does not repeat what we were let in with, because its words are shown."""
        given = self._settings
        words = f"{grant.token} {given.password} {given.client_secret}".split()
        secrets = [word.encode() for word in words if len(word) >= LEAST_SECRET]
        content = answer.content
        for secret in secrets if answer.status >= 400 else ():
            content = content.replace(secret, b"***")
        return answer if content == answer.content else replace(answer, content=content)

    async def _probe(self) -> bool:
        """Whether the target serves again; one GET that changes nothing."""
        answer = await self._send(self._probe_ask, await self._keeper.grant())
        return answer.status > 0 and not is_troubled(answer.status)

    async def _login(self, url: str, headers: Mapping[str, str], body: bytes) -> LoginAnswer:
        sent_at = await self._logins.take()
        answer = await self._exchange("token", "POST", url, {**headers, "Accept-Encoding": "gzip"}, body)
        asked = retry_after(answer.headers.get_list("retry-after"), self._clock.now())
        if is_throttle(answer.status, answer.headers, answer.content):
            wait = self._backoff.throttled(asked, 1)
            await self._logins.penalise(min(wait, LONGEST_WAIT_S), sent_at, asked)
        elif answer.status:
            self._logins.served()
        return LoginAnswer(
            status=answer.status,
            content=answer.content,
            trouble="" if answer.status else f"could not be asked ({answer.why()})",
            retry_after_s=asked,
        )

    def _learn(self, answer: Answer, sent_at: float, *, is_asked_for: bool) -> None:
        """Let limiter and breaker see an answer; trouble that was asked for tells nothing of the target's health."""
        if answer.status != 429:
            self._heed_limits(answer)
            if answer.status:
                self.pace.served()
        slow = self._clock.monotonic() - sent_at > Breaker.SLOW_S
        if answer.exchange is Exchange.NOT_SENT:
            self._breaker.record(Health.UNREACHABLE, answer.why())
        elif slow or answer.exchange is Exchange.LOST or (is_troubled(answer.status) and not is_asked_for):
            self._breaker.record(Health.BAD, answer.why())
        elif answer.status != 429:
            self._breaker.record(Health.GOOD)

    def _heed_limits(self, answer: Answer) -> None:
        """Let the pace know what an answer says of a limit that it did not meet."""
        if (said := announced(answer.headers) or policy_of(answer.headers)) is not None:
            self.pace.observe(said)
        elif 0 < answer.status < 400 and is_spent(answer.headers):
            wait = self._wait(answer)
            if wait is not None and wait <= LONGEST_WAIT_S:
                self.pace.spent(wait)

    def _noticed(self, text: str) -> None:
        """Pass on what the breaker says; it speaks when its state changes, and only then."""
        self._watch.breaker(is_open=self._breaker.is_open)
        self._notice(text)

    async def _exchange(self, kind: str, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One exchange, counted and timed."""
        self._count(kind)
        sent_at = self._clock.monotonic()
        answer = await self._wire.exchange(method, url, headers, body)
        self._watch.asked(kind, _ending(answer), self._clock.monotonic() - sent_at)
        return answer

    def _count(self, kind: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def value(self, answer: Answer, kind: type[_T]) -> _T:
        """The body of a read that the caller cannot do without."""
        if isinstance(answer.value, kind):
            return answer.value
        raise self.failure(answer)

    def failure(self, answer: Answer) -> TargetError:
        """The exception for a read that did not succeed: what was asked, and what the target says of it itself."""
        dialect = self._settings.dialect
        why = f"{answer.why()}{said_by(answer)}{' to ' if answer.asked else ''}{answer.asked}"
        if answer.redirected:
            return TargetDenied(f"{self.host}: {why}")
        if answer.status == 429:
            asked = answer.retry_after_s
            when = f" and asks to come back in {asked:.0f} s" if asked else ""
            return TargetUnavailable(f"{self.host} refuses further requests{when}: {why}. Start again later.")
        if answer.status >= 400 and not is_troubled(answer.status):
            where = "api_url or region" if dialect.regions else "api_url"
            return TargetDenied(
                f"{self.host} refuses to be read: {why}. Check {where}, the dialect, and {dialect.access}."
            )
        return TargetUnavailable(f"{self.host} could not be read after {answer.tries} tries: {why}. Try again later.")
