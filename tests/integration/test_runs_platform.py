"""Whole runs that write the Platform API beside SCIM: the same plan, versions, journal and outcomes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runs import ENTERPRISE, House, actions, change_of, codes, house, outcome, paths, row, status

from scimsync import GenesysScimSyncer
from scimsync.cli.sample import ATTRIBUTES, COLUMNS
from scimsync.model.outcomes import Status
from scimsync.scim.platform import INVITATION
from scimsync.simulator.people import Person
from scimsync.simulator.permissions import ALL, TEAM_ASSIGN

COST = 'platform:customAttributes[name eq "costCenter"].value'
BADGE = 'platform:customAttributes[name eq "badge"].value'
TYPE, PLACE, TEAM = "platform:employerInfo.employeeType", "platform:location", "platform:team"
MAPPING = {COST: "cost_center", TYPE: "kind", PLACE: "office", TEAM: "crew"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=30) as found:
        for column in ("cost_center", "kind", "office", "crew", "badge"):
            found.hr(f"ALTER TABLE employee ADD COLUMN {column} TEXT")
        manage(found, MAPPING)
        found.settle()
        yield found


def manage(home: House, paths: dict[str, str], **more: Any) -> None:
    lines = "".join(f"{json.dumps(path)} = {json.dumps(sql)}\n" for path, sql in paths.items())
    home.configure(attributes=ATTRIBUTES + lines, **more)


def hire(home: House, *joiners: Person) -> None:
    """Add records to a table that has more columns than the sample."""
    for joiner in joiners:
        marks = ", ".join("?" for _ in COLUMNS)
        home.hr(f"INSERT INTO employee ({', '.join(COLUMNS)}) VALUES ({marks})", *row(joiner))


def beside(home: House, who: Person) -> dict[str, Any]:
    """What the Platform API holds of a person."""
    directory, account = home.simulator.directory, home.account(who)["id"]
    held = dict(directory.beside.of(account))
    for record in directory.custom.records.get(account, {}).values():
        held |= record
    if "locations" in held:
        held["locations"] = [directory.beside.locations[one["id"]] for one in held["locations"]]
    if "team" in held:
        held["team"] = directory.beside.teams[held["team"]]
    return held


def test_what_hr_says_arrives_and_a_second_plan_finds_nothing_to_do(home: House) -> None:
    mover = home.active(1)[0]
    home.set(mover, cost_center="CC-1", kind="Full-time", office="Dublin", crew="Claims", job_title="Lead")
    made, report = home.sync()
    assert actions(made) == {mover.employee_id: "update"}
    assert report.clean, report.outcomes
    assert beside(home, mover) == {
        "costCenter": "CC-1", "employeeType": "Full-time", "locations": ["Dublin"], "team": "Claims"
    }  # fmt: skip
    assert home.account(mover)["title"] == "Lead"
    home.quiet()
    assert not home.unsettled()


def test_a_joiner_has_it_all_after_one_run(home: House) -> None:
    joiner = home.newcomer(1)
    hire(home, joiner)
    home.set(joiner, cost_center="CC-9", kind="Contractor", office="Sydney", crew="Billing")
    made, report = home.sync()
    assert report.clean, report.outcomes
    assert actions(made) == {joiner.employee_id: "create"}
    assert beside(home, joiner) == {
        "costCenter": "CC-9", "employeeType": "Contractor", "locations": ["Sydney"], "team": "Billing"
    }  # fmt: skip
    home.quiet()


def test_a_value_that_hr_takes_away_is_cleared_and_the_rest_stays(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, cost_center="CC-1", kind="Full-time", office="Dublin", crew="Claims")
    home.sync()
    directory, account = home.simulator.directory, home.account(who)["id"]
    directory.beside.held[account]["officialName"] = "By hand"
    [record] = directory.custom.records[account].values()
    record["remote"] = True
    home.set(who, cost_center=None, kind=None, office=None, crew=None)
    _, report = home.sync()
    assert report.clean, report.outcomes
    assert beside(home, who) == {"officialName": "By hand", "remote": True}
    home.quiet()


def test_a_work_team_is_left_before_another_is_joined(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, crew="Claims")
    home.sync()
    home.set(who, crew="Billing")
    assert home.sync()[1].clean
    assert beside(home, who) == {"team": "Billing"}
    home.quiet()


def test_numbers_and_yes_or_no_travel_as_their_type_and_compare_as_text(home: House) -> None:
    remote = 'platform:customAttributes[name eq "remote"].value'
    manage(home, {BADGE: "badge", remote: "CASE WHEN badge = '7' THEN 'true' END"})
    who, other = home.active(2)
    home.set(who, badge="7")
    home.set(other, badge="no number")
    _, report = home.sync()
    assert status(report, who) is Status.DONE
    assert beside(home, who) == {"badge": 7, "remote": True}
    assert status(report, other) is Status.FAILED
    assert "badge is of type integer" in outcome(report, other).detail


def test_a_number_that_both_sides_show_is_not_put_back_by_the_employer(home: House) -> None:
    """SCIM's employeeNumber and dateHire are two members of employerInfo, which is sent whole."""
    who = home.active(1)[0]
    home.set(who, kind="Full-time", hire_date="2020-02-29")
    _, report = home.sync()
    assert report.clean, report.outcomes
    assert home.account(who)[ENTERPRISE]["dateHire"] == "2020-02-29"
    assert home.account(who)[ENTERPRISE]["employeeNumber"] == who.employee_id
    assert beside(home, who)["employeeType"] == "Full-time"
    home.quiet()


