"""Records that share a key: equal ones are one, others are held, and a source that multiplies people is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, codes, house


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=30) as found:
        found.settle()
        yield found


def double(home: House, number: int, **columns: str) -> list[str]:
    """Write the records of some active people twice, the second with other values in some columns."""
    keys = [one.employee_id for one in home.active(number)]
    for key in keys:
        home.hr("CREATE TABLE again AS SELECT * FROM employee WHERE employee_id = ?", key)
        for column, value in columns.items():
            home.hr(f"UPDATE again SET {column} = ?", value)
        home.hr("INSERT INTO employee SELECT * FROM again")
        home.hr("DROP TABLE again")
    return keys


def test_records_that_say_the_same_are_one_person_who_is_written(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, job_title="Lead")
    double(home, 1)
    made, report = home.sync()
    assert report.clean
    assert home.account(who)["title"] == "Lead"
    assert [(f.code, f.holds) for f in made.findings if f.subject == who.employee_id] == [("record.repeated", False)]
    assert made.tally.held == 0
    home.quiet()


def test_records_that_differ_in_one_value_are_held_as_before(home: House) -> None:
    (key,) = double(home, 1, job_title="Other")
    made, _ = home.sync()
    assert [(f.code, f.holds) for f in made.findings if f.subject == key] == [("record.duplicate-key", True)]
    assert made.tally.held == 1


def test_an_equal_leaver_who_comes_twice_loses_access(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, status="inactive")
    double(home, 1)
    home.sync()
    assert home.account(who)["active"] is False


def test_a_double_that_says_otherwise_about_access_is_held_and_the_leaver_is_told(home: House) -> None:
    (key,) = double(home, 1, status="inactive")
    made, _ = home.sync()
    assert "record.duplicate-key" in {f.code for f in made.findings if f.subject == key}
    assert made.tally.leavers_kept == 1


def test_a_query_that_multiplies_people_is_said_with_the_columns_that_differ(home: House) -> None:
    double(home, 8, job_title="Other")
    made = home.plan()
    (found,) = [f for f in made.findings if f.code == "source.multiplied"]
    assert "8 of 30 keys, up to 2 times; they differ in job_title" in found.detail


def test_two_doubles_are_no_multiplied_source(home: House) -> None:
    double(home, 2, job_title="Other")
    assert "source.multiplied" not in codes(home.plan())
