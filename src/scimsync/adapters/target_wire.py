"""One exchange with a target: what is asked, what is answered, and the connections between."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import ssl
import zlib
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.errors import ConfigError
from scimsync.model.outcomes import Exchange
from scimsync.scim.dialect import Dialect
from scimsync.scim.messages import MEDIA_TYPE, read_error
from scimsync.values import Secretive

#: what JSON is called (`text/json` by Okta's own examples); some give no type at all
_JSON_TYPE = re.compile(r"(?:(?:application|text)/(?:[a-z0-9.-]+\+|x-)?json\s*(?:;.*)?)?", re.IGNORECASE | re.DOTALL)
#: half a pair of surrogates: JSON can write it (RFC 8259 §8.2), and no text can hold it
_HALF = re.compile(
    rb"(?<!\\)\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})(?<!\\)\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
#: a mark of the order of bytes, which does not belong in front of JSON (RFC 8259 §8.1) and is met there
_BOM = b"\xef\xbb\xbf"
#: raised before the first byte of a request left (measured: reliability, appendix B)
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.InvalidURL,
)
#: pages that are fetched at the same time
PAGES_AT_ONCE = 4
#: tries of one request, the first included
TRIES = 5
#: seconds for which a target that is down is waited for where nobody says more
PATIENCE_S = 120.0
#: characters of a target's own words that a message shows
_MOST_SAID = 200
#: decodes a JSON object
OBJECT = msgspec.json.Decoder(dict[str, object])


class TargetSettings(Secretive, frozen=True, kw_only=True):
    """Everything about a target that stands in the configuration. Secrets do not show in `repr`."""

    api_url: str
    dialect: Dialect
    #: the section of the configuration that says so, for messages
    section: str = "target"
    login_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    #: the whole address at which tokens are given, instead of `login_url`
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    audience: str = ""
    client_auth: Literal["basic", "post"] = "basic"
    #: a ready-made token instead of id and secret
    token: str = ""
    #: HTTP Basic instead
    username: str = ""
    password: str = ""
    #: a header instead: its name, and what stands in it
    header: str = ""
    header_value: str = ""
    #: None: what the target announces; 0: no pacing
    requests_per_minute: int | None = None
    #: writes that run at the same time; decides the number of connections
    workers: int = 8
    connect_s: float = 5.0
    #: deadline of one exchange, from connecting to the last byte
    exchange_s: float = 30.0
    #: how long a caller waits for a target that is down
    patience_s: float = PATIENCE_S
    #: decoded bytes of one answer
    reply_bytes: int = 8 * 1024 * 1024
    #: one more certificate authority to trust, PEM
    ca_file: Path | None = None
    #: where it is remembered how large a page may be; None: it is not
    page_sizes: Path | None = None

    @property
    def outlasts(self) -> bool:
        """Whether a request that failed often enough is asked again once the target serves."""
        return self.patience_s > PATIENCE_S


class Ask(Struct, frozen=True, kw_only=True):
    """One request as the caller wants it."""

    kind: str
    method: str
    url: str
    body: bytes = b""
    #: the value of If-Match, each character one byte of it
    match: str = ""
    #: the ETag of what we have, for If-None-Match
    unless: str = ""
    decode: Callable[[bytes], object] = OBJECT.decode
    #: what a body is called; "" for what the dialect calls it
    media: str = ""
    #: headers besides those that every request has
    extra: Mapping[str, str] = field(default_factory=dict)
    #: a POST that only asks, so that asking twice does no harm
    only_asks: bool = False
    #: tries that may be refused with 429
    throttles: int = TRIES
    #: tries that may fail on the target's side
    failures: int = TRIES
    #: tries that may come back as something else than JSON
    unreadables: int = TRIES
    #: tries that may meet a server that is not well; fewer than all say that trouble may be the answer
    troubles: int = TRIES
    #: tries that were refused so before, each of which makes the wait longer
    tried: int = 0

    @property
    def shown(self) -> str:
        """The request as messages name it: method, path, and the names of its parameters."""
        parts = urlsplit(self.url)
        names = ", ".join(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
        return f"{self.method} {parts.path}{' with ' if names else ''}{names}"

    @property
    def safe(self) -> bool:
        """Whether asking twice does no harm."""
        return self.method == "GET" or self.only_asks

    def headers(self, media: str) -> dict[str, str]:
        """The headers of one try, but for `Authorization`; `media` is what a body of SCIM is called."""
        headers = {"Accept": f"{MEDIA_TYPE}, application/json;q=0.9", "Accept-Encoding": "gzip"}
        if self.body:
            headers["Content-Type"] = self.media or media
        if self.match:
            headers["If-Match"] = self.match
        if self.unless:
            headers["If-None-Match"] = self.unless
        return {**headers, **self.extra}


class Answer(Struct, frozen=True, kw_only=True):
    """What came of one exchange, or of all tries of one request."""

    exchange: Exchange
    status: int = 0
    headers: httpx2.Headers = field(default_factory=httpx2.Headers)
    content: bytes = b""
    #: the decoded body of a trusted 2xx answer
    value: object = None
    detail: str = ""
    tries: int = 1
    retry_after_s: float | None = None
    #: the request, as messages name it
    asked: str = ""
    #: as `Reply` has them
    version: str = ""
    window_s: float | None = None

    @property
    def correlation(self) -> str:
        """The provider's name for this exchange, made safe to print."""
        text = self.headers.get("inin-correlation-id") or self.headers.get("x-request-id") or ""
        return "".join(sign for sign in text if "!" <= sign <= "~")[:128]

    @property
    def body(self) -> bytes:
        """The content without a mark of the order of its bytes."""
        return self.content.removeprefix(_BOM)

    @property
    def redirected(self) -> bool:
        """Whether the target sends us where we do not go."""
        return 300 <= self.status < 400 and self.status != 304

    def why(self) -> str:
        """What went wrong, in words for a message."""
        where = f" (correlation id {self.correlation})" if self.correlation else ""
        what = f"status {self.status}" if self.exchange is Exchange.ANSWERED else self.exchange.value
        return f"{what}{': ' if self.detail else ''}{self.detail}{where}"


