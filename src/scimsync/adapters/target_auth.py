"""What lets a request in: a token that is asked for, kept and renewed in time, or what stands in the configuration.

OAuth 2.0 client credentials (RFC 6749 §4.4) at any token endpoint. That of Genesys Cloud answers a flood of logins
with HTTP 400 and "rate limit exceeded", not with 429 (documented in its own SDKs). Nothing of it is ever shown.
"""

from __future__ import annotations

import asyncio
import base64
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NoReturn, Protocol
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from scimsync.errors import TargetDenied, TargetUnavailable
from scimsync.values import Secretive

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
#: what a token endpoint calls its refusals (RFC 6749 §5.2, RFC 8707 §2)
_CODES = frozenset({
    "access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "invalid_target",
    "unauthorized_client", "unsupported_grant_type",
})  # fmt: skip
#: a text in quotes, and the name of a scheme: what begins a challenge and is not the name of a parameter
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_SCHEME = re.compile(r"(?:^|,)[ \t]*([A-Za-z][A-Za-z0-9-]*)(?=[ \t]+[^=, \t]|[ \t]*(?:,|$))")
#: a word that may be shown
_WORD = re.compile(r"[A-Za-z0-9_.:/-]{1,40}")


class Clock(Protocol):
    """The part of `scimsync.engine.ports.Clock` that a token needs."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Credentials(Secretive, frozen=True, kw_only=True):
    """Who we are at the token endpoint. The secret does not show in `repr`."""

    client_id: str
    client_secret: str
    #: the host below which /oauth/token is asked; "" where `token_url` is given
    login_url: str = ""
    #: the whole address
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    audience: str = ""
    #: id and secret travel in the body, not in the header
    posted: bool = False
    #: who takes the tokens, and under which key its address stands
    taker: str = "The target"
    address: str = "api_url"

    @property
    def url(self) -> str:
        """Where tokens are given."""
        return self.token_url or self.login_url.rstrip("/") + "/oauth/token"

    @property
    def host(self) -> str:
        """The login host, for messages."""
        return urlsplit(self.url).netloc or self.login_url

    @property
    def place(self) -> str:
        """The key to check where it is not the right host."""
        return "token_url" if self.token_url else "login_url or region"

    def form(self) -> tuple[dict[str, str], bytes]:
        """Headers and body of the request (RFC 6749 §2.3.1, §4.4.2)."""
        fields = {"grant_type": "client_credentials", "scope": " ".join(self.scopes), "audience": self.audience}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self.posted:
            fields |= {"client_id": self.client_id, "client_secret": self.client_secret}
        else:  # both parts are form-encoded before they are joined
            headers["Authorization"] = basic_pair(quote_plus(self.client_id), quote_plus(self.client_secret))
        return headers, urlencode({name: value for name, value in fields.items() if value}).encode("ascii")


class LoginAnswer(Secretive, frozen=True, kw_only=True):
    """What came of one request to the login host. `status` 0: no answer, and `trouble` says why."""

    status: int = 0
    content: bytes = b""
    trouble: str = ""
    retry_after_s: float | None = None


class Grant(Secretive, frozen=True):
    """What lets a request in, and which renewal brought it. `trial`: its holder must report how it was taken."""

    token: str
    generation: int
    trial: bool = False
    #: "" where no header lets in
    name: str = "Authorization"
    scheme: str = "Bearer "

    @property
    def headers(self) -> dict[str, str]:
        """The header that lets a request in (for a bearer token: RFC 6750 §2.1)."""
        return {self.name: f"{self.scheme}{self.token}"} if self.name else {}


#: posts a form to the token endpoint: URL, headers, body
Login = Callable[[str, Mapping[str, str], bytes], Awaitable[LoginAnswer]]


class Keeper(Protocol):
    """Who gives out what lets requests in."""

    async def grant(self) -> Grant:
        """What is good for now."""
        ...

    async def renew(self, refused: Grant, asked: str = "") -> Grant:
        """A newer one than that which was refused with 401; `asked` is the scheme that the target wants."""
        ...

    def report(self, grant: Grant, *, taken: bool | None) -> None:
        """Say how the target took it: True, False (401 again), or None where it did not answer."""
        ...


class Fixed:
    """What stands in the configuration and lets in as it is; it cannot be renewed.

    Args:
        grant: What is sent.
        refused: What to say where the target refuses it: a sentence and what to check.
    """

    def __init__(self, grant: Grant, refused: str) -> None:
        self._grant = grant
        self._refused = refused

    async def grant(self) -> Grant:
        """What is sent."""
        return self._grant

    async def renew(self, refused: Grant, asked: str = "") -> NoReturn:
        """There is no way to renew it.

        Raises:
            TargetDenied: Always.
        """
        wanted = asked if asked.lower() != refused.scheme.strip().lower() else ""
        raise TargetDenied(self._refused + (f" It says that it wants {wanted} (WWW-Authenticate)." * bool(wanted)))

    def report(self, grant: Grant, *, taken: bool | None) -> None:
        """Nothing is learned from it."""


def ready_made(token: str) -> Fixed:
    """A bearer token that was made elsewhere.

    Raises:
        TargetDenied: It is none.
    """
    if not _presentable(token):
        raise TargetDenied("The token in the configuration is empty or holds characters that no token has.")
    return Fixed(
        Grant(token, 1),
        "The target refused the token (401), and a ready-made token cannot be renewed. "
        "It has expired, was withdrawn, or is for another directory: make a new one, "
        "or configure client_id and client_secret.",
    )


def basic(username: str, password: str) -> Fixed:
    """HTTP Basic (RFC 7617), in UTF-8."""
    pair = basic_pair(username, password).removeprefix("Basic ")
    return Fixed(
        Grant(pair, 1, scheme="Basic "),
        f"The target refused user {username} of HTTP Basic (401). Check username and password.",
    )


def own_header(name: str, value: str) -> Fixed:
    """A header that lets us in, whatever it is called."""
    return Fixed(
        Grant(value, 1, name=name, scheme=""),
        f"The target refused the header {name} (401). Check header and header_value: some want a word before the key, "
        "which stands in the value too.",
    )


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

    async def renew(self, refused: Grant, asked: str = "") -> Grant:  # noqa: ARG002 - it is a bearer token
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
                f"{self._credentials.taker} refuses even a token that {self._credentials.host} has just given to "
                f"client {self._credentials.client_id} (401). {self._fitting()}, and that the client is not disabled."
            )
        self._trial.set()
        self._trial = None

    def _fitting(self) -> str:
        if self._credentials.token_url:
            where = self._credentials.address
            return f"Check that token_url gives tokens for {where}, that scopes and audience are what it wants"
        return "Check that api_url and login_url belong to the same region"

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
        headers, body = who.form()
        trouble = ""
        for attempt in range(1, TRIES + 1):
            answer = await self._login(who.url, headers, body)
            trouble, base = self._trouble(answer)
            if not trouble:
                token = _read_token(answer.content)
                if token is not None:
                    self._check_kind(token.token_type)
                    return token.access_token, self._life(token.expires_in)
                trouble, base = "answered with something that is not a token", 0.25
            wait = self._rng.random() * min(60.0, base * 2.0 ** (attempt - 1)) + (answer.retry_after_s or 0.0)
            if attempt == TRIES or wait > _LONGEST_WAIT_S:
                break
            await self._clock.sleep(wait)
        raise TargetUnavailable(
            f"No token from {who.host}: it {trouble} ({attempt} tries). "
            f"Check {who.place} and the network; if the host is throttling logins, wait some minutes."
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
        return self._refuse(answer)

    def _refuse(self, answer: LoginAnswer) -> NoReturn:
        who, status = self._credentials, answer.status
        if status in {400, 401, 403}:
            code = _code(answer.content)
            raise TargetDenied(
                f"{who.host} refuses client {who.client_id} ({status}{code and f' {code}'}). {self._cure(code)}"
            )
        what = "a redirect, which is not followed" if 300 <= status < 400 else f"status {status}"
        whole = "address of the token endpoint" if who.token_url else "address of the login host, without /oauth/token"
        raise TargetDenied(
            f"{who.host} answered the login of client {who.client_id} with {what}. Check {who.place}: "
            f"it must be the {'whole ' if who.token_url else ''}{whole}."
        )

    def _cure(self, code: str) -> str:
        """What to do about a refusal, by its code (RFC 6749 §5.2)."""
        who = self._credentials
        if code == "invalid_scope":
            return "Check scopes: they are not what this client may ask for."
        if code in {"unauthorized_client", "unsupported_grant_type"}:
            return f"Check that the OAuth client may use the grant client_credentials, and {who.place}."
        if not who.token_url:
            return (
                "Check client_id, client_secret and region, and that the OAuth client is active and of the type "
                "'client credentials'."
            )
        where, other = ("the body", "basic") if who.posted else ("the header", "post")
        also = "" if code == "invalid_client" else ", and whether it wants scopes or audience"
        return (
            f"Check client_id and client_secret{also}. They travel in {where}; where the provider wants them "
            f'otherwise, set client_auth = "{other}".'
        )

    def _check_kind(self, kind: object) -> None:
        """Refuse a token that is not presented as a bearer token (RFC 6749 §7.1)."""
        if kind is None or (isinstance(kind, str) and kind.lower() == "bearer"):
            return
        shown = f" ({kind})" if isinstance(kind, str) and _WORD.fullmatch(kind) else ""
        raise TargetDenied(
            f"{self._credentials.host} gave client {self._credentials.client_id} a token of another type than "
            f"Bearer{shown} (token_type), and scimsync cannot present it. Let the provider give bearer tokens to this "
            "client, or configure token or header."
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
    token_type: object = None


class _Refusal(msgspec.Struct):
    error: object = None


def _read_token(content: bytes) -> _Token | None:
    try:
        token = msgspec.json.decode(content, type=_Token)
    except (msgspec.DecodeError, RecursionError):
        return None
    return token if _presentable(token.access_token) else None


def _code(content: bytes) -> str:
    """Which error a token endpoint names (RFC 6749 §5.2), if it is a word; its sentences may quote a secret."""
    try:
        error = msgspec.json.decode(content, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return error if isinstance(error, str) and error in _CODES else ""


def basic_pair(user: str, word: str) -> str:
    """The value of the header for HTTP Basic (RFC 7617), in UTF-8."""
    return "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode("ascii")


def _presentable(token: str) -> bool:
    """Whether it can stand in a header: visible ASCII, no blank (RFC 6750 §2.1)."""
    return bool(token) and all("!" <= sign <= "~" for sign in token)


def _is_throttle(content: bytes) -> bool:
    return b"rate limit exceeded" in content[:4096].lower()


def wanted(challenges: Sequence[str]) -> str:
    """The schemes by which a target lets in, as the values of `WWW-Authenticate` name them (RFC 9110 §11.6.1).

    Examples:
        >>> wanted(['Basic realm="a, Negotiate b", charset="UTF-8"', "Bearer"])
        'Basic or Bearer'
    """
    bare = ", ".join(_QUOTED.sub('""', value) for value in challenges)
    return " or ".join(dict.fromkeys(_SCHEME.findall(bare)))[:60]
