"""The simulated service as a plain ASGI application: both path families, the token endpoint, its limits.

One request goes this way: token, rate, fault, effect, answer. What an endpoint does stands in the methods
named after its kind; how users are kept stands in `directory`.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from scimsync.errors import ProtocolError
from scimsync.scim.messages import LIST_RESPONSE, PATCH_OP, Operation, entity_tag, version_of
from scimsync.simulator import control
from scimsync.simulator.answers import Answer, Refused, html_page
from scimsync.simulator.directory import GROUPS, USERS, Actor, Directory, Entity, NameTaken
from scimsync.simulator.discovery import describe
from scimsync.simulator.faults import Fault, strike
from scimsync.simulator.options import Options
from scimsync.simulator.queries import Query, read_query, select_groups, select_users
from scimsync.simulator.tokens import Tokens, too_many

Scope: TypeAlias = MutableMapping[str, object]
Message: TypeAlias = MutableMapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

BODY_LIMIT = 512_000  #: bytes; folklore, `request.bytes.max`
_DISCOVERY = frozenset({"schemas", "resourcetypes", "serviceproviderconfig"})
_FAMILIES = ("/api/v2/scim/v2/", "/api/v2/scim/")
_MEDIA_TYPES = frozenset({b"application/json", b"application/scim+json"})
#: (endpoint, with an id, method) -> kind of request
_KINDS: Mapping[tuple[str, bool, str], str] = {
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


@dataclass(slots=True)
class Request:
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
    client: str = ""
    limits: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and how much of it arrives: `whole`, `truncate` or `reset`."""

    answer: Answer
    manner: str = "whole"


