"""Serve a WSGI application for as long as whoever started this lives."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

TOKEN = "a-token"


class _Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""


def serve(application: Callable[..., Iterable[bytes]], path: str, *, threads: bool = True) -> None:
    """Serve on a free port, and say where on standard output."""
    kind = _Threading if threads else WSGIServer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with make_server("127.0.0.1", 0, application, server_class=kind, handler_class=_Handler) as server:
        told = {"url": f"http://127.0.0.1:{server.server_port}{path}", "token": TOKEN}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        server.serve_forever()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)
