"""Nights that read everybody cheaply: expensive values come from an earlier plan where no version moved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.hurry import hurry
from tests.runs import SKILLS, House, actions, codes, house, row

from scimsync.adapters.target_pages import PAGE_SIZES
from scimsync.cli.sample import COLUMNS
from scimsync.simulator.entities import Actor
from scimsync.simulator.people import Person
from scimsync.workbench.mirror import MIRROR
from scimsync.workbench.recalled import RECALLED_FROM

PEOPLE = RECALLED_FROM + 200


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=PEOPLE, version_covers="directory") as found:
        found.settle()
        yield found


def lists(home: House) -> int:
    """Pages of accounts that a plan asks for."""
    home.reset()
    home.plan()
    return home.stats()["list"]


def entity(home: House, who: Person) -> Any:
    """What the directory keeps about an account."""
    return home.simulator.directory.indexed("userName", who.email)[0]


def recalled(home: House, within: str) -> None:
    home.configure(target=f'{home.target}recall = "{within}"\n')


def test_a_quiet_night_reads_pages_of_a_hundred_and_finds_nothing_to_do(home: House) -> None:
    recalled(home, "0d")
    whole = lists(home)
    assert whole >= PEOPLE / 25
    recalled(home, "28d")
    home.plan()
    made = home.plan()
    assert actions(made) == {}
    assert lists(home) <= PEOPLE / 100 + 4


def test_what_moved_is_read_again_and_written_right(home: House) -> None:
    mover, leaver, edited = home.active(3)
    joiner = home.newcomer(1)
    home.plan()
    home.set(mover, skill_list="Billing:5", job_title="Deputy")
    home.set(leaver, status="inactive")
    home.hire(joiner)
    home.edit(edited, "title", "Edited")
    made, report = home.sync()
    assert actions(made) == {
        mover.employee_id: "update", leaver.employee_id: "disable", joiner.employee_id: "create",
        edited.employee_id: "update",
    }  # fmt: skip
    assert report.clean, report.statuses
    assert home.account(joiner)["externalId"] == joiner.employee_id
    home.quiet()


def test_nothing_is_written_on_the_word_of_an_old_reading(home: House) -> None:
    who = home.active(1)[0]
    home.plan()
    version = entity(home, who).version
    home.edit(who, f"{SKILLS}", [{"name": "Billing", "proficiency": 5.0}], "replace")
    assert entity(home, who).version == version, "the directory does not tell of the edit"
    home.set(who, skill_list="Billing:5")
    assert actions(home.plan()) == {}, "what HR wants now is there already"


def test_what_the_version_does_not_tell_is_seen_when_the_reading_is_too_old(home: House) -> None:
    who = home.active(1)[0]
    home.plan()
    home.edit(who, "externalId", None, "remove")
    assert actions(home.plan()) == {}
    recalled(home, "0d")
    assert actions(home.plan()) == {who.employee_id: "update"}


@pytest.mark.parametrize("active", [True, False])
def test_a_new_person_is_found_by_a_mark_that_nobody_recalls(home: House, active: bool) -> None:
    joiner = home.newcomer(7)
    made = {"userName": "by.hand@example.com", "displayName": "By Hand", "active": active}
    account = home.simulator.directory.create(made, Actor("by-hand", "POST"))
    home.plan()
    home.edit(account.id, "externalId", joiner.employee_id, "add")
    home.hire(joiner)
    made = home.plan()
    assert {change.key: change.account for change in made.changes} == {joiner.employee_id: account.id}


def decided(home: House) -> tuple[dict[str, tuple[str, str | None, set[str]]], list[tuple[str, str]]]:
    """What a plan would do, and says of people."""
    made = home.plan()
    changes = {c.key: (c.action.value, c.account, {d.path for d in c.deltas}) for c in made.changes}
    return changes, sorted((f.subject, f.code) for f in made.findings if f.subject)


def decides_as_if_all_were_read(home: House) -> None:
    """Assert that a plan that recalls decides as one that reads everybody whole."""
    some = decided(home)
    recalled(home, "0d")
    assert some == decided(home)


def test_an_account_found_by_its_login_is_looked_at_for_the_mark_of_somebody_else(home: House) -> None:
    joiner = home.newcomer(7)
    made = {"userName": joiner.email, "displayName": "By Hand", "active": True}
    account = home.simulator.directory.create(made, Actor("by-hand", "POST"))
    home.plan()
    home.edit(account.id, "externalId", "OTHER-9", "add")
    home.hire(joiner)
    decides_as_if_all_were_read(home)


def test_who_lost_their_account_is_found_by_a_mark_that_nobody_recalls(home: House) -> None:
    who = home.active(1)[0]
    made = {"userName": "by.hand@example.com", "displayName": "By Hand", "active": True}
    account = home.simulator.directory.create(made, Actor("by-hand", "POST"))
    home.plan()
    home.edit(account.id, "externalId", who.employee_id, "add")
    home.delete(who)
    decides_as_if_all_were_read(home)


@pytest.mark.parametrize("nights", [1, 2])
def test_a_skill_that_we_gave_is_taken_again(home: House, nights: int) -> None:
    who = next(one for one in home.active(60) if not one.skills)
    home.plan()
    home.set(who, skill_list="Billing:5")
    version = entity(home, who).version
    for _ in range(nights):
        home.sync()
    assert home.skills(who) == {"Billing"}
    assert entity(home, who).version == version, "the directory does not tell of our own write"
    home.set(who, skill_list=None)
    home.sync()
    assert not home.skills(who)


def test_a_skill_that_we_took_is_given_back(home: House) -> None:
    who = next(one for one in home.active(60) if len(one.skills) == 1)
    home.plan()
    home.set(who, skill_list=None)
    home.apply(home.plan(who.employee_id).id)
    assert not home.skills(who)
    home.set(who, skill_list=row(who)[COLUMNS.index("skill_list")])
    home.sync()
    assert home.skills(who) == {name for name, _ in who.skills}


@pytest.mark.parametrize("content", [b"", b"PAR1 not at all"])
def test_a_damaged_memory_costs_requests_and_nothing_else(home: House, content: bytes) -> None:
    home.plan()
    (home.settings().state.artifacts / MIRROR).write_bytes(content)
    assert actions(home.plan()) == {}
    assert "target.incomplete" not in codes(home.plan())


# --- pages that are refused -------------------------------------------------------------------------

DEAR = """\
[attributes]
userName = "lower(trim(email))"
displayName = "first_name || ' ' || last_name"
active = "one_of(status, ['active'], ['inactive', 'left'])"
"enterprise:division" = "division"
"enterprise:manager" = "ref(manager_id)"
"""


@pytest.fixture
def costly(tmp_path: Path) -> Iterator[House]:
    """A directory that refuses large pages of what the mapping asks for, though no document names it."""
    with hurry(), house(tmp_path, users=130, expensive_page_429="always") as found:
        found.configure(attributes=DEAR, match='["userName"]')
        yield found


def night(home: House) -> tuple[int, int]:
    """Pages of accounts that a plan asks for, and how many of all its requests are refused as too many."""
    home.reset()
    home.plan()
    return home.stats()["list"], home.stats()["throttled"]


def aged(home: House, **changes: object) -> None:
    """Change what is remembered of page sizes."""
    file = home.settings().state.artifacts / PAGE_SIZES
    assert file.stat().st_mode & 0o777 == 0o600
    kept = json.loads(file.read_bytes())
    (what,) = kept["sizes"]
    assert (kept["target"], kept["sizes"][what]["most"]) == (home.settings().target.api_url + "/api/v2/scim/v2", 25)
    kept["target"] = changes.pop("target", kept["target"])
    kept["sizes"][what].update(changes)
    file.write_text(json.dumps(kept))


def test_a_page_size_that_was_refused_is_not_tried_again_the_next_night(costly: House) -> None:
    first, refused = night(costly)
    assert refused >= 2
    second, spared = night(costly)
    assert (spared, second) == (0, first - refused)
    assert night(costly) == (second, 0)


@pytest.mark.parametrize("days", [27, 29])
def test_after_four_weeks_the_larger_page_is_tried_again(costly: House, days: int) -> None:
    first = night(costly)
    since = datetime.now(UTC) - timedelta(days=days)
    aged(costly, since=since.isoformat())
    assert (night(costly)[1] > 0) == (days > 28)
    costly.option(expensive_page_429="never")
    aged(costly, since=(datetime.now(UTC) - timedelta(days=29)).isoformat())
    assert night(costly)[0] < first[0] / 2


def test_the_page_size_of_another_directory_or_mapping_says_nothing(costly: House) -> None:
    night(costly)
    costly.option(expensive_page_429="never")
    small = night(costly)[0]
    costly.configure(attributes=DEAR.replace('"enterprise:manager" = "ref(manager_id)"\n', ""), match='["userName"]')
    assert night(costly)[0] < small
    costly.configure(attributes=DEAR, match='["userName"]')
    assert night(costly)[0] == small
    aged(costly, target="https://elsewhere.example.com")
    assert night(costly)[0] < small


@pytest.mark.parametrize("content", [b"\xff", b'{"target": 1}'])
def test_a_damaged_memory_of_page_sizes_only_costs_the_waits(costly: House, content: bytes) -> None:
    first = night(costly)
    (costly.settings().state.artifacts / PAGE_SIZES).write_bytes(content)
    assert night(costly) == first
