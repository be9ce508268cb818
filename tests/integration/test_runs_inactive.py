"""What a directory takes from who becomes inactive: never asked for meanwhile, given back where it is ours to give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, codes, house, outcome, paths

from scimsync.cli.sample import ATTRIBUTES
from scimsync.model.outcomes import Status
from scimsync.model.plans import Finding, Plan
from scimsync.simulator.people import Person

ROLES = {"employee", "supervisor"}
MAPPED = ATTRIBUTES + """roles = { value = "names('employee;supervisor')", authority = "local_wins" }\n"""


@pytest.fixture(params=["keep", "remove"])
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    with house(tmp_path / "a", users=12, inactive_roles=request.param) as found:
        yield found


def takes(home: House) -> bool:
    return home.simulator.directory.options.inactive_roles == "remove"


def roles(home: House, who: Person) -> set[str]:
    return {one["value"] for one in home.account(who).get("roles", [])}


def stripped(made: Plan, who: Person) -> list[Finding]:
    return [f for f in made.findings if f.code == "account.stripped" and f.subject == who.employee_id]


@pytest.mark.parametrize("authority", ["local_wins", "cloud_wins", "merge"])
def test_mapped_roles_of_a_leaver_make_no_noise_and_come_back_with_a_rehire(home: House, authority: str) -> None:
    home.configure(attributes=MAPPED.replace('authority = "local_wins"', f'authority = "{authority}"'))
    home.sync()
    who = home.active(1)[0]
    home.edit(who, "roles", [{"value": role} for role in sorted(ROLES)])
    home.sync()
    home.set(who, status="left")
    made, report = home.sync()
    assert report.clean
    assert paths(made, who) == {"active"}
    home.quiet()
    home.quiet()
    home.set(who, status="active")
    made, report = home.sync()
    assert report.clean
    assert paths(made, who) >= {"active"}
    assert roles(home, who) == ROLES
    assert not stripped(made, who)
    home.quiet()


def test_mapped_roles_come_back_where_the_directory_enabled_the_account_by_itself(home: House) -> None:
    home.configure(attributes=MAPPED.replace('authority = "local_wins"', 'authority = "merge"'))
    home.sync()
    who = home.active(1)[0]
    home.set(who, status="left")
    home.sync()
    home.set(who, status="active")
    home.edit(who, "active", True)
    home.sync()
    assert roles(home, who) == ROLES
    home.quiet()


def test_an_account_that_the_mapping_does_not_enable_is_not_asked_for_roles(home: House) -> None:
    home.configure(attributes="".join(line for line in MAPPED.splitlines(keepends=True) if line[:6] != "active"))
    home.sync()
    who = home.active(1)[0]
    home.edit(who, "active", False)
    home.quiet()


def test_a_rehire_whose_roles_nobody_maps_is_told_with_the_last_ones(home: House) -> None:
    who = home.active(1)[0]
    home.edit(who, "roles", [{"value": role} for role in sorted(ROLES)])
    home.settle()
    home.set(who, status="left")
    home.sync()
    home.set(home.active(2)[1], job_title="Lead")
    home.sync()
    home.quiet()
    home.set(who, status="active")
    made, report = home.sync()
    if takes(home):
        assert [(f.detail, f.path) for f in stripped(made, who)] == [("roles; the last ones: employee, supervisor", "")]
        assert (outcome(report, who).status, outcome(report, who).code) == (Status.DONE, "account.stripped")
        assert not report.clean
        assert home.account(who)["active"] is True
    else:
        assert "account.stripped" not in codes(made)
        assert report.clean
        assert roles(home, who) == ROLES
    home.quiet()


def test_a_rehire_of_whom_nobody_knows_the_last_roles_is_told_all_the_same(home: House) -> None:
    who = home.active(1)[0]
    home.edit(who, "active", False)
    made, report = home.sync()
    assert [f.detail for f in stripped(made, who)] == ["roles; the last ones are not known"] * takes(home)
    assert (outcome(report, who).code == "account.stripped") is takes(home)


def left_and_back(home: House, who: Person, policy: str = "") -> None:
    """Somebody leaves, and loses the roles; then HR says that they are back."""
    home.configure(policy=policy)
    home.settle()
    home.edit(who, "roles", [{"value": role} for role in sorted(ROLES)])
    home.set(who, status="left")
    home.sync()
    home.set(who, status="active")


def test_roles_come_back_with_a_rehire_where_policy_says_so(home: House) -> None:
    who = home.active(1)[0]
    left_and_back(home, who, 'rehire = "restore"\n')
    made, report = home.sync()
    assert report.clean
    assert ("roles" in paths(made, who)) is takes(home)
    assert roles(home, who) == ROLES
    assert not stripped(made, who)
    home.quiet()


def test_roles_are_proposed_and_given_when_a_person_says_so(home: House) -> None:
    who = home.active(1)[0]
    left_and_back(home, who)
    made = home.plan()
    assert "roles" not in paths(made, who)
    if takes(home):
        (proposal,) = stripped(made, who)
        assert "employee, supervisor" in proposal.detail
        assert f"--user {who.employee_id} --override account.stripped" in proposal.hint
    given = home.plan(who.employee_id, account__stripped="the same job")
    assert home.apply(given.id).clean
    assert roles(home, who) == ROLES


@pytest.mark.parametrize("policy", ['rehire = "restore"\n', 'rehire = "leave"\n', ""])
def test_roles_are_never_given_to_whoever_has_the_key_and_the_login_by_now(home: House, policy: str) -> None:
    who = home.active(1)[0]
    left_and_back(home, who, policy)
    home.set(who, first_name="Somebody", last_name="Else", email="else@example.com")
    made = home.plan()
    assert "roles" not in paths(made, who)
    if takes(home) and (found := stripped(made, who)):
        assert "proposed" not in found[0].hint
