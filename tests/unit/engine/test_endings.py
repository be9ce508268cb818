"""Leavers end: their accounts are deleted on their day, and nobody else's ever is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.engine.test_whole_runs import Company, twin_of

from scimsync.core import waiting
from scimsync.engine.applying import settle_run
from scimsync.engine.ledger import document_of
from scimsync.engine.preconditions import ApplyOptions, ApplyPorts
from scimsync.errors import StoreError
from scimsync.model.outcomes import Exchange, Outcome, Reply, Status, Step, Sweep
from scimsync.model.plans import Action, Plan
from scimsync.model.policy import Authority, Deleted, Leavers, Limit, Limits
from scimsync.testing import MemoryTarget

DAY = 86_400.0
AFTER = timedelta(days=3)


class Firm(Company):
    """A company that deletes who left three days ago."""

    def __init__(self, folder: Path, people: int = 40) -> None:
        super().__init__(folder, people)
        self.more = {"leavers": Leavers.DELETE, "leavers_after": AFTER}

    def night(self, number: int = 1) -> Plan:
        """So many nights, a run in each; the plan of the last."""
        for _ in range(number):
            self.clock.advance(DAY)
            plan = self.sync()
        return plan

    def leave(self, key: str) -> None:
        del self.rows[key]

    def outcomes(self, plan: Plan) -> dict[str, Outcome]:
        return {key: parts[-1] for key, parts in self.apply(plan).outcomes.items()}


def run_once(folder: Path) -> Firm:
    made = Firm(folder)
    made.sync()
    return made


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return twin_of(run_once, tmp_path / "artifacts")


def codes(plan: Plan) -> set[str]:
    return {finding.code for finding in plan.findings}


def ids(firm: Firm, *keys: str) -> list[str]:
    return [str(firm.account(key)["id"]) for key in keys]


def deleted(plan: Plan) -> list[str]:
    return [change.key for change in plan.changes if change.action is Action.DELETE]


def left_long_ago(firm: Firm, key: str = "E3") -> str:
    """Somebody who is due tonight; the id of the account."""
    account = ids(firm, key)[0]
    firm.leave(key)
    firm.night()
    firm.clock.advance(3 * DAY)
    return account


# --- on their day -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["absence", "status"])
def test_an_account_is_deleted_so_many_days_after_it_was_disabled_and_not_a_day_before(firm: Firm, how: str) -> None:
    account = ids(firm, "E3")[0]
    if how == "absence":
        firm.leave("E3")
    else:
        firm.rows["E3"]["status"] = "left"
    assert [c.action for c in firm.night().changes] == [Action.DISABLE]
    for _ in range(2):
        plan = firm.night()
        assert (plan.changes, plan.findings) == ((), ())
    plan = firm.night()
    assert (deleted(plan), account in firm.target.users) == (["E3"], False)
    assert [(f.code, f.detail) for f in plan.findings] == [
        ("leaver.expired", "inactive since 2026-01-02 (disabled by us then)")
    ]
    assert not waiting.waits(plan)
    plan = firm.night()
    assert (plan.changes, plan.findings) == ((), ())


def test_a_run_that_begins_some_minutes_earlier_in_the_night_still_deletes_on_the_day(firm: Firm) -> None:
    firm.leave("E3")
    firm.night()
    firm.clock.advance(3 * DAY - 1200)
    assert deleted(firm.plan()) == ["E3"]


def test_a_rehire_on_the_day_before_keeps_the_account_and_the_days_begin_anew(firm: Firm) -> None:
    account, row = ids(firm, "E3")[0], firm.rows["E3"]
    firm.leave("E3")
    firm.night(3)
    firm.rows["E3"] = row
    assert [c.action for c in firm.night().changes] == [Action.ENABLE]
    firm.leave("E3")
    firm.night(3)
    assert firm.target.users[account]["active"] is False
    assert deleted(firm.night()) == ["E3"]


def test_somebody_whom_a_hand_enabled_for_a_night_counts_anew(firm: Firm) -> None:
    firm.authority["active"] = Authority.CLOUD_WINS
    firm.leave("E3")
    firm.night(2)
    firm.edit("E3", active=True)
    firm.night()
    firm.edit("E3", active=False)
    plan = firm.night()
    assert codes(plan) == {"leaver.undated"}
    assert not deleted(firm.night(2))
    assert deleted(firm.night()) == ["E3"]


def test_an_account_that_was_inactive_before_we_came_counts_from_the_first_day_that_we_saw_it(tmp_path: Path) -> None:
    firm = Firm(tmp_path / "artifacts")
    firm.target._put(
        {"userName": "p3@example.com", "externalId": "E3", "displayName": "P 3", "active": False}, version=4
    )
    firm.rows["E3"]["status"] = "left"
    firm.sync()
    plan = firm.night()
    assert [(f.code, f.subject) for f in plan.findings] == [("leaver.undated", "")]
    assert "E3" in plan.findings[0].detail
    for _ in range(2):
        plan = firm.night()
        assert (plan.changes, plan.findings) == ((), ())
    plan = firm.night()
    assert deleted(plan) == ["E3"]
    assert "a plan first met it inactive then" in plan.findings[0].detail


def test_who_was_disabled_before_the_policy_was_set_is_deleted_by_the_day_of_disabling(firm: Firm) -> None:
    firm.more = {}
    firm.leave("E3")
    firm.night(5)
    firm.more = {"leavers": Leavers.DELETE, "leavers_after": AFTER}
    plan = firm.night()
    assert (deleted(plan), codes(plan)) == (["E3"], {"leaver.expired"})


# --- never ------------------------------------------------------------------------------------------------


def test_nobody_is_deleted_who_is_protected_unlinked_or_inactive_by_hand_while_hr_has_them(firm: Firm) -> None:
    firm.authority["active"] = Authority.CLOUD_WINS
    firm.target._put({"userName": "old@example.com", "displayName": "Old", "active": False}, version=1)
    firm.edit("E5", active=False)
    firm.leave("E3")
    firm.night()
    firm.more["protected"] = frozenset({"p3@example.com"})
    before = set(firm.target.users)
    for _ in range(5):
        assert not deleted(firm.night())
    assert set(firm.target.users) == before


@pytest.mark.parametrize("trouble", ["rows", "blank", "keyless"])
def test_nobody_is_deleted_while_the_source_is_not_trusted(firm: Firm, trouble: str) -> None:
    firm.rows["E4"]["status"] = "left"
    left_long_ago(firm)
    rows = {key: dict(row) for key, row in firm.rows.items()}
    if trouble == "rows":
        for key in list(firm.rows)[-12:]:
            del firm.rows[key]
    elif trouble == "blank":
        for row in list(firm.rows.values())[:20]:
            row["title"] = None
    else:
        firm.rows["E9"]["id"] = None
    assert not deleted(firm.plan())
    firm.rows = rows
    assert deleted(firm.plan()) == ["E3", "E4"]


class Holey(MemoryTarget):
    """A directory whose listing can be cut short, or leaves out the inactive."""

    incomplete, unlisted = "", ""

    async def sweep(self, attributes: Sequence[str], sink: Callable[[Sequence[bytes]], None]) -> Sweep:
        everybody = self.users
        if self.unlisted:
            self.users = {account: user for account, user in everybody.items() if user["active"]}
        try:
            found = await super().sweep(attributes, sink)
        finally:
            self.users = everybody
        return replace(found, incomplete=self.incomplete, unlisted=self.unlisted)


def holey(firm: Firm, **given: str) -> Firm:
    firm.target.__class__ = Holey
    for name, value in given.items():
        setattr(firm.target, name, value)
    return firm


def test_nobody_is_deleted_while_the_directory_is_not_read_whole(firm: Firm) -> None:
    left_long_ago(firm)
    assert not deleted(holey(firm, incomplete="a page is missing").plan())
    assert deleted(holey(firm, incomplete="").plan()) == ["E3"]


def test_where_the_target_does_not_list_the_inactive_what_we_know_of_them_is_enough(firm: Firm) -> None:
    holey(firm, unlisted="400 beyond 10,000")
    account = left_long_ago(firm)
    plan = firm.plan()
    assert (deleted(plan), codes(plan)) == (["E3"], {"leaver.expired", "target.unlisted"})
    firm.apply(plan)
    assert account not in firm.target.users
    assert codes(firm.night()) == {"target.unlisted"}


def test_where_the_target_does_not_list_the_inactive_a_rehire_still_gets_the_own_account(firm: Firm) -> None:
    holey(firm, unlisted="400 beyond 10,000")
    account, row = ids(firm, "E3")[0], firm.rows["E3"]
    firm.leave("E3")
    firm.night(2)
    firm.rows["E3"] = row
    assert [(c.action, c.account) for c in firm.night().changes] == [(Action.ENABLE, account)]


# --- limits -----------------------------------------------------------------------------------------------


def test_more_than_the_limit_are_not_deleted_and_the_rest_of_the_plan_goes_on(firm: Firm) -> None:
    firm.more["limits"] = Limits(disable=Limit(), delete=Limit(count=2), source_rows_drop=Limit(share=0.5))
    for key in ("E3", "E4", "E5"):
        firm.leave(key)
    firm.night(3)
    firm.rows["E6"]["title"] = "Lead"
    plan = firm.night()
    assert [c.action for c in plan.changes] == [Action.UPDATE]
    held = next(f for f in plan.findings if f.code == "limits.delete")
    assert held.detail == "3 of 37, allowed 2: E3, E4, E5"
    assert waiting.waits(plan)
    assert not plan.refusals
    assert not deleted(firm.plan(only=("E3",)))
    plan = firm.sync(overrides=("limits.delete",))
    assert deleted(plan) == ["E3", "E4", "E5"]
    assert codes(firm.night()) == set()


def test_deletions_of_a_day_count_together(firm: Firm) -> None:
    firm.more["limits"] = Limits(disable=Limit(), delete=Limit(count=1))
    left_long_ago(firm)
    firm.leave("E4")
    assert deleted(firm.sync()) == ["E3"]
    firm.more["leavers_after"] = timedelta(hours=1)
    firm.clock.advance(7200)
    assert codes(firm.plan()) == {"limits.delete"}


# --- on the wire ------------------------------------------------------------------------------------------


class Stubborn(MemoryTarget):
    """A directory whose deletions go wrong, one after the other."""

    troubles: list[str]

    async def delete(self, account: str, version: str) -> Reply:
        trouble = self.troubles.pop(0) if self.troubles else ""
        user = self.users.get(account)
        if trouble == "moved" and user is not None:
            user["meta"] = {**user["meta"], "version": str(int(version) + 1)}  # type: ignore[dict-item]
        if trouble == "enabled" and user is not None:
            user.update(active=True, meta={"version": str(int(version) + 1)})
        if trouble == "lost":
            return Reply(exchange=Exchange.LOST, method="DELETE")
        reply = await super().delete(account, version)
        if trouble == "lost after":
            return Reply(exchange=Exchange.LOST, method="DELETE")
        if trouble == "crash":
            raise StoreError("cut short")
        return reply


@pytest.mark.parametrize(
    ("troubles", "status", "code", "there"),
    [
        (["moved"], Status.DONE, "", False),
        (["lost"], Status.DONE, "", False),
        (["lost after"], Status.DONE, "", False),
        (["enabled"], Status.HELD, "leaver.active-again", True),
        (["moved"] * 9, Status.HELD, "write.races", True),
    ],
)
def test_whatever_happens_to_a_deletion_its_end_is_known(
    firm: Firm, troubles: list[str], status: Status, code: str, there: bool
) -> None:
    account = left_long_ago(firm)
    firm.target.__class__ = Stubborn
    firm.target.troubles = list(troubles)  # type: ignore[attr-defined]
    plan = firm.plan()
    made = firm.outcomes(plan)["E3"]
    assert (made.status, made.code, account in firm.target.users) == (status, code, there)


def test_an_account_that_is_gone_already_or_enabled_since_the_plan_is_not_deleted(firm: Firm) -> None:
    left_long_ago(firm)
    plan = firm.plan()
    del firm.target.users[ids(firm, "E3")[0]]
    assert firm.outcomes(plan)["E3"].status is Status.ALREADY


def test_an_account_that_somebody_enabled_since_the_plan_stays(firm: Firm) -> None:
    account = left_long_ago(firm)
    plan = firm.plan()
    firm.edit("E3", active=True)
    made = firm.outcomes(plan)["E3"]
    assert (made.status, made.code) == (Status.HELD, "leaver.active-again")
    assert account in firm.target.users


def test_a_deletion_that_was_cut_short_is_settled_by_reading(firm: Firm) -> None:
    account = left_long_ago(firm)
    firm.target.__class__ = Stubborn
    firm.target.troubles = ["crash"]  # type: ignore[attr-defined]
    plan = firm.plan()
    with pytest.raises(StoreError):
        firm.apply(plan)
    ports = ApplyPorts(target=firm.target, store=firm.store, clock=firm.clock, observer=_Silent())
    run = firm.store.run(plan.id)
    assert run is not None
    report = asyncio.run(settle_run(plan, run, ports, ApplyOptions(policy=firm.policy, configuration="c")))
    assert (report.outcomes["E3"][-1].status, account in firm.target.users) == (Status.DONE, False)
    assert list(firm.store.endings()) == []


class _Silent:
    def stage(self, name: str, total: int | None = None) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def say(self, text: str) -> None: ...


def test_a_deletion_is_journalled_before_it_is_sent_and_stands_in_the_audit_chain(firm: Firm) -> None:
    left_long_ago(firm)
    plan = firm.sync()
    lines = [(line.step, line.method) for line in firm.store.journal(plan.id) if line.key == "E3"]
    assert lines == [(Step.INTENT, "DELETE"), (Step.OUTCOME, "")]
    told = [document_of(entry) for entry in firm.store.entries(run=plan.id)]
    assert [(one["kind"], one.get("action")) for one in told if one["kind"] in {"intent", "outcome"}] == [
        ("intent", "delete"),
        ("outcome", "delete"),
    ]


# --- after ------------------------------------------------------------------------------------------------


def test_somebody_who_comes_back_after_the_deletion_is_known_by_the_key(firm: Firm) -> None:
    row: dict[str, Any] = firm.rows["E3"]
    account = left_long_ago(firm)
    firm.sync()
    firm.rows["E3"] = row
    firm.more["deleted"] = Deleted.RESTORE
    assert [(c.action, c.account) for c in firm.night().changes] == [(Action.RESTORE, account)]
    assert firm.account("E3")["active"] is True
    assert not firm.night().changes
