"""Read people from a spreadsheet: Excel (.xlsx, .xlsb, .xls) and OpenDocument (.ods), by python-calamine.

Here lives the knowledge of what a sheet holds that a table does not: titles above the header, merged cells, totals
below, whole numbers that are floats, days that are numbers, errors, formulas without a result. python-calamine keeps
one sheet in memory, outside of Python, at about 30 bytes a cell beside its texts; rows come out of it in batches.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from scimsync.adapters.source_cells import ERRORS, Hidden, address, hidden, shown
from scimsync.adapters.source_columns import batched, check_columns, check_key, owned_by, refuse_empty
from scimsync.adapters.source_text import BATCH, FEW, Placed, opened, unchanged, written
from scimsync.errors import SourceError
from scimsync.model.records import Cell, Reading

#: what a key says in a row of totals, in the languages of those who asked
_TOTALS = re.compile(r"((grand|sub)[ -]?)?totals?|sum|count|summe|gesamt(summe)?|anzahl|somme|suma|totale|totaal", re.I)
_ERR = re.compile(r"Err:\d{3}")
_DAYS = frozenset({date, datetime})
_ASIS = frozenset({str, bool, int, date, datetime})
_FIRST_DAY, _FIRST_DAY_1904 = date(1899, 12, 30), date(1904, 1, 1)
#: serial numbers of days: from March 1900, before which Excel counts a day that never was, to the end of 9999
_SERIALS = range(61, 2_958_466)


@dataclass(frozen=True, slots=True)
class SheetSource:
    """One sheet of a workbook. Fits `scimsync.engine.ports.Source`.

    A place is the number of the row as the spreadsheet shows it. Whole numbers are integers, days are days, a blank
    cell is None, a row with nothing in it is no record.
    """

    path: Path
    key: str
    _: KW_ONLY
    #: "" for the only visible one
    sheet: str = ""
    header_row: int = 1
    #: rows at the end that are no people
    skip_last: int = 0
    #: texts that stand for nothing: an error that is among them is a blank cell
    null_values: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.path).name

    def read(self) -> Reading:
        """Open the workbook, read its sheet, and look at what stands in each column.

        Raises:
            SourceError: The file is no workbook, locked by a password, cut, damaged or changing; there is no such
                sheet, or several; the header has merged or blank cells or lacks the key column; a cell holds an error
                or a formula without a result; a row of totals has no place among people.
        """
        path = Path(self.path)
        with ExitStack() as stack:
            file = stack.enter_context(opened(path))
            before = os.fstat(file.fileno())
            reader = io.BufferedReader(file)
            stack.callback(reader.close)  # it would close the file as soon as nobody knew it
            sheet = self._sheet(stack, path, reader)
            where = f"{path}, sheet {sheet.name!r}"
            found = hidden(where, reader, sheet.name)
            table = _Table(self, where, sheet, found)
            is_archive = _is_archive(reader)
            rows = unchanged(path, file, before, table.rows())
            batches = owned_by(stack.pop_all(), batched(where, rows))
        next(batches)
        told = written(before)
        return Reading(columns=table.columns, batches=batches, proven=is_archive, delivery=told, place="row")

    def _sheet(self, stack: ExitStack, path: Path, reader: BinaryIO) -> Any:  # noqa: ANN401 - of calamine
        """The sheet, read."""
        try:
            import python_calamine  # noqa: PLC0415 - an extra
        except ImportError as exc:
            message = f"{path}: workbooks are read by python-calamine. Run: pip install 'scimsync[excel]'"
            raise SourceError(message) from exc
        try:
            book = stack.enter_context(python_calamine.load_workbook(reader))
            return book.get_sheet_by_name(self._chosen(path, book))
        except python_calamine.PasswordError as exc:
            message = f"{path}: the workbook is locked by a password. Have it saved without one."
            raise SourceError(message) from exc
        except (python_calamine.CalamineError, ValueError, OSError) as exc:
            reason = " ".join(str(exc).split())[:200]
            message = (
                f"{path}: cannot be read as a workbook: {reason}. The file is cut, damaged or of another kind: fetch it"
                " again, or correct kind under [source]."
            )
            raise SourceError(message) from exc

    def _chosen(self, path: Path, book: Any) -> str:  # noqa: ANN401 - of calamine
        names = list(book.sheet_names)
        if self.sheet in names:
            return self.sheet
        visible = [m.name for m in book.sheets_metadata if str(m.visible).endswith("Visible")]
        listed = ", ".join(repr(name) for name in names[:FEW]) + (", ..." if len(names) > FEW else "")
        if self.sheet:
            message = f"{path}: there is no sheet {self.sheet!r}; there are {listed}. Correct sheet under [source]."
            raise SourceError(message)
        if len(visible) != 1:
            message = (
                f"{path}: the workbook has the sheets {listed}, and which one holds the people is not said. Set sheet"
                " under [source]."
            )
            raise SourceError(message)
        return str(visible[0])


class _Table:
    """What a sheet holds below its header."""

    def __init__(self, source: SheetSource, where: str, sheet: Any, found: Hidden) -> None:  # noqa: ANN401
        self._where, self._sheet, self._header = where, sheet, source.header_row
        if sheet.end is None:
            refuse_empty(where)
        self._key, self._last = source.key, int(sheet.end[0]) + 1 - source.skip_last  # total_height is one less
        self._nulls = {value for value in source.null_values if value in ERRORS or _ERR.fullmatch(value)}
        self._from_1904 = found.from_1904
        header = self._named()
        self._check_merged(found)
        held = self._held()
        self._width = self._checked_width(header, held)
        self.columns = tuple(header[: self._width])
        check_columns(f"{where}, row {self._header}", self.columns)
        check_key(where, self.columns, self._key)
        self._check_hidden(found)
        self._days = [
            n for n in range(self._width) if _DAYS & held[n] and float in held[n] and found.from_1904 is not None
        ]
        self._at = self.columns.index(self._key) if self._key else None

    def _named(self) -> list[str]:
        """The header."""
        row = next(islice(self._sheet.iter_rows(), self._header - 1, None), None)
        if row is None or not any(_is_full(cell) for cell in row):
            message = (
                f"{self._where}: row {self._header} is blank, and header_row says that it names the columns. Set"
                " header_row under [source] to the number of the row that does."
            )
            raise SourceError(message)
        return [str(_value(cell) if _is_full(cell) else "") for cell in row]

    def _check_merged(self, found: Hidden) -> None:
        """A merged cell has its value in its first row and column only."""
        merged = {(first[0] + 1, first[1] + 1): last for first, last in self._sheet.merged_cell_ranges or ()}
        ends = {cell: (last[0] + 1, last[1] + 1) for cell, last in merged.items()}
        ends |= {cell: cell for cell in found.merged if cell not in ends}
        bad = {cell for cell, last in ends.items() if last[0] >= self._header and cell[0] <= self._last}
        if bad:
            message = (
                f"{self._where}: merged cells at {shown(bad)}: only the first of the cells below one holds the value,"
                " the others are blank. Undo the merging in the export, so that each cell holds its own."
            )
            raise SourceError(message)

    def _held(self) -> list[set[type]]:
        """What stands in each column, by type; blank cells count as nothing."""
        found: list[set[type]] = [set() for _ in range(int(self._sheet.end[1]) + 1)]
        rows = self._below()
        errors: dict[tuple[int, int], str] = {}
        start = self._header + 1
        while chunk := list(islice(rows, BATCH)):
            for number, column in enumerate(zip(*chunk, strict=True)):
                types = set(map(type, column))
                if str in types:
                    self._look(errors, column, start, number + 1)
                    if not any(isinstance(cell, str) and cell.strip() for cell in column):
                        types.discard(str)
                found[number] |= types
            start += len(chunk)
        self._refuse_errors({c: text for c, text in errors.items() if text not in self._nulls})
        return found

    def _look(self, errors: dict[tuple[int, int], str], column: Sequence[object], start: int, number: int) -> None:
        """Errors that stand there as text."""
        texts = {cell for cell in column if isinstance(cell, str)}
        bad = {text for text in texts if text in ERRORS or (text.startswith("Err:") and _ERR.fullmatch(text))}
        if bad:
            errors.update({(start + n, number): str(cell) for n, cell in enumerate(column) if cell in bad})

    def _checked_width(self, header: list[str], held: list[set[type]]) -> int:
        """How many columns there are: those at the end without name and values are none."""
        width = max((n + 1 for n, name in enumerate(header) if name.strip()), default=0)
        for number in range(width, len(held)):
            if held[number]:
                message = (
                    f"{self._where}: {address(self._header, number + 1)} is blank, and there are values below it. Give"
                    " each column a name of its own, or clear the column."
                )
                raise SourceError(message)
        return width

    def _check_hidden(self, found: Hidden) -> None:
        def among(cell: tuple[int, int]) -> bool:
            return self._header <= cell[0] <= self._last and cell[1] <= self._width

        self._refuse_errors({c: t for c, t in found.errors.items() if among(c) and t not in self._nulls})
        blank = {cell for cell in found.blank if among(cell)}
        if blank:
            message = (
                f"{self._where}: formulas without a result at {shown(blank)}: the program that wrote the file did not"
                " reckon. Open it in a spreadsheet and save it, or have the export write values."
            )
            raise SourceError(message)

    def _refuse_errors(self, errors: dict[tuple[int, int], str]) -> None:
        if errors:
            some = sorted(set(errors.values()))[0]
            message = (
                f"{self._where}: error cells at {shown(errors)}. A cell without its value is not taken for a blank one:"
                f' correct them, or set null_values = ["{some}"] under [source] where they mean nothing.'
            )
            raise SourceError(message)

    def _below(self) -> Iterator[list[Any]]:
        """The rows behind the header as the library gives them, without those that are skipped."""
        return islice(self._sheet.iter_rows(), self._header, max(self._header, self._last))

    def rows(self) -> Iterator[Placed]:
        """The records with their row numbers."""
        for number, row in enumerate(self._below(), self._header + 1):
            cells = [_value(cell) for cell in row[: self._width]]
            if not any(cell is not None for cell in cells):
                continue
            for day in self._days:
                cells[day] = self._day(cells[day])
            if self._nulls:
                cells = [None if cell in self._nulls else cell for cell in cells]
            if self._at is not None and isinstance(key := cells[self._at], str) and _TOTALS.fullmatch(key.strip(" :")):
                self._refuse_totals(number, key)
            yield number, cells

    def _refuse_totals(self, number: int, key: str) -> NoReturn:
        behind = self._last - number + 1
        message = (
            f"{self._where}: row {number} has {key!r} for a key, so it is a row of totals and no person. Set"
            f" skip_last = {behind} under [source], or leave the totals out of the export."
        )
        raise SourceError(message)

    def _day(self, cell: Cell) -> Cell:
        """The day of a number that stands among days."""
        if type(cell) is int and cell in _SERIALS:
            return (_FIRST_DAY_1904 if self._from_1904 else _FIRST_DAY) + timedelta(days=cell)
        return cell


def _is_archive(reader: BinaryIO) -> bool:
    """Whether the file is an archive, whose checksums were compared: the old form has none."""
    reader.seek(0)
    return reader.read(4) == b"PK\3\4"


def _is_full(cell: object) -> bool:
    return not (isinstance(cell, str) and not cell.strip())


def _value(cell: object) -> Cell:
    """A cell as a record holds it."""
    kind = type(cell)
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() else cell
    if kind in _ASIS:
        return cell or None if kind is str else cell  # type: ignore[return-value]  # one of Cell
    if isinstance(cell, time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(int(cell.total_seconds()), 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    return None if cell is None else str(cell)
