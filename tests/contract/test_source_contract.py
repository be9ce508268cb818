"""What every source promises, whatever its technology: one suite, run against each adapter."""

from __future__ import annotations

import csv
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import duckdb
import psycopg
import pytest
from tests.mariadb import cursor_of, mariadb_url
from tests.postgres import postgres_url
from tests.rest_servers import People, serving
from tests.sheets import write_ods, write_xlsx
from tests.slapd import PASSWORD, READER, Slapd, person
from tests.slapd import PEOPLE as BELOW

from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.source_asking import Access
from scimsync.adapters.source_file import CsvSource, JsonlSource, ParquetSource
from scimsync.adapters.source_ldap import LdapSource
from scimsync.adapters.source_ldap_wire import LdapAccess
from scimsync.adapters.source_pages import Paging, Question
from scimsync.adapters.source_rest import RestSource
from scimsync.adapters.source_sheet import SheetSource
from scimsync.adapters.source_sql import SqlSource
from scimsync.engine.ports import Source
from scimsync.errors import SourceError
from scimsync.model.records import Reading

Person = tuple[str, str | None, str | None]

COLUMNS = ("employee_id", "Full Name", "job_title")
PEOPLE: list[Person] = [
    ("E0", 'Zoë "Zo" O\'Neil, jr.', None),
    ("E1", " blanks kept ", "=cmd()"),
    ("E2", "名前", "+1 555"),
    *((f"E{i}", f"Person {i}", "Agent") for i in range(3, 5_003)),
]


@dataclass(frozen=True)
class Kind:
    """One adapter: how to write people for it and make the source, and what it promises about places."""

    make: Callable[[list[Person], str], Source]
    first: int
    place: str
    proven: bool


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with postgres_url() as url:
        yield url


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    with mariadb_url() as url:
        yield url


def _csv(folder: Path) -> Callable[[list[Person], str], Source]:
    def make(people: list[Person], key: str) -> Source:
        path = folder / "people.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *people])
        return CsvSource(path, key)

    return make


def _jsonl(folder: Path) -> Callable[[list[Person], str], Source]:
    def make(people: list[Person], key: str) -> Source:
        path = folder / "people.jsonl"
        lines = (json.dumps(dict(zip(COLUMNS, person, strict=True))) + "\n" for person in people)
        path.write_text("".join(lines), encoding="utf-8")
        return JsonlSource(path, key)

    return make


def _parquet(folder: Path) -> Callable[[list[Person], str], Source]:
    def make(people: list[Person], key: str) -> Source:
        path = folder / "people [1] *.parquet"
        told = folder / "people.json"
        told.write_text(json.dumps([dict(zip("abc", person, strict=True)) for person in people]))
        names = ", ".join(f'{letter} AS "{name}"' for letter, name in zip("abc", COLUMNS, strict=True))
        with duckdb.connect() as duck:
            duck.execute("CREATE TABLE people (a VARCHAR, b VARCHAR, c VARCHAR)")
            if people:
                duck.execute("INSERT INTO people SELECT a, b, c FROM read_json(?)", [str(told)])
            duck.execute(f"COPY (SELECT {names} FROM people) TO '{path}' (FORMAT parquet)")
        return ParquetSource(path, key)

    return make


def _sheet(folder: Path, ending: str) -> Callable[[list[Person], str], Source]:
    def make(people: list[Person], key: str) -> Source:
        path = folder / f"people.{ending}"
        write = write_ods if ending == "ods" else write_xlsx
        return SheetSource(write(path, [COLUMNS, *people]), key)

    return make


CREATE = 'CREATE TABLE people (employee_id text, "Full Name" text, job_title text)'


def _sqlite(folder: Path) -> Callable[[list[Person], str], Source]:
    def make(people: list[Person], key: str) -> Source:
        path = folder / "hr ä?.db"
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(CREATE)
            database.executemany("INSERT INTO people VALUES (?, ?, ?)", people)
        return SqlSource(f"sqlite:///{path}".replace("?", "%3F"), "SELECT * FROM people ORDER BY rowid", key)

    return make


def _postgresql(url: str) -> Callable[[list[Person], str], Source]:
    def make(people: list[Person], key: str) -> Source:
        with psycopg.connect(url) as database, database.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS people")
            cursor.execute(CREATE)
            with cursor.copy("COPY people FROM STDIN") as copy:
                for person in people:
                    copy.write_row(person)
        return SqlSource(url, "SELECT * FROM people", key)

    return make


def _ldap(folder: Path, servers: ExitStack) -> Callable[[list[Person], str], Source]:
    def make(people: list[Person], key: str) -> Source:
        items = [person(one, description=name, title=title) for one, name, title in people]
        server = servers.enter_context(Slapd(folder, items))
        return LdapSource(
            access=LdapAccess(url=server.url, username=READER, password=PASSWORD),
            base=BELOW,
            key=key,
            attributes=dict(zip(COLUMNS, ("uid", "description", "title"), strict=True)),
        )

    return make


#: each kind of paging, and how it is asked for
PAGINGS = {
    "rest-page": Paging(kind="page", size=100, size_parameter="limit"),
    "rest-cursor": Paging(kind="cursor", next="meta.cursor"),
    "rest-link": Paging(kind="link"),
}


