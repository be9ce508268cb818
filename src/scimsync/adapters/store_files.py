"""The files and folders of a state: ours alone."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from scimsync import files
from scimsync.errors import StoreDamaged, StoreError

_ARTIFACT = re.compile(r"[A-Za-z0-9._-]+")
_SMALLEST = 512  # bytes in a page of SQLite, at the least


def damaged(name: str, reason: str) -> StoreDamaged:
    """What is there is not what we wrote."""
    return StoreDamaged(
        f"{name} is damaged: {reason}. Nothing was written. Copy the file and those beside it (-wal, -shm) "
        "away; then bring back the last backup, or save what is left: `sqlite3 OLD .recover | sqlite3 NEW`. "
        "After that make a new plan: the next run finds out by reading the target what was written."
    )


def artifact_path(folder: Path, name: str) -> Path:
    """Where an artifact of that name is or shall be.

    Raises:
        StoreError: The name is not one of letters, digits, dot, line and underline.
    """
    if not _ARTIFACT.fullmatch(name) or name in {".", ".."}:
        raise StoreError(f"{name!r} cannot name an artifact; use letters, digits, '.', '-' and '_'.")
    return folder / name


def private_file(path: Path) -> None:
    """See to it that the database is a file with mode 0600, before SQLite makes one with another.

    A file that is there is looked at but never opened: closing it would drop the locks that another
    store of this process holds on it (POSIX locks belong to the process, not to the descriptor).
    """
    _private_folder(path.parent)
    _check(path.parent)
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise _unusable(path.parent, PermissionError("no right to write there"))
    try:
        with suppress(FileExistsError):
            files.create(path).close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            beside = path.with_name(path.name + suffix)
            with suppress(FileNotFoundError):
                _check_database(beside, beside.lstat())
        if 0 < path.stat().st_size < _SMALLEST:  # SQLite would take it for a new one, and write over it
            raise damaged(str(path), "it is too short for a database")
    except OSError as error:
        raise _unusable(path, error) from error


def _check_database(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is a link or no file. Give the path of the file itself.")
    files.check_own(path, found)
    if found.st_mode & 0o077:
        path.chmod(0o600)


def _check(folder: Path) -> None:
    """Whether nobody else can exchange what is in a folder."""
    try:
        files.check_folder(folder)
    except OSError as error:
        raise _unusable(folder, error) from error


def _private_folder(path: Path) -> None:
    """Make the folders that are missing, with mode 0700 whatever the umask. One that is there stays."""
    try:
        missing = [p for p in (path, *path.parents) if not p.exists()]
        for folder in reversed(missing):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                folder.chmod(0o700)
        if not path.is_dir():
            raise NotADirectoryError("it is no folder")
    except OSError as error:
        raise _unusable(path, error) from error


def private_artifacts(path: Path) -> None:
    """As `_private_folder`; one that others may look into is closed if empty, else it is refused."""
    _private_folder(path)
    try:
        files.check_own(path, path.stat())
        if path.stat().st_mode & 0o077:
            if any(path.iterdir()):
                raise StoreError(f"others may look into {path}. Say `chmod 700 {path}`, or name another folder.")
            path.chmod(0o700)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> StoreError:
    reason = error.strerror or str(error)
    if isinstance(error, files.Foreign):
        return StoreError(f"{path}: {reason}, who could exchange the state. {error.cure}; or name another folder.")
    return StoreError(
        f"cannot write to {path}: {reason}. Give the user that runs scimsync the right to, or name another place."
    )
