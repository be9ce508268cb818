"""The simulator beside scim2-server, each in its own process; and a directory of a million people."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import world
from benchmarks.harness import ROOT, BenchmarkError, Report, Row, Size, served
from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER
from scimsync.simulator.people import account_id, people

USUAL = 10_000
#: people in the large directory, of one in the small one
LARGE = 100
#: scim2-server needs about as many seconds for as many pages of 100
_PAGES_OF_THEIRS = 10
NOTES = (
    "Both serve the same invented people over loopback on uvicorn, one process each. One client with one connection "
    "keeps four requests waiting at the service, so that its pace is measured; the client's own time is in both.",
    "scim2-server: models from the schemas that the simulator publishes, its own in-memory storage, filled directly "
    "and made not to sort where nobody asked for an order. It keeps no tokens, limits, history or permissions.",
    'PATCH: `replace phoneNumbers[type eq "work"].value`, another value each time. Pages and people at random.',
    "large: a simulator with 100 times the people, from the start of the process until it announces itself; its "
    "memory is the peak after all its pages; pages of 25 at random places, in turn with the small one.",
    "Beside scim2-server, both hold everybody in memory: all pages were read once before (row `never asked for`).",
    "Large directory: accounts are invented when they are first asked for, and a page that was shown is kept; so each "
    "page of 25 is taken from a place of its own.",
)
_AHEAD = 4  #: requests that wait at the service
_SERVED = (CORE_USER, CORE_GROUP, ENTERPRISE_USER, GENESYS_USER)
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Client:
    """One connection to one service; next to nothing of its own, so that the services are what is measured."""

    def __init__(self, url: str, path: str, token: str = "") -> None:
        parts = urlsplit(url)
        self.connection = socket.create_connection((str(parts.hostname), parts.port or 80), timeout=120)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.path = path
        self.head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def request(self, method: str, tail: str, body: bytes = b"", kind: str = "application/scim+json") -> bytes:
        """The text of a request."""
        size = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
        return f"{method} {self.path}{tail} HTTP/1.1\r\n{self.head}{size}\r\n".encode() + body

    def ask(self, request: bytes) -> tuple[float, bytes]:
        """One request; how long it took, and the answer."""
        started = time.perf_counter()
        self.connection.sendall(request)
        content = self._answer()
        return time.perf_counter() - started, content

    def pace(self, requests: Sequence[bytes]) -> float:
        """Seconds a request, when the next one always waits at the service."""
        started = time.perf_counter()
        self.connection.sendall(b"".join(requests[:_AHEAD]))
        for place in range(len(requests)):
            self._answer()
            if place + _AHEAD < len(requests):
                self.connection.sendall(requests[place + _AHEAD])
        return (time.perf_counter() - started) / len(requests)

    def _answer(self) -> bytes:
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            self._more()
        head = self._take(end + 4).lower()
        if b"transfer-encoding: chunked" in head:
            content = b""
            while size := int(self._line(), 16):
                content += self._take(size + 2)[:-2]
            self._take(2)
        else:
            length = re.search(rb"content-length: (\d+)", head)
            content = self._take(int(length[1]) if length else 0)
        if int(head[9:12]) not in {200, 204}:
            raise BenchmarkError(f"{head!r} {content[:300]!r}")
        return content

    def _line(self) -> bytes:
        while (end := self.buffer.find(b"\r\n")) < 0:
            self._more()
        return self._take(end + 2)

    def _take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._more()
        part = bytes(self.buffer[:size])
        del self.buffer[:size]
        return part

    def _more(self) -> None:
        part = self.connection.recv(1 << 18)
        if not part:
            raise BenchmarkError("the connection was closed")
        self.buffer += part


def measure(size: Size) -> Report:
    """Play the rounds."""
    count, rows = size.people, []
    with ExitStack() as stack:
        small = stack.enter_context(served(*_arguments(count)))
        ours, started = stack.enter_context(_ours(small)), time.perf_counter()
        large = stack.enter_context(served(*_arguments(count * LARGE)))
        ready = time.perf_counter() - started
        wide = stack.enter_context(_ours(large))
        _pages(ours, wide, count, random.Random(0), 3)
        pages = [_pages(ours, wide, count, random.Random(turn + 1), 60) for turn in range(size.pairs)]
        rows += [
            Row(work="large: page of 25, of the small one's", values=pages, bar="<= 2"),
            Row(work="large: started", values=[ready], unit="s", bar="<= 60"),
            *(Row(work="large: peak memory", values=[p / 2**30], unit="GiB", bar="<= 4") for p in _largest(_peaks())),
        ]
    with ExitStack() as stack:
        ours = stack.enter_context(_ours(stack.enter_context(served(*_arguments(count)))))
        started = time.perf_counter()
        theirs = stack.enter_context(Client(stack.enter_context(_scim2_server(count)), "/v2"))
        filled = time.perf_counter() - started
        cold = _cold(ours, count)
        rounds = [_round(ours, theirs, count, turn) for turn in range(size.pairs)]
    for work, bar in _BARS.items():
        rows.append(Row(work=work, values=[r[work][1] / r[work][0] for r in rounds], bar=bar))
    for work in _BARS:
        for side, name in enumerate(("simulator", "scim2-server")):
            rows.append(Row(work=f"{name}: {work}", values=[1e3 * r[work][side] for r in rounds], unit="ms"))
    rows.append(Row(work="simulator: page of 100 never asked for", values=[1e3 * cold], unit="ms"))
    rows.append(Row(work="scim2-server: filled and started", values=[filled], unit="s"))
    return Report(name="simulator", size=size, rows=rows, notes=NOTES)


#: what is asked, and how many times faster the simulator has to be
_BARS = {
    "GET one": ">= 5",
    "page of 100": ">= 100",
    "PATCH with value filter": ">= 8",
}


def _arguments(count: int) -> tuple[str, ...]:
    options = ("rate_limit=0", "expensive_page_429=never")
    return ("--users", str(count), "--seed", str(world.SEED), *(w for o in options for w in ("--option", o)))


def _ours(announced: Mapping[str, str]) -> Client:
    who = f"client_id={announced['client_id']}&client_secret={announced['client_secret']}"
    body = f"grant_type=client_credentials&{who}".encode()
    with Client(announced["login_url"], "") as login:
        _, answer = login.ask(login.request("POST", "/oauth/token", body, "application/x-www-form-urlencoded"))
    token = json.loads(answer)["access_token"]
    return Client(announced["api_url"], "/api/v2/scim/v2", token)


def _peaks() -> list[int]:
    """Peak memory of the children of this process, in bytes; nothing where the system does not tell."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            told = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines() if ":" in line)
        except OSError:
            continue
        if told.get("PPid", "").strip() == str(os.getpid()) and "VmHWM" in told:
            found.append(int(told["VmHWM"].split()[0]) * 1024)
    return found


