"""A throw-away MariaDB server for tests: real, a child of ours, on a free loopback port, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import make_url
from tests.postgres import free_port

USER = "hr"
PASSWORD = "not-a-secret"
_PATIENCE = 60.0


def _binary(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if path is None:
        message = f"tests need a MariaDB server ({name}); run tools/system-packages"
        raise RuntimeError(message)
    return path


@contextlib.contextmanager
def mariadb_url() -> Iterator[str]:
    """Start a server with a database `people`; give `mysql+pymysql://hr:password@127.0.0.1:port/people`.

    Raises:
        RuntimeError: MariaDB is not installed, or does not start.
    """
    with tempfile.TemporaryDirectory(prefix="scimsync-my-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        data = folder / "data"
        who = "mysql" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            folder.chmod(0o755)
            shutil.chown(folder, who)
        command = [_binary("mariadb-install-db"), "--no-defaults", f"--datadir={data}", f"--user={who}"]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        made = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        if made.returncode != 0:
            message = f"mariadb-install-db failed: {made.stderr}"
            raise RuntimeError(message)
        port = free_port()
        command = [_binary("mariadbd"), "--no-defaults", f"--datadir={data}", f"--user={who}", f"--port={port}"]
        command += ["--bind-address=127.0.0.1", f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
        command += ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--sql-mode="]
        command += ["--secure-file-priv=", "--skip-log-bin"]
        with (folder / "log").open("ab") as log:
            server = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
        try:
            _prepare(folder, server)
            yield f"mysql+pymysql://{USER}:{PASSWORD}@127.0.0.1:{port}/people"
        finally:
            server.terminate()
            server.wait(30)


def _prepare(folder: Path, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and server.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:  # PyMySQL leaves its own open where nobody listens
            if probe.connect_ex(str(folder / "socket")) != 0:
                time.sleep(0.1)
                continue
        root: Any = pymysql.connect(unix_socket=str(folder / "socket"), user="root")
        with root, root.cursor() as cursor:
            cursor.execute("CREATE DATABASE people CHARACTER SET utf8mb4")
            cursor.execute("CREATE DATABASE secret")
            cursor.execute(f"CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            cursor.execute(f"GRANT ALL ON people.* TO '{USER}'@'127.0.0.1'")
            cursor.execute(f"GRANT FILE ON *.* TO '{USER}'@'127.0.0.1'")
            root.commit()
        return
    message = f"MariaDB does not start: {(folder / 'log').read_text()[-2000:]}"
    raise RuntimeError(message)


@contextlib.contextmanager
def cursor_of(url: str) -> Iterator[Any]:
    """A cursor of the tests, to write with."""
    parts = make_url(url)
    connection: Any = pymysql.connect(
        host=parts.host, port=parts.port or 0, user=USER, password=PASSWORD, database="people", charset="utf8mb4"
    )
    with connection, connection.cursor() as cursor:
        yield cursor
        connection.commit()
