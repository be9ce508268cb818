"""Requests and answers of the simulator as they travel."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from email.utils import formatdate
from functools import lru_cache
from typing import TypeAlias, TypeVar

import msgspec
from msgspec import Struct, field

from scimsync.scim.messages import PATCH_OP, Operation, version_of
from scimsync.simulator.answers import Answer, Limit, Refused

Scope: TypeAlias = MutableMapping[str, object]
Message: TypeAlias = MutableMapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Item = TypeVar("Item")
_MOST_NAMES = 10_000  #: the last page, and its size, that can be asked for
_DRIP_PAUSE = 0.05  #: seconds between the pieces of a dripping answer
PRELUDES = frozenset({"foreign_edit", "page_drift", "schema_drift", "options", "revoke"})
SPOILT = frozenset({"gzip_bomb", "partial_apply", "content_type", "empty", "wrong_body"})
_MEDIA_TYPES = frozenset({b"application/json", b"application/scim+json"})
#: (endpoint, with an id, method) -> kind of request
KINDS: Mapping[tuple[str, bool, str], str] = {
    ("users", False, "GET"): "list",
    ("users", False, "POST"): "post",
    ("users", True, "GET"): "get",
    ("users", True, "PUT"): "put",
    ("users", True, "PATCH"): "patch",
    ("users", True, "DELETE"): "delete",
    ("groups", False, "GET"): "group_list",
    ("groups", True, "GET"): "group_get",
    ("groups", True, "PUT"): "group_put",
    ("groups", True, "PATCH"): "group_patch",
}


class Request(Struct):
    """One request, as far as it was read."""

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    correlation_id: str
    kind: str = ""
    endpoint: str = ""
    id: str = ""
    part: str = ""  #: what of the one with this id is meant, where a path names both
    client: str = ""
    limits: dict[str, str] = field(default_factory=dict)
    fault: str = ""  #: the kind, or the name, of the fault that struck
    fails: frozenset[str] = frozenset()  #: areas that a partial failure leaves as they were


class Reply(Struct, frozen=True):
    """An answer, and how it arrives: `whole`, `truncate`, `drip`, `stall`, `close` or `reset`."""

    answer: Answer
    manner: str = "whole"
    seconds: float = 0.0


def page_number(text: str) -> int:
    """The number of a page."""
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_NAMES:
        raise Refused(400, "pageSize and pageNumber are numbers from 1.")
    return int(text)


def names_version(header: bytes, version: int, *, strong: bool = False) -> bool:
    """Whether an entity-tag header names the present version; `*` and lists as in RFC 9110 §13.1."""
    tags = [tag.strip() for tag in header.decode("latin-1").split(",")]
    wanted = str(version)
    return any(
        tag == "*" or (version_of(tag.removeprefix("W/")) == wanted and not (strong and tag.startswith("W/")))
        for tag in tags
    )


def parameter_names(query: bytes) -> str:
    """The names of the parameters of a query."""
    return "&".join(part.partition("=")[0] for part in query.decode("latin-1").split("&")) if query else ""


def document_of(request: Request, limit: int) -> dict[str, object]:
    """The body of a request as an object."""
    media_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise Refused(415, "The Content-Type is application/scim+json or application/json.")
    if limit and len(request.body) > limit:
        refused = Refused(413, "The request body is too large.")
        refused.limit = Limit("platform.api", "request.bytes.max", limit)
        raise refused
    try:
        document = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, "The request body is not JSON.") from error
    if not isinstance(document, dict):
        raise Refused(400, "The request body is not an object.", scim_type="invalidSyntax")
    return document


def operations_of(document: Mapping[str, object]) -> list[Operation]:
    """The operations of a PATCH body; `schemas` and `Operations` are required (documented)."""
    members = {name.lower(): value for name, value in document.items()}
    schemas, listed = members.get("schemas"), members.get("operations")
    if not isinstance(schemas, list) or PATCH_OP.lower() not in [str(urn).lower() for urn in schemas]:
        raise Refused(400, f"schemas must hold {PATCH_OP}", scim_type="invalidSyntax")
    if not isinstance(listed, list) or not listed:
        raise Refused(400, "Operations must hold at least one operation", scim_type="invalidSyntax")
    return [_operation(item) for item in listed]


def _operation(item: object) -> Operation:
    if not isinstance(item, Mapping):
        raise Refused(400, "an operation is an object", scim_type="invalidSyntax")
    op, path = item.get("op"), item.get("path")
    if not isinstance(op, str) or not isinstance(path, str | None):
        raise Refused(400, "op and path are texts", scim_type="invalidSyntax")
    if op.lower() in {"add", "replace"} and "value" not in item:
        raise Refused(400, f"{op} needs a value", scim_type="invalidValue")
    return Operation(op.lower(), path, item.get("value"))


# -- the wire --------------------------------------------------------------------------------------


async def body_of(receive: Receive, limit: int) -> bytes:
    """The body of a request; what is far beyond the limit is read and forgotten."""
    parts, size = [], 0
    more: object = True
    while more:
        message = await receive()
        part = message.get("body", b"")
        if isinstance(part, bytes) and (not limit or size <= limit):
            parts.append(part)
            size += len(part)
        more = message.get("more_body", False)
    return b"".join(parts)


@lru_cache(maxsize=4)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def _head(answer: Answer, request: Request, now: float) -> Message:
    headers = [(b"date", _date(int(now))), (b"inin-correlation-id", request.correlation_id.encode())]
    if answer.status not in {204, 304}:
        headers += [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
        ]
    for extra in (request.limits, answer.headers):
        headers += [(name.lower().encode(), value.encode()) for name, value in extra.items()]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def send_answer(answer: Answer, request: Request, send: Send, now: float) -> None:
    """Send an answer whole."""
    await send(_head(answer, request, now))
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else answer.body})


async def drip(reply: Reply, request: Request, send: Send, now: float) -> None:
    """Send an answer byte by byte."""
    body = reply.answer.body
    pieces = max(1, min(len(body), round(reply.seconds / _DRIP_PAUSE)))
    size = -(-len(body) // pieces) or 1
    await send(_head(reply.answer, request, now))
    for start in range(0, len(body), size):
        await asyncio.sleep(reply.seconds / pieces)
        await send({"type": "http.response.body", "body": body[start : start + size], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def send_part(answer: Answer, request: Request, send: Send, now: float, share: int) -> None:
    """Send a part of an answer."""
    await send(_head(answer, request, now))
    await send({"type": "http.response.body", "body": answer.body[:share], "more_body": True})


def transport_of(scope: Scope) -> asyncio.Transport:
    """The connection itself, which the server puts into the state of each request."""
    state = scope.get("state")
    transport = state.get("transport") if isinstance(state, Mapping) else None
    if transport is None:
        raise RuntimeError("faults on the wire need scimsync.simulator.server")
    return transport  # type: ignore[no-any-return]


def reset(transport: asyncio.Transport) -> None:
    """Cut the connection so that the peer gets a TCP reset, not an orderly end."""
    peer = transport.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
