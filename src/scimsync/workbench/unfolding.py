"""Unfold an expression of the mapping into its parts, so that each can be evaluated on one record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

from msgspec import Struct

from scimsync.workbench import statuses
from scimsync.workbench.days import Days, spared
from scimsync.workbench.expressions import Fault, as_written, children, everything, printed, tree_of
from scimsync.workbench.helped import Connection
from scimsync.workbench.sources import ONE, Sources, bare
from scimsync.workbench.statuses import Tree


class Part(Struct, frozen=True):
    """One part of an expression: as people read it, and as it is run."""

    text: str
    sql: str


def parts(
    text: str,
    connection: Connection,
    *,
    is_status: bool = False,
    texts: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
    sources: Sources = ONE,
) -> tuple[Part, ...]:
    """The parts of an expression that `check` found good, the innermost first, the whole of it last.

    Constants, and what stands inside of a lambda, have no value of their own for a record, and are left out. What is
    compared with a status word is read as `check` reads it.

    Args:
        text: The expression.
        connection: A connection that parses.
        is_status: As for `check`.
        texts: As for `check`.
        kinds: As for `check`.
        sources: As for `check`.
    """
    tree = tree_of(text, connection)
    if isinstance(tree, Fault):
        return ()
    tree = bare(tree, sources)
    dated = Days(tree, kinds or {})
    read = statuses.Reading(dated.doubt()).tree if is_status else statuses.named(dated.tree)
    found: dict[str, str] = {}
    for shown, meant in _unfolded(tree, read, kinds or {}, is_status=is_status):
        found.setdefault(_shown(printed(shown, connection)), printed(as_written(meant, texts or {}), connection))
    found.pop(_shown(printed(tree, connection)), None)
    whole = as_written(read, texts or {})
    show = partial(printed, connection=connection)
    run = spared(whole, kinds or {}, show)[0] if is_status else show(whole)
    return (*(Part(shown, meant) for shown, meant in found.items()), Part(text.strip(), run))


def _unfolded(node: Tree, read: Tree, kinds: Mapping[str, str], *, is_status: bool) -> Iterator[tuple[Tree, Tree]]:
    """Each part of a tree that has a value for a record, and how it is read."""
    if node.get("class") in {"CONSTANT", "TYPE", "LAMBDA"} or not _depends(node):
        return
    inner, meant = list(children(node)), list(children(read))
    joins = node.get("class") == "CONJUNCTION" or node.get("type") == "OPERATOR_NOT"
    if is_status and joins and read.get("class") == node.get("class") and len(inner) == len(meant):
        pairs = zip(inner, meant, strict=True)  # a status is read part by part
    else:
        pairs = zip(inner, (statuses.named(Days(one, kinds).tree) for one in inner), strict=True)
    for shown, how in pairs:
        if joins or not (is_status and statuses.compares(shown)):
            yield from _unfolded(shown, how, kinds, is_status=is_status)
    yield node, read


def _depends(node: Tree) -> bool:
    """Whether a part has another value for another record, or on another day."""
    return any(
        inner.get("class") == "COLUMN_REF" or str(inner.get("function_name", "")).lower() in {"today", "now"}
        for inner in everything(node)
    )


def _shown(sql: str) -> str:
    """The text of a part as people write it: DuckDB quotes some names, and brackets what needs none."""
    plain = _QUOTED.sub(r"\1", sql)
    return plain[1:-1] if _is_bracketed(plain) else plain


_QUOTED = re.compile(r'"(\w+(?:\.\w+)?)"')


def _is_bracketed(sql: str) -> bool:
    """Whether the first bracket closes with the last character."""
    depth = 0
    for place, letter in enumerate(sql):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return place == len(sql) - 1 and place > 0
    return False
