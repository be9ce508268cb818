"""Pour a CSV file for a columnar reader, as long as nothing in it could be read in two ways.

Python's `csv` module decides what a file says. DuckDB reads ten times as fast, and differs in odd places: blank
lines, blanks beside quotation marks, lines that end in several ways. So each piece of a file is looked at on its
way, by searches that run at the speed of memory; a file with anything odd is left to the slower reader, and every
complaint about a file is left to it too, because it knows the line. What is left over, line breaks inside of
quotation marks and cells that DuckDB drops, shows in two sums: the records are as many as the lines, and no
character of theirs gets lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from scimsync.adapters.source_text import TextFile
from scimsync.errors import SourceError
from scimsync.model.records import Form, Poured

#: what may stand between cells
_DELIMITERS = frozenset(",;\t|")
#: a line of so many characters, or a little more, could hold a cell that is refused
_LONGEST = 1 << 16


def pour_csv(file: TextFile, delimiter: str, columns: Sequence[str], sink: BinaryIO) -> Poured | None:
    """Write the records of a file into `sink` as UTF-8, one a line; None where the file is not plain.

    Args:
        file: The file, in whatever encoding.
        delimiter: What stands between its cells.
        columns: The names that its first line gives.
        sink: Where they are written to.
    """
    if delimiter not in _DELIMITERS or any("\n" in name or "\r" in name for name in columns):
        return None
    look = _Look(delimiter)
    size = marks = 0
    try:
        for number, piece in enumerate(file.pieces()):
            if not look.is_plain(piece):
                return None
            # each return is one before a feed, or nothing of this is used
            text = piece.replace("\r", "") if "\r" in piece else piece
            _, header, data = text.encode().partition(b"\n") if number == 0 else (b"", b"\n", text.encode())
            if not header:
                return None
            size += sink.write(data)
            marks += data.count(b'"')
    except (SourceError, UnicodeEncodeError):
        return None
    rows = look.lines - 1
    between = look.feeds - 1 + rows * (len(columns) - 1)
    return (
        Poured(
            forms=[Form.TEXT] * len(columns),
            rows=rows,
            first=2,
            size=size - marks - between,
            has_marks=marks > 0,
            delimiter=delimiter,
        )
        if look.has_one_end
        else None
    )


class _Look:
    """What was seen of a file so far."""

    def __init__(self, delimiter: str) -> None:
        mark = '"'
        #: blank lines; and blanks between a quotation mark and what stands around a cell
        self._odd = ("\n\n", "\n\r\n")
        self._odd_marks = tuple(
            text
            for blank in " \t"
            if blank != delimiter
            for text in (
                f"{delimiter}{blank}{mark}", f"\n{blank}{mark}", f"{blank}{blank}{mark}",
                f"{mark}{blank}{delimiter}", f"{mark}{blank}\n", f"{mark}{blank}\r", f"{mark}{blank}{blank}",
            )
        )  # fmt: skip
        self._tail = "\n"
        self.feeds = self._returns = self._pairs = self._open = 0

    def is_plain(self, piece: str) -> bool:
        """Whether a piece of the file, as it goes on, can be read in one way only."""
        if not piece:
            return True
        last = piece.rfind("\n")
        self._open = len(piece) - last - 1 if last >= 0 else self._open + len(piece)
        if "\0" in piece or self._open > _LONGEST:
            return False
        text = self._tail + piece
        if any(odd in text for odd in self._odd) or ('"' in text and any(odd in text for odd in self._odd_marks)):
            return False
        self.feeds += piece.count("\n")
        if "\r" in piece:
            self._returns += piece.count("\r")
        self._pairs += (self._tail[-1] + piece).count("\r\n") if self._returns else 0
        self._tail = text[-2:]
        return True

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return self.feeds + (self._tail[-1] != "\n")

    @property
    def has_one_end(self) -> bool:
        """All lines end in the same of two ways."""
        return self._returns == self._pairs and self._pairs in {0, self.feeds}
