"""What a process that holds credentials and people's records leaves behind for others: nothing."""

from __future__ import annotations

import os
from contextlib import suppress

from scimsync import bounds
from scimsync.errors import ConfigError, ScimsyncError


def harden() -> None:
    """Let this process, and those that it starts, write no core dump and no keys of its TLS connections.

    A core dump holds client secrets and records. SSLKEYLOGFILE, which every TLS library obeys, would let whoever reads
    that file read the traffic, tokens and all. What is read and evaluated is bounded in memory from now on.
    """
    bounds.arm()
    os.environ.pop("SSLKEYLOGFILE", None)
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def told(error: BaseException) -> ScimsyncError | None:
    """What an error says to people; None of one that nobody expected."""
    if isinstance(error, ScimsyncError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException":  # of DuckDB
        return ConfigError(
            "more memory was asked for than [state] memory allows for. A cell of the source, or an expression of the "
            "mapping, makes texts that are far too long; or there are more people than fit: then raise [state] memory."
        )
    return None
