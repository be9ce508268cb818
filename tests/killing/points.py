"""Played inside a command: names each point that it passes, and kills it at one.

A point is a commit of the state, a file that takes its place, goes or is brought to the disk at its end, or a request
on a socket. Nothing of the product knows of it: what is wrapped are SQLAlchemy, the operating system and the transport
of httpx2. A point has a name and a number among those of its name, so that what runs beside it moves none.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

#: where a command is told: JSON with `log`, a file for the points that are passed, `kill`, one of them or null, and
#: `ahead`, by how many days its clock is, and `mutant`, a bug that it has ("" for none)
ENVIRON = "SCIMSYNC_TESTS_POINTS"

When = Literal["before", "after"]


class Point(NamedTuple):
    """The how-manieth of a name."""

    name: str
    number: int

    @property
    def moments(self) -> tuple[When, ...]:
        """When to die there. What only reads leaves nothing: after it is before the next."""
        return ("before",) if self.name.startswith(("GET", "POST /oauth")) else ("before", "after")


#: what is another in each run: ids of runs and accounts, numbers of processes and files
_VARIES = re.compile(
    r"\d{8}-\d{6}-[0-9a-f]{4,}|[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{16,}\b|(?<=-)[0-9a-f]{8}(?=\.)|\d{6,}"
)
_WRITE = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|ALTER TABLE|CREATE \w*\s*INDEX)\s+(\w+)", re.I)


class _Passing:
    def __init__(self, log: str, kill: tuple[str, int, When] | None) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._kill, self._seen, self._lock = kill, Counter[str](), threading.Lock()

    @contextmanager
    def point(self, name: str) -> Iterator[None]:
        name = _VARIES.sub("#", name)
        with self._lock:
            self._seen[name] += 1
            number = self._seen[name]
            os.write(self._log, json.dumps([name, number]).encode() + b"\n")
        self._die_if((name, number, "before"))
        yield
        self._die_if((name, number, "after"))

    def _die_if(self, here: tuple[str, int, When]) -> None:
        if here == self._kill:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()


def install() -> None:
    """Wrap what makes something durable, or leaves this machine, as the environment says."""
    asked = json.loads(os.environ[ENVIRON])
    passing = _Passing(asked["log"], tuple(asked["kill"]) if asked["kill"] else None)
    _commits(passing)
    _files(passing, Path.cwd())
    _requests(passing)
    if asked["ahead"]:
        _ahead(asked["ahead"])
    if asked["mutant"]:
        from tests.chaos.mutants import MUTANTS  # noqa: PLC0415

        for where, what, new in MUTANTS[asked["mutant"]]():
            setattr(where, what, new)


def _ahead(days: int) -> None:
    from scimsync.adapters.clock_system import SystemClock  # noqa: PLC0415

    SystemClock.now = lambda _: datetime.now(UTC) + timedelta(days=days)  # type: ignore[method-assign]


def _commits(passing: _Passing) -> None:
    import sqlalchemy as sa  # noqa: PLC0415 - it is loaded by the command anyway
    from sqlalchemy.engine.default import DefaultDialect  # noqa: PLC0415

    here = threading.local()

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def wrote(connection: sa.Connection, cursor: object, statement: str, *_: object) -> None:
        if found := _WRITE.match(statement):
            connection.info.setdefault("wrote", []).append(f"{found[1].split()[0].lower()} {found[2]}")

    @sa.event.listens_for(sa.Engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.info["wrote"] = []

    @sa.event.listens_for(sa.Engine, "commit")
    def committing(connection: sa.Connection) -> None:
        here.wrote = connection.info.pop("wrote", [])

    commit = DefaultDialect.do_commit

    def do_commit(self: DefaultDialect, connection: Any) -> None:
        wrote, here.wrote = getattr(here, "wrote", []), []
        if not wrote:
            commit(self, connection)
            return
        with passing.point("commit: " + ", ".join([*dict.fromkeys(wrote)][:6])):
            commit(self, connection)

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]


def _files(passing: _Passing, home: Path) -> None:
    """Files of the house that are not scratch: what lies in a folder of the workbench is gone with the process."""

    def ours(path: object) -> Path | None:
        found = Path(os.path.abspath(os.fspath(path)))  # type: ignore[call-overload]  # noqa: PTH100 - not through links
        inside = found.is_relative_to(home) and not any(part.startswith("workbench") for part in found.parts)
        return found if inside else None

    def wrapped(verb: str, call: Callable[..., Any], which: int) -> Callable[..., Any]:
        def there(*paths: Any, **more: Any) -> Any:
            path = ours(paths[which]) if not more else None
            if path is None:
                return call(*paths, **more)
            with passing.point(f"{verb}: {path.name}"):
                return call(*paths)

        return there

    os.replace = wrapped("replace", os.replace, 1)
    os.rename = wrapped("rename", os.rename, 1)
    os.unlink = wrapped("unlink", os.unlink, 0)
    os.link = wrapped("link", os.link, 1)
    bring = os.fsync

    def fsync(descriptor: int) -> None:
        path = ours(Path(f"/proc/self/fd/{descriptor}").readlink())
        if (
            path is None or path.is_dir() or path.suffix == ".part"
        ):  # a file to be has its point where it takes its place
            bring(descriptor)
            return
        with passing.point(f"fsync: {path.name}"):
            bring(descriptor)

    os.fsync = fsync  # type: ignore[assignment]


def _requests(passing: _Passing) -> None:
    import httpx2  # noqa: PLC0415

    send = httpx2.AsyncHTTPTransport.handle_async_request

    async def handle(self: httpx2.AsyncHTTPTransport, request: httpx2.Request) -> httpx2.Response:
        with passing.point(f"{request.method} {request.url.path}"):
            return await send(self, request)

    httpx2.AsyncHTTPTransport.handle_async_request = handle  # type: ignore[method-assign]
