"""Whole runs in a blackout: leavers lose their access and their groups, everybody else waits, and nobody is forgotten."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from tests.runs import Quiet
from tests.servers import Firm, Provider, account, codes, firm

from scimsync import bootstrap
from scimsync.config import load
from scimsync.core.blackout import HELD_BACK, Holding
from scimsync.model.outcomes import RunState
from scimsync.model.plans import Action, Plan
from scimsync.services import planning
from scimsync.services.planning import Choices

OFFICE = Holding("office-hours", datetime(2026, 6, 1, 18, tzinfo=UTC))
TEAMS = '[groups]\ncolumn = "team"\n'


def blacked_out(it: Firm) -> Plan:
    settings = load(it.folder / "scimsync.toml")
    with bootstrap.open_store(settings) as store:
        return asyncio.run(planning.plan(settings, store, Quiet(), Choices(blackout=OFFICE)))


def test_in_a_blackout_leavers_lose_access_and_all_else_waits_for_its_end(tmp_path: Path) -> None:
    provider = Provider(*(account(n) for n in range(5)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": n} for n in range(5)))
        it.sync()
        it.quiet()
        # one leaves by status, one by absence; one moves, one joins
        it.hr({"id": 0}, {"id": 1, "status": "left"}, {"id": 3, "title": "Lead"}, {"id": 4}, {"id": 9})
        made = blacked_out(it)
        assert {change.key: change.action for change in made.changes} == {"1": Action.DISABLE, "2": Action.DISABLE}
        (told,) = (finding for finding in made.findings if finding.code == HELD_BACK)
        assert told.detail == "office-hours until 2026-06-01 18:00 UTC; 2 changes of accounts and 0 memberships wait"
        report = it.apply(made.id)
        assert report.clean
        assert [provider.named(f"p{n}@x.org")[0]["active"] for n in range(5)] == [True, False, False, True, True]
        assert provider.named("p3@x.org")[0]["title"] == "T"
        assert provider.named("p9@x.org") == []

        made, _ = it.sync()
        assert {change.key: change.action for change in made.changes} == {"3": Action.UPDATE, "9": Action.CREATE}
        assert HELD_BACK not in codes(made)
        it.quiet()


def test_whom_a_delivery_of_changes_holds_in_a_blackout_is_named_until_they_are_delivered_again(tmp_path: Path) -> None:
    provider = Provider(*(account(n) for n in range(3)))
    with firm(tmp_path, provider) as it:
        file = it.folder / "scimsync.toml"
        text = file.read_text(encoding="utf-8").replace("[source]\n", '[source]\nname = "hr"\n', 1)
        file.write_text(text, encoding="utf-8")
        it.hr(*({"id": n} for n in range(3)))
        it.sync()
        file.write_text(text.replace("[source]\n", '[source]\nmode = "delta"\n', 1), encoding="utf-8")
        it.hr({"id": 1, "title": "Lead"}, {"id": 9})
        made = blacked_out(it)
        assert {one.subject for one in made.findings if one.code == HELD_BACK and one.holds} == {"1", "9"}
        it.apply(made.id)
        it.hr({"id": 2})
        made, _ = it.sync()
        assert {one.subject for one in made.findings if one.code == "source.delta-undone"} >= {"1"}
        it.hr({"id": 1, "title": "Lead"}, {"id": 9, "title": "New"})
        it.sync()
        assert provider.named("p1@x.org")[0]["title"] == "Lead"
        assert len(provider.named("p9@x.org")) == 1


def test_a_leaver_loses_the_groups_and_a_mover_keeps_both_halves_of_the_move_for_later(tmp_path: Path) -> None:
    provider = Provider(*(account(n) for n in range(4)))
    ids = [provider.named(f"p{n}@x.org")[0]["id"] for n in range(4)]
    for name, members in (("Day", [0, 1, 2]), ("Night", [3])):
        provider.put(
            {"id": name, "displayName": name, "members": [{"value": ids[n]} for n in members]}, provider.groups
        )
    with firm(tmp_path, provider) as it:
        it.configure(more=f"group_loss = 1000\ngroup_gain = 1000\n{TEAMS}")
        teams = ["Day", "Day", "Day", "Night"]
        it.hr(*({"id": n, "team": team} for n, team in enumerate(teams)))
        it.sync()
        it.quiet()
        it.hr({"id": 0, "team": "Day"}, {"id": 1, "team": "", "status": "left"}, {"id": 2, "team": "Night"},
              {"id": 3, "team": "Night"})  # fmt: skip
        made = blacked_out(it)
        assert it.apply(made.id).clean
        listed = {name: {m["value"] for m in group["members"]} for name, group in provider.groups.items()}
        assert listed == {"Day": {ids[0], ids[2]}, "Night": {ids[3]}}
        it.sync()
        listed = {name: {m["value"] for m in group["members"]} for name, group in provider.groups.items()}
        assert listed == {"Day": {ids[0]}, "Night": {ids[2], ids[3]}}
        it.quiet()


def test_a_limit_that_was_passed_stays_frozen_through_a_blackout(tmp_path: Path) -> None:
    provider = Provider(*(account(n) for n in range(5)))
    with firm(tmp_path, provider) as it:
        it.hr(*({"id": n} for n in range(5)))
        it.sync()
        text = (it.folder / "scimsync.toml").read_text(encoding="utf-8")
        (it.folder / "scimsync.toml").write_text(text.replace("update = 1000", "update = 1"), encoding="utf-8")
        it.hr({"id": 0}, {"id": 1, "status": "left"}, *({"id": n, "title": "Lead"} for n in range(2, 5)))
        assert [refusal.code for refusal in it.plan().refusals] == ["limits.update"]
        made = blacked_out(it)
        assert made.refusals == ()
        assert it.apply(made.id).clean
        assert provider.named("p1@x.org")[0]["active"] is False
        assert [refusal.code for refusal in it.plan().refusals] == ["limits.update"]
        settings = load(it.folder / "scimsync.toml")
        with bootstrap.open_store(settings) as store:
            assert store.runs(1)[0].state is RunState.REFUSED
            assert store.frozen(store.runs(1)[0].source)


def test_on_a_first_run_in_a_blackout_nobody_is_made_and_nothing_is_forgotten(tmp_path: Path) -> None:
    provider = Provider(account(0), account(1, title="Old"))
    with firm(tmp_path, provider) as it:
        it.hr({"id": 0, "status": "left"}, {"id": 1}, {"id": 2})
        made = blacked_out(it)
        it.apply(made.id)
        assert [user["active"] for user in provider.users.values()] == [False, True]
        made, _ = it.sync()
        assert {change.key: change.action for change in made.changes} == {"1": Action.UPDATE, "2": Action.CREATE}
        it.quiet()
