"""Whole runs from a real MariaDB: the first day, a quiet one, the second exact; nobody leaves by a cut answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.mariadb import PASSWORD, cursor_of, mariadb_url
from tests.servers import Firm, Provider, firm, person

from scimsync.adapters.source_sql import SqlSource
from scimsync.errors import SourceError

#: the last row comes only when somebody ends the sleep
STALLED = "SELECT * FROM staff WHERE IF(id = 29, SLEEP(120), 0) = 0 ORDER BY id"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with mariadb_url() as found:
        yield found


@pytest.fixture
def house(url: str, tmp_path: Path) -> Iterator[Firm]:
    with cursor_of(url) as cursor:
        cursor.execute("DROP TABLE IF EXISTS staff")
        cursor.execute("CREATE TABLE staff (id INT PRIMARY KEY, login TEXT, name TEXT, status TEXT, title TEXT)")
        cursor.executemany(
            "INSERT INTO staff VALUES (%s, %s, %s, %s, %s)", [tuple(person(n).values()) for n in range(30)]
        )
    with firm(tmp_path, Provider()) as found:
        ask(found, url, "SELECT * FROM staff ORDER BY id")
        yield found


def ask(given: Firm, url: str, query: str) -> None:
    """Have the query be the source."""
    file = given.folder / "scimsync.toml"
    _, _, rest = file.read_text().partition("[target]")
    head = f'[source]\nkind = "sql"\nname = "staff"\nurl = "{url}"\nquery = "{query}"\nkey = "id"\n'
    file.write_text(f"{head}[target]{rest}")


def accounts(given: Firm) -> dict[str, tuple[bool, str]]:
    return {user["externalId"]: (user["active"], user["title"]) for user in given.provider.users.values()}


def test_the_first_day_the_quiet_one_and_the_second_to_the_letter(house: Firm, url: str) -> None:
    _, report = house.sync()
    assert report.clean
    assert accounts(house) == {str(n): (True, "T") for n in range(30)}
    house.quiet()
    with cursor_of(url) as cursor:
        cursor.execute("UPDATE staff SET title = 'Lead' WHERE id = 3")
        cursor.execute("UPDATE staff SET status = 'left' WHERE id = 7")
        cursor.execute("DELETE FROM staff WHERE id = 20")
        cursor.execute("INSERT INTO staff VALUES (%s, %s, %s, %s, %s)", tuple(person(30).values()))
    made, report = house.sync()
    assert {change.key for change in made.changes} == {"3", "7", "20", "30"}
    assert report.clean
    assert accounts(house) == {str(n): (n not in {7, 20}, "Lead" if n == 3 else "T") for n in range(31)}
    house.quiet()


@pytest.mark.parametrize(
    ("kill", "told"),
    [("KILL CONNECTION", "nothing of them is used"), ("KILL QUERY", "The database ended the query")],
)
def test_a_query_that_is_killed_half_way_makes_nobody_a_leaver(house: Firm, url: str, kill: str, told: str) -> None:
    house.sync()
    before, asked = accounts(house), len(house.provider.asked)
    ask(house, url, STALLED)
    with cursor_of(url) as cursor:
        cursor.execute("UPDATE staff SET title = 'Lead' WHERE id = 3")
    killer = threading.Thread(target=end_sleeper, args=(url, kill))
    killer.start()
    said = house.command("sync")
    killer.join()
    assert said.code == SourceError.exit_code
    assert told in said.err
    assert PASSWORD not in said.out + said.err
    assert accounts(house) == before
    assert {one.method for one in house.provider.asked[asked:]} <= {"GET"}
    ask(house, url, "SELECT * FROM staff ORDER BY id")
    made, _ = house.sync()
    assert [change.key for change in made.changes] == ["3"]


def end_sleeper(url: str, kill: str) -> None:
    """Kill whoever sleeps inside of a query, as an administrator does."""
    asleep = "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'"
    for _ in range(600):
        with cursor_of(url) as cursor:
            if cursor.execute(asleep):
                cursor.execute(f"{kill} {cursor.fetchone()[0]}")
                return
        time.sleep(0.1)


def test_a_limit_of_the_server_on_every_select_does_not_pass_for_the_whole_company(house: Firm, url: str) -> None:
    limited = f"{url}?init_command=SET%20sql_select_limit%3D10"
    found = SqlSource(limited, "SELECT * FROM staff", "id").read()
    assert sum(len(batch.rows) for batch in found.batches) == 30
