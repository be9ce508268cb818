"""What applying takes is counted by kind, as the target wants to be written."""

from __future__ import annotations

import pytest
from tests.factories import make_change, make_delta, make_plan, place

from scimsync.core.estimating import Habits, estimate
from scimsync.model.plans import Action, Change, Estimate, GroupChange, Member, Verdict
from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import Operation

TITLE = (Operation("replace", "title", "Lead"),)
MATCH = (place("externalId"), place("userName"))
JOINER = make_change(
    "E9",
    Action.CREATE,
    account=None,
    version="",
    deltas=(make_delta("externalId", "E9", None), make_delta("userName", "e9@x.org", None)),
    operations=(Operation("add", "userName", "e9@x.org"),),
)


def foreseen(*changes: Change, groups: tuple[GroupChange, ...] = (), **more: object) -> Estimate:
    habits = {"dialect": GENESYS, "match": MATCH, "rate": 300, **more}
    return estimate(make_plan(changes=changes, groups=groups), Habits(**habits))  # type: ignore[arg-type]


def movers(number: int, **more: object) -> list[Change]:
    return [make_change(f"E{n}", operations=TITLE, deltas=(make_delta(),), **more) for n in range(number)]


def test_a_plan_without_changes_takes_nothing() -> None:
    assert foreseen(fetches_token=True) == Estimate(requests={}, seconds=0.0)


def test_under_versions_a_change_is_one_request() -> None:
    assert foreseen(*movers(7)).requests == {"patch": 7}


def test_without_versions_each_account_is_read_before_and_back() -> None:
    found = foreseen(*movers(7, version=""), dialect=GENERIC, compares=True)
    assert found.requests == {"describe": 1, "get": 14, "patch": 7}


def test_where_nothing_is_known_of_a_provider_the_first_of_each_kind_is_read() -> None:
    assert foreseen(*movers(7), dialect=GENERIC).requests == {"describe": 1, "get": 1, "patch": 7}


def test_where_the_listing_has_holes_each_account_is_read() -> None:
    assert foreseen(*movers(7), doubted=True).requests == {"get": 7, "patch": 7}


def test_a_joiner_is_looked_for_by_every_path_but_a_login_that_is_unique_and_among_the_inactive() -> None:
    found = foreseen(JOINER, inactive=2 * GENESYS.expensive_page_size)  # externalId is expensive
    assert found.requests == {"create": 1, "find": 1 + 3}
    assert foreseen(JOINER, dialect=GENERIC).requests == {"create": 1, "describe": 1, "find": 2}


@pytest.mark.parametrize(("inactive", "pages"), [(0, 1), (10, 2), (25, 2), (27, 2), (50, 3), (51, 3)])
def test_a_list_ends_with_a_page_that_is_shorter_than_the_first_or_with_one_more(inactive: int, pages: int) -> None:
    assert foreseen(JOINER, inactive=inactive).requests["find"] == 1 + pages


def test_a_reference_that_waits_is_a_second_request() -> None:
    waits = make_delta("enterprise:manager", "u2", None, verdict=Verdict.DEFER, awaits="E2")
    change = make_change(operations=TITLE, deltas=(make_delta(), waits))
    assert foreseen(change).requests == {"patch": 2}


def test_a_deletion_reads_first() -> None:
    assert foreseen(make_change(action=Action.DELETE)).requests == {"delete": 1, "get": 1}


@pytest.mark.parametrize(("held", "reads"), [(3, 2), (0, 3)])
def test_a_group_is_read_before_and_after_its_batches(held: int, reads: int) -> None:
    members = tuple(Member(f"E{n}", f"u{n}") for n in range(7))
    group = GroupChange(group="g", name="G", version="1", add=members, remove=(), held=held, batch=3)
    found = foreseen(groups=(group,), dialect=GENERIC)
    assert found.requests == {"describe": 1, "group_get": reads, "group_patch": 3}


def test_time_is_what_the_rate_lets_go_and_the_token_is_asked_beside_it() -> None:
    found = foreseen(*movers(305), fetches_token=True)
    assert found.seconds == pytest.approx(60)
    assert found.requests == {"patch": 305, "token": 1}


def test_where_answers_are_slower_than_the_rate_they_decide() -> None:
    assert foreseen(*movers(80), rate=60_000, latency_s=0.5, workers=8).seconds == pytest.approx(5.0)
