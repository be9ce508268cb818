"""Joiners who lead joiners, on a real socket: managers come first, and loops are cut where they must be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.runs import House, codes, house

from scimsync.cli.sample import ATTRIBUTES
from scimsync.errors import ConfigError
from scimsync.model.outcomes import Status
from scimsync.simulator.people import Person

JOINERS = 1000
#: loops of managers among the joiners: (first, length)
LOOPS = ((100, 2), (200, 2), (300, 3), (400, 7), (500, 4), (600, 7))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        found.settle()
        yield found


def joiners(home: House) -> list[Person]:
    """A thousand newcomers: a tree eight wide, a chain of fifty, and the loops."""
    people = [home.newcomer(n) for n in range(JOINERS)]
    bosses = {n: (n - 1) // 8 for n in range(1, JOINERS)}
    bosses |= {n: n - 1 for n in range(901, 950)}
    for first, length in LOOPS:
        bosses |= {first + n: first + (n + 1) % length for n in range(length)}
    return [
        replace(someone, manager_id=people[bosses[n]].employee_id if n in bosses else home.people[0].employee_id)
        for n, someone in enumerate(people)
    ]


def managers_held(home: House) -> dict[str, str | None]:
    """employee id -> employee id of the manager whom the directory shows."""
    accounts = [u.resource for u in home.simulator.directory.users.values() if not u.deleted]
    names = {a["id"]: a["externalId"] for a in accounts if "externalId" in a}
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    return {
        names[a["id"]]: names.get(a.get(enterprise, {}).get("manager", {}).get("value"))
        for a in accounts
        if a["id"] in names
    }


def test_a_thousand_joiners_who_lead_each_other_have_their_managers_after_one_run(home: House) -> None:
    hired = joiners(home)
    home.hire(*reversed(hired))
    made, report = home.sync()
    assert report.clean
    held = managers_held(home)
    assert {p.employee_id: held[p.employee_id] for p in hired} == {p.employee_id: p.manager_id for p in hired}
    stats = home.stats()
    assert (stats["post"], stats["patch"]) == (JOINERS, len(LOOPS))
    assert made.requests == home.writes() == JOINERS + len(LOOPS)
    assert Counter(f.code for f in made.findings)["reference.cycle"] == len(LOOPS)
    home.quiet()


def test_a_manager_who_fails_defers_the_reports_and_holds_up_nobody_else(home: House) -> None:
    boss = home.newcomer(1)
    reports = [home.newcomer(n, manager_id=boss.employee_id) for n in range(2, 20)]
    home.hire(boss, *reports)
    made = home.plan()
    assert made.changes[0].key == boss.employee_id
    home.fault({"on": "post", "status": 400, "scim_type": "invalidValue", "message": "no", "times": 1})
    first = home.apply(made.id)
    assert [o.status for o in first.outcomes[boss.employee_id]] == [Status.FAILED]
    for report in reports:
        assert [o.status for o in first.outcomes[report.employee_id]] == [Status.DONE, Status.DEFERRED]
    home.reset()
    second_plan, second = home.sync()
    assert second.clean
    assert {home.manager(report) for report in reports} == {home.account(boss)["id"]}
    assert home.writes() == second_plan.requests == 1 + len(reports)
    home.quiet()


# --- managers whom HR does not have ---------------------------------------------------------------


def outside(home: House, expression: str) -> None:
    home.configure(attributes=ATTRIBUTES.replace('"ref(manager_id)"', f'"{expression}"'))


@pytest.mark.parametrize("only", [False, True])
@pytest.mark.parametrize("by", ["login", "capitals", "id"])
def test_a_manager_whom_hr_does_not_have_is_named_by_login_or_id(home: House, by: str, only: bool) -> None:
    boss, who, other = home.active(3)
    home.dismiss(boss)
    account = home.account(boss)["id"]
    name = {"login": boss.email, "capitals": boss.email.upper(), "id": account}[by]
    home.hr("UPDATE employee SET manager_id = NULL WHERE employee_id = ?", who.employee_id)
    home.set(other, manager_id=who.employee_id)
    outside(home, f"coalesce(ref(manager_id), account('{name}'))")
    made = home.plan(*[who.employee_id, other.employee_id] * only)
    home.apply(made.id)
    assert home.manager(who) == account
    assert home.manager(other) == home.account(who)["id"]
    assert "reference.unknown" not in codes(made)


def test_a_login_that_no_account_has_leaves_the_manager_alone(home: House) -> None:
    who = home.active(1)[0]
    before = home.manager(who)
    home.set(who, job_title="Moved", manager_id="nobody@example.com")
    outside(home, "CASE WHEN manager_id LIKE '%@%' THEN account(manager_id) ELSE ref(manager_id) END")
    made, report = home.sync()
    assert [(f.code, f.detail) for f in made.findings if f.subject == who.employee_id] == [
        ("reference.unknown", "enterprise:manager names nobody@example.com")
    ]
    assert home.account(who)["title"] == "Moved"
    assert home.manager(who) == before
    assert report.clean
    home.quiet()


def test_a_person_who_is_named_as_their_own_manager_by_login_is_told(home: House) -> None:
    who = home.active(1)[0]
    home.set(who, manager_id=who.email)
    outside(home, "CASE WHEN manager_id LIKE '%@%' THEN account(manager_id) ELSE ref(manager_id) END")
    assert [f.code for f in home.plan().findings if f.subject == who.employee_id] == ["reference.self"]


@pytest.mark.parametrize(
    "expression", ["account(lower(ref(manager_id)))", "'x' || account(email)", "coalesce(ref(manager_id), email)"]
)
def test_a_reference_is_all_that_an_expression_gives(home: House, expression: str) -> None:
    outside(home, expression)
    with pytest.raises(ConfigError, match="must be the whole expression"):
        home.plan()
