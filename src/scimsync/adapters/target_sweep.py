"""Listings, read whole: pages, readings that are repeated, proof of their end."""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from urllib.parse import quote, urlencode

from msgspec.structs import replace

from scimsync.adapters.target_http import Client, is_troubled
from scimsync.adapters.target_listing import MOST_EMPTY, Census, Listing, Page, Stretch
from scimsync.adapters.target_pages import PageSizes
from scimsync.adapters.target_wire import PAGES_AT_ONCE, TRIES, Answer, Ask
from scimsync.model.durations import duration_text
from scimsync.model.outcomes import Sweep
from scimsync.scim.dialect import Dialect

#: readings of the directory until one adds up
SWEEPS = 3
#: pages of which people are told before they are read: half a minute, where 300 a minute are granted
WORTH_TELLING = 150
#: a page that Genesys serves without a second thought (documented)
SMALL_PAGE = 25
#: how a target says that it does not understand a question
_REFUSED = frozenset({400, 414, 501})
#: how a target fails on an attribute that it does not know, and does not say so
_UNFIT = frozenset({403, 404, 422, 500})
#: the filter that lists who is inactive
INACTIVE = "active eq false"
#: what shows the version of an account in a listing
VERSION = "meta.version"
CORE = "urn:ietf:params:scim:schemas:core:2.0:user:"


def query_of(parameters: Mapping[str, str]) -> str:
    """Parameters as the query of an address."""
    return urlencode(parameters, quote_via=quote, safe=",:")


class _WallMet(Exception):
    """The target refuses to list more of the inactive people."""