class Wire:
    """Bare exchanges: connections, deadline, size cap. Knows nothing of tokens, tries or SCIM."""

    def __init__(self, settings: TargetSettings, transport: httpx2.AsyncBaseTransport | None) -> None:
        self._settings = settings
        # they would log URLs with personal values in filters, and headers with tokens
        for name in ("httpx2", "httpcore2"):
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.WARNING))
        connections = max(settings.workers, PAGES_AT_ONCE) + 2
        self._client = httpx2.AsyncClient(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            verify=_trust(settings),
            http1=True,
            http2=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none is kept
            headers={"User-Agent": "scimsync"},
            timeout=httpx2.Timeout(settings.exchange_s, connect=settings.connect_s, pool=settings.exchange_s / 2),
            # shorter than the idle time of common servers (5 s), so that no write meets a closing connection
            limits=httpx2.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=4.0
            ),
        )

    async def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request once."""
        try:
            async with asyncio.timeout(self._settings.exchange_s):
                sent = httpx2.Headers(headers, encoding="latin-1")
                request = self._client.build_request(method, url, headers=sent, content=body or None)
                response = await self._client.send(request, stream=True)
                try:
                    content, detail = await self._read(response)
                finally:
                    await response.aclose()
        except _NOT_SENT as error:
            return Answer(exchange=Exchange.NOT_SENT, detail=f"{type(error).__name__}: {_brief(error)}")
        except TimeoutError:
            detail = f"no complete answer within {self._settings.exchange_s:g} s"
            return Answer(exchange=Exchange.LOST, detail=detail)
        except (httpx2.HTTPError, httpx2.StreamError, zlib.error, OSError, ValueError) as error:
            return Answer(exchange=Exchange.LOST, detail=f"{type(error).__name__}: {_brief(error)}")
        if detail:
            return Answer(exchange=Exchange.LOST, headers=response.headers, detail=detail)
        return Answer(
            exchange=Exchange.ANSWERED,
            status=response.status_code,
            headers=response.headers,
            content=content,
        )

    async def _read(self, response: httpx2.Response) -> tuple[bytes, str]:
        """The decoded body, and what is wrong with it. Unpacked by us, since httpx2 sets no bound."""
        cap = self._settings.reply_bytes
        coding = response.headers.get("content-encoding", "").strip().lower()
        if coding not in {"", "identity", "gzip"}:
            return b"", "the answer has a content coding that was not asked for"
        unpack = zlib.decompressobj(wbits=31) if coding == "gzip" else None
        content, came = bytearray(), 0
        async for chunk in response.aiter_raw():
            came += len(chunk)
            if unpack is not None and unpack.eof:
                return b"", "something follows the end of the compressed answer"
            content += unpack.decompress(chunk, cap + 1 - len(content)) if unpack else chunk
            if max(len(content), came) > cap:
                return b"", f"the answer is larger than {cap} bytes"
        if unpack is not None and unpack.unused_data:
            return b"", "something follows the end of the compressed answer"
        if unpack is not None and not unpack.eof and content:
            return b"", "the compressed answer ends too early"
        return bytes(content), ""

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


def check_addresses(settings: TargetSettings) -> None:
    """Refuse what is no address before a secret is sent to it."""
    for name in ("api_url", "login_url", "token_url"):
        url = str(getattr(settings, name))
        parts = urlsplit(url)
        query = "" if name == "token_url" else parts.query  # RFC 6749 §3.2
        bad = parts.scheme not in {"https", "http"} or not parts.netloc or query or parts.fragment
        if (url or name == "api_url") and (bad or "@" in parts.netloc):
            raise ConfigError(f"[{settings.section}] {name}: {name} must look like https://host or https://host/path")


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Whom every target of this process trusts; read once, because it takes longer than some runs."""
    return httpx2.create_ssl_context(trust_env=False)


