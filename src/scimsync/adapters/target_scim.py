"""A SCIM service provider over HTTP. Fits `scimsync.engine.ports.Target`.

One exchange has a total deadline, a size cap that counts decoded bytes, and one of three ends:
answered, not sent, lost (`model.outcomes.Exchange`). A GET is asked again after any trouble. A write
is sent again only where the target surely did not carry it out: it was never reached, it answered
429, or it answered 401 to an old token. What a lost write did is for the caller to find out by reading.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import random
import re
import ssl
import sys
import zlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit

import httpx2
import msgspec

from scimsync.adapters.target_auth import Credentials, FixedToken, Grant, LoginAnswer, TokenKeeper
from scimsync.adapters.target_limits import (
    LONGEST_WAIT_S,
    Backoff,
    Breaker,
    Health,
    Pace,
    RetryBudget,
    announced,
    retry_after,
)
from scimsync.adapters.target_listing import PAGE, Census, Listing, Page, Stretch
from scimsync.errors import (
    ConfigError,
    FilterRefused,
    TargetDenied,
    TargetError,
    TargetUnanswered,
    TargetUnavailable,
)
from scimsync.model.outcomes import Description, Document, Exchange, Reply, Sweep
from scimsync.scim.dialect import Dialect
from scimsync.scim.drift import CONFIG, RESOURCE_TYPES, SCHEMAS
from scimsync.scim.messages import MEDIA_TYPE, Operation, entity_tag, patch_body, read_error, version_of
from scimsync.scim.spelling import Spelling, document

#: tries of one request, the first included
TRIES = 5
#: seconds that one request may wait between its tries, all together
LONGEST_PATIENCE_S = 600.0
#: readings of the directory until one adds up
SWEEPS = 3
#: pages that are fetched at the same time
PAGES_AT_ONCE = 4
#: names that are asked for at a time
NAMES_PAGE = 100
#: a page that Genesys serves without a second thought (documented)
SMALL_PAGE = 25
#: seconds for which the list of inactive accounts is good enough to look up a name
INACTIVE_GOOD_S = 60.0

_T = TypeVar("_T")
_CORE = "urn:ietf:params:scim:schemas:core:2.0:user:"
_ID = re.compile(r"[A-Za-z0-9._~-]{1,256}")
_ATTRIBUTE = re.compile(r"[A-Za-z$][A-Za-z0-9.:_$-]{0,255}")
_VERSION = re.compile(r"[\x21\x23-\x7e]{1,256}")  # etagc of RFC 9110 §8.8.3, ASCII only
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)
#: server errors that say how the server is made, and not how it is
_LASTING = frozenset({501, 505})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """Everything about a target that stands in the configuration. Secrets do not show in `repr`."""

    api_url: str
    dialect: Dialect
    login_url: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    #: a ready-made token instead of id and secret
    token: str = field(default="", repr=False)
    #: None: what the target announces; 0: no pacing
    requests_per_minute: int | None = None
    #: writes that run at the same time; decides the number of connections
    workers: int = 8
    connect_s: float = 5.0
    #: deadline of one exchange, from connecting to the last byte
    exchange_s: float = 30.0
    #: how long a caller waits for a target that is down
    patience_s: float = 120.0
    #: decoded bytes of one answer
    reply_bytes: int = 8 * 1024 * 1024
    #: one more certificate authority to trust, PEM
    ca_file: Path | None = None


class _Named(msgspec.Struct):
    name: str


class _NamesPage(msgspec.Struct, rename={"pages": "pageCount"}):
    """A page of a listing of the Platform API of Genesys Cloud."""

    entities: list[_Named]
    pages: int


_NAMES_PAGE = msgspec.json.Decoder(_NamesPage, strict=False)
_OBJECT = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """One request as the caller wants it."""

    kind: str
    method: str
    url: str
    body: bytes = b""
    version: str = ""
    #: the ETag of what we have, for If-None-Match
    unless: str = ""
    decode: Callable[[bytes], object] = _OBJECT.decode
    #: tries that may be refused with 429
    throttles: int = TRIES

    @property
    def safe(self) -> bool:
        """Whether asking twice does no harm."""
        return self.method == "GET"

    def headers(self) -> dict[str, str]:
        """The headers of one try, but for `Authorization`."""
        headers = {"Accept": f"{MEDIA_TYPE}, application/json;q=0.9", "Accept-Encoding": "gzip"}
        if self.body:
            headers["Content-Type"] = MEDIA_TYPE
        if self.version:
            headers["If-Match"] = entity_tag(self.version)
        if self.unless:
            headers["If-None-Match"] = self.unless
        return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
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

    @property
    def correlation(self) -> str:
        """The provider's name for this exchange, made safe to print."""
        text = self.headers.get("inin-correlation-id") or self.headers.get("x-request-id") or ""
        return "".join(sign for sign in text if "!" <= sign <= "~")[:128]

    @property
    def redirected(self) -> bool:
        """Whether the target sends us elsewhere. We do not go."""
        return 300 <= self.status < 400 and self.status != 304

    def why(self) -> str:
        """What went wrong, in words for a message."""
        where = f" (correlation id {self.correlation})" if self.correlation else ""
        what = f"status {self.status}" if self.exchange is Exchange.ANSWERED else self.exchange.value
        return f"{what}{': ' if self.detail else ''}{self.detail}{where}"


