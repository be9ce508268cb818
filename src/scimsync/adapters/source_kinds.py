"""What a file is by its first bytes, where that is not what [source] says of it: one sentence, and what to do."""

from __future__ import annotations

import io
import os
from pathlib import Path

from scimsync.errors import SourceError

#: what we call the kinds of files that are read
NAMES = {"csv": "CSV", "jsonl": "JSON lines", "parquet": "Parquet"}
_SHEET = 'Set kind = "excel" under [source], or save the sheet as CSV (UTF-8) and set path to that file.'
#: and a column may have that name
_PARQUET = b"PAR1"
_UNPACK = "Unpack it first, and set path under [source] to what is in it."
#: how files of other kinds begin, those of a mark-up language in small letters; what they are; what to do
_BEGINNINGS = (
    (b"PK\x03\x04", "an Excel workbook (xlsx) or another ZIP archive", f"{_SHEET} Another archive: unpack it first."),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old form (xls)", _SHEET),
    (b"\x1f\x8b", "compressed with gzip", "Unpack it first: gunzip FILE."),
    (b"BZh91AY&SY", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    (b"(\xb5/\xfd", "compressed with zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"-----BEGIN PGP", "encrypted with PGP", "Decrypt it first, and set path under [source] to what is in it."),
    (b"%PDF", "a PDF", "Have the export write CSV or JSON lines."),
    (b"{\\rtf", "an RTF document", "Have the export write CSV or JSON lines."),
    (b"SQLite format 3\x00", "an SQLite database", 'Set kind = "sql" under [source], and url to sqlite:///FILE.'),
    (b"<!doc", "a web page", "The download probably ended at a login page: look at how the file is fetched."),
    (b"<html", "a web page", "The download probably ended at a login page: look at how the file is fetched."),
    (b"<?xml", "XML", "Have the export write CSV or JSON lines."),
    (_PARQUET, "a Parquet file", 'Set kind = "parquet" under [source].'),
)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_HEAD = 512
#: of every second byte so many are zero at least, in a text with some letters beyond Latin
_MOST = 0.7


def refuse_other(path: Path, file: io.FileIO, kind: str) -> None:
    """Refuse a file that is plainly of another kind.

    Args:
        path: What messages call it.
        file: It, open; whoever reads it is not moved.
        kind: What [source] says that it is: `csv`, `jsonl` or `parquet`.

    Raises:
        SourceError: It is of another kind; with what to do.
    """
    head = os.pread(file.fileno(), _HEAD, 0) if hasattr(os, "pread") else b""
    start = head.lstrip(b"\r\n ")
    for begins, what, instead in _BEGINNINGS:
        if not (start.lower() if begins.startswith((b"<", b"{")) else start).startswith(begins):
            continue
        if begins != _PARQUET or (kind != "parquet" and not _is_text(start)):
            raise SourceError(f"{path}: it is {what}, not {NAMES[kind]}. {instead}")
    if kind == "parquet":
        return
    if not head.startswith(_MARKS) and (wide := _wide(head)):
        raise SourceError(f'{path}: it is a text in UTF-16. Set encoding = "{wide}" under [source].')
    plain = start.removeprefix(_MARKS[0])
    if plain.startswith((b"[{", b"[\n", b"[\r", b"[ ", b"[]")) or plain.rstrip() == b"[":
        what = "one JSON array with all records in it"
        raise SourceError(f"{path}: it is {what}, not {NAMES[kind]}. {_lines_of('.[]')}")
    first, _, more = plain.partition(b"\n")
    if first.strip() == b"{" and more:
        raise SourceError(
            f"{path}: it is one JSON document over several lines, not {NAMES[kind]}. {_lines_of('.people[]')}"
        )
    if kind == "csv" and plain.startswith((b'{"', b'{ "')):
        raise SourceError(
            f'{path}: it is JSON with one object in each line, not CSV. Set kind = "jsonl" under [source].'
        )


def _is_text(start: bytes) -> bool:
    """Whether the first bytes are those of a text."""
    return all(byte >= ord(" ") or byte in b"\r\n\t" for byte in start[:16])


def _lines_of(where: str) -> str:
    return f"Write each record as one line (jq -c '{where}' FILE > people.jsonl), and set kind = \"jsonl\"."


def _wide(head: bytes) -> str:
    """The encoding of a text in which every second byte is zero; "" where that is not so."""
    pairs = len(head) // 2
    if pairs < 4:
        return ""
    even, odd = head[0 : pairs * 2 : 2].count(0), head[1 : pairs * 2 : 2].count(0)
    if odd > pairs * _MOST and not even:
        return "utf-16-le"
    return "utf-16-be" if even > pairs * _MOST and not odd else ""