def _trust(settings: TargetSettings) -> ssl.SSLContext:
    """The system's authorities, and one more where configured. There is no switch to trust anybody."""
    ca_file = settings.ca_file
    if ca_file is None and not _is_secure(settings):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is never asked
    if ca_file is None:
        return _trusted()
    context = ssl.create_default_context()
    context.keylog_filename = None  # type: ignore[assignment]  # SSLKEYLOGFILE would write down what opens our traffic
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"[{settings.section}] ca_file: {ca_file} is not a readable PEM certificate file ({error})"
        ) from error
    return context


def _is_secure(settings: TargetSettings) -> bool:
    urls = (settings.api_url, settings.login_url, settings.token_url)
    return any(urlsplit(url).scheme != "http" for url in urls if url)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or "no further detail"


def lenient(content: bytes) -> object:
    """The body of an error, if it is JSON of any kind."""
    try:
        return msgspec.json.decode(content.removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def said_by(answer: Answer) -> str:
    """The target's own words about a refusal, made safe to print, for the end of a sentence; "" for none.

    A refused filter is often quoted in them, and has the value of a person: then there are none.
    """
    if answer.status < 400 or "filter" in answer.asked:
        return ""
    error = read_error(answer.status, lenient(answer.content))
    words = " ".join(filter(None, (error.scim_type or error.code, error.detail)))
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())[:_MOST_SAID]
    return f', which says "{words}"' if words else ""


def judged(answer: Answer, ask: Ask) -> Answer:
    """Decode a 2xx answer, or say why it cannot be believed."""
    if answer.redirected:
        host = urlsplit(answer.headers.get("location", "")).netloc or "another place"
        detail = f"a redirect to {host[:100]!r} was not followed and no token went there; check api_url or region"
        return replace(answer, detail=detail)
    if not 200 <= answer.status < 300:
        return answer
    if not answer.body:
        return replace(answer, detail="the answer has no body")
    kind = answer.headers.get("content-type", "")
    if not _JSON_TYPE.fullmatch(kind.strip()):
        return replace(answer, detail=f"the answer is {kind.split(';')[0][:60]!r} and not JSON (a proxy, perhaps?)")
    try:
        return replace(answer, value=ask.decode(answer.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        wrong = error
    try:
        if (whole := _HALF.sub(b"?", answer.body)) != answer.body:
            return replace(answer, value=ask.decode(whole))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        wrong = error
    return replace(answer, detail=f"the answer is not the JSON that was expected ({type(wrong).__name__})")
