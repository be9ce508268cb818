"""Carrying messages over real sockets: which addresses are reached, and what each answer is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest

from scimsync.adapters.webhook_http import HttpSender, is_open
from scimsync.model.events import Receipt
from scimsync.simulator import tls
from scimsync.testing import VirtualClock

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Receiver:
    """A bare receiver that answers with given bytes."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)


@contextlib.asynccontextmanager
async def receiver(
    answer: bytes = OK, *, before: Callable[[], Awaitable[None]] | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    found = Receiver()

    busy: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        busy.add(task)
        try:
            await answered(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            found.requests.append(head + await reader.readexactly(length))
            if before is not None:
                await before()
            writer.write(answer)
            await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy)


def lying(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    async def resolver(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolver


async def send_with(sender: HttpSender, body: bytes = b'{"a": 1}') -> Receipt:
    try:
        return await sender.send({"webhook-id": "msg_1"}, body)
    finally:
        await sender.close()


def send(answer: bytes = OK, **more: float) -> tuple[Receipt, list[bytes]]:
    async def main() -> tuple[Receipt, list[bytes]]:
        async with receiver(answer) as found:
            sender = HttpSender(f"http://localhost:{found.port}/hook?a=b", VirtualClock(), allow_private=True, **more)
            return await send_with(sender), found.requests

    return asyncio.run(main())


def test_a_letter_travels_as_it_is_with_the_name_of_the_host() -> None:
    receipt, (request,) = send()
    assert receipt == Receipt(status=204)
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == b'{"a": 1}'
    assert head.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert b"\r\nHost: localhost:" in head
    assert b"\r\nwebhook-id: msg_1" in head
    assert b"\r\nContent-Type: application/json" in head


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", 410),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000, 200),
    ],
)
def test_the_status_is_the_answer_and_its_text_is_not_told(answer: bytes, status: int) -> None:
    receipt, _ = send(answer)
    assert receipt.status == status
    assert receipt.detail == ("" if status == 200 else f"answered {status}")


def test_a_redirect_is_a_failure_and_is_not_followed() -> None:
    receipt, requests = send(b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    assert receipt.status == 307
    assert "redirects are not followed" in receipt.detail
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120.0), ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0), ("soon", None), ("٣", None), ("", None), ("-5", None)],
)
def test_a_receiver_may_ask_for_a_pause_in_seconds_or_by_date(value: str, seconds: float | None) -> None:
    receipt, _ = send(f"HTTP/1.1 429 Slow\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode())
    assert receipt.retry_after_s == seconds


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx", b"\x00" * 100])
def test_an_answer_that_breaks_off_is_no_answer(answer: bytes) -> None:
    receipt, _ = send(answer)
    assert (receipt.status, receipt.detail[:18]) == (0, "no complete answer")


def test_a_receiver_that_drips_or_hangs_is_left_at_the_deadline() -> None:
    async def hang() -> None:
        await asyncio.sleep(5)

    async def main() -> Receipt:
        async with receiver(before=hang) as found:
            sender = HttpSender(f"http://127.0.0.1:{found.port}/", VirtualClock(), allow_private=True, deadline_s=0.1)
            return await send_with(sender)

    assert asyncio.run(main()) == Receipt(detail="no complete answer within 0.1 s")


def test_nobody_there_is_a_receipt_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    sender = HttpSender(f"http://127.0.0.1:{port}/", VirtualClock(), allow_private=True)
    assert asyncio.run(send_with(sender)).detail.startswith("cannot connect")


# Which addresses


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.1", "198.18.0.1"),
        *("::", "::1", "fe80::1", "fc00::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1"),
        *("64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::", "2001:0:5ef5:79fd::1"),
        *("fec0::1", "fd00:ec2::254", "3fff::1", "3ffe::1", "4000::1", "100::1", "5f00::1", "2620:4f:8000::1"),
        *("192.88.99.1", "192.31.196.1", "192.175.48.1", "192.0.0.9", "203.0.113.1", "0.255.0.1", "::ffff:192.88.99.1"),
        *("2a00:1450::5efe:a00:1", "2a00:1450::200:5efe:a00:1"),
    ],
)
def test_an_address_that_is_not_of_the_open_internet_is_known_in_every_disguise(text: str) -> None:
    assert not is_open(ip_address(text))


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "1.1.1.1", "223.255.255.1", "2606:4700::1111", "2001:4860:4860::8888", "::ffff:8.8.8.8"]
)
def test_an_open_address_is_one(text: str) -> None:
    assert is_open(ip_address(text))


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("8.8.8.8", "64:ff9b::7f00:1"), ("fe80::1",)]
)
def test_a_name_is_refused_unless_every_address_is_open(addresses: tuple[str, ...]) -> None:
    sender = HttpSender("https://hooks.example.com/", VirtualClock(), resolver=lying(*addresses))
    receipt = asyncio.run(send_with(sender))
    assert receipt.status == 0
    assert receipt.detail.startswith("refused: the endpoint has a private address")


def test_a_name_that_changes_its_mind_is_looked_at_at_each_try() -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def resolver(host: str, port: int) -> Sequence[str]:
        return next(answers)

    async def main() -> list[Receipt]:
        sender = HttpSender("https://hooks.example.com/", VirtualClock(), resolver=resolver)
        receipts = [await sender.send({}, b""), await sender.send({}, b"")]
        await sender.close()
        return receipts

    assert all(receipt.detail.startswith("refused") for receipt in asyncio.run(main()))


def test_plain_http_goes_to_this_machine_only() -> None:
    sender = HttpSender("http://hooks.lan/", VirtualClock(), allow_private=True, resolver=lying("10.0.0.1"))
    assert asyncio.run(send_with(sender)).detail.startswith("refused: http goes to this machine only")


@pytest.mark.parametrize("found", [(), ("no address",)])
def test_a_name_without_a_sensible_address_is_a_receipt(found: tuple[str, ...]) -> None:
    sender = HttpSender("https://hooks.example.com/", VirtualClock(), resolver=lying(*found))
    assert asyncio.run(send_with(sender)).status == 0


def test_a_name_that_cannot_be_resolved_is_a_receipt() -> None:
    async def resolver(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    sender = HttpSender("https://hooks.example.com/", VirtualClock(), resolver=resolver)
    assert asyncio.run(send_with(sender)).detail == "the name of the endpoint cannot be resolved"


def test_the_certificate_is_checked_for_the_name_though_the_address_is_pinned(tmp_path: Path) -> None:
    authority, certificate, key = tls.make_certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=authority)

    async def main(name: str, verify: ssl.SSLContext | bool) -> Receipt:
        async with receiver(context=context) as found:
            sender = HttpSender(
                f"https://{name}:{found.port}/",
                VirtualClock(),
                allow_private=True,
                resolver=lying("127.0.0.1"),
                verify=verify,
            )
            return await send_with(sender)

    assert asyncio.run(main("localhost", trusting)).status == 204
    assert asyncio.run(main("other.example.com", trusting)).detail.startswith("TLS failed")
    assert asyncio.run(main("localhost", True)).detail.startswith("TLS failed")
