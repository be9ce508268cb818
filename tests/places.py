"""Places where files lie, for tests: a real SSH server, a real S3 server, a web server with a certificate of its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncssh
import obstore
import obstore.store
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.postgres import free_port

USER, PASSWORD = "reader", "canary-place-5up3r"


@dataclass
class Ssh:
    """An SSH server that serves a folder."""

    port: int
    fingerprint: str
    known: str
    #: how often somebody came in
    logins: int = 0

    def url(self, path: str) -> str:
        return f"sftp://{USER}@127.0.0.1:{self.port}{path}"


@contextlib.contextmanager
def ssh_server(folder: Path, client_key: Path | None = None) -> Iterator[Ssh]:
    """A server in whose root `folder` lies; whoever has the password or the key comes in."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    told = Ssh(0, key.get_fingerprint("sha256"), "")

    class Door(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, PASSWORD)

        def auth_completed(self) -> None:
            told.logins += 1

    async def start() -> Any:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Door,
            server_host_keys=[key],
            authorized_client_keys=str(client_key) if client_key else None,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder).encode()),
        )

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    told.port = server.get_port()
    told.known = f"[127.0.0.1]:{told.port} {key.export_public_key().decode()}"
    try:
        yield told
    finally:

        async def stop() -> None:
            server.close()
            await server.wait_closed()

        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass
class Site:
    """A web server: what it holds, and what it was asked with."""

    url: str = ""
    ca_file: Path = Path()
    files: dict[str, bytes] = field(default_factory=dict)
    #: path -> where it is sent to
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    #: so many bytes of an answer are sent, though more are announced
    cut: int | None = None
    knows_head: bool = True
    #: what it wants to see
    authorization: str = ""


@contextlib.contextmanager
def web_server(folder: Path) -> Iterator[Site]:  # noqa: C901 - a whole server
    """An https server on this machine."""
    site = Site(ca_file=folder / "ca.pem")
    certificate = _certificate(folder)

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = self.path.partition("?")[0]
            site.asked.append((self.command, path, dict(self.headers)))
            body, status, headers = b"", 200, {}
            if not with_body and not site.knows_head:
                status = 405
            elif path in site.moved:
                status, headers = 302, {"Location": site.moved[path]}
            elif site.authorization and self.headers.get("Authorization") != site.authorization:
                status = 401
            elif path in site.files:
                body = site.files[path]
                headers = {"ETag": f'"{hash(body) & 0xFFFFFF:x}"', "Last-Modified": "Fri, 27 Nov 2026 10:00:00 GMT"}
            else:
                status = 404
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body[: site.cut])
                if site.cut is not None:
                    self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Answer) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        site.url = f"https://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


def _certificate(folder: Path) -> Path:
    """A certificate for this machine that vouches for itself: `ca.pem`, and with its key `server.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"scimsync tests {folder}"[-60:])])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(public)
    (folder / "server.pem").write_bytes(public + secret)
    return folder / "server.pem"


@dataclass
class Bucket:
    """A bucket of an S3 server."""

    endpoint: str
    name: str = "people"

    def url(self, path: str) -> str:
        return f"s3://{self.name}/{path}"

    def store(self) -> Any:
        return obstore.store.S3Store(
            self.name,
            access_key_id=USER,
            secret_access_key=PASSWORD,
            region="us-east-1",
            endpoint=self.endpoint,
            client_options={"allow_http": True},
        )

    def put(self, path: str, body: bytes) -> None:
        obstore.put(self.store(), path, body)

    def remove(self, path: str) -> None:
        obstore.delete(self.store(), path)


@contextlib.contextmanager
def s3_server() -> Iterator[Bucket]:
    """moto, as a server of its own process: it is a simulator, but on a real socket, and other people's."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bucket = Bucket(f"http://127.0.0.1:{port}")
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{bucket.endpoint}/moto-api/", timeout=5).close()
                break
            time.sleep(0.1)
        made = urllib.request.Request(f"{bucket.endpoint}/{bucket.name}", method="PUT")
        urllib.request.urlopen(made, timeout=30).close()
        yield bucket
    finally:
        server.terminate()
        server.wait(10)
