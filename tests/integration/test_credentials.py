"""Each way to authenticate, played in whole runs against servers that let nobody else in."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest
from tests.servers import Answer, Asked, Firm, Provider, account, firm, serving

from scimsync.errors import ConfigError, TargetDenied, TargetError

#: what stands in the secret file: signs that forms and Basic must encode
SECRET = "canary+s3cr3t/of=the:firm %é"
KEY = "canary-k3y-9f"
GIVEN = "canary-given-t0ken"


class TokenEndpoint(Provider):
    """Gives tokens for client credentials (RFC 6749 §4.4) to one client, which it takes in one form only."""

    def __init__(self, by: str = "basic", **wants: str) -> None:
        super().__init__()
        self.by, self.wants = by, wants
        self.kind: object = "Bearer"
        self.forms: list[tuple[Mapping[str, str], Mapping[str, str]]] = []

    def take(self, handler: BaseHTTPRequestHandler) -> Answer:
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0)).decode()
        form = {name: values[0] for name, values in parse_qs(raw, strict_parsing=True).items()}
        self.forms.append((dict(handler.headers.items()), form))
        if handler.command != "POST" or urlsplit(handler.path).path != "/tenant/token":
            return Answer(404)
        if self._client(handler.headers.get("Authorization", ""), form) != ("the client", SECRET):
            said = {"error": "invalid_client", "error_description": f"{form} is not known"}
            return Answer(401, said, {"WWW-Authenticate": "Basic"})
        if any(form.get(name) != value for name, value in self.wants.items()):
            return Answer(400, {"error": "invalid_scope" if "scope" in self.wants else "invalid_request"})
        return Answer(200, {"access_token": GIVEN, "token_type": self.kind, "expires_in": 3600})

    def _client(self, header: str, form: Mapping[str, str]) -> tuple[str, str]:
        if self.by == "post":
            return form.get("client_id", ""), form.get("client_secret", "")
        name, _, word = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return unquote_plus(name), unquote_plus(word)


class Guarded(Provider):
    """Lets in whoever sends one header, and says to all others what they sent."""

    def __init__(self, name: str, value: str, *users: Mapping[str, object], scheme: str = "Bearer") -> None:
        super().__init__(*users)
        self.name, self.value, self.scheme = name, value, scheme
        self.status = 401

    def take(self, handler: BaseHTTPRequestHandler) -> Answer:
        sent = str(handler.headers.get(self.name, ""))
        if sent == self.value:
            return super().take(handler)
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        parts = urlsplit(handler.path)
        self.asked.append(Asked(handler.command, parts.path, {}, None, dict(handler.headers.items()), self.status))
        told = self.refuse(self.status, f"{sent} lets nobody in")
        return Answer(told.status, told.body, {"WWW-Authenticate": f'{self.scheme} realm="Basic, or so"'})


def basic(user: str, word: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()


def client(endpoint: Provider, *more: str) -> str:
    url = f"{endpoint.address}/tenant/token?version=2"
    lines = [f'token_url = "{url}"', 'client_id = "the client"', 'client_secret = "file:secret"', *more]
    return "\n".join(lines)


@contextmanager
def guarded(folder: Path, provider: Provider, credentials: str = "") -> Iterator[Firm]:
    """A firm with a secret in a file."""
    with firm(folder, provider) as home:
        for name, held in (("secret", SECRET), ("key", KEY)):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(held + "\n", encoding="utf-8")
        if credentials:
            home.configure(credentials=credentials)
        home.hr({"id": 1}, {"id": 2})
        yield home


#: the header that the target wants, what the file says, and what doctor says of it
WAYS: dict[str, tuple[str, str, str, str]] = {
    "token": ("Authorization", f"Bearer {KEY}", 'token = "file:key"', "a ready-made token is used"),
    "basic": (
        "Authorization", basic("scim", SECRET), 'username = "scim"\npassword = "file:secret"',
        "HTTP Basic lets user scim in",
    ),
    "header": ("x-api-key", KEY, 'header = "X-API-Key"\nheader_value = "file:key"', "the header X-API-Key lets us in"),
    "a scheme of its own": (
        "Authorization", "SSWS canary-k3y", 'header = "Authorization"\nheader_value = "env:SSWS"',
        "the header Authorization lets us in",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def ssws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSWS", "SSWS canary-k3y")


def left(folder: Path) -> str:
    """Everything that a run left behind, but for the secrets themselves."""
    kept = [path for path in folder.rglob("*") if path.is_file() and path.name not in {"secret", "key", "token"}]
    return "".join(path.read_bytes().decode("utf-8", "replace") for path in kept)


def secretless(*texts: str) -> None:
    for word in (SECRET, KEY, GIVEN, "canary-k3y", basic("scim", SECRET).removeprefix("Basic ")):
        assert not [text for text in texts if word in text]


@pytest.mark.parametrize("way", WAYS)
def test_people_are_kept_whatever_way_there_is_to_authenticate(tmp_path: Path, way: str) -> None:
    name, value, lines, said = WAYS[way]
    with guarded(tmp_path, Guarded(name, value, account(1, title="Old")), lines) as home:
        looked = home.command("doctor")
        assert looked.code == 0, looked.out
        assert said in looked.out
        done = home.command("sync", "--log", "json")
        assert done.code == 0, done.err
        shown = home.command("config", "show")
        assert {user["userName"]: user["title"] for user in home.provider.users.values()} == {
            "p1@x.org": "T", "p2@x.org": "T",
        }  # fmt: skip
        home.quiet()
        assert all(asked.headers.get("Authorization", value) == value for asked in home.provider.asked)
        secretless(looked.out, looked.err, done.out, done.err, shown.out, left(tmp_path))


@pytest.mark.parametrize("by", ["basic", "post"])
@pytest.mark.parametrize(
    ("wants", "more"),
    [
        ({}, []),
        ({"scope": "read https://x.example/.default"}, ['scopes = ["read", "https://x.example/.default"]']),
        ({"audience": "https://scim.example/"}, ['audience = "https://scim.example/"']),
    ],
)
def test_client_credentials_are_used_at_any_token_endpoint(
    tmp_path: Path, by: str, wants: dict[str, str], more: list[str]
) -> None:
    endpoint = TokenEndpoint(by, **wants)
    with serving(endpoint), guarded(tmp_path, Guarded("Authorization", f"Bearer {GIVEN}")) as home:
        home.configure(credentials=client(endpoint, f'client_auth = "{by}"', *more))
        made, report = home.sync()
        assert len(made.changes) == 2
        assert report.clean
        assert len(endpoint.forms) == 2, "one token for the plan and one for the run"
        assert "a token was given for client the client by 127.0.0.1" in home.command("doctor").out
        for headers, form in endpoint.forms:
            assert ("Authorization" in headers) is (by == "basic")
            assert ("client_secret" in form) is (by == "post")
        secretless(left(tmp_path))


@pytest.mark.parametrize("by", ["basic", "post"])
def test_a_provider_that_takes_the_client_in_one_form_only_is_told_of_with_the_key_to_set(
    tmp_path: Path, by: str
) -> None:
    endpoint = TokenEndpoint("post" if by == "basic" else "basic")
    with serving(endpoint), guarded(tmp_path, Guarded("Authorization", f"Bearer {GIVEN}")) as home:
        home.configure(credentials=client(endpoint, f'client_auth = "{by}"'))
        looked, done = home.command("doctor"), home.command("sync", "--log", "json")
        assert (looked.code, done.code) == (5, 5)
        for said in (looked.out, done.err):
            assert "refuses client the client (401 invalid_client)" in said
            assert f"client_auth = {json.dumps(endpoint.by)}" in said.replace("\\", "")
        assert len(endpoint.forms) == 2, "nothing is tried in silence"
        secretless(looked.out, looked.err, done.out, done.err, left(tmp_path))


def test_a_token_of_another_type_than_bearer_is_refused_in_words(tmp_path: Path) -> None:
    endpoint = TokenEndpoint()
    endpoint.kind = "mac"
    with serving(endpoint), guarded(tmp_path, Guarded("Authorization", f"Bearer {GIVEN}")) as home:
        home.configure(credentials=client(endpoint))
        with pytest.raises(TargetDenied, match=r"another type than Bearer \(mac\)"):
            home.plan()
        assert home.provider.asked == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_says_what_to_check_and_shows_no_secret(tmp_path: Path, way: str, status: int) -> None:
    """Also where the target repeats in its refusal what was sent."""
    name, value, lines, _ = WAYS[way]
    with guarded(tmp_path, Guarded(name, value + "x", scheme="Digest"), lines) as home:
        home.provider.status = status  # type: ignore[attr-defined]
        looked, done = home.command("doctor"), home.command("sync", "--log", "json")
        assert (looked.code, done.code) == (5, 5), done.err
        assert ("wants Digest" in looked.out) is (status == 401)
        assert ("lets nobody in" in looked.out) is (status == 403)
        secretless(looked.out, looked.err, done.out, done.err, left(tmp_path))


class Elsewhere(Guarded):
    """Sends everybody to another host."""

    there = ""

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
        return Answer(307, None, {"Location": f"{self.there}{path}"})


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_it_goes_to_another_host(tmp_path: Path, way: str) -> None:
    name, value, lines, _ = WAYS[way]
    other = Provider()
    with serving(other), guarded(tmp_path, Elsewhere(name, value), lines) as home:
        home.provider.there = other.address  # type: ignore[attr-defined]
        with pytest.raises(TargetError, match="was not followed"):
            home.plan()
        assert home.provider.asked
        assert other.asked == []


def test_a_token_endpoint_that_sends_us_elsewhere_gets_no_secret_there(tmp_path: Path) -> None:
    class Moved(TokenEndpoint):
        def take(self, handler: BaseHTTPRequestHandler) -> Answer:
            super().take(handler)
            return Answer(308, None, {"Location": f"{other.address}/tenant/token"})

    endpoint, other = Moved(), TokenEndpoint()
    with serving(endpoint), serving(other), guarded(tmp_path, Guarded("Authorization", "")) as home:
        home.configure(credentials=client(endpoint))
        with pytest.raises(TargetDenied, match=r"a redirect, which is not followed\. Check token_url"):
            home.plan()
        assert other.forms == []


def test_a_token_that_ends_while_people_are_written_is_renewed_at_the_token_endpoint(tmp_path: Path) -> None:
    endpoint = TokenEndpoint()

    class Forgetful(Guarded):
        def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, if_match: str) -> Answer:
            if method == "POST" and len(endpoint.forms) == 2:
                return Answer(401, None, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
            return super().answer(method, path, query, body, if_match)

    with serving(endpoint), guarded(tmp_path, Forgetful("Authorization", f"Bearer {GIVEN}")) as home:
        home.configure(credentials=client(endpoint))
        _, report = home.sync()
        assert report.clean
        assert len(endpoint.forms) == 3


def test_several_ways_at_once_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with guarded(tmp_path, Provider(), 'token = "file:key"\nheader = "X-Key"\nheader_value = "file:key"') as home:
        with pytest.raises(ConfigError, match="has token, header, header_value: exactly one way"):
            home.plan()
        assert home.provider.asked == []
