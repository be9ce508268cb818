"""Whole runs on the simulator with records that hold from a day and until a day, and plans for a day to come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.runs import SOURCE_SQL, House, actions, house, row

TODAY = datetime.now(UTC).date()
DAYS = f'{SOURCE_SQL}valid_from = "hire_date"\nvalid_until = "end_date"\n'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        found.hr("ALTER TABLE employee ADD COLUMN end_date TEXT")
        found.hr("UPDATE employee SET hire_date = '2020-01-01' WHERE hire_date > ?", str(TODAY))
        found.configure(source=DAYS)
        found.settle()
        yield found


def test_whoever_comes_waits_for_the_day_and_whoever_ended_leaves(home: House) -> None:
    stays, ended = home.active(2)
    new = home.newcomer(1, hire_date=str(TODAY + timedelta(days=7)))
    home.hr(f"INSERT INTO employee VALUES ({', '.join('?' for _ in row(new))}, NULL)", *row(new))
    home.hr("UPDATE employee SET end_date = ? WHERE employee_id = ?", str(TODAY + timedelta(days=1)), stays.employee_id)
    home.hr("UPDATE employee SET end_date = ? WHERE employee_id = ?", str(TODAY - timedelta(days=1)), ended.employee_id)
    said = home.command("sync")
    assert said.code == 0, said.out + said.err
    assert "the end date has passed" in said.out
    assert "to come: 1 person joins, 1 person leaves within 30 days" in said.out
    assert f"{TODAY + timedelta(days=7)}  {new.employee_id} joins" in said.out
    assert (home.account(ended)["active"], home.account(stays)["active"]) == (False, True)
    assert home.accounts(new.email) == []


def test_a_plan_for_a_day_to_come_is_read_and_never_applied(home: House) -> None:
    leaves = home.active(1)[0]
    home.hr(
        "UPDATE employee SET end_date = ? WHERE employee_id = ?", str(TODAY + timedelta(days=3)), leaves.employee_id
    )
    day = str(TODAY + timedelta(days=4))
    said = home.command("plan", "--as-of", day, "--json")
    assert said.code == 0, said.err
    made = json.loads(said.out)
    assert (made["as_of"], made["actions"]) == (day, {"disable": 1})
    assert made["coming"] == [{"key": leaves.employee_id, "lifecycle": "leaver", "day": day}]
    said = home.command("plan", "--as-of", day, "--out", "later.ndjson")
    said = home.command("plan", "verify", "later.ndjson")
    assert (said.code, f"it was made as of {day}" in said.out) == (4, True), "verify says what apply would"
    told = home.command("explain", leaves.employee_id).out
    assert f"By HR this person leaves on {day}." in told
    said = home.command("apply", "--yes")
    assert said.code == 4
    assert f"it was made as of {day}" in said.err
    assert home.account(leaves)["active"] is True
    shown = home.command("runs", made["id"])
    assert f"made as of {day}, from what HR says today; it cannot be applied" in shown.out
    assert actions(home.plan()) == {}
    home.quiet()


def test_a_plan_for_a_day_needs_a_source_that_has_days(home: House) -> None:
    said = home.command("plan", "--as-of", str(TODAY - timedelta(days=1)))
    assert (said.code, "that day is gone" in said.err) == (2, True)
    home.configure()
    said = home.command("plan", "--as-of", str(TODAY))
    assert (said.code, "valid_from" in said.err) == (2, True)


def test_explain_tells_who_ended_and_who_comes(home: House) -> None:
    (ended,) = home.active(1)
    new, day = home.newcomer(1, hire_date=str(TODAY + timedelta(days=7))), TODAY + timedelta(days=7)
    home.hr(f"INSERT INTO employee VALUES ({', '.join('?' for _ in row(new))}, NULL)", *row(new))
    home.hr("UPDATE employee SET end_date = ? WHERE employee_id = ?", str(TODAY - timedelta(days=1)), ended.employee_id)
    said = home.command("explain", ended.employee_id, "active", "--offline")
    assert said.code == 0, said.err
    assert "the record has ended, so access is taken away" in said.out
    said = home.command("explain", new.employee_id, "--offline")
    assert f"no record with this key that holds today; the next one holds from {day} on" in said.out
    assert "any more" not in said.out
