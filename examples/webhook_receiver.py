"""A receiver of scimsync's webhooks, with the standard library alone: it proves each event, and prints it.

    WEBHOOK_SECRET=whsec_... python webhook_receiver.py [PORT]

In production it stands behind a proxy with TLS. It answers 204 as soon as it has the event; whatever is
done with it is done after that. An event may come twice: its id tells. Put your own work into `handle`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 300
LONGEST_BODY = 1024 * 1024
seen: dict[str, float] = {}


def key_of(secret: str) -> bytes:
    """The key: base64 behind `whsec_`, else the text itself."""
    if secret.startswith("whsec_"):
        packed = secret.removeprefix("whsec_").rstrip("=")
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    return secret.encode()


def is_genuine(key: bytes, message: str, stamp: str, signatures: str, body: bytes) -> bool:
    """Whether one of the signatures proves these bytes, and they are fresh."""
    if not (message and stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    if abs(time.time() - int(stamp)) > TOLERANCE_S:
        return False
    signed = f"{message}.{stamp}.".encode() + body
    wanted = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    return any(hmac.compare_digest(wanted, one.encode()) for one in signatures.split(" ")[:16])


def handle(message: str, event: dict[str, object]) -> None:
    """What is done with an event: here it is printed."""
    print(f"{message} {json.dumps(event)}\n", end="", flush=True)  # in one piece: several may come at once


class Server(ThreadingHTTPServer):
    """Takes several at once: the default queue of five makes others wait a second."""

    request_queue_size = 128


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 for a genuine event, 401 for everything else."""

    def do_POST(self) -> None:
        """One event."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and int(length) <= LONGEST_BODY):
            return self.answer(413)
        body = self.rfile.read(int(length))
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        message, stamp, signatures = (self.headers.get(name, "") for name in names)
        if not is_genuine(self.server.key, message, stamp, signatures, body):
            return self.answer(401)
        self.answer(204)
        now = time.time()
        for old in [name for name, at in seen.items() if now - at > 7 * 86400]:
            del seen[old]
        if message not in seen:
            seen[message] = now
            handle(message, json.loads(body))
        return None

    def answer(self, status: int) -> None:
        """A status and nothing else."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def main() -> None:
    """Listen on this machine until Ctrl-C."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8788
    server = Server(("127.0.0.1", port), Receiver)
    server.key = key_of(os.environ["WEBHOOK_SECRET"])
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
