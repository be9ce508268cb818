"""A file on a web server, by httpx2. What lets us in is shown to the host of the address and to no other."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from urllib.parse import urljoin, urlsplit

from scimsync.adapters.source_place import Look, brief, piped, refuse, shown
from scimsync.errors import SourceError
from scimsync.values import Secretive

_FETCH_S, _STALL_S, _HOPS, _PIECE = 1800.0, 60.0, 5, 1 << 18
_MOVED = frozenset({301, 302, 303, 307, 308})
#: answers to HEAD of servers that only know GET
_NO_HEAD = frozenset({400, 403, 405, 500, 501})


class Https(Secretive, frozen=True, kw_only=True):
    """One file, and who we are there."""

    url: str
    username: str = ""
    password: str = ""
    token: str = ""
    header: str = ""
    header_value: str = ""
    ca_file: Path | None = None

    @contextmanager
    def enter(self) -> Iterator[_Site]:
        """Make ready to ask; nothing is asked yet.

        Raises:
            SourceError: The file of certificates cannot be read.
        """
        import httpx2  # noqa: PLC0415 - a file of this machine does without

        trusted = ssl.create_default_context() if self.ca_file else httpx2.create_ssl_context(trust_env=False)
        trusted.keylog_filename = None  # type: ignore[assignment]  # SSLKEYLOGFILE would write down what opens our traffic
        try:
            if self.ca_file:
                trusted.load_verify_locations(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as fault:
            refuse(shown(self.url), f"ca_file {self.ca_file} cannot be read", "Name a PEM file of certificates.", fault)
        timeout = httpx2.Timeout(_STALL_S, connect=15.0)
        with httpx2.Client(trust_env=False, follow_redirects=False, verify=trusted, timeout=timeout) as client:
            yield _Site(self, httpx2, client)


class _Site:
    """A web server that can be asked."""

    grows = False  # a server that serves a growing file changes its length or its ETag, which is looked at

    def __init__(self, place: Https, library: Any, client: Any) -> None:  # noqa: ANN401 - of httpx2
        self._place, self._library, self._client = place, library, client
        self._where = shown(place.url)

    def _address(self, beside: str) -> str:
        parts = urlsplit(self._place.url)
        return parts._replace(path=parts.path + beside, fragment="").geturl()

    def _headers(self, url: str) -> dict[str, str]:
        """What is said to a host: to that of the address, who we are."""
        place, headers = self._place, {"User-Agent": "scimsync", "Accept-Encoding": "identity"}
        if _origin(url) == _origin(place.url):
            if place.token:
                headers["Authorization"] = f"Bearer {place.token}"
            if place.header:
                headers[place.header] = place.header_value
        return headers

    @contextmanager
    def _asked(self, method: str, beside: str) -> Iterator[Any]:
        """An answer that is no redirect, its body unread."""
        url = self._address(beside)
        for _ in range(_HOPS):
            at_home = _origin(url) == _origin(self._place.url)
            who = (self._place.username, self._place.password) if at_home and self._place.username else None
            with self._client.stream(method, url, headers=self._headers(url), auth=who) as answer:
                if answer.status_code not in _MOVED or "location" not in answer.headers:
                    yield answer
                    return
                there = urljoin(url, answer.headers["location"])
            if urlsplit(there).scheme != "https" and _origin(there) != _origin(self._place.url):
                step = "Set path under [source] to the address where the file really is."
                refuse(self._where, f"the server sends us to {shown(there)}, which is not https", step)
            url = there
        refuse(self._where, "the server sends us from address to address", "Check path under [source].")

    def look(self, beside: str = "") -> Look | None:
        """What the server says of a file. Where it knows no HEAD, that is nothing."""
        try:
            with self._asked("HEAD", beside) as answer:
                if answer.status_code in {404, 410}:
                    return None
                if answer.status_code in _NO_HEAD:
                    return Look() if not beside else self._look_by_get(beside)
                self._check(answer)
                return _look(answer.headers)
        except (self._library.HTTPError, self._library.InvalidURL, OSError, ValueError) as fault:
            self._refuse(fault)

    def _look_by_get(self, beside: str) -> Look | None:
        with self._asked("GET", beside) as answer:
            if answer.status_code in {404, 410}:
                return None
            self._check(answer)
            return _look(answer.headers)

    def fetch(self, beside: str, sink: BinaryIO, most: int) -> Look:
        """Fetch a file."""
        try:
            with self._asked("GET", beside) as answer:
                self._check(answer)
                coding = answer.headers.get("content-encoding", "identity")
                if coding.lower() != "identity":
                    refuse(
                        self._where, f"the server packs it ({coding}) though it was asked not to", "Mend the server."
                    )
                found = _look(answer.headers)
                if found.size is None and not found.tag and "transfer-encoding" not in answer.headers:
                    step = "Let the server send Content-Length."
                    refuse(self._where, "the server does not say how long it is, so that a cut would not show", step)
                piped(self._where, answer.iter_raw(_PIECE), sink, most, time.monotonic() + _FETCH_S)
                return found
        except (self._library.HTTPError, self._library.InvalidURL, OSError, ValueError) as fault:
            self._refuse(fault)

    def _check(self, answer: Any) -> None:  # noqa: ANN401 - of httpx2
        status = answer.status_code
        if status in {401, 403, 407}:
            step = "Check username and password, token or header under [source], and what they may read."
            refuse(self._where, f"the server does not let us in ({status})", step)
        if status in {404, 410}:
            refuse(self._where, "there is no such file", "Check path under [source], and whether the export ran.")
        if status != 200:
            refuse(self._where, f"the server answers {status}", "Run again when it is well, or ask its administrator.")

    def _refuse(self, fault: Exception) -> NoReturn:
        if isinstance(fault, SourceError):
            raise fault
        if isinstance(fault, self._library.RemoteProtocolError | self._library.ReadError):
            step = "Nothing of it is used. Run again."
            refuse(self._where, f"the answer broke off: {brief(fault)}", step)
        if "CERTIFICATE" in str(fault).upper():
            step = "Set ca_file under [source] to the certificate of the authority that signed it."
            refuse(self._where, f"its certificate is not trusted: {brief(fault)}", step)
        refuse(self._where, f"cannot be fetched: {brief(fault)}", "Check path under [source], and run again.")


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)


def _look(headers: Any) -> Look:  # noqa: ANN401 - of httpx2
    size, moment = headers.get("content-length", ""), None
    with suppress(ValueError, TypeError):
        moment = parsedate_to_datetime(headers.get("last-modified", "")).timestamp()
    tag = headers.get("etag", "").removeprefix("W/").strip('"')
    return Look(size=int(size) if size.isdigit() else None, time=moment, tag=tag)
