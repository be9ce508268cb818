"""Limits as people meet them: through every door, on values that would be taken away, in words and exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import ATTRIBUTES, WIDE_LIMITS, House, codes, house

from scimsync.errors import PlanRefused

LIMITS = {**WIDE_LIMITS, "disable": "5%", "enable": "5%", "clear": "5%"}
HIRED = '"enterprise:dateHire"                = "hire_date"'
PARSED = "\"enterprise:dateHire\" = \"strftime(try_strptime(hire_date, '%Y-%m-%d'), '%Y-%m-%d')\""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=200) as made:
        assert HIRED in ATTRIBUTES
        made.configure(attributes=ATTRIBUTES.replace(HIRED, PARSED), limits=LIMITS)
        made.settle()
        yield made


def keys(home: House, number: int, start: int = 5) -> list[str]:
    return [who.employee_id for who in home.active(number, start)]


def change(home: House, expression: str, people: list[str]) -> None:
    home.hr(
        f"UPDATE employee SET {expression} WHERE employee_id IN (SELECT value FROM json_each(?))", json.dumps(people)
    )


def test_after_a_refusal_no_door_takes_access_away_in_small_steps(home: House) -> None:
    people = keys(home, 90)
    change(home, "status = 'inactive'", people)
    said = home.command("sync")
    assert said.code == 4
    refused = home.runs()[0].id
    for first in range(0, 9, 3):
        said = home.command("sync", *(word for key in people[first : first + 3] for word in ("--user", key)))
        assert said.code == 4
        assert refused in said.err
    with pytest.raises(PlanRefused, match=refused):  # as `serve --events` does
        home.apply(home.plan(people[20]).id)
    assert home.writes() == 0
    said = home.command("apply", refused, "--override", "limits.disable", "--reason", "site closed", "--yes")
    assert said.code == 0, said.err
    assert home.writes() == 90


def test_a_column_without_status_gives_no_access_back(home: House) -> None:
    change(home, "status = 'inactive'", keys(home, 30))
    made = home.plan(limits__disable="site closed")
    assert home.apply(made.id).clean
    home.reset()
    home.hr("UPDATE employee SET status = 'active'")
    assert "limits.enable" in {finding.code for finding in home.plan().refusals}
    said = home.command("sync")
    assert said.code == 4
    assert "limits.enable" in said.err
    assert home.writes() == 0


def test_another_form_of_the_dates_takes_no_date_away(home: House) -> None:
    change(home, "hire_date = replace(hire_date, '-', '.')", keys(home, 80))
    said = home.command("sync")
    assert "source.blanks  enterprise:dateHire" in said.out
    assert home.writes() == 0


def test_a_few_dates_of_another_form_are_left_alone_and_somebody_is_told(home: House) -> None:
    change(home, "hire_date = replace(hire_date, '-', '.')", keys(home, 18))
    change(home, "job_title = 'Lead'", keys(home, 2, 30))
    said = home.command("sync")
    assert said.code == 11
    assert "this run would clear enterprise:dateHire of 18 people; it is left alone there" in said.out
    assert home.writes() == 2
    said = home.command("sync", "--override", "limits.clear", "--reason", "HR has no dates for them")
    assert said.code == 0, said.out
    assert home.writes() == 20


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u2009\u200b"])
def test_a_phone_column_of_white_space_takes_no_phone_away(home: House, blank: str) -> None:
    home.hr(
        "UPDATE employee SET phone = ? WHERE employee_id IN (SELECT value FROM json_each(?))",
        blank,
        json.dumps(keys(home, 80)),
    )
    assert "source.blanks" in codes(home.plan())
    home.command("sync")
    assert home.writes() == 0


def test_words_that_stand_for_nothing_are_no_titles(home: House) -> None:
    source = 'kind = "sql"\nurl = "sqlite:///hr.db"\nquery = "SELECT * FROM employee"\nkey = "employee_id"\n'
    home.configure(source=f'{source}null_values = ["NULL", "#N/A"]\n', limits=LIMITS)
    change(home, "job_title = ' NULL '", keys(home, 40))
    change(home, "department = '#N/A'", keys(home, 2))
    home.command("sync")
    assert home.writes() == 2
    assert not [user for user in home.simulator.directory.users.values() if user.resource.get("title") == "NULL"]


def test_a_typing_error_in_protected_is_told(home: House) -> None:
    name = home.active(1)[0].email
    home.configure(limits=LIMITS, policy=f'protected = ["{name}", "x{name}"]')
    (found,) = [f for f in home.plan().findings if f.code == "policy.protected-unknown"]
    assert found.detail == f"x{name}; did you mean {name}?"
