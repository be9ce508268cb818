"""The simulated service as a plain ASGI application: the way of one request, with its limits and faults.

One request goes this way: route, token, rate, fault, effect, answer. Which request is meant stands in `routes`, what
an endpoint does in `endpoints`, how users are kept in `directory`.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from scimsync.errors import ProtocolError
from scimsync.scim.messages import MEDIA_TYPE, Operation
from scimsync.simulator import control
from scimsync.simulator.answers import JSON, Answer, Refused, html_page
from scimsync.simulator.directory import Directory
from scimsync.simulator.drift import Step, read_steps
from scimsync.simulator.endpoints import Endpoints
from scimsync.simulator.entities import EDITOR, Actor, NameTaken
from scimsync.simulator.faults import Fault, bomb, strike
from scimsync.simulator.messages import (
    KINDS,
    PRELUDES,
    SPOILT,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    body_of,
    drip,
    parameter_names,
    reset,
    send_answer,
    send_part,
    transport_of,
)
from scimsync.simulator.options import Options
from scimsync.simulator.requests import Logged, RequestLog
from scimsync.simulator.routes import DISCOVERY, find_route
from scimsync.simulator.tokens import Tokens


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
        directory.primary = self.tokens.client_id
        self.faults: list[Fault] = []
        self.drift: list[Step] = []
        self.requests = RequestLog()
        self.host = ""  #: the name under which it was asked to listen
        self.snapshots: Path | None = None  #: the folder for snapshots; none are taken without one
        self.counters: Counter[str] = Counter()
        self._run = secrets.token_hex(6)
        self._requests = itertools.count(1)
        self._endpoints = Endpoints(directory, self.tokens, self.drift)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        request = await self._read(scope, receive)
        if request.path.startswith("/_simulator"):
            answer = control.refusal(request.headers, self.host) or control.answer(
                self, request.method, request.path, request.body
            )
            await send_answer(answer, request, send, self.directory.clock())
            return
        changes = self.directory.changes
        reply = await self._reply(request)
        self._log(request, reply, self.directory.changes - changes)
        await self._deliver(reply, request, scope, receive, send)

    async def _deliver(self, reply: Reply, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        now = self.directory.clock() + self.options.clock_skew
        if reply.manner == "whole":
            await send_answer(reply.answer, request, send, now)
            return
        if reply.manner == "drip":
            await drip(reply, request, send, now)
            return
        transport = transport_of(scope)
        if reply.manner == "reset":
            reset(transport)
        elif reply.manner == "close":
            transport.close()
        else:
            share = 0 if reply.manner == "stall" else len(reply.answer.body) // 2
            await send_part(reply.answer, request, send, now, share)
            await asyncio.sleep(reply.seconds)
            transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass

    def _log(self, request: Request, reply: Reply, changes: int) -> None:
        self.requests.count += 1
        self.requests.note(
            Logged(
                self.requests.count,
                self.directory.clock(),
                request.client,
                request.method,
                request.path,
                parameter_names(request.query),
                request.kind or "unknown",
                request.id,
                request.headers.get(b"if-match", b"").decode("latin-1"),
                reply.answer.status,
                request.fault,
                changes,
                request.correlation_id,
            )
        )

    async def _read(self, scope: Scope, receive: Receive) -> Request:
        headers = scope["headers"]
        method, query = str(scope["method"]), scope["query_string"]
        limit = self.options.request_bytes
        request = Request(
            method,
            str(scope["path"]),
            query if isinstance(query, bytes) else b"",
            dict(headers) if isinstance(headers, Iterable) else {},
            b"" if method in {"GET", "HEAD"} else await body_of(receive, 2 * limit if limit else 0),
            f"{next(self._requests):08x}-0000-4000-8000-{self._run}",
        )
        find_route(request, scope, self.login_port)
        return request

    # -- the way of one request --------------------------------------------------------------------

    async def _reply(self, request: Request) -> Reply:
        self.counters[request.kind or "unknown"] += 1
        try:
            if request.kind != "token":
                self._admit(request)
            fault = strike(self.faults, request.kind, request.id, request.client)
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
        handler = self._endpoints.handlers.get(request.kind)
        if handler is None:
            return self._no_such_method(request)
        try:
            return self._as_asked(handler(request), request)
        except NameTaken as error:
            raise Refused(409, str(error), scim_type=error.scim_type) from error
        except ProtocolError as error:
            raise Refused(400, str(error), scim_type=error.scim_type) from error

    def _no_such_method(self, request: Request) -> Answer:
        if request.endpoint not in {"users", "groups", *DISCOVERY}:
            raise Refused(404, "There is no such resource.")
        methods = [m for (e, one, m) in KINDS if e == request.endpoint and one == bool(request.id)]
        allowed = ", ".join(["GET", "HEAD", *(m for m in methods if m != "GET"), "OPTIONS"])
        if request.method == "OPTIONS":
            return Answer(204, headers={"Allow": allowed})
        hidden = request.endpoint == "groups" and self.options.group_create == "404"
        refused = Refused(404 if hidden else 405, "There is no such method here.")
        if not hidden:
            refused.headers = {"Allow": allowed}
        raise refused

    def _as_asked(self, answer: Answer, request: Request) -> Answer:
        """Both media types are produced (documented): plain JSON for who accepts only that."""
        accepted = request.headers.get(b"accept", b"")
        if b"application/json" in accepted and b"scim+json" not in accepted and answer.media_type == MEDIA_TYPE:
            return replace(answer, media_type=JSON)
        return answer

    def _refusal(self, request: Request, refused: Refused) -> Answer:
        words = {401: "unauthorized", 403: "forbidden", 404: "not_found", 409: "conflict", 412: "conflict",
                 429: "throttled"}  # fmt: skip
        named = {"invalidVers": "conflict", "uniqueness": "name_taken"}
        self.counters[named.get(refused.scim_type or "") or words.get(refused.status, "refused")] += 1
        return refused.answer(request.correlation_id)

    async def _with_fault(self, request: Request, fault: Fault) -> Reply:
        self.counters["fault"] += 1
        request.fault = fault.name or fault.kind
        if fault.kind in PRELUDES:
            self._prelude(request, fault)
            return Reply(self._handle(request))
        if fault.kind in {"hang", "delay"}:
            return await self._hang(request, fault)
        if fault.kind in {"truncate", "drip", "stall"}:
            return Reply(self._effect(request), fault.kind, 0.0 if fault.kind == "truncate" else fault.seconds)
        if fault.kind in SPOILT:
            return Reply(await self._spoilt(request, fault))
        if fault.when == "after":
            self._effect(request)
        if fault.kind in {"reset", "close"}:
            return Reply(Answer(0), fault.kind)
        if fault.kind == "html":
            return Reply(html_page(fault.status))
        refused = Refused(fault.status, fault.message or "This fault was asked for.", scim_type=fault.scim_type or None)
        refused.headers = dict(fault.headers)
        return Reply(refused.answer(request.correlation_id))

    def _prelude(self, request: Request, fault: Fault) -> None:
        """What happens just before a request that is then answered as ever."""
        match fault.kind:
            case "foreign_edit":
                self._foreign_edit(request, fault)
            case "page_drift":
                self._page_drift(fault)
            case "schema_drift":
                self.drift[:] = read_steps(fault.value)
            case "options" if isinstance(fault.value, Mapping):
                self.options.change({str(name): value for name, value in fault.value.items()})
                self.directory.forget_wire()
            case "revoke":
                self.tokens.revoke()

    async def _spoilt(self, request: Request, fault: Fault) -> Answer:
        """The effect takes place, and the answer is not the right one."""
        if fault.kind == "gzip_bomb":
            self._effect(request)
            packed = await asyncio.to_thread(bomb, fault.megabytes)
            return Answer(200, packed, MEDIA_TYPE, {"Content-Encoding": "gzip"})
        if fault.kind == "partial_apply":
            request.fails = frozenset(fault.areas)
            answer = self._effect(request)
            if answer.status != 200 or fault.status == 200:
                return answer
            status = 500 if fault.status == 503 else fault.status
            return Refused(status, fault.message or "Part of the request failed.").answer(request.correlation_id)
        answer = self._effect(request)
        if fault.kind == "content_type":
            return replace(answer, media_type=str(fault.value or "text/plain"))
        if fault.kind == "empty":
            return Answer(200)
        number = next((n for n in self.directory.by_state(active=True) if self._other(n, request)), None)
        return answer if number is None else replace(answer, body=self.directory.wire(self.directory.entity(number)))

    def _other(self, number: int, request: Request) -> bool:
        return self.directory.entity(number).id != request.id

    def _page_drift(self, fault: Fault) -> None:
        if fault.value == "insert":
            self.directory.put_in_front()
            return
        first = next(iter(self.directory.by_state(active=True)), None)
        if first is not None:
            self.directory.delete(self.directory.entity(first), Actor(EDITOR, "DELETE"))

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
        user, group = self.directory.user(request.id), self.directory.group(request.id)
        if group is not None:
            admin = Actor(EDITOR, "EDIT")
            self.directory.patch_group(group, [Operation("add", fault.path or "members", fault.value)], admin)
        if user is not None:
            self.directory.edit(user, [Operation("replace", fault.path or "title", fault.value)])
