"""One side of the benchmark of sources, measured by itself. `python -m benchmarks.source_side SIDE FOLDER KIND`."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.harness import BenchmarkError, measured, tell
from scimsync.bootstrap_sources import make_source
from scimsync.cli.sample import COLUMNS
from scimsync.config import Settings, load
from scimsync.workbench.bench import Workbench
from scimsync.workbench.records import stage_records

#: rows or records at a time where a library asks how many
AT_A_TIME = 5_000
PAGE = 500
SCIM_PAGE = 100
QUERY = "SELECT * FROM employee"


# --- our side -----------------------------------------------------------------------------------------


def staged(given: Settings) -> int:
    """The first step of every run: read the source, and bring it into the table of records."""
    with tempfile.TemporaryDirectory() as scratch, Workbench(Path(scratch)) as bench:
        return stage_records(bench, make_source(given).read(), key=given.source.key).rows


def read(given: Settings) -> int:
    """The reading alone: every record as Python has it."""
    return sum(len(batch.rows) for batch in make_source(given).read().batches)


# --- the bare libraries -------------------------------------------------------------------------------


def duckdb_of(scan: str) -> int:
    """A file into a table of a workbench of our size, with no look at anything."""
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect(str(Path(scratch) / "bare.db")) as bench:
        bench.execute(f"CREATE TABLE records AS SELECT * FROM {scan}")
        return int((bench.execute("SELECT count(*) FROM records").fetchone() or (0,))[0])


def _csv(file: Path) -> int:
    return duckdb_of(f"read_csv('{file}', all_varchar = true, header = true)")


def _fetched(cursor: Any) -> int:
    count = 0
    while rows := cursor.fetchmany(AT_A_TIME):
        count += len(rows)
    return count


def _sqlite(given: Mapping[str, Any], folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(folder / "hr.db")) as connection:
        return _fetched(connection.execute(QUERY))


def _postgres(given: Mapping[str, Any], folder: Path) -> int:
    import psycopg

    with psycopg.connect(given["url"]) as connection, connection.cursor("bare") as cursor:
        cursor.itersize = AT_A_TIME
        return _fetched(cursor.execute(QUERY))


def _mariadb(given: Mapping[str, Any], folder: Path) -> int:
    import pymysql
    from pymysql.cursors import SSCursor

    connection: Any = pymysql.connect(**given["connect"], cursorclass=SSCursor)
    with connection, connection.cursor() as cursor:
        cursor.execute(QUERY)
        return _fetched(cursor)


def _ldap(given: Mapping[str, Any], folder: Path) -> int:
    import ldap
    from ldap.controls import SimplePagedResultsControl

    link = ldap.initialize(given["url"])
    link.simple_bind_s(given["user"], given["password"])
    asked, count = SimplePagedResultsControl(criticality=True, size=PAGE, cookie=""), 0
    while True:
        number = link.search_ext(
            given["base"], ldap.SCOPE_SUBTREE, "(objectClass=person)", given["attributes"], serverctrls=[asked]
        )
        _, entries, _, controls = link.result3(number)
        count += len([list(attributes.values()) for _, attributes in entries])
        asked.cookie = next((c.cookie for c in controls if isinstance(c, SimplePagedResultsControl)), b"")
        if not asked.cookie:
            link.unbind_s()
            return count


def _rest(given: Mapping[str, Any], folder: Path) -> int:
    import httpx2

    url: str | None = f"{given['url']}/people?limit={PAGE}&offset=0"
    count = 0
    with httpx2.Client(trust_env=False) as client:
        while url:
            body = client.get(url).json()
            count += len([tuple(record.get(column) for column in COLUMNS) for record in body["data"]])
            url = body["next"]
    return count


def _scim(given: Mapping[str, Any], folder: Path) -> int:
    import httpx2

    names = ["externalId", "userName", "displayName", "active", "title", "emails", "phoneNumbers"]
    start, total, count = 1, 1, 0
    with httpx2.Client(trust_env=False) as client:
        while start <= total:
            body = client.get(f"{given['url']}/Users?startIndex={start}&count={SCIM_PAGE}").json()
            count += len([tuple(record.get(name) for name in names) for record in body["Resources"]])
            start, total = start + body["itemsPerPage"], body["totalResults"]
    return count


def _sheet(file: Path) -> int:
    from python_calamine import CalamineWorkbook

    return len(CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).to_python()) - 1


def _sftp(given: Mapping[str, Any], folder: Path) -> int:
    import asyncssh

    async def fetch(file: Path) -> None:
        async with (
            asyncssh.connect(
                "127.0.0.1", given["port"], username=given["user"], password=given["password"], known_hosts=None
            ) as link,
            link.start_sftp_client() as client,
        ):
            await client.get("/hr.csv", str(file))

    with _copy() as file:
        asyncio.run(fetch(file))
        return _csv(file)


def _s3(given: Mapping[str, Any], folder: Path) -> int:
    import obstore
    from obstore.store import S3Store

    store = S3Store(given["bucket"], **given["access"])
    with _copy() as file:
        with file.open("wb") as sink:
            for piece in obstore.get(store, "hr.csv"):
                sink.write(piece)
        return _csv(file)


@contextlib.contextmanager
def _copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "hr.csv"


BARE: Mapping[str, Callable[[Mapping[str, Any], Path], int]] = {
    "csv": lambda given, folder: _csv(folder / "hr.csv"),
    "jsonl": lambda given, folder: duckdb_of(f"read_json('{folder / 'hr.jsonl'}', format = 'newline_delimited')"),
    "parquet": lambda given, folder: duckdb_of(f"read_parquet('{folder / 'hr.parquet'}')"),
    "sqlite": _sqlite,
    "postgresql": _postgres,
    "mariadb": _mariadb,
    "ldap": _ldap,
    "rest": _rest,
    "scim": _scim,
    "xlsx": lambda given, folder: _sheet(folder / "hr.xlsx"),
    "ods": lambda given, folder: _sheet(folder / "hr.ods"),
    "sftp": _sftp,
    "s3": _s3,
}


#: what the bare libraries are called as modules, where they are not loaded anyway
MODULES: Mapping[str, Sequence[str]] = {
    "postgresql": ("psycopg",),
    "mariadb": ("pymysql",),
    "ldap": ("ldap.controls",),
    "rest": ("httpx2",),
    "scim": ("httpx2",),
    "xlsx": ("python_calamine",),
    "ods": ("python_calamine",),
    "sftp": ("asyncssh",),
    "s3": ("obstore.store",),
}


def main(side: str, where: str, kind: str) -> None:
    """One side."""
    folder = Path(where)
    given = json.loads((folder / "bare.json").read_text(encoding="utf-8"))
    for module in MODULES.get(kind, ()):
        importlib.import_module(module)
    if side == "bare":
        spent, count = measured(lambda: BARE[kind](given, folder))
    else:
        settings, work = load(folder / "scimsync.toml"), {"staged": staged, "read": read}[side]
        make_source(settings)  # loads what it needs
        spent, count = measured(lambda: work(settings))
    if count != given["count"]:
        raise BenchmarkError(f"{kind}, {side}: {count} records came of {given['count']}")
    tell(spent, count)


if __name__ == "__main__":
    main(*sys.argv[1:])
