"""The serve command: the console, calls from outside and the runs that answer them, events; until told to end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

import click
import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from scimsync.cli import interrupting
from scimsync.config import WRITING, Settings, load
from scimsync.core import leaving, waiting
from scimsync.core.signing import LEAST_KEY
from scimsync.doors import door
from scimsync.errors import ConfigError
from scimsync.model.plans import Plan
from scimsync.model.reports import Report
from scimsync.model.schedules import Schedule
from scimsync.services import delivery, observing, receiving, scheduling, state
from scimsync.services.receiving import Answer, Receiver
from scimsync.services.scheduling import Scheduler
from scimsync.services.state import Store
from scimsync.services.watching import Watch
from scimsync.showing.words import counted

#: seconds within which a caller must have sent all of its message
BODY_S = 10.0
#: connections at a time; beyond them the one that was silent longest is closed
MOST_CONNECTIONS = 100

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
_App: TypeAlias = Callable[[_Message, _Receive, _Send], Awaitable[None]]
#: what is answered here; everything else is a page of the console
_OURS = frozenset({"/metrics", "/healthz", "/events"})


class Options(Struct, frozen=True, kw_only=True):
    """What stands on the command line."""

    config: Path
    events: bool = False
    schedule: bool = False
    #: None where nobody said: then it is shown where it is for this machine alone, or a proxy stands before it
    console: bool | None = None
    host: str = "127.0.0.1"
    port: int = 8787
    #: the address under which a proxy with TLS passes the console on
    behind: str = ""


def serve(options: Options) -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit code."""
    events, host, port = options.events, options.host, options.port
    is_local = host in _LOCAL
    console = options.console
    if console is None:
        console = bool(options.behind) or is_local
    wanted = {"events": events, "alarm": options.schedule, "console": console}
    settings = load(options.config, secrets=WRITING | {name for name, is_wanted in wanted.items() if is_wanted})
    if options.schedule and not settings.schedules:
        raise ConfigError("serve --schedule: the configuration has no [[schedule]]. Add one; see docs/schedule.md")
    if not (events or options.schedule or settings.webhooks or console):
        raise ConfigError(
            "serve: there is nothing to do. Say --events or --schedule, or add a [[webhook]] to the configuration."
        )
    if console and not is_local and not options.behind:
        raise ConfigError(
            f"serve --host {host}: the console is for this machine alone, unless a proxy with TLS stands before it. "
            "Say its address: --behind https://console.example.com; or --no-console."
        )
    behind = _origin(options.behind)
    if any(len(key) < LEAST_KEY for key in settings.events):
        _say(f"The secret of [events] is shorter than {LEAST_KEY} bytes: take openssl rand -base64 32.")
    try:
        door = socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise ConfigError(f"serve: cannot listen on {host} port {port} ({error.strerror}). Choose another.") from error
    receiving.warm_up()
    with door, state.open_store(settings) as store:
        number = door.getsockname()[1]
        address = f"http://{door.getsockname()[0]}:{number}"
        ready = f"listening on {address}" + ("; events at /events" if events else "")
        if not is_local:
            _say("This address is not only for this machine: put a proxy with TLS before it.")
        if console and behind and not settings.console.proxies:
            _say(
                "All visitors come from the proxy's address, so one who guesses passwords makes all of them wait. Name "
                "the proxy: [console] trusted_proxies."
            )
        with ExitStack() as stack:
            shown = None
            if console:
                origins = {behind} if behind else {f"http://{name}:{number}" for name in _LOCAL_NAMES}
                shown = _console(settings, store, frozenset(origins), stack)
                ready += f"\nconsole at {behind or address}{shown.entrance}"
            service = _Service(settings, store, shown.app if shown is not None else None, schedule=options.schedule)
            asyncio.run(service.run(door, ready))
    return 0


_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


def _origin(behind: str) -> str:
    """The address of a proxy as browsers say it.

    Raises:
        ConfigError: It is none, or without TLS.
    """
    parts = urlsplit(behind)
    if behind and (parts.scheme != "https" or not parts.netloc or parts.path not in {"", "/"} or parts.query):
        raise ConfigError(f"--behind {behind}: give an address like https://console.example.com")
    return f"https://{parts.netloc.lower()}" if behind else ""


def _console(settings: Settings, store: Store, origins: frozenset[str], stack: ExitStack) -> Opened:
    """The console, closed at the end."""
    from scimsync.console.app import open_console  # noqa: PLC0415 - loads Starlette

    opened = open_console(settings, store, origins)
    stack.callback(opened.close)
    return opened


class Opened(Protocol):
    """A console that answers."""

    @property
    def app(self) -> _App:
        """Answers requests."""
        ...

    @property
    def entrance(self) -> str:
        """The path that lets the first person in."""
        ...

    def close(self) -> None:
        """Stop what is at work, and put everything away."""
        ...