def _largest(values: Sequence[int]) -> list[int]:
    return [max(values)] if values else []


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _pages(ours: Client, wide: Client, count: int, chance: random.Random, number: int) -> float:
    """How many times longer a page of the large directory takes."""
    small, large = [], []
    for _ in range(number):
        for client, limit, spent in ((ours, count, small), (wide, count * LARGE, large)):
            start = chance.randrange(1, max(2, limit * 9 // 10))
            spent.append(client.ask(client.request("GET", f"/Users?startIndex={start}&count=25"))[0])
    return _median(large) / _median(small)


def _cold(ours: Client, count: int) -> float:
    """A page that nobody asked for yet; afterwards all were, as in a client's sweep."""
    return _median([ours.ask(ours.request("GET", f"/Users?startIndex={s}&count=100"))[0] for s in range(1, count, 100)])


def _round(ours: Client, theirs: Client, count: int, turn: int) -> dict[str, tuple[float, float]]:
    chance = random.Random(turn)
    actives = [i for i, p in enumerate(people(world.SEED, count)) if p.active]

    def one(client: Client) -> bytes:
        return client.request("GET", f"/Users/{account_id(world.SEED, chance.randrange(count))}")

    def page(client: Client) -> bytes:
        start = chance.randrange(1, max(2, count * 9 // 10))
        return client.request("GET", f"/Users?startIndex={start}&count=100")

    def patch(client: Client) -> bytes:
        id_ = account_id(world.SEED, chance.choice(actives))
        value = f"+1317555{chance.randrange(10_000):04d}"
        change = {"op": "replace", "path": 'phoneNumbers[type eq "work"].value', "value": value}
        body = json.dumps({"schemas": [_PATCH], "Operations": [change]}).encode()
        return client.request("PATCH", f"/Users/{id_}", body)

    #: what is asked, and how often: of theirs less, which takes longer
    works: Mapping[str, tuple[Callable[[Client], bytes], int, int]] = {
        "GET one": (one, 2000, 300),
        "page of 100": (page, 500, _PAGES_OF_THEIRS),
        "PATCH with value filter": (patch, 1000, 200),
    }
    found = {}
    for work, (made, often, less) in works.items():
        sides = [(ours, often), (theirs, less)]
        paces = {c: c.pace([made(c) for _ in range(n)]) for c, n in (sides[::-1] if turn % 2 else sides)}
        found[work] = (paces[ours], paces[theirs])
    return found


@contextmanager
def _scim2_server(count: int) -> Iterator[str]:
    """scim2-server in a process of its own; gives its URL."""
    command = (sys.executable, "-m", "benchmarks.simulator", str(count))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            line = child.stdout.readline() if child.stdout else ""
            if not line:
                raise BenchmarkError("scim2-server did not start")
            yield line.strip()
        finally:
            child.terminate()


# --- scim2-server, a process ----------------------------------------------------------------------


def _serve(count: int) -> None:
    """Serve the people of the simulator with scim2-server until the process is ended."""
    import gc  # noqa: PLC0415 - only this process needs what follows

    import uvicorn  # noqa: PLC0415
    from scim2_models import Context, Meta, ResourceType, Schema, ScimProvider, ServiceProviderConfig  # noqa: PLC0415
    from scim2_server.applications.asgi import ASGIApplication  # noqa: PLC0415
    from scim2_server.memory import AsyncInMemoryStorage, InMemoryStorage  # noqa: PLC0415
    from scim2_server.service import ScimService  # noqa: PLC0415
    from scim2_server.storage import SearchPage  # noqa: PLC0415

    from scimsync.simulator import discovery  # noqa: PLC0415
    from scimsync.simulator.directory import Directory  # noqa: PLC0415

    class Storage(InMemoryStorage):
        """Theirs, but for a listing that nobody wants sorted."""

        listed: list[object]

        def search(self, resource_types, search_request, *, position=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            if search_request.filter or search_request.sort_by or search_request.cursor is not None:
                return super().search(resource_types, search_request, position=position)
            start = search_request.start_index_0 or 0
            page = self.listed[start : start + (search_request.count or 0)]
            return SearchPage(len(self.listed), [r.model_copy(deep=True) for r in page])

    class Service(ScimService):
        """Theirs, but PATCH answers with the user and not with 204."""

        def patch_response(self, base_url, resource, response_parameters):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            published = self.publish(base_url, resource)
            return self.resource_response(published, Context.RESOURCE_REPLACEMENT_RESPONSE, response_parameters)

    base = "http://localhost/v2"
    common = {"schemas", "id", "externalId", "meta"}  # their models bring these along
    wanted = []
    for document in discovery.schemas(base).values():
        if document["id"] in _SERVED:
            attributes = [a for a in document["attributes"] if a["name"] not in common]  # type: ignore[attr-defined]
            wanted.append(Schema.model_validate(document | {"attributes": attributes}))
    config = discovery.provider_config(base) | {"filter": {"supported": True, "maxResults": 1000}}
    provider = ScimProvider.from_discovery(
        wanted,
        [ResourceType.model_validate(k) for k in discovery.resource_types(base).values() if k["schema"] in _SERVED],
        ServiceProviderConfig.model_validate(config),
    )
    directory = Directory()
    directory.fill(world.SEED, count)
    model = provider.model_for("User")
    storage = Storage()
    listed = []
    for user in directory.users.values():
        document = directory.document(user)
        document.pop("groups", None)
        document.pop("meta", None)
        resource = model.model_validate(document)
        now = storage.clock()
        resource.meta = Meta(resource_type="User", created=now, last_modified=now, version=storage.next_version())
        listed.append(resource)
    storage.resources = listed
    storage.listed = listed
    application = ASGIApplication(AsyncInMemoryStorage(storage), provider, Service(provider))
    # With the protocol said, asyncio sets TCP_NODELAY; without, every answer with a body waits 40 ms.
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.bind(("127.0.0.1", 0))
    door.listen(64)
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", access_log=False))
    gc.freeze()
    print(f"http://127.0.0.1:{door.getsockname()[1]}", flush=True)
    server.run(sockets=[door])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
