"""Carry messages to an endpoint by HTTPS, to the address that was looked at and to no other.

A name is resolved anew for each try; it is refused unless every address it has is one of the open
internet, and the connection then goes to one of these, with the name for TLS and `Host`. So a name that
changes its mind between the look and the connection gains nothing (OWASP API7, ASVS 1.3.6).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Protocol, TypeAlias

import httpx2

from scimsync.model.events import Receipt

#: the whole of one try, from the look-up of the name to the end of the answer
DEADLINE_S = 15.0
_MOST_ANSWER = 64 * 1024
#: prefixes that carry an IPv4 address somewhere else: NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056)
_DISGUISES = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")))

Address: TypeAlias = IPv4Address | IPv6Address
#: host, port -> the addresses that the name has now; raises OSError where it has none
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class WallClock(Protocol):
    """The part of the Clock port that is needed here."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...


def is_open(address: Address) -> bool:
    """Whether an address is one of the open internet.

    `is_global` alone says yes to multicast, to addresses that hold an IPv4 address in disguise, and to
    reserved ones (measured with Python 3.11).
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_open(address.ipv4_mapped)
        if any(address in disguise for disguise in _DISGUISES):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask this machine's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


class HttpSender:
    """Fits the Sender port for one URL.

    Args:
        url: https, or http where private addresses are allowed.
        clock: says when, for a `Retry-After` that is a date.
        allow_private: whether addresses of this machine and of the own network may be reached.
        deadline_s: for one try as a whole.
        resolver: finds the addresses of a name; handed in so that tests can lie.
        verify: how certificates are checked; there is no switch to leave that out.
    """

    def __init__(
        self,
        url: str,
        clock: WallClock,
        *,
        allow_private: bool = False,
        deadline_s: float = DEADLINE_S,
        resolver: Resolver = resolve,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self._url, self._clock, self._private = httpx2.URL(url), clock, allow_private
        self._deadline_s, self._resolver = deadline_s, resolver
        for name in ("httpx2", "httpcore2"):  # they would log addresses that hold a secret
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.WARNING))
        self._client = httpx2.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            verify=verify,
            http1=True,
            http2=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": "scimsync", "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(deadline_s),
            limits=httpx2.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=4.0),
        )

    async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:
        """Send one message once. Whatever goes wrong is a Receipt; no path and no text of the receiver stands in it."""
        try:
            async with asyncio.timeout(self._deadline_s):
                address = await self._pinned()
                if isinstance(address, Receipt):
                    return address
                return await self._send(address, headers, body)
        except TimeoutError:
            return Receipt(detail=f"no complete answer within {self._deadline_s:g} s")
        except httpx2.ConnectError as error:
            trouble = "TLS failed" if isinstance(_root(error), ssl.SSLError) else "cannot connect"
            return Receipt(detail=f"{trouble} ({type(_root(error)).__name__})")
        except (httpx2.HTTPError, httpx2.StreamError, OSError, ValueError) as error:
            return Receipt(detail=f"no complete answer ({type(error).__name__})")

    async def _pinned(self) -> str | Receipt:
        """The address to connect to, looked at now."""
        port = self._url.port or {"https": 443, "http": 80}.get(self._url.scheme, 0)
        try:
            found = [ip_address(text) for text in await self._resolver(self._url.host, port)]
        except (OSError, UnicodeError):
            return Receipt(detail="the name of the endpoint cannot be resolved")
        if not found:
            return Receipt(detail="the name of the endpoint has no address")
        if not self._private and not all(map(is_open, found)):
            return Receipt(detail="refused: the endpoint has a private address; set allow_private where that is meant")
        if self._url.scheme != "https" and not all(address.is_loopback for address in found):
            return Receipt(detail="refused: http goes to this machine only; use https")
        return str(found[0])

    async def _send(self, address: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        request = self._client.build_request(
            "POST",
            self._url.copy_with(host=address),
            headers={"Content-Type": "application/json", **headers, "Host": self._url.netloc.decode("ascii")},
            content=body,
            extensions={"sni_hostname": self._url.host},
        )
        response = await self._client.send(request, stream=True)
        try:
            size = 0
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > _MOST_ANSWER:
                    break
        finally:
            await response.aclose()
        status = response.status_code
        detail = "" if response.is_success else f"answered {status}"
        if response.is_redirect:
            detail = f"answered {status}; redirects are not followed, name the final address"
        return Receipt(status=status, detail=detail, retry_after_s=self._retry_after(response))

    def _retry_after(self, response: httpx2.Response) -> float | None:
        """Seconds, from a number or a date (RFC 9110 §10.2.3)."""
        given = response.headers.get("retry-after", "").strip()
        if given.isascii() and given.isdigit():
            return float(given[:9])
        try:
            date = parsedate_to_datetime(given)
            return None if date.tzinfo is None else (date - self._clock.now()).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()


def _root(error: BaseException) -> BaseException:
    """What lies at the bottom of an error."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return error
