"""Plans that list nobody: who loses access, keeps it or gets another's by what is remembered of the directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.test_whole_runs import Company, codes, run_once, twin_of

from scimsync.model.outcomes import Exchange, Link, Reply
from scimsync.model.plans import Plan
from scimsync.model.policy import Depth
from scimsync.testing import MemoryTarget
from scimsync.workbench.mirror import MIRROR


class Stuck(MemoryTarget):
    """A directory that lists late, and cannot give some accounts by their ids."""

    stuck: frozenset[str] = frozenset()

    async def get(self, account: str) -> Reply:
        if account in self.stuck:
            return Reply(exchange=Exchange.ANSWERED, method="GET", status=500)
        return await super().get(account)

    def hide(self, account: str) -> None:
        self.listed = {key: user for key, user in self.users.items() if key != account}
        self.stuck = frozenset({account})

    def show(self) -> None:
        self.listed, self.stuck = None, frozenset()


@pytest.fixture
def firm(tmp_path: Path) -> Company:
    made = twin_of(run_once, tmp_path / "artifacts")
    made.target.__class__ = Stuck
    made.plan()
    return made


def unlisted(firm: Company) -> Plan:
    firm.depth = Depth.SOURCE
    made = firm.plan()
    assert "target.not-listed" in codes(made)
    return made


def actions(plan: Plan) -> dict[str, str]:
    return {change.key: change.action.value for change in plan.changes}


def by_hand(firm: Company, **values: Any) -> dict[str, Any]:
    return firm.target._put({"active": True, **values}, version=1)


@pytest.mark.parametrize("version", ["7", "1"], ids=["moved", "not moved"])
def test_an_account_that_is_another_persons_by_now_is_nobodys_to_take(firm: Company, version: str) -> None:
    account = by_hand(firm, userName="new@example.com", displayName="New")
    firm.plan()
    account |= {"userName": "boss@example.com", "displayName": "Boss", "meta": {**account["meta"], "version": version}}
    firm.rows["E99"] = firm.person(99) | {"email": "new@example.com"}
    plan = unlisted(firm)
    assert actions(plan) == {"E99": "create"}
    firm.apply(plan)
    assert Link("E99", str(account["id"])) not in [*firm.store.links()]
    assert firm.target.users[str(account["id"])]["displayName"] == "Boss"


def test_an_account_that_may_be_a_new_persons_and_cannot_be_read_makes_the_person_wait(firm: Company) -> None:
    account = by_hand(firm, userName="new@example.com", displayName="New")
    firm.plan()
    firm.target.hide(str(account["id"]))
    firm.rows["E99"] = firm.person(99) | {"email": "new@example.com"}
    plan = unlisted(firm)
    assert actions(plan) == {}
    assert "target.incomplete" in codes(plan)
    firm.target.show()
    assert actions(unlisted(firm)) == {"E99": "update"}


def test_whoever_no_listing_showed_yet_is_not_made_twice_and_leaves_as_others_do(firm: Company) -> None:
    firm.rows["E99"] = firm.person(99)
    firm.sync()
    firm.target.hide(str(firm.account("E99")["id"]))
    firm.plan()
    firm.target.show()
    firm.rows["E1"]["title"] = "Lead"
    assert actions(unlisted(firm)) == {"E1": "update"}
    del firm.rows["E99"]
    assert actions(unlisted(firm)) == {"E1": "update", "E99": "disable"}


def test_what_a_run_wrote_and_did_not_live_to_remember_is_read(firm: Company) -> None:
    kept = {file: file.read_bytes() for file in firm.store.artifact(MIRROR).parent.glob("mirror-*")}
    firm.rows["E99"] = firm.person(99)
    firm.rows["E3"]["status"] = "inactive"
    firm.sync()
    for file, content in kept.items():
        file.write_bytes(content)
    assert actions(unlisted(firm)) == {}
    firm.rows["E3"] |= {"status": "active", "title": "Lead"}
    del firm.rows["E99"]
    assert actions(unlisted(firm)) == {"E3": "enable", "E99": "disable"}


def test_a_plan_that_read_before_a_run_and_ended_after_it_lets_nobody_keep_access(firm: Company) -> None:
    firm.rows["E3"]["status"] = "inactive"
    firm.sync()
    firm.depth = Depth.FULL
    firm.plan()
    kept = {file: file.read_bytes() for file in firm.store.artifact(MIRROR).parent.glob("mirror-*")}
    firm.rows["E3"] |= {"status": "active", "title": "Lead"}
    firm.sync()
    for file, content in kept.items():
        file.write_bytes(content)
    firm.clock.advance(3 * 3600)
    del firm.rows["E3"]
    assert actions(unlisted(firm)) == {"E3": "disable"}


def test_what_was_not_mapped_for_a_while_is_not_remembered_as_empty(firm: Company) -> None:
    mapping = dict(firm.mapping)
    del firm.mapping["title"]
    firm.plan()
    firm.mapping = mapping
    firm.depth = Depth.SOURCE
    plan = firm.plan()
    assert actions(plan) == {}
    assert "target.read-whole" in codes(plan)


def test_two_sources_with_mappings_of_their_own_do_not_empty_each_others_memory(firm: Company) -> None:
    mapping, rows = dict(firm.mapping), firm.rows
    firm.source, firm.rows = "other", {"X1": firm.person(70) | {"id": "X1"}}
    del firm.mapping["title"]
    firm.sync()
    firm.source, firm.rows, firm.mapping = "", rows, mapping
    firm.sync()
    firm.source, firm.rows = "other", {"X1": firm.person(70) | {"id": "X1", "name": "Another"}}
    del (other := dict(mapping))["title"]
    firm.mapping, firm.depth = other, Depth.SOURCE
    firm.sync()
    firm.source, firm.rows, firm.mapping = "", rows, mapping
    assert actions(firm.plan()) == {}
