"""Changes that a limit splits, parts of one element, and names that must exist: whole runs against the simulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.runs import ENTERPRISE, House, Person, change_of, codes, house, outcome, status

from scimsync.cli.sample import ATTRIBUTES
from scimsync.model.outcomes import Status

MAIL = """\
'emails[type eq "work"].value'   = "job_title || '@example.com'"
'emails[type eq "work"].primary' = "department = 'Sales'"
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=30) as found:
        found.settle()
        found.configure(target=found.target + "operations_per_patch = 1\n")
        yield found


def move(home: House, who: Person) -> None:
    home.set(who, job_title="Moved", department="Moved", phone="(317) 555-0142", skill_list="Sales:1;Refunds:2")


def arrived(home: House, who: Person) -> bool:
    held = home.account(who)
    return (
        held["title"] == held[ENTERPRISE]["department"] == "Moved"
        and {"type": "work", "value": "+13175550142"} in held["phoneNumbers"]
        and {"Sales", "Refunds"} <= home.skills(who)
    )


def sent(home: House, who: Person) -> list[list[tuple[str, str]]]:
    """The operations of each of our effective writes to an account."""
    identity = home.account(who)["id"]
    return [[(o["op"], o["path"]) for o in e["operations"]] for e in home.history() if e["id"] == identity]


def test_a_change_with_more_operations_than_a_patch_takes_goes_in_parts(home: House) -> None:
    (who,) = home.active(1)
    move(home, who)
    made, report = home.sync()
    assert len(change_of(made, who).operations) > 3
    assert status(report, who) is Status.DONE
    assert arrived(home, who)
    assert home.writes() == len(change_of(made, who).operations)
    assert all(len(operations) == 1 for operations in sent(home, who))
    assert not home.unsettled()
    home.quiet()


def test_what_arrived_before_a_refused_part_is_told_and_remembered(home: House) -> None:
    (who,) = home.active(1)
    move(home, who)
    home.fault({"on": "patch", "skip": 1, "times": 1, "kind": "status", "status": 400})
    _, report = home.sync()
    came = outcome(report, who)
    assert came.status is Status.FAILED
    assert len(came.written) == 1
    home.configure(target=home.target + "operations_per_patch = 1\n", authority="ask")
    home.set(who, job_title="Again", department="Again", phone="(317) 555-0143")
    made, again = home.sync()
    assert not made.tally.conflicts
    assert again.clean


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "foreign_edit", "path": f"{ENTERPRISE}:division", "value": "elsewhere"},
        {"kind": "reset", "when": "before"},
        {"kind": "reset", "when": "after"},
        {"kind": "empty"},
        {"kind": "status", "status": 503, "when": "after"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values()))[:30],
)
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_trouble_between_the_parts_is_settled_by_looking(home: House, fault: Mapping[str, object], skip: int) -> None:
    (who,) = home.active(1)
    move(home, who)
    home.call("names", {"divisions": ["elsewhere"]})
    home.fault({"on": "patch", "skip": skip, "times": 1, **fault})
    _, report = home.sync()
    assert status(report, who) is Status.DONE
    assert arrived(home, who)
    assert not home.unsettled()
    home.fault()
    made = home.plan()
    foreign = {"enterprise:division"} if fault["kind"] == "foreign_edit" else set()
    assert {d.path for change in made.changes for d in change.deltas} == foreign


def test_a_list_that_is_written_in_parts_is_not_taken_for_an_edit_of_somebody_else(home: House) -> None:
    (who,) = home.active(1)
    home.configure(
        target=home.target + "operations_per_patch = 1\n",
        attributes=ATTRIBUTES.replace('authority = "merge"', 'authority = "ask"'),
    )
    home.settle()
    home.edit(who, "title", "Edited")
    home.settle()
    home.set(who, skill_list="Sales:5;Refunds:4;Billing:3")
    home.fault({"on": "patch", "skip": 1, "kind": "foreign_edit", "path": "title", "value": "Edited again"})
    _, report = home.sync()
    assert outcome(report, who).code == ""
    assert home.skills(who) == {"Sales", "Refunds", "Billing"}


def test_the_access_of_a_leaver_goes_first(home: House) -> None:
    (who,) = home.active(1)
    move(home, who)
    home.set(who, status="inactive")
    home.sync()
    assert sent(home, who)[0] == [("replace", "active")]


def test_two_parts_of_one_element_make_one_element(tmp_path: Path) -> None:
    with house(tmp_path, users=20) as home:
        home.configure(attributes=ATTRIBUTES.replace("[attributes]", "[attributes]\n" + MAIL, 1))
        one, two, three = home.active(3)
        home.set(one, job_title="one", department="Sales")
        home.set(two, job_title="two", department="Finance")
        home.set(three, job_title=None, department="Sales")
        home.hr(
            "UPDATE employee SET job_title = NULL WHERE employee_id NOT IN (?, ?)", one.employee_id, two.employee_id
        )
        home.settle()
        works = {who: [m for m in home.account(who)["emails"] if m["type"] == "work"] for who in (one, two, three)}
        assert works[one] == [{"type": "work", "value": "one@example.com", "primary": True}]
        assert works[two] == [{"type": "work", "value": "two@example.com", "primary": False}]
        assert works[three] == []
        home.quiet()
        home.set(two, department="Sales")
        home.set(one, job_title=None)
        home.sync()
        assert [m for m in home.account(one)["emails"] if m["type"] == "work"] == []
        assert [m for m in home.account(two)["emails"] if m["type"] == "work"] == [
            {"type": "work", "value": "two@example.com", "primary": True}
        ]
        home.quiet()


def test_names_are_asked_for_once_and_only_where_they_are_written(home: House) -> None:
    first, second = home.active(2)
    home.set(first, job_title="Lead")
    home.sync()
    assert home.stats()["names"] == 0
    home.call("names", {"skills": [f"Extra {number}" for number in range(230)]})
    home.set(first, skill_list="Extra 7:1")
    home.set(second, skill_list="Extra 229:1")
    made, report = home.sync()
    assert report.clean
    assert home.stats()["names"] == 3  # 242 names, a hundred at a time
    assert codes(made) == set()


def test_names_that_are_not_shown_hold_nobody_and_are_warned_of_once(home: House) -> None:
    first, second = home.active(2)
    home.option(permissions="No Names")
    home.set(first, skill_list="Sales:1", division="South" if first.division != "South" else "West")
    home.set(second, skill_list="Juggling:1")
    made, report = home.sync()
    (warning,) = [f for f in made.findings if f.code == "target.names-unknown"]
    assert warning.detail == "division, skill"
    assert status(report, first) is Status.DONE
    assert outcome(report, second).code == "target.refused"