class Simulator:
    """Genesys Cloud in a box; an ASGI application.

    Args:
        directory: The organisation.
        tokens: Who may ask; None lets the simulator invent a client.
        login_port: The port that alone serves `/oauth/token`; None where one port serves all.
    """

    def __init__(self, directory: Directory, tokens: Tokens | None = None, login_port: int | None = None) -> None:
        self.directory = directory
        self.options: Options = directory.options
        self.tokens = tokens or Tokens(secrets.token_hex(16), secrets.token_urlsafe(32), self.options, directory.clock)
        self.login_port = login_port
        self.faults: list[Fault] = []
        self.counters: Counter[str] = Counter()
        self._run = secrets.token_hex(6)
        self._requests = itertools.count(1)
        self._handlers: dict[str, Callable[[Request], Answer]] = {
            "token": lambda request: self.tokens.grant(request.headers, request.body),
            "list": self._list,
            "get": self._get,
            "post": self._post,
            "put": self._put,
            "patch": self._patch,
            "delete": self._delete,
            "group_list": self._group_list,
            "group_get": self._group_get,
            "group_put": self._group_put,
            "group_patch": self._group_patch,
            "schema": self._schema,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        request = await self._read(scope, receive)
        if request.path.startswith("/_simulator"):
            await _send(control.answer(self, request.method, request.path, request.body), request, send)
            return
        reply = await self._reply(request)
        if reply.manner == "whole":
            await _send(reply.answer, request, send)
            return
        transport = _transport(scope)
        if reply.manner == "reset":
            _reset(transport)
        else:
            await _send_half(reply.answer, request, send)
            transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _read(self, scope: Scope, receive: Receive) -> Request:
        headers = scope["headers"]
        method, query = str(scope["method"]), scope["query_string"]
        request = Request(
            method,
            str(scope["path"]),
            query if isinstance(query, bytes) else b"",
            dict(headers) if isinstance(headers, Iterable) else {},
            b"" if method == "GET" else await _body(receive),
            f"{next(self._requests):08x}-0000-4000-8000-{self._run}",
        )
        self._route(request, scope)
        return request

    def _route(self, request: Request, scope: Scope) -> None:
        path = request.path.lower().rstrip("/")
        server = scope.get("server")
        at_login = isinstance(server, Sequence) and server[1] == self.login_port
        if path == "/oauth/token":
            if request.method == "POST" and (self.login_port is None or at_login):
                request.kind = "token"
            return
        family = next((root for root in _FAMILIES if path.startswith(root)), None)
        if family is None or (at_login and self.login_port is not None):
            return
        request.endpoint, _, request.id = path[len(family) :].partition("/")
        if request.endpoint in _DISCOVERY and request.method == "GET":
            request.kind = "schema"
            return
        request.kind = _KINDS.get((request.endpoint, bool(request.id), request.method), "")

    # -- the way of one request --------------------------------------------------------------------

    async def _reply(self, request: Request) -> Reply:
        self.counters[request.kind or "unknown"] += 1
        try:
            if request.kind != "token":
                self._admit(request)
            fault = strike(self.faults, request.kind, request.id)
            if fault is None:
                return Reply(self._handle(request))
            return await self._with_fault(request, fault)
        except Refused as refused:
            return Reply(self._refusal(request, refused))

    def _admit(self, request: Request) -> None:
        token = self.tokens.check(request.headers)
        request.client = token.client
        request.limits = self.tokens.limit(token)

    def _handle(self, request: Request) -> Answer:
        handler = self._handlers.get(request.kind)
        if handler is None:
            known = request.endpoint in {"users", "groups", *_DISCOVERY}
            raise Refused(405 if known else 404, "There is no such resource or method.")
        try:
            return handler(request)
        except NameTaken as error:
            raise Refused(409, str(error), scim_type=error.scim_type) from error
        except ProtocolError as error:
            raise Refused(400, str(error), scim_type=error.scim_type) from error

    def _refusal(self, request: Request, refused: Refused) -> Answer:
        words = {401: "unauthorized", 404: "not_found", 409: "conflict", 412: "conflict", 429: "throttled"}
        named = {"invalidVers": "conflict", "uniqueness": "name_taken"}
        self.counters[named.get(refused.scim_type or "") or words.get(refused.status, "refused")] += 1
        return refused.answer(request.correlation_id)

    async def _with_fault(self, request: Request, fault: Fault) -> Reply:
        self.counters["fault"] += 1
        if fault.kind == "foreign_edit":
            self._foreign_edit(request, fault)
            return Reply(self._handle(request))
        if fault.kind == "hang":
            return await self._hang(request, fault)
        if fault.kind == "truncate":
            return Reply(self._effect(request), "truncate")
        if fault.when == "after":
            self._effect(request)
        if fault.kind == "reset":
            return Reply(Answer(0), "reset")
        if fault.kind == "html":
            return Reply(html_page(fault.status))
        refused = Refused(fault.status, fault.message or "This fault was asked for.", scim_type=fault.scim_type or None)
        refused.headers = dict(fault.headers)
        return Reply(refused.answer(request.correlation_id))

    def _effect(self, request: Request) -> Answer:
        try:
            return self._handle(request)
        except Refused as refused:
            return self._refusal(request, refused)

    async def _hang(self, request: Request, fault: Fault) -> Reply:
        answer = self._effect(request) if fault.when == "after" else None
        await asyncio.sleep(fault.seconds)
        return Reply(answer or self._effect(request))

    def _foreign_edit(self, request: Request, fault: Fault) -> None:
        user = self.directory.user(request.id)
        if user is not None:
            self.directory.edit(user, [Operation("replace", fault.path or "title", fault.value)])

    # -- users -------------------------------------------------------------------------------------

    def _list(self, request: Request) -> Answer:
        query = read_query(request.query, USERS)
        if self.options.expensive_page_429 and query.expensive and query.count > 25:
            raise too_many(1, 25, query.count)  # documented: more than 25 may answer 429
        return self._page(select_users(self.directory, query.filter), query)

    def _page(self, found: Sequence[Entity], query: Query) -> Answer:
        count = min(query.count, self.options.max_count or query.count)
        page = found[query.start - 1 : query.start - 1 + count]
        wire, projection, key = self.directory.wire, query.projection, query.key
        head = (
            f'{{"schemas":["{LIST_RESPONSE}"],"totalResults":{len(found)},"startIndex":{query.start},'
            f'"itemsPerPage":{len(page)},"Resources":['
        )
        resources = b",".join([wire(entity, projection, key) for entity in page])
        return Answer(200, head.encode() + resources + b"]}")

    def _user(self, request: Request) -> Entity:
        user = self.directory.user(request.id)
        if user is None:
            raise Refused(404, "There is no user with this id.")
        return user

    def _get(self, request: Request) -> Answer:
        return self._one(self._user(request), request, group=False)

    def _one(self, entity: Entity, request: Request, *, group: bool, status: int = 200) -> Answer:
        headers = {"ETag": entity_tag(str(entity.version))}
        asked = request.headers.get(b"if-none-match")
        if request.method == "GET" and asked is not None and _names_version(asked, entity):
            return Answer(304, headers=headers)
        query = read_query(request.query, GROUPS if group else USERS)
        return Answer(status, self.directory.wire(entity, query.projection, query.key), headers=headers)

    def _post(self, request: Request) -> Answer:
        user = self.directory.create(_document(request), Actor(request.client, "POST"))
        answer = self._one(user, request, group=False, status=201)
        answer.headers["Location"] = self.directory.url("User", user.id)
        return answer

    def _put(self, request: Request) -> Answer:
        user = self._user(request)
        body = _document(request)
        self._guard(user, request)
        return self._one(self.directory.replace(user, body, Actor(request.client, "PUT")), request, group=False)

    def _patch(self, request: Request) -> Answer:
        user = self._user(request)
        operations = _operations(_document(request))
        self._guard(user, request)
        changed = self.directory.patch(user, operations, Actor(request.client, "PATCH"))
        return self._one(changed, request, group=False)

    def _delete(self, request: Request) -> Answer:
        user = self._user(request)
        self._guard(user, request)
        self.directory.delete(user, Actor(request.client, "DELETE"))
        return Answer(204)

    def _guard(self, entity: Entity, request: Request) -> None:
        """Refuse a write whose If-Match names another version; the documents disagree how (§4.1)."""
        asked = request.headers.get(b"if-match")
        if asked is None or _names_version(asked, entity):
            return
        text = f"The version does not match the current version [{entity.version}]."
        match self.options.version_conflict:
            case "409_scim":
                raise Refused(409, text, scim_type="")
            case "409_general_conflict":
                raise Refused(409, text)
            case "412":
                raise Refused(412, text)
        raise Refused(400, text, scim_type="invalidVers")

    # -- groups and discovery ----------------------------------------------------------------------

    def _group(self, request: Request) -> Entity:
        group = self.directory.group(request.id)
        if group is None:
            raise Refused(404, "There is no group with this id.")
        return group

    def _group_list(self, request: Request) -> Answer:
        query = read_query(request.query, GROUPS)
        versioned = request.path.lower().startswith(_FAMILIES[0])
        if self.options.v2_groups_filter_required and versioned and not query.filter:
            raise Refused(400, "filter is required")
        return self._page(select_groups(self.directory, query.filter), query)

    def _group_get(self, request: Request) -> Answer:
        return self._one(self._group(request), request, group=True)

    def _group_put(self, request: Request) -> Answer:
        group = self._group(request)
        body = _document(request)
        self._guard(group, request)
        changed = self.directory.replace_group(group, body, Actor(request.client, "PUT"))
        return self._one(changed, request, group=True)

    def _group_patch(self, request: Request) -> Answer:
        group = self._group(request)
        operations = _operations(_document(request))
        self._guard(group, request)
        changed = self.directory.patch_group(group, operations, Actor(request.client, "PATCH"))
        return self._one(changed, request, group=True)

    def _schema(self, request: Request) -> Answer:
        base = f"{self.directory.base_url}{_FAMILIES[0].rstrip('/')}"
        filtered = b"filter=" in request.query.lower()
        document = describe(request.endpoint, request.id, base, filtered)
        return Answer(200, msgspec.json.encode(document))


def _names_version(header: bytes, entity: Entity) -> bool:
    """Whether an entity-tag header names the present version; `*` and lists as in RFC 9110 §13.1."""
    tags = header.decode("latin-1").split(",")
    return any(tag.strip() == "*" or version_of(tag) == str(entity.version) for tag in tags)


def _document(request: Request) -> dict[str, object]:
    media_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise Refused(415, "The Content-Type is application/scim+json or application/json.")
    if len(request.body) > BODY_LIMIT:
        raise Refused(413, "The request body is too large.")
    try:
        document = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, "The request body is not JSON.") from error
    if not isinstance(document, dict):
        raise Refused(400, "The request body is not an object.", scim_type="invalidSyntax")
    return document