class _Service:
    """What works side by side: the door, the runs for events, those by the clock, the delivery."""

    def __init__(self, settings: Settings, store: Store, console: _App | None, *, schedule: bool) -> None:
        self._settings, self._store, self._console = settings, store, console
        self._receiver = Receiver(settings, store, _Quiet(), _told)
        self._scheduler = Scheduler(settings, store, _Quiet(), _told_of_slot) if schedule else None
        self._watch = Watch(settings, store, _Quiet(), self._scheduler) if self._scheduler is not None else None

    async def run(self, door: socket.socket, ready: str) -> None:
        """Say `ready`, then serve until a signal comes; what is under way is then brought to its end."""
        server = _Server(_config(self._respond))
        scheduler, watch = self._scheduler, self._watch
        async with delivery.rounds(self._settings, self._store, _say, alarms=scheduler is not None) as rounds:

            def end() -> None:
                server.should_exit = True
                self._receiver.halt()
                if scheduler is not None:
                    scheduler.halt()
                if watch is not None:
                    watch.halt()
                rounds.halt()

            loop = asyncio.get_running_loop()
            for number in interrupting.wanted():
                loop.add_signal_handler(number, end)
            click.echo(ready)  # not before it can be told to end
            if scheduler is not None:
                for _, line in scheduling.told(self._settings, self._store):
                    _say(line)
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve(sockets=[door]))
                group.create_task(rounds.on())
                group.create_task(self._receiver.on())
                if scheduler is not None:
                    group.create_task(scheduler.on())
                if watch is not None:
                    group.create_task(watch.on())

    async def _respond(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if self._console is not None and scope["path"] not in _OURS:
            await self._console(scope, receive, send)
            return
        if (scope["method"], scope["path"]) == ("GET", "/metrics"):
            answer, kind = Answer(200, {}), b"text/plain; version=0.0.4; charset=utf-8"
            body = await asyncio.to_thread(observing.exposition, self._store)
            body += self._watch.exposition() if self._watch is not None else b""
        else:
            answer, kind = await self._answer(scope, receive), b"application/json"
            body = json.dumps(answer.document).encode()
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        headers += [(b"cache-control", b"no-store")]
        if answer.status in {408, 413}:
            headers += [(b"connection", b"close")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: _Message, receive: _Receive) -> Answer:
        asked = (scope["method"], scope["path"])
        if asked in {("GET", "/healthz"), ("HEAD", "/healthz")}:
            trouble = self._watch.trouble if self._watch is not None else ""
            return Answer(503, {"status": "unwell", "reason": trouble}) if trouble else Answer(200, {"status": "ok"})
        if scope["path"] != "/events" or not self._settings.events:
            return Answer(404, {"error": "there is nothing here"})
        if scope["method"] != "POST":
            return Answer(405, {"error": "only POST"})
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            async with asyncio.timeout(BODY_S):
                body = await _read(receive, headers.get("content-length", ""))
        except TimeoutError:
            return Answer(408, {"error": f"the message did not come within {BODY_S:g} seconds"})
        if body is None:
            return Answer(413, {"error": f"a message has at most {receiving.LONGEST_BODY} bytes"})
        return await self._receiver.take(headers, body)


def _told(people: int, made: Plan, report: Report) -> None:
    """What came of one run for some people."""
    _say(f"run {made.id}: looked at {counted(people, 'person')}; {_ended(made, report)}")
    _warn(made, report)


def _told_of_slot(schedule: Schedule, made: Plan, report: Report) -> None:
    """What came of one run by the clock."""
    _say(f"{schedule.name}: run {made.id}: {_ended(made, report)}")
    _warn(made, report)


def _ended(made: Plan, report: Report) -> str:
    words = [f"{number} {name}" for name, number in report.statuses.items()]
    words += [f"{made.tally.conflicts} in conflict, held"] if made.tally.conflicts else []
    words += [f"{made.tally.held} left out"] if made.tally.held else []
    words += [f"{counted(made.tally.values, 'value')} left out"] if made.tally.values else []
    return ", ".join(words) or "nothing to do"


def _warn(made: Plan, report: Report) -> None:
    """Leavers who keep access, and where to look."""
    if report.kept:
        _say(leaving.sentence(report.kept))
    if waiting.waits(made) or report.kept:
        _say(f"  why: scimsync runs {made.id}")


class _Quiet:
    """An Observer that tells only what a person should know."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Nothing."""

    def advance(self, steps: int = 1) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """On stderr."""
        _say(text)


class _Server(uvicorn.Server):
    """Leaves the signals to the service."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _config(app: Callable[[_Message, _Receive, _Send], Awaitable[None]]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        proxy_headers=False,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        http=door(AutoHTTPProtocol, MOST_CONNECTIONS),
    )


async def _read(receive: _Receive, announced: str) -> bytes | None:
    """The body; None where it is longer than a message may be, and no more of it is read."""
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > receiving.LONGEST_BODY:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > receiving.LONGEST_BODY:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


def _say(text: str) -> None:
    click.echo(text, err=True)
