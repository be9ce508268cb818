"""JSON Lines: by the thousand where all is plain; object by object where it is not, to say what is wrong and where."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NoReturn

import msgspec

from scimsync.adapters.source_text import Placed
from scimsync.errors import SourceError
from scimsync.model.records import Batch, Cell


class _Members(list[tuple[str, object]]):
    """The members of one JSON object as they stand, doubles included."""


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _finite(number: str) -> float:
    found = float(number)
    return found if math.isfinite(found) else _no_constant(number)


_DECODER = json.JSONDecoder(object_pairs_hook=_Members, parse_constant=_no_constant, parse_float=_finite)
_PLAIN = frozenset({str, int, float, bool, type(None)})


def objects(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, dict[str, Cell]]]:
    """The objects of numbered lines, with their numbers."""
    for line, text in lines:
        if text.isspace():
            continue
        where = f"{path}, line {line}"
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


def object_rows(
    where: str, columns: tuple[str, ...], records: Iterator[tuple[int, dict[str, Cell]]]
) -> Iterator[Placed]:
    """Objects as rows."""
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


#: an escape that may be no character
_ODD_ESCAPE = re.compile(r"\\u(0000|[dD][89a-fA-F])")
#: a blank before a colon: behind a name it hides that name from whoever counts them
_APART = (" :", "\t:")
_FEW = 1_000


def object_batches(
    path: Path, columns: tuple[str, ...], first: tuple[int, dict[str, Cell]], lines: Iterator[tuple[int, str]]
) -> Iterator[Batch]:
    """The first object and those of all lines behind it."""
    yield Batch([tuple(first[1].values())], [first[0]])
    plain = _Plain(columns)
    while chunk := list(islice(lines, _FEW)):
        batch = plain.batch(chunk)
        if batch is None:
            placed = list(object_rows(str(path), columns, objects(path, chunk)))
            batch = Batch([row for _, row in placed], [line for line, _ in placed])
        if batch.rows:
            yield batch


class _Plain:
    """Reads objects whose members are those of the first and nothing else, each once."""

    def __init__(self, columns: Sequence[str]) -> None:
        fields = [
            (f"c{n}", str | int | float | bool | msgspec.UnsetType | None, msgspec.UNSET) for n in range(len(columns))
        ]
        given = {f"c{n}": name for n, name in enumerate(columns)}
        self._decode: Callable[[str], msgspec.Struct] | None = None
        with contextlib.suppress(ValueError):  # a name with a quotation mark in it
            kind = msgspec.defstruct("Record", fields, rename=given, forbid_unknown_fields=True, gc=False)
            self._decode = msgspec.json.Decoder(kind).decode

    def batch(self, chunk: Sequence[tuple[int, str]]) -> Batch | None:
        """The objects of some numbered lines; None where one of them is not plain."""
        texts = [text for _, text in chunk]
        together = "".join(texts)
        if self._decode is None or ("\\" in together and _ODD_ESCAPE.search(together)):
            return None
        if any(apart in together for apart in _APART):
            return None
        try:
            rows = list(map(msgspec.structs.astuple, map(self._decode, texts)))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        columns = list(zip(*rows, strict=True))
        types = [frozenset(map(type, column)) for column in columns]
        gaps = [n for n, found in enumerate(types) if msgspec.UnsetType in found]
        found = sum(len(rows) - (columns[n].count(msgspec.UNSET) if n in gaps else 0) for n in range(len(columns)))
        if found != together.encode().count(b'":'):  # some member stands there twice, or who knows
            return None
        if gaps:
            rows = [tuple(None if cell is msgspec.UNSET else cell for cell in row) for row in rows]
        return Batch(rows, [line for line, _ in chunk], None if gaps else types)
