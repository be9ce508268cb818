"""A text file that is read once: its encoding, its end, and proof that nobody wrote to it meanwhile."""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, NoReturn, TypeAlias, get_args

from scimsync.adapters.source_kinds import refuse_other
from scimsync.errors import SourceEmpty, SourceError
from scimsync.model.records import Cell

#: What proves that a text file is whole: nothing, a `sha256sum` file beside it, or the word of the user.
Completeness: TypeAlias = Literal["unproven", "checksum", "assume"]
#: One record with the line or row where it begins.
Placed: TypeAlias = tuple[int, Sequence[Cell]]
BATCH = 5_000
_BUFFER = 1 << 18
_PIECE = 1 << 16
#: Characters; a longer line is taken for something that is not a text file, and would not fit in memory.
_LINE_LIMIT = 1 << 20
#: Byte-order marks, the longer first: the mark of UTF-32-LE begins with that of UTF-16-LE.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FEW = 8


def opened(path: Path) -> io.FileIO:
    """Open a regular file; a pipe or device could neither be checked nor read twice, and may hang."""
    try:
        file = io.FileIO(path, opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))
    except OSError as exc:
        reason = (exc.strerror or str(exc)).lower()
        message = f"{path}: cannot be opened: {reason}. Set path under [source] to a file that may be read."
        raise SourceError(message) from exc
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        message = f"{path}: is not a regular file. Write the export to a file and set path under [source]."
        raise SourceError(message)
    return file