class Listings:
    """Reads listings whole, page by page (RFC 7644 §3.4.2.4).

    Args:
        client: Asks.
        dialect: What the target lists, and in pages of what size.
        users: The address of the accounts, which a listing is of where it names no other.
        decode: Makes a page of a text of JSON.
        notice: Takes a sentence when much is to be read.
        sizes: Knows how large a page may be.
    """

    def __init__(
        self,
        client: Client,
        dialect: Dialect,
        users: str,
        decode: Callable[[bytes], object],
        notice: Callable[[str], None],
        sizes: PageSizes,
    ) -> None:
        self._client, self._dialect, self._users, self._decode = client, dialect, users, decode
        self._notice, self._sizes = notice, sizes
        #: the parameter `attributes` was refused, or is known to be, so whole resources are read
        self._plain = not dialect.takes_attributes
        #: accounts are listed with their versions where those guard writes, as the dialect or the target says, so that
        #: whoever is written need not be read before; Genesys Cloud shows them unasked (documented)
        self.guarded = dialect.concurrency == "version"
        self._versions = not dialect.counts_versions and dialect.versions_in in {"meta", "both"}
        #: a listing goes on by cursors, not by numbers (RFC 9865)
        self.by_cursor = dialect.pages_by == "cursor"
        #: the largest page that the target announces; 0 for none
        self.announced = 0
        #: whether the target can be asked for pages of some size; None before it was
        self._counts: bool | None = True if dialect.knows_schemas else None
        #: filter -> ids in the order of the last listing of accounts
        self._order: dict[str, list[str]] = {}

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        """Read all accounts, active and inactive; hand each page's resources to `sink` as raw JSON.

        A reading that does not add up (RFC 7644 §3.4.2.4 promises no stable paging) is repeated, then
        page by page, up to three in all; an account is passed on in the first one that shows it.

        Raises:
            TargetError: The directory cannot be read at all.
        """
        before = self._client.counts.get("list", 0)
        census, slices, unlisted = Census(sink), self._slices(), ""
        for reading in range(1, SWEEPS + 1):
            census.begin()
            for only in slices:
                census.turn()
                unlisted = await self.read_slice(census, Listing(tuple(attributes), only), reading)
            census.close()
            if not census.trouble:
                break
        self._order = dict(zip(slices, census.orders[-len(slices) :], strict=True))
        return Sweep(
            accounts=census.accounts,
            announced=census.announced,
            incomplete=f"{census.trouble} (read {reading} times)" if census.trouble else "",
            unlisted=unlisted,
            requests=self._client.counts.get("list", 0) - before,
        )

    async def reread(
        self, accounts: Collection[str], attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]
    ) -> None:
        """Read the pages again on which some accounts were listed last; whoever moved meanwhile does not come.

        Raises:
            TargetError: The directory cannot be read at all.
        """
        if self.by_cursor:  # no page has an address of its own
            return
        size, wanted = self._page_size(Listing(tuple(attributes))), frozenset(accounts)
        asked = [
            (Listing(tuple(attributes), only), 1 + size * page)
            for only, order in self._order.items()
            for page in sorted({place // size for place, account in enumerate(order) if account in wanted})
        ]
        census = Census(sink)
        census.begin()
        for first in range(0, len(asked), PAGES_AT_ONCE):
            pages = (self._listed(*each, size) for each in asked[first : first + PAGES_AT_ONCE])
            for page in await asyncio.gather(*pages):
                census.take(page)

    async def first(self, attributes: tuple[str, ...]) -> Page:
        """The first page of accounts.

        Raises:
            TargetError: It cannot be read.
        """
        listing = Listing(attributes)
        return await self._page(listing, 1, self._page_size(listing))

    async def _listed(self, listing: Listing, start: int, want: int) -> Page:
        """One page; an empty one where the target refuses to list so many inactive people."""
        try:
            return await self._page(listing, start, want)
        except _WallMet:
            return Page(total=0)

    def _slices(self) -> tuple[str, ...]:
        """The filters whose answers together are everybody."""
        return ("", INACTIVE) if self._dialect.lists_active_only else ("",)

    async def read_slice(self, census: Census, listing: Listing, reading: int, *, whole: bool = True) -> str:
        """Read one listing to its end, or to its first trouble where there will be another reading.

        Some of the inactive people may be all that is listed: Genesys Cloud answers 400 beyond 10,000 (documented of
        the Platform API, inferred of SCIM).

        Args:
            census: Where accounts are counted.
            listing: What is asked for.
            reading: Which reading it is.
            whole: Whether an end that was announced must be proven.

        Returns:
            Why the rest of the inactive people is not listed; "" where all are.
        """
        stretch = Stretch(census, self._page_size(listing))
        if self.by_cursor:
            await self._read_on(stretch, listing, reading)
            return ""
        try:
            at_once = reading == 1 and self._dialect.stable_pages
            async with aclosing(self._pages(listing, at_once=at_once)) as pages:
                async for page in pages:
                    if not stretch.take(page) or (census.trouble and reading < SWEEPS):
                        return ""
        except _WallMet as met:
            return stretch.walled(str(met))
        while whole and stretch.is_open:
            beyond = await self._beyond(stretch, listing)
            if beyond is None or not stretch.take_beyond(beyond):
                return ""
        return ""

    async def _read_on(self, stretch: Stretch, listing: Listing, reading: int) -> None:
        """Read a listing by its cursors (RFC 9865), to the page that has none or to the first trouble."""
        page = await self._page(listing, 1, stretch.asked)
        stretch.take_next(page)
        followed, empty = set[str](), 0
        while (cursor := page.cursor) and not (stretch.census.trouble and reading < SWEEPS):
            if cursor in followed:
                stretch.census.complain("a cursor leads back to a page that was read")
                return
            followed.add(cursor)
            count = min(stretch.asked, self._sizes.most(listing.what))
            answer = await self._client.call(self.ask(listing, 1, count, cursor))
            if answer.status == 400:  # it has expired (RFC 9865 §2.1), so the listing begins anew
                stretch.census.complain(f"a cursor was refused ({answer.why()})")
                return
            page = self._client.value(answer, Page)
            stretch.take_next(page)
            empty = 0 if page.resources else empty + 1
            if empty > MOST_EMPTY:
                stretch.census.complain(f"{empty} pages without anybody follow each other, and cursors lead on")
                return
        stretch.end()

    async def _beyond(self, stretch: Stretch, listing: Listing) -> Page | None:
        """What follows the end that a listing has announced; None where that is refused."""
        count = min(stretch.asked, self._sizes.most(listing.what))
        answer = await self._client.call(self.ask(listing, stretch.met + 1, count))
        if answer.status == 404:
            return Page(total=stretch.met)
        if 400 <= answer.status < 500 and answer.status not in {401, 408, 425, 429}:
            stretch.refused(answer.status)
            return None
        return self._client.value(answer, Page)

    async def _pages(self, listing: Listing, *, at_once: bool) -> AsyncGenerator[Page, None]:
        """The pages in order: some ahead in the first reading, later one after the other."""
        size = self._page_size(listing)
        first = await self._page(listing, 1, size)
        yield first
        step, total = len(first.resources), first.total
        if not step or step >= total:
            return
        if at_once and listing.kind == "list" and (pages := math.ceil(total / step)) >= WORTH_TELLING:
            took = duration_text(60 * pages / self._client.rate)
            self._notice(f"Reading {total:,} accounts takes {pages:,} requests, about {took}.")
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

    def _page_size(self, listing: Listing) -> int:
        expensive = not listing.attributes or any(map(self._dialect.is_expensive, listing.attributes))
        size = self._dialect.expensive_page_size if expensive else self._dialect.page_size
        return min(size, self._sizes.most(listing.what))

    async def _page(self, listing: Listing, start: int, want: int) -> Page:
        """Resources `start` to `start + want`; in pages of half the size each time the target refuses one.

        Documented by Genesys: `count` above 25 may itself cause a 429. Two in a row decide it.
        """
        if want <= self._sizes.most(listing.what):
            throttles = 2 if want > SMALL_PAGE else TRIES
            if start == 1:
                answer = await self.begin(listing, want, throttles)
            else:
                answer = await self._client.call(replace(self.ask(listing, start, want), throttles=throttles))
            if answer.status == 400 and start > 1 and listing.only == INACTIVE:
                raise _WallMet(answer.why())
            if answer.status == 429 and want > SMALL_PAGE and answer.retry_after_s is None:
                self._sizes.refused(listing.what, max(SMALL_PAGE, want // 2))
            elif not (answer.status in _REFUSED and start == 1 and await self._suits(listing, want)):
                served = self._client.value(answer, Page)
                self._sizes.accepted(listing.what, want)
                return served
            if want <= self._sizes.most(listing.what):
                return await self._page(listing, start, want)
        page = await self._page(listing, start, min(want, self._sizes.most(listing.what)))
        resources = list(page.resources)
        while not self.by_cursor and len(resources) < want and start + len(resources) <= page.total:
            count = min(self._sizes.most(listing.what), want - len(resources))
            page = await self._page(listing, start + len(resources), count)
            if not page.resources:
                break
            resources += page.resources
        return Page(total=page.total, listed=resources, cursor=page.cursor)

    async def begin(self, listing: Listing, count: int, throttles: int = TRIES) -> Answer:
        """The answer to what begins a listing: without `count` from now on, where that is what the target fails on.

        canaille answers 500 to any `count` (observed), and lists in its own pages where none is asked for. Whoever
        fails on the version that is asked for is asked once more without.
        """
        if self._counts is None:
            once = replace(self.ask(listing, 1, count), throttles=throttles, failures=1)
            answer = await self._client.call(once)
            if 200 <= answer.status < 300 and answer.value is not None:
                self._counts = True
                return answer
            if answer.status in _UNFIT and listing.attributes and not self._plain and self._with_versions(listing):
                self._versions = False
                bare = await self._client.call(replace(self.ask(listing, 1, count), throttles=throttles, failures=1))
                if 200 <= bare.status < 300 and bare.value is not None:
                    self._counts = True
                    return bare
                self._versions = True
            if answer.status >= 300 and not is_troubled(answer.status):
                return answer
            if answer.status == 500:
                plain = await self._client.call(replace(self.ask(listing, 1, None), failures=1))
                if 200 <= plain.status < 300 and (await self._client.call(once)).status == 500:
                    self._counts = False
        return await self._client.call(replace(self.ask(listing, 1, count), throttles=throttles))

    @property
    def small_page(self) -> int:
        """A page that the target surely serves."""
        return min(SMALL_PAGE, self.announced or SMALL_PAGE)

    async def _suits(self, listing: Listing, want: int) -> bool:
        """Find out what of a first page was refused, and do without; False where that is neither size nor attributes.

        Some refuse a page above their largest, which they may announce, instead of making it smaller (RFC 7644
        §3.4.2.4); scimmy refuses an attribute with its URN. A page of one tells which.
        """
        refused, self._plain = self._plain, True
        if (await self._client.call(self.ask(listing, 1, 1))).status >= 300:
            self._plain = refused
            return False
        if listing.attributes and not refused:
            self._plain = False
            if await self._is_refused(listing):
                asked, self._versions = self._with_versions(listing), False
                self._plain = not asked or await self._is_refused(listing)
                return True
        if want == 1:
            return False
        self._sizes.refused(listing.what, self.announced if 0 < self.announced < want else want // 2)
        return True

    def _with_versions(self, listing: Listing) -> bool:
        return self.guarded and self._versions and listing.kind == "list"

    async def _is_refused(self, listing: Listing) -> bool:
        return (await self._client.call(self.ask(listing, 1, 1))).status in _REFUSED

    def ask(self, listing: Listing, start: int, count: int | None, cursor: str = "") -> Ask:
        """What asks for a part of a listing: from the number of a resource, or, by cursors, what one leads to.

        For as much as the target likes, where `count` is None or fails.
        """
        query = {"startIndex": str(start - 1 + self._dialect.first_index)}
        if self.by_cursor:  # an empty one asks for the first page, and for cursors (RFC 9865 §2)
            query = {"cursor": cursor}
        if count is not None and self._counts is not False:
            query["count"] = str(count)
        if listing.attributes and not self._plain:
            version = (VERSION,) if self._with_versions(listing) else ()
            query["attributes"] = ",".join((*listing.attributes, *version))
        if listing.only:
            query["filter"] = listing.only
        return Ask(
            kind=listing.kind, method="GET", url=f"{listing.url or self._users}?{query_of(query)}", decode=self._decode
        )

    async def read_all(self, census: Census, listing: Listing) -> None:
        """Read a listing, again where it does not add up."""
        for reading in range(1, SWEEPS + 1):
            census.begin()
            await self.read_slice(census, listing, reading)
            census.close()
            if not census.trouble:
                return

    async def read_each(self, census: Census, listing: Listing, wanted: Sequence[tuple[str, str]]) -> None:
        """Read a listing for each of some values."""
        for attribute, value in wanted:
            census.begin()
            only = f"{attribute} eq {json.dumps(value, ensure_ascii=False)}"
            await self.read_slice(census, replace(listing, only=only), SWEEPS, whole=False)
            census.close()
            if census.trouble:
                return
