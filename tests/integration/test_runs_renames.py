"""Whole runs on the simulator in which HR gives a person a new key, and nothing that is matched stays the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.runs import House, actions, codes, house

from scimsync.errors import PlanStale
from scimsync.model.plans import Finding, Plan
from scimsync.simulator.people import Person


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        found.settle()
        yield found


def again(home: House, who: Person) -> Person:
    """HR closes the record of a person and opens another, with a new number, login and address."""
    home.dismiss(who)
    new = replace(who, employee_id="N77777", email="new.address@example.com", manager_id=None)
    home.hire(new)
    return new


def told(made: Plan) -> list[Finding]:
    return [finding for finding in made.findings if finding.code == "rename.suspected"]


def test_a_suspected_rename_is_held_until_a_person_says_that_they_are_one(home: House) -> None:
    mover = home.active(1)[0]
    before = home.account(mover)
    again(home, mover)
    said = home.command("sync")
    assert said.code == 11
    assert "leaver.kept: 1 person left and keeps access" in said.err
    assert f"{mover.employee_id} (rename.suspected)" in said.err
    assert home.account(mover) == before
    (finding,) = told(home.plan())
    assert (finding.subject, home.accounts("new.address@example.com")) == ("N77777", [])
    words = finding.hint.partition("one person: scimsync ")[2].partition(' --reason "..."')[0].split()
    assert words == ["link", "N77777", before["id"], "--from", mover.employee_id]
    assert home.command(*words, "--reason", "a new contract").code == 0
    made, report = home.sync()
    assert (actions(made), told(made), report.clean) == ({"N77777": "update"}, [], True)
    after = home.account("new.address@example.com")
    assert (after["id"], after["externalId"], after["active"]) == (before["id"], "N77777", True)
    home.quiet()


def test_two_people_who_were_told_apart_are_never_asked_about_again(home: House) -> None:
    leaver = home.active(1)[0]
    account = home.account(leaver)["id"]
    again(home, leaver)
    home.sync()
    made = home.plan()
    words = told(made)[0].hint.partition("two people: scimsync ")[2].partition(' --reason "..."')[0].split()
    assert words == ["link", "N77777", account, "--different"]
    said = home.command(*words, "--reason", "father and son")
    assert said.code == 0
    assert f"The account is that of {leaver.employee_id}. Nobody is asked about these two again." in said.out
    with pytest.raises(PlanStale):
        home.apply(made.id)
    made, report = home.sync()
    assert actions(made) == {"N77777": "create", leaver.employee_id: "disable"}
    assert (report.clean, codes(made) & {"rename.suspected", "leaver.kept"}) == (True, set())
    assert home.account(leaver)["active"] is False
    home.quiet()


def test_what_cannot_be_told_apart_is_said(home: House) -> None:
    someone = home.active(1)[0]
    mine = home.account(someone)["id"]
    for words, why in (
        (("link", someone.employee_id, mine, "--different"), "To part them: scimsync link --unlink"),
        (("link", "E-nobody", mine, "--different"), "neither the source nor a link knows this key"),
        (("link", someone.employee_id, "--different"), "give KEY and ACCOUNT"),
        (("link", someone.employee_id, mine, "--different", "--from", "x"), "no --unlink or --from"),
    ):
        said = home.command(*words, "--reason", "because")
        assert (said.code, why in said.err) == (2, True), said.err


def test_policy_may_want_to_be_told_only(home: House) -> None:
    text = home.file.read_text(encoding="utf-8")
    home.file.write_text(text.replace("[correlation]\n", '[correlation]\nrenames = "tell"\n'), encoding="utf-8")
    leaver = home.active(1)[0]
    again(home, leaver)
    made, report = home.sync()
    assert actions(made) == {"N77777": "create", leaver.employee_id: "disable"}
    assert ([f.subject for f in told(made)], report.clean) == (["N77777"], True)