@pytest.fixture
def api() -> Iterator[People]:
    people = People()
    people.throttles = 20
    with serving(people):
        yield people


def _rest(api: People, paging: Paging) -> Callable[[list[Person], str], Source]:
    def make(people: list[Person], key: str) -> Source:
        api.records = [{"id": one, "name": {"full": name}, "job": {"title": title}} for one, name, title in people]
        return RestSource(
            question=Question(url=f"{api.address}/people"),
            key=key,
            columns=dict(zip(COLUMNS, ("id", "name.full", "job.title"), strict=True)),
            records="data.employees",
            paging=paging,
            total="meta.total",
            access=Access(token="not-a-secret"),
            requests_per_minute=0,
            clock=SystemClock(),
            rng=random.Random(1),
        )

    return make


def _mariadb(url: str) -> Callable[[list[Person], str], Source]:
    def make(people: list[Person], key: str) -> Source:
        with cursor_of(url) as cursor:
            cursor.execute("DROP TABLE IF EXISTS people")
            cursor.execute(CREATE.replace('"', "`"))
            cursor.executemany("INSERT INTO people VALUES (%s, %s, %s)", people)
        return SqlSource(url, "SELECT * FROM people", key)

    return make


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=[*PAGINGS, "csv", "jsonl", "parquet", "xlsx", "ods", "sqlite", "postgresql", "mariadb", "ldap"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    match request.param:
        case "ldap":
            make = _ldap(tmp_path, request.getfixturevalue("servers"))
            return Kind(make=make, first=1, place="entry", proven=True)
        case "rest-page" | "rest-cursor" | "rest-link":
            api = request.getfixturevalue("api")
            return Kind(make=_rest(api, PAGINGS[request.param]), first=1, place="row", proven=True)
        case "csv":
            return Kind(make=_csv(tmp_path), first=2, place="line", proven=False)
        case "jsonl":
            return Kind(make=_jsonl(tmp_path), first=1, place="line", proven=False)
        case "parquet":
            return Kind(make=_parquet(tmp_path), first=1, place="row", proven=True)
        case "xlsx" | "ods":
            return Kind(make=_sheet(tmp_path, request.param), first=2, place="row", proven=True)
        case "sqlite":
            return Kind(make=_sqlite(tmp_path), first=1, place="row", proven=True)
        case "mariadb":
            url = request.getfixturevalue("mariadb")
            return Kind(make=_mariadb(url), first=1, place="row", proven=True)
        case _:
            url = request.getfixturevalue("postgres")
            return Kind(make=_postgresql(url), first=1, place="row", proven=True)


def _walk(reading: Reading) -> tuple[list[tuple[object, ...]], list[int]]:
    batches = list(reading.batches)
    assert all(len(batch.rows) == len(batch.places) for batch in batches)
    rows = [tuple(row) for row in chain.from_iterable(batch.rows for batch in batches)]
    return rows, list(chain.from_iterable(batch.places for batch in batches))


def test_the_same_people_come_out_in_the_same_order_with_their_places(kind: Kind) -> None:
    reading = kind.make(PEOPLE, "employee_id").read()
    rows, places = _walk(reading)
    assert reading.columns == COLUMNS
    assert rows == PEOPLE
    assert places == list(range(kind.first, kind.first + len(PEOPLE)))
    assert reading.place == kind.place


def test_a_reading_says_whether_it_is_proven_whole(kind: Kind) -> None:
    reading = kind.make(PEOPLE[:3], "employee_id").read()
    assert reading.proven is kind.proven
    _walk(reading)


def test_batches_are_bounded_and_none_is_empty(kind: Kind) -> None:
    sizes = [len(batch.rows) for batch in kind.make(PEOPLE, "employee_id").read().batches]
    assert max(sizes) <= 5_000
    assert min(sizes) > 0
    assert sum(sizes) == len(PEOPLE)


def test_an_empty_source_is_refused(kind: Kind) -> None:
    source = kind.make([], "employee_id")
    with pytest.raises(SourceError, match=r"no records|is empty|returned nothing") as caught:
        _walk(source.read())
    assert "\n" not in str(caught.value)


def test_a_missing_key_column_is_refused_at_once_with_the_columns_and_a_suggestion(kind: Kind) -> None:
    source = kind.make(PEOPLE[:3], "employeeid")
    with pytest.raises(SourceError) as caught:
        source.read()
    message = str(caught.value)
    assert "no key column 'employeeid'" in message
    assert all(repr(column) in message for column in COLUMNS)
    assert "Did you mean 'employee_id'?" in message
    assert "Zoë" not in message


def test_a_second_read_gives_the_same(kind: Kind) -> None:
    source = kind.make(PEOPLE[:50], "employee_id")
    assert _walk(source.read()) == _walk(source.read())


def test_a_reading_that_is_not_walked_to_its_end_leaves_nothing_open(kind: Kind) -> None:
    source = kind.make(PEOPLE, "employee_id")
    source.read()
    next(iter(source.read().batches))
    assert len(_walk(source.read())[0]) == len(PEOPLE)


def test_a_source_has_a_name_without_secrets(kind: Kind) -> None:
    name = kind.make(PEOPLE[:3], "employee_id").name
    assert name
    assert "not-a-secret" not in name
