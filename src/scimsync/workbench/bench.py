"""A DuckDB database in memory for one piece of work, its scratch folder, and what all tables have in common.

Rows travel through a spool file of one JSON object a line (the fastest way into DuckDB that needs no
further library); the spool lies in a folder of mode 0700 and goes away with the workbench.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
import msgspec
from msgspec import Struct

from scimsync import bounds, files
from scimsync.model.records import Reading, SourceHealth
from scimsync.workbench.expressions import MACROS
from scimsync.workbench.helped import Helped
from scimsync.workbench.sources import ONE

#: names of our own columns in the records table; no source has them
N, PLACE = "scimsync_n", "scimsync_place"
#: what the fingerprint of an account is called in a spool file
MARK = "scimsync_mark"
#: how the columns begin that hold the numbers of another column as they were written
TEXT = "scimsync_text_"
#: the column of a base that holds the id of the account
ACCOUNT = "scimsync_account"
_ENCODER = msgspec.json.Encoder(decimal_format="string")
#: a row of a spool file, and many of them with their line ends
encode, encode_lines = _ENCODER.encode, _ENCODER.encode_lines


class Column(Struct, frozen=True):
    """One column of the staged records and its SQL type."""

    name: str
    type: str


class Workbench:
    """The tables of one planning run. A context manager; leaving it removes every file."""

    def __init__(self, folder: Path, *, memory_limit: str = "512MB", zone: str = "UTC") -> None:
        self._held = contextlib.ExitStack()
        self._held.enter_context(bounds.within(memory_limit))
        _remove_left_behind(folder)
        self._folder = Path(tempfile.mkdtemp(prefix=f"workbench-{os.getpid()}-", dir=folder))
        self.spool = self._folder / "spool"
        self.spool.mkdir(mode=0o700)
        connection = duckdb.connect(  # in memory, and beyond the limit in the folder: no log, no sync to disk
            ":memory:",
            config={
                "memory_limit": memory_limit,
                "threads": 1,
                "preserve_insertion_order": False,
                "temp_directory": str(self._folder / "scratch"),
            },
        )
        self.sql = Helped(connection, MACROS)
        self.sql.execute(f"SET TimeZone = {text(zone)}")
        self.sql.execute("SET allowed_directories = [?]", [str(folder)])
        self.sql.execute("SET enable_external_access = false")
        self.sql.execute("SET lock_configuration = true")
        self.columns: tuple[Column, ...] = ()
        #: name of a column of numbers with fractions, in small letters -> the column that has their own texts
        self.texts: dict[str, str] = {}
        #: what the records were read from and how, and what came of it: for a second plan of the same reading
        self.read: tuple[tuple[object, ...], tuple[Reading, SourceHealth]] | None = None
        #: how sources are called in expressions
        self.sources = ONE
        #: whether table `aside` holds records that do not hold on the day of the plan
        self.has_aside = False

    def __enter__(self) -> Workbench:
        """Nothing more to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database and remove the folder."""
        self.close()

    @property
    def kinds(self) -> dict[str, str]:
        """Column of the records, in small letters -> its type."""
        return {column.name.lower(): column.type for column in self.columns}

    def close(self) -> None:
        """Close the database and remove every file of the workbench."""
        self.sql.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._held.close()

    @contextlib.contextmanager
    def spooled(self, name: str) -> Iterator[tuple[Path, BinaryIO]]:
        """A spool file to write to; it is removed when the block ends."""
        path = self.spool / f"{name}.ndjson"
        with path.open("wb") as file:
            yield path, file
        path.unlink(missing_ok=True)

    def number(self, query: str, parameters: Sequence[object] = ()) -> int:
        """The single number a query gives."""
        row = self.sql.execute(query, list(parameters)).fetchone()
        return int(row[0]) if row and row[0] is not None else 0

    def are(self, rows: str) -> bool:
        """Whether there are such rows. Most days nobody is new, in doubt or left out, and much can be spared."""
        return self.sql.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchone() is not None

    def rows(self, query: str, parameters: Sequence[object] = ()) -> Iterator[tuple[object, ...]]:
        """The rows of a query, a thousand at a time."""
        cursor = self.sql.cursor().execute(query, list(parameters))
        try:
            while found := cursor.fetchmany(1000):
                yield from found
        finally:
            cursor.close()


def _remove_left_behind(folder: Path) -> None:
    """Remove the workbenches and unfinished files of processes that were killed: they hold people's records."""
    for left in (*folder.glob("workbench-*-*"), *folder.glob(files.UNFINISHED)):
        pid = left.name.split("-")[1]
        try:
            os.kill(int(pid), 0)
        except (ProcessLookupError, ValueError):
            left.unlink(missing_ok=True) if left.is_file() else shutil.rmtree(left, ignore_errors=True)
        except PermissionError:
            continue


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """An SQL string."""
    return "'" + value.replace("'", "''") + "'"


def row_of(value: object) -> int | None:
    """The row of a source that a table remembers; None where there is none."""
    return value if isinstance(value, int) else None
