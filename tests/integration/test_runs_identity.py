"""Whole runs in which somebody could get, keep or lose the access of another: reused logins, new keys, two records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.runs import ENTERPRISE, GENESYS, House, actions, codes, house, outcome, status

from scimsync.errors import PlanStale
from scimsync.model.outcomes import Status
from scimsync.model.plans import Finding, Plan
from scimsync.simulator.entities import Actor
from scimsync.simulator.people import Person


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        found.settle()
        yield found


def about(made: Plan, key: str) -> list[Finding]:
    return [finding for finding in made.findings if finding.subject == key]


def follow(home: House) -> None:
    text = home.file.read_text(encoding="utf-8")
    home.file.write_text(text.replace("[correlation]\n", '[correlation]\nrekey = "follow"\n'), encoding="utf-8")


def renumber(home: House, who: Person, key: str) -> Person:
    home.hr("UPDATE employee SET employee_id = ? WHERE employee_id = ?", key, who.employee_id)
    return replace(who, employee_id=key)


def link(home: House, *words: str) -> str:
    said = home.command("link", *words, "--reason", "HR said so")
    assert said.code == 0, said.err
    return said.out


# --- another person with the login of a leaver ------------------------------------------------------------


def test_a_joiner_with_the_login_of_a_leaver_gets_nothing_and_the_leaver_is_disabled(home: House) -> None:
    leaver = home.active(1)[0]
    before = home.account(leaver)
    home.dismiss(leaver)
    home.hire(home.newcomer(1, email=leaver.email))
    made, report = home.sync()
    assert actions(made) == {leaver.employee_id: "disable"}
    assert "correlation.taken" in codes(made)
    assert report.clean
    after = home.account(leaver)
    assert after["active"] is False
    assert (after["displayName"], after[ENTERPRISE]) == (before["displayName"], before[ENTERPRISE])


def test_on_a_first_run_an_account_that_carries_another_number_is_not_written(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        other = home.active(1)[0]
        before = home.account(other)
        home.hr("UPDATE employee SET employee_id = '2050', manager_id = NULL WHERE employee_id = ?", other.employee_id)
        home.hr("UPDATE employee SET manager_id = NULL WHERE manager_id = ?", other.employee_id)
        made, _ = home.sync()
        assert "correlation.taken" in {finding.code for finding in about(made, "2050")}
        assert home.account(other) == before


# --- one person, another key ------------------------------------------------------------------------------


def test_a_renumbered_person_waits_until_somebody_links_the_new_key(home: House) -> None:
    mover = home.active(1)[0]
    before = home.account(mover)
    again = renumber(home, mover, "N77777")
    home.set(again, job_title="Team Lead")
    made, _ = home.sync()
    assert actions(made) == {}
    assert {finding.code for key in ("N77777", mover.employee_id) for finding in about(made, key)} == {
        "correlation.contested",
        "leaver.kept",
    }
    assert home.account(mover) == before
    said = link(home, "N77777", before["id"], "--from", mover.employee_id)
    assert f"{mover.employee_id} has it no more" in said
    _, report = home.sync()
    assert report.clean
    after = home.account(mover)
    assert (after["id"], after["active"], after["externalId"]) == (before["id"], True, "N77777")
    assert after["title"] == "Team Lead"
    home.quiet()


def test_under_follow_the_account_goes_with_its_person_and_the_plan_says_so(home: House) -> None:
    mover = home.active(1)[0]
    before = home.account(mover)["id"]
    renumber(home, mover, "N77777")
    follow(home)
    made, report = home.sync()
    assert actions(made) == {"N77777": "update"}
    assert made.moved == {"N77777": mover.employee_id}
    assert "correlation.rekeyed" in codes(made)
    assert report.clean
    assert (home.account(mover)["id"], home.account(mover)["externalId"]) == (before, "N77777")
    home.quiet()


def test_under_follow_an_edit_of_the_directory_is_judged_as_that_of_a_linked_person(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.configure(authority="ask")
        follow(home)
        mover = home.active(1)[0]
        renumber(home, mover, "N77777")
        made, report = home.sync()
        assert report.clean
        assert not made.notices, "what was agreed under the old key is the base of the new one"
        assert home.account(mover)["externalId"] == "N77777"


def test_a_contractor_who_turned_employee_keeps_access_under_a_new_record(home: House) -> None:
    person = home.active(1)[0]
    account = home.account(person)["id"]
    home.set(person, status="inactive")
    home.hire(replace(person, employee_id="E-7990", manager_id=None))
    for _ in range(2):
        made, _ = home.sync()
        assert actions(made) == {}
        assert home.account(person)["active"] is True
    assert {finding.code for finding in about(made, person.employee_id)} == {
        "correlation.contested",
        "leaver.kept",
    }
    link(home, "E-7990", person.email, "--from", person.employee_id)
    _, report = home.sync()
    assert report.clean
    assert (home.account(person)["id"], home.account(person)["externalId"]) == (account, "E-7990")
    assert home.account(person)["active"] is True
    home.quiet()


def test_a_rehire_under_a_new_number_gets_the_old_account_back_once_somebody_says_so(home: House) -> None:
    person = home.active(1)[0]
    account = home.account(person)["id"]
    home.dismiss(person)
    home.sync()
    assert home.account(person)["active"] is False
    home.hire(replace(person, employee_id="N88888", manager_id=None))
    made, _ = home.sync()
    assert actions(made) == {}
    assert {finding.code for finding in about(made, "N88888")} == {"correlation.contested"}
    assert about(made, person.employee_id) == [], "nobody waits for a person who left long ago"
    link(home, "N88888", account, "--from", person.employee_id)
    made, report = home.sync()
    assert actions(made) == {"N88888": "enable"}
    assert report.statuses.keys() == {"done"}
    assert home.account(person)["active"] is True
    home.quiet()


def test_keys_that_lost_their_zeros_stop_the_run_before_anybody_is_doubled(home: House) -> None:
    home.configure(limits={})
    home.hr("UPDATE employee SET employee_id = 'X' || employee_id, manager_id = 'X' || manager_id")
    made = home.plan()
    assert [finding.code for finding in made.refusals] == ["source.keys-changed"]
    assert actions(made) == {}


# --- linking and parting ------------------------------------------------------------------------------------


def test_a_plan_from_before_a_link_is_stale(home: House) -> None:
    mover = home.active(1)[0]
    renumber(home, mover, "N77777")
    made = home.plan()
    link(home, "N77777", mover.email, "--from", mover.employee_id)
    with pytest.raises(PlanStale, match="linked or parted since"):
        home.apply(made.id)


def test_who_was_parted_stays_parted_and_nothing_of_it_is_written(home: House) -> None:
    person = home.active(1)[0]
    home.set(person, job_title="Team Lead")
    before = home.account(person)
    said = home.command("link", "--unlink", person.employee_id, "--reason", "a namesake")
    assert said.code == 0
    assert "stays active, and nobody has it" in said.out
    for _ in range(2):
        made, _ = home.sync()
        assert actions(made) == {}
        assert {finding.code for finding in about(made, person.employee_id)} == {"correlation.taken"}
        assert home.account(person) == before
    link(home, person.employee_id, before["id"])
    _, report = home.sync()
    assert report.clean
    assert home.account(person)["title"] == "Team Lead"
    home.quiet()


def test_a_link_is_recorded_with_its_reason(home: House) -> None:
    mover = home.active(1)[0]
    renumber(home, mover, "N77777")
    link(home, "N77777", mover.email, "--from", mover.employee_id)
    shown = home.command("audit", "show", "--user", "N77777").out
    assert "HR said so" in shown
    assert "linked" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("NOBODY", "{email}", "--reason", "x"), "neither the source nor a link knows this key"),
        (("{other}", "{email}", "--reason", "x"), "belongs to {key}. If {key} and {other} are one person"),
        (("{key}", "ghost@example.com", "--reason", "x"), "there is no account with the id or the login"),
        (("{key}", "{email}"), "--reason needs a text"),
        (("{key}", "--reason", "x"), "give KEY and ACCOUNT"),
        (("--unlink", "{key}", "{email}", "--reason", "x"), "--unlink takes KEY alone"),
        (("--unlink", "NOBODY", "--reason", "x"), "no account is linked"),
        (("{key}", "{unmanaged}", "--reason", "x"), "has another account"),
    ],
)
def test_a_link_that_cannot_be_is_refused_with_the_next_step(home: House, words: tuple[str, ...], told: str) -> None:
    person, other, third = home.active(3)
    home.command("link", "--unlink", third.employee_id, "--reason", "x")
    known = {
        "key": person.employee_id,
        "email": person.email,
        "other": other.employee_id,
        "unmanaged": third.email,
    }
    said = home.command("link", *(word.format(**known) for word in words))
    assert said.code == 2
    assert told.format(**known) in " ".join(said.faults)


# --- accounts that come back ----------------------------------------------------------------------------------


def unasked(home: House) -> None:
    """The client may not see deleted accounts, so only the answer to a creation shows that one came back."""
    home.option(permissions="No View")


def test_a_joiner_does_not_get_the_account_of_a_leaver_that_the_directory_brings_back(home: House) -> None:
    gone = home.active(1)[0]
    home.dismiss(gone)
    home.sync()
    home.delete(gone)
    new = home.newcomer(1, email=gone.email)
    home.hire(new)
    unasked(home)
    made, report = home.sync()
    assert "target.deleted-unseen" in {finding.code for finding in made.findings}
    assert (status(report, new), outcome(report, new).code) == (Status.HELD, "account.restored")
    assert f"linked to {gone.employee_id}" in outcome(report, new).detail
    assert home.account(gone)["active"] is False
    made, _ = home.sync()
    assert actions(made) == {}
    assert {finding.code for finding in about(made, new.employee_id)} == {"correlation.contested"}


def test_a_joiner_does_not_get_what_a_deleted_stranger_left(home: House) -> None:
    gone = home.newcomer(2)
    document = {"userName": gone.email, "displayName": "Old Hand", "title": "Chief"}
    skills = {"routingSkills": [{"name": "Billing", "proficiency": 3.0}]}
    home.simulator.directory.create({**document, GENESYS: skills}, Actor("by-hand", "POST"))
    home.delete(gone)
    new = home.newcomer(1, email=gone.email, mobile=None, skills=())
    home.hire(new)
    unasked(home)
    made = home.plan()
    report = home.apply(made.id)
    assert (status(report, new), outcome(report, new).code) == (Status.HELD, "account.restored")
    assert "routingSkills" in outcome(report, new).detail
    assert home.account(gone)["active"] is False
    account = home.account(gone)["id"]
    made, _ = home.sync()
    assert {finding.code for finding in about(made, new.employee_id)} == {"correlation.taken"}
    link(home, new.employee_id, account)
    _, report = home.sync()
    assert outcome(report, new).code == "account.stripped"  # it came back without roles
    assert home.account(gone)["active"] is True


def test_the_deleted_account_of_a_person_is_told_and_comes_back_as_theirs(home: House) -> None:
    person = home.active(1)[0]
    account = home.account(person)["id"]
    home.delete(person)
    made = home.plan()
    assert actions(made)[person.employee_id] == "create"
    (finding,) = about(made, person.employee_id)
    assert (finding.code, finding.holds) == ("account.gone", False)
    home.configure(policy='deleted = "restore"')
    made, report = home.sync()
    assert actions(made)[person.employee_id] == "restore"
    assert report.clean, report.outcomes
    assert (outcome(report, person).code, home.account(person)["id"]) == ("account.restored", account)
    assert "no roles" in outcome(report, person).detail
    home.quiet()


def test_somebodys_own_account_that_an_admin_deleted_comes_back_without_asking(home: House) -> None:
    person = home.active(1)[0]
    account = home.account(person)["id"]
    home.delete(person)
    _, report = home.sync()
    assert (outcome(report, person).status, outcome(report, person).code) == (Status.DONE, "account.restored")
    assert (home.account(person)["id"], home.account(person)["active"]) == (account, True)
    home.quiet()


def test_an_account_that_comes_back_with_nothing_but_a_high_version_is_held_too(home: House) -> None:
    gone = home.newcomer(2)
    home.simulator.directory.create({"userName": gone.email, "displayName": "Old Hand"}, Actor("by-hand", "POST"))
    for number in range(12):
        home.edit(home.account(gone)["id"], "displayName", f"Old Hand {number}")
    home.delete(gone)
    new = home.newcomer(1, email=gone.email, mobile=None, skills=())
    home.hire(new)
    unasked(home)
    _, report = home.sync()
    assert (status(report, new), outcome(report, new).code) == (Status.HELD, "account.restored")
    assert "meta.version" in outcome(report, new).detail
    assert home.account(gone)["active"] is False
