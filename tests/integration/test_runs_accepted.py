"""Findings that a person accepted until a day: quiet again, and never silent about access."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from tests.runs import ATTRIBUTES, House, house

from scimsync import bootstrap
from scimsync.bootstrap import now

UNTIL = str(now().date() + timedelta(days=30))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=20) as found:
        found.sync()
        yield found


def test_an_accepted_finding_is_shown_as_a_number_and_a_run_ends_with_0_again(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, phone="call me")
    assert home.command("sync").code == 11
    said = home.command(
        "findings", "accept", who.employee_id, "record.bad-phone", "--until", UNTIL, "--reason", "HR asks"
    )
    assert (said.code, said.err) == (0, "")
    assert UNTIL in said.out
    quiet = home.command("sync")
    assert quiet.code == 0, quiet.out
    assert "1 finding accepted" in quiet.out
    assert f"1 accepted: 1 record.bad-phone; the first until {UNTIL}" in quiet.out
    assert who.employee_id not in quiet.out
    told = json.loads(home.command("plan", "--json").out)
    assert told["tally"]["accepted"] == 1
    assert told["tally"]["values"] == 0
    assert [f["accepted"] for f in told["findings"] if f["code"] == "record.bad-phone"] == [UNTIL]
    audit = home.command("audit", "show", "--json").out
    assert '"finding"' in audit
    assert "HR asks" in audit
    assert home.command("audit", "verify").code == 0


def test_a_finding_that_is_forgotten_waits_again(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, phone="call me")
    home.command("sync")
    home.command("findings", "accept", who.employee_id, "record.bad-phone", "--until", UNTIL)
    assert home.command("findings", "forget", who.employee_id).code == 0
    assert home.command("sync").code == 11
    again = home.command("findings", "forget", who.employee_id)
    assert again.code == 2
    assert "nothing is accepted" in again.err


def test_an_acceptance_ends_with_its_day(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, phone="call me")
    home.command("sync")
    home.command("findings", "accept", who.employee_id, "record.bad-phone", "--until", UNTIL)
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        (one,) = store.acceptances()
        store.change_acceptances(
            [type(one)(**{n: getattr(one, n) for n in one.__slots__} | {"until": date(2020, 1, 1)})]
        )
    assert home.command("sync").code == 11
    assert "that day is gone" in home.command("findings").out


def test_the_same_trouble_with_another_attribute_is_another_finding(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, phone="call me")
    home.command("sync")
    home.command("findings", "accept", who.employee_id, "record.bad-phone", "--until", UNTIL)
    home.set(who, email="no address")
    assert home.command("sync").code == 11


def test_of_a_leaver_who_keeps_access_nothing_is_accepted(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, email="no address")
    home.command("sync")
    said = home.command("findings", "accept", who.employee_id, "record.bad-email", "--until", UNTIL)
    if said.code == 0:
        assert home.command("sync").code == 0
    home.set(who, status="inactive")
    ended = home.command("sync")
    assert home.account(who)["active"] is False or (ended.code == 11 and "leaver.kept" in ended.out)


def test_the_next_person_with_the_same_trouble_is_told(home: House) -> None:
    first, second = home.active(2)
    home.set(first, phone="call me")
    home.command("sync")
    home.command("findings", "accept", first.employee_id, "record.bad-phone", "--until", UNTIL)
    home.set(second, phone="call me")
    told = home.command("sync")
    assert told.code == 11
    assert second.employee_id in told.out


def test_what_is_about_access_cannot_be_accepted(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, status="perhaps")
    made = home.plan()
    (found,) = [f for f in made.findings if f.subject == who.employee_id]
    said = home.command("findings", "accept", who.employee_id, found.code, "--until", UNTIL)
    assert said.code == 2
    assert "cannot be accepted" in said.err
    assert home.command("sync").code == 11


def test_a_day_that_decides_access_and_cannot_be_read_is_not_accepted(home: House) -> None:
    active = "\"status = 'active' AND coalesce(hire_date <= today(), true)\""
    lines = [f"active = {active}" if line.startswith("active ") else line for line in ATTRIBUTES.splitlines()]
    home.configure(attributes="\n".join(lines))
    who = home.active(1)[0]
    home.set(who, hire_date="31.13.2026")
    found = [f for f in home.plan().findings if f.subject == who.employee_id and f.holds and not f.path]
    assert found
    for finding in found:
        said = home.command("findings", "accept", who.employee_id, finding.code, "--until", UNTIL)
        assert (said.code, "cannot be accepted" in said.err) == (2, True)
    assert home.command("sync").code == 11


def test_a_joiner_who_gets_no_account_is_not_accepted(home: House) -> None:
    new = home.newcomer(1)
    home.hire(new)
    home.set(new, first_name=None, last_name=None)
    assert "record.incomplete" in {f.code for f in home.plan().findings if f.subject == new.employee_id}
    said = home.command("findings", "accept", new.employee_id, "record.incomplete", "--until", UNTIL)
    assert (said.code, "cannot be accepted" in said.err) == (2, True)
    assert home.command("sync").code == 11


def test_who_is_left_out_whole_by_a_bad_value_is_not_accepted(home: House) -> None:
    home.configure(policy='on_bad_value = "person"\n')
    who = home.active(1)[0]
    home.set(who, phone="call me")
    home.plan()
    said = home.command("findings", "accept", who.employee_id, "record.bad-phone", "--until", UNTIL)
    assert (said.code, "cannot be accepted" in said.err) == (2, True)


@pytest.mark.parametrize("until", ["2020-01-01", "2099-01-01"])
def test_a_day_that_is_gone_or_for_ever_is_refused(home: House, until: str) -> None:
    who = home.active(1)[0]
    home.set(who, phone="call me")
    home.plan()
    said = home.command("findings", "accept", who.employee_id, "record.bad-phone", "--until", until)
    assert said.code == 2
    assert "name a day" in said.err


def test_what_nobody_has_cannot_be_accepted_and_the_likely_code_is_named(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, phone="call me")
    home.plan()
    said = home.command("findings", "accept", who.employee_id, "record.bad-fone", "--until", UNTIL)
    assert said.code == 2
    assert "Did you mean record.bad-phone?" in said.err
    assert "no finding" in home.command("findings", "accept", "nobody", "record.bad-phone", "--until", UNTIL).err


def test_findings_lists_and_says_which_can_be_accepted(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, phone="call me")
    home.plan()
    told = json.loads(home.command("findings", "--json").out)
    (phone,) = [one for one in told["findings"] if one["code"] == "record.bad-phone"]
    assert phone["acceptable"] is True
    assert "record.bad-phone" in home.command("findings").out


def test_without_a_plan_about_everybody_there_is_nothing_to_list(tmp_path: Path) -> None:
    with house(tmp_path, users=5) as found:
        said = found.command("findings")
        assert (said.code, said.out) == (4, "")
        assert "scimsync plan" in said.err


def test_twelve_equal_findings_are_one_line_with_a_number(home: House) -> None:
    for who in home.active(12, 0):
        home.set(who, phone="call me")
    told = home.command("plan").out
    assert "12 x a phone number cannot be read" in told
    assert told.count("record.bad-phone") == 1
    assert home.command("plan", "--all").out.count("record.bad-phone") == 12
    assert (
        len([f for f in json.loads(home.command("plan", "--json").out)["findings"] if f["code"] == "record.bad-phone"])
        == 12
    )


def test_many_updates_of_one_attribute_are_told_in_one_line(home: House) -> None:
    home.hr("UPDATE employee SET department = 'Field Service' WHERE status = 'active'")
    number = sum(c.action.value == "update" for c in home.plan().changes)
    told = home.command("plan").out
    assert "x enterprise:department: " in told
    assert '-> "Field Service"' in told
    assert number > 12
