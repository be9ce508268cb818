"""What a source gives: batches of rows with their places, and whether the reading is proven whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import BinaryIO, TypeAlias

from msgspec import Struct, field

#: One value of a record as the technology gives it. Text columns of a file hold text or None only.
Cell: TypeAlias = str | int | float | bool | date | Decimal | None


class Batch(Struct, frozen=True):
    """Some rows, in the order of the source, and where each stands (line of a file, row of a query)."""

    rows: Sequence[Sequence[Cell]]
    places: Sequence[int]
    #: what stands in each column, where the technology has looked at it already
    types: Sequence[frozenset[type]] | None = None


class Form(Enum):
    """What a column of a poured reading holds, and how it is written there."""

    TEXT = "text"
    TRUTH = "truth"
    #: integers of at most 64 bits
    WHOLE = "whole"
    #: numbers with or without fraction, each as it is written
    NUMBER = "number"
    #: days as 2026-01-31
    DAY = "day"
    #: times without zone
    TIME = "time"


class Poured(Struct, frozen=True, kw_only=True):
    """A file that holds a whole reading, in its order, and says the same as its batches."""

    #: a Parquet file; else a table of cells between delimiters (RFC 4180, UTF-8, lines end in a feed alone)
    is_parquet: bool = False
    #: what each column holds
    forms: Sequence[Form]
    #: how many records it must hold, and the place of the first; each of the others stands one further
    rows: int
    first: int = 1
    #: bytes of all its cells without quotation marks, by what the whole text has; None where nobody counted
    size: int | None = None
    has_marks: bool = True
    delimiter: str = ","
    #: two quotation marks are a text without letters, and not nothing
    keeps_empty: bool = False


class Joined(Struct, frozen=True, kw_only=True):
    """Another source, of which each record of the first may have one record."""

    #: what it is called in expressions
    name: str
    #: what messages call it
    shown: str
    #: opens it, or raises SourceError
    read: Callable[[], Reading]
    #: SQL over its record and SQL over ours: where both are the same text, its record is about our person
    theirs: str
    ours: str
    null_values: Sequence[str] = ()


class JoinedHealth(Struct, frozen=True, kw_only=True):
    """What came of a joined source."""

    name: str
    shown: str
    #: why it could not be read; "" where it was
    reason: str = ""
    rows: int = 0
    proven: bool = False
    #: of our records, those that have one of its records, and those that have several different ones
    found: int = 0
    ambiguous: int = 0
    #: of its records, those that none of ours has
    unmet: int = 0
    #: where some of our records stand that have several
    places: tuple[int, ...] = ()


class Reading(Struct, frozen=True, kw_only=True):
    """One complete pass over a source.

    `batches` may be walked once. A fault found on the way raises SourceError; when the walk ends
    without one, everything that the technology can check was checked.

    Most readings can also be poured: written into a file that a columnar reader takes in one go, checked as
    thoroughly. Whatever such a reader could take for something else is not poured; then `batches` are walked,
    as if nobody had tried.
    """

    columns: tuple[str, ...]
    batches: Iterable[Batch]
    #: The technology proves that nothing is missing (a query that ended, a footer, a checksum), so that
    #: the absence of a person means something. A text file cut at the end of a line proves nothing.
    proven: bool
    #: Read where HR works, as it is now: no delivery, of which an old one could come again.
    live: bool = False
    #: Which delivery it is, as the place says where it was fetched (version, ETag, time, bytes); "" for no file.
    delivery: str = ""
    #: What a place is called in messages: "line" or "row".
    place: str = "row"
    #: pours the reading, where it can be; gives None and has no effect where this one is none of those
    pour: Callable[[BinaryIO], Poured | None] | None = None
    #: what the source is called in expressions, where others are joined to it
    name: str = ""
    joined: Sequence[Joined] = ()


class KeySample(Struct, frozen=True, kw_only=True):
    """The keys of a reading whose digests are the smallest: all of few keys, and of many the same part each time."""

    #: the digest of one fixed text: samples of another digest do not compare
    mark: int
    #: in order
    digests: tuple[int, ...]
    #: there are no other keys
    whole: bool


class SourceHealth(Struct, frozen=True, kw_only=True):
    """What is remembered of a reading, to judge the next one by. What an earlier version did not take is unknown."""

    rows: int
    #: share of blanks for each column, 0.0 to 1.0
    blanks: Mapping[str, float]
    fingerprint: str
    #: the same for what the mapping made of them, for each attribute
    desired: Mapping[str, float] = field(default_factory=dict)
    #: who is in it; None where that is not known
    keys: KeySample | None = None
    #: column -> value -> in how many records; of columns that divide people, and of values that many have
    shares: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    #: when the record changed that changed last, in UTC; None where no column says so, or it says nothing
    newest: datetime | None = None
    #: what came of each source that is joined to it
    joined: tuple[JoinedHealth, ...] = ()
