"""Many updates of one attribute as one line: nobody reads five thousand, everybody reads six."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from scimsync.model.plans import Change, Verdict
from scimsync.scim.schema import Value

#: so many people with the same become one line
MANY = 12


def rolled_up(changes: Iterable[Change], text: Callable[[Value], str]) -> Iterator[str]:
    """What many people get: a line for each attribute and value, and for what else many get of an attribute.

    Args:
        changes: Updates.
        text: Tells a value.
    """
    found: dict[str, dict[Value, list[Value]]] = {}
    for change in changes:
        for delta in change.deltas:
            if delta.verdict is Verdict.WRITE:
                found.setdefault(delta.path, {}).setdefault(delta.sides.desired, []).append(delta.sides.current)
    lines = [line for path, values in found.items() for line in _of_path(path, values, text)]
    yield from (line for _, line in sorted(lines, key=lambda one: -one[0]))


def _of_path(path: str, values: dict[Value, list[Value]], text: Callable[[Value], str]) -> Iterator[tuple[int, str]]:
    rest: list[Value] = []
    kinds = 0
    for value, before in values.items():
        if len(before) < MANY:
            rest += before
            kinds += 1
        else:
            yield len(before), f"{len(before):,} x {path}: {_of(before, text)} -> {text(value)}"
    if len(rest) >= MANY:
        yield len(rest), f"{len(rest):,} x {path}: {_of(rest, text)} -> {kinds:,} values"


def _of(before: list[Value], text: Callable[[Value], str]) -> str:
    different = set(before)
    return text(before[0]) if len(different) == 1 else f"{len(different):,} values"
