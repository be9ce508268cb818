"""Phone numbers as they were read before, so that the library is asked about distinct new ones alone.

Where there are none, it is not even loaded. What it said is kept beside the state in files of `PREFIX`, each with what
one plan asked, for one way of reading: the version of the library, and of our reading with it, which stands in their
names. They are only a memo: one that is damaged, or of another version, is removed, and the library asked again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
from msgspec import Struct

from scimsync.model.phones import PhoneReader
from scimsync.workbench.agreed import write_parquet
from scimsync.workbench.bench import Workbench, text
from scimsync.workbench.expressions import Expression
from scimsync.workbench.mapping import stage_phones

#: how the names of the files begin; the number grows with their form
PREFIX = "phones-1-"
#: files, and their age, beyond which they become one that holds only what HR has now
_MOST, _OLDEST = 8, timedelta(days=28)


class Memo(Struct, frozen=True):
    """Where numbers are remembered, and which way of reading them it is for."""

    folder: Path
    now: datetime
    #: tells the way of reading; nothing is remembered where it says ""
    version: Callable[[], str]
    #: whether what is asked now is remembered; else the files stay as they are
    keeps: bool = True


def stage_remembered(
    bench: Workbench,
    expressions: Iterable[Expression],
    read: PhoneReader,
    memo: Memo,
) -> int:
    """As `stage_phones`, with what earlier plans asked; return how many numbers were asked about.

    Args:
        bench: Has the table `records`.
        expressions: Of the mapping.
        read: The library.
        memo: What is remembered, and where.
    """
    wanted = [expression for expression in expressions if expression.phones]
    version = memo.version() if wanted else ""
    if not version:
        return stage_phones(bench, wanted, read)
    kept, file = _kept(memo, version), memo.folder / f"{PREFIX}{version}-{secrets.token_hex(4)}.parquet"
    known = _recall(bench, kept, memo)
    asked = stage_phones(bench, wanted, read)
    if not memo.keeps:
        return asked
    if len(kept) >= _MOST or any(memo.now - _written(old, memo.now) > _OLDEST for old in kept):
        _fold(bench, wanted, file, kept)
    elif asked:
        _write(bench, f"SELECT * FROM phone_memo WHERE rowid > {known}", file)
    return asked


def forget(folder: Path) -> None:
    """Remove the memo: nobody's numbers stay in it."""
    for file in folder.glob(f"{PREFIX}*.parquet"):
        file.unlink(missing_ok=True)


def _written(file: Path, now: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except FileNotFoundError:  # of a plan at the same time, which made one of several
        return now


def _kept(memo: Memo, version: str) -> list[Path]:
    """The files of this version; those of others are removed."""
    ours = sorted(memo.folder.glob(f"{PREFIX}{version}-*.parquet"))
    for file in set(memo.folder.glob(f"{PREFIX}*.parquet")).difference(ours) if memo.keeps else ():
        file.unlink(missing_ok=True)
    return ours


def _recall(bench: Workbench, files: Iterable[Path], memo: Memo) -> int:
    """Take the files into `phone_memo`; the last row that it holds then."""
    for file in files:
        try:
            bench.sql.execute(
                "INSERT INTO phone_memo SELECT scimsync_raw, scimsync_region, scimsync_e164 "
                f"FROM read_parquet({text(str(file))}) "
                "ANTI JOIN phone_memo USING (scimsync_raw, scimsync_region)"
            )
        except duckdb.Error:  # damaged, or gone meanwhile
            if memo.keeps:
                with suppress(OSError):
                    file.unlink(missing_ok=True)
    return bench.number("SELECT coalesce(max(rowid), -1) FROM phone_memo")


def _fold(bench: Workbench, expressions: Iterable[Expression], file: Path, former: Iterable[Path]) -> None:
    """Make one file of all, with the numbers that HR has now."""
    calls = sorted({call for expression in expressions for call in expression.phones})
    now = " UNION ".join(
        f"SELECT tidy(TRY(({raw})::VARCHAR)) AS scimsync_raw, "
        f"coalesce(upper(tidy(TRY(({country})::VARCHAR))), '') AS scimsync_region FROM records"
        for raw, country in calls
    )
    _write(
        bench,
        f"SELECT * FROM phone_memo SEMI JOIN (SELECT DISTINCT * FROM ({now})) USING (scimsync_raw, scimsync_region)",
        file,
    )
    for old in former:
        old.unlink(missing_ok=True)


def _write(bench: Workbench, query: str, file: Path) -> None:
    write_parquet(bench, f"({query})", file, order="scimsync_raw, scimsync_region")
