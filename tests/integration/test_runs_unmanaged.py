"""Accounts that HR does not know: a list, of when it is, who is protected."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, house


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=20) as found:
        found.configure(policy=f'protected = ["{found.people[1].email.upper()}"]\n')
        found.write_hr(found.people[3:])
        yield found


def logins(home: House) -> list[str]:
    return sorted(one.email for one in home.people[:3])


def test_they_are_listed_as_the_latest_plan_found_them_before_anything_is_applied(home: House) -> None:
    made = home.plan()
    assert made.tally.unmanaged == 3
    told = json.loads(home.command("accounts", "--unmanaged", "--json").out)
    assert told["plan"] == made.id
    assert [one["login"].lower() for one in told["accounts"]] == [one.lower() for one in logins(home)]
    (guarded,) = [one for one in told["accounts"] if one["protected"]]
    assert guarded["login"] == home.people[1].email
    text = home.command("accounts", "--unmanaged").out
    assert text.startswith("3 accounts that HR does not know, as the directory was read on ")
    assert "protected" in text


def test_the_csv_names_each_and_opens_in_a_spreadsheet_as_what_it_is(home: House) -> None:
    home.edit(home.people[0], "displayName", "=HYPERLINK(1)")
    home.plan()
    assert home.command("accounts", "--unmanaged", "--csv", "who.csv").code == 0
    rows = list(csv.DictReader((home.folder / "who.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 3
    assert "'=HYPERLINK(1)" in {row["name"] for row in rows}
    assert (home.folder / "who.csv").stat().st_mode & 0o777 == 0o600


def test_after_a_run_and_a_link_who_has_a_person_by_now_is_none_of_them(home: House) -> None:
    home.sync()
    assert len(json.loads(home.command("accounts", "--unmanaged", "--json").out)["accounts"]) == 3
    who, newcomer = home.people[0], home.newcomer(1)
    home.hire(newcomer)
    home.command("link", newcomer.employee_id, who.email, "--reason", "the same person")
    left = json.loads(home.command("accounts", "--unmanaged", "--json").out)["accounts"]
    assert who.email not in {one["login"] for one in left}
    assert len(left) == 2


def test_a_look_at_one_person_leaves_the_list_as_it_was(home: House) -> None:
    made = home.plan()
    home.plan(home.people[5].employee_id)
    assert json.loads(home.command("accounts", "--unmanaged", "--json").out)["plan"] == made.id


def test_the_report_of_the_plan_names_them(home: House) -> None:
    home.command("plan", "--html", "plan.html")
    page = (home.folder / "plan.html").read_text(encoding="utf-8")
    assert "Accounts that HR does not know" in page
    assert home.people[0].email in page


def test_without_a_plan_it_is_said_how_to_get_the_list(home: House) -> None:
    said = home.command("accounts", "--unmanaged")
    assert said.code == 4
    assert "scimsync plan" in said.err
    assert home.command("accounts").code == 2
