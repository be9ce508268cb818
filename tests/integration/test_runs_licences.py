"""A plan says which licences it needs, where the directory tells what follows from roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, house

from scimsync.cli.sample import ATTRIBUTES

#: roles follow from the title, so that a test moves them by it
ROLES = """\
roles = { value = "names(CASE job_title WHEN 'Lead' THEN 'employee;supervisor' ELSE 'employee;Agent' END)",\
 authority = "local_wins" }
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=12, inactive_roles="remove") as found:
        found.configure(attributes=ATTRIBUTES + ROLES)
        found.settle()
        yield found


def move(home: House) -> None:
    """Two join, one leaves, one is promoted."""
    leaver, mover = home.active(2)
    home.hire(home.newcomer(1, title="Agent"), home.newcomer(2, title="Lead"))
    home.set(leaver, status="left")
    home.set(mover, job_title="Lead")


def test_a_plan_says_which_licences_it_needs(home: House) -> None:
    move(home)
    made = home.plan()
    # collaborate: two come, one goes; engage1: one comes, the leaver and the promoted go; engage2: two
    assert made.tally.licences == {"collaborate": 1, "engage1": -1, "engage2": 2}
    assert home.stats()["license"] == 2, "each set of roles once"
    line = "Licences: +1 collaborate, +2 engage2, -1 engage1 (inferred from roles)"
    page = home.folder / "plan.html"
    assert line in home.command("plan", "--html", str(page)).out
    assert line.removeprefix("Licences: ") in page.read_text(encoding="utf-8")
    assert json.loads(home.command("plan", "--json").out)["tally"]["licences"] == made.tally.licences
    assert line in home.command("runs", made.id).out, "the plan file holds them"


def test_a_rehire_costs_what_a_leaver_saved(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, status="left")
    made, _ = home.sync()
    assert made.tally.licences == {"collaborate": -1, "engage1": -1}
    home.set(who, status="active")
    made, _ = home.sync()
    assert made.tally.licences == {"collaborate": 1, "engage1": 1}


def test_nobody_is_asked_where_nobodys_roles_or_state_change(home: House) -> None:
    home.set(home.active(1)[0], department="Elsewhere")
    assert home.plan().tally.licences == {}
    move(home)
    home.plan(home.active(1)[0].employee_id)
    assert home.stats()["license"] == 0, "nor for some people only"


@pytest.mark.parametrize(
    "fault",
    [
        {"on": "license", "status": 403},
        {"on": "license", "status": 404},
        {"on": "license", "status": 500},
        {"on": "license", "kind": "reset"},
        {"on": "license", "kind": "wrong_body"},
        {"on": "license", "kind": "html"},
    ],
)
def test_without_an_answer_the_plan_is_made_and_says_nothing_of_licences(home: House, fault: dict[str, object]) -> None:
    move(home)
    home.fault({**fault, "times": 0})
    made = home.plan()
    assert (made.tally.licences, made.tally.changes) == ({}, 4)
    assert "Licences" not in home.command("plan").out


def test_doctor_says_which_permission_it_takes(tmp_path: Path) -> None:
    with house(tmp_path, users=12, permissions="No Names") as home:
        home.configure(attributes=ATTRIBUTES + ROLES)
        said = home.command("doctor").out
        home.sync()
        home.hire(home.newcomer(1))
        assert home.plan().tally.licences == {}
    assert "authorization:role:view is missing, needed by roles to check names" in said
    assert "and to say which licences a plan needs" in said
