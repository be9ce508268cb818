"""How much memory a piece of work may take, held by the system.

DuckDB keeps its tables within `[state] memory` and a scratch file, but not what one function makes of one cell, nor
what a page of a Parquet file says that it unpacks to: six kilobytes took 13.8 GiB. So a command takes its word to the
system as well (RLIMIT_DATA, which counts what is asked for and not what is only reserved): beyond it an allocation
fails, which DuckDB and Python both tell, and the command ends with a sentence. A program that uses the library is left
alone: limits belong to the whole process, and that is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: bytes beside the tables: of Python, of libraries, and for whatever is read in one piece
BESIDE = 2 << 30
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}  # fmt: skip
_armed: list[bool] = []


def arm() -> None:
    """From now on pieces of work are bounded in this process, which is ours alone."""
    _armed.append(True)


@contextmanager
def within(tables: str) -> Iterator[None]:
    """Bound the memory of a piece of work, where this process is ours.

    Args:
        tables: What its tables may take, as `[state] memory` says it.
    """
    taken = _taken() if _armed else None
    if taken is None:
        yield
        return
    import resource  # noqa: PLC0415 - there where `_taken` gave something

    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = taken + 2 * _bytes(tables) + BESIDE
    if before != resource.RLIM_INFINITY and before <= wanted:
        yield  # a narrower limit holds already: ours around this one, or somebody's own
        return
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))


def _taken() -> int | None:
    """The bytes that this process has asked for; None where the system does not say."""
    try:
        found = re.search(r"^VmData:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) << 10 if found else None


def _bytes(text: str) -> int:
    found = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]*)\s*", text)
    return int(float(found[1]) * _UNITS.get(found[2].upper(), 1)) if found else 0
