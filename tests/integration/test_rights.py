"""What our client may not do is told beforehand by doctor, and once, not for each person, by a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, house

from scimsync.errors import TargetDenied
from scimsync.model.outcomes import RunState
from scimsync.simulator.people import Person


def told(home: House, check: str) -> tuple[int, list[str]]:
    """The exit code of doctor, and its lines of one check."""
    said = home.command("doctor")
    return said.code, [line for line in said.out.splitlines() if line.split()[1:2] == [check]]


@pytest.mark.parametrize(
    ("role", "code", "lines"),
    [
        ("SCIM Integration", 0, ["ok    rights       the client has every permission that the configuration needs"]),
        ("No Routing", 5, ["fail  rights       permission routing:skill:assign is missing, needed by "
                           "genesys:routingSkills; add it to a role"]),
        ("Read Only", 5, ["directory:user:add is missing, needed by joiners",
                          "warn  rights       permission directory:user:view", "directory:user:edit is missing",
                          "routing:skill:assign", "warn  rights       permission telephony:extension:assign",
                          "authorization:division:view is missing, needed by enterprise:division to check names",
                          "routing:skill:view"]),
        ("No Names", 0, ["authorization:division:view", "routing:skill:view"]),
    ],
)  # fmt: skip
def test_doctor_names_each_missing_permission_by_what_needs_it(
    tmp_path: Path, role: str, code: int, lines: list[str]
) -> None:
    with house(tmp_path, users=20, permissions=role) as home:
        got, found = told(home, "rights")
    assert (got, len(found)) == (code, len(lines)), found
    assert [words for line, words in zip(found, lines, strict=True) if words not in line] == []


def test_doctor_says_which_divisions_the_client_sees_and_the_limits_that_the_target_tells(tmp_path: Path) -> None:
    with house(tmp_path, users=20, divisions="Home,West", rate_limit=240) as home:
        _, [divisions] = told(home, "divisions")
        _, [limits] = told(home, "limits")
    assert "sees 2: Home, West" in divisions
    assert "240 requests a minute announced" in limits
    assert "client.credentials.token.rate.per.minute 240" in limits


@pytest.mark.parametrize("status", [403, 404])
def test_a_target_that_shows_neither_rights_nor_limits_is_told_so_and_no_check_fails(
    tmp_path: Path, status: int
) -> None:
    faults = [{"on": kind, "status": status, "message": "You are missing x:y:view", "times": 0} for kind in ("subject", "limits")]  # fmt: skip
    with house(tmp_path, *faults, users=20) as home:
        code, [rights] = told(home, "rights")
        _, [limits] = told(home, "limits")
    assert code == 0
    for line in (rights, limits):
        assert line.startswith("warn")
        assert str(status) in line
        assert "x:y:view" in line


@pytest.mark.parametrize("kind", ["empty", "html", "wrong_body", "truncate"])
def test_an_answer_of_another_form_is_no_error_either(tmp_path: Path, kind: str) -> None:
    with house(tmp_path, {"on": "subject", "kind": kind, "times": 0}, users=20) as home:
        code, [rights] = told(home, "rights")
    assert (code, rights[:4]) == (0, "warn")


# --- a run ------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        found.settle()
        yield found


def title(home: House, who: Person) -> object:
    return home.account(who).get("title")


def test_a_missing_permission_ends_the_run_once_with_its_name_and_what_is_done_stays(home: House) -> None:
    home.option(permissions="No Routing")
    leavers, skilled, titled = home.active(2, start=5), home.active(16, start=10), home.active(3, start=40)
    home.dismiss(*leavers)
    for who in skilled:
        home.set(who, skill_list="Billing:1.0")
    for who in titled:
        home.set(who, job_title="Lead")
    said = home.command("sync", timeout=120)
    assert said.code == 5
    assert len(said.err.splitlines()) < 12, said.err
    assert said.err.count("routing:skill:assign") == 1
    assert "needed for genesys:routingSkills" in said.err
    assert [home.account(who)["active"] for who in leavers] == [False, False]
    run = home.runs()[0]
    assert run.state is RunState.INTERRUPTED
    assert 3 <= run.statuses["failed"] <= 3 + 8
    home.option(permissions="SCIM Integration")
    report = home.apply(run.id)
    assert {outcome.status.value for parts in report.outcomes.values() for outcome in parts} == {"done", "failed"}
    home.sync()
    assert {title(home, who) for who in titled} == {"Lead"}
    assert all(home.skills(who) == {"Billing"} for who in skilled)
    home.quiet()


def test_access_is_taken_from_everybody_it_can_be_taken_from_though_some_may_not_be_touched(home: House) -> None:
    leavers = home.active(9)
    kept, gone = leavers[:4], leavers[4:]
    home.dismiss(*leavers)
    home.fault(*({"on": "patch", "status": 403, "user": home.account(who)["id"], "times": 0} for who in kept))
    moved = home.active(1, start=40)[0]
    home.set(moved, job_title="Lead")
    _, report = home.sync()  # others could be disabled, so the four are a matter of their own
    assert [home.account(who)["active"] for who in gone] == [False] * len(gone)
    assert report.kept.keys() == {who.employee_id for who in kept}
    assert title(home, moved) == "Lead"


def test_a_client_that_may_disable_nobody_tries_everybody_and_begins_nothing_else(home: House) -> None:
    leavers = home.active(6)
    home.dismiss(*leavers)
    home.set(home.active(1, start=40)[0], job_title="Lead")
    home.option(permissions="Read Only")
    home.reset()
    with pytest.raises(TargetDenied, match=r"people alike.*directory:user:edit.*needed for active"):
        home.sync()
    assert home.stats()["patch"] == len(leavers)


def test_two_who_are_refused_alike_end_nothing(home: House) -> None:
    refused, others = home.active(2), home.active(6, start=20)
    for who in (*refused, *others):
        home.set(who, job_title="Lead")
    home.fault(*({"on": "patch", "status": 403, "user": home.account(who)["id"], "times": 0} for who in refused))
    _, report = home.sync()
    assert report.statuses == {"failed": 2, "done": 6}
