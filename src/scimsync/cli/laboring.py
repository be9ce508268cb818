"""The worker command."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType

import click

from scimsync.cli import interrupting
from scimsync.services.workers import Worker


def worker(file: Path, slots: int, alive: Path | None) -> int:
    """Work until SIGTERM or Ctrl-C; returns the exit code."""
    talk = threading.Lock()

    def told(name: str, text: str) -> None:
        with talk:
            click.echo(f"{name}: {text}", err=True)

    made = Worker(file, told, slots, alive=alive.touch if alive is not None else None)

    def end(number: int, _: FrameType | None) -> None:  # noqa: ARG001
        made.halt()

    before = {number: signal.signal(number, end) for number in interrupting.wanted()}
    ready = threading.Event()
    threading.Thread(target=_say, args=(ready, made.name), daemon=True).start()
    try:
        return made.run(ready)
    finally:
        ready.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(ready: threading.Event, name: str) -> None:
    ready.wait()
    click.echo(f"{name}: taking work")