def _operations(document: Mapping[str, object]) -> list[Operation]:
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


async def _body(receive: Receive) -> bytes:
    parts = []
    more: object = True
    while more:
        message = await receive()
        part = message.get("body", b"")
        parts.append(part if isinstance(part, bytes) else b"")
        more = message.get("more_body", False)
    return b"".join(parts)


def _head(answer: Answer, request: Request) -> Message:
    headers = [(b"inin-correlation-id", request.correlation_id.encode())]
    if answer.status not in {204, 304}:
        headers += [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
        ]
    for extra in (request.limits, answer.headers):
        headers += [(name.lower().encode(), value.encode()) for name, value in extra.items()]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def _send(answer: Answer, request: Request, send: Send) -> None:
    await send(_head(answer, request))
    await send({"type": "http.response.body", "body": answer.body})


async def _send_half(answer: Answer, request: Request, send: Send) -> None:
    await send(_head(answer, request))
    half = answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})


def _transport(scope: Scope) -> asyncio.Transport:
    """The connection itself, which the server puts into the state of each request."""
    state = scope.get("state")
    transport = state.get("transport") if isinstance(state, Mapping) else None
    if transport is None:
        raise RuntimeError("faults on the wire need scimsync.simulator.server")
    return transport  # type: ignore[no-any-return]


def _reset(transport: asyncio.Transport) -> None:
    """Cut the connection so that the peer gets a TCP reset, not an orderly end."""
    peer = transport.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
