"""A file that lies elsewhere: fetched whole into a folder of ours, read as if it lay here, and removed.

Here lives the knowledge of when a file is whole that somebody else writes: two looks with the same size and time, or
what its writer lays beside it; and what each place says of itself (ETag, version) must be the same before and after.
Whatever is fetched is open to nobody else (a file 0600 in a folder 0700), and loses its name before its first record
is read, so that it is gone when this process is, however it ends.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NoReturn, Protocol
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from scimsync import files
from scimsync.adapters.source_text import Completeness
from scimsync.errors import SourceError
from scimsync.model.records import Batch, Poured, Reading

_FOLDER = "scimsync-place-"
#: a file of one checksum is smaller
_SMALL = 1 << 16
#: what a writer lays beside a file
DONE, SHA256 = ".done", ".sha256"


class Look(Struct, frozen=True):
    """What a place says of a file; None and "" where it does not."""

    size: int | None = None
    #: when it was written, in seconds
    time: float | None = None
    tag: str = ""
    version: str = ""

    def differs(self, other: Look) -> bool:
        """Whether both say something of the same matter, and not the same."""
        pairs = ((self.size, other.size), (self.time, other.time), (self.tag, other.tag), (self.version, other.version))
        return any(one not in {None, ""} and two not in {None, ""} and one != two for one, two in pairs)

    def __str__(self) -> str:
        written = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="seconds") if self.time else ""
        named = {"version": self.version, "ETag": self.tag, "written": written}
        told = [f"{name} {value}" for name, value in named.items() if value]
        return ", ".join([*told, f"{self.size:,} bytes"] if self.size is not None else told)


class Remote(Protocol):
    """A place that was entered. `beside` is "" for the file itself, or what stands behind its name."""

    #: who writes there can be half done: an object appears whole, a file grows
    grows: bool

    def look(self, beside: str = "") -> Look | None:
        """What the place says of a file; None where there is none."""

    def fetch(self, beside: str, sink: BinaryIO, most: int) -> Look:
        """Write a file into `sink`, at most so many bytes; and what the place said of it then."""


#: how a place is entered: the connection stands as long as the context does
Enter = Callable[[], AbstractContextManager[Remote]]


class _Source(Protocol):
    def read(self) -> Reading: ...


@dataclass(frozen=True, slots=True)
class PlacedSource:
    """A file at an address, read by the source of its kind. Fits `scimsync.engine.ports.Source`."""

    url: str
    enter: Enter
    #: makes the source of the fetched file
    make: Callable[[Path], _Source]
    _: KW_ONLY
    ready: str = "stable"
    settle: float = 5.0
    most: int = 4 << 30
    #: what proves the reading besides; "checksum" needs the file of the checksum, too
    complete: Completeness = "unproven"

    @property
    def name(self) -> str:
        """The file's name."""
        return file_name(self.url)

    def read(self) -> Reading:
        """Fetch the file, open it, and let go of its name.

        Raises:
            SourceError: The place cannot be entered or does not let us in; the file is not there, not ready, too
                large, cut or changing; or it cannot be read, for the reasons of its kind.
        """
        with ExitStack() as stack:
            folder = stack.enter_context(_folder())
            path = folder / file_name(self.url)
            look = self._fetched(path)
            retell = _Retelling(str(path), shown(self.url))
            with retell:
                reading = self.make(path).read()
            owner = stack.pop_all() if os.name == "nt" else ExitStack()  # there an open file cannot be removed
        pour = reading.pour
        return replace(
            reading,
            batches=retell.batches(owner, reading.batches),
            proven=reading.proven or self.ready == "sha256",
            delivery=str(look),
            pour=(lambda sink: retell.pour(pour, sink)) if pour else None,
        )

    def _fetched(self, path: Path) -> Look:
        """Fetch the file, when it is ready."""
        where = shown(self.url)
        with self.enter() as remote:
            first = remote.look()
            if first is None:
                refuse(where, "there is no such file", "Check path under [source], and whether the export ran.")
            expected = self._await(where, remote, first, path)
            if first.size is not None and first.size > self.most:
                self._refuse_size(where, first.size)
            with files.create(path) as sink:
                got = remote.fetch("", sink, self.most)
                sink.flush()
                size = sink.tell()
                digest = _digest(sink) if expected else ""
            last = remote.look()
        if size > self.most:
            self._refuse_size(where, size)
        if last is None or got.differs(first) or last.differs(got) or (got.size is not None and got.size != size):
            _refuse_half(where, "it changed while it was fetched")
        if digest != expected:
            _refuse_half(where, f"its SHA-256 is {digest}, and the file beside it says {expected}")
        return got

    def _await(self, where: str, remote: Remote, first: Look, path: Path) -> str:
        """See that the file is ready; its checksum, where there must be one."""
        if self.ready == "done":
            done = remote.look(DONE)
            if done is None:
                _refuse_half(where, f"there is no {path.name}{DONE} beside it")
            if done.time is not None and first.time is not None and done.time < first.time:
                _refuse_half(where, f"it is newer than {path.name}{DONE} beside it")
        elif self.ready == "stable" and remote.grows:
            time.sleep(self.settle)
            again = remote.look()
            if again is None or again.differs(first):
                _refuse_half(where, "it is still being written")
        if self.ready != "sha256" and self.complete != "checksum":
            return ""
        if remote.look(SHA256) is None:
            _refuse_half(where, f"there is no {path.name}{SHA256} beside it")
        with files.create(path.with_name(path.name + SHA256)) as sink:
            remote.fetch(SHA256, sink, _SMALL)
            sink.seek(0)
            text = sink.read(_SMALL).decode("utf-8", "replace")
        found = re.search(r"^\s*([0-9a-fA-F]{64})\b", text)
        if found is None:
            refuse(where, f"{path.name}{SHA256} beside it holds no checksum", "Write it with: sha256sum FILE.")
        return found[1].lower()

    def _refuse_size(self, where: str, size: int) -> NoReturn:
        step = "Set most_megabytes under [source] higher if that is right."
        refuse(where, f"it has {size:,} bytes, and {self.most:,} are allowed", step)


