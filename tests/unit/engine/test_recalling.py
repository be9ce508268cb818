"""What a plan takes from an earlier reading, on the twins in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.engine.test_whole_runs import Company

from scimsync.model.outcomes import Exchange, Reply, Sweep
from scimsync.model.policy import Depth
from scimsync.scim.genesys import GENESYS
from scimsync.testing import MemoryTarget


class Cheap(MemoryTarget):
    """A directory that lists without external ids where nobody asks for them."""

    def __init__(self) -> None:
        super().__init__()
        #: accounts that cannot be read by themselves
        self.stuck: set[str] = set()
        self.again: set[str] = set()

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        whole = self.users
        if not any(map(GENESYS.is_expensive, attributes)):
            self.users = {account: {**user, "externalId": None} for account, user in whole.items()}
        try:
            return await super().sweep(attributes, sink)
        finally:
            self.users = whole

    async def reread(
        self, accounts: Collection[str], attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]
    ) -> None:
        self.again = {*accounts}
        await super().reread({*accounts} - self.stuck, attributes, sink)

    async def get(self, account: str) -> Reply:
        if account in self.stuck:
            return Reply(exchange=Exchange.ANSWERED, method="GET", status=500)
        return await super().get(account)


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Company, Cheap]:
    monkeypatch.setattr("scimsync.workbench.recalled.RECALLED_FROM", 1)
    monkeypatch.setattr("scimsync.engine.reading.RECALLED_FROM", 1)
    found = Company(tmp_path)
    target = found.target = Cheap()
    found.recall = timedelta(days=28)
    found.sync(overrides=("limits.create",))
    found.plan()
    return found, target


def test_who_could_not_be_read_again_waits(company: tuple[Company, Cheap]) -> None:
    firm, target = company
    firm.edit("E3", title="Edited")
    account = firm.account("E3")
    account["externalId"] = "OTHER"
    target.stuck = {str(account["id"])}
    made = firm.plan()
    assert [change.key for change in made.changes] == []
    assert {f.code for f in made.findings if f.subject == "E3"} == {"target.lagging"}
    target.stuck = set()
    firm.plan()
    assert account["id"] in target.again, "nothing is remembered of what nobody read"


@pytest.mark.parametrize("step", [timedelta(days=-1), timedelta(days=29)])
def test_what_was_read_too_long_ago_or_tomorrow_is_not_recalled(
    company: tuple[Company, Cheap], step: timedelta
) -> None:
    firm = company[0]
    del firm.account("E3")["externalId"]
    firm.clock.advance(step.total_seconds())
    assert [change.key for change in firm.plan().changes] == ["E3"]


def test_what_the_directory_takes_from_inactive_people_is_not_read_again_each_night(
    company: tuple[Company, Cheap],
) -> None:
    firm, target = company
    firm.mapping["roles"] = "names('agent')"
    firm.rows["E3"]["status"] = "inactive"
    firm.sync()
    firm.clock.advance(7200)
    firm.sync()
    firm.clock.advance(7200)
    firm.plan()
    assert firm.account("E3")["active"] is False
    assert firm.account("E3")["id"] not in target.again
    assert len(target.again) <= 2


def test_what_stood_still_for_months_is_as_fresh_as_the_last_whole_reading(company: tuple[Company, Cheap]) -> None:
    firm = company[0]
    firm.recall = timedelta()
    for _ in range(3):
        firm.clock.advance(20 * 86_400)
        firm.plan()
    firm.recall, firm.depth = timedelta(days=28), Depth.VERSIONS
    assert {f.code for f in firm.plan().findings} >= {"target.versions-only"}
    firm.clock.advance(29 * 86_400)
    assert "target.versions-only" not in {f.code for f in firm.plan().findings}
