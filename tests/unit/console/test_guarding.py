"""What no page of the console may let in: other names, other origins, too much, too late."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from starlette.datastructures import Headers

from scimsync.console.guarding import Guard, client_of

HERE = "http://127.0.0.1:8787"
HOST = {"host": "127.0.0.1:8787"}


async def nothing(*_: object) -> None:
    raise AssertionError("a refused request reached a page")


def refusal(method: str, **headers: str) -> int | None:
    found = Guard(nothing, frozenset({HERE})).refusal(
        method, Headers({**HOST, **{name.replace("_", "-"): value for name, value in headers.items()}})
    )
    return found[0] if found is not None else None


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, None),
        ("GET", {"origin": "https://evil.example"}, None),  # reading gives nothing away: no answer of ours may be read
        ("GET", {"host": "evil.example"}, 421),
        ("GET", {"host": "127.0.0.1:9"}, 421),
        ("GET", {"host": ""}, 421),
        ("POST", {"origin": HERE, "sec_fetch_site": "same-origin"}, None),
        ("POST", {"origin": HERE}, None),
        ("POST", {"sec_fetch_site": "same-origin"}, None),
        ("POST", {"origin": "null", "sec_fetch_site": "same-origin"}, None),
        ("POST", {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}, 403),
        ("POST", {"origin": "https://evil.example", "sec_fetch_site": "same-origin"}, 403),
        ("POST", {"origin": "http://127.0.0.1:9"}, 403),
        ("POST", {"origin": "null"}, 403),
        ("POST", {"sec_fetch_site": "cross-site"}, 403),
        ("POST", {"sec_fetch_site": "same-site"}, 403),
        ("POST", {"sec_fetch_site": "none"}, 403),
        ("POST", {}, 403),
        ("POST", {"authorization": "Bearer scimsync_x"}, None),
        ("POST", {"authorization": "Basic eDp5"}, 403),
        ("POST", {"authorization": "Bearer x", "sec_fetch_site": "cross-site"}, 403),
        ("PUT", {"origin": HERE}, 405),
        ("TRACE", {}, 405),
    ],
)
def test_only_what_comes_from_a_page_of_ours_or_from_a_machine_changes_anything(
    method: str, headers: dict[str, str], status: int | None
) -> None:
    assert refusal(method, **headers) == status


PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # no proxy of ours: what it says is invented
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what the visitor says stands before
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3,10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("fd00::1", ['"[2001:db8:1:2::7]:4711"'], "2001:db8:1:2::/64"),  # who has one address has the network
        ("fd00::1", ["2001:db8:1:2:ffff::9"], "2001:db8:1:2::/64"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_guessers_are_told_apart_by_what_proxies_of_ours_say_and_by_nothing_else(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert client_of(peer, forwarded, PROXIES) == client