def test_a_version_race_is_read_and_planned_again(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, kind="Full-time")
    made = home.plan()
    home.fault({"on": "person_patch", "kind": "foreign_edit", "path": "title", "value": "By hand", "times": 1})
    report = home.apply(made.id)
    assert report.clean, report.outcomes
    assert outcome(report, who).races == 1
    assert beside(home, who)["employeeType"] == "Full-time"
    assert home.account(who)["title"] == "By hand"


def test_a_conflict_that_no_version_explains_is_a_refusal_and_changes_nothing(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, kind="Full-time")
    made = home.plan()
    home.fault({"on": "person_patch", "status": 409, "times": 0})
    report = home.apply(made.id)
    assert (status(report, who), outcome(report, who).code) == (Status.FAILED, "target.refused")
    assert beside(home, who) == {}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("on", ["person_patch", "custom", "team_members"])
def test_a_lost_answer_is_settled_by_reading(home: House, on: str, when: str) -> None:
    who = home.active(1)[0]
    home.set(who, cost_center="CC-1", kind="Full-time", crew="Claims")
    made = home.plan()
    skip = 1 if on == "custom" else 0
    home.fault({"on": on, "kind": "reset", "when": when, "times": 1, "skip": skip})
    report = home.apply(made.id)
    assert report.clean, report.outcomes
    assert beside(home, who) == {"costCenter": "CC-1", "employeeType": "Full-time", "team": "Claims"}
    home.quiet()


def test_a_crash_between_the_parts_is_gone_on_with(home: House) -> None:
    mover, joiner = home.active(1)[0], home.newcomer(1)
    hire(home, joiner)
    for who in (mover, joiner):
        home.set(who, cost_center="CC-1", kind="Full-time", crew="Claims", job_title="Lead")
    made = home.plan()
    home.fault({"on": "team_members", "kind": "hang", "seconds": 4, "times": 0})
    with home.start("apply", made.id, "--yes") as process:
        until = time.monotonic() + 60
        while not (home.accounts(joiner.email) and all("costCenter" in beside(home, who) for who in (mover, joiner))):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        process.kill()
    assert home.unsettled()
    home.fault()
    report = home.apply(made.id)
    assert report.clean, report.outcomes
    for who in (mover, joiner):
        assert beside(home, who) == {"costCenter": "CC-1", "employeeType": "Full-time", "team": "Claims"}
        assert len(home.accounts(who.email)) == 1
    home.quiet()


def test_a_lacking_permission_leaves_its_paths_alone_and_everything_else_goes_on(home: House) -> None:
    mover, leaver = home.active(2)
    home.set(mover, crew="Claims", kind="Full-time", job_title="Lead")
    home.set(leaver, status="inactive", crew="Claims")
    home.option(permissions="No Teams")
    made, report = home.sync()
    [told] = [finding for finding in made.findings if finding.code == "platform.unread"]
    assert told.subject == TEAM
    assert "groups:team:view" in told.detail
    assert paths(made, mover) == {TYPE, "title"}
    assert report.statuses == {"done": 2}
    assert home.account(leaver)["active"] is False
    home.option(permissions="No View")
    made = home.plan()
    assert {f.subject for f in made.findings if f.code == "platform.unread"} == {*MAPPING}
    assert actions(made) == {}
    home.option(permissions="SCIM Integration")
    made, report = home.sync()
    assert {TEAM} == paths(made, mover) == paths(made, leaver)
    assert report.clean


