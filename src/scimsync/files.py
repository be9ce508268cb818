"""Files that are ours: how each is made, put in its place, and believed.

One writer for whatever this program leaves behind. Nothing is written through a link, into a file that
somebody else laid out, or half: a new file of a random name (`O_EXCL`, `O_NOFOLLOW`, its mode set on the
descriptor) in the same folder is written, brought to the disk, and renamed. Where a link stands in the
place of the file, the link is replaced, and what it names stays as it is; a folder, a device or a pipe is
refused. A reader opens once and asks the descriptor, so that nothing can be exchanged in between.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

#: for us alone; for whoever may read what lies there, as metrics are
PRIVATE, READABLE = 0o600, 0o644
#: what a writer that was killed leaves behind; the number is that of its process
UNFINISHED = ".scimsync-*-*.part"
_OTHERS, _OTHERS_WRITE = 0o077, 0o022
_ROOT = 0
# each where the system knows it
_NOFOLLOW, _NONBLOCK = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_NONBLOCK", 0)
_CLOEXEC, _BINARY = getattr(os, "O_CLOEXEC", 0), getattr(os, "O_BINARY", 0)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC | _BINARY


class Foreign(OSError):
    """A file or folder that is not ours; `strerror` says why, `cure` what to do."""

    def __init__(self, path: Path, why: str, cure: str) -> None:
        super().__init__(errno.EPERM, why, str(path))
        self.cure = cure


def create(path: Path, mode: int = PRIVATE) -> BinaryIO:
    """Make a file that is not there yet, with exactly this mode whatever the umask, through no link.

    Raises:
        OSError: Something of that name is there (FileExistsError), or the folder takes no files.
    """
    descriptor = os.open(path, _NEW, mode)
    _set_mode(descriptor, mode)
    return os.fdopen(descriptor, "w+b")


def write(path: Path, chunks: Iterable[bytes], mode: int = PRIVATE) -> None:
    """Write a file whole or not at all, durably, in the place of what was there.

    Raises:
        OSError: It cannot be written there; what was there stays.
    """
    with replacing(path, mode) as file:
        for chunk in chunks:
            file.write(chunk)


@contextmanager
def replacing(path: Path, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when the block ends without an exception."""
    beside = path.with_name(f".scimsync-{os.getpid()}-{secrets.token_hex(8)}.part")
    file = create(beside, mode)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _take_place(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def settle(beside: Path, path: Path, mode: int = PRIVATE) -> None:
    """Put a file that another program wrote into a folder of ours in its place, durably.

    Raises:
        OSError: It is no file, or cannot be put there.
    """
    with os.fdopen(os.open(beside, os.O_RDWR | _NOFOLLOW | _CLOEXEC | _BINARY), "rb") as file:
        _set_mode(file.fileno(), mode)
        os.fsync(file.fileno())
    _take_place(beside, path)


def append(path: Path, line: bytes) -> None:
    """Add to the end of a file, durably; it is made where there is none. Not through a link, nor to another's file.

    Raises:
        OSError: It cannot be written, or is not ours.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NOFOLLOW | _NONBLOCK | _CLOEXEC | _BINARY
    with os.fdopen(os.open(path, flags, PRIVATE), "ab") as file:
        _check_file(path, os.fstat(file.fileno()))
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path, *, follow: bool = True) -> bytes:
    """Read a file that nobody but us (or root) can have written, and nobody else can read.

    Args:
        path: The file; or, where `follow`, a link to it: what counts is the file that is read.
        follow: Whether a link is gone through.

    Raises:
        OSError: It cannot be read, or (Foreign) is not so.
    """
    flags = os.O_RDONLY | _NONBLOCK | _CLOEXEC | _BINARY | (0 if follow else _NOFOLLOW)
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        _check_file(path, found)
        if found.st_mode & _OTHERS:
            raise Foreign(path, "it can be read by others", f"chmod 600 {path}")
        return file.read()


def check_own(path: Path, found: os.stat_result) -> None:
    """Whether a file or folder is ours or root's.

    Raises:
        Foreign: It belongs to somebody else, who could exchange what is in it.
    """
    if hasattr(os, "geteuid") and found.st_uid not in {os.geteuid(), _ROOT}:
        cure = f"run scimsync as the user who owns it, or chown it to user {os.geteuid()}"
        raise Foreign(path, f"it belongs to user {found.st_uid}", cure)


def check_folder(path: Path) -> None:
    """Whether nobody else can put files into a folder, or exchange those in it. Folders above it are not looked at.

    Raises:
        OSError: There is no such folder, or (Foreign) it is open to others.
    """
    found = path.stat()
    check_own(path, found)
    if os.name != "nt" and found.st_mode & _OTHERS_WRITE:
        raise Foreign(path, "others may write into it", f"chmod go-w {path}")


def _check_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Foreign(path, "it is no file", "name a file")
    check_own(path, found)


def _take_place(beside: Path, path: Path) -> None:
    """Rename, and bring the folder to the disk. What is no file, and no link to one, stays: a device for instance."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise FileExistsError(errno.EEXIST, "it is there already and is no file", str(path))
    beside.replace(path)
    with suppress(OSError):  # some systems know no folders on the disk; the file itself is there
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _set_mode(descriptor: int, mode: int) -> None:
    if hasattr(os, "fchmod"):  # Windows knows it from 3.13 on
        os.fchmod(descriptor, mode)
