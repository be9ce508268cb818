"""Leavers end on a real socket: disabled, deleted on their day, and what a directory says that lists no more of them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import WIDE_LIMITS, House, actions, codes, house, outcome, status

from scimsync.model.outcomes import Status

DELETING = 'leavers = "delete"\nleavers_after = "30d"'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        found.configure(policy=DELETING)
        found.settle()
        yield found


def age(home: House, days: int = 31) -> None:
    """Let whoever is inactive have been so for many days."""
    with contextlib.closing(sqlite3.connect(home.folder / ".scimsync/state.db")) as database, database:
        database.execute("UPDATE ending SET since = replace(since, substr(since, 1, 4), substr(since, 1, 4) - 1)")
        assert days < 365


def test_a_leaver_is_disabled_deleted_and_then_nothing_is_heard_of_him(home: House) -> None:
    leaver = home.active(1)[0]
    account = home.account(leaver)["id"]
    home.sync()  # who is inactive since before us counts from now
    home.dismiss(leaver)
    made, _ = home.sync()
    assert actions(made) == {leaver.employee_id: "disable"}
    home.quiet()
    with contextlib.closing(sqlite3.connect(home.folder / ".scimsync/state.db")) as database, database:
        database.execute("DELETE FROM ending WHERE key <> ?", [leaver.employee_id])
    age(home)
    made = home.plan(leaver.employee_id)
    assert actions(made) == {leaver.employee_id: "delete"}
    report = home.apply(made.id)
    assert (status(report, leaver), outcome(report, leaver).account) == (Status.DONE, account)
    assert home.simulator.directory.user(account) is None or home.simulator.directory.user(account).deleted
    made, report = home.sync()
    assert leaver.employee_id not in actions(made)
    home.quiet()


@pytest.mark.parametrize("deleted", ["hold", "restore"])
def test_who_comes_back_after_the_deletion_gets_their_own_account(home: House, deleted: str) -> None:
    leaver = home.active(1)[0]
    account = home.account(leaver)["id"]
    home.dismiss(leaver)
    home.sync()
    age(home)
    made = home.plan(leaver.employee_id)
    home.apply(made.id)
    home.hire(leaver)
    home.configure(policy=f'{DELETING}\ndeleted = "{deleted}"')
    made, report = home.sync()
    assert actions(made)[leaver.employee_id] == {"hold": "create", "restore": "restore"}[deleted]
    assert outcome(report, leaver).code == "account.restored"
    assert (home.account(leaver)["id"], home.account(leaver)["active"]) == (account, True)


def test_a_directory_that_lists_no_more_inactive_people_is_told_of_and_the_known_are_deleted(home: House) -> None:
    home.configure(policy=DELETING, limits={**WIDE_LIMITS, "delete": "100%"})
    leavers = home.active(30)
    home.dismiss(*leavers)
    made = home.plan(**{"source__rows-drop": "they left"})
    home.apply(made.id)
    home.option(inactive_wall=25)
    made, _ = home.sync()
    assert {"target.unlisted"} <= codes(made)
    assert actions(made) == {}
    age(home)
    made = home.plan()
    ended = [key for key, action in actions(made).items() if action == "delete"]
    assert {leaver.employee_id for leaver in leavers} <= set(ended)
    report = home.apply(made.id)
    assert all(outcome(report, leaver).status is Status.DONE for leaver in leavers)
    new = home.newcomer(1)
    home.hire(new)
    made, report = home.sync()
    assert status(report, new) is Status.DONE
