"""A provider of OpenID Connect, through Authlib: authorization code with PKCE, nonce, state (OpenID Connect Core 1.0).

What the provider says is believed where a key of its own signed it, for us, now, in answer to what we asked. Its
addresses are read from its discovery document and kept for an hour, its keys until one is named that is not among them.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from scimsync.errors import IdentityRefused, ProviderSilent
from scimsync.model.visitors import Asking

#: seconds that one answer may take, that what a provider says of itself is kept, and that it is left alone after it did
#: not answer, or was asked for its keys
EXCHANGE_S, KEPT_S, PAUSE_S = 10.0, 3600.0, 10.0
#: bytes that an answer may have, and seconds that clocks may differ
LONGEST, LEEWAY_S = 1 << 20, 120
#: how a token may be signed: by a key that the provider alone has. Not `none`, and not by a secret that both have
SIGNED_BY = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


class AuthlibProvider:
    """Fits the Provider port of the console.

    Args:
        issuer: The provider, letter by letter.
        client_id: What it knows us as.
        client_secret: Our secret there; "" for a public client.
        client_auth: Whether id and secret travel in a header or in the form.
        scopes: What is asked for.
        ca_file: One more authority that is trusted.
        monotonic: Seconds that never step back.
        now: Seconds of the wall clock.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        client_auth: Literal["basic", "post"],
        scopes: tuple[str, ...],
        ca_file: Path | None,
        monotonic: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._issuer, self._client_id, self._secret = issuer, client_id, client_secret
        self._method = f"client_secret_{client_auth}" if client_secret else "none"
        self._scopes, self._ca_file, self._monotonic, self._now = " ".join(scopes), ca_file, monotonic, now
        self._lock = threading.Lock()
        self._known: dict[str, Any] | None = None
        self._known_at = self._silent_at = self._keys_at = -1e9
        self._silence = ""
        self._keys: KeySet | None = None
        self._context: ssl.SSLContext | None = None
        for name in ("httpx2", "httpcore2"):  # they would log addresses that hold a code
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.WARNING))

    @property
    def host(self) -> str:
        """The provider, as people are told of it."""
        return urlsplit(self._issuer).netloc

    def begin(self, callback: str) -> tuple[str, Asking]:
        """Where to send a browser, and what must come back with it.

        Args:
            callback: Our address to which the provider sends the browser back.

        Raises:
            ProviderSilent: It does not answer, or what it says of itself cannot be used.
        """
        about = self._about()
        asking = Asking(state=secrets.token_urlsafe(32), nonce=secrets.token_urlsafe(32), verifier=_verifier())
        with self._client(callback, self._scopes) as client:
            url, _ = client.create_authorization_url(
                about["authorization_endpoint"],
                state=asking.state,
                nonce=asking.nonce,
                code_verifier=asking.verifier,
            )
        return str(url), asking

    def finish(self, asking: Asking, answer: Mapping[str, str], callback: str) -> Mapping[str, object]:
        """What the provider says of who comes back; what it says at its address of user data stands behind.

        Args:
            asking: What was asked for this browser.
            answer: The parameters with which the browser comes back.
            callback: As when it was asked.

        Raises:
            IdentityRefused: It is no answer to what was asked, the provider let them not in, or nothing proves it.
            ProviderSilent: It does not answer.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), asking.state.encode()):
            raise IdentityRefused("This is no answer to what this browser asked. Begin again.")
        about = self._about()
        self._check_sender(about, answer)
        if error := answer.get("error", ""):
            raise IdentityRefused(_said(self.host, error, answer.get("error_description", "")))
        if not (code := answer.get("code", "")):
            raise IdentityRefused(f"{self.host} sent nothing by which you could be let in. Begin again.")
        with self._client(callback) as client:
            token = self._ask(
                lambda: client.fetch_token(
                    about["token_endpoint"], code=code, code_verifier=asking.verifier, grant_type="authorization_code"
                )
            )
            claims = dict(self._proven(token, asking.nonce, about))
            return {**self._more(client, about, str(claims["sub"])), **claims}

    def leave(self, to: str) -> str:
        """Where to send a browser that shall be signed out there, too; "" where the provider names no such place.

        Args:
            to: Where it comes back to.
        """
        try:
            end = str(self._about().get("end_session_endpoint", ""))
        except ProviderSilent:
            return ""
        asked = urlencode({"client_id": self._client_id, "post_logout_redirect_uri": to})
        return f"{end}{'&' if urlsplit(end).query else '?'}{asked}" if _is_safe(end) else ""

    # --- what the provider says of itself -------------------------------------------------------

    def _about(self) -> dict[str, Any]:
        with self._lock:
            at = self._monotonic()
            if self._known is not None and at - self._known_at < KEPT_S:
                return self._known
            if at - self._silent_at < PAUSE_S:
                raise ProviderSilent(self._silence)
            try:
                with self._client("") as client:
                    found = self._json(client, self._issuer.rstrip("/") + "/.well-known/openid-configuration")
                self._check(found)
            except ProviderSilent as error:
                self._silent_at, self._silence = at, str(error)
                if self._known is not None:  # what was right an hour ago is better than nobody
                    return self._known
                raise
            self._known, self._known_at = found, at
            return found

    def _check(self, found: Mapping[str, Any]) -> None:
        """Whether what was found is about this provider, and leads nowhere in clear (OpenID Connect Discovery §4.3)."""
        if (issuer := found.get("issuer")) != self._issuer:
            told = issuer if isinstance(issuer, str) and issuer.isprintable() and len(issuer) < 200 else "none"
            raise ProviderSilent(
                f"{self.host} calls itself {told}, and [console.oidc] issuer is {self._issuer}: they must be the same "
                "letter by letter."
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not _is_safe(found.get(name)):
                raise ProviderSilent(f"{self.host} names no {name} that is reached by https.")

    def _check_sender(self, about: Mapping[str, Any], answer: Mapping[str, str]) -> None:
        """Whether the answer is of this provider and not of another that the browser was led to (RFC 9207)."""
        sender = answer.get("iss", "")
        is_owed = about.get("authorization_response_iss_parameter_supported") is True
        if (sender or is_owed) and sender != self._issuer:
            raise IdentityRefused("This answer is not of the provider that was asked. Begin again.")

    # --- what it says of a person ---------------------------------------------------------------

    def _proven(self, token: Mapping[str, Any], nonce: str, about: Mapping[str, Any]) -> Mapping[str, Any]:
        raw = token.get("id_token")
        if not isinstance(raw, str):
            raise IdentityRefused(f"{self.host} sent no identity. Is the scope openid allowed for this client there?")
        offered = about.get("id_token_signing_alg_values_supported")
        algorithms = [one for one in SIGNED_BY if not isinstance(offered, list) or one in offered]
        registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
        read = None
        for keys in self._key_sets(str(about["jwks_uri"])):
            try:
                read = jwt.decode(raw, keys, registry=registry)
                break
            except (JoseError, ValueError) as error:
                trouble = error
        if read is None:
            raise IdentityRefused(f"No key of {self.host} signed what it says of you ({type(trouble).__name__}).")
        claims = CodeIDToken(
            read.claims,
            read.header,
            {"iss": {"essential": True, "value": self._issuer}, "aud": {"essential": True, "value": self._client_id}},
            {"nonce": nonce, "client_id": self._client_id, "access_token": token.get("access_token")},
        )
        try:
            claims.validate(now=int(self._now()), leeway=LEEWAY_S)
        except (JoseError, AuthlibBaseError, ValueError, TypeError) as error:
            what = getattr(error, "description", "") or type(error).__name__
            raise IdentityRefused(f"What {self.host} says of you does not hold here: {what}") from None
        if not nonce or claims.get("nonce") != nonce:
            raise IdentityRefused(f"What {self.host} says of you is no answer to what was asked.")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise IdentityRefused(f"{self.host} does not say who you are (sub).")
        return dict(claims)

    def _key_sets(self, url: str) -> Iterator[KeySet]:
        """The keys that are known; where they do not do, those of now: a provider changes its keys when it likes."""
        with self._lock:
            known = self._keys
        if known is not None:
            yield known
        with self._lock:
            at = self._monotonic()
            if self._keys is known and (known is None or at - self._keys_at >= PAUSE_S):
                with self._client("") as client:
                    found = self._json(client, url)
                try:
                    self._keys, self._keys_at = KeySet.import_key_set(_readable(found)), at
                except (JoseError, ValueError, TypeError, KeyError):
                    raise ProviderSilent(f"{self.host} shows no keys that can be read.") from None
            fresh = self._keys
        if fresh is not None and fresh is not known:
            yield fresh

    def _more(self, client: OAuth2Client, about: Mapping[str, Any], subject: str) -> Mapping[str, object]:
        """What the provider says at its address of user data, if it is about the same person (Core §5.3.2)."""
        url = about.get("userinfo_endpoint")
        if not _is_safe(url):
            return {}
        found = self._ask(lambda: client.request("GET", url))
        try:
            said = found.json() if found.status_code == 200 else {}
        except ValueError:  # signed or sealed, which nobody asked for
            said = {}
        return said if isinstance(said, dict) and said.get("sub") == subject else {}

    # --- the way there --------------------------------------------------------------------------

    def _client(self, callback: str, scope: str = "") -> OAuth2Client:
        return OAuth2Client(
            client_id=self._client_id,
            client_secret=self._secret or None,
            token_endpoint_auth_method=self._method,
            scope=scope or None,
            redirect_uri=callback,
            code_challenge_method="S256",
            transport=_Bounded(httpx2.HTTPTransport(verify=_trusted(self._ca_file), trust_env=False), self._monotonic),
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": "scimsync", "Accept": "application/json"},
            timeout=httpx2.Timeout(EXCHANGE_S),
        )

    def _trust(self) -> ssl.SSLContext:
        """Whom we trust for the provider; read once, because it takes longer than an answer."""
        if self._context is None:
            self._context = _trusted(self._ca_file)
        return self._context

    def _json(self, client: OAuth2Client, url: str) -> dict[str, Any]:
        answer = self._ask(lambda: client.request("GET", url, withhold_token=True))
        try:
            found = answer.json() if answer.status_code == 200 else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            path = urlsplit(url).path
            raise ProviderSilent(f"{self.host} answered {answer.status_code} and nothing that can be used for {path}.")
        return found

    def _ask(self, question: Callable[[], Any]) -> Any:  # noqa: ANN401 - a token or an answer
        try:
            return question()
        except httpx2.HTTPStatusError as error:
            raise ProviderSilent(f"{self.host} is not well (status {error.response.status_code}).") from None
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise ProviderSilent(f"{self.host} does not answer ({type(error).__name__}).") from None
        except AuthlibBaseError as error:
            raise IdentityRefused(_said(self.host, str(error.error), str(error.description or ""))) from None
        except (ValueError, TypeError, KeyError):
            raise ProviderSilent(f"{self.host} answered something that cannot be used.") from None


class _Bounded(httpx2.BaseTransport):
    """Reads no more of an answer than one may have, and no longer than one may take."""

    def __init__(self, inner: httpx2.BaseTransport, monotonic: Callable[[], float]) -> None:
        self._inner, self._monotonic = inner, monotonic

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One exchange."""
        request.headers["accept-encoding"] = "identity"
        until = self._monotonic() + EXCHANGE_S
        response = self._inner.handle_request(request)
        body = bytearray()
        try:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > LONGEST:
                    raise httpx2.ReadError(f"the answer is larger than {LONGEST} bytes")
                if self._monotonic() > until:
                    raise httpx2.ReadTimeout(f"no complete answer within {EXCHANGE_S:g} s")
        finally:
            response.close()
        kept = [(name, value) for name, value in response.headers.raw if name.lower() != b"transfer-encoding"]
        return httpx2.Response(response.status_code, headers=kept, content=bytes(body), request=request)

    def close(self) -> None:
        """Let go of connections."""
        self._inner.close()


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context() if ca_file else httpx2.create_ssl_context(trust_env=False)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ProviderSilent(f"[console.oidc] ca_file cannot be read ({type(error).__name__}).") from None
    return context


def _is_safe(url: object) -> bool:
    """Whether secrets and codes may go there: https, or this machine."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return False
    if parts is None or not parts.hostname or "@" in parts.netloc or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)


def _readable(found: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as joserfc takes it
    """The keys that prove signatures and whose kind is known: others may stand beside them (RFC 7517 §5)."""
    listed = found.get("keys")
    keys = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return {"keys": [one for one in keys if one.get("kty") in {"RSA", "EC", "OKP"} and one.get("use") != "enc"]}


def _verifier() -> str:
    """What proves at the end that it is still us (RFC 7636): 256 bits."""
    return secrets.token_urlsafe(48)


def _said(host: str, error: str, description: str) -> str:
    """The provider's refusal in its own words, as far as they can be shown."""
    words = " ".join("".join(one if one.isprintable() else " " for one in f"{error}: {description}").split())
    return f"{host} did not let you in ({words.rstrip(': ')[:300]})."
