"""Tokens and the rates they are allowed: the OAuth half of the simulator."""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, unquote

from msgspec import Struct, field

from scimsync.simulator.answers import Answer, Limit, Refused, as_json
from scimsync.simulator.options import Options
from scimsync.simulator.permissions import read_role

WINDOW = 60.0  #: seconds; inferred from the samples of `inin-ratelimit-reset`


class Window(Struct):
    """Requests counted from the first one on, for one minute."""

    started: float = -math.inf
    count: int = 0
    full: bool = False  #: whether this minute refused something
    owed: int = 0  #: refusals still to come after the wait (folklore)

    def take(self, now: float, allowed: int, again: int = 0) -> bool:
        """Count one request, unless the minute has had its share; 0 allows any number."""
        if now - self.started >= WINDOW:
            self.owed = again if self.full else 0
            self.started, self.count, self.full = now, 0, False
        if self.owed > 0:
            self.owed -= 1
            return False
        if allowed and self.count >= allowed:
            self.full = True
            return False
        self.count += 1
        return True

    def reset(self, now: float) -> int:
        """Whole seconds until the minute is over, at least one."""
        return max(1, math.ceil(self.started + WINDOW - now))


class Token(Struct):
    """One bearer token that was given out."""

    client: str
    expires: float
    used: float
    window: Window = field(default_factory=Window)


class OAuthClient(Struct, kw_only=True):
    """One OAuth client."""

    id: str
    secret: str
    role: str = ""  #: a role or permissions; "" follows the switch `permissions`
    state: str = "active"  #: or `disabled`: its tokens are refused, and it gets no new ones (documented)


class Tokens(Struct):
    """The tokens in force, and who may have one."""

    client_id: str
    client_secret: str
    options: Options
    clock: Callable[[], float]
    held: dict[str, Token] = field(default_factory=dict)
    logins: Window = field(default_factory=Window)
    clients: dict[str, OAuthClient] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Know the first client."""
        self.clients[self.client_id] = OAuthClient(id=self.client_id, secret=self.client_secret)

    def permissions(self, client: str) -> frozenset[str]:
        """What the role of a client allows."""
        found = self.clients.get(client)
        return read_role((found.role if found else "") or self.options.permissions)

    def grant(self, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        """Answer `POST /oauth/token` (genesys-scim.md §1.2).

        Client credentials come as Basic authentication or in the form. Throttling is 400
        `invalid_request` with a text that starts "rate limit exceeded", not 429 (documented).
        """
        now = self.clock()
        if not self.logins.take(now, self.options.login_limit):
            return _oauth_error(400, "invalid_request", "rate limit exceeded: too many token requests")
        form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if form.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type", "grant_type is client_credentials here")
        basic = _basic(headers.get(b"authorization", b""))
        client, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
        known = self.clients.get(client)
        if known is None or not _same(secret, known.secret) or known.state != "active":
            return _oauth_error(401, "invalid_client", "client authentication failed")
        text = secrets.token_urlsafe(48)
        self.held[text] = Token(client, now + self.options.expires_in - self.options.token_skew, now)
        return as_json({"access_token": text, "token_type": "bearer", "expires_in": self.options.expires_in})

    def check(self, headers: Mapping[bytes, bytes]) -> Token:
        """The token of a request.

        Raises:
            Refused: 401; there is none, or it is not in force.
        """
        scheme, _, text = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise Refused(401, "No authentication bearer token specified in authorization header.")
        token, now = self.held.get(text.strip()), self.clock()
        idle = self.options.idle_timeout
        if token is None or now >= token.expires or (idle and now - token.used >= idle) or not self._active(token):
            raise Refused(401, "Invalid login credentials.", code="bad.credentials")
        token.used = now
        return token

    def _active(self, token: Token) -> bool:
        client = self.clients.get(token.client)
        return client is not None and client.state == "active"

    def limit(self, token: Token) -> dict[str, str]:
        """Count a request against its token.

        Returns:
            The headers `inin-ratelimit-*` (documented); none where no limit is set.

        Raises:
            Refused: 429 with `Retry-After`; the minute has had its share.
        """
        allowed = self.options.rate_limit
        if not allowed:
            return {}
        now = self.clock()
        taken = token.window.take(now, allowed, self.options.refuse_again)
        reset = token.window.reset(now)
        headers = {
            "inin-ratelimit-allowed": str(self.options.rate_shown or allowed),
            "inin-ratelimit-count": str(token.window.count),
            "inin-ratelimit-reset": str(reset),
        }
        if taken:
            return headers
        refused = too_many(reset, allowed, token.window.count, headers)
        refused.limit = Limit("platform.api", "client.credentials.token.rate.per.minute", allowed)
        raise refused

    def revoke(self) -> int:
        """End all tokens at once; how many there were."""
        count = len(self.held)
        self.held.clear()
        return count


def too_many(seconds: int, allowed: int, count: int, headers: Mapping[str, str] | None = None) -> Refused:
    """A 429 as all layers of Genesys send it since November 2021 (documented)."""
    refused = Refused(
        429,
        f"Rate limit exceeded the maximum. [{allowed}] requests allowed, [{count}] made. "
        f"Retry the request in [{seconds}] seconds",
    )
    refused.headers = {"Retry-After": str(seconds), **(headers or {})}
    return refused


def _oauth_error(status: int, error: str, text: str) -> Answer:
    return as_json({"error": error, "description": text, "error_description": text}, status)


def _basic(header: bytes) -> tuple[str, str] | None:
    scheme, _, encoded = header.decode("latin-1").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ("", "")
    client, _, secret = text.partition(":")
    return unquote(client), unquote(secret)


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())
