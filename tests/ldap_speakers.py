"""What no server here does: a small speaker of LDAP (RFC 4511) for habits of other servers, and a wire that breaks.

`Speaker` answers binds and searches with what a subclass says; each of its habits names where it is from: documented
(RFC, Microsoft's documentation) or observed. `Wire` stands before a real server and cuts it off after some bytes.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

PAGED = b"1.2.840.113556.1.4.319"
Node = tuple[int, "bytes | list[Node]"]


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element of BER."""
    body = b"".join(parts)
    size = len(body)
    head = bytes([size]) if size < 128 else b"\x84" + size.to_bytes(4, "big")
    return bytes([tag]) + head + body


def number(value: int, tag: int = 2) -> bytes:
    """An integer, or with tag 10 a word of an enumeration."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def read(data: bytes) -> list[Node]:
    """The elements of some BER; those that hold others are lists of them."""
    found: list[Node] = []
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            more = size & 0x7F
            size, at = int.from_bytes(data[at : at + more], "big"), at + more
        body = data[at : at + size]
        found.append((tag, read(body) if tag & 0x20 else body))
        at += size
    return found


@dataclass(frozen=True)
class Search:
    """One search request."""

    base: str
    scope: int
    attributes: Sequence[str]
    #: the cookie of the paged control; None where there is none
    cookie: bytes | None


@dataclass
class Answer:
    """What is said to it: entries, references, then a result."""

    entries: Sequence[tuple[str, Mapping[str, Sequence[bytes | str]]]] = ()
    references: Sequence[str] = ()
    code: int = 0
    text: str = ""
    #: of the paged control; None leaves it out
    cookie: bytes | None = b""
    #: hang up before the result
    cuts: bool = False


@dataclass
class Speaker:
    """Says what a test wants said."""

    searches: list[Search] = field(default_factory=list)
    #: result code and text of a bind
    bind: tuple[int, str] = (0, "")

    def root(self) -> Answer:
        """The entry that says what the server is."""
        return Answer([("", {"supportedControl": [PAGED], "namingContexts": ["DC=acme,DC=com"]})])

    def answer(self, search: Search) -> Answer:
        """What a search is answered with."""
        return Answer()

    def said(self, message: int, data: list[Node]) -> Iterator[bytes | None]:
        """The answer to one message; None to hang up."""
        tag, body = data[1]
        if tag == 0x60:
            code, text = self.bind
            yield _message(message, tlv(0x61, *_result(code, text)))
        elif tag == 0x63:
            assert isinstance(body, list)
            yield from self._searched(message, body, data[2:])
        else:
            yield None

    def _searched(self, message: int, body: list[Node], controls: list[Node]) -> Iterator[bytes | None]:
        listed = body[7][1]
        assert isinstance(listed, list)
        search = Search(_text(body[0]), body[1][1][0], [_text(one) for one in listed], _cookie(controls))  # type: ignore[arg-type]
        self.searches.append(search)
        answer = self.root() if search.base == "" and search.scope == 0 else self.answer(search)
        for name, values in answer.entries:
            yield _message(
                message, tlv(0x64, tlv(4, name.encode()), tlv(0x30, *(_held(k, v) for k, v in values.items())))
            )
        for link in answer.references:
            yield _message(message, tlv(0x73, tlv(4, link.encode())))
        if answer.cuts:
            yield None
            return
        extra = b""
        if search.cookie is not None and answer.cookie is not None:
            value = tlv(0x30, number(0), tlv(4, answer.cookie))
            extra = tlv(0xA0, tlv(0x30, tlv(4, PAGED), tlv(4, value)))
        yield _message(message, tlv(0x65, *_result(answer.code, answer.text)), extra)


def _message(identity: int, operation: bytes, controls: bytes = b"") -> bytes:
    return tlv(0x30, number(identity), operation, controls)


def _result(code: int, text: str) -> Sequence[bytes]:
    return number(code, 10), tlv(4), tlv(4, text.encode())


def _held(name: str, values: Sequence[bytes | str]) -> bytes:
    plain = (value.encode() if isinstance(value, str) else value for value in values)
    return tlv(0x30, tlv(4, name.encode()), tlv(0x31, *(tlv(4, value) for value in plain)))


def _text(node: Node) -> str:
    assert isinstance(node[1], bytes)
    return node[1].decode()


def _cookie(controls: list[Node]) -> bytes | None:
    for _, listed in controls:
        for _, control in listed:  # type: ignore[misc]  # controls are lists of lists
            if control[0][1] == PAGED:  # type: ignore[index]
                return bytes(read(control[-1][1])[0][1][1][1])  # type: ignore[index,arg-type]
    return None


@contextlib.contextmanager
def speaking(speaker: Speaker) -> Iterator[str]:
    """The speaker on a port of its own; gives its address."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while message := self._next():
                found = read(message)[0][1]
                assert isinstance(found, list)
                assert isinstance(found[0][1], bytes)
                for said in speaker.said(int.from_bytes(found[0][1], "big"), found):
                    if said is None:
                        return
                    self.request.sendall(said)

        def _next(self) -> bytes:
            head = self._exactly(2)
            if len(head) < 2:
                return b""
            size, more = head[1], b""
            if size & 0x80:
                more = self._exactly(size & 0x7F)
                size = int.from_bytes(more, "big")
            return head + more + self._exactly(size)

        def _exactly(self, size: int) -> bytes:
            got = b""
            while len(got) < size and (some := self.request.recv(size - len(got))):
                got += some
            return got

    with _serving(Handler) as port:
        yield f"ldap://127.0.0.1:{port}"


@contextlib.contextmanager
def wire(port: int, *, cut: int) -> Iterator[str]:
    """A wire to a server on this machine that breaks after so many bytes of its answers; gives the address."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as beyond:
                thread = threading.Thread(target=_pass, args=(self.request, beyond), daemon=True)
                thread.start()
                left = cut
                while left > 0 and (some := beyond.recv(min(4096, left))):
                    self.request.sendall(some)
                    left -= len(some)
                for end in (self.request, beyond):
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

    with _serving(Handler) as mine:
        yield f"ldap://127.0.0.1:{mine}"


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while some := source.recv(4096):
            sink.sendall(some)


@contextlib.contextmanager
def _serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
