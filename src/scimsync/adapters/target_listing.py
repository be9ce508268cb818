"""Where a listing ends, and whether it showed everybody (RFC 7644 §3.4.2).

`totalResults` is what a provider says, and some say what one page holds, or never more than fifty. So a
listing has ended where a page came that is shorter than was asked for and than the first one, or where
one question more brought nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct, field

from scimsync.errors import TargetError

#: people or groups beyond whom a listing is taken for one that never ends
MOST_LISTED = 5_000_000
#: pages without anybody that a cursor may lead to, one after the other
MOST_EMPTY = 100
_NAMES = {"listed": "Resources", "total": "totalResults", "cursor": "nextCursor"}


class Page(msgspec.Struct, rename=_NAMES):
    """A ListResponse whose resources stay as they travelled; null, [] and absent are one (RFC 7643 §2.5)."""

    total: int
    listed: list[msgspec.Raw] | None = None
    #: what asks for the page after it (RFC 9865 §2); none after the last one
    cursor: str | None = None

    @property
    def resources(self) -> list[msgspec.Raw]:
        """The resources on it."""
        return self.listed or []


class CursorPage(Page, rename=_NAMES):
    """A ListResponse of a provider that pages by cursor, which need not know the total (RFC 9865 §2)."""

    total: int = 0


class _Head(msgspec.Struct):
    id: str | int  # RFC 7643 §3.1 wants a text; numbers are met


PAGE = msgspec.json.Decoder(Page, strict=False)
CURSOR_PAGE = msgspec.json.Decoder(CursorPage, strict=False)
_HEAD = msgspec.json.Decoder(_Head)


class Listing(Struct, frozen=True):
    """What a list request asks for."""

    attributes: tuple[str, ...]
    only: str = ""
    kind: str = "list"
    #: address of what is listed; the accounts where empty
    url: str = ""

    @property
    def what(self) -> str:
        """What decides how large a page of it may be."""
        return f"{self.kind} {','.join(sorted(self.attributes))}"


class Census:
    """Counts accounts over up to three readings and passes each on once.

    `seen` remembers in which slice of which reading an account was last met: 0 bytes of content stay here. An
    account may be in two slices (the listing of those who are active, and that of the others); it is handed on once.
    """

    def __init__(self, sink: Callable[[Sequence[bytes]], None], what: str = "account") -> None:
        self._sink, self._what = sink, what
        self._seen: dict[str, int] = {}
        self._slice = 0
        self._met = 0
        self.announced = 0
        self.trouble = ""
        #: the ids of each slice of this reading, in their order
        self.orders: list[list[str]] = []

    def begin(self) -> None:
        """Start another reading."""
        self._met, self.announced, self.trouble = 0, 0, ""
        self.orders = []
        self.turn()

    def turn(self) -> None:
        """Go on with another slice of the same reading."""
        self._slice += 1
        self.orders.append([])

    def complain(self, trouble: str) -> None:
        """Note the first trouble of this reading."""
        self.trouble = self.trouble or trouble

    def take(self, page: Page) -> int:
        """Count a page, pass on who is new, give the number of accounts not met in this slice."""
        new: list[bytes] = []
        fresh = 0
        for raw in page.resources:
            try:
                account = str(_HEAD.decode(raw).id)
            except (msgspec.DecodeError, RecursionError):
                self.orders[-1].append("")
                self.complain("a resource has no readable id")
                continue
            self.orders[-1].append(account)
            last = self._seen.get(account)
            if last is None:
                new.append(bytes(raw))
            if last != self._slice:
                fresh += 1
                self._seen[account] = self._slice
        self._met += fresh
        if len(self._seen) > MOST_LISTED:
            raise TargetError(
                f"the listing does not end: {len(self._seen):,} {self._what}s came, and {self.announced:,} were "
                "announced. Nothing was taken from it. Find out what lists them, with the correlation id of a page."
            )
        if new:
            self._sink(new)
        return fresh

    def repeated(self) -> None:
        """Note that somebody came again."""
        self.complain(f"one {self._what} is listed twice")

    def close(self) -> None:
        """Compare what was met with what was announced."""
        if self._met != self.announced:
            self.complain(f"{self.announced} {self._what}s were announced and {self._met} came")

    @property
    def accounts(self) -> int:
        """Distinct accounts met in any reading."""
        return len(self._seen)


class Stretch(Struct):
    """One listing of one reading, page by page."""

    census: Census
    #: resources that were asked for at first
    asked: int
    total: int | None = None
    met: int = 0
    _lengths: list[int] = field(default_factory=list)

    def take(self, page: Page) -> bool:
        """Count a page of those that were announced; False where more of them would bring nothing."""
        if self.total is None:
            self.total = page.total
            self.census.announced += page.total
        elif page.total != self.total:
            self._moved(page)
        fresh = self._count(page)
        if fresh < len(page.resources):
            self.census.repeated()
        if not fresh and self.total:
            self.census.complain("a page brought nobody new")
            return False
        return True

    def take_next(self, page: Page) -> None:
        """Count a page that a cursor led to. The last page has no cursor; what is announced is what comes, or more."""
        self.total = max(self.total or 0, page.total)
        fresh = self._count(page)
        self.census.announced += fresh
        if fresh < len(page.resources):
            self.census.repeated()

    def end(self) -> None:
        """Note the end of the cursors: who tells a total (RFC 9865 §2) must have shown as many."""
        if (self.total or 0) > self.met:
            self.census.complain(f"{self.total} were announced and {self.met} came, where the cursors end")

    @property
    def is_open(self) -> bool:
        """Whether more may follow: the last page was as long as was asked for, or as long as the first."""
        return bool(self.met) and self._lengths[-1] >= min(self.asked, self._lengths[0])

    def take_beyond(self, page: Page) -> bool:
        """Count a page from beyond what was announced; False where the listing has ended there."""
        if not page.resources:
            return False
        is_whole = len(self._lengths) == 1 and self.met == self.total != self.asked
        fresh = self._count(page)
        if not fresh:
            if not is_whole:  # else a provider without pages shows all it has, whatever is asked
                self.census.complain("the listing begins anew after its end, so nobody knows where it ends")
            return False
        if page.total > (self.total or 0):
            self._moved(page)
        elif fresh < len(page.resources):
            self.census.repeated()
        self.census.announced += fresh
        return True

    def walled(self, why: str) -> str:
        """Note that the target lists no more of what it announced, and count on no more; gives why."""
        missing = (self.total or 0) - self.met
        self.census.announced -= missing
        return f"{self.met:,} of {self.total or 0:,} inactive accounts are listed, the rest is refused ({why})"

    def refused(self, status: int) -> None:
        """Note that the target does not let anybody see whether more follows."""
        self.census.complain(
            f"the listing ends with a full page, and what may follow it is refused ({status}), "
            "so nobody knows whether it has ended"
        )

    def _count(self, page: Page) -> int:
        self.met += len(page.resources)
        self._lengths.append(len(page.resources))
        return self.census.take(page)

    def _moved(self, page: Page) -> None:
        self.census.complain(f"totalResults moved from {self.total} to {page.total} while it was read")
