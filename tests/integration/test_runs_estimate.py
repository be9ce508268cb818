"""What a plan foresees of its requests and of its time is what applying it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.runs import House, house
from tests.servers import Provider, account, firm, person

from scimsync import bootstrap
from scimsync.config import load
from scimsync.model.plans import Action, Plan


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=80) as found:
        found.settle()
        yield found


def taken(home: House) -> tuple[dict[str, int], float]:
    return home.runs()[0].took("apply")


def foreseen(made: Plan) -> Mapping[str, int]:
    assert made.estimate is not None
    return made.estimate.requests


def test_every_request_of_movers_leavers_and_joiners_is_foreseen_by_kind(home: House) -> None:
    movers = home.active(20)
    for who in movers[:12]:
        home.set(who, job_title="Moved")
    home.dismiss(*movers[15:18])
    home.hire(*(home.newcomer(number) for number in range(4)))
    made, report = home.sync()
    assert report.clean
    assert {change.action for change in made.changes} == {Action.UPDATE, Action.DISABLE, Action.CREATE}
    assert taken(home)[0] == foreseen(made)


def test_the_time_is_foreseen_within_fifteen_in_a_hundred_where_the_target_limits_its_rate(home: House) -> None:
    home.configure(target=home.target.replace("requests_per_minute = 0\n", ""))
    home.option(rate_limit=600)
    for who in home.active(50):
        home.set(who, job_title="Moved")
    home.hire(*(home.newcomer(number) for number in range(6)))
    made, report = home.sync()
    assert report.clean
    requests, seconds = taken(home)
    assert made.estimate is not None
    assert requests == foreseen(made)
    assert made.estimate.seconds == pytest.approx(seconds, rel=0.15)
    said = home.command("runs", made.id)
    assert "Foreseen:" in said.out
    assert "In fact:" in said.out


class Bare(Provider):
    """Knows no versions, so that writes are compared."""

    versioned = False


@pytest.mark.parametrize("kind", [Provider, Bare])
def test_reading_before_and_back_is_foreseen_where_nothing_else_guards(tmp_path: Path, kind: type[Provider]) -> None:
    with firm(tmp_path, kind(*(account(number) for number in range(1, 9)))) as found:
        found.hr(*(person(number) for number in range(1, 9)))
        found.sync()
        found.hr(
            *({"id": number, "title": "Moved"} for number in range(1, 6)),
            {"id": 6, "status": "left"},
            *(person(number) for number in range(7, 9)),
            *(person(number) for number in range(11, 14)),
        )
        made, report = found.sync()
        assert report.clean
        with bootstrap.open_store(load(found.folder / "scimsync.toml")) as store:
            requests, _ = store.runs(1)[0].took("apply")
        assert requests == foreseen(made)


GROUPS = """
[groups]
query = "SELECT employee_id, name FROM member"
"""


def test_the_requests_of_groups_are_foreseen(home: House) -> None:
    home.hr("CREATE TABLE member (employee_id TEXT, name TEXT)")
    groups = ["Billing", "Support"]
    known = [home.account(home.active(9)[8])["id"]]
    for name, members in zip(groups, ([], known), strict=True):
        home.call("groups", {"displayName": name, "members": members, "type": "official"})
    home.configure(more=GROUPS)
    for name in groups:
        for who in home.active(3):
            home.hr("INSERT INTO member VALUES (?, ?)", who.employee_id, name)
    made, report = home.sync()
    assert report.clean
    assert len(made.groups) == len(groups) > 0
    assert taken(home)[0] == foreseen(made)
