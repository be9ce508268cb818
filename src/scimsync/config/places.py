"""On which line of a TOML file a key stands, which the parser of the standard library does not tell."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping

#: the way to a section or key: names, and the number of one of several tables from 0
Place = tuple[str | int, ...]

#: what a line holds that may close what an earlier one opened
_CLOSING = ("]", "}", '"""', "'''")


def lines(text: str) -> Mapping[Place, int]:
    r"""The line of every section and key of a sound TOML text; of several tables of one name, each has its number.

    A statement is the shortest run of lines that is TOML by itself, because a line end stands inside a statement only
    where something is open: brackets or quotes.

    Examples:
        >>> lines('[a]\nb = [1,\n 2]\nc.d = 3\n[[e]]\nf = 1\n[[e]]\nf = 2\n')[("e", 1, "f")]
        8
    """
    found: dict[Place, int] = {}
    several: dict[Place, int] = {}
    table: Place = ()
    for number, held, is_header, is_several in _statements(text):
        path = next(_paths(held), ()) if is_header else ()
        if is_several:
            several[path] = several.get(path, -1) + 1
        if is_header:
            table = tuple(_numbered(path, several))
            found.setdefault(table, number)
        else:
            for path in _all_paths(held):
                found.setdefault((*table, *path), number)
    return found


def _statements(text: str) -> Iterator[tuple[int, Mapping[str, object], bool, bool]]:
    """Each statement: its first line, what it holds, whether it opens a table, and whether one of several."""
    waiting, first = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        goes_on = bool(waiting)
        first = first if goes_on else number
        waiting += f"{line}\n"
        if goes_on and not any(mark in line for mark in _CLOSING):
            continue
        try:
            held = tomllib.loads(waiting)
        except tomllib.TOMLDecodeError:
            continue
        begin = waiting.lstrip()
        if held:
            yield first, held, begin.startswith("["), begin.startswith("[[")
        waiting = ""


def _paths(held: object) -> Iterator[tuple[str, ...]]:
    """The path of the innermost table of a header."""
    if isinstance(held, list):
        held = held[0]
    if not isinstance(held, dict) or not held:
        yield ()
        return
    for key, below in held.items():
        for path in _paths(below):
            yield (key, *path)


def _all_paths(held: object) -> Iterator[tuple[str, ...]]:
    """Every path into tables that a statement holds, the outer ones first."""
    if isinstance(held, dict):
        for key, below in held.items():
            yield (key,)
            for path in _all_paths(below):
                yield (key, *path)


def _numbered(path: Place, several: Mapping[Place, int]) -> Iterator[str | int]:
    for depth, step in enumerate(path, 1):
        yield step
        if path[:depth] in several:
            yield several[path[:depth]]
