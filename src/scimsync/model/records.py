"""What a source gives: batches of rows with their places, and whether the reading is proven whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TypeAlias

#: One value of a record as the technology gives it. Text columns of a file hold text or None only.
Cell: TypeAlias = str | int | float | bool | date | Decimal | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows, in the order of the source, and where each stands (line of a file, row of a query)."""

    rows: Sequence[Sequence[Cell]]
    places: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One complete pass over a source.

    `batches` may be walked once. A fault found on the way raises SourceError; when the walk ends
    without one, everything that the technology can check was checked.
    """

    columns: tuple[str, ...]
    batches: Iterable[Batch]
    #: The technology proves that nothing is missing (a query that ended, a footer, a checksum), so that
    #: the absence of a person means something. A text file cut at the end of a line proves nothing.
    proven: bool
    #: What a place is called in messages: "line" or "row".
    place: str = "row"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """What is remembered of a reading, to judge the next one by."""

    rows: int
    #: share of blanks for each column, 0.0 to 1.0
    blanks: Mapping[str, float]
    fingerprint: str
    #: the same for what the mapping made of them, for each attribute
    desired: Mapping[str, float] = field(default_factory=dict)
