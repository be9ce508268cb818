"""Read people from a file: CSV (RFC 4180 and its common dialects), JSON Lines, Parquet.

Here lives the knowledge of the three formats and of what can go wrong with a file: encodings, cut ends,
ragged lines, a change under our hands. What a short reading *means* is judged elsewhere (`core/trust`).
A file is opened once and everything is read from that descriptor, so a file that is replaced by a
rename is read as it was; a file that is written to meanwhile is refused. Rows are never all in memory.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Literal, NoReturn, TypeAlias, get_args

from scimsync.errors import SourceEmpty, SourceError
from scimsync.model.records import Batch, Cell, Reading

#: What proves that a text file is whole: nothing, a `sha256sum` file beside it, or the word of the user.
Completeness: TypeAlias = Literal["unproven", "checksum", "assume"]

#: One record with the line or row where it begins.
Placed: TypeAlias = tuple[int, Sequence[Cell]]

_BATCH = 5_000
_BUFFER = 1 << 18
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

#: how other kinds of files begin, in small letters
_OTHERS = (
    (b"pk\x03\x04", "an Excel workbook or another ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old form"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"%pdf", "a PDF"),
    (b"<!doc", "a web page"),
    (b"<html", "a web page"),
    (b"par1", "a Parquet file"),
)
_SAVE = "Save the sheet as CSV (UTF-8), and set path under [source] to that file."
_INSTEAD = {
    "an Excel workbook or another ZIP archive": _SAVE,
    "an Excel workbook of the old form": _SAVE,
    "compressed with gzip": "Unpack it first: gunzip FILE.",
    "a PDF": "Have the export write CSV or JSON lines.",
    "a web page": "The download probably ended at a login page: look at how the file is fetched.",
    "a Parquet file": 'Set kind = "parquet" under [source].',
}

_FEW = 8


@dataclass(frozen=True, slots=True)
class CsvSource:
    """A delimited file; the first line names the columns. Fits `scimsync.engine.ports.Source`.

    A blank cell is None; every other cell is given as it is written. Lines with nothing at all are skipped.
    """

    path: Path
    key: str
    _: KW_ONLY
    delimiter: str = ","
    encoding: str = "utf-8-sig"  #: spreadsheets like to write a byte-order mark
    complete: Completeness = "unproven"

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.path).name

    def read(self) -> Reading:
        """Open the file and read its header.

        Raises:
            SourceError: The file cannot be opened, decoded or parsed, is ragged, empty, cut or changing,
                or lacks the key column. Lines count from 1.
        """
        with ExitStack() as stack:
            file = stack.enter_context(_TextFile(Path(self.path), self.encoding, self.complete))
            records = self._records(file)
            columns = tuple(next(records, (0, []))[1])
            _check_columns(f"{file.path}, line 1", columns)
            self._check_key(file, columns)
            rows = self._rows(file, records, len(columns))
            batches = _owned(stack.pop_all(), _batches(str(file.path), rows))
        next(batches)
        return Reading(columns=columns, batches=batches, proven=file.proven, place="line")

    def _check_key(self, file: _TextFile, columns: Sequence[str]) -> None:
        other = next((d for d in ";\t|," if d != self.delimiter and columns and d in columns[0]), None)
        if len(columns) == 1 and other is not None:
            message = (
                f"{file.path}, line 1: the header is one cell that holds {other!r}, and the delimiter is"
                f" {self.delimiter!r}. Set delimiter = {json.dumps(other)} under [source]."
            )
            raise SourceError(message)
        _check_key(str(file.path), columns, self.key)

    def _records(self, file: _TextFile) -> Iterator[tuple[int, list[str]]]:
        try:
            reader = csv.reader(file.lines(), delimiter=self.delimiter, strict=True)
        except (TypeError, ValueError) as exc:
            message = (
                f"{file.path}: {self.delimiter!r} cannot separate cells. Set delimiter to one character,"
                ' for instance ";" or "\\t".'
            )
            raise SourceError(message) from exc
        begin = 1
        try:
            for row in reader:
                if row:
                    yield begin, row
                begin = reader.line_num + 1
        except csv.Error as exc:
            _refuse_csv(f"{file.path}, line {begin}", str(exc), exc)

    def _rows(self, file: _TextFile, records: Iterator[tuple[int, list[str]]], width: int) -> Iterator[Placed]:
        for line, row in records:
            if len(row) != width:
                message = (
                    f"{file.path}, line {line}: {len(row)} cells, expected {width} as in the header. Usually"
                    f" a cell holds {self.delimiter!r} or a line break and has no quotation marks around it:"
                    " correct the line, or have the export quote such cells."
                )
                raise SourceError(message)
            yield line, [cell or None for cell in row] if "" in row else row


@dataclass(frozen=True, slots=True)
class JsonlSource:
    """One JSON object a line. Fits `scimsync.engine.ports.Source`.

    The columns are the members of the first object; a later object may lack some (None), not bring new ones.
    """

    path: Path
    key: str
    _: KW_ONLY
    encoding: str = "utf-8-sig"
    complete: Completeness = "unproven"

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.path).name

    def read(self) -> Reading:
        """Open the file and read its first line.

        Raises:
            SourceError: The file cannot be opened or decoded, is empty, cut or changing, lacks the key
                column, or holds a line that is not a flat JSON object with known members.
        """
        with ExitStack() as stack:
            file = stack.enter_context(_TextFile(Path(self.path), self.encoding, self.complete))
            records = _objects(file)
            first = next(records, None)
            if first is None:
                _refuse_empty(str(file.path))
            columns = tuple(first[1])
            _check_columns(f"{file.path}, line {first[0]}", columns)
            _check_key(str(file.path), columns, self.key)
            rows = _object_rows(str(file.path), columns, chain([first], records))
            batches = _owned(stack.pop_all(), _batches(str(file.path), rows))
        next(batches)
        return Reading(columns=columns, batches=batches, proven=file.proven, place="line")


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """A Parquet file, read by DuckDB. Fits `scimsync.engine.ports.Source`.

    Its footer is written last and counts the rows, so a reading that ends is proven whole.
    """

    path: Path
    key: str

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.path).name

    def read(self) -> Reading:
        """Open the file and read its footer.

        Raises:
            SourceError: The file is not Parquet, is damaged, empty or changing, lacks the key column, or
                holds a column whose values are neither text, number, truth nor date.
        """
        path = Path(self.path)
        with ExitStack() as stack:
            file = stack.enter_context(_open(path))
            before = os.fstat(file.fileno())
            table = stack.enter_context(_ParquetTable(path, file))
            _check_columns(f"{path}, footer", table.names)
            _check_key(str(path), table.names, self.key)
            rows = _unchanged(path, file, before, table.rows())
            batches = _owned(stack.pop_all(), _batches(str(path), rows))
        next(batches)
        return Reading(columns=table.names, batches=batches, proven=True, place="row")


# --- shared by the three -------------------------------------------------------------------------------


def _owned(stack: ExitStack, batches: Iterator[Batch]) -> Iterator[Batch]:
    """Let go of what `stack` holds when the walk ends, fails or is given up.

    The first item is an empty batch for the caller to take: a generator that has begun cleans up even
    when nobody walks it.
    """
    with stack:
        yield Batch((), ())
        yield from batches


def _batches(where: str, rows: Iterator[Placed]) -> Iterator[Batch]:
    empty = True
    while chunk := list(islice(rows, _BATCH)):
        empty = False
        yield Batch([row for _, row in chunk], [place for place, _ in chunk])
    if empty:
        _refuse_empty(where)


def _refuse_empty(where: str) -> NoReturn:
    message = (
        f"{where}: no records. An empty source is never taken for a company without people: look whether"
        " the export failed, and run it again."
    )
    raise SourceEmpty(message)


def _check_columns(where: str, columns: Sequence[str]) -> None:
    """Refuse blank and equal column names; SQL does not tell case, so neither may we."""
    seen: set[str] = set()
    for number, column in enumerate(columns, 1):
        if not column.strip():
            message = f"{where}: column {number} has no name. Give each column a name of its own."
            raise SourceError(message)
        if column.casefold() in seen:
            message = (
                f"{where}: the column {column!r} stands there twice (upper and lower case count as equal)."
                " Rename or leave out one of them in the export."
            )
            raise SourceError(message)
        seen.add(column.casefold())


def _check_key(where: str, columns: Sequence[str], key: str) -> None:
    if not key or key in columns:
        return
    near = difflib.get_close_matches(key.strip().casefold(), [c.strip().casefold() for c in columns], n=1)
    meant = next((c for c in columns if near and c.strip().casefold() == near[0]), None)
    hint = f"Did you mean {meant!r}? " if meant is not None else ""
    shown = ", ".join(repr(c) for c in columns[:_FEW]) + (", ..." if len(columns) > _FEW else "")
    message = (
        f"{where}: there is no key column {key!r}; the columns are {shown}. {hint}"
        "Set key under [source] to the column that names a person for good."
    )
    raise SourceError(message)


def _open(path: Path) -> io.FileIO:
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


def _same(file: io.FileIO, before: os.stat_result) -> bool:
    after = os.fstat(file.fileno())
    return (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _refuse_changed(path: Path) -> NoReturn:
    message = (
        f"{path}: changed while it was read, so nothing of it is used. Let the export write to another name"
        " and rename it when it is finished; then run again."
    )
    raise SourceError(message)


def _unchanged(path: Path, file: io.FileIO, before: os.stat_result, rows: Iterator[Placed]) -> Iterator[Placed]:
    yield from rows
    if not _same(file, before):
        _refuse_changed(path)


# --- text files ----------------------------------------------------------------------------------------


class _Witness(io.RawIOBase):
    """The bytes of a file on their way to the decoder: counted, and hashed when that is wanted."""

    def __init__(self, raw: io.FileIO, *, hashing: bool) -> None:
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


class _TextFile:
    """One text file, open: its lines, each checked on the way."""

    def __init__(self, path: Path, encoding: str, complete: Completeness) -> None:
        if complete not in get_args(Completeness):
            message = f'{path}: complete = {complete!r}: set it to "unproven", "checksum" or "assume".'
            raise SourceError(message)
        self.path = path
        self.proven = complete != "unproven"
        self._expected = _checksum(path) if complete == "checksum" else ""
        self._raw = _open(path)
        self._before = os.fstat(self._raw.fileno())
        self._witness = _Witness(self._raw, hashing=bool(self._expected))
        try:
            self.encoding = _detect(path, self._raw, encoding)
            if not codecs.lookup(self.encoding).name.startswith("utf"):
                self._witness.doubt()
            buffer = io.BufferedReader(self._witness, _BUFFER)
            self._text = io.TextIOWrapper(buffer, encoding=self.encoding, newline="")
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> _TextFile:
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
        self._finish(number, ended=line.endswith(("\n", "\r")))

    def _finish(self, number: int, *, ended: bool) -> None:
        if self._witness.size != self._before.st_size or not _same(self._raw, self._before):
            _refuse_changed(self.path)
        if number == 0:
            message = f"{self.path}: the file is empty. Look whether the export failed, and run it again."
            raise SourceError(message)
        if self._witness.is_utf8:
            message = (
                f"{self.path}: the file is UTF-8, and encoding says {self.encoding}: names would arrive broken."
                ' Set encoding = "utf-8" under [source].'
            )
            raise SourceError(message)
        if self._expected != self._witness.digest:
            message = (
                f"{self.path}: its SHA-256 is {self._witness.digest}, and {self.path.name}.sha256 says"
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
    head = (raw.read(64) or b"").lstrip(b"\r\n ")
    raw.seek(0)
    kind = next((kind for start, kind in _OTHERS if head.lower().startswith(start)), "")
    if kind:
        raise SourceError(f"{path}: it is {kind}, not a text with one record in each line. {_INSTEAD[kind]}")
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
        with _open(beside) as file:
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


def _refuse_csv(where: str, reason: str, fault: csv.Error) -> NoReturn:
    """Say what the csv module means. The line is the one where the record begins."""
    if "field limit" in reason:
        what = (
            f"a cell that begins here is longer than {csv.field_size_limit():,} characters; usually a"
            " quotation mark is opened and never closed. Close it, or double it where it is meant itself."
        )
    elif "unexpected end" in reason:
        what = (
            "a quotation mark is opened in this record and never closed, so the file is cut or the mark is"
            " meant itself. Fetch the file again, or double the mark."
        )
    else:
        what = (
            "there is text after a closing quotation mark. Double the quotation marks that are meant"
            ' themselves (""), and quote the whole cell.'
        )
    message = f"{where}: {what}"
    raise SourceError(message) from fault


# --- JSON Lines ----------------------------------------------------------------------------------------


class _Members(list[tuple[str, object]]):
    """The members of one JSON object as they stand, doubles included."""


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


_DECODER = json.JSONDecoder(object_pairs_hook=_Members, parse_constant=_no_constant)
_PLAIN = frozenset({str, int, float, bool, type(None)})


def _objects(file: _TextFile) -> Iterator[tuple[int, dict[str, Cell]]]:
    for line, text in enumerate(file.lines(), 1):
        if text.isspace():
            continue
        where = f"{file.path}, line {line}"
        members = _members(where, text)
        record = dict(members)
        if len(record) != len(members):
            names = [name for name, _ in members]
            twice = next(name for name in names if names.count(name) > 1)
            message = f"{where}: the member {twice!r} stands there twice. Write it once."
            raise SourceError(message)
        yield line, _checked(where, record, escaped="\\u" in text)


def _members(where: str, text: str) -> _Members:
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as exc:
        message = (
            f"{where}, column {exc.colno}: this is not JSON ({exc.msg.lower()}). Write one whole JSON object"
            " in each line."
        )
        raise SourceError(message) from exc
    except (ValueError, RecursionError) as exc:
        message = f"{where}: holds a number or a nesting that JSON does not allow. Write plain values."
        raise SourceError(message) from exc
    if not isinstance(value, _Members):
        message = f'{where}: is not a JSON object. Write each record as one line {{"column": value, ...}}.'
        raise SourceError(message)
    return value


def _checked(where: str, record: dict[str, object], *, escaped: bool) -> dict[str, Cell]:
    """Refuse lists, objects, and text that no database can hold (NUL, half a surrogate pair)."""
    if not escaped and _PLAIN.issuperset(map(type, record.values())):
        return record  # type: ignore[return-value]  # each type is one of Cell
    cells: dict[str, Cell] = {}
    for name, value in record.items():
        if type(value) not in _PLAIN:
            kind = "an object" if isinstance(value, _Members) else "a list"
            message = (
                f"{where}: the member {name!r} holds {kind}; a cell is text, a number, true, false or null."
                " Write each part as a member of its own, or as one text."
            )
            raise SourceError(message)
        if escaped and isinstance(value, str) and _UNFIT.search(value):
            message = (
                f"{where}: the member {name!r} holds an escape \\u that is no character (NUL or half a"
                " surrogate pair). Correct it in the export."
            )
            raise SourceError(message)
        cells[name] = value  # type: ignore[assignment]  # its type is one of _PLAIN
    return cells


_UNFIT = re.compile("[\0\ud800-\udfff]")


def _object_rows(
    where: str, columns: tuple[str, ...], records: Iterator[tuple[int, dict[str, Cell]]]
) -> Iterator[Placed]:
    known = frozenset(columns)
    for line, record in records:
        if tuple(record) == columns:
            yield line, tuple(record.values())
            continue
        if not record.keys() <= known:
            new = next(name for name in record if name not in known)
            message = (
                f"{where}, line {line}: the member {new!r} is not in the first record, whose members are the"
                " columns. Write every member in the first record, null where it has no value."
            )
            raise SourceError(message)
        yield line, [record.get(column) for column in columns]


# --- Parquet -------------------------------------------------------------------------------------------

#: How a column is asked for, by the beginning of its DuckDB type; the first that fits. A time with zone is
#: asked for as UTC without zone, because DuckDB wants pytz to hand it out.
_ASKED = (
    (
        r"(VARCHAR|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|BOOLEAN|DECIMAL\(.*\)|DATE|TIMESTAMP)$",
        "{}",
    ),
    (r"(UUID|TIME|ENUM\(.*\))$", "CAST({} AS VARCHAR)"),
    (r"TIMESTAMP_(S|MS|NS)$", "CAST({} AS TIMESTAMP)"),
    (r"TIMESTAMP WITH TIME ZONE$", "make_timestamp(epoch_us({}))"),
)


class _ParquetTable:
    """One Parquet file in a DuckDB connection of its own."""

    def __init__(self, path: Path, file: io.FileIO) -> None:
        import duckdb  # noqa: PLC0415  # a heavy import that only this format needs

        self._path = path
        self._fault = duckdb.Error
        options: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._duck = duckdb.connect(config=options)
        place = f"/dev/fd/{file.fileno()}"
        self._place = place if Path(place).exists() else str(path)
        try:
            self.names, self._kinds, self._count = self._footer()
        except duckdb.Error as exc:
            self._duck.close()
            self._refuse(exc)

    def __enter__(self) -> _ParquetTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._duck.close()

    def rows(self) -> Iterator[Placed]:
        """The rows with their numbers from 1; as many as the footer counts."""
        try:
            answer = self._duck.execute(self._select(), [self._place])
            zoned = [i for i, kind in enumerate(self._kinds) if kind == "TIMESTAMP WITH TIME ZONE"]
            number = 0
            while rows := answer.fetchmany(_BATCH):
                for number, row in enumerate(rows, number + 1):  # noqa: B020  # goes on counting
                    yield number, _with_zone(row, zoned) if zoned else row
        except self._fault as exc:
            self._refuse(exc)
        if number != self._count:
            message = (
                f"{self._path}: the footer counts {self._count} rows, and {number} were read, so the file is"
                " damaged. Write it anew."
            )
            raise SourceError(message)

    def _footer(self) -> tuple[tuple[str, ...], list[str], int]:
        ask = self._duck.execute
        described = ask("DESCRIBE " + _FROM, [self._place]).fetchall()
        elements = ask("SELECT name FROM parquet_schema(?)", [self._place]).fetchall()[1:]  # without the root
        counted = ask("SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata(?)", [self._place]).fetchone()
        kinds = [str(kind) for _, kind, *_ in described]
        flat = len(elements) == len(described)  # DuckDB renames equal columns; the schema has the true names
        names = tuple(str(row[0]) for row in (elements if flat else described))
        return names, kinds, int(counted[0]) if counted else 0

    def _select(self) -> str:
        asked = []
        for number, (name, kind) in enumerate(zip(self.names, self._kinds, strict=True), 1):
            form = next((form for pattern, form in _ASKED if re.match(pattern, kind)), None)
            if form is None:
                message = (
                    f"{self._path}: the column {name!r} is of the type {kind[:60]}; a column holds text,"
                    " numbers, truth or dates. Leave it out of the export, or write it as text."
                )
                raise SourceError(message)
            asked.append(form.format(f"c{number}"))
        aliases = ", ".join(f"c{number}" for number in range(1, len(asked) + 1))
        return f"SELECT {', '.join(asked)} FROM ({_FROM}) AS people({aliases})"  # noqa: S608  # no names in it

    def _refuse(self, fault: Exception) -> NoReturn:
        reason = str(fault).replace(self._place, self._path.name).partition("\n")[0]
        message = (
            f"{self._path}: cannot be read as Parquet: {reason}. The file is cut, damaged or of another kind:"
            " write it anew, or correct kind under [source]."
        )
        raise SourceError(message) from fault


_FROM = "SELECT * FROM read_parquet(?, hive_partitioning = false)"


def _with_zone(row: tuple[Cell, ...], columns: Sequence[int]) -> list[Cell]:
    cells = list(row)
    for column in columns:
        value = cells[column]
        if isinstance(value, datetime):
            cells[column] = value.replace(tzinfo=UTC)
    return cells
