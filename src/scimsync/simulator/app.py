"""The simulated service as a plain ASGI application: both path families, the token endpoint, its limits.

One request goes this way: token, rate, fault, effect, answer. What an endpoint does stands in the methods
named after its kind; how users are kept stands in `directory`.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import msgspec

from scimsync.errors import ProtocolError
from scimsync.scim.messages import LIST_RESPONSE, MEDIA_TYPE, Operation, entity_tag
from scimsync.scim.schema import Catalog
from scimsync.simulator import control
from scimsync.simulator.answers import JSON, Answer, Limit, Refused, html_page
from scimsync.simulator.directory import Directory
from scimsync.simulator.discovery import describe
from scimsync.simulator.drift import Step, read_steps, refuse_drifted
from scimsync.simulator.entities import EDITOR, GROUPS, USERS, Actor, Entity, NameTaken
from scimsync.simulator.faults import Fault, bomb, strike
from scimsync.simulator.messages import (
    KINDS,
    PRELUDES,
    SPOILT,
    Item,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    body_of,
    document_of,
    drip,
    names_version,
    operations_of,
    page_number,
    parameter_names,
    reset,
    send_answer,
    send_part,
    transport_of,
)
from scimsync.simulator.options import Options
from scimsync.simulator.people import identifier
from scimsync.simulator.permissions import ANY_OF, GROUP, VIEWS, demand, demand_any
from scimsync.simulator.queries import Query, read_query, select_groups, select_users
from scimsync.simulator.requests import Logged, RequestLog
from scimsync.simulator.tokens import Tokens, too_many

DISCOVERY = frozenset({"schemas", "resourcetypes", "serviceproviderconfig"})
_FAMILIES = ("/api/v2/scim/v2/", "/api/v2/scim/")
#: paths of the Platform API that list the names which SCIM only refers to -> which names
NAMES: Mapping[str, str] = {
    "/api/v2/authorization/roles": "roles",
    "/api/v2/authorization/divisions": "divisions",
    "/api/v2/routing/skills": "skills",
    "/api/v2/routing/languages": "languages",
}


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
        self.snapshots: Path | None = None  #: the folder for snapshots; none are taken without one
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
            "names": self._names,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        request = await self._read(scope, receive)
        if request.path.startswith("/_simulator"):
            answer = control.answer(self, request.method, request.path, request.body)
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
        if path in NAMES and not (at_login and self.login_port is not None):
            request.endpoint = NAMES[path]
            request.kind = "names" if request.method in {"GET", "HEAD"} else ""
            return
        family = next((root for root in _FAMILIES if path.startswith(root)), None)
        if family is None or (at_login and self.login_port is not None):
            return
        request.endpoint, _, request.id = path[len(family) :].partition("/")
        method = "GET" if request.method == "HEAD" else request.method
        if request.endpoint in DISCOVERY and method == "GET":
            request.kind = "schema"
            return
        request.kind = KINDS.get((request.endpoint, bool(request.id), method), "")

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
        handler = self._handlers.get(request.kind)
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

    # -- users -------------------------------------------------------------------------------------

    def _list(self, request: Request) -> Answer:
        query = self._query(request, USERS)
        self._refuse_expensive(query, limited=self.options.expensive_page_429)
        found = select_users(self.directory, query.filter, request.client)
        page = self._slice(found, query)
        return self._page(len(found), query, self.directory.page(page, query.projection, query.key, request.client))

    def _query(self, request: Request, catalog: Catalog) -> Query:
        query = read_query(request.query, catalog, self.options.unknown_attribute)
        if query.sorted and self.options.sort == "error":
            raise Refused(400, "sorting is not supported", scim_type="invalidValue")
        return query

    def _refuse_expensive(self, query: Query, *, limited: bool) -> None:
        """Documented: more than 25 with secondary look-ups may answer 429."""
        if limited and query.expensive and query.count > 25:
            refused = too_many(1, 25, query.count)
            refused.limit = Limit("scim", "expensive.page.size", 25)
            raise refused

    def _slice(self, found: Sequence[Item], query: Query) -> Sequence[Item]:
        count = min(query.count, self.options.max_count or query.count)
        return found[query.start - 1 : query.start - 1 + count]

    def _page(self, total: int, query: Query, page: list[bytes]) -> Answer:
        head = (
            f'{{"schemas":["{LIST_RESPONSE}"],"totalResults":{total},"startIndex":{query.start},'
            f'"itemsPerPage":{len(page)},"Resources":['
        )
        return Answer(200, head.encode() + b",".join(page) + b"]}")

    def _user(self, request: Request) -> Entity:
        user = self.directory.user(request.id)
        if user is None:
            raise Refused(404, "There is no user with this id.")
        return user

    def _get(self, request: Request) -> Answer:
        return self._one(self._user(request), request, group=False)

    def _one(self, entity: Entity, request: Request, *, group: bool, status: int = 200) -> Answer:
        headers = self._tag(str(entity.version))
        asked = request.headers.get(b"if-none-match")
        if request.method in {"GET", "HEAD"} and asked is not None and names_version(asked, entity.version):
            return Answer(304, headers=headers)
        query = self._query(request, GROUPS if group else USERS)
        text = self.directory.wire(entity, query.projection, query.key, request.client)
        return Answer(status, text, headers=headers)

    def _tag(self, version: str) -> dict[str, str]:
        tag = entity_tag(version)
        forms = {"quoted": tag, "weak": f"W/{tag}", "unquoted": version}
        form = forms.get(self.options.etag_form)
        return {} if form is None else {"ETag": form}

    def _actor(self, request: Request) -> Actor:
        allowed = self.tokens.permissions(request.client)
        return Actor(request.client, request.method, allowed, request.fails, request.correlation_id)

    def _admit_to_users(self, request: Request) -> Actor:
        """The role must hold one of the permissions that the spec names; each area is checked later."""
        actor = self._actor(request)
        demand_any(actor.permissions, ANY_OF[request.method])
        return actor

    def _body_of(self, request: Request) -> dict[str, object]:
        document = document_of(request, self.options.request_bytes)
        if self.drift and request.endpoint == "users":
            refuse_drifted(document, self.drift)
        return document

    def _post(self, request: Request) -> Answer:
        actor = self._admit_to_users(request)
        user = self.directory.create(self._body_of(request), actor)
        answer = self._one(user, request, group=False, status=int(self.options.create_status))
        answer.headers["Location"] = self.directory.url("User", user.id)
        return answer

    def _put(self, request: Request) -> Answer:
        actor = self._admit_to_users(request)
        user = self._user(request)
        body = self._body_of(request)
        self._guard(user, request)
        return self._one(self.directory.replace(user, body, actor), request, group=False)

    def _patch(self, request: Request) -> Answer:
        actor = self._admit_to_users(request)
        user = self._user(request)
        operations = operations_of(self._body_of(request))
        self._guard(user, request)
        return self._one(self.directory.patch(user, operations, actor), request, group=False)

    def _delete(self, request: Request) -> Answer:
        actor = self._admit_to_users(request)
        user = self._user(request)
        self._guard(user, request)
        self.directory.delete(user, actor)
        return Answer(int(self.options.delete_status))

    def _guard(self, entity: Entity, request: Request) -> None:
        """Refuse a write whose If-Match names another version; the documents disagree how (§4.1)."""
        asked = request.headers.get(b"if-match")
        strong = self.options.weak_if_match == "refuse"
        if asked is None or names_version(asked, entity.version, strong=strong):
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
        demand(self.tokens.permissions(request.client), [GROUP])  # there is no weaker read permission
        group = self.directory.group(request.id)
        if group is None:
            raise Refused(404, "There is no group with this id.")
        return group

    def _group_list(self, request: Request) -> Answer:
        demand(self.tokens.permissions(request.client), [GROUP])
        query = self._query(request, GROUPS)
        self._refuse_expensive(query, limited=self.options.expensive_group_page_429)
        versioned = request.path.lower().startswith(_FAMILIES[0])
        if self.options.v2_groups_filter_required and versioned and not query.filter:
            raise Refused(400, "filter is required")
        found = select_groups(self.directory, query.filter)
        texts = [self.directory.wire(g, query.projection, query.key) for g in self._slice(found, query)]
        return self._page(len(found), query, texts)

    def _group_get(self, request: Request) -> Answer:
        return self._one(self._group(request), request, group=True)

    def _group_put(self, request: Request) -> Answer:
        group = self._group(request)
        body = self._body_of(request)
        if not body.get("displayName"):
            raise Refused(400, "displayName is required", scim_type="invalidValue")
        self._guard(group, request)
        return self._one(self.directory.replace_group(group, body, self._actor(request)), request, group=True)

    def _group_patch(self, request: Request) -> Answer:
        group = self._group(request)
        operations = operations_of(self._body_of(request))
        self._guard(group, request)
        return self._one(self.directory.patch_group(group, operations, self._actor(request)), request, group=True)

    def _names(self, request: Request) -> Answer:
        """A page of names, as the Platform API lists entities."""
        demand(self.tokens.permissions(request.client), [VIEWS[request.endpoint]])
        asked = {name: values[-1] for name, values in parse_qs(request.query.decode("latin-1")).items()}
        size, number = page_number(asked.get("pageSize", "25")), page_number(asked.get("pageNumber", "1"))
        names = sorted(getattr(self.directory.names, request.endpoint))
        page = names[(number - 1) * size : number * size]
        document = {
            "entities": [{"id": identifier(f"{request.endpoint}:{name}"), "name": name} for name in page],
            "pageSize": size,
            "pageNumber": number,
            "total": len(names),
            "pageCount": -(-len(names) // size),
        }
        return Answer(200, msgspec.json.encode(document), JSON)

    def _schema(self, request: Request) -> Answer:
        base = f"{self.directory.base_url}{_FAMILIES[0].rstrip('/')}"
        filtered = b"filter=" in request.query.lower()
        document = describe(request.endpoint, request.id, base, filtered=filtered, drift=self.drift)
        if request.endpoint != "serviceproviderconfig":
            return Answer(200, msgspec.json.encode(document))
        headers, asked = self._tag("1"), request.headers.get(b"if-none-match")
        if asked is not None and names_version(asked, 1):
            return Answer(304, headers=headers)
        return Answer(200, msgspec.json.encode(document), headers=headers)
