"""A process that has the product imported and becomes a command for each test that asks.

A command spends most of its time on importing; a test that plays ten of them would wait ten times. Here it is paid
once: the process forks, and the child goes on as `python -m scimsync` does, with its own folder, environment and
pipes, up to and with the end of the interpreter. What is about the start itself (signals, a terminal, what is
imported) is played with a process of its own: `tests.runs.start`.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LENGTH = struct.Struct("!I")
ROOT = Path(__file__).parent.parent


class Forker:
    """The test's end: asks for commands, some at a time if need be."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._socket, self._lock = ours, threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def command(
        self, words: Sequence[str], folder: Path, environ: Mapping[str, str], timeout: float
    ) -> tuple[int, str, str]:
        """Play a command to its end: (exit code, what it said, what it said on stderr).

        Raises:
            subprocess.TimeoutExpired: It did not end in time; it was killed.
        """
        asked = json.dumps({"words": [*map(str, words)], "folder": str(folder), "environ": {**environ}}).encode()
        pipes = [os.pipe() for _ in range(3)]
        with self._lock:
            socket.send_fds(self._socket, [LENGTH.pack(len(asked))], [write for _, write in pipes])
            self._socket.sendall(asked)
        for _, write in pipes:
            os.close(write)
        out, err, ended = self._read([read for read, _ in pipes], words, timeout)
        return json.loads(ended.splitlines()[-1]), out.decode(), err.decode()

    def _read(self, pipes: Sequence[int], words: Sequence[str], timeout: float) -> list[bytes]:
        heard = dict.fromkeys(pipes, b"")
        until = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            for pipe in pipes:
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(until - time.monotonic())
                if not ready and time.monotonic() >= until:
                    os.kill(json.loads(heard[pipes[2]].splitlines()[0]), signal.SIGKILL)
                    raise subprocess.TimeoutExpired([*words], timeout, heard[pipes[0]], heard[pipes[1]])
                for key, _ in ready:
                    read = os.read(key.fd, 1 << 16)
                    heard[key.fd] += read
                    if not read:
                        selector.unregister(key.fd)
                        os.close(key.fd)
        return [heard[pipe] for pipe in pipes]


@functools.cache
def forker() -> Forker:
    return Forker()


def _asked(server: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    head, pipes, *_ = socket.recv_fds(server, LENGTH.size, 3)
    if not head:
        return None
    body = b""
    while len(body) < LENGTH.unpack(head)[0]:
        body += server.recv(LENGTH.unpack(head)[0] - len(body))
    return json.loads(body), pipes


def _become_command(server: socket.socket) -> bool:
    """Wait for commands. True in a child that is to be one, False once nobody can ask any more."""
    while True:
        found = _asked(server)
        if found is None:
            return False
        asked, (out, err, ended) = found
        if os.fork() == 0:
            break
        for pipe in (out, err, ended):
            os.close(pipe)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    server.close()
    child = os.fork()
    if child:
        for pipe in (out, err):
            os.close(pipe)
        os.write(ended, f"{child}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(ended, f"{code}\n".encode())
        os._exit(0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for pipe in (out, err, ended):
        os.close(pipe)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    time.tzset()
    sys.argv = [str(ROOT / "src" / "scimsync" / "__main__.py"), *asked["words"]]
    return True


if __name__ == "__main__":
    from tests.killing import points

    import scimsync

    for module in pkgutil.walk_packages(scimsync.__path__, "scimsync."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ModuleNotFoundError):  # of an extra that is not installed
                importlib.import_module(module.name)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    gc.collect()
    gc.freeze()  # what every child shares is neither looked through nor copied by any
    if _become_command(socket.socket(fileno=int(sys.argv[1]))):
        from scimsync.cli.main import main

        if points.ENVIRON in os.environ:
            points.install()
        main()
