"""Redirects that are harmless to follow: of a read within its origin, of anything to the same path with a slash.

A token never goes to another scheme, host or port. A write is sent again only where nothing but the slash at the end
of its path differs: a server that wants the slash has done nothing yet, and method and body stay (RFC 9110 §15.4).
Servers built with Django answer so.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urljoin, urlsplit

from scimsync.adapters.target_wire import Answer

#: redirects of one request that are followed
MOST_HOPS = 3
_FOLLOWED = frozenset({301, 302, 307, 308})


class Slashes:
    """Where a target wants a slash at the end, so that it is asked there at once.

    Args:
        base: The address below which the resources are.
    """

    def __init__(self, base: str) -> None:
        self._base = urlsplit(base).path.rstrip("/")
        self._wanted: set[str] = set()

    def address(self, url: str) -> str:
        """The address as the target wants it."""
        parts = urlsplit(url)
        if self._group(parts.path) not in self._wanted or parts.path.endswith("/"):
            return url
        return parts._replace(path=f"{parts.path}/").geturl()

    def learn(self, url: str, there: str) -> None:
        """Remember where a redirect added nothing but a slash."""
        path = urlsplit(url).path
        if urlsplit(there).path == f"{path}/":
            self._wanted.add(self._group(path))

    def _group(self, path: str) -> str:
        """What is served alike: each endpoint by itself, the resources below one together."""
        head, _, _ = path.rstrip("/").rpartition("/")
        return path if head == self._base else f"{head}/*"


def followed(method: str, url: str, answer: Answer) -> str | None:
    """Where a request goes on, with the parameters that it had; None where it ends here."""
    said = answer.headers.get("location", "")
    if answer.status not in _FOLLOWED or not said:
        return None
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, said))
        if _origin(here) != _origin(there) or "@" in there.netloc:
            return None
    except ValueError:
        return None
    slashed = there.path.rstrip("/") == here.path.rstrip("/") and there.path != here.path
    if method != "GET" and not slashed:
        return None
    # what was asked goes with it: some leave out the parameters, some write them in another way
    same = there._replace(query=here.query or there.query, fragment="")
    return None if same == here else same.geturl()


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port