def test_what_a_lacking_permission_hides_is_not_forgotten(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, crew="Claims")
    home.sync()
    home.option(permissions="No Teams")
    home.set(who, crew=None, job_title="Lead")
    home.sync()
    home.option(permissions="SCIM Integration")
    made, report = home.sync()
    assert paths(made, who) == {TEAM}
    assert [d.reason.value for d in change_of(made, who).deltas] == ["HR changed it"]
    assert report.clean
    assert beside(home, who) == {}


def test_a_write_that_is_not_allowed_fails_by_its_permission_and_what_was_written_stays_agreed(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, crew="Claims", job_title="Lead")
    made = home.plan()
    home.option(permissions=",".join(sorted(ALL - {TEAM_ASSIGN})))
    report = home.apply(made.id)
    assert status(report, who) is Status.FAILED
    assert "groups:team:assign" in outcome(report, who).detail
    assert home.account(who)["title"] == "Lead"
    home.option(permissions="SCIM Integration")
    made, report = home.sync()
    assert paths(made, who) == {TEAM}
    assert report.clean


def test_what_a_listing_leaves_out_is_not_taken_for_cleared(home: House) -> None:
    keeper, mover, edited = home.active(3)
    for who in (keeper, mover, edited):
        home.set(who, cost_center="CC-1", kind="Full-time", office="Dublin", crew="Claims")
    home.sync()
    home.option(expand_listed="never")
    home.quiet()
    home.simulator.directory.beside.held[home.account(edited)["id"]].pop("team")
    home.set(mover, crew=None, kind="Part-time")
    made, report = home.sync()
    assert {key: paths(made, who) for key, who in zip("me", (mover, edited), strict=True)} == {
        "m": {TEAM, TYPE}, "e": {TEAM}
    }  # fmt: skip
    assert actions(made).keys() == {mover.employee_id, edited.employee_id}
    assert report.clean, report.outcomes
    assert beside(home, mover)["employeeType"] == "Part-time"
    assert "team" not in beside(home, mover)
    assert beside(home, edited)["team"] == "Claims"
    home.quiet()


def test_an_edit_by_hand_is_seen_and_authority_decides(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, kind="Full-time")
    home.sync()
    manage(home, MAPPING, authority="cloud_wins")
    home.simulator.directory.beside.held[home.account(who)["id"]]["employeeType"] = "Part-time"
    made = home.plan()
    assert actions(made) == {}
    assert [(d.path, d.verdict.value) for n in made.notices for d in n.deltas if n.key == who.employee_id] == [
        (TYPE, "keep")
    ]


def test_a_name_that_does_not_exist_is_told_before_anything_is_written(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, office="Dublyn", crew="Claimz", job_title="Lead")
    made, report = home.sync()
    assert {"location.unknown", "team.unknown"} <= codes(made)
    assert paths(made, who) == {"title"}
    assert status(report, who) is Status.DONE


def test_a_custom_attribute_that_no_schema_has_is_told_by_its_path(home: House) -> None:
    unknown = 'platform:customAttributes[name eq "costCentre"].value'
    manage(home, {**MAPPING, unknown: "cost_center"})
    who = home.active(1)[0]
    home.set(who, cost_center="CC-1")
    made, report = home.sync()
    [told] = [finding for finding in made.findings if finding.code == "platform.unread"]
    assert (told.subject, "costCenter" in told.detail) == (unknown, True)
    assert paths(made, who) == {COST}
    assert report.clean


INVITED = {**MAPPING, INVITATION: "status = 'active'"}


def mails(home: House, who: Person) -> int:
    """How many invitations a person got."""
    return home.simulator.directory.beside.invited.count(home.account(who)["id"])