class _Wire:
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
            verify=_trust(settings.ca_file),
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

    async def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        """Send one request once."""
        try:
            async with asyncio.timeout(self._settings.exchange_s):
                request = self._client.build_request(method, url, headers=headers, content=body or None)
                response = await self._client.send(request, stream=True)
                try:
                    content, detail = await self._read(response)
                finally:
                    await response.aclose()
        except _NOT_SENT as error:
            return _Answer(exchange=Exchange.NOT_SENT, detail=f"{type(error).__name__}: {_brief(error)}")
        except TimeoutError:
            detail = f"no complete answer within {self._settings.exchange_s:g} s"
            return _Answer(exchange=Exchange.LOST, detail=detail)
        except (httpx2.HTTPError, httpx2.StreamError, zlib.error, OSError, ValueError) as error:
            return _Answer(exchange=Exchange.LOST, detail=f"{type(error).__name__}: {_brief(error)}")
        if detail:
            return _Answer(exchange=Exchange.LOST, headers=response.headers, detail=detail)
        return _Answer(
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
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += unpack.decompress(chunk, cap + 1 - len(content)) if unpack else chunk
            if len(content) > cap:
                return b"", f"the answer is larger than {cap} bytes"
        if unpack is not None and not unpack.eof and content:
            return b"", "the compressed answer ends too early"
        return bytes(content), ""

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


def _check_addresses(settings: TargetSettings) -> None:
    """Refuse what is no address before a secret is sent to it."""
    for name, url in (("api_url", settings.api_url), ("login_url", settings.login_url)):
        parts = urlsplit(url)
        bad = parts.scheme not in {"https", "http"} or not parts.netloc or parts.query or parts.fragment
        if (url or name == "api_url") and (bad or "@" in parts.netloc):
            raise ConfigError(f"[target] {name}: {name} must look like https://host or https://host/path")


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Whom every target of this process trusts; read once, because it takes longer than some runs."""
    return httpx2.create_ssl_context(trust_env=False)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """The system's authorities, and one more where configured. There is no switch to trust anybody."""
    if ca_file is None:
        return _trusted()
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"[target] ca_file: {ca_file} is not a readable PEM certificate file ({error})") from error
    return context


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or "no further detail"


