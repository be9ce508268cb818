"""What a spreadsheet's reader hides: cells that hold an error, and formulas whose result nobody wrote down.

A reader gives both as blank, and blank clears an attribute. Here the file is looked into once more, each part to its
end: the archive's checksums prove the parts, and the cells are named by the address that the spreadsheet shows.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import IO, BinaryIO, NoReturn
from xml.parsers import expat

from msgspec import Struct, field

from scimsync.errors import SourceError

#: what a cell shows that holds an error, by its code in the binary forms
_CODES = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}  # fmt: skip
#: what shows in a cell that holds an error, where it is given as text
ERRORS = frozenset({*_CODES.values(), "#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#BUSY!"})
#: a larger part is taken for an archive that was made to fill the disk or the memory
_LARGEST = 4 << 30
_PIECE = 1 << 18
#: what a part holds in which there is something to look for
_SUSPECTS = re.compile(rb"""t=["']e["']|<(?:\w+:)?f[\s>/]|table:formula|spanned=["']""")
_TAIL = 32
#: addresses shown in one message
_SHOWN = 3


class Hidden(Struct):
    """What stands in the cells of one sheet, by (row, column) from 1."""

    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    #: formulas without a result
    blank: set[tuple[int, int]] = field(default_factory=set)
    #: the first cell of each range that is one cell for the eye
    merged: set[tuple[int, int]] = field(default_factory=set)
    #: days are counted from 1904 (an old Mac); None where that is not known
    from_1904: bool | None = None


def address(row: int, column: int) -> str:
    """The name of a cell.

    Examples:
        >>> address(4, 28)
        'AB4'
    """
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"


def shown(cells: Mapping[tuple[int, int], str] | set[tuple[int, int]]) -> str:
    """Some cells by name: the first, and how many more."""
    named = [address(*cell) + (f" ({cells[cell]})" if isinstance(cells, Mapping) else "") for cell in sorted(cells)]
    more = f" and {len(named) - _SHOWN:,} more" if len(named) > _SHOWN else ""
    return ", ".join(named[:_SHOWN]) + more


def hidden(where: str, file: BinaryIO, sheet: str) -> Hidden:
    """Look into a workbook: its whole archive, and the cells of one sheet.

    Args:
        where: The file in messages.
        file: Open, at any place.
        sheet: The name of a sheet that is there.

    Raises:
        SourceError: The archive is cut or damaged, or larger than anything that holds people.
    """
    file.seek(0)
    if file.read(4) != b"PK\3\4":
        return _old(where, file, sheet)
    try:
        with zipfile.ZipFile(file) as archive:
            _prove(where, archive)
            names = set(archive.namelist())
            if "content.xml" in names:
                return _OpenSheet(sheet).look(archive.open("content.xml"))
            if "xl/workbook.bin" in names:
                return _binary(archive, sheet)
            return _excel(archive, sheet)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, NotImplementedError) as fault:
        _refuse(where, str(fault), fault)
    except (expat.ExpatError, struct.error, IndexError, ValueError) as fault:
        _refuse(where, f"a part of it is not what it should be ({fault})", fault)


def _refuse(where: str, reason: str, fault: Exception) -> NoReturn:
    message = f"{where}: the workbook is cut or damaged: {reason}. Fetch it again, or save it anew."
    raise SourceError(message) from fault


def _prove(where: str, archive: zipfile.ZipFile) -> None:
    """Read every part to its end, where its checksum is compared."""
    if sum(info.file_size for info in archive.infolist()) > _LARGEST:
        message = f"{where}: unpacked it is larger than {_LARGEST >> 30} GiB, so it is no workbook of people."
        raise SourceError(message)
    for info in archive.infolist():
        with archive.open(info) as part:
            while part.read(_PIECE):
                pass


def _is_suspect(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether a part may hold anything to look for; most do not, and are not parsed."""
    tail = b""
    with archive.open(name) as part:
        while piece := part.read(_PIECE):
            if _SUSPECTS.search(tail + piece):
                return True
            tail = piece[-_TAIL:]
    return False


def _no_doctype(*_: object) -> NoReturn:
    message = "it declares entities"
    raise ValueError(message)


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.buffer_text = True
    return parser


@lru_cache(maxsize=256)  # names are few, and each cell has several
def _bare(name: str) -> str:
    return name.rpartition(" ")[2]


