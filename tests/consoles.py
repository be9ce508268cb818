"""The console on a real socket, in a thread of this process, and a small client that behaves like a browser."""

from __future__ import annotations

import contextlib
import html
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx2
import uvicorn
from tests.runs import House

from scimsync import bootstrap
from scimsync.config import WRITING, Settings, load
from scimsync.console.app import Opened, open_console
from scimsync.console.roles import Role
from scimsync.engine.ports import Store

#: elements of HTML that have no end tag
_VOID = frozenset("area base br col embed hr img input link meta source track wbr rect path".split())


@dataclass
class Client:
    """A browser without a screen: keeps cookies, sends where it comes from, fills in forms."""

    address: str
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, /, *, csrf: str | None = None, **form: Any) -> httpx2.Response:
        given = {"csrf": self.csrf if csrf is None else csrf, **form}
        return self.ask("POST", path, data=given, headers={"origin": self.address})

    def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        with httpx2.Client(trust_env=False, verify=False, timeout=60, cookies=self.cookies) as client:
            found = client.request(method, self.address + path, **more)
        self.cookies.update(found.cookies)
        if (token := re.search(r'name="csrf" value="([^"]+)"', found.text)) is not None:
            self.csrf = html.unescape(token[1])
        return found

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[Iterator[str]]:
        """The lines of an answer as they come."""
        with (
            httpx2.Client(trust_env=False, verify=False, timeout=60, cookies=self.cookies) as client,
            client.stream("GET", self.address + path) as found,
        ):
            yield found.iter_lines()

    def done(self, response: httpx2.Response) -> str:
        """Wait for the work that a form began; the id of the run that it left."""
        assert response.status_code == 303, response.text
        path = response.headers["location"]
        for _ in range(600):
            page = self.get(path).text
            if (found := re.search(r'data-next="\w+" href="/runs/([^"]+)"', page)) is not None:
                assert 'role="alert"' not in page, page
                return found[1]
            assert 'role="alert"' not in page, page
            time.sleep(0.05)
        raise AssertionError("the work did not end")


@dataclass
class Shown:
    """A console that is served."""

    home: House
    address: str
    opened: Opened
    store: Store

    def visitor(self, role: Role = Role.ADMIN, name: str = "") -> Client:
        """Somebody who is signed in."""
        console = self.opened.console
        return Client(self.address, {console.cookie: console.sessions.begin(name or role.value, role)})

    @property
    def stranger(self) -> Client:
        return Client(self.address)


@contextlib.contextmanager
def shown(home: House, settings: Settings | None = None) -> Iterator[Shown]:
    """Serve the console of a house; of another configuration where one is given."""
    settings = settings or load(home.file, secrets=WRITING | {"console"})
    with contextlib.ExitStack() as stack:
        door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        store = stack.enter_context(bootstrap.open_store(settings))
        number = door.getsockname()[1]
        origins = frozenset(f"http://{name}:{number}" for name in ("127.0.0.1", "localhost"))
        opened = open_console(settings, store, origins)
        stack.callback(opened.close)
        config = uvicorn.Config(opened.app, interface="asgi3", lifespan="off", log_config=None, access_log=False,
                                timeout_graceful_shutdown=1)  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([door],), daemon=True)
        thread.start()
        try:
            yield Shown(home, f"http://127.0.0.1:{number}", opened, store)
        finally:
            server.should_exit = True
            thread.join(10)


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: set[str] = set()
        self.named: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        found: Mapping[str, str | None] = dict(attrs)
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        if (identity := found.get("id")) is not None:
            if identity in self.ids:
                self.faults.append(f"the id {identity} stands twice")
            self.ids.add(identity)
        for name in ("aria-labelledby", "aria-describedby", "for"):
            self.named |= set((found.get(name) or "").split())
        for name in names:
            if name.startswith("on") or name == "style":
                self.faults.append(f"<{tag} {name}> is forbidden by the policy of the page")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing that is open ({self.open[-3:]})")


def faults_of(text: str) -> list[str]:
    """What is wrong with the HTML of a page: tags that do not close, ids that stand twice or lead nowhere."""
    found = _Balance()
    found.feed(text)
    found.close()
    lost = sorted(found.named - found.ids) if "<html" in text else []
    return [*found.faults, *(f"<{tag}> is never closed" for tag in found.open), *(f"no id {name}" for name in lost)]