class ScimTarget:
    """The directory behind `settings.api_url`. Fits `scimsync.engine.ports.Target`.

    `counts` counts requests that were sent, by kind: token, list, get, find, names, create, patch, probe,
    describe, group_list, group_get, group_patch; and `throttled`, the answers that were 429.
    """

    def __init__(
        self,
        settings: TargetSettings,
        *,
        clock: Clock,
        rng: random.Random,
        notice: Callable[[str], None] = lambda _: None,
        transport: httpx2.AsyncBaseTransport | None = None,
        watch: Watch | None = None,
    ) -> None:
        _check_addresses(settings)
        self._settings = settings
        self._dialect = settings.dialect
        self._base = settings.api_url.rstrip("/") + settings.dialect.base_path
        self._users = self._base + "/Users"
        self._groups = self._base + "/Groups"
        self._clock = clock
        self._spelling = Spelling(settings.dialect.users)
        self._wire = _Wire(settings, transport)
        self._keeper = self._make_keeper(rng)
        self._backoff = Backoff(rng)
        self._budget = RetryBudget()
        self._pace = Pace(clock, settings.requests_per_minute, settings.dialect.requests_per_minute)
        self._watch = watch or _Unwatched()
        self._notice = notice
        self._breaker = Breaker(clock, self._probe, self._noticed, name=self._host, patience_s=settings.patience_s)
        self._page_cap = sys.maxsize
        self._inactive: dict[str, tuple[float, Sequence[tuple[str, str]]]] = {}
        self._inactive_lock = asyncio.Lock()
        self.counts: dict[str, int] = {}

    def _make_keeper(self, rng: random.Random) -> TokenKeeper | FixedToken:
        who = self._settings
        if who.token:
            return FixedToken(who.token)
        if not (who.login_url and who.client_id and who.client_secret):
            raise ConfigError("[target] needs login_url (or region), client_id and client_secret, or a token")
        credentials = Credentials(login_url=who.login_url, client_id=who.client_id, client_secret=who.client_secret)
        return TokenKeeper(credentials, self._login, clock=self._clock, rng=rng)

    @property
    def _host(self) -> str:
        return urlsplit(self._settings.api_url).netloc or self._settings.api_url

    @property
    def name(self) -> str:
        """The API address, which also identifies the target in seals."""
        return self._base

    @property
    def rate(self) -> int:
        """Requests a minute that are allowed now; where nothing is paced, what one could hope for."""
        rate = self._pace.rate
        return max(1, int(rate)) if rate < 60_000 else 60_000

    async def close(self) -> None:
        """Let go of connections."""
        await self._wire.close()

    # -- reading ---------------------------------------------------------------------------------

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        """Read all accounts, active and inactive; hand each page's resources to `sink` as raw JSON.

        A reading that does not add up (RFC 7644 §3.4.2.4 promises no stable paging) is repeated, then
        page by page, up to three in all; an account is passed on in the first one that shows it.

        Raises:
            TargetError: The directory cannot be read at all.
        """
        before = self.counts.get("list", 0)
        census = Census(sink)
        for reading in range(1, SWEEPS + 1):
            census.begin()
            for only in self._slices():
                census.turn()
                await self._read_slice(census, Listing(tuple(attributes), only), reading)
            census.close()
            if not census.trouble:
                break
        return Sweep(
            accounts=census.accounts,
            announced=census.announced,
            incomplete=f"{census.trouble} (read {reading} times)" if census.trouble else "",
            requests=self.counts.get("list", 0) - before,
        )

    def _slices(self) -> tuple[str, ...]:
        """The filters whose answers together are everybody."""
        return ("", "active eq false") if self._dialect.lists_active_only else ("",)

    async def _read_slice(self, census: Census, listing: Listing, reading: int, *, whole: bool = True) -> None:
        """Read one listing to its end, or to its first trouble where there will be another reading.

        Args:
            census: Where accounts are counted.
            listing: What is asked for.
            reading: Which reading it is.
            whole: Whether an end that was announced must be proven.
        """
        stretch = Stretch(census, self._page_size(listing.attributes))
        async with aclosing(self._pages(listing, at_once=reading == 1)) as pages:
            async for page in pages:
                if not stretch.take(page) or (census.trouble and reading < SWEEPS):
                    return
        while whole and stretch.is_open:
            beyond = await self._beyond(stretch, listing)
            if beyond is None or not stretch.take_beyond(beyond):
                return

    async def _beyond(self, stretch: Stretch, listing: Listing) -> Page | None:
        """What follows the end that a listing has announced; None where that is refused."""
        answer = await self._call(self._list_ask(listing, stretch.met + 1, min(stretch.asked, self._page_cap)))
        if answer.status == 404:
            return Page(total=stretch.met)
        if 400 <= answer.status < 500 and answer.status not in {401, 408, 425, 429}:
            stretch.refused(answer.status)
            return None
        return self._value(answer, Page)

    async def _pages(self, listing: Listing, *, at_once: bool) -> AsyncGenerator[Page, None]:
        """The pages in order: some ahead in the first reading, later one after the other."""
        size = self._page_size(listing.attributes)
        first = await self._page(listing, 1, size)
        yield first
        step, total = len(first.resources), first.total
        if not step or step >= total:
            return
        ahead: deque[asyncio.Task[Page]] = deque()
        start = 1 + step
        try:
            while ahead or start <= total:
                while start <= total and len(ahead) < (PAGES_AT_ONCE if at_once else 1):
                    ahead.append(asyncio.ensure_future(self._page(listing, start, step if at_once else size)))
                    start += step
                page = await ahead.popleft()
                yield page
                if not at_once:
                    start += len(page.resources) - step
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    def _page_size(self, attributes: Sequence[str]) -> int:
        expensive = not attributes or any(_costs(name.lower(), self._dialect.expensive) for name in attributes)
        return self._dialect.expensive_page_size if expensive else self._dialect.page_size

    async def _page(self, listing: Listing, start: int, want: int) -> Page:
        """Resources `start` to `start + want`; in small pages once the target refused large ones.

        Documented by Genesys: `count` above 25 may itself cause a 429. Two in a row decide it.
        """
        if want <= self._page_cap:
            ask = self._list_ask(listing, start, want)
            if want > SMALL_PAGE:
                ask = replace(ask, throttles=2)
            answer = await self._call(ask)
            if not (answer.status == 429 and want > SMALL_PAGE and answer.retry_after_s is None):
                return self._value(answer, Page)
            self._page_cap = SMALL_PAGE
        page = await self._page(listing, start, SMALL_PAGE)
        resources = list(page.resources)
        while len(resources) < want and start + len(resources) <= page.total:
            count = min(SMALL_PAGE, want - len(resources))
            page = await self._page(listing, start + len(resources), count)
            if not page.resources:
                break
            resources += page.resources
        return Page(total=page.total, listed=resources)

    def _list_ask(self, listing: Listing, start: int, count: int) -> _Ask:
        query = {"startIndex": str(start), "count": str(count)}
        if listing.attributes:
            query["attributes"] = ",".join(listing.attributes)
        if listing.only:
            query["filter"] = listing.only
        return _Ask(
            kind=listing.kind, method="GET", url=f"{listing.url or self._users}?{_query(query)}", decode=self._as_page
        )

    async def get(self, account: str) -> Reply:
        """Read one account, with every attribute. Trouble that outlasts the tries comes as a Reply."""
        if (url := self._account_url(account)) is None:
            return _refused_here("GET", "an account id that cannot stand in an address")
        return _reply(
            "GET", await self._call(_Ask(kind="get", method="GET", url=url, decode=self._as_resource)), account
        )

    async def find(self, attribute: str, value: str) -> Sequence[Reply]:
        """Accounts, active or not, whose attribute equals the value.

        Genesys documents filters of one `eq` only, and lists active people only unless asked for
        inactive ones. So an account that the plain filter does not show is looked for in the list of
        inactive accounts, which is read once a minute at most and compared here.

        Raises:
            FilterRefused: The target takes no filter on this attribute, or does not heed it.
            TargetUnanswered: This question was not answered now.
            TargetError: The target cannot be asked at all.
            ValueError: `attribute` is not the name of an attribute.
        """
        if not _ATTRIBUTE.fullmatch(attribute):
            raise ValueError(f"{attribute!r} is not the name of an attribute")
        only = f"{attribute} eq {json.dumps(value, ensure_ascii=False)}"
        page = self._hits(await self._call(self._list_ask(Listing((), only, "find"), 1, SMALL_PAGE)), attribute)
        bodies = [body for raw in page.resources if (body := _readable(raw)) is not None]
        held = [_held(body, attribute) for body in bodies]
        matching = [text is not None and text.casefold() == value.casefold() for text in held]
        is_heeded = len(bodies) == len(page.resources) and all(map(_or_hidden, matching, held))
        if not is_heeded and page.total > len(page.resources):
            raise FilterRefused(f"{self._host} answers a filter on {attribute} with accounts that do not match it.")
        # whoever does not show the attribute was found by it, where the filter is heeded
        found = [body for body, fits in zip(bodies, matching, strict=True) if fits or is_heeded]
        replies = [_reply("GET", _Answer(exchange=Exchange.ANSWERED, status=200, value=body)) for body in found]
        if replies or not self._dialect.lists_active_only:
            return replies
        return await self._find_inactive(attribute, value)

    def _hits(self, answer: _Answer, attribute: str) -> Page:
        """The answer to a filter; 404 says that nobody meets it."""
        if answer.status == 404:
            return Page(total=0)
        if isinstance(answer.value, Page):
            return answer.value
        if answer.status >= 300 and answer.status not in {401, 429} and not _is_troubled(answer.status):
            raise FilterRefused(f"{self._host} takes no filter on {attribute} ({answer.why()}).")
        error = self._failure(answer)
        raise TargetUnanswered(str(error)) if isinstance(error, TargetUnavailable) else error

    async def _find_inactive(self, attribute: str, value: str) -> Sequence[Reply]:
        wanted = value.casefold()
        replies = []
        for account, held in await self._inactive_accounts(attribute):
            if held.casefold() != wanted:
                continue
            reply = await self.get(account)
            if reply.ok and reply.body is not None:
                replies.append(reply)
            elif reply.status != 404:
                raise TargetUnanswered(f"{self._host}: an inactive account could not be read: {reply.detail}")
        return replies

    async def _inactive_accounts(self, attribute: str) -> Sequence[tuple[str, str]]:
        """Id and one value of every inactive account, at most a minute old."""
        async with self._inactive_lock:
            known = self._inactive.get(attribute)
            if known and self._clock.monotonic() < known[0] + INACTIVE_GOOD_S:
                return known[1]
            names = tuple(dict.fromkeys(("id", "userName", attribute)))
            pairs: list[tuple[str, str]] = []
            read_at = self._clock.monotonic()
            census = Census(lambda resources: pairs.extend(_pairs(resources, attribute)))
            census.begin()
            await self._read_slice(census, Listing(names, "active eq false", "find"), SWEEPS)
            census.close()
            if census.trouble:
                raise TargetUnanswered(f"{self._host}: the list of inactive accounts has holes: {census.trouble}")
            self._inactive[attribute] = (read_at, pairs)
            return pairs

    async def names(self, kind: str) -> frozenset[str] | None:
        """The names of a kind, from the list that the dialect gives; None where it is not shown to us.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        listed = next((one for one in self._dialect.names if one.kind == kind), None)
        found: set[str] = set()
        page = pages = 1
        while listed is not None and page <= pages:
            query = _query({"pageNumber": str(page), "pageSize": str(NAMES_PAGE)})
            url = f"{self._settings.api_url.rstrip('/')}{listed.url}?{query}"
            answer = await self._call(_Ask(kind="names", method="GET", url=url, decode=_NAMES_PAGE.decode))
            if not isinstance(answer.value, _NamesPage):
                return None
            found |= {one.name for one in answer.value.entities}
            page, pages = page + 1, answer.value.pages
        return None if listed is None else frozenset(found)

    async def list_groups(
        self, sink: Callable[[Sequence[bytes]], None], wanted: Sequence[tuple[str, str]] = ()
    ) -> Sweep:
        """Read all groups without their members (those are expensive: documented), as `sweep` reads accounts.

        Genesys marks the filter as required on one of its two addresses (documented, contradictory): where
        a plain listing is a 400, each group of `wanted` is asked for by itself.

        Raises:
            TargetError: The groups cannot be read at all.
        """
        census = Census(sink, "group")
        listing = Listing(("id", "displayName"), kind="group_list", url=self._groups)
        before = self.counts.get("group_list", 0)
        probe = await self._call(self._list_ask(listing, 1, 1))
        if probe.status == 400:
            await self._list_each(census, listing, wanted)
        else:
            self._value(probe, Page)
            await self._list_all(census, listing)
        return Sweep(
            accounts=census.accounts,
            announced=census.announced,
            incomplete=census.trouble,
            requests=self.counts.get("group_list", 0) - before,
        )

    async def _list_all(self, census: Census, listing: Listing) -> None:
        for reading in range(1, SWEEPS + 1):
            census.begin()
            await self._read_slice(census, listing, reading)
            census.close()
            if not census.trouble:
                return

    async def _list_each(self, census: Census, listing: Listing, wanted: Sequence[tuple[str, str]]) -> None:
        for attribute, value in wanted:
            census.begin()
            only = f"{attribute} eq {json.dumps(value, ensure_ascii=False)}"
            await self._read_slice(census, replace(listing, only=only), SWEEPS, whole=False)
            census.close()
            if census.trouble:
                return

    async def get_group(self, group: str) -> Reply:
        """Read one group, with its members. Trouble that outlasts the tries comes as a Reply."""
        if (url := _resource_url(self._groups, group)) is None:
            return _refused_here("GET", "a group id that cannot stand in an address")
        return _reply(
            "GET", await self._call(_Ask(kind="group_get", method="GET", url=url, decode=self._as_resource)), group
        )

    async def describe(self, known: Mapping[str, Document] | None = None) -> Description:
        """What the target says about itself (RFC 7644 §4), and what its clock shows.

        A document that we know is asked for with its ETag; 304 is documented for ServiceProviderConfig
        alone, and the two others may carry none. A document that the target does not serve is left out.

        Raises:
            TargetError: It does not say.
        """
        known = known or {}
        documents: dict[str, Document] = {}

        def keep(name: str, answer: _Answer) -> None:
            if answer.status not in {404, 501}:
                documents[name] = self._document(answer, known.get(name))

        first = await self._call(self._describe_ask(CONFIG, known))
        keep(CONFIG, first)  # raises before more is asked of a target that is down
        others = (SCHEMAS, RESOURCE_TYPES)
        answers = await asyncio.gather(*(self._call(self._describe_ask(name, known)) for name in others))
        for name, answer in zip(others, answers, strict=True):
            keep(name, answer)
        if not documents:
            raise self._failure(first)
        date = _date(first.headers)
        return Description(
            documents=documents,
            server_date=date,
            skew_s=(date - self._clock.now()).total_seconds() if date else None,
            correlation_id=first.correlation,
        )

    def _document(self, answer: _Answer, known: Document | None) -> Document:
        """What was answered, or what we knew where it did not change."""
        if answer.status == 304 and known is not None:
            return known
        body: dict[str, object] = self._value(answer, dict)
        return Document(body, answer.headers.get("etag", ""))

    def _describe_ask(self, what: str, known: Mapping[str, Document], kind: str = "describe") -> _Ask:
        tag = known[what].tag if what in known else ""
        return _Ask(kind=kind, method="GET", url=f"{self._base}/{what}", unless=tag, decode=_as_document)

    # -- writing ---------------------------------------------------------------------------------

    async def create(self, resource: dict[str, object]) -> Reply:
        """POST a new account (RFC 7644 §3.3)."""
        body = msgspec.json.encode(resource)
        if resource.get("active") is False:
            self._inactive.clear()
        return _reply(
            "POST",
            await self._call(_Ask(kind="create", method="POST", url=self._users, body=body, decode=self._as_resource)),
        )

    async def patch(self, account: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH an account under If-Match (RFC 7644 §3.5.2, §3.14).

        Raises:
            ValueError: `version` is empty or cannot be an entity tag: a blind write is never sent.
        """
        if not _VERSION.fullmatch(version):
            raise ValueError("a PATCH needs the version it rests on")
        if (url := self._account_url(account)) is None:
            return _refused_here("PATCH", "an account id that cannot stand in an address")
        if any(o.path is None or o.path.lower() == "active" for o in operations):
            self._inactive.clear()
        body = msgspec.json.encode(patch_body(operations))
        ask = _Ask(kind="patch", method="PATCH", url=url, body=body, version=version, decode=self._as_resource)
        return _reply("PATCH", await self._call(ask), account)

    async def patch_group(self, group: str, operations: Sequence[Operation], version: str) -> Reply:
        """PATCH a group under If-Match (RFC 7644 §3.5.2, §3.14).

        Raises:
            ValueError: `version` is empty or cannot be an entity tag.
        """
        if not _VERSION.fullmatch(version):
            raise ValueError("a PATCH needs the version it rests on")
        if (url := _resource_url(self._groups, group)) is None:
            return _refused_here("PATCH", "a group id that cannot stand in an address")
        body = msgspec.json.encode(patch_body(operations))
        ask = _Ask(kind="group_patch", method="PATCH", url=url, body=body, version=version, decode=self._as_resource)
        return _reply("PATCH", await self._call(ask), group)

    def _account_url(self, account: str) -> str | None:
        return _resource_url(self._users, account)

    # -- one request, several tries ----------------------------------------------------------------

    async def _call(self, ask: _Ask) -> _Answer:
        """Ask until there is an answer to give back.

        Raises:
            TargetUnavailable: The breaker stays open, or no token is to be had.
            TargetDenied: The credentials are refused.
        """
        spent, waited = 0, 0.0
        for attempt in range(1, TRIES + 1):
            sent_at = await self._turn()
            answer = replace(await self._authorised(ask), tries=attempt)
            self._learn(answer, sent_at)
            again = self._again(ask, answer, attempt)
            if again is None:
                self._heed(answer, sent_at)
                if 0 < answer.status < 400:
                    self._budget.give_back(spent)
                return answer
            if again.throttled:
                self._pace.penalise(again.wait_s, sent_at)
            waited += again.wait_s
            last = attempt >= (min(ask.throttles, TRIES) if again.throttled else TRIES)
            if last or waited > LONGEST_PATIENCE_S or not self._budget.spend(again.cost):
                return answer
            spent += again.cost
            self._watch.retried(ask.kind, _cause(answer), again.wait_s)
            if not again.throttled:  # a refusal is waited out by everybody, in the pace
                await self._clock.sleep(again.wait_s)
        raise AssertionError("the last try returns")

    async def _turn(self) -> float:
        """Wait until the target is up and it is our turn; give the time."""
        while True:
            await self._breaker.admit()
            sent_at = await self._pace.take()
            if not self._breaker.is_open:
                return sent_at

    def _again(self, ask: _Ask, answer: _Answer, attempt: int) -> _Again | None:
        """Whether and how to try once more; None where this is the answer."""
        throttled = answer.status == 429
        unsent = answer.exchange is Exchange.NOT_SENT
        if not (throttled or unsent or (ask.safe and _is_transient(answer))):
            return None
        asked = self._asked(answer)
        if asked is not None and asked > LONGEST_WAIT_S:
            return None
        if throttled:
            return _Again(RetryBudget.THROTTLED, self._backoff.throttled(asked, attempt), throttled=True)
        return _Again(RetryBudget.TRANSIENT, max(asked or 0.0, self._backoff.delay(attempt)))

    def _heed(self, answer: _Answer, sent_at: float) -> None:
        """Let everybody wait where a write, which is not sent again here, was answered with a pause to make."""
        asked = self._asked(answer)
        if asked is not None and asked <= LONGEST_WAIT_S:
            self._pace.penalise(self._backoff.throttled(asked, 1), sent_at)

    def _asked(self, answer: _Answer) -> float | None:
        """What a refusal asks us to wait, by the target's own clock where it shows one."""
        if answer.status != 429 and not _is_troubled(answer.status):
            return None
        return retry_after(answer.headers.get_list("retry-after"), _date(answer.headers) or self._clock.now())

    async def _authorised(self, ask: _Ask) -> _Answer:
        """One try. An answer of 401 renews the token once, and the request is repeated once."""
        grant = await self._keeper.grant()
        answer = await self._send(ask, grant)
        if answer.status != 401:
            return answer
        grant = await self._keeper.renew(grant)
        taken: bool | None = None
        try:
            await self._pace.take()
            answer = await self._send(ask, grant)
            if answer.status:
                taken = answer.status != 401
        finally:
            self._keeper.report(grant, taken=taken)
        if taken is False and grant.trial:
            await self._keeper.grant()  # raises what was just reported
        return answer

    async def _send(self, ask: _Ask, grant: Grant) -> _Answer:
        headers = ask.headers() | {"Authorization": grant.header}
        answer = await self._exchange(ask.kind, ask.method, ask.url, headers, ask.body)
        if answer.status == 429:
            self._count("throttled")
        asked = self._asked(answer)
        if asked is not None and asked > LONGEST_WAIT_S:
            answer = replace(answer, retry_after_s=asked)
        return _judged(answer, ask)

    async def _probe(self) -> bool:
        """Whether the target serves again; one GET that changes nothing."""
        answer = await self._send(self._describe_ask(CONFIG, {}, "probe"), await self._keeper.grant())
        return answer.status > 0 and not _is_troubled(answer.status)

    async def _login(self, url: str, headers: Mapping[str, str], body: bytes) -> LoginAnswer:
        answer = await self._exchange("token", "POST", url, {**headers, "Accept-Encoding": "gzip"}, body)
        return LoginAnswer(
            status=answer.status,
            content=answer.content,
            trouble="" if answer.status else f"could not be asked ({answer.why()})",
            retry_after_s=retry_after(answer.headers.get_list("retry-after"), self._clock.now()),
        )

    def _learn(self, answer: _Answer, sent_at: float) -> None:
        """Let limiter and breaker see an answer."""
        if (said := announced(answer.headers)) is not None and answer.status != 429:
            self._pace.observe(said)
        slow = self._clock.monotonic() - sent_at > Breaker.SLOW_S
        if answer.exchange is Exchange.NOT_SENT:
            self._breaker.record(Health.UNREACHABLE, answer.why())
        elif slow or answer.exchange is Exchange.LOST or _is_troubled(answer.status):
            self._breaker.record(Health.BAD, answer.why())
        elif answer.status != 429:
            self._breaker.record(Health.GOOD)

    def _noticed(self, text: str) -> None:
        """Pass on what the breaker says; it speaks when its state changes, and only then."""
        self._watch.breaker(is_open=self._breaker.is_open)
        self._notice(text)

    async def _exchange(self, kind: str, method: str, url: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        """One exchange, counted and timed."""
        self._count(kind)
        sent_at = self._clock.monotonic()
        answer = await self._wire.exchange(method, url, headers, body)
        self._watch.asked(kind, _ending(answer), self._clock.monotonic() - sent_at)
        return answer

    def _as_resource(self, content: bytes) -> object:
        """A resource, with known names as the catalog spells them."""
        found = _OBJECT.decode(content)
        return self._spelling.resource(found) if self._spelling.is_odd(content) else found

    def _as_page(self, content: bytes) -> object:
        """A page of resources, spelled so."""
        if not self._spelling.is_odd(content):
            return PAGE.decode(content)
        return PAGE.decode(msgspec.json.encode(self._spelling.listing(msgspec.json.decode(content))))

    def _count(self, kind: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def _value(self, answer: _Answer, kind: type[_T]) -> _T:
        """The body of a read that the caller cannot do without."""
        if isinstance(answer.value, kind):
            return answer.value
        raise self._failure(answer)

    def _failure(self, answer: _Answer) -> TargetError:
        """The exception for a read that did not succeed."""
        why = answer.why()
        if answer.redirected:
            return TargetDenied(f"{self._host}: {why}")
        if answer.status == 429:
            asked = answer.retry_after_s
            when = f" and asks to come back in {asked:.0f} s" if asked else ""
            return TargetUnavailable(f"{self._host} refuses further requests{when}: {why}. Start again later.")
        if answer.status >= 400 and not _is_troubled(answer.status):
            return TargetDenied(
                f"{self._host} refuses to be read: {why}. Check api_url or region, the dialect, and the roles "
                "of the OAuth client (Genesys: 'SCIM Integration')."
            )
        return TargetUnavailable(f"{self._host} could not be read after {answer.tries} tries: {why}. Try again later.")


@dataclass(frozen=True, slots=True)
class _Again:
    """One more try: what it costs the budget, and how long to wait before."""

    cost: int
    wait_s: float
    throttled: bool = False


def _as_document(content: bytes) -> object:
    """What a provider says about itself, with its words spelled as RFC 7643 does."""
    return document(msgspec.json.decode(content))


def _resource_url(kind: str, identity: str) -> str | None:
    if not _ID.fullmatch(identity) or identity in {".", ".."}:
        return None
    return f"{kind}/{quote(identity, safe='')}"


def _query(parameters: Mapping[str, str]) -> str:
    return urlencode(parameters, quote_via=quote, safe=",:")


def _costs(name: str, expensive: frozenset[str]) -> bool:
    """Whether an attribute, one below it, or (for a whole extension) one in it costs a second look-up."""
    name = name.removeprefix(_CORE)
    return any(name == dear or name.startswith(dear + ".") or dear.startswith(name + ":") for dear in expensive)


def _judged(answer: _Answer, ask: _Ask) -> _Answer:
    """Decode a 2xx answer, or say why it cannot be believed."""
    if answer.redirected:
        host = urlsplit(answer.headers.get("location", "")).netloc or "another place"
        detail = f"a redirect to {host[:100]!r} was not followed and no token went there; check api_url or region"
        return replace(answer, detail=detail)
    if not 200 <= answer.status < 300:
        return answer
    if not answer.content:
        return replace(answer, detail="the answer has no body")
    kind = answer.headers.get("content-type", "")
    if not _JSON_TYPE.fullmatch(kind.strip()):
        return replace(answer, detail=f"the answer is {kind.split(';')[0][:60]!r} and not JSON (a proxy, perhaps?)")
    try:
        return replace(answer, value=ask.decode(answer.content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return replace(answer, detail=f"the answer is not the JSON that was expected ({type(error).__name__})")


def _ending(answer: _Answer) -> str:
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
    if _is_troubled(answer.status):
        return "failing"
    return known.get(answer.status, "ok" if 200 <= answer.status < 300 else "refused")


def _cause(answer: _Answer) -> str:
    """Why a request is sent once more."""
    if answer.status == 429:
        return "throttled"
    return "not sent" if answer.exchange is Exchange.NOT_SENT else "failing"


def _is_transient(answer: _Answer) -> bool:
    """Whether a GET may do better next time. An unreadable 200 comes from something in between."""
    unreadable = 200 <= answer.status < 300 and answer.value is None
    return answer.exchange is Exchange.LOST or _is_troubled(answer.status) or unreadable


def _is_troubled(status: int) -> bool:
    """Whether a status says that the server is not well, and may be another time: any 5xx, known or not."""
    return status in {408, 425} or (status >= 500 and status not in _LASTING)


def _reply(method: str, answer: _Answer, account: str = "") -> Reply:
    """An answer in the engine's words."""
    body = answer.value if isinstance(answer.value, dict) else None
    detail = answer.detail
    if body is not None and (not isinstance(body.get("id"), str) or account not in {"", body["id"]}):
        body, detail = None, "the answer shows another account than the one asked for"
    error = None
    if answer.exchange is Exchange.ANSWERED and answer.status >= 400:
        error = read_error(answer.status, _lenient(answer.content), answer.correlation)
        detail = detail or error.detail
    return Reply(
        exchange=Exchange.LOST if _is_page(answer) else answer.exchange,
        method=method,
        status=answer.status,
        body=body,
        version=_version(answer.headers, body) if 200 <= answer.status < 300 else "",
        error=error,
        detail=detail,
        correlation_id=answer.correlation or (error.correlation_id if error else ""),
        location=_made(answer.headers) if method == "POST" else "",
        retry_after_s=answer.retry_after_s,
        tries=answer.tries,
    )


def _is_page(answer: _Answer) -> bool:
    """Whether a web page came with 200: something in between spoke, and what the target did is unknown."""
    kind = answer.headers.get("content-type", "").strip().lower()
    return answer.status == 200 and answer.value is None and kind.startswith("text/html")


def _made(headers: httpx2.Headers) -> str:
    """The id that a `Location` ends with. Nobody goes to that address: the id is asked for at ours."""
    path = urlsplit(headers.get("location", "")).path.rstrip("/")
    head, _, last = path.rpartition("/")
    return unquote(last) if head.lower().endswith("/users") else ""


def _refused_here(method: str, why: str) -> Reply:
    return Reply(exchange=Exchange.NOT_SENT, method=method, detail=f"not sent: {why}", tries=0)


def _version(headers: Mapping[str, str], body: Mapping[str, object] | None) -> str:
    """The version of a resource: entity tag first, then `meta.version` (RFC 7644 §3.14)."""
    meta = body.get("meta") if body else None
    return version_of(headers.get("etag")) or version_of(meta.get("version") if isinstance(meta, dict) else None)


def _lenient(content: bytes) -> object:
    """The body of an error, if it is JSON of any kind."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _readable(raw: msgspec.Raw) -> dict[str, object] | None:
    try:
        return _OBJECT.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _or_hidden(fits: bool, held: str | None) -> bool:  # noqa: FBT001 - one pair of a comparison
    return fits or held is None


def _pairs(resources: Sequence[bytes], attribute: str) -> list[tuple[str, str]]:
    bodies = (_OBJECT.decode(raw) for raw in resources)
    return [(str(body["id"]), held) for body in bodies if (held := _held(body, attribute)) is not None]


def _held(body: Mapping[str, object], attribute: str) -> str | None:
    """The text under a simple attribute, plain or below an extension's URN; names in any case."""
    holder: object = body
    urn, colon, name = attribute.rpartition(":")
    if colon and urn.lower() + ":" != _CORE:
        holder = _member(body, urn)
    held = _member(holder, name)
    return held if isinstance(held, str) else None


def _member(holder: object, name: str) -> object:
    if not isinstance(holder, Mapping):
        return None
    return next((held for key, held in holder.items() if key.lower() == name.lower()), None)


def _date(headers: Mapping[str, str]) -> datetime | None:
    """The `Date` of an answer (RFC 9110 §6.6.1)."""
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