class _Retelling:
    """Says the address where a message names the copy, which is nowhere when somebody reads it."""

    def __init__(self, copy: str, where: str) -> None:
        self._copy, self._where = copy, where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SourceError) and self._copy in str(error):
            raise type(error)(str(error).replace(self._copy, self._where)) from error

    def batches(self, owner: ExitStack, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches."""
        with owner, self:
            yield from batches

    def pour(self, pour: Callable[[BinaryIO], Poured | None], sink: BinaryIO) -> Poured | None:
        """What the reading is poured into."""
        with self:
            return pour(sink)


def shown(url: str) -> str:
    """An address in messages: without what may be secret in it.

    Examples:
        >>> shown("https://hr.example.com/people.csv?sig=1"), shown("sftp://reader@host:2222/out/hr.csv")
        ('https://hr.example.com/people.csv?***', 'sftp://reader@host:2222/out/hr.csv')
    """
    bare, mark, _ = url.partition("?")
    return bare + "?***" if mark else bare


def file_name(url: str) -> str:
    """The name of the file at an address, as a file of this machine can be named."""
    return re.sub(r"[^\w. ()+-]", "_", PurePosixPath(unquote(urlsplit(url).path)).name).lstrip(".") or "file"


def refuse(where: str, reason: str, step: str, fault: BaseException | None = None) -> NoReturn:
    """Refuse a place: what is wrong, and what to do."""
    raise SourceError(f"{where}: {reason}. {step}") from fault


def brief(fault: BaseException) -> str:
    """The words of a library, flat and short."""
    return " ".join(str(fault).split())[:200].rstrip(". ") or type(fault).__name__


def piped(where: str, pieces: Iterable[Any], sink: BinaryIO, most: int, deadline: float) -> None:
    """Write pieces as they come, up to a size and a moment of the monotonic clock."""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            refuse(where, f"it sends more than {most:,} bytes", "Set most_megabytes under [source] if that is right.")
        if time.monotonic() > deadline:
            refuse_slow(where)
        sink.write(piece)


def refuse_slow(where: str) -> NoReturn:
    """Refuse a place that takes too long."""
    refuse(where, "fetching took longer than half an hour", "Look at the line and the server, and run again.")


def _refuse_half(where: str, reason: str) -> NoReturn:
    refuse(where, reason, "The delivery is not finished, or was cut: nothing of it is used. Run again when it is.")


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for us alone, gone at the end; what a run left behind that was killed while it fetched goes, too."""
    for old in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        with suppress(OSError, ValueError, IndexError):
            files.check_own(old, old.lstat())
            if not _lives(int(old.name.removeprefix(_FOLDER).split("-")[0])):
                shutil.rmtree(old)
    folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
