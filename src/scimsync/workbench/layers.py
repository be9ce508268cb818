"""A table with a key as immutable Parquet files: a snapshot, and above it the changes since. Each file is a layer.

The newest row of a key wins, and a row may say that its key is gone. Columns go by name: one that a layer does not
have is NULL there. A layer names all that lie under it, with their sizes, so its file alone opens the whole table as
it was when it was written; that of any other time stays what it was. A file without such names (of an older release)
is a snapshot.

Whoever writes changes says only what differs. What lies right under them and is no larger is written anew with them,
so that there are never more than a handful of layers; when all changes together pass a tenth of the snapshot, all of
it becomes a new snapshot. So a table costs what changes in it, however large it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
import msgspec

from scimsync import files
from scimsync.errors import StoreDamaged
from scimsync.workbench.bench import Workbench, quoted, text

#: the column of a layer that says that a key is gone; no table has it
GONE = "scimsync_gone"
#: when the changes pass this part of the snapshot, they become a new one
FOLDED = 10
_LAYER, _MARK = "scimsync_layer", "scimsync_layers"


class Layer(msgspec.Struct, frozen=True):
    """One file of a table: its name, how many rows it has, and how many bytes."""

    name: str
    rows: int
    size: int


class _Below(msgspec.Struct, frozen=True):
    """What a file says about those under it, the snapshot first; it is one itself where there are none."""

    under: tuple[Layer, ...] = ()


class Layers:
    """A table as one of its layers left it.

    Args:
        bench: Where it is read.
        top: The file of the layer; those under it lie in the same folder.
        key: The column that tells one row from another.
        what: What it is, for people.

    Raises:
        StoreDamaged: A file is missing, or is not what was written.
    """

    def __init__(self, bench: Workbench, top: Path, *, key: str = "key", what: str = "the base") -> None:
        self._bench, self._folder, self._key, self._what = bench, top.parent, key, what
        with readable(top, what):
            rows, said = _once((_mark(top),), lambda: next(bench.rows(_footer(top))))
            size = top.stat().st_size
        below = _under(said, top, what)
        for layer in below:
            if _size(top.with_name(layer.name)) != layer.size:
                raise _damaged(top.with_name(layer.name), what)
        with readable(top, what):
            #: all layers, the snapshot first
            self.stack = (*below, Layer(top.name, int(str(rows)), size))
            paths = [self._path(layer) for layer in self.stack]
            listed = ", ".join(text(str(path)) for path in paths)
            query = f"DESCRIBE SELECT * FROM read_parquet([{listed}], union_by_name = true)"
            described = _once(("columns", *map(_mark, paths)), lambda: tuple(bench.rows(query)))
        #: the name of each column -> its type
        self.columns = {str(name): str(kind) for name, kind, *_ in described if name != GONE}

    def readable(self) -> AbstractContextManager[None]:
        """Say of what goes wrong in a block that reads the rows that a file cannot be read: StoreDamaged."""
        return readable(self.path, self._what)

    @property
    def path(self) -> Path:
        """The file of the uppermost layer."""
        return self._path(self.stack[-1])

    @property
    def under(self) -> Path | None:
        """The layer that these changes were made to; None where this is a snapshot."""
        return self._path(self.stack[-2]) if len(self.stack) > 1 else None

    def rows(self, only: str = "") -> str:
        """The SQL of the whole table, in brackets.

        Args:
            only: A test of the key that rows must pass; each layer is read with it.
        """
        snapshot, *changes = self.stack
        where = f" WHERE {only}" if only else ""
        if not changes:
            return f"(SELECT * FROM {self._file(snapshot)}{where})"
        key = quoted(self._key)
        return (
            f"(WITH scimsync_changes AS MATERIALIZED {self._newest(changes, only)} "
            f"SELECT * FROM (SELECT * FROM {self._file(snapshot)}{where}) "
            f"ANTI JOIN (SELECT {key} FROM scimsync_changes) USING ({key}) "
            f"UNION ALL BY NAME SELECT * EXCLUDE ({GONE}) FROM scimsync_changes WHERE NOT {GONE})"
        )

    def own(self, only: str = "") -> str:
        """The SQL of the rows of the uppermost layer alone, in brackets; `scimsync_gone` says whose key is gone."""
        where = f" WHERE {only}" if only else ""
        gone = "" if self.under is not None else f", false AS {GONE}"
        return f"(SELECT *{gone} FROM {self._file(self.stack[-1])}{where})"

    def taken(self, rows: int) -> int:
        """How many layers, counted from above, are written anew with so many changed rows."""
        snapshot, *changes = self.stack
        total = rows + sum(layer.rows for layer in changes)
        if total * FOLDED >= snapshot.rows:
            return len(self.stack)
        number = 0
        for layer in reversed(changes):
            if layer.rows > rows:
                break
            rows, number = rows + layer.rows, number + 1
        return number

    def _newest(self, layers: Sequence[Layer], only: str = "") -> str:
        """The SQL of what some changes say together, in brackets."""
        where, key = f" WHERE {only}" if only else "", quoted(self._key)
        if len(layers) == 1:
            return f"(SELECT * FROM {self._file(layers[0])}{where})"
        numbered = " UNION ALL BY NAME ".join(
            f"SELECT {number} AS {_LAYER}, * FROM {self._file(layer)}{where}" for number, layer in enumerate(layers)
        )
        return (
            f"(SELECT * EXCLUDE ({_LAYER}) FROM ({numbered}) "
            f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {_LAYER} DESC) = 1)"
        )

    def _path(self, layer: Layer) -> Path:
        return self._folder / layer.name

    def _file(self, layer: Layer) -> str:
        return f"read_parquet({text(str(self._path(layer)))})"

    def write(self, path: Path, rows: str, *, gone: str = "", fold: bool = True) -> None:
        """Write what changed since as a private file above these layers, whole or not at all.

        Args:
            path: The file; a new name, because others may rest on what has the old one.
            rows: A table of the workbench, or SQL in brackets, with the rows that are new or other than they were;
                each key once.
            gone: The same with the keys that are gone, in a column of the name of the key; none of them is in `rows`.
            fold: Whether layers that are no larger are written anew with it; else it holds the changes alone.

        Raises:
            StoreDamaged: A file under it cannot be read.
        """
        key, bench, changed = quoted(self._key), self._bench, "scimsync_changed"
        lost = f" UNION ALL BY NAME SELECT {key}, true AS {GONE} FROM {gone}" if gone else ""
        bench.sql.execute(f"CREATE OR REPLACE TEMP TABLE {changed} AS SELECT *, false AS {GONE} FROM {rows}{lost}")
        number = self.taken(bench.number(f"SELECT count(*) FROM {changed}")) if fold else 0
        kept, taken = self.stack[: len(self.stack) - number], self.stack[len(self.stack) - number :]
        written = f"SELECT * FROM {changed}"
        if taken:
            before = self._newest(taken) if kept else self.rows()
            written += (
                f" UNION ALL BY NAME SELECT * FROM {before} ANTI JOIN (SELECT {key} FROM {changed}) USING ({key})"
            )
        if not kept:
            written = f"SELECT * EXCLUDE ({GONE}) FROM ({written}) WHERE {GONE} IS NOT TRUE"
        with self.readable():
            _copy(bench, f"SELECT * FROM ({written}) ORDER BY {key}", path, kept)
        bench.sql.execute(f"DROP TABLE {changed}")


def write_snapshot(bench: Workbench, path: Path, rows: str, *, key: str = "key") -> None:
    """Write a whole table as a private file, whole or not at all.

    Args:
        bench: Where the table is.
        path: The file.
        rows: The table, or SQL in brackets; each key once.
        key: The column that tells one row from another.
    """
    _copy(bench, f"SELECT * FROM {rows} ORDER BY {quoted(key)}", path, ())


def needed(bench: Workbench, top: Path, *, what: str = "the base") -> tuple[str, ...]:
    """The names of the files that a layer rests on, and its own; only its own file is looked at.

    Raises:
        StoreDamaged: It is missing, or is not what was written.
    """
    return (*(layer.name for layer in _below(bench, top, what)), top.name)


@contextmanager
def readable(path: Path, what: str = "the base") -> Iterator[None]:
    """Say of what goes wrong in the block that a file cannot be read.

    Raises:
        StoreDamaged: It cannot.
    """
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except (duckdb.Error, OSError) as error:
        raise _damaged(path, what) from error


def _copy(bench: Workbench, query: str, path: Path, under: Sequence[Layer]) -> None:
    beside = bench.spool / path.name  # a folder of ours: DuckDB follows links
    said = msgspec.json.encode(_Below(tuple(under))).decode()
    bench.sql.execute(f"COPY ({query}) TO {text(str(beside))} (FORMAT parquet, KV_METADATA {{{_MARK}: {text(said)}}})")
    files.settle(beside, path)


def _below(bench: Workbench, top: Path, what: str) -> tuple[Layer, ...]:
    with readable(top, what):
        found = bench.rows(f"SELECT key, value FROM parquet_kv_metadata({text(str(top))})")
        said = next((value for name, value in found if name == _MARK.encode()), None)
    return _under(said, top, what)


def _under(said: object, top: Path, what: str) -> tuple[Layer, ...]:
    """What a file says about those under it."""
    if not isinstance(said, bytes):
        return ()
    try:
        return msgspec.json.decode(said, type=_Below).under
    except msgspec.MsgspecError as error:
        raise _damaged(top, what) from error


def _footer(path: Path) -> str:
    """The query of what the end of a file says: how many rows it has, and what it rests on."""
    return (
        f"SELECT num_rows, (SELECT value FROM parquet_kv_metadata({text(str(path))}) WHERE key = {text(_MARK)}::BLOB) "
        f"FROM parquet_file_metadata({text(str(path))})"
    )


#: what files were seen to say; none is ever written anew under its name
_SEEN: dict[tuple[object, ...], tuple[Any, ...]] = {}
_MOST_SEEN = 200


def _once(files_: tuple[object, ...], ask: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    """What is asked of files, as it was answered when they were asked first."""
    if files_ not in _SEEN:
        answer = ask()
        if len(_SEEN) >= _MOST_SEEN:
            _SEEN.clear()
        _SEEN[files_] = answer
    return _SEEN[files_]


def _mark(path: Path) -> tuple[object, ...]:
    """What tells a file from any other, and from itself after it was written to."""
    found = path.stat()
    return str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _damaged(path: Path, what: str) -> StoreDamaged:
    missing = "is missing" if not path.exists() else "cannot be read"
    return StoreDamaged(
        f"state: {what} {path.name} {missing}. Put the file back from a backup of the artifacts folder. Where there is "
        "none: scimsync state renew --reason TEXT (the next plan reads the directory as on a first run, and removes "
        "nothing for want of what was agreed)."
    )
