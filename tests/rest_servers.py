"""A small REST API of people on a real socket: three kinds of paging and more, with limits; each part may be spoilt."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Said:
    """What the server says: a document as JSON, or bytes as they are."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Api:
    """Answers requests. A subclass says what; whatever a test may want to spoil is a method of its own."""

    #: each so many requests, one is refused with 429; 0: none
    throttles = 0

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.address = ""
        self._lock = threading.Lock()
        self._turn = 0

    def answer(self, request: Request) -> Said:
        """What is said to a request that is let in."""
        raise NotImplementedError

    def refusal(self, request: Request) -> Said | None:
        """Why a request is not let in; None where it is."""
        return None

    def handle(self, request: Request) -> Said:
        """Count a request, and answer it."""
        with self._lock:
            self.asked.append(request)
            self._turn += 1
            if self.throttles and self._turn % self.throttles == 0:
                return Said({"error": "too many requests"}, 429, {"Retry-After": "0"})
        return self.refusal(request) or self.answer(request)


class People(Api):
    """A listing of records below `/people`, paged in every way there is."""

    page = 100
    secret = ""

    def __init__(self, records: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__()
        self.records = [dict(record) for record in records]

    def total(self, number: int) -> int:
        """How many there are, as page `number` says."""
        return len(self.records)

    def refusal(self, request: Request) -> Said | None:
        """Let in who has the secret: as bearer token, as password, as header or as parameter."""
        if not self.secret:
            return None
        given = request.headers.get("authorization", "")
        basic = base64.b64decode(given.removeprefix("Basic ")).decode() if given.startswith("Basic ") else ""
        shown = {
            given.removeprefix("Bearer "), basic.partition(":")[2], request.headers.get("x-api-key", ""),
            request.query.get("api_key", ""),
        }  # fmt: skip
        if self.secret in shown:
            return None
        return Said({"error": f"you sent {given} {request.query.get('api_key')}"}, 401, {"WWW-Authenticate": "Bearer"})

    def answer(self, request: Request) -> Said:
        """One page, and where the next is."""
        size = int(request.query.get("limit", self.page))
        if "page" in request.query:
            start = (int(request.query["page"]) - 1) * size
        else:
            start = int(request.query.get("cursor", request.query.get("offset", "0")).removeprefix("c"))
        number = start // size + 1
        shown = self.shown(start, size, number)
        end = start + size
        more = end < len(self.records)
        following = self.following(request, end, size) if more else ""
        return Said(
            {
                "data": {"employees": shown},
                "meta": {"total": self.total(number), "cursor": f"c{end}" if more else None, "next": following},
            },
            headers={"Link": f'<{self.address}/people?offset=0>; rel="first", <{following}>; rel="next"'}
            if more
            else {},
        )

    def shown(self, start: int, size: int, number: int) -> list[dict[str, Any]]:
        """The records of a page."""
        return self.records[start : start + size]

    def following(self, request: Request, end: int, size: int) -> str:
        """The address of the next page."""
        query = {**request.query, "offset": str(end), "limit": str(size)}
        return f"{self.address}{request.path}?{urlencode(query)}"


@contextlib.contextmanager
def serving(api: Api) -> Iterator[str]:
    """Serve an API on a free port; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm: ClassVar[bool] = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            said = api.handle(Request(self.command, parts.path, query, headers, body))
            content = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in {"Content-Type": "application/json", **said.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield api.address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
