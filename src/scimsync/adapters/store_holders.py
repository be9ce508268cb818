"""Who holds a lease, and whether that process lives."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from msgspec import Struct

#: how long the silence of a holder on another machine is borne
EXPIRY = timedelta(minutes=10)


class _Process(Struct, frozen=True, kw_only=True):
    """Who holds a lease. `place` is where its pid means something: host, boot, pid namespace."""

    host: str
    place: str
    pid: int
    started: str


def myself() -> _Process:
    """This process, as others can tell it apart."""
    host, boot, space = socket.gethostname(), "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = str(Path("/proc/self/ns/pid").readlink())
    pid = os.getpid()
    return _Process(host=host, place=f"{host} {boot} {space}", pid=pid, started=_started(pid) or "")


def _started(pid: int) -> str | None:
    """When a process began, in ticks since boot; "" where the system does not tell; None if it is dead."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else ""
    except OSError:
        return ""
    state, *fields = after_name.split()
    return None if state in {"Z", "X"} else fields[18]


def holds(row: sa.RowMapping, me: _Process, now: datetime) -> bool:
    """Whether the holder of a lease may still be at work."""
    silence = None if row["renewed"] is None else now - row["renewed"]
    if row["bears"] is not None and silence is not None and silence > timedelta(seconds=row["bears"]):
        return False
    if row["place"] == me.place:
        return _alive(row["pid"], row["started"])
    if row["bears"] is not None:
        return True
    return silence is not None and silence < EXPIRY


def _alive(pid: int, started: str) -> bool:
    found = _started(pid)
    if found is None or (found and started and found != started):
        return False
    if found or os.name == "nt":  # on Windows, signal 0 would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def at_work(row: sa.RowMapping, me: _Process) -> str:
    """Who holds the lease."""
    since = f"{row['since']:%Y-%m-%d %H:%M:%S} UTC" if row["since"] else "an unknown time"
    text = f"{row['owner']} is at work: process {row['pid']} on {row['host']}, since {since}. "
    if row["bears"] is not None:
        return text + f"Wait until it ends; if it is dead, its lease ends after {row['bears']} seconds of silence."
    if row["place"] == me.place:
        return text + "Wait until it ends, or end that process; then start again."
    until = f"{row['renewed'] + EXPIRY:%H:%M:%S} UTC" if row["renewed"] else "ten minutes from now"
    return text + f"Wait until it ends; if it is dead, its lease ends at {until}, or when scimsync starts there."


def taken(row: sa.RowMapping, mine: int | None) -> str:
    """Who took the lease from us."""
    holder = f"{row['owner']}, process {row['pid']} on {row['host']}" if row["owner"] else "somebody, who is done"
    lost = "was silent for too long, and its lease went to" if mine is not None else "has no lease, which is with"
    return f"this process {lost} {holder}. Nothing was written. Start again when nobody else is at work."
