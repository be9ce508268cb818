"""Read people from a file: CSV (RFC 4180 and its common dialects), JSON Lines, Parquet.

Here lives the knowledge of the three formats and of what can go wrong with a file: encodings, cut ends,
ragged lines, a change under our hands. What a short reading *means* is judged elsewhere (`core/trust`).
A file is opened once and everything is read from that descriptor, so a file that is replaced by a
rename is read as it was; a file that is written to meanwhile is refused. Rows are never all in memory.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from scimsync.adapters.source_columns import batched, check_columns, check_key, owned_by, refuse_empty
from scimsync.adapters.source_kinds import refuse_other
from scimsync.adapters.source_plain import pour_csv
from scimsync.adapters.source_text import Completeness, Placed, TextFile, opened, unchanged, written
from scimsync.errors import SourceError
from scimsync.model.records import Reading


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
    skip_lines: int = 0  #: lines before the header
    columns: tuple[str, ...] = ()  #: of a file without header

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
            file = stack.enter_context(TextFile(Path(self.path), self.encoding, self.complete))
            records = self._records(file)
            columns = self.columns or tuple(next(records, (0, []))[1])
            check_columns(str(file.path) if self.columns else f"{file.path}, line {1 + self.skip_lines}", columns)
            self._check_key(file, columns)
            rows = self._rows(file, records, len(columns))
            batches = owned_by(stack.pop_all(), batched(str(file.path), rows))
        next(batches)
        is_plain = not self.skip_lines and not self.columns
        pour = partial(pour_csv, file, self.delimiter, columns) if is_plain else None
        return Reading(
            columns=columns, batches=batches, proven=file.proven, delivery=file.delivery, place="line", pour=pour
        )

    def _check_key(self, file: TextFile, columns: Sequence[str]) -> None:
        other = next((d for d in ";\t|," if d != self.delimiter and columns and d in columns[0]), None)
        if len(columns) == 1 and other is not None:
            message = (
                f"{file.path}, line 1: the header is one cell that holds {other!r}, and the delimiter is"
                f" {self.delimiter!r}. Set delimiter = {json.dumps(other)} under [source]."
            )
            raise SourceError(message)
        check_key(str(file.path), columns, self.key)

    def _records(self, file: TextFile) -> Iterator[tuple[int, list[str]]]:
        try:
            lines = file.lines()
            for _ in zip(range(self.skip_lines), lines, strict=False):
                pass
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        except (TypeError, ValueError) as exc:
            message = (
                f"{file.path}: {self.delimiter!r} cannot separate cells. Set delimiter to one character,"
                ' for instance ";" or "\\t".'
            )
            raise SourceError(message) from exc
        begin = 1 + self.skip_lines
        try:
            for row in reader:
                if row:
                    yield begin, row
                begin = reader.line_num + 1 + self.skip_lines
        except csv.Error as exc:
            _refuse_csv(f"{file.path}, line {begin}", str(exc), exc)

    def _rows(self, file: TextFile, records: Iterator[tuple[int, list[str]]], width: int) -> Iterator[Placed]:
        named = "columns under [source] names" if self.columns else "in the header"
        for line, row in records:
            if len(row) != width:
                message = (
                    f"{file.path}, line {line}: {len(row)} cells, expected {width} as {named}. Usually"
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
        from scimsync.adapters.source_objects import object_batches, objects  # noqa: PLC0415 - of this kind alone

        with ExitStack() as stack:
            file = stack.enter_context(TextFile(Path(self.path), self.encoding, self.complete, "jsonl"))
            lines = enumerate(file.lines(), 1)
            first = next(objects(file.path, lines), None)
            if first is None:
                refuse_empty(str(file.path))
            columns = tuple(first[1])
            check_columns(f"{file.path}, line {first[0]}", columns)
            check_key(str(file.path), columns, self.key)
            batches = owned_by(stack.pop_all(), object_batches(file.path, columns, first, lines))
        next(batches)
        return Reading(columns=columns, batches=batches, proven=file.proven, delivery=file.delivery, place="line")


class ParquetSource(Struct, frozen=True):
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
        from scimsync.adapters.source_table import ParquetTable  # noqa: PLC0415 - of this kind alone

        path = Path(self.path)
        with ExitStack() as stack:
            file = stack.enter_context(opened(path))
            before = os.fstat(file.fileno())
            refuse_other(path, file, "parquet")
            table = stack.enter_context(ParquetTable(path, file))
            check_columns(f"{path}, footer", table.names)
            check_key(str(path), table.names, self.key)
            rows = unchanged(path, file, before, table.rows())
            batches = owned_by(stack.pop_all(), batched(str(path), rows))
        next(batches)
        pour = partial(table.pour, file, before)
        told = written(before)
        return Reading(columns=table.names, batches=batches, proven=True, delivery=told, place="row", pour=pour)


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
