"""Other people's servers, each started as it is on a port of its own: `with start("canaille") as server: ...`.

`make test` installs them (`tools/providers`); scim2-server is among what every test needs. They begin without people.
Those of `NAMES` speak SCIM, those of `APIS` are what HR may have: a REST API.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

HERE = Path(__file__).parent
#: where `make test` installs them
INSTALLED = Path(os.environ.get("SCIMSYNC_PROVIDERS") or Path(sys.prefix) / "providers")
#: the server, and the command that serves it
_COMMANDS: dict[str, tuple[str, ...]] = {
    "scim2-server": (sys.executable, "serve_scim2_server.py"),
    "django-scim2": (str(INSTALLED / "django-scim2" / "bin" / "python"), "serve_django_scim2.py"),
    "canaille": (str(INSTALLED / "canaille" / "bin" / "python"), "serve_canaille.py"),
    "scimmy": ("node", "serve_scimmy.cjs", str(INSTALLED / "scimmy")),
}
NAMES = tuple(_COMMANDS)
_APIS: dict[str, tuple[str, ...]] = {
    "json-server": ("node", "serve_json_server.cjs", str(INSTALLED / "json-server")),
    "datasette": (str(INSTALLED / "datasette" / "bin" / "python"), "serve_datasette.py"),
}
APIS = tuple(_APIS)

needs_providers = pytest.mark.skipif(
    not INSTALLED.is_dir(), reason="install the servers: tools/providers PYTHON FOLDER"
)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens."""

    name: str
    #: what stands before /Users
    url: str
    token: str
    #: the folder in which it runs
    home: Path

    @property
    def address(self) -> str:
        """Its address, as `tests.servers` calls it."""
        return self.url

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx2.Response:
        """Ask it something without scimsync in between; `path` begins with a slash."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json", **headers}
        content = None if body is None else json.dumps(body)
        return httpx2.request(method, self.url + path, content=content, headers=headers, timeout=30)

    def listed(self, kind: str = "Users") -> list[dict[str, Any]]:
        """All resources of a kind, as the server lists them."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.ask("GET", f"/{kind}?startIndex={len(found) + 1}").json()
            found += page.get("Resources") or []
            if len(found) >= page["totalResults"] or not page.get("Resources"):
                return found

    def held(self) -> dict[str, dict[str, Any]]:
        """The accounts that it holds, by login."""
        return {user["userName"]: user for user in self.listed()}


@contextlib.contextmanager
def start(name: str) -> Iterator[Server]:
    """Start one of `NAMES` or `APIS`, and end it afterwards; it ends too where the test is killed."""
    program, script, *more = (_COMMANDS | _APIS)[name]
    with tempfile.TemporaryFile("w+") as trouble, tempfile.TemporaryDirectory() as home:
        # it ends when nobody holds its standard input any more
        process = subprocess.Popen(
            [program, str(HERE / script), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=trouble,
            text=True,
            cwd=home,
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": ""},
        )
        assert process.stdout is not None
        try:
            # it says where it listens when it does; where it fails, it ends, and so does what it says
            told = process.stdout.readline()
            trouble.seek(0)
            assert told, trouble.read()[-2000:]
            yield Server(name, home=Path(home), **json.loads(told))
        finally:
            process.terminate()
            process.communicate(timeout=30)
