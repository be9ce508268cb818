"""The bearer token: asked for once, kept, renewed in time, and never shown.

OAuth 2.0 client credentials (RFC 6749 §4.4) as Genesys Cloud speaks it: the login host answers a
flood of logins with HTTP 400 and "rate limit exceeded", not with 429 (documented in its own SDKs).
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol
from urllib.parse import quote_plus, urlsplit

import msgspec

from scimsync.errors import TargetDenied, TargetUnavailable

#: lifetime where the answer does not tell one
DEFAULT_LIFE_S = 300.0
#: part of its life after which a token is renewed; from 300 s on (the shortest that Genesys gives)
#: this is at least a minute before the end
RENEW_AT = 0.8
#: the longest life that Genesys gives: 450 days (documented)
_LONGEST_LIFE_S = 38_880_000.0
#: asking more often than this would only repeat the answer
TRIES = 5
#: a login host that asks for a longer wait is not waited for
_LONGEST_WAIT_S = 180.0


class Clock(Protocol):
    """The part of `scimsync.engine.ports.Clock` that a token needs."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who we are at the login host. The secret does not show in `repr`."""

    login_url: str
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def host(self) -> str:
        """The login host, for messages."""
        return urlsplit(self.login_url).netloc or self.login_url


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAnswer:
    """What came of one request to the login host. `status` 0: no answer, and `trouble` says why."""

    status: int = 0
    content: bytes = field(default=b"", repr=False)
    trouble: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and which renewal brought it. `trial`: whoever holds it must report how it was taken."""

    token: str = field(repr=False)
    generation: int
    trial: bool = False

    @property
    def header(self) -> str:
        """The value of `Authorization` (RFC 6750 §2.1)."""
        return f"Bearer {self.token}"


#: posts a form to the token endpoint: URL, headers, body
Login = Callable[[str, Mapping[str, str], bytes], Awaitable[LoginAnswer]]


class FixedToken:
    """A token that was made elsewhere; it cannot be renewed."""

    def __init__(self, token: str) -> None:
        if not _presentable(token):
            raise TargetDenied("The token in the configuration is empty or holds characters that no token has.")
        self._grant = Grant(token, 1)

    async def grant(self) -> Grant:
        """The token."""
        return self._grant

    async def renew(self, _refused: Grant) -> NoReturn:
        """There is no way to renew it.

        Raises:
            TargetDenied: Always.
        """
        raise TargetDenied(
            "The target refused the token (401), and a ready-made token cannot be renewed. "
            "It has expired, was withdrawn, or belongs to another region: make a new one, "
            "or configure client_id and client_secret."
        )

    def report(self, grant: Grant, *, taken: bool | None) -> None:
        """Nothing is learned from it."""


class TokenKeeper:
    """Keeps one token for all requests.

    One renewal runs at a time; everybody else waits for it and shares its success or its failure.
    After a 401 the first caller gets the new token on trial: while it tries, the others wait, so
    that a target which refuses every token sees one more request and not one from each worker.
    """

    def __init__(self, credentials: Credentials, login: Login, *, clock: Clock, rng: random.Random) -> None:
        self._credentials = credentials
        self._login = login
        self._clock = clock
        self._rng = rng
        self._lock = asyncio.Lock()
        self._grant: Grant | None = None
        self._renew_at = 0.0
        self._generation = 0
        self._denied = ""
        self._failures = 0
        self._failure = ""
        self._trial: asyncio.Event | None = None

    async def grant(self) -> Grant:
        """A token that is good for now.

        Raises:
            TargetDenied: The login host or the target refuses these credentials.
            TargetUnavailable: The login host cannot be reached or is in trouble.
        """
        await self._settled()
        self._check()
        if self._fresh():
            return self._current()
        failures = self._failures
        async with self._lock:
            await self._settled()
            self._check(failures)
            if not self._fresh():
                await self._renew()
            return self._current()

    async def renew(self, refused: Grant) -> Grant:
        """A newer token than the one that was refused with 401; asked for once per generation.

        Raises:
            TargetDenied: The login host or the target refuses these credentials.
            TargetUnavailable: The login host cannot be reached or is in trouble.
        """
        failures = self._failures
        async with self._lock:
            await self._settled()
            self._check(failures)
            if self._current().generation != refused.generation:
                return self._current()
            await self._renew()
            self._trial = asyncio.Event()
            grant = self._current()
            return Grant(grant.token, grant.generation, trial=True)

    def report(self, grant: Grant, *, taken: bool | None) -> None:
        """Say how the target took a token: True, False (401 again), or None where it did not answer."""
        if not grant.trial or self._trial is None:
            return
        if taken is False:
            self._denied = (
                f"The target refuses even a token that {self._credentials.host} has just given to client "
                f"{self._credentials.client_id} (401). Check that api_url and login_url belong to the same "
                "region, and that the client is not disabled."
            )
        self._trial.set()
        self._trial = None

    async def _settled(self) -> None:
        """Wait while somebody tries a token out. The tester never needs the lock."""
        while (trial := self._trial) is not None:
            await trial.wait()

    def _fresh(self) -> bool:
        return self._grant is not None and self._clock.monotonic() < self._renew_at

    def _current(self) -> Grant:
        if self._grant is None:  # only a caller that never had a grant could come here
            raise TargetDenied("No token was asked for yet.")
        return self._grant

    def _check(self, failures: int | None = None) -> None:
        """Fail like the one who asked before us, where asking again would give the same."""
        if self._denied:
            raise TargetDenied(self._denied)
        if failures is not None and failures != self._failures:
            raise TargetUnavailable(self._failure)

    async def _renew(self) -> None:
        asked_at = self._clock.monotonic()
        try:
            token, life = await self._ask()
        except TargetDenied as error:
            self._denied = str(error)
            raise
        except TargetUnavailable as error:
            self._failures += 1
            self._failure = str(error)
            raise
        self._generation += 1
        self._grant = Grant(token, self._generation)
        self._renew_at = asked_at + RENEW_AT * life

    async def _ask(self) -> tuple[str, float]:
        who = self._credentials
        # RFC 6749 §2.3.1: both parts are form-encoded before they are joined
        pair = f"{quote_plus(who.client_id)}:{quote_plus(who.client_secret)}".encode()
        headers = {
            "Authorization": "Basic " + base64.b64encode(pair).decode("ascii"),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        url = who.login_url.rstrip("/") + "/oauth/token"
        trouble = ""
        for attempt in range(1, TRIES + 1):
            answer = await self._login(url, headers, b"grant_type=client_credentials")
            trouble, base = self._trouble(answer)
            if not trouble:
                token = _read_token(answer.content)
                if token is not None:
                    return token.access_token, self._life(token.expires_in)
                trouble, base = "answered with something that is not a token", 0.25
            wait = self._rng.random() * min(60.0, base * 2.0 ** (attempt - 1)) + (answer.retry_after_s or 0.0)
            if attempt == TRIES or wait > _LONGEST_WAIT_S:
                break
            await self._clock.sleep(wait)
        raise TargetUnavailable(
            f"No token from {who.host}: it {trouble} ({attempt} tries). "
            "Check login_url or region and the network; if the host is throttling logins, wait some minutes."
        )

    def _trouble(self, answer: LoginAnswer) -> tuple[str, float]:
        """What is wrong with an answer and how long to wait at first; ("", 0) when nothing is."""
        if answer.status == 0:
            return answer.trouble or "did not answer", 0.25
        if 200 <= answer.status < 300:
            return "", 0.0
        if answer.status == 429 or (answer.status == 400 and _is_throttle(answer.content)):
            return "refused the login because there were too many", 1.0
        if answer.status == 408 or answer.status >= 500:
            return f"answered {answer.status}", 0.25
        return self._refuse(answer.status)

    def _refuse(self, status: int) -> NoReturn:
        who = self._credentials
        if status in {400, 401, 403}:
            raise TargetDenied(
                f"{who.host} refuses client {who.client_id} ({status}). Check client_id, client_secret and "
                "region, and that the OAuth client is active and of the type 'client credentials'."
            )
        what = "a redirect, which is not followed" if 300 <= status < 400 else f"status {status}"
        raise TargetDenied(
            f"{who.host} answered the login of client {who.client_id} with {what}. Check login_url or region: "
            "it must be the address of the login host, without /oauth/token."
        )

    def _life(self, expires_in: object) -> float:
        """Seconds that a token lives (RFC 6749 §5.1: recommended, so it may be missing)."""
        if expires_in is None:
            return DEFAULT_LIFE_S
        if isinstance(expires_in, str) and expires_in.isascii() and expires_in.isdigit() and len(expires_in) < 16:
            expires_in = int(expires_in)
        if isinstance(expires_in, bool) or not isinstance(expires_in, int | float) or not expires_in > 0:
            raise TargetDenied(
                f"{self._credentials.host} gave client {self._credentials.client_id} a token whose life "
                "(expires_in) is not a positive number. That is not the token endpoint of this provider."
            )
        return min(float(min(expires_in, _LONGEST_LIFE_S)), _LONGEST_LIFE_S)


class _Token(msgspec.Struct):
    access_token: str
    expires_in: object = None
    token_type: str = "bearer"  # noqa: S105  (the kind of token, not a token)


def _read_token(content: bytes) -> _Token | None:
    try:
        token = msgspec.json.decode(content, type=_Token)
    except (msgspec.DecodeError, RecursionError):
        return None
    return token if _presentable(token.access_token) and token.token_type.lower() == "bearer" else None


def _presentable(token: str) -> bool:
    """Whether it can stand in a header: visible ASCII, no blank (RFC 6750 §2.1)."""
    return bool(token) and all("!" <= sign <= "~" for sign in token)


def _is_throttle(content: bytes) -> bool:
    return b"rate limit exceeded" in content[:4096].lower()
