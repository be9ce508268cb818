"""What a process that holds credentials and people's records leaves behind for others: nothing."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from scimsync import bounds
from scimsync.errors import ConfigError, ScimsyncError, StoreError


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
    """What an error, or the first of a group, says to people; None of one that nobody expected."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ScimsyncError):
        return error
    if (disk := _of_disk(error)) is not None:
        return StoreError(
            f"{disk} What was sent to the directory stands in the journal, and the next run goes on there."
        )
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException":  # of DuckDB
        return ConfigError(
            "more memory was asked for than [state] memory allows for. A cell of the source, or an expression of the "
            "mapping, makes texts that are far too long; or there are more people than fit: then raise [state] memory."
        )
    return None


def _of_disk(error: BaseException) -> str | None:
    """What to say of an error of the disk, by whatever name it comes; None of any other."""
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{_DISK[error.errno]}"
    said = str(error)
    if type(error).__name__ in {"IOException", "OutOfMemoryException"}:  # of DuckDB, which writes scratch files
        found = [words for number, words in _DISK.items() if os.strerror(number) in said]
        return found[0] if found else _DISK[errno.ENOSPC] if "failed to offload" in said else None
    return None


#: errors that are no fault of ours and have a way on
_DISK = {
    errno.ENOSPC: "the disk is full. Make room and start again.",
    errno.EDQUOT: "the quota of this user is used up. Make room and start again.",
    errno.EFBIG: "a file would be larger than is allowed here (ulimit -f). Allow more and start again.",
    errno.EIO: "the disk reports an error. Look at the system log before you start again.",
    errno.EMFILE: "this process may open no more files (ulimit -n). Allow more and start again.",
    errno.ENFILE: "this machine has too many files open. Close some, or allow more, and start again.",
    errno.EROFS: "the file system is read-only. Look at the system log: a disk with an error is often made so.",
}
