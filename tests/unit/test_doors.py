"""Whoever connects and is silent makes room."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.h11_impl import H11Protocol

from scimsync.doors import door

ASK = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def _app(scope: Any, receive: Any, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Served:
    """A server on a socket of this loop."""

    def __init__(self, protocol: type, most: int, head_s: float) -> None:
        self._config = uvicorn.Config(_app, lifespan="off", log_config=None, timeout_keep_alive=5)
        self._config.load()
        self._state = uvicorn.server.ServerState()
        self._protocol = door(protocol, most, head_s=head_s)

    async def __aenter__(self) -> int:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: self._protocol(config=self._config, server_state=self._state, app_state={}), "127.0.0.1", 0
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for one in [*self._protocol.opened]:  # type: ignore[attr-defined]
            one.hang_up()
        await self._server.wait_closed()
        await asyncio.sleep(0.01)


async def answered(port: int, path: bytes = b"/") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASK.replace(b"/ ", path + b" ", 1))
    try:
        return (await asyncio.wait_for(reader.readuntil(b"ok"), 3))[:15]
    finally:
        await shut(writer)


async def shut(writer: asyncio.StreamWriter) -> None:
    """Close, and wait until it is: a test leaves nothing open."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.mark.parametrize("protocol", [AutoHTTPProtocol, H11Protocol])
def test_a_hundred_idle_connections_silence_nobody(protocol: type) -> None:
    async def play() -> None:
        async with Served(protocol, 10, 60) as port:
            slow = asyncio.ensure_future(answered(port, b"/slow"))
            await asyncio.sleep(0.05)
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
            assert await answered(port) == b"HTTP/1.1 200 OK"
            assert await slow == b"HTTP/1.1 200 OK"  # who is being answered is not let go
            gone = [await asyncio.wait_for(reader.read(), 3) for reader, _ in idle[:80]]
            assert gone == [b""] * 80
            await asyncio.gather(*(shut(writer) for _, writer in idle))

    asyncio.run(play())


@pytest.mark.parametrize("protocol", [AutoHTTPProtocol, H11Protocol])
def test_a_question_that_comes_letter_by_letter_has_a_deadline(protocol: type) -> None:
    async def play() -> None:
        async with Served(protocol, 0, 0.2) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ASK)
            assert (await reader.readuntil(b"ok")).endswith(b"ok")
            writer.write(ASK[:10])
            assert await asyncio.wait_for(reader.read(), 3) == b""
            await shut(writer)
            assert await answered(port, b"/slow") == b"HTTP/1.1 200 OK"

    asyncio.run(play())
