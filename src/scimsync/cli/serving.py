"""The serve command: take calls from outside, answer them with runs, deliver events; until told to end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import click
import uvicorn

from scimsync import bootstrap
from scimsync.cli import interrupting
from scimsync.cli.render import counted
from scimsync.config import WRITING, Settings, load
from scimsync.core import leaving, waiting
from scimsync.core.signing import LEAST_KEY
from scimsync.engine import delivering, listening
from scimsync.engine.listening import Answer
from scimsync.engine.ports import Store
from scimsync.errors import ConfigError, PersonUnknown, PlanRefused, ScimsyncError, StoreError
from scimsync.services import applying, observing, planning
from scimsync.services.planning import Choices

#: seconds within which a caller must have sent all of its message
BODY_S = 10.0
#: seconds before a run that found the lease taken, or failed, is tried again
AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]


def serve(config: Path, *, events: bool, host: str, port: int) -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit code."""
    settings = load(config, secrets=WRITING | ({"events"} if events else set()))
    if not events and not settings.webhooks:
        raise ConfigError("serve: there is nothing to do. Say --events, or add a [[webhook]] to the configuration.")
    if any(len(key) < LEAST_KEY for key in settings.events):
        _say(f"The secret of [events] is shorter than {LEAST_KEY} bytes: take openssl rand -base64 32.")
    try:
        door = socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise ConfigError(f"serve: cannot listen on {host} port {port} ({error.strerror}). Choose another.") from error
    bootstrap.warm_up()
    with door, bootstrap.open_store(settings) as store:
        address = f"http://{door.getsockname()[0]}:{door.getsockname()[1]}"
        ready = f"listening on {address}" + ("; events at /events" if events else "")
        if host not in {"127.0.0.1", "localhost", "::1"}:
            _say("This address is not only for this machine: put a proxy with TLS before it.")
        asyncio.run(_serve(settings, store, door, ready))
    return 0


async def _serve(settings: Settings, store: Store, door: socket.socket, ready: str) -> None:
    await _Service(settings, store).run(door, ready)


class _Service:
    """The three that work side by side: the door, the runs, the delivery."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._called, self._stop = asyncio.Event(), asyncio.Event()
        self._ending = threading.Event()
        self._said = ""

    async def run(self, door: socket.socket, ready: str) -> None:
        """Say `ready`, then serve until a signal comes; what is under way is then brought to its end."""
        server = _Server(_config(self._respond))
        async with bootstrap.make_delivery(self._settings, self._store, _say) as ports:
            rounds = delivering.Rounds(ports)

            def end() -> None:
                server.should_exit = True
                self._ending.set()
                self._stop.set()
                rounds.halt()

            loop = asyncio.get_running_loop()
            for number in interrupting.wanted():
                loop.add_signal_handler(number, end)
            click.echo(ready)  # not before it can be told to end
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve(sockets=[door]))
                group.create_task(rounds.on())
                group.create_task(self._answer_calls())

    # --- the door ---------------------------------------------------------------------------

    async def _respond(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if (scope["method"], scope["path"]) == ("GET", "/metrics"):
            answer, kind = Answer(200, {}), b"text/plain; version=0.0.4; charset=utf-8"
            body = await asyncio.to_thread(observing.exposition, self._store)
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
            return Answer(200, {"status": "ok"})
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
            return Answer(413, {"error": f"a message has at most {listening.LONGEST_BODY} bytes"})
        try:
            answer = await asyncio.to_thread(
                listening.take, self._settings.events, headers, body, self._store, bootstrap.make_clock()
            )
        except StoreError:
            return Answer(503, {"error": "it cannot be kept now; send it again"})
        if answer.status == 202:
            self._called.set()
        return answer

    # --- the runs ---------------------------------------------------------------------------

    async def _answer_calls(self) -> None:
        """One run for all who are waiting; again and again until it went through."""
        failures = 0
        while not self._stop.is_set():
            self._called.clear()
            answered = await asyncio.to_thread(self._answer_waiting)
            if answered is None:
                await self._either(self._called)
            elif answered:
                failures = 0
            else:
                await self._either(seconds=AGAIN_S[min(failures, len(AGAIN_S) - 1)])
                failures += 1

    def _answer_waiting(self) -> bool | None:
        """Whether those who are waiting are settled; None where nobody is."""
        try:
            calls = self._store.waiting()
            settled = self._run(listening.group(calls)) if calls else None
            if settled:
                self._store.answered([call.id for call in calls])
        except StoreError as error:
            self._complain(error)
            return False
        return settled

    async def _either(self, event: asyncio.Event | None = None, seconds: float | None = None) -> None:
        """Wait for the end, and for an event or some seconds, whichever comes first."""
        waits = [asyncio.ensure_future(each.wait()) for each in (self._stop, event) if each is not None]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _run(self, keys: Sequence[str]) -> bool:
        """Synchronise these people, in a thread; whether they are settled and need not be looked at again."""
        try:
            with bootstrap.open_store(self._settings) as store, store.lease(bootstrap.owner()):
                return asyncio.run(self._synchronise(store, keys))
        except PersonUnknown as error:
            _say(f"{', '.join(error.keys)}: neither the source nor a link knows this key; nothing was done.")
            known = [key for key in keys if key not in error.keys]
            return self._run(known) if known else True
        except PlanRefused as error:
            _say(str(error))
            return True
        except ScimsyncError as error:
            self._complain(error)
            return False

    def _complain(self, error: ScimsyncError) -> None:
        """Tell of trouble, once each time it begins."""
        if str(error) != self._said:
            _say(f"{error} It is tried again; no event is lost.")
        self._said = str(error)

    async def _synchronise(self, store: Store, keys: Sequence[str]) -> bool:
        choices = Choices(only=tuple(keys), deliver=False)
        quiet = _Quiet()
        await applying.settle(self._settings, store, quiet)
        made = await planning.plan(self._settings, store, quiet, choices)
        if self._ending.is_set():
            return False
        report = await applying.apply(self._settings, store, quiet, (made, store.run(made.id)), choices)
        self._said = ""
        words = [f"{number} {name}" for name, number in report.statuses.items()]
        words += [f"{made.tally.conflicts} in conflict, held"] if made.tally.conflicts else []
        words += [f"{made.tally.held} left out"] if made.tally.held else []
        words += [f"{counted(made.tally.values, 'value')} left out"] if made.tally.values else []
        if report.kept:
            _say(leaving.sentence(report.kept))
        ended = ", ".join(words) or "nothing to do"
        _say(f"run {made.id}: looked at {counted(len(keys), 'person')}; {ended}")
        if waiting.waits(made) or report.kept:
            _say(f"  why: scimsync runs {made.id}")
        return not report.left and not report.stopped


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
        limit_concurrency=100,
    )


async def _read(receive: _Receive, announced: str) -> bytes | None:
    """The body; None where it is longer than a message may be, and no more of it is read."""
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > listening.LONGEST_BODY:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > listening.LONGEST_BODY:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


def _say(text: str) -> None:
    click.echo(text, err=True)
