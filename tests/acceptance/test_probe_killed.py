"""A probe that is killed in the middle leaves nothing for good on servers that nobody here wrote, and on the simulator.

Every request passes a proxy that kills the probe (-9) at its Nth write: the server has carried it out, and the answer
never arrives.
"""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.providers import needs_providers
from tests.providers import start as start_server
from tests.runs import Said, house, start
from tests.servers import Answer, Provider, firm, serving


class Between(Provider):
    """Hands every request on, and kills whoever asks at a number of writes, once."""

    media_type = ""

    def __init__(self, url: str, at: int) -> None:
        super().__init__()
        self.upstream, self.at, self.writes = urlsplit(url), at, 0
        self.victim: subprocess.Popen[str] | None = None

    def take(self, handler: BaseHTTPRequestHandler) -> Answer:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in handler.headers.items() if name not in {"Host", "Connection"}}
        upstream = http.client.HTTPConnection(self.upstream.hostname or "", self.upstream.port, timeout=30)
        with contextlib.closing(upstream), self._lock:
            upstream.request(handler.command, self.upstream.path + handler.path, body or None, headers)
            answer = upstream.getresponse()
            content = answer.read()
            self.writes += handler.command != "GET"
            if self.writes == self.at and self.victim is not None:
                self.victim.kill()
                self.victim.wait()
        passed = {"Content-Type", "ETag", "Location", "Retry-After"}
        return Answer(answer.status, content or None, {n: v for n, v in answer.getheaders() if n in passed})


@dataclass(frozen=True, slots=True)
class Directory:
    """A configured directory behind the proxy, and what it holds by itself."""

    between: Between
    start: Callable[..., subprocess.Popen[str]]
    command: Callable[..., Said]
    #: the names of all accounts and groups, as the directory itself has them
    names: Callable[[], list[str]]


@contextlib.contextmanager
def directory(name: str, folder: Path, at: int) -> Iterator[Directory]:
    """A directory by its name."""
    opened = _simulator(folder, at) if name == "simulator" else _server(name, folder, at)
    with opened as found:
        yield found


@contextlib.contextmanager
def _simulator(folder: Path, at: int) -> Iterator[Directory]:
    with house(folder, users=12) as home:
        between = Between(home.simulator.api_url, at)
        with serving(between) as address:
            text = home.file.read_text(encoding="utf-8")
            assert f'api_url = "{home.simulator.api_url}"' in text, text
            home.file.write_text(text.replace(f'api_url = "{home.simulator.api_url}"', f'api_url = "{address}"'))
            held = home.simulator.directory

            def names() -> list[str]:
                users = [str(one.resource["userName"]) for one in held.users.values() if not one.deleted]
                return sorted(users + [str(one.resource["displayName"]) for one in held.groups.values()])

            yield Directory(between, home.start, home.command, names)


@contextlib.contextmanager
def _server(name: str, folder: Path, at: int) -> Iterator[Directory]:
    token = folder / "token"
    token.touch(mode=0o600)
    with start_server(name) as server:
        token.write_text(server.token, encoding="utf-8")
        between = Between(server.url, at)
        with firm(folder, between) as home:

            def names() -> list[str]:
                return sorted([*server.held(), *(str(one["displayName"]) for one in server.listed("Groups"))])

            def begin(*words: str) -> subprocess.Popen[str]:
                return start(*words, folder=folder)

            yield Directory(between, begin, home.command, names)


#: directory, the write at which the probe is killed, and how many of its accounts and groups are there then
KILLED = (
    ("simulator", 54, 1),  # it was made inactive, and is not listed any more
    pytest.param("scim2-server", 1, 1, marks=needs_providers),  # it was made, and nobody was told its id
    pytest.param("django-scim2", 30, 1, marks=needs_providers),  # between two changes
    pytest.param("canaille", 4, 1, marks=needs_providers),  # it was made after three refusals
    pytest.param("scimmy", 24, 3, marks=needs_providers),  # a group was put into another, beside the account
)


@pytest.mark.parametrize(("name", "at", "left"), KILLED)
def test_what_a_killed_probe_left_in_a_real_directory_the_next_one_removes(
    name: str, at: int, left: int, tmp_path: Path
) -> None:
    with directory(name, tmp_path, at) as held:
        before = held.names()
        held.between.victim = held.start("probe", "--config", "scimsync.toml", "--write", "--yes")
        held.between.victim.communicate(timeout=60)
        assert held.between.victim.returncode == -signal.SIGKILL
        assert len(held.names()) == len(before) + left
        after = held.command("probe", "--config", "scimsync.toml")
        assert after.code == 0, after.err
        assert after.out.count("removed, left by an earlier probe") == left
        assert held.names() == before
