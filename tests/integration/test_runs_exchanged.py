"""Columns of a source that changed places: the plan is refused, and both are named, whatever the limits allow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, house

EXCHANGED = "source.exchanged"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=30) as found:
        found.settle()
        yield found


def refused(home: House) -> str:
    """What the refusal of the next plan tells; "" where there is none."""
    (told,) = [refusal.detail for refusal in home.plan().refusals] or [""]
    return told


def test_two_columns_exchanged_under_their_heads_stop_the_run_and_are_both_named(home: House) -> None:
    home.hr("UPDATE employee SET job_title = department, department = job_title")
    said = home.command("sync")
    assert said.code == 4, said.out
    assert EXCHANGED in said.out + said.err
    assert "title would get what enterprise:department holds" in said.out
    assert "enterprise:department would get what title holds" in said.out
    assert home.writes() == 0
    assert home.command("apply", "--yes", "--override", EXCHANGED, "--reason", "HR had them wrong").code == 0
    home.quiet()


def test_cells_that_stand_one_to_the_side_stop_the_run(home: House) -> None:
    home.hr("UPDATE employee SET job_title = department, department = phone, phone = job_title")
    assert refused(home).startswith("title would get what enterprise:department holds, for ")


def test_a_reorganisation_is_none_and_neither_are_a_few_people_whose_values_were_corrected(home: House) -> None:
    home.hr("UPDATE employee SET department = 'Night ' || department, job_title = 'Lead'")
    assert refused(home) == ""
    home.write_hr(home.people)
    for who in home.active(4):
        home.hr(
            "UPDATE employee SET job_title = department, department = job_title WHERE employee_id = ?", who.employee_id
        )
    assert refused(home) == ""
