"""A year of leavers: disabled, deleted on their day, their addresses given on or taken up again, and no wrong person.

`SCIMSYNC_DAYS_TIMES=10 pytest tests/laws/test_ends.py` plays the whole year with 1,000 leavers and 100 addresses that
come again; `SCIMSYNC_DAYS_SEED=4711` plays another one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from tests.unit.engine.test_whole_runs import Company

from scimsync.model.plans import Plan
from scimsync.model.policy import Deleted, Leavers, Limits

FULL = int(os.environ.get("SCIMSYNC_DAYS_TIMES", "1")) >= 10
SEED = int(os.environ.get("SCIMSYNC_DAYS_SEED", "1"))
PEOPLE, LEAVERS, AGAIN, NIGHTS = (3000, 1000, 100, 365) if FULL else (120, 20, 8, 30)
AFTER = 30 if FULL else 7
#: what each night may say besides its changes
SPOKEN = {"delete": "leaver.expired", "restore": "account.restoring", "held": "account.deleted"}


@dataclass(frozen=True)
class Fate:
    """What happens to one leaver, by night."""

    leaves: int
    #: HR keeps the record, marked as left
    is_marked: bool
    #: comes back on the last night before the deletion
    is_late_rehire: bool = False
    #: the address comes again after the deletion: for the same person, or for another
    again: str = ""


class Year(Company):
    """A company, its leavers, and what must happen on each night."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, PEOPLE)
        self.more = {
            "leavers": Leavers.DELETE,
            "leavers_after": timedelta(days=AFTER),
            "deleted": Deleted.RESTORE,
            "limits": Limits(leavers_window=timedelta(days=1)),  # so many leave that a week would be too much
        }
        self.target.revives = True
        #: seconds by which the last run began late
        self.late = 0
        self.rng = Random(SEED)
        self.hired = {key: dict(row) for key, row in self.rows.items()}
        self.fates: dict[str, Fate] = {}
        latest = NIGHTS - AFTER - 8
        for number, key in enumerate(self.rng.sample([*self.rows], LEAVERS)):
            leaves = 1 + number * latest // LEAVERS
            again = ("", "same", "another")[number % 3] if number // 3 < AGAIN // 2 else ""
            self.fates[key] = Fate(
                leaves, is_marked=number % 2 == 0, is_late_rehire=not again and number % 7 == 3, again=again
            )
        #: account -> the key that it was made for
        self.whose: dict[str, str] = {}

    def morning(self, night: int) -> dict[str, str]:
        """Let HR do what it does that day; what must happen in the night, by key."""
        wanted: dict[str, str] = {}
        for key, fate in self.fates.items():
            gone = fate.leaves + AFTER
            if night == fate.leaves:
                wanted[key] = "disable"
                if fate.is_marked:
                    self.rows[key] = {**self.hired[key], "status": "left"}
                else:
                    del self.rows[key]
            elif fate.is_late_rehire and night == gone - 1:
                wanted[key] = "enable"
                self.rows[key] = dict(self.hired[key])
            elif not fate.is_late_rehire and night == gone:
                wanted[key] = "delete"
            elif fate.again == "same" and night == gone + 3:
                wanted[key] = "restore"
                self.rows[key] = dict(self.hired[key])
            elif fate.again == "another" and gone + 3 <= night <= gone + 5:
                new = f"N{key}"
                row: dict[str, Any] = {**self.hired[key], "id": new, "name": f"New {key}"}
                if night == gone + 5:  # HR gives another address after two nights
                    row["email"] = f"new.{key}@example.com".lower()
                wanted[new] = "create" if night == gone + 5 else "held"
                self.rows[new] = row
        return wanted

    def night(self) -> Plan:
        """Plan and apply, some minutes earlier or later than last night."""
        early, self.late = self.late, self.rng.randrange(-1200, 1200)
        self.clock.advance(86_400 + self.late - early - 2)  # plan and apply take a second each
        plan = self.plan()
        assert not plan.refusals
        report = self.apply(plan)
        assert report.clean, report.outcomes
        return plan

    def right(self) -> None:
        """Every account is that of its person: active where HR says so, and deleted where that is due."""
        active = {key for key, row in self.rows.items() if row["status"] == "active"}
        for account, user in self.target.users.items():
            key = str(user["externalId"])
            assert self.whose.setdefault(account, key) == key, f"{account} of {self.whose[account]} is {key}'s now"
            row = self.rows.get(key)
            assert user["active"] is (key in active), f"{key} is {user['active']}"
            if row is not None and key in active:
                assert (user["displayName"], user["userName"]) == (row["name"], row["email"])
        linked = {link.account: link.key for link in self.store.links()}
        assert {account: linked.get(account, key) for account, key in self.whose.items()} == self.whose


def happened(plan: Plan) -> dict[str, str]:
    held = {f.subject: "held" for f in plan.findings if f.code == "account.deleted"}
    return {**held, **{change.key: change.action.value for change in plan.changes}}


def told(wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted((SPOKEN[what], key) for key, what in wanted.items() if what in SPOKEN)


def test_everybody_is_deleted_on_the_day_nobody_is_the_wrong_person_and_no_night_is_noisy(tmp_path: Path) -> None:
    year = Year(tmp_path / "artifacts")
    year.sync(overrides=("limits.create",))
    for user in year.target.users.values():
        user["roles"] = [{"value": "Agent"}]
    year.right()
    for night in range(1, NIGHTS):
        wanted = year.morning(night)
        plan = year.night()
        assert happened(plan) == wanted, f"seed {SEED} night {night}"
        assert sorted((f.code, f.subject) for f in plan.findings) == told(wanted), f"seed {SEED} night {night}"
        year.right()
    left = [key for key, fate in year.fates.items() if not fate.is_late_rehire and fate.again != "same"]
    assert len(left) > LEAVERS // 2
    assert len(year.target.bygone) == len(left)
    assert not list(year.store.endings())