def same(file: io.FileIO, before: os.stat_result) -> bool:
    """Whether nobody wrote to a file since."""
    after = os.fstat(file.fileno())
    return (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _refuse_changed(path: Path) -> NoReturn:
    message = (
        f"{path}: changed while it was read, so nothing of it is used. Let the export write to another name"
        " and rename it when it is finished; then run again."
    )
    raise SourceError(message)


def unchanged(path: Path, file: io.FileIO, before: os.stat_result, rows: Iterator[Placed]) -> Iterator[Placed]:
    """Refuse a file that was written to while it was read."""
    yield from rows
    if not same(file, before):
        _refuse_changed(path)


class Again(io.RawIOBase):
    """An open file from its beginning, without moving whoever reads it now."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw, self._done = raw, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # typeshed: Buffer
        """Read on."""
        data = os.pread(self._raw.fileno(), len(buffer), self._done)
        buffer[: len(data)] = data
        self._done += len(data)
        return len(data)


class _Witness(io.RawIOBase):
    """The bytes of a file on their way to the decoder: counted, and hashed when that is wanted."""

    def __init__(self, raw: io.RawIOBase, *, hashing: bool) -> None:
        self._raw = raw
        self._digest = hashlib.sha256() if hashing else None
        self._decoder: codecs.IncrementalDecoder | None = None
        self.size = 0
        #: there is more than ASCII, and all of it is UTF-8; only where `doubt` asked for it
        self.is_utf8 = False

    def doubt(self) -> None:
        """Look whether the bytes are UTF-8, which the declared encoding denies."""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # typeshed: Buffer
        count = self._raw.readinto(buffer) or 0
        self.size += count
        if self._digest is not None:
            self._digest.update(memoryview(buffer)[:count])
        if self._decoder is not None:
            self._look(bytes(memoryview(buffer)[:count]))
        return count

    def _look(self, chunk: bytes) -> None:
        if self._decoder is None or (chunk and chunk.isascii() and not self._decoder.getstate()[0]):
            return
        try:
            self.is_utf8 = bool(self._decoder.decode(chunk, final=not chunk)) or self.is_utf8
        except UnicodeDecodeError:
            self._decoder, self.is_utf8 = None, False

    @property
    def digest(self) -> str:
        """The SHA-256 of what went through, or blank."""
        return self._digest.hexdigest() if self._digest is not None else ""


def written(status: os.stat_result) -> str:
    """Which delivery a file of this machine is."""
    moment = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
    return f"written {moment}, {status.st_size:,} bytes"


class TextFile:
    """One text file, open: its lines, each checked on the way."""

    def __init__(self, path: Path, encoding: str, complete: Completeness, kind: str = "csv") -> None:
        if complete not in get_args(Completeness):
            message = f'{path}: complete = {complete!r}: set it to "unproven", "checksum" or "assume".'
            raise SourceError(message)
        self.path = path
        self.proven = complete != "unproven"
        self._has_no_header = kind == "jsonl"
        self._expected = _checksum(path) if complete == "checksum" else ""
        self._raw = opened(path)
        self._before = os.fstat(self._raw.fileno())
        self.delivery = written(self._before)
        try:
            if not encoding.lower().replace("_", "-").startswith("utf-16"):
                refuse_other(path, self._raw, kind)
            self.encoding = _detect(path, self._raw, encoding)
            self._witness = self._new_witness(self._raw)
            buffer = io.BufferedReader(self._witness, _BUFFER)
            self._text = io.TextIOWrapper(buffer, encoding=self.encoding, newline="")
        except BaseException:
            self._raw.close()
            raise

    def _new_witness(self, raw: io.RawIOBase) -> _Witness:
        witness = _Witness(raw, hashing=bool(self._expected))
        if not codecs.lookup(self.encoding).name.startswith("utf"):
            witness.doubt()
        return witness

    def __enter__(self) -> TextFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()
        self._raw.close()

    def lines(self) -> Iterator[str]:
        """The lines with their ends.

        Raises:
            SourceError: Undecodable bytes, NUL, an endless line; and at the end: nothing there, no end of
                line, a change meanwhile, another checksum.
        """
        number, line = 0, ""
        readline = self._text.readline
        try:
            while text := readline(_LINE_LIMIT):
                line = text
                number += 1
                if "\0" in line or len(line) == _LINE_LIMIT:
                    self._refuse_line(number, line)
                yield line
        except UnicodeDecodeError as exc:
            self._refuse_bytes(exc)
        except OSError as exc:
            message = f"{self.path}, line {number + 1}: reading failed: {exc.strerror}. Run again."
            raise SourceError(message) from exc
        self._finish(self._witness, number, ended=line.endswith(("\n", "\r")))

    def pieces(self) -> Iterator[str]:
        """The whole text in pieces, from the beginning, wherever `lines` is; proven as `lines` proves it.

        Raises:
            SourceError: There is something wrong with it; `lines` knows what and where.
        """
        if not hasattr(os, "pread"):
            raise SourceError(f"{self.path}: it is read by lines on this system.")
        witness = self._new_witness(Again(self._raw))
        decoder = codecs.getincrementaldecoder(self.encoding)()
        last = ""
        try:
            while data := witness.read(_PIECE):
                if piece := decoder.decode(data):
                    yield piece
                    last = piece
            decoder.decode(b"", final=True)
        except (UnicodeDecodeError, OSError) as exc:
            raise SourceError(f"{self.path}: {exc}") from exc
        self._finish(witness, 1, ended=last.endswith(("\n", "\r")))

    def _finish(self, witness: _Witness, number: int, *, ended: bool) -> None:
        if witness.size != self._before.st_size or not same(self._raw, self._before):
            _refuse_changed(self.path)
        if number == 0:
            message = f"{self.path}: the file is empty. Look whether the export failed, and run it again."
            # lines have no header, so that a proven file without any says that there is nobody
            says_nobody = self._has_no_header and self.proven and self._expected == witness.digest
            raise SourceEmpty(message) if says_nobody else SourceError(message)
        if witness.is_utf8:
            message = (
                f"{self.path}: the file is UTF-8, and encoding says {self.encoding}: names would arrive broken."
                ' Set encoding = "utf-8" under [source].'
            )
            raise SourceError(message)
        if self._expected != witness.digest:
            message = (
                f"{self.path}: its SHA-256 is {witness.digest}, and {self.path.name}.sha256 says"
                f" {self._expected}: one of the two is old, cut or damaged. Fetch both again, or make the"
                f" checksum anew where the file is written: {_recipe(self.path)}."
            )
            raise SourceError(message)
        if not ended and not self.proven:
            message = (
                f"{self.path}, line {number}: the file stops without an end of line, so it was probably cut"
                " while it was written or copied. Fetch it again; end the last line with a line end, or set"
                ' complete = "assume" under [source] if the writer never does.'
            )
            raise SourceError(message)

    def _refuse_line(self, number: int, line: str) -> NoReturn:
        if "\0" in line:
            message = (
                f"{self.path}, line {number}: there is a NUL byte, so this is damaged or is not text in"
                f' {self.encoding}. Write the file anew; if it is UTF-16, set encoding = "utf-16-le" under'
                " [source]."
            )
            raise SourceError(message)
        message = (
            f"{self.path}, line {number}: the line is longer than {_LINE_LIMIT:,} characters, so this is"
            " probably no text file with a record in each line. Look at kind and path under [source]."
        )
        raise SourceError(message)

    def _refuse_bytes(self, fault: UnicodeDecodeError) -> NoReturn:
        line, offset, byte = _locate(self._raw, self.encoding)
        other = "utf-8" if fault.encoding.lower() not in {"utf-8", "utf8"} else "cp1252"
        name = self.encoding.removesuffix("-sig")
        shown = f"the byte 0x{byte:02X}" if byte is not None else "the end of the file"
        message = (
            f"{self.path}, line {line}, byte offset {offset}: {shown} does not fit the encoding"
            f' {name}. If the file was written in another one, set for instance encoding = "{other}"'
            " under [source]; if not, it is damaged or cut: write it anew."
        )
        raise SourceError(message) from fault


def _detect(path: Path, raw: io.FileIO, encoding: str) -> str:
    """Give the encoding to use: what the mark at the beginning says, or else what was declared."""
    try:
        "".encode(encoding)
        declared = codecs.lookup(encoding).name
    except (LookupError, ValueError) as exc:
        message = (
            f"{path}: there is no text encoding {encoding!r}. Set encoding under [source] to one that Python"
            ' knows, for instance "utf-8", "cp1252" or "utf-16".'
        )
        raise SourceError(message) from exc
    head = raw.read(4) or b""
    raw.seek(0)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked is None:
        return encoding
    if declared not in {"utf-8", "utf-8-sig"} and not declared.startswith(marked.removesuffix("-sig")):
        message = (
            f"{path}: the file begins with the mark of {marked}, and encoding says {encoding}. Set"
            f' encoding = "{marked}" under [source].'
        )
        raise SourceError(message)
    return marked


def _locate(raw: io.FileIO, encoding: str) -> tuple[int, int, int | None]:
    """Find the first byte that cannot be decoded: its line, its offset, and itself (None at the end)."""
    raw.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    line, done = 1, 0
    while True:
        chunk = raw.read(_BUFFER) or b""
        waiting = len(decoder.getstate()[0])
        try:
            line += len(_ENDS.findall(decoder.decode(chunk, final=not chunk)))
        except UnicodeDecodeError as exc:
            good = exc.object[: exc.start].decode(exc.encoding, "ignore")
            offset = done - waiting + exc.start
            cut = exc.reason in {"unexpected end of data", "truncated data"}
            return line + len(_ENDS.findall(good)), offset, None if cut else exc.object[exc.start]
        done += len(chunk)
        if not chunk:  # the file changed meanwhile and can be decoded now
            return line, done, None


_ENDS = re.compile(r"\r\n|\r|\n")


def _recipe(path: Path) -> str:
    return f"sha256sum {path.name} > {path.name}.sha256"


def _checksum(path: Path) -> str:
    """Read the digest of `path` from the `sha256sum` file beside it."""
    beside = path.with_name(path.name + ".sha256")
    try:
        with opened(beside) as file:
            text = (file.read(1 << 16) or b"").decode("utf-8", "replace")
    except SourceError as exc:
        message = (
            f'{beside}: complete = "checksum" needs this file beside the source, and it cannot be opened.'
            f" Make it where the source is written: {_recipe(path)}."
        )
        raise SourceError(message) from exc
    for digest, named in re.findall(r"^([0-9a-fA-F]{64}) [ *](.+?)\r?$", text, re.MULTILINE):
        if Path(named).name == path.name:
            return str(digest).lower()
    message = (
        f"{beside}: holds no line of sha256sum for {path.name} (64 hexadecimal digits, two blanks, the name)."
        f" Make it where the source is written: {_recipe(path)}."
    )
    raise SourceError(message)
