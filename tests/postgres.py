"""A throw-away PostgreSQL server for tests: real, fast (no fsync), gone afterwards.

    @pytest.fixture(scope="session")
    def postgres() -> Iterator[str]:
        with postgres_url() as url:
            yield url

Each call starts a server of its own in a new folder on a free loopback port; workers of pytest-xdist do
not meet. PostgreSQL refuses root, so root starts it as `postgres` or `nobody`; others run it themselves.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

USER = "scimsync"
PASSWORD = "not-a-secret"
_PATIENCE = 20.0


@contextmanager
def postgres_url() -> Iterator[str]:
    """Start a server; give `postgresql://user:password@127.0.0.1:port/postgres` (password is checked).

    Raises:
        RuntimeError: PostgreSQL is not installed, or does not start within 20 seconds.
    """
    with tempfile.TemporaryDirectory(prefix="scimsync-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _initialise(folder)
        server, url = _start(folder)
        try:
            yield url
        finally:
            _stop(server)


def _binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        message = f"tests need a PostgreSQL server ({name}); run tools/system-packages"
        raise RuntimeError(message)
    return path


def _account() -> pwd.struct_passwd | None:
    """Who shall run it: None for ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _identity() -> dict[str, object]:
    """The arguments of subprocess that change the user."""
    account = _account()
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _initialise(folder: Path) -> None:
    folder.chmod(0o755)
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    account = _account()
    if account is not None:
        for path in (folder, secret):
            os.chown(path, account.pw_uid, account.pw_gid)
    command = [_binary("initdb"), "-D", str(folder / "data"), "-U", USER, f"--pwfile={secret}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    made = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **_identity())
    if made.returncode != 0:
        message = f"initdb failed: {made.stderr}"
        raise RuntimeError(message)


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    for _ in range(3):  # somebody may take the port between our look and the start
        port = free_port()
        command = [_binary("postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", str(folder)]
        command += ["-h", "127.0.0.1", "-F", "-c", "max_connections=40", "-c", "shared_buffers=32MB"]
        with (folder / "log").open("ab") as log:
            server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **_identity())
        url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        if _answers(server, url):
            return server, url
        _stop(server)
    message = f"PostgreSQL does not start: {(folder / 'log').read_text()[-2000:]}"
    raise RuntimeError(message)


def _answers(server: subprocess.Popen[bytes], url: str) -> bool:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGQUIT)  # "immediate": there is nothing to keep, and nobody to wait for
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
