"""The simulator on a real socket: in the foreground for `scimsync simulate`, in a thread for tests."""

from __future__ import annotations

import gc
import secrets
import signal
import socket
import threading
from asyncio import BaseTransport
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn
from msgspec import Struct, field
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from scimsync.doors import door
from scimsync.simulator import snapshots
from scimsync.simulator.app import Simulator
from scimsync.simulator.directory import Directory
from scimsync.simulator.faults import read_faults
from scimsync.simulator.options import Options
from scimsync.simulator.tls import make_certificates
from scimsync.simulator.tokens import Tokens

_STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_START_SECONDS = 10.0
#: connections at a time; beyond them the one that was silent longest is closed
MOST_CONNECTIONS = 2000


class Settings(Struct, frozen=True, kw_only=True):
    """What to simulate, and where.

    Port 0 takes a free one. Client id and secret are invented when they are not given. `options` are
    switches by name (see `Options`), `faults` recipes (see `Fault`).
    """

    host: str = "127.0.0.1"
    port: int = 0
    login_port: int | None = None  #: a second port for `/oauth/token`; None = one port serves both
    users: int = 200
    seed: int = 1
    client_id: str = ""
    client_secret: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    faults: Sequence[Mapping[str, object]] = ()
    source: Path | None = None  #: accounts from a file or folder of NDJSON (see `snapshots`), not invented ones
    snapshots: Path | None = None  #: the folder below which snapshots are written
    tls: Path | None = None  #: the folder for a throw-away authority; None = plain HTTP


class Announcement(Struct, frozen=True, kw_only=True):
    """What a client must know to come in."""

    api_url: str
    login_url: str
    client_id: str
    client_secret: str
    ca_file: str = ""  #: the authority to trust, with TLS


class Running(Struct, frozen=True, kw_only=True):
    """A simulator at work in this process. The directory belongs to its thread: read it, do not write."""

    api_url: str
    login_url: str
    client_id: str
    client_secret: str
    simulator: Simulator
    stop: Callable[[], None]
    ca_file: str = ""

    @property
    def directory(self) -> Directory:
        """The simulated organisation."""
        return self.simulator.directory

    @property
    def announcement(self) -> Announcement:
        """What a client must know to come in."""
        return Announcement(
            api_url=self.api_url,
            login_url=self.login_url,
            client_id=self.client_id,
            client_secret=self.client_secret,
            ca_file=self.ca_file,
        )


def serve(settings: Settings, announce: Callable[[Announcement], None]) -> None:
    """Run a simulator in the foreground until SIGINT, SIGTERM or SIGHUP.

    Args:
        settings: What to simulate, and where.
        announce: Called once, when requests are answered.

    Raises:
        ValueError: An option or a fault is not one.
        OSError: A port is taken.
    """
    asked = threading.Event()
    deaf = {number for number in _STOP_SIGNALS[1:] if signal.getsignal(number) is signal.SIG_IGN}  # nohup
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in _STOP_SIGNALS if number not in deaf}
    try:
        with running(settings) as simulator:
            gc.freeze()  # the people stay; the collector need not look at them again
            gc.set_threshold(50_000, 20, 100)  # nor often at what is read: next to nothing of it hangs in circles
            announce(simulator.announcement)
            asked.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def running(settings: Settings) -> Iterator[Running]:
    """Run a simulator in a background thread, on a real socket, for as long as the context lasts.

    Args:
        settings: What to simulate, and where.

    Raises:
        ValueError: An option or a fault is not one.
        OSError: A port is taken.
    """
    options = Options()
    options.change(settings.options)
    faults = read_faults(list(settings.faults))
    papers = None
    if settings.tls is not None:
        settings.tls.mkdir(parents=True, exist_ok=True)
        papers = make_certificates(settings.tls, settings.host)
    with ExitStack() as stack:
        doors = _open_doors(settings, stack)
        urls = [_url(door, secure=papers is not None) for door in doors]
        simulator = _simulator(settings, options, urls)
        simulator.faults.extend(faults)
        server = _Server(_config(simulator, papers))
        thread = threading.Thread(target=server.run, args=(doors,), name="scimsync-simulator", daemon=True)
        thread.start()
        if not server.ready.wait(_START_SECONDS):
            raise OSError("the simulator did not start")

        def stop() -> None:
            server.should_exit = True
            thread.join()

        stack.callback(stop)
        yield Running(
            api_url=urls[0],
            login_url=urls[-1],
            client_id=simulator.tokens.client_id,
            client_secret=simulator.tokens.client_secret,
            simulator=simulator,
            stop=stop,
            ca_file=str(papers[0]) if papers else "",
        )


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class _ShowsTransport:
    """Puts the connection into the state of its requests, so that a fault can cut it."""

    app_state: dict[str, object]

    def connection_made(self, transport: BaseTransport) -> None:
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)  # type: ignore[misc]


def _config(simulator: Simulator, papers: tuple[Path, Path, Path] | None) -> uvicorn.Config:
    return uvicorn.Config(
        simulator,
        http=door(AutoHTTPProtocol, MOST_CONNECTIONS, _ShowsTransport),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,  # the simulator has its own clock
        proxy_headers=False,
        ssl_certfile=str(papers[1]) if papers else None,
        ssl_keyfile=str(papers[2]) if papers else None,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        backlog=2048,
    )


def _open_doors(settings: Settings, stack: ExitStack) -> list[socket.socket]:
    ports = [settings.port] + ([] if settings.login_port is None else [settings.login_port])
    return [stack.enter_context(socket.create_server((settings.host, port), backlog=2048)) for port in ports]


def _url(door: socket.socket, *, secure: bool) -> str:
    host, port = door.getsockname()[:2]
    return f"{'https' if secure else 'http'}://{host}:{port}"


def _simulator(settings: Settings, options: Options, urls: Sequence[str]) -> Simulator:
    directory = Directory(options)
    directory.base_url = urls[0]
    if settings.source is None:
        directory.fill(settings.seed, settings.users)
    else:
        snapshots.load(directory, settings.source)
    tokens = Tokens(
        settings.client_id or f"simulated-{secrets.token_hex(8)}",
        settings.client_secret or secrets.token_urlsafe(32),
        options,
        directory.clock,
    )
    login = int(urls[1].rpartition(":")[2]) if len(urls) > 1 else None
    simulator = Simulator(directory, tokens, login)
    simulator.snapshots, simulator.host = settings.snapshots, settings.host
    return simulator
