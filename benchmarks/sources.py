"""Each kind of source beside the bare library that reads it: records a second, and memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness import Report, Row, Size, Spent, part
from benchmarks.source_world import standing

USUAL = 100_000
#: kind -> the library that reads it bare
LIBRARIES = {
    "csv": "DuckDB",
    "jsonl": "DuckDB",
    "parquet": "DuckDB",
    "sqlite": "sqlite3",
    "postgresql": "psycopg",
    "mariadb": "PyMySQL",
    "ldap": "python-ldap",
    "rest": "httpx2",
    "scim": "httpx2",
    "xlsx": "calamine",
    "ods": "calamine",
    "sftp": "asyncssh, DuckDB",
    "s3": "obstore, DuckDB",
}
NOTES = (
    "staged: the first step of every run, the source read into the table of records, with its health; read: each "
    "record as Python has it, where a run pours files and PostgreSQL instead",
    "bare: files into a table of DuckDB; databases by fetchmany of 5,000; pages of 500 (LDAP, REST) and 100 (SCIM) "
    "decoded and taken apart; a sheet as lists; sftp and s3 a CSV fetched into a file, then as files",
    "14 columns of text (13 LDAP, 7 SCIM). Times leave imports out; the memory is the peak of the whole process, and "
    "each of ours holds DuckDB, SQLAlchemy and the configuration",
    "servers are real and other processes, but for SSH and HTTP, which share our cores all the same",
)


def measure(size: Size, kinds: Sequence[str] = tuple(LIBRARIES)) -> Report:
    """Take alternating rounds of each kind."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="scimsync-bench-") as made:
        for kind in kinds:
            with standing(kind, Path(made) / kind, size.people) as folder:
                rows += _rows(kind, size, [_round(kind, folder) for _ in range(size.pairs)])
    return Report(name="sources", size=size, notes=NOTES, rows=rows)


def _round(kind: str, folder: Path) -> tuple[Spent, Spent, Spent]:
    bare, staged, read = (part("source_side", side, folder, kind) for side in ("bare", "staged", "read"))
    return bare, staged, read


def _rows(kind: str, size: Size, rounds: Sequence[tuple[Spent, Spent, Spent]]) -> Iterator[Row]:
    library = LIBRARIES[kind]
    yield Row(work=f"{kind}: staged, of {library}: wall", values=[s.wall / b.wall for b, s, _ in rounds])
    yield Row(work=f"{kind}: staged, of {library}: CPU", values=[s.cpu / b.cpu for b, s, _ in rounds])
    yield Row(work=f"{kind}: read, of {library}: wall", values=[r.wall / b.wall for b, _, r in rounds])
    yield Row(work=f"{kind}: staged, of {library}: memory", values=[s.memory / b.memory for b, s, _ in rounds])
    yield Row(work=f"{kind}: records a second", values=[size.people / s.wall for _, s, _ in rounds], unit="")
    yield Row(work=f"{kind}: peak memory", values=[s.memory / 2**20 for _, s, _ in rounds], unit="MiB")
