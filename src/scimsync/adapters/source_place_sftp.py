"""Files on an SFTP server, by asyncssh. The server must prove who it is; nothing of ~/.ssh is read or believed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NoReturn, TypeVar
from urllib.parse import unquote, urlsplit

from scimsync import files
from scimsync.adapters.source_place import Look, brief, refuse, shown
from scimsync.errors import SourceError
from scimsync.values import Secretive

_T = TypeVar("_T")
_LOOK_S, _FETCH_S, _PIECE = 60.0, 1800.0, 1 << 18
_PROOF = (
    "Ask its administrator for the fingerprint (ssh-keygen -lf), and compare before you change host_key or known_hosts"
)


class Sftp(Secretive, frozen=True, kw_only=True):
    """One file on one server, and who we are there."""

    url: str
    username: str = ""
    password: str = ""
    known_hosts: Path | None = None
    host_key: str = ""
    key_file: Path | None = None

    @contextmanager
    def enter(self) -> Iterator[_Connected]:
        """Connect.

        Raises:
            SourceError: asyncssh is missing; the server cannot be reached, is not who it should be, or refuses us.
        """
        where = shown(self.url)
        try:
            import asyncssh  # noqa: PLC0415 - an extra
        except ImportError as exc:
            refuse(where, "files on SFTP are fetched by asyncssh", "Run: pip install 'scimsync[sftp]'", exc)
        with _Loop() as loop:
            connected = _Connected(self, asyncssh, loop)
            try:
                connected.open()
                yield connected
            finally:
                connected.close()


class _Loop:
    """An event loop in a thread of its own: whoever reads a source may stand in one already."""

    def __enter__(self) -> _Loop:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scimsync-sftp", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """Wait for some work, so long at most."""
        waiting = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), self._loop)
        try:
            return waiting.result()
        except BaseException:
            waiting.cancel()
            raise


class _Connected:
    """A server that was entered."""

    grows = True

    def __init__(self, place: Sftp, ssh: ModuleType, loop: _Loop) -> None:
        self._place, self._ssh, self._loop = place, ssh, loop
        self._where = shown(place.url)
        parts = urlsplit(place.url)
        self._host, self._port = parts.hostname or "", parts.port or 22
        self._user = unquote(parts.username or "") or place.username
        # sftp://host/~/out/hr.csv and //out are of the user's folder; all others count from the root
        self._path = unquote(parts.path).removeprefix("/~/")
        self._connection: Any = None
        self._client: Any = None

    def open(self) -> None:
        """Connect and open the protocol of files."""
        try:
            self._connection, self._client = self._loop.run(self._open(), _LOOK_S)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is said
            self._refuse(fault)

    def close(self) -> None:
        """Let go of the server."""
        if self._connection is not None:
            self._loop.run(self._closed(), _LOOK_S)

    async def _closed(self) -> None:
        self._connection.abort()
        await asyncio.wait([asyncio.ensure_future(self._connection.wait_closed())], timeout=5)

    async def _open(self) -> tuple[Any, Any]:
        place, ssh = self._place, self._ssh
        wanted = place.host_key.rstrip("=")

        class Vouched(ssh.SSHClient):  # type: ignore[misc,name-defined]  # a class of a module that may be missing
            """Knows the key of the server by its fingerprint."""

            def validate_host_public_key(self, host: str, addr: str, port: int, key: Any) -> bool:  # noqa: ANN401, ARG002
                return bool(wanted) and key.get_fingerprint("sha256").rstrip("=") == wanted

        connection = await ssh.connect(
            self._host,
            self._port,
            username=self._user or (),
            client_factory=Vouched,
            known_hosts=str(place.known_hosts) if place.known_hosts and not wanted else ((), (), ()),
            password=place.password if place.password and place.key_file is None else None,
            client_keys=self._keys() or None,
            preferred_auth="publickey" if place.key_file else "password,keyboard-interactive",
            agent_path=None,
            config=None,
            connect_timeout=30,
            login_timeout=30,
            keepalive_interval=15,
        )
        try:
            return connection, await connection.start_sftp_client()
        except BaseException:
            connection.abort()
            raise

    def _keys(self) -> list[Any]:
        if self._place.key_file is None:
            return []
        text = files.read_secret(self._place.key_file)
        return [self._ssh.import_private_key(text, self._place.password or None)]

    def look(self, beside: str = "") -> Look | None:
        """What the server says of a file."""
        try:
            found = self._loop.run(self._client.stat(self._path + beside), _LOOK_S)
        except self._ssh.SFTPNoSuchFile:
            return None
        except Exception as fault:  # noqa: BLE001 - as above
            self._refuse(fault)
        return Look(size=found.size, time=found.mtime)

    def fetch(self, beside: str, sink: BinaryIO, most: int) -> Look:
        """Fetch a file."""
        try:
            return self._loop.run(self._fetch(self._path + beside, sink, most), _FETCH_S)
        except Exception as fault:  # noqa: BLE001 - as above
            self._refuse(fault)

    async def _fetch(self, path: str, sink: BinaryIO, most: int) -> Look:
        async with self._client.open(path, "rb") as file:
            found = await file.stat()
            done = 0
            while piece := await file.read(_PIECE):
                done += len(piece)
                if done > most:
                    refuse(self._where, f"it sends more than {most:,} bytes", "Set most_megabytes under [source].")
                sink.write(piece)
        return Look(size=found.size, time=found.mtime)

    def _refuse(self, fault: Exception) -> NoReturn:
        ssh, where = self._ssh, self._where
        server = f"the server {self._host}:{self._port}"
        match fault:
            case SourceError():
                raise fault
            case ssh.HostKeyNotVerifiable():
                refuse(
                    where, f"{server} shows a host key that nobody vouches for: it may be another server", f"{_PROOF}."
                )
            case ssh.PermissionDenied():
                who = self._user or "nobody"
                step = "Check username, password and key_file under [source]."
                refuse(where, f"{server} does not let {who!r} in", step)
            case ssh.SFTPPermissionDenied():
                refuse(where, "this user may not read the file", "Let the server's administrator grant reading.")
            case ssh.SFTPNoSuchFile():
                refuse(where, "there is no such file", "Check path under [source], and whether the export ran.")
            case files.Foreign():
                refuse(where, f"key_file {self._place.key_file}: {fault.strerror}", f"{fault.cure}.")
            case ssh.KeyImportError() | FileNotFoundError():
                refuse(where, f"a file of keys cannot be read: {brief(fault)}", "Check key_file and known_hosts.")
            case TimeoutError():
                refuse(where, f"{server} does not answer in time", "Check the address and the line, and run again.")
            case _:
                step = "Check host and port in path under [source], and run again."
                refuse(where, f"{server} cannot be read: {brief(fault)}", step, fault)
