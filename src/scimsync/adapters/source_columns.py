"""What every source must have: records, columns, a key; and how a walk over it is let go of."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import NoReturn

from scimsync.adapters.source_text import BATCH, FEW, Placed
from scimsync.errors import SourceEmpty, SourceError
from scimsync.model.records import Batch

#: a batch of the workbench takes 32 KiB of each column, and facts are asked of all columns at once
_MOST_COLUMNS = 1_000


def owned_by(stack: ExitStack, batches: Iterator[Batch]) -> Iterator[Batch]:
    """Let go of what `stack` holds when the walk ends, fails or is given up.

    The first item is an empty batch for the caller to take: a generator that has begun cleans up even
    when nobody walks it.
    """
    with stack:
        yield Batch((), ())
        yield from batches


def batched(where: str, rows: Iterator[Placed]) -> Iterator[Batch]:
    """Rows, in batches."""
    empty = True
    while chunk := list(islice(rows, BATCH)):
        empty = False
        yield Batch([row for _, row in chunk], [place for place, _ in chunk])
    if empty:
        refuse_empty(where)


def refuse_empty(where: str) -> NoReturn:
    """Refuse a file without records."""
    message = (
        f"{where}: no records. An empty source is never taken for a company without people: look whether"
        " the export failed, and run it again."
    )
    raise SourceEmpty(message)


def check_width(where: str, columns: Sequence[str]) -> None:
    """Refuse more columns than fit beside each other into memory."""
    if len(columns) > _MOST_COLUMNS:
        message = (
            f"{where}: there are {len(columns):,} columns, and no more than {_MOST_COLUMNS:,} are read. Leave out of"
            " it what the mapping does not name."
        )
        raise SourceError(message)


def check_columns(where: str, columns: Sequence[str]) -> None:
    """Refuse blank and equal column names, and too many; SQL does not tell case, so neither may we."""
    check_width(where, columns)
    seen: set[str] = set()
    for number, column in enumerate(columns, 1):
        if not column.strip():
            message = f"{where}: column {number} has no name. Give each column a name of its own."
            raise SourceError(message)
        if column.casefold() in seen:
            message = (
                f"{where}: the column {column!r} stands there twice (upper and lower case count as equal)."
                " Rename or leave out one of them in the export."
            )
            raise SourceError(message)
        seen.add(column.casefold())


def check_key(where: str, columns: Sequence[str], key: str, whose: str = "") -> None:
    """Refuse columns without the key; `whose` says whose they are, as in "the columns of the query"."""
    if not key or key in columns:
        return
    near = difflib.get_close_matches(key.strip().casefold(), [c.strip().casefold() for c in columns], n=1)
    meant = next((c for c in columns if near and c.strip().casefold() == near[0]), None)
    hint = f"Did you mean {meant!r}? " if meant is not None else ""
    shown = ", ".join(repr(c) for c in columns[:FEW]) + (", ..." if len(columns) > FEW else "")
    message = (
        f"{where}: there is no key column {key!r}; the columns{whose} are {shown}. {hint}"
        "Set key under [source] to the column that names a person for good."
    )
    raise SourceError(message)
