"""What holds for each request before any page sees it: whose name it used, where it comes from, how long it may be.

The headers of each answer forbid what no page of ours does: scripts and styles in the page, anything from elsewhere,
frames, guesses at types, traces in caches and in the logs of others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Network: TypeAlias = IPv4Network | IPv6Network
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

#: bytes that a request may have, and seconds in which all of it must come
LONGEST_BODY, BODY_S = 1 << 20, 10.0
SAFE = frozenset({"GET", "HEAD"})
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # not `no-referrer`: under that a browser does not say of its own forms where they come from
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Guard:
    """Let in what comes from our own pages, or from a machine that says who it is.

    Args:
        app: What is guarded.
        origins: Under which addresses we are reached, as browsers say them: `http://127.0.0.1:8787`.
    """

    def __init__(self, app: App, origins: frozenset[str]) -> None:
        self._app, self._origins = app, origins
        self._hosts = frozenset(urlsplit(origin).netloc for origin in origins)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope)
        if (refusal := self.refusal(str(scope["method"]), headers)) is not None:
            status, why = refusal
            is_machine = str(scope["path"]).startswith("/api/")
            told = JSONResponse({"error": why.strip()}, status) if is_machine else PlainTextResponse(why, status)
            await told(scope, receive, _headed(send))
            return
        await self._app(scope, _Bounded(receive, headers.get("content-length", "")), _headed(send))

    def refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Status and reason where a request must not go on; None where it may.

        A name that is none of ours is how a page elsewhere has its own name lead here (DNS rebinding).
        """
        if headers.get("host", "").lower() not in self._hosts:
            return 421, "This is not the address of this console.\n"
        if method in SAFE:
            return None
        if method not in {"POST", "DELETE"}:
            return 405, "This method is not known here.\n"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and origin != "null":
            is_ours = origin in self._origins
        elif site is not None:
            is_ours = site == "same-origin"
        else:  # no browser of today: a machine, which proves itself by its token and not by a cookie
            is_ours = headers.get("authorization", "").lower().startswith("bearer ")
        return None if is_ours else (403, "This came from another page than one of this console.\n")


def client_of(peer: str, forwarded: Sequence[str], proxies: Collection[Network]) -> str:
    """From where a request comes, as far as that is believed: each proxy of ours adds whom it heard it from.

    Args:
        peer: Who holds the connection.
        forwarded: The values of `X-Forwarded-For`.
        proxies: Those of ours; what others say is theirs to invent.
    """
    heard = [one.strip() for value in forwarded for one in value.split(",")]
    found = _address(peer)
    while found is not None and heard and any(found.version == net.version and found in net for net in proxies):
        nearer = _address(heard.pop())
        if nearer is None:
            break
        found = nearer
    if found is None:
        return peer
    # who has one address of IPv6 has them all, up to the network
    return str(found) if found.version == 4 else str(ip_network((found, 64), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, also with a port; one of IPv4 in the clothes of IPv6 as what it is."""
    bare = text.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


class _Bounded:
    """Receives no more than a request may hold, and no longer than it may take."""

    def __init__(self, receive: Receive, announced: str) -> None:
        self._receive, self._left = receive, LONGEST_BODY
        self._is_whole = False
        self._until: float | None = None
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > LONGEST_BODY:
            self._left = -1

    async def __call__(self) -> Message:
        """The next message; what is too much or too late counts as a caller who hung up."""
        if self._left < 0:
            return {"type": "http.disconnect"}
        if self._is_whole:  # nothing more comes but the end of the connection, which may be long
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._until = now + BODY_S if self._until is None else self._until
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        self._left -= len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        return message if self._left >= 0 else {"type": "http.disconnect"}


def _headed(send: Send) -> Send:
    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return headed