def test_joiners_are_invited_once_and_who_was_there_never(home: House) -> None:
    manage(home, INVITED)
    joiner, starter = home.newcomer(1), home.newcomer(2, active=False)
    hire(home, joiner, starter)
    home.set(joiner, crew="Claims")
    made, report = home.sync()
    assert report.clean, report.outcomes
    assert INVITATION in paths(made, joiner)
    assert home.simulator.directory.beside.invited == [home.account(joiner)["id"]]
    home.quiet()
    home.set(starter, status="active")
    home.set(home.active(1)[0], job_title="Lead")
    assert home.sync()[1].clean
    assert (mails(home, joiner), mails(home, starter)) == (1, 1)
    home.option(expand_listed="never")
    home.set(joiner, status="inactive")
    home.sync()
    home.set(joiner, status="active")
    home.sync()
    home.quiet()
    assert len(home.simulator.directory.beside.invited) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_invitation_whose_answer_is_lost_is_sent_once(home: House, when: str) -> None:
    manage(home, INVITED)
    joiner = home.newcomer(1)
    hire(home, joiner)
    made = home.plan()
    home.fault({"on": "invite", "kind": "reset", "when": when, "times": 1})
    assert home.apply(made.id).clean
    assert mails(home, joiner) == 1
    home.quiet()


def test_an_invitation_that_was_refused_is_owed_and_sent_by_a_later_run(home: House) -> None:
    manage(home, INVITED)
    joiner = home.newcomer(1)
    hire(home, joiner)
    made = home.plan()
    home.fault({"on": "invite", "status": 403, "times": 0})
    report = home.apply(made.id)
    assert status(report, joiner) is Status.FAILED
    home.fault()
    made, report = home.sync()
    assert paths(made, joiner) == {INVITATION}
    assert report.clean, report.outcomes
    assert mails(home, joiner) == 1
    home.quiet()


def test_a_run_that_was_killed_before_the_invitation_owes_it_still(home: House) -> None:
    manage(home, INVITED)
    joiner = home.newcomer(1)
    hire(home, joiner)
    made = home.plan()
    home.fault({"on": "invite", "kind": "hang", "seconds": 30, "times": 0})
    with home.start("apply", made.id, "--yes") as process:
        until = time.monotonic() + 60
        while not home.counted("invite"):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        process.kill()
    home.fault()
    said = home.command("sync")  # a new plan, and not the old one gone on with
    assert said.code == 0, said.err
    assert mails(home, joiner) == 1
    home.quiet()


def test_one_person_is_read_and_written_as_everybody_is(home: House) -> None:
    who, other = home.active(2)
    for one in (who, other):
        home.set(one, cost_center="CC-1", office="Dublin")
    made = home.plan(who.employee_id)
    assert paths(made, who) == {COST, PLACE}
    assert home.apply(made.id).clean
    assert actions(home.plan(who.employee_id)) == {}
    assert beside(home, other) == {}


def test_limits_count_what_would_be_cleared(home: House) -> None:
    for who in home.active(2):
        home.set(who, crew="Claims")
    home.sync()
    for who in home.active(2):
        home.set(who, crew=None)
    manage(home, MAPPING, limits={"clear": 1, "update": "100%", "source_rows_drop": "100%"})
    made = home.plan()
    assert "limits.clear" in codes(made)
    assert actions(made) == {}


def test_a_program_writes_one_person_and_lists_what_is_refused(home: House) -> None:
    who, sim = home.active(1)[0], home.simulator
    account = home.account(who)["id"]
    with GenesysScimSyncer(
        sim.client_id, sim.client_secret, api_url=sim.api_url, login_url=sim.login_url, requests_per_minute=0
    ) as syncer:
        data = {"title": "Lead", COST: "CC-7", PLACE: "Cologne"}
        syncer.sync_user_attributes(account, data)
        assert beside(home, who) == {"costCenter": "CC-7", "locations": ["Cologne"]}
        before = len(home.history())
        syncer.sync_user_attributes(account, data)
        assert len(home.history()) == before


def test_a_program_without_the_permission_writes_the_rest(home: House) -> None:
    who, sim = home.active(1)[0], home.simulator
    home.option(permissions="No Teams")
    with GenesysScimSyncer(
        sim.client_id, sim.client_secret, api_url=sim.api_url, login_url=sim.login_url, requests_per_minute=0
    ) as syncer:
        done = syncer.synchronise(home.account(who)["id"], {"title": "Lead", TEAM: "Claims"})
    assert home.account(who)["title"] == "Lead"
    assert "platform.unread" in {finding.code for finding in done.plan.findings}


def test_nothing_beside_scim_is_asked_for_where_nothing_of_it_is_mapped(home: House) -> None:
    home.configure(attributes=ATTRIBUTES)
    home.reset()
    home.plan()
    assert {name: n for name, n in home.stats().items() if n and name in {"people", "person", "locations"}} == {}
