"""Providers of OpenID Connect on real sockets: one that others wrote, and one of ours that misbehaves where it is told to.

`others` is oidc-provider-mock in a process of its own. `Wayward` signs with joserfc and answers as Entra, Okta and
Keycloak do where a test wants that.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT, SECRET = "scimsync-console", "canary-client-secret-0idc"


def ask(method: str, url: str, **more: Any) -> httpx2.Response:
    with httpx2.Client(trust_env=False, verify=False, timeout=30) as client:
        return client.request(method, url, **more)


@dataclass
class Others:
    """The provider that others wrote."""

    issuer: str

    def person(self, subject: str, **claims: object) -> None:
        """Make somebody, or change what is said of them."""
        assert ask("PUT", f"{self.issuer}/users/{subject}", json=claims).status_code == 204

    def agree(self, url: str, subject: str, **more: str) -> str:
        """Sign in there as a person does; where the browser is sent back to."""
        answer = ask("POST", url, data={"sub": subject, **more})
        assert answer.status_code in {302, 303}, answer.text
        return answer.headers["location"]


@contextlib.contextmanager
def others() -> Iterator[Others]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    found = Others(f"http://localhost:{port}")
    try:
        for _ in range(600):
            with contextlib.suppress(httpx2.HTTPError):
                if ask("GET", f"{found.issuer}/.well-known/openid-configuration").status_code == 200:
                    break
            assert server.poll() is None, "the provider ended: pip install oidc-provider-mock"
            time.sleep(0.05)
        yield found
    finally:
        server.terminate()
        server.wait(10)


@dataclass
class Wayward:
    """A provider that does as the specification says, but where a test says otherwise."""

    address: str = ""
    #: how it calls itself; its address where empty
    name: str = ""
    #: what it says of itself and of a person besides, and instead; None takes away
    about: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    #: what stands at its address of user data; None for no such address
    userinfo: dict[str, Any] | None = None
    #: names of keys; the last one signs. `hidden`: signs, and is not shown
    keys: list[str] = field(default_factory=lambda: ["one"])
    hidden: str = ""
    #: status of each answer of a path, where it is not well
    broken: dict[str, int] = field(default_factory=dict)
    algorithm: str = "RS256"
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    made: ClassVar[dict[str, RSAKey]] = {}

    @property
    def issuer(self) -> str:
        return self.name or self.address

    def agree(self, url: str, subject: str = "00u1", **more: str) -> str:
        """What the browser comes back with."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        code = f"code-{len(self.codes)}"
        self.codes[code] = {**asked, "sub": subject}
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], **more})}"

    def key(self, name: str) -> RSAKey:
        if name not in self.made:
            self.made[name] = RSAKey.generate_key(2048, {"kid": name, "use": "sig"})
        return self.made[name]

    def answer(self, path: str, form: Mapping[str, str]) -> object:
        if path == "/.well-known/openid-configuration":
            said = {"issuer": self.issuer, "jwks_uri": f"{self.address}/jwks"} | {
                f"{name}_endpoint": f"{self.address}/{name}" for name in ("authorization", "token")
            }
            said |= {"userinfo_endpoint": f"{self.address}/userinfo"} if self.userinfo is not None else {}
            return {name: value for name, value in (said | self.about).items() if value is not None}
        if path == "/jwks":
            return {"keys": [self.key(name).as_dict(private=False) for name in self.keys if name != self.hidden]}
        if path == "/userinfo":
            return self.userinfo
        if path == "/token":
            return self._token(form)
        raise KeyError(path)

    def _token(self, form: Mapping[str, str]) -> dict[str, object]:
        given = self.codes.pop(form.get("code", ""), None)
        if given is None:
            return {"error": "invalid_grant", "error_description": "the code <b>was used</b>"}
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == given["code_challenge"]
        at = int(time.time())
        claims = {
            "iss": self.issuer, "aud": given["client_id"], "sub": given["sub"], "exp": at + 300, "iat": at,
            "nonce": given["nonce"], "preferred_username": "ada@example.com",
        } | self.claims  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm, "kid": self.hidden or self.keys[-1]}
        key = OctKey.import_key(SECRET) if self.algorithm.startswith("HS") else self.key(str(header["kid"]))
        token = jwt.encode(header, claims, key, algorithms=[self.algorithm])
        return {"access_token": "canary-access-token", "token_type": "Bearer", "expires_in": 300, "id_token": token}


@contextlib.contextmanager
def wayward(**more: Any) -> Iterator[Wayward]:
    provider = Wayward(**more)

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            provider.asked.append(path)
            length = int(self.headers.get("content-length", 0))
            form = dict(parse_qsl(self.rfile.read(length).decode()))
            status = provider.broken.get(path, 200)
            said = provider.answer(path, form) if status == 200 else {"error": "unwell"}
            status = 400 if isinstance(said, dict) and "error" in said and status == 200 else status
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        provider.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield provider
        finally:
            server.shutdown()
