"""MariaDB for real: what its columns hold, what is never sent to it, and what it complains of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import make_url
from tests.mariadb import PASSWORD, cursor_of, mariadb_url
from tests.postgres import postgres_url
from tests.servers import Provider, firm, person

from scimsync.adapters.source_sql import SqlSource
from scimsync.adapters.source_sql_drivers import missing
from scimsync.errors import SourceError


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with mariadb_url() as found:
        yield found


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    return [tuple(row) for batch in SqlSource(url, query, "").read().batches for row in batch.rows]


def refusal(url: str, query: str = "SELECT 1 AS id") -> str:
    with pytest.raises(SourceError) as caught:
        rows(url, query)
    told = str(caught.value)
    assert "\n" not in told
    assert PASSWORD not in told
    return told


def test_columns_keep_their_kinds_and_a_zero_date_is_a_text_of_one_person(url: str) -> None:
    with cursor_of(url) as cursor:
        cursor.execute("DROP TABLE IF EXISTS kinds")
        cursor.execute(
            "CREATE TABLE kinds (id INT, hired DATE, seen DATETIME, active TINYINT(1), pay DECIMAL(10,2),"
            " name VARCHAR(20) CHARACTER SET latin1)"
        )
        cursor.execute("INSERT INTO kinds VALUES (1, '2020-01-02', '2020-01-02 03:04:05', 1, 4711.10, 'Zoë ß €')")
        cursor.execute("INSERT INTO kinds VALUES (2, '0000-00-00', '0000-00-00', 0, 100.50, 'x')")
        cursor.execute("INSERT INTO kinds VALUES (3, '2020-00-00', NULL, NULL, NULL, '')")
    for address in (url, f"{url}?charset=latin1", url.replace("mysql+pymysql", "mariadb")):
        found = rows(address, "SELECT * FROM kinds ORDER BY id")
        assert found[0] == (1, dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5), 1, Decimal("4711.10"), "Zoë ß €")  # noqa: DTZ001 - it has none
        assert found[1] == (2, "0000-00-00", "0000-00-00 00:00:00", 0, Decimal("100.50"), "x")
        assert found[2] == (3, "2020-00-00", None, None, None, "")
        assert str(found[0][4]) == "4711.10"


def test_a_zero_date_stops_nobody_but_the_person_who_has_it(url: str, tmp_path: Path) -> None:
    with firm(tmp_path, Provider()) as house:
        with cursor_of(url) as cursor:
            cursor.execute("DROP TABLE IF EXISTS staff")
            cursor.execute("CREATE TABLE staff (id INT, login TEXT, name TEXT, status TEXT, title TEXT, hired DATE)")
            people = [tuple(person(n).values()) for n in range(1, 6)]
            days = ["2020-01-02", "2020-01-02", "0000-00-00", "2020-01-02", None]
            cursor.executemany(
                "INSERT INTO staff VALUES (%s, %s, %s, %s, %s, %s)",
                [(*one, day) for one, day in zip(people, days, strict=True)],
            )
        file = house.folder / "scimsync.toml"
        source = f'kind = "sql"\nurl = "{url}"\nquery = "SELECT * FROM staff ORDER BY id"\nkey = "id"\n'
        text = file.read_text()
        file.write_text(
            text.replace('kind = "csv"\npath = "hr.csv"\nkey = "id"\ncomplete = "assume"\n', source).replace(
                '"title" = "title"', '"title" = "CAST(hired AS VARCHAR)"'
            )
        )
        house.sync()
        titles = {user["externalId"]: user.get("title") for user in house.provider.users.values()}
        assert set(titles) == {"1", "2", "3", "4", "5"}
        assert titles["1"] == "2020-01-02"
        house.quiet()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 INTO OUTFILE '/tmp/scimsync-never'",
        "SELECT 1 INTO/**/DUMPFILE '/tmp/scimsync-never'",
        "SELECT 1 /*!50000 INTO OUTFILE '/tmp/scimsync-never' */",
        "SELECT 5--1 INTO OUTFILE '/tmp/scimsync-never'",
        "SELECT 1 # ' \n INTO outfile '/tmp/scimsync-never'",
        r"SELECT 'a\'' INTO OUTFILE '/tmp/scimsync-never' FROM dual WHERE '\'' = ''",
        "SELECT 1 /*M! FOR UPDATE */",
    ],
)
def test_a_query_that_would_write_a_file_is_not_sent(url: str, query: str) -> None:
    with cursor_of(url) as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
        before = int(cursor.fetchone()[1])
    told = refusal(url, query)
    assert "which can write, so it is not sent" in told
    assert not Path("/tmp/scimsync-never").exists()
    with cursor_of(url) as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
        assert int(cursor.fetchone()[1]) == before + 1, "nobody connected"


def test_rows_are_not_locked(url: str) -> None:
    with cursor_of(url) as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS locked (id INT) ENGINE=InnoDB")
    told = refusal(url, "SELECT id FROM locked FOR UPDATE")
    assert "write a query that changes nothing" in told


def test_complaints_are_told_with_the_step_that_helps(url: str) -> None:
    wrong = make_url(url)

    def shown(**parts: object) -> str:
        return wrong.set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]

    assert "Check user and password" in refusal(shown(password="wrong"))
    assert "grant SELECT on the database" in refusal(shown(database="secret"))
    assert "grant SELECT on the database" in refusal(shown(database="nowhere"))
    assert "can be reached from here" in refusal(shown(port=1))
    assert "Check the name of the table" in refusal(url, "SELECT * FROM nobody")
    assert "names of the columns" in refusal(url, "SELECT nothing FROM information_schema.tables")
    assert "try it in a database tool" in refusal(url, "SELECT FROM WHERE")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * INTO copy FROM people",
        "SELECT 1 DELETE FROM people",
        "WITH old AS (SELECT 1 AS id) DELETE FROM people WHERE id IN (SELECT id FROM old)",
        "SELECT 1 EXEC xp_cmdshell 'x'",
        "SELECT * FROM OPENROWSET('x', 'y', 'DELETE FROM z')",
    ],
)
def test_sql_server_knows_no_read_only_transaction_so_words_that_write_are_not_sent(query: str) -> None:
    assert "which can write" in refusal("mssql://hr:x@127.0.0.1:1/hr", query)


def test_names_and_texts_that_only_look_like_writing_are_sent_to_sql_server() -> None:
    query = "SELECT id, [update], 'DELETE' AS x, update_date FROM people -- INSERT"
    assert "which can write" not in refusal("mssql://hr:x@127.0.0.1:1/hr", query)


@pytest.mark.parametrize(
    ("driver", "told"),
    [
        ("pymysql", "pip install 'scimsync[mysql]'"),
        ("pymssql", "pip install 'scimsync[mssql]'"),
        ("oracledb", "pip install 'scimsync[oracle]'"),
        ("mysqldb", "pip install mysqlclient"),
        ("mysqlconnector", "pip install mysql-connector-python"),
        ("asyncpg", "postgresql+psycopg"),
        ("somebodys", "https://docs.sqlalchemy.org"),
    ],
)
def test_a_missing_driver_is_named_by_its_package_or_by_none(driver: str, told: str) -> None:
    said = missing(driver, driver)
    assert told in said
    assert ("pip install" in said) is ("pip install" in told)


@pytest.mark.parametrize("driver", ["mysql+mysqldb", "mysql+mysqlconnector", "mysql+aiomysql", "postgresql+asyncpg"])
def test_no_stranger_is_recommended(driver: str) -> None:
    told = refusal(f"{driver}://hr:x@127.0.0.1:1/hr")
    assert not told.rstrip().endswith(("pip install mysql", "pip install MySQLdb", "pip install asyncpg"))


def test_a_day_that_python_does_not_know_is_a_text_of_one_person() -> None:
    with postgres_url() as address:
        query = (
            "SELECT * FROM (VALUES (1, DATE 'infinity', TIMESTAMP '-infinity', 1.5::float8),"
            " (2, DATE '2020-01-02', TIMESTAMP '2020-01-02 03:04:05', 2)) AS p(id, until, seen, pay)"
        )
        assert rows(address, query) == [
            (1, "infinity", "-infinity", 1.5),
            (2, dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5), 2.0),  # noqa: DTZ001 - it has none
        ]
