"""JSON Lines, object by object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NoReturn

from scimsync.adapters.source_text import Placed, TextFile
from scimsync.errors import SourceError
from scimsync.model.records import Cell


class _Members(list[tuple[str, object]]):
    """The members of one JSON object as they stand, doubles included."""


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


_DECODER = json.JSONDecoder(object_pairs_hook=_Members, parse_constant=_no_constant)
_PLAIN = frozenset({str, int, float, bool, type(None)})


def objects(file: TextFile) -> Iterator[tuple[int, dict[str, Cell]]]:
    """The objects of a file, with their lines."""
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