def _elements(data: bytes, wanted: str) -> Iterator[dict[str, str]]:
    """The attributes of all elements of one name, all names without their namespaces."""
    found: list[dict[str, str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if _bare(name) == wanted:
            found.append({_bare(key): value for key, value in attributes.items()})

    parser = _parser()
    parser.StartElementHandler = start
    parser.Parse(data, True)  # noqa: FBT003 - it takes no name
    yield from found


def _parts(archive: zipfile.ZipFile, rels: str) -> dict[str, str]:
    """Relation id -> part."""
    targets = {r["Id"]: r["Target"] for r in _elements(archive.read(rels), "Relationship")}
    return {i: t.lstrip("/") if t.startswith("/") else f"xl/{t}" for i, t in targets.items()}


# --- .xlsx ---------------------------------------------------------------------------------------------


def _excel(archive: zipfile.ZipFile, sheet: str) -> Hidden:
    book = archive.read("xl/workbook.xml")
    relation = next(s["id"] for s in _elements(book, "sheet") if s.get("name") == sheet)
    part = _parts(archive, "xl/_rels/workbook.xml.rels")[relation]
    found = _ExcelSheet().look(archive.open(part)) if _is_suspect(archive, part) else Hidden()
    properties = next(_elements(book, "workbookPr"), {})
    found.from_1904 = properties.get("date1904", "0") in {"1", "true", "on"}
    return found


class _ExcelSheet:
    """The cells of one part."""

    def __init__(self) -> None:
        self.found = Hidden()
        self._row = self._column = 0
        self._kind = self._text = ""
        self._in_value = self._has_formula = False

    def look(self, part: IO[bytes]) -> Hidden:
        """Walk the part."""
        parser = _parser()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._data
        parser.ParseFile(part)
        return self.found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match _bare(name):
            case "row":
                self._row = int(attributes.get("r") or self._row + 1)
                self._column = 0
            case "c":
                self._column = _column(attributes["r"]) if "r" in attributes else self._column + 1
                self._kind, self._text, self._has_formula = attributes.get("t", "n"), "", False
            case "f":
                self._has_formula = True
            case "v":
                self._in_value = True

    def _data(self, text: str) -> None:
        if self._in_value:
            self._text += text

    def _end(self, name: str) -> None:
        match _bare(name):
            case "v":
                self._in_value = False
            case "c" if self._kind == "e":
                self.found.errors[self._row, self._column] = self._text or "#N/A"
            case "c" if self._has_formula and not self._text and self._kind != "str":
                self.found.blank.add((self._row, self._column))


def _column(name: str) -> int:
    number = 0
    for letter in name.rstrip("0123456789$"):
        number = number * 26 + ord(letter) - 64
    return number


# --- .ods ----------------------------------------------------------------------------------------------


class _OpenSheet:
    """The cells of one table. Equal rows and cells are written once, with a count."""

    def __init__(self, sheet: str) -> None:
        self.found, self._sheet = Hidden(), sheet
        self._here = False
        self._row, self._rows, self._column = 1, 1, 1

    def look(self, part: IO[bytes]) -> Hidden:
        """Walk the part."""
        parser = _parser()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.ParseFile(part)
        return self.found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        bare = _bare(name)
        if bare == "table":
            given = {_bare(key): value for key, value in attributes.items()}
            self._here = given.get("name") == self._sheet
            self._row = 1
        elif self._here and bare == "table-row":
            given = {_bare(key): value for key, value in attributes.items()}
            self._rows, self._column = int(given.get("number-rows-repeated", "1")), 1
        elif self._here and bare in {"table-cell", "covered-table-cell"}:
            self._cell({_bare(key): value for key, value in attributes.items()})

    def _cell(self, given: dict[str, str]) -> None:
        place = (self._row, self._column)
        if "formula" in given and "value-type" not in given:
            self.found.blank.add(place)
        if int(given.get("number-columns-spanned", "1")) > 1 or int(given.get("number-rows-spanned", "1")) > 1:
            self.found.merged.add(place)
        self._column += int(given.get("number-columns-repeated", "1"))

    def _end(self, name: str) -> None:
        bare = _bare(name)
        if bare == "table":
            self._here = False
        elif self._here and bare == "table-row":
            self._row += self._rows


# --- .xlsb: records of a number, a length and a content -----------------------------------------------------


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(data):
        kind = data[place]
        place += 1
        if kind & 0x80:
            kind = (kind & 0x7F) | (data[place] & 0x7F) << 7
            place += 1
        length = shift = 0
        while True:
            byte = data[place]
            place += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        yield kind, data[place : place + length]
        place += length


_ROW, _CELL_ERROR, _FORMULA_ERROR, _SHEET, _PROPERTIES, _MERGED = 0, 3, 11, 156, 153, 176


def _text(data: bytes, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", data, place)
    length = 0 if length == 0xFFFFFFFF else length
    end = place + 4 + 2 * length
    return data[place + 4 : end].decode("utf-16-le"), end


def _binary(archive: zipfile.ZipFile, sheet: str) -> Hidden:
    found, relation = Hidden(), ""
    for kind, content in _records(archive.read("xl/workbook.bin")):
        if kind == _SHEET:
            given, end = _text(content, 8)
            relation = given if _text(content, end)[0] == sheet else relation
        elif kind == _PROPERTIES:
            found.from_1904 = bool(content[0] & 1)
    row = 0
    for kind, content in _records(archive.read(_parts(archive, "xl/_rels/workbook.bin.rels")[relation])):
        if kind == _ROW:
            row = int(struct.unpack_from("<I", content)[0]) + 1
        elif kind in {_CELL_ERROR, _FORMULA_ERROR}:
            column = int(struct.unpack_from("<I", content)[0]) + 1
            found.errors[row, column] = _CODES.get(content[8], "#N/A")
        elif kind == _MERGED:
            first, _, left, _ = struct.unpack_from("<IIII", content)
            found.merged.add((first + 1, left + 1))
    return found


# --- .xls: a file system in a file (OLE 2), and in it records (BIFF 8) ---------------------------------------

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LAST = 0xFFFFFFFA  # sectors from here on are marks


def _old(where: str, file: BinaryIO, sheet: str) -> Hidden:
    file.seek(0)
    data = file.read()
    if not data.startswith(_OLE):
        message = (
            f"{where}: this is no workbook: it begins with {data[:4]!r}. Correct kind and path under [source];"
            ' a file named .xls that holds text is kind = "csv".'
        )
        raise SourceError(message)
    try:
        return _old_sheet(_stream(data), sheet)
    except (struct.error, IndexError, StopIteration, UnicodeDecodeError, ValueError) as fault:
        _refuse(where, "its records cannot be followed", fault)


def _stream(data: bytes) -> bytes:
    """The workbook in the file."""
    size = 1 << struct.unpack_from("<H", data, 30)[0]
    (tables, root) = struct.unpack_from("<I", data, 44)[0], struct.unpack_from("<I", data, 48)[0]
    small_limit, small_table = struct.unpack_from("<I", data, 56)[0], struct.unpack_from("<I", data, 60)[0]
    further = struct.unpack_from("<I", data, 68)[0]

    def sector(number: int) -> bytes:
        start = (number + 1) * size
        if start + size > len(data) + size - 1 or start >= len(data):
            message = "it ends too early"
            raise ValueError(message)
        return data[start : start + size]

    listed = list(struct.unpack_from("<109I", data, 76))
    while further < _LAST:
        *more, further = struct.unpack(f"<{size // 4}I", sector(further))
        listed += more
    numbers = [n for n in listed if n < _LAST][:tables]
    table = [n for where in numbers for n in struct.unpack(f"<{size // 4}I", sector(where))]

    def chain(first: int, following: list[int]) -> Iterator[int]:
        for _ in range(len(following) + 1):
            if first >= _LAST:
                return
            yield first
            first = following[first]
        message = "its sectors run in a circle"
        raise ValueError(message)

    folder = b"".join(map(sector, chain(root, table)))
    entries = {}
    for place in range(0, len(folder), 128):
        length = struct.unpack_from("<H", folder, place + 64)[0]
        name = folder[place : place + max(0, length - 2)].decode("utf-16-le", "replace")
        entries[name] = (*struct.unpack_from("<I", folder, place + 116), *struct.unpack_from("<I", folder, place + 120))
    first, length = entries.get("Workbook") or entries["Book"]
    if length >= small_limit:
        whole = b"".join(map(sector, chain(first, table)))
    else:
        inner = b"".join(map(sector, chain(entries["Root Entry"][0], table)))
        small = b"".join(map(sector, chain(small_table, table)))
        following = list(struct.unpack(f"<{len(small) // 4}I", small))
        whole = b"".join(inner[n * 64 : n * 64 + 64] for n in chain(first, following))
    if len(whole) < length:
        message = "it ends too early"
        raise ValueError(message)
    return whole[:length]


def _old_records(data: bytes, place: int = 0) -> Iterator[tuple[int, bytes]]:
    """The records until the end of what begins here."""
    while True:
        kind, length = struct.unpack_from("<HH", data, place)
        content = data[place + 4 : place + 4 + length]
        if kind == 0x0A:
            return
        yield kind, content
        place += 4 + length


def _old_sheet(data: bytes, sheet: str) -> Hidden:
    found, begin = Hidden(from_1904=False), -1
    for kind, content in _old_records(data):
        if kind == 0x85:  # a sheet: where it begins, its state, its name
            wide = content[7] & 1
            name = content[8:].decode("utf-16-le" if wide else "latin-1")
            begin = int(struct.unpack_from("<I", content)[0]) if name == sheet else begin
        elif kind == 0x22:
            found.from_1904 = content[:2] != b"\0\0"
    if begin < 0:
        message = f"there is no sheet {sheet!r}"
        raise ValueError(message)
    for kind, content in _old_records(data, begin):
        if kind == 0x0205 and content[7]:  # truth or an error
            code = content[6]
        elif kind == 0x06 and content[12:14] == b"\xff\xff" and content[6] == 2:  # a formula that gave an error
            code = content[8]
        else:
            continue
        row, column = struct.unpack_from("<HH", content)
        found.errors[row + 1, column + 1] = _CODES.get(code, "#N/A")
    return found
