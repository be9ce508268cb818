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
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol, TypeAlias

import httpx2

from scimsync.model.events import Receipt

#: the whole of one try, from the look-up of the name to the end of the answer
DEADLINE_S = 15.0
_MOST_ANSWER = 64 * 1024
#: all of IPv6 that is given out as global unicast (IANA), and what of it is no machine of the open internet: protocol
#: assignments with Teredo, documentation, 6to4, a sink. NAT64, site-local and all the rest lie outside of it
_GLOBAL_6 = IPv6Network("2000::/3")
_SPECIAL_6 = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20"))
)
#: the same for IPv4 (RFC 6890 and later): 1.0.0.0 to 223.255.255.255 without these
_FIRST_4, _LAST_4 = IPv4Address("1.0.0.0"), IPv4Address("223.255.255.255")
_SPECIAL_4 = tuple(
    map(
        IPv4Network,
        (
            "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
            "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        ),
    )
)  # fmt: skip
#: how the lower half of an IPv6 address begins that holds an IPv4 address for a tunnel (ISATAP, RFC 5214)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})

Address: TypeAlias = IPv4Address | IPv6Address
#: host, port -> the addresses that the name has now; raises OSError where it has none
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class WallClock(Protocol):
    """The part of the Clock port that is needed here."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...


def is_open(address: Address) -> bool:
    """Whether an address is one of the open internet: what is given out as global unicast, and nothing else.

    An allow-list of ours, because `is_global` moves with the version of Python, and says yes to site-local addresses,
    to relays and to what holds another address in disguise.
    """
    if isinstance(address, IPv4Address):
        return _FIRST_4 <= address <= _LAST_4 and not any(address in special for special in _SPECIAL_4)
    if address.ipv4_mapped is not None:
        return is_open(address.ipv4_mapped)
    tunnelled = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    return address in _GLOBAL_6 and not tunnelled and not any(address in special for special in _SPECIAL_6)


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
