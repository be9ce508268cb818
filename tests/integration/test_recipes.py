"""Every recipe of examples/faults, played through whole runs: words while it lasts, and rest when it is over.

Waits of a recipe are cut to half a second, and a lost POST is looked for after a tenth of one: what is tested is
what comes of them, not how long they are.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.runs import GENESYS, House, house, hurry

from scimsync.cli.sample import record
from scimsync.errors import ScimsyncError
from scimsync.model.outcomes import STRIPPED, Status
from scimsync.simulator.people import Person

RECIPES = sorted((Path(__file__).parents[2] / "examples/faults").glob("*.toml"))
LONGEST_S = 0.5
#: what the switches of the recipes are outside of them
CALM: Mapping[str, object] = {
    "rate_limit": 0, "rate_shown": 0, "refuse_again": 0, "search_lag_ms": 0, "login_limit": 0,
    "expires_in": 86_400, "token_skew": 0, "idle_timeout": 0,
}  # fmt: skip
RUNS_UNDER_TROUBLE = 2
RUNS_TO_REST = 3
JOINERS = 5


class Company:
    """What HR wants after a night in which everything happens."""

    def __init__(self, home: House) -> None:
        self.home = home
        people = {person.employee_id: person for person in home.people}
        movers, leavers = home.active(16), home.active(6, start=24)
        rehires = [person for person in home.people if not person.active][:2]
        self.rehires = {person.employee_id for person in rehires}
        first = home.newcomer(1, manager_id=home.people[0].employee_id)
        joiners = [
            first,
            *(home.newcomer(n, manager_id=first.employee_id) for n in range(2, JOINERS)),
            home.newcomer(JOINERS),
        ]
        self.wanted: dict[str, dict[str, Any]] = {key: dict(record(person)) for key, person in people.items()}
        self.wanted |= {joiner.employee_id: dict(record(joiner)) for joiner in joiners}
        self.people = people | {joiner.employee_id: joiner for joiner in joiners}
        home.hire(*joiners)
        for number, who in enumerate(movers):
            self._set(who, job_title=f"Deputy {number}")
            if number % 2:
                self._set(who, skill_list="Billing:4", department="Support")
            if number % 4 == 2:
                self._set(who, manager_id=first.employee_id, phone="(317) 555-0199", country="US")
        for who in leavers[:4]:
            self._set(who, status="inactive")
        home.dismiss(*leavers[4:])
        for who in leavers[4:]:
            self.wanted[who.employee_id] = {"email": who.email, "status": "inactive"}
        for who in rehires:
            self._set(who, status="active")

    def _set(self, who: Person, **columns: str) -> None:
        self.home.set(who, **columns)
        self.wanted[who.employee_id] |= columns

    def arrived(self) -> None:
        """The directory holds what HR says of everybody, and one account for each."""
        ids = {
            key: self.home.account(row["email"])["id"]
            for key, row in self.wanted.items()
            if row["status"] == "active" or self.home.accounts(row["email"])
        }
        for key, row in self.wanted.items():
            if key not in ids:
                continue
            account = self.home.account(row["email"])
            assert account["active"] is (row["status"] == "active"), key
            if "job_title" not in row:
                continue
            extension = account.get("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", {})
            assert account.get("title") == row["job_title"], key
            assert extension.get("department") == row["department"], key
            if row["manager_id"] in ids:
                assert extension.get("manager", {}).get("value") == ids[row["manager_id"]], key
            skills = {skill["name"] for skill in account.get(GENESYS, {}).get("routingSkills", [])}
            assert {word.partition(":")[0] for word in (row["skill_list"] or "").split(";") if word} <= skills, key


def test_the_recipes_are_there() -> None:
    assert len(RECIPES) >= 7


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_ends_in_words_and_then_in_rest(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    for fault in recipe["fault"]:
        fault["seconds"] = min(fault.get("seconds", 0), LONGEST_S)
    with house(tmp_path, users=60) as home:
        home.settle()
        company = Company(home)
        before = len(home.call("history"))
        home.option(**recipe.get("options", {}))
        home.fault(*recipe["fault"])
        for _ in range(RUNS_UNDER_TROUBLE):
            words = said(home)
            assert not words or len(words) > 20, words
        struck = sum(fault["hits"] for fault in home.call("faults")["faults"])
        home.fault()
        home.option(**CALM)
        home.call("drift", {"steps": []})
        comes_to_rest(home, company.rehires)
        company.arrived()
        nothing_was_written_twice(home.call("history")[before:])
        assert home.unsettled() == set()
        assert struck


def said(home: House) -> str:
    """Plan and apply; what ended the run early, "" where nothing did. Only errors of the family are caught."""
    try:
        _, report = home.sync()
    except ScimsyncError as error:
        return str(error)
    for parts in report.outcomes.values():
        for outcome in parts:
            assert outcome.status in {Status.DONE, Status.ALREADY} or outcome.code, outcome
    return report.stopped


def comes_to_rest(home: House, rehires: set[str]) -> None:
    """Within some runs there is nothing left to do."""
    for _ in range(RUNS_TO_REST):
        made, report = home.sync()
        told = {(o.key, o.code) for parts in report.outcomes.values() for o in parts if o.code}
        # who was enabled again in this run has no roles, which is told; all else is done
        stripped = told and told <= {(key, STRIPPED) for key in rehires} and report.statuses.keys() == {"done"}
        assert report.clean or stripped, (told, report.statuses, report.stopped)
        if not made.changes:
            return
    pytest.fail(f"still changes after {RUNS_TO_REST} runs")


def nothing_was_written_twice(history: list[dict[str, Any]]) -> None:
    """No write of ours repeats one that nobody has undone, and nobody is made twice."""
    made = sum(entry["who"] == "client" and entry["method"] == "POST" for entry in history)
    deleted = sum(entry["who"] != "client" and entry["method"] == "DELETE" for entry in history)
    assert JOINERS <= made <= JOINERS + deleted
    held: dict[str, set[str]] = {}
    for entry in history:
        if entry["who"] != "client":
            held.pop(entry["id"], None)
            continue
        writes = {json.dumps(operation, sort_keys=True) for operation in entry["operations"]}
        again = held.setdefault(entry["id"], set())
        assert not writes & again, entry
        again |= writes
