"""How a REST listing goes on from page to page, and what proves that all of it was seen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec import Struct, field
from xxhash import xxh3_64_intdigest

from scimsync.adapters.source_asking import with_parameters
from scimsync.adapters.source_members import ABSENT, Member, Misfit
from scimsync.adapters.target_wire import Answer, Ask
from scimsync.errors import SourceError

#: not paged; by the number of a page, of a record; by a cursor in the body, a Link header, the next URL in the body
Kind: TypeAlias = Literal["none", "page", "offset", "cursor", "link", "next"]
#: kinds that count pages or records themselves, so that only an empty page is the end
COUNTING: frozenset[Kind] = frozenset({"page", "offset"})
#: how a server says that there is no such page
BEYOND = frozenset({400, 404, 416, 422})
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_REL = re.compile(r'(?:^|;)\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,]+))', re.IGNORECASE)
_HEADER = "header:"


class Paging(Struct, frozen=True, kw_only=True):
    """How a listing is paged."""

    kind: Kind = "none"
    #: the parameter for the number or the cursor; "" for what the kind calls it
    parameter: str = ""
    #: the number of the first page, or of the first record
    first: int | None = None
    #: the parameter for the size of a page; "" for none
    size_parameter: str = ""
    size: int = 0
    #: where the cursor or the next URL stands
    next: str = ""
    #: parameters travel in the JSON body
    in_body: bool = False

    @property
    def name(self) -> str:
        """The parameter that changes from page to page."""
        return self.parameter or self.kind


class Question(Struct, frozen=True, kw_only=True):
    """What is asked for."""

    url: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    method: Literal["GET", "POST"] = "GET"
    body: Mapping[str, object] | None = None


#: records beyond which a listing is taken for one that never ends, and pages without any, one after the other
MOST_RECORDS, MOST_EMPTY = 5_000_000, 100


class Pages:
    """Asks for one page after the other."""

    def __init__(self, question: Question, paging: Paging) -> None:
        self._question, self._paging = question, paging
        self._next = Member.of(paging.next)
        self._url = with_parameters(question.url, question.parameters)
        self._first = paging.first if paging.first is not None else (1 if paging.kind == "page" else 0)
        self._followed = {self._url}

    def first(self) -> Ask:
        """What asks for the first page."""
        paging = self._paging
        given = self._size()
        if paging.kind in COUNTING:
            given[paging.name] = self._first
        return self._ask(given)

    def after(self, answer: Answer, number: int, met: int) -> Ask | None:
        """What asks for the page after this one; None where the server says that it was the last.

        Args:
            answer: The page.
            number: Which it was, from 1.
            met: Records so far.

        Raises:
            SourceError: What leads on leads to another host, or back to what was read.
        """
        paging = self._paging
        size = self._size()
        if paging.kind == "page":
            return self._ask({**size, paging.name: self._first + number})
        if paging.kind == "offset":
            return self._ask({**size, paging.name: self._first + met})
        link = _link(answer)
        if paging.kind == "none":
            if link:
                raise SourceError(
                    f"{_host(self._url)}: the answer is one page of several (its Link names the next), and paging "
                    'under [source] is "none". Set paging = "link".'
                )
            return None
        found = link if paging.kind == "link" else self._found(answer)
        if not found:
            return None
        if found in self._followed:
            raise SourceError(
                f"{_host(self._url)}: page {number} leads back to a page that was read, so nobody knows where the "
                "listing ends. Check paging and next under [source]."
            )
        self._followed.add(found)
        if paging.kind == "cursor":
            return self._ask({**size, paging.name: found})
        return self._ask({}, self._same(found, number))

    def _size(self) -> dict[str, str | int]:
        """The parameter for the size of a page, where there is one."""
        paging = self._paging
        return {paging.size_parameter: paging.size} if paging.size and paging.size_parameter else {}

    def _found(self, answer: Answer) -> str:
        """The cursor or URL in the body; "" for none."""
        try:
            found = self._next.find(answer.value)
        except Misfit as error:
            raise SourceError(f"{_host(self._url)}: next = {self._next.text!r} under [source] {error}.") from error
        if found is ABSENT or found is None or found is False:
            return ""
        if not isinstance(found, str | int):
            raise SourceError(
                f"{_host(self._url)}: next = {self._next.text!r} under [source] leads to something that is neither "
                "a text nor a number."
            )
        return str(found)

    def _same(self, found: str, number: int) -> str:
        """The whole address of the next page, which must be where we are: our credentials go there."""
        try:
            url = urljoin(self._url, found)
            here, there = urlsplit(self._url), urlsplit(url)
            same = _origin(here.scheme, here.hostname, here.port) == _origin(there.scheme, there.hostname, there.port)
            host = there.netloc.rpartition("@")[2][:100]
            if same and "@" not in there.netloc:
                return url
        except ValueError:
            host = "what is no address"
        raise SourceError(
            f"{_host(self._url)}: page {number} says that the next one is at {host!r}. It was not asked for, and no "
            "credentials went there: pages of one listing are on one host. Ask whoever runs the API."
        )

    def _ask(self, given: Mapping[str, str | int], url: str = "") -> Ask:
        asked, body = self._question, self._question.body
        in_query = given
        if self._paging.in_body and asked.method == "POST":
            body, in_query = {**(body or {}), **given}, {}
        return Ask(
            kind="list",
            method=asked.method,
            url=with_parameters(url or self._url, {name: str(value) for name, value in in_query.items()}),
            body=json.dumps(body).encode() if asked.method == "POST" and body is not None else b"",
            decode=msgspec.json.decode,
            media="application/json",
            only_asks=True,
            unreadables=2,
        )


def _link(answer: Answer) -> str:
    """Where `Link` says that the next page is (RFC 8288)."""
    for header in answer.headers.get_list("link"):
        for target, parameters in _LINK.findall(header):
            rel = _REL.search(parameters)
            if rel and "next" in (rel[1] or rel[2] or "").lower().split():
                return str(target)
    return ""


def _origin(scheme: str, host: str | None, port: int | None) -> tuple[str, str, int | None]:
    return scheme, host or "", port or {"https": 443, "http": 80}.get(scheme)


def _host(url: str) -> str:
    return urlsplit(url).netloc


class Proof:
    """Counts what came, and holds it against what was announced.

    Args:
        host: Whose listing it is.
        paging: How it is paged.
        total: Where a page says how many records there are: a path, or `header:NAME`; "" where none does.
    """

    def __init__(self, host: str, paging: Paging, total: str) -> None:
        self._host, self._paging = host, paging
        self._header = total.removeprefix(_HEADER) if total.startswith(_HEADER) else ""
        self._where = Member.of(total) if total and not self._header else None
        self._total = total
        self._keys: set[int] = set()
        self._lengths: list[int] = []
        self.announced: int | None = None
        self.met = 0

    @property
    def is_declared(self) -> bool:
        """Whether a page says how many there are."""
        return bool(self._total)

    @property
    def pages(self) -> int:
        """Pages that came."""
        return len(self._lengths)

    def take(self, answer: Answer, keys: Sequence[str | None]) -> None:
        """Count a page.

        Args:
            answer: The page.
            keys: The key of each record on it; None where it has none.

        Raises:
            SourceError: It shows that the listing is not whole.
        """
        number = len(self._lengths) + 1
        self._announce(answer, number)
        if keys and self._lengths and self._is_short(self._lengths[-1]) and not self.is_declared:
            raise SourceError(
                f"{self._host}: page {number - 1} is short ({self._lengths[-1]} records) and page {number} has "
                f"{len(keys)} more, so records may be missing in the middle. Set page_size under [source] to what the "
                "API serves, or total to where it says how many there are."
            )
        marks = [xxh3_64_intdigest(key.encode()) for key in keys if key is not None]
        fresh = set(marks) - self._keys
        if keys and self._lengths and marks and not fresh:
            raise SourceError(
                f"{self._host}: page {number} holds nobody who was not on an earlier page: the API repeats itself. "
                f"Check paging under [source]: it may call its parameter otherwise than {self._paging.name!r}."
            )
        if self._paging.kind != "none" and len(fresh) < len(marks):
            raise SourceError(
                f"{self._host}: a record on page {number} came twice, so the listing moved while it was read, and "
                "another may be missing. Run again; if it lasts, let the API sort by the key."
            )
        self._keys |= fresh
        if len(self._keys) > MOST_RECORDS or [*map(bool, self._lengths[-MOST_EMPTY:])] == [False] * MOST_EMPTY:
            raise SourceError(
                f"{self._host}: the listing does not end: {len(self._keys):,} records came on {number:,} pages, and "
                "the API leads on. Check paging under [source]."
            )
        self._lengths.append(len(keys))
        self.met += len(keys)

    def _is_short(self, length: int) -> bool:
        """Whether a page holds less than one that is followed by another should. Who leads on by itself may do so."""
        return self._paging.kind in COUNTING and length < (self._paging.size or self._lengths[0])

    def _announce(self, answer: Answer, number: int) -> None:
        said = self._said(answer)
        if not self.is_declared or (said is None and self.announced is not None):
            return
        if said is None:
            raise SourceError(
                f"{self._host}: the first page does not say how many records there are at total = {self._total!r}. "
                "Correct total under [source], or take it away."
            )
        if self.announced is not None and said != self.announced:
            raise SourceError(
                f"{self._host}: the total moved from {self.announced:,} to {said:,} on page {number}, so the listing "
                "changed while it was read. Run again."
            )
        self.announced = said

    def _said(self, answer: Answer) -> int | None:
        if self._header:
            found: object = answer.headers.get(self._header)
        elif self._where is not None:
            try:
                found = self._where.find(answer.value)
            except Misfit:
                found = None
        else:
            return None
        if isinstance(found, str) and found.isascii() and found.strip().isdigit() and len(found) < 12:
            found = int(found)
        return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None

    @property
    def may_follow(self) -> bool:
        """Whether a page may follow where only counting tells: not after one that is shorter than asked and the first.

        What is announced is not the end by itself, because some announce what one page holds.
        """
        last = self._lengths[-1]
        enough = self.announced is not None and self.met >= self.announced
        return not (enough and (last < self._paging.size or last < self._lengths[0]))

    @property
    def is_met(self) -> bool:
        """Whether as many came as were announced."""
        return self.announced is not None and self.met == self.announced

    def close(self) -> None:
        """Hold what came against what was announced.

        Raises:
            SourceError: It is not as many.
        """
        if self.is_declared and self.announced is not None and self.met != self.announced:
            raise SourceError(
                f"{self._host}: the API says that there are {self.announced:,} records, and {self.met:,} came on "
                f"{self.pages:,} pages. Nothing of them is used: run again, and check total, paging, page_size under "
                "[source]."
            )
