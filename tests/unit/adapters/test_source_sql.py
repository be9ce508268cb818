"""Bad addresses, queries and values: each is refused in one paragraph that never shows the password."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path

import psycopg
import pytest
from tests.postgres import PASSWORD, free_port, postgres_url

from scimsync.adapters.source_sql import SqlSource
from scimsync.errors import SourceError


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with postgres_url() as url:
        with psycopg.connect(url) as database:
            database.execute(
                "CREATE TABLE people AS SELECT i::text AS id, 'Müller ' || i AS name FROM generate_series(1, 60000) i"
            )
            database.execute("CREATE SEQUENCE counter")
            database.execute("CREATE ROLE clerk LOGIN PASSWORD 'paper'")
        yield url


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    path = tmp_path / "hr.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE people (id TEXT, name TEXT)")
        database.execute("INSERT INTO people VALUES ('1', 'Müller'), ('2', NULL)")
    return f"sqlite:///{path}"


def rows(source: SqlSource) -> list[tuple[object, ...]]:
    return [tuple(row) for row in chain.from_iterable(batch.rows for batch in source.read().batches)]


def refusal(url: str, query: str = "SELECT * FROM people") -> str:
    with pytest.raises(SourceError) as caught:
        rows(SqlSource(url, query, "id"))
    message = str(caught.value)
    assert "\n" not in message
    assert PASSWORD not in message
    assert "hunter" not in message
    assert "Müller" not in message
    return message


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM staff", ["42P01", "staff", "Check the name of the table"]),
        ("SELECT salary FROM people", ["42703", "salary", "Check the names of the columns"]),
        ("SELECT password FROM people", ["42703", "Check the names of the columns"]),
        ("SELECT * FROM people WHERE", ["42601", "Correct query"]),
        ("SELECT name::int AS id FROM people", ["22P02", "cannot be converted", "Correct query"]),
        ("SELECT nextval('counter') AS id", ["25006", "changes nothing"]),
        ("WITH x AS (DELETE FROM people RETURNING *) SELECT * FROM x", ["changes nothing"]),
        ("SELECT * FROM people WHERE false", ["returned nothing", "WHERE clause"]),
        ("SELECT id, name AS id FROM people", ["two columns of the name 'id'", "AS"]),
        ('SELECT id, name AS "ID" FROM people', ["two columns of the name 'ID'"]),
        ("SELECT id, 'x'::bytea AS photo FROM people", ["row 1", "'photo' holds bytes", "CAST"]),
        ("SELECT id, '{}'::jsonb AS extra FROM people", ["row 1", "'extra' holds a dict", "CAST"]),
        ("SELECT id, ARRAY[name] AS skills FROM people", ["row 1", "'skills' holds a list"]),
        (
            "SELECT i::text AS id, 1 / (40000 - i) AS x FROM generate_series(1, 60000) i",
            ["broke off after at least", "22012", "nothing of them is used"],
        ),
    ],
)
def test_postgresql_refusals_say_where_what_and_what_next(postgres: str, query: str, told: list[str]) -> None:
    message = refusal(postgres, query)
    assert message.startswith("postgresql+psycopg://scimsync:***@127.0.0.1:")
    assert [text for text in told if text not in message] == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "selec",
        "DELETE FROM people",
        "SELECT 1; DELETE FROM people",
        "/* SELECT */ DROP TABLE people",
        "-- SELECT\nUPDATE people SET id = 1",
        "EXPLAIN SELECT 1",
        "PRAGMA user_version",
        "'SELECT'",
    ],
)
def test_only_one_statement_that_reads_is_accepted(sqlite: str, query: str) -> None:
    assert "must be one statement that begins with SELECT or WITH" in refusal(sqlite, query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM people WHERE id <> ';' ; ",
        "-- everybody; but\n  select * from people",
        "/* a; b */ WITH p AS (SELECT * FROM people) SELECT * FROM p",
        "SELECT * FROM people WHERE id NOT LIKE '%(x)s %' AND id <> ' :name'",
    ],
)
def test_comments_texts_and_percent_signs_are_left_alone(sqlite: str, postgres: str, query: str) -> None:
    assert len(rows(SqlSource(sqlite, query, "id"))) == 2
    assert len(rows(SqlSource(postgres, query, "id"))) == 60_000


def test_values_keep_their_kind(postgres: str) -> None:
    query = (
        "SELECT 7 AS id, 2.50::numeric AS m, 1.5::float8 AS f, true AS b, DATE '2024-02-29' AS d,"
        " TIMESTAMPTZ '2024-01-01 12:00:00+02' AS t, NULL AS n,"
        " '7c9e6679-7425-40de-944b-e07fc1f90ae7'::uuid AS u"
    )
    expected = (
        7,
        Decimal("2.50"),
        1.5,
        True,
        date(2024, 2, 29),
        datetime(2024, 1, 1, 10, tzinfo=UTC),
        None,
        "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    )
    assert rows(SqlSource(postgres, query, "id")) == [expected]


def test_the_short_names_of_postgresql_work(postgres: str) -> None:
    url = postgres.replace("postgresql://", "postgres://")
    assert rows(SqlSource(url, "SELECT '1' AS id", "id")) == [("1",)]


def test_a_connection_lost_on_the_way_is_no_short_reading(postgres: str) -> None:
    batches = iter(SqlSource(postgres, "SELECT * FROM people", "id").read().batches)
    next(batches)
    with psycopg.connect(postgres, autocommit=True) as database:
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    with pytest.raises(SourceError, match=r"broke off after at least 5,000 rows, and nothing of them is used"):
        list(batches)


def test_a_reading_sees_one_state_of_the_database(postgres: str) -> None:
    batches = iter(SqlSource(postgres, "SELECT * FROM people", "id").read().batches)
    seen = len(next(batches).rows)
    with psycopg.connect(postgres) as database:
        database.execute("CREATE TABLE IF NOT EXISTS gone AS SELECT * FROM people")
        database.execute("DELETE FROM people")
        database.commit()
        seen += sum(len(batch.rows) for batch in batches)
        database.execute("INSERT INTO people SELECT * FROM gone")
    assert seen == 60_000


def test_a_wrong_password_is_told_without_showing_it(postgres: str) -> None:
    message = refusal(postgres.replace(PASSWORD, "hunter2"))
    assert "Check user and password" in message


def test_a_missing_database_is_told(postgres: str) -> None:
    assert "Check the name of the database" in refusal(postgres.replace("/postgres", "/nowhere"))


def test_a_missing_permission_is_told(postgres: str) -> None:
    url = postgres.replace(f"scimsync:{PASSWORD}", "clerk:paper")
    assert "grant SELECT" in refusal(url)


@pytest.mark.parametrize("port", [None, 42221, 22501])
def test_an_unreachable_host_is_told_without_secrets_of_the_address(port: int | None) -> None:
    port = port or free_port()
    url = f"postgresql://hr:hunter2@127.0.0.1:{port}/hr?sslpassword=hunter3&sslmode=prefer"
    message = refusal(url)
    assert f"hr:***@127.0.0.1:{port}/hr?sslmode=prefer" in message
    assert "Check that host and port" in message


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("hunter2", "url under [source]"),
        ("postgresql://hr:hunter2@host:port/hr", "url under [source]"),
        ("klingon://hr:hunter2@host/hr", "knows no database 'klingon'"),
        ("postgresql+pg8000://hr:hunter2@host/hr", "pip install pg8000"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused(url: str, told: str) -> None:
    assert told in refusal(url)


def test_a_missing_psycopg_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    message = refusal("postgresql://hr:hunter2@host/hr")
    assert "pip install 'scimsync[postgres]'" in message


def test_a_missing_sqlite_file_is_refused_and_not_created(tmp_path: Path) -> None:
    message = refusal(f"sqlite:///{tmp_path}/hr.db")
    assert "there is no database file" in message
    assert not (tmp_path / "hr.db").exists()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM staff", "Check the name of the table"),
        ("SELECT salary FROM people", "Check the names of the columns"),
        ("SELECT * FROM people WHERE", "Correct query"),
        ("SELECT * FROM people WHERE id = 3", "returned nothing"),
        ("SELECT id, x'00' AS photo FROM people", "'photo' holds bytes"),
        ("SELECT id, CAST(x'4DFC' AS TEXT) AS name FROM people", "Could not decode to UTF-8 column"),
        ("WITH p AS (SELECT 1) DELETE FROM people", "changes nothing"),
    ],
)
def test_sqlite_refusals_say_what_next(sqlite: str, query: str, told: str) -> None:
    message = refusal(sqlite, query)
    assert message.startswith("sqlite:///")
    assert told in message


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hr.db").write_bytes(b"id,name\n" * 1_000)
    assert "another kind of file" in refusal(f"sqlite:///{tmp_path}/hr.db")


def test_a_locked_sqlite_file_is_told(sqlite: str) -> None:
    with closing(sqlite3.connect(sqlite.removeprefix("sqlite:///"))) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert "run again when it is finished" in refusal(sqlite)


def test_the_representation_and_the_name_hold_no_secret(postgres: str) -> None:
    source = SqlSource(postgres, "SELECT 1", "id")
    assert PASSWORD not in repr(source)
    assert source.name == "postgresql database postgres on 127.0.0.1"
    assert SqlSource("hunter2", "SELECT 1", "id").name == "SQL database"
