"""Small SCIM 2.0 servers on real sockets (standard library): one that behaves, and a firm that keeps its people there.

A test makes a subclass of `Provider` that misbehaves in one place, and plays whole runs through `firm`.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from tests.runs import Quiet, Said, command

from scimsync import bootstrap
from scimsync.config import load
from scimsync.errors import ProtocolError
from scimsync.model.outcomes import Outcome
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.scim.generic import GENERIC
from scimsync.scim.grammar import Comparison, parse_filter
from scimsync.scim.messages import Operation, list_response, scim_error
from scimsync.scim.patch import apply
from scimsync.scim.schema import CORE_GROUP, ENTERPRISE_USER, Attribute, Catalog, Schema
from scimsync.services import applying, planning
from scimsync.services.planning import Choices

GROUPS = Catalog(
    Schema(
        id=CORE_GROUP,
        name="Group",
        attributes=(
            Attribute(name="displayName"),
            Attribute(
                name="members",
                type="complex",
                multi_valued=True,
                sub_attributes=(Attribute(name="value", case_exact=True), Attribute(name="type")),
            ),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says: status, body (None for none, bytes as they are), headers besides the usual."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and the status of its answer."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]
    status: int


class Provider:
    """A SCIM service provider that behaves. Whatever a subclass may want to spoil is a method of its own."""

    #: most resources on a page
    page = 100
    #: a login belongs to one account
    unique = True
    #: resources have `meta.version` and an ETag
    versioned = True
    #: what the type of a body is called; "" for no such header
    media_type = "application/scim+json"

    def __init__(self, *users: Mapping[str, object]) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        #: id -> how often it changed
        self.changes: dict[str, int] = {}
        self.asked: list[Asked] = []
        self.address = ""
        self._made = 0
        self._lock = threading.RLock()
        for user in users:
            self.put({"active": True, **user})

    # --- what it holds ------------------------------------------------------------------------

    def put(self, resource: Mapping[str, object], table: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
        """Take a resource in; it gets an id where it has none."""
        self._made += 1
        made: dict[str, Any] = {"id": f"u{self._made:04d}", **resource}
        (self.users if table is None else table)[made["id"]] = made
        self.changes[made["id"]] = 1
        return made

    def edit(self, identity: str, **values: object) -> None:
        """Change an account by another hand."""
        with self._lock:
            self.users[identity].update(values)
            self.changes[identity] += 1

    def named(self, login: str) -> list[dict[str, Any]]:
        """The accounts that have a login."""
        return [user for user in self.users.values() if str(user.get("userName")).lower() == login.lower()]

    def sent(self, method: str, path: str = "/Users") -> list[Asked]:
        """The requests of one method below a path."""
        return [asked for asked in self.asked if asked.method == method and asked.path.startswith(path)]

    # --- how it shows it ----------------------------------------------------------------------

    def tag(self, identity: str) -> str:
        """The version as it is sent."""
        return f'W/"{self.changes[identity]}"'

    def guards(self, identity: str, if_match: str) -> bool:
        """Whether a write under this `If-Match` may go on."""
        return if_match in {"", "*"} or _bare(if_match) == _bare(self.tag(identity))

    def show(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """A resource as it travels."""
        meta = {"resourceType": "User", "location": f"{self.address}/Users/{resource['id']}"}
        if self.versioned:
            meta["version"] = self.tag(resource["id"])
        return {**resource, "meta": meta}

    def headers(self, resource: Mapping[str, Any]) -> dict[str, str]:
        """What travels beside it."""
        return {"ETag": self.tag(resource["id"])} if self.versioned else {}

    # --- what it answers ----------------------------------------------------------------------

    def select(self, resources: list[dict[str, Any]], expression: str) -> list[dict[str, Any]]:
        """The resources that meet a filter of one `eq`."""
        tree = parse_filter(expression)
        assert isinstance(tree, Comparison), expression
        assert tree.operator == "eq", expression
        catalog = GENERIC.users if resources and resources[0]["id"] in self.users else GROUPS
        place, wanted = catalog.resolve(str(tree.attribute)), tree.value
        return [one for one in resources if place.normal(place.read(one)) == place.normal(wanted)]

    def list(self, table: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Answer:
        """One page."""
        found = list(table.values())
        if found and query.get("filter"):
            found = self.select(found, query["filter"])
        start = max(1, int(query.get("startIndex", "1")))
        count = max(0, min(int(query.get("count", self.page)), self.page))
        shown = [self.show(one) for one in found[start - 1 : start - 1 + count]]
        return Answer(200, list_response(shown, total=len(found), start=start))

    def get(self, resource: Mapping[str, Any]) -> Answer:
        """One resource."""
        return Answer(200, self.show(resource), self.headers(resource))

    def post(self, body: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        """A new resource."""
        if self.unique and table is self.users and self.named(str(body.get("userName"))):
            return self.refuse(409, "the login is taken", "uniqueness")
        return self.created(self.put(body, table))

    def created(self, resource: Mapping[str, Any]) -> Answer:
        """What is said of a new resource."""
        location = {"Location": f"{self.address}/Users/{resource['id']}"}
        return Answer(201, self.show(resource), {**self.headers(resource), **location})

    def patch(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        """A change of a resource."""
        if not self.guards(resource["id"], if_match):
            return self.refuse(412, "the version has moved")
        operations = [Operation(o["op"], o.get("path"), o.get("value")) for o in body["Operations"]]
        try:
            changed = self.carry_out(resource, operations)
        except ProtocolError as error:
            return self.refuse(400, str(error), error.scim_type)
        resource.clear()
        resource.update(changed)
        self.changes[resource["id"]] += 1
        return self.patched(resource)

    def carry_out(self, resource: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
        """The resource after some operations."""
        catalog = GENERIC.users if resource["id"] in self.users else GROUPS
        return apply(resource, operations, catalog, create_on_replace=True)

    def patched(self, resource: dict[str, Any]) -> Answer:
        """What is said of a changed resource."""
        return Answer(200, self.show(resource), self.headers(resource))

    def replaced(self, resource: dict[str, Any], body: dict[str, Any], if_match: str) -> Answer:
        """A resource anew, by PUT."""
        if not self.guards(resource["id"], if_match):
            return self.refuse(412, "the version has moved")
        kept = {"id": resource["id"], **{name: value for name, value in body.items() if name not in {"id", "meta"}}}
        resource.clear()
        resource.update(kept)
        self.changes[resource["id"]] += 1
        return self.patched(resource)

    def delete(self, resource: dict[str, Any], table: dict[str, dict[str, Any]]) -> Answer:
        """The end of a resource."""
        del table[resource["id"]]
        return Answer(204)

    def describe(self, name: str) -> Answer:
        """What it says about itself."""
        if name != "ServiceProviderConfig":
            return self.refuse(404, "there is no such endpoint")
        supported: dict[str, object] = {"supported": True}
        return Answer(200, {"patch": supported, "filter": supported, "etag": {"supported": self.versioned}})

    def refuse(self, status: int, detail: str, scim_type: str | None = None) -> Answer:
        """An error."""
        return Answer(status, scim_error(status, detail, scim_type))

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        """Whatever is asked."""
        kind, _, identity = path.strip("/").partition("/")
        table = {"Users": self.users, "Groups": self.groups}.get(kind)
        if table is None:
            return self.describe(kind)
        if not identity:
            return self.list(table, query) if method == "GET" else self.post(body, table)
        found = table.get(unquote(identity))
        if found is None:
            return self.refuse(404, "there is no such resource")
        match method:
            case "GET":
                return self.get(found)
            case "DELETE":
                return self.delete(found, table)
            case "PUT":
                return self.replaced(found, body, if_match)
        return self.patch(found, body, if_match)

    # --- the socket ---------------------------------------------------------------------------

    def take(self, handler: BaseHTTPRequestHandler) -> Answer:
        """Read one request and find the answer to it."""
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = json.loads(raw) if raw else None
        with self._lock:
            answer = self.answer(handler.command, parts.path, query, body, handler.headers.get("If-Match", ""))
            self.asked.append(
                Asked(handler.command, parts.path, query, body, dict(handler.headers.items()), answer.status)
            )
        return answer


def _bare(tag: str) -> str:
    return tag.strip().removeprefix("W/").strip('"')


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece: two wait for each other (Nagle), 40 ms a request
    provider: ClassVar[Provider]

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""

    def do_GET(self) -> None:
        answer = self.provider.take(self)
        body = answer.body
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(answer.status)
        if content and self.provider.media_type:
            self.send_header("Content-Type", self.provider.media_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names are the library's


@contextlib.contextmanager
def serving(provider: Provider) -> Iterator[str]:
    """The provider on a port of its own; gives its address."""
    handler = type("Handler", (_Handler,), {"provider": provider})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        provider.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield provider.address
        finally:
            server.shutdown()
            thread.join()


# --- the firm -----------------------------------------------------------------------------------

ATTRIBUTES = {
    "userName": "login",
    "displayName": "name",
    "active": "status = 'active'",
    "externalId": "id",
    "title": "title",
}
WORK_PHONE = 'phoneNumbers[type eq "work"].value'
WORK_EMAIL = 'emails[type eq "work"].value'
MATCH = ("externalId", "userName")


@dataclass
class Firm:
    """People in a file, and the provider that shall hold them."""

    folder: Path
    provider: Provider

    def configure(
        self,
        attributes: Mapping[str, str] = ATTRIBUTES,
        *,
        match: Sequence[str] = MATCH,
        target: str = "",
        policy: str = "",
        more: str = "",
        credentials: str = 'token = "file:token"',
        dialect: str = "generic",
    ) -> None:
        """Write the configuration; the mapping is `ATTRIBUTES` where nothing else is said."""
        mapping = "\n".join(f"{json.dumps(path)} = {json.dumps(expression)}" for path, expression in attributes.items())
        secret = self.folder / "token"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text("canary-token", encoding="utf-8")
        (self.folder / "scimsync.toml").write_text(
            '[source]\nkind = "csv"\npath = "hr.csv"\nkey = "id"\ncomplete = "assume"\n'
            f'[target]\ndialect = "{dialect}"\napi_url = "{self.provider.address}"\n{credentials}\n'
            f"requests_per_minute = 0\n{target}\n[correlation]\nmatch = {json.dumps(list(match))}\n"
            f"[attributes]\n{mapping}\n[policy]\n{policy}\n"
            f"[limits]\ndisable = 1000\ncreate = 1000\nupdate = 1000\n{more}\n",
            encoding="utf-8",
        )

    def hr(self, *people: Mapping[str, object]) -> None:
        """Write what HR says; a person has login, name, status and title where nothing else is said."""
        rows = [{**person(one["id"]), **one} for one in people]
        columns = list(dict.fromkeys(column for one in (person(0), *rows) for column in one))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        (self.folder / "hr.csv").write_text(text.getvalue(), encoding="utf-8")

    def plan(self) -> Plan:
        settings = load(self.folder / "scimsync.toml")
        with bootstrap.open_store(settings) as store:
            return asyncio.run(planning.plan(settings, store, Quiet(), Choices()))

    def apply(self, named: str = "") -> Report:
        settings = load(self.folder / "scimsync.toml")
        with bootstrap.open_store(settings) as store, store.lease(bootstrap.owner()):
            return asyncio.run(applying.apply(settings, store, Quiet(), planning.find_plan(store, named), Choices()))

    def sync(self) -> tuple[Plan, Report]:
        """Plan and apply."""
        made = self.plan()
        return made, self.apply(made.id)

    def quiet(self) -> None:
        """Assert that a further run finds nothing to do and writes nothing."""
        before = len(self.provider.asked)
        made, report = self.sync()
        assert [(change.key, [d.path for d in change.deltas]) for change in made.changes] == []
        assert report.clean
        assert {asked.method for asked in self.provider.asked[before:]} == {"GET"}

    def command(self, *words: str, timeout: float = 120) -> Said:
        """Play an installed command to its end."""
        return command(*words, folder=self.folder, timeout=timeout)


def person(identity: object) -> dict[str, object]:
    """A record, as HR writes it."""
    return {"id": identity, "login": f"p{identity}@x.org", "name": f"P{identity}", "status": "active", "title": "T"}


def account(identity: object, **more: object) -> dict[str, object]:
    """The account that such a person has."""
    return {"externalId": str(identity), "userName": f"p{identity}@x.org", "displayName": f"P{identity}",
            "active": True, "title": "T", **more}  # fmt: skip


def employed(number: object) -> dict[str, object]:
    """The part of an account that carries an employee number."""
    return {ENTERPRISE_USER: {"employeeNumber": str(number)}}


@contextlib.contextmanager
def firm(folder: Path, provider: Provider) -> Iterator[Firm]:
    """A firm with nobody in HR yet, configured in the simplest way."""
    folder.mkdir(parents=True, exist_ok=True)
    with serving(provider):
        found = Firm(folder, provider)
        found.configure()
        yield found


def last(report: Report, key: object) -> Outcome:
    """The last word on one person."""
    return report.outcomes[str(key)][-1]


def codes(made: Plan) -> set[str]:
    """The codes of all findings."""
    return {finding.code for finding in made.findings}


@contextlib.contextmanager
def heard(status: int = 204) -> Iterator[tuple[str, list[tuple[bool, bytes]]]]:
    """A receiver of events that answers with `status`, and what it was told: whether it was signed, and the body."""
    bodies: list[tuple[bool, bytes]] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append((self.headers["webhook-signature"] is not None, body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", bodies
        server.shutdown()
        thread.join()
