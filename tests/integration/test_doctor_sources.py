"""What doctor says of the source: which delivery it found, and what keeps us from writing into a database."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import takewhile
from pathlib import Path

import pytest
from tests.servers import Firm, Provider, firm, person

from scimsync.adapters.source_sql import SqlSource
from scimsync.config import load
from scimsync.services import checking, diagnosis


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Firm]:
    with firm(tmp_path, Provider()) as found:
        found.hr({"id": 1})
        yield found


def told(given: Firm) -> list[tuple[str, str]]:
    """What doctor says of the source, before it looks at the state: mark and words."""
    said = takewhile(lambda check: check.name != "state", diagnosis.checks(given.folder / "scimsync.toml", asyncio.run))
    return [(check.mark, check.words) for check in said if check.name == "source"]


def put_source(given: Firm, text: str) -> None:
    file = given.folder / "scimsync.toml"
    file.write_text(f"[source]\n{text}[target]{file.read_text().partition('[target]')[2]}")


def test_a_file_is_told_by_its_time_and_size(house: Firm) -> None:
    file = house.folder / "hr.csv"
    os.utime(file, (1_795_000_000, 1_795_000_000))
    assert ("ok", f"the file: written 2026-11-18T11:06:40+00:00, {file.stat().st_size} bytes") in told(house)


def test_a_database_says_that_it_is_only_read(house: Firm) -> None:
    with closing(sqlite3.connect(house.folder / "hr.db")) as database, database:
        database.execute("CREATE TABLE staff (id, login, name, status, title)")
        database.execute("INSERT INTO staff VALUES (?, ?, ?, ?, ?)", tuple(person(1).values()))
    put_source(
        house, f'kind = "sql"\nurl = "sqlite:///{house.folder}/hr.db"\nquery = "SELECT * FROM staff"\nkey = "id"\n'
    )
    assert ("ok", "the file is opened to read only") in told(house)
    assert not [words for _, words in told(house) if words.startswith("the file:")]


def test_sql_server_is_told_to_have_no_read_only_transaction(house: Firm) -> None:
    put_source(house, 'kind = "sql"\nurl = "mssql://hr:x@127.0.0.1:1/hr"\nquery = "SELECT * FROM staff"\nkey = "id"\n')
    ((words, kept),) = checking.told_of_writing(load(house.folder / "scimsync.toml"))
    assert not kept
    assert words.startswith("the database has no read-only transaction: a query that holds a word that writes is not")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://x@h/d", True),
        ("mysql://x@h/d", True),
        ("mariadb://x@h/d", True),
        ("oracle://x@h/d", True),
        ("snowflake://x@h/d", False),
    ],
)
def test_each_database_is_told_by_what_it_keeps(url: str, kept: bool) -> None:
    assert SqlSource(url, "SELECT 1", "").guard[1] is kept
