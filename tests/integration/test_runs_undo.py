"""Whole runs that are taken back, against the simulator and against a server of other people, by command and service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from tests.runs import House, Quiet, codes, house
from tests.servers import Provider, account, firm

from scimsync import bootstrap
from scimsync.bootstrap import now
from scimsync.config import load
from scimsync.errors import PlanDamaged, PlanStale
from scimsync.model.plans import Plan
from scimsync.services import undoing
from scimsync.services.planning import Choices

TEAM = '[groups]\ncolumn = "team"\n'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=20) as found:
        found.settle()
        yield found


def undo(file: Path, run: str, *only: str, paths: Sequence[str] = (), **overrides: str) -> Plan:
    settings, rules = load(file), {name.replace("__", "."): reason for name, reason in overrides.items()}
    with bootstrap.open_store(settings) as store:
        choices = Choices(only=only, overrides=rules)
        return asyncio.run(undoing.undo(settings, store, Quiet(), run, choices, paths))


def restore(file: Path, moment: datetime, *only: str) -> Plan:
    settings = load(file)
    with bootstrap.open_store(settings) as store:
        return asyncio.run(undoing.restore(settings, store, Quiet(), moment, Choices(only=only)))


def bare(home: House) -> dict[str, dict[str, object]]:
    """Every account without what the directory counts."""
    users = {p.email: home.account(p) for p in home.people}
    return {name: {path: held for path, held in user.items() if path != "meta"} for name, user in users.items()}


def test_a_run_is_taken_back_by_command_and_told_of_as_an_undo(home: House) -> None:
    before = bare(home)
    one, two, three = home.active(3)
    home.set(one, job_title="Taken Back", skill_list="Chess:2", department=None)
    home.set(two, status="left")
    home.dismiss(three)
    new = home.newcomer(1)
    home.hire(new)
    made, _ = home.sync()
    said = home.command("undo", made.id, "--apply", "--yes")
    assert said.code == 0, said.out + said.err
    assert f"takes back run {made.id}" in said.out
    assert "Later runs leave alone what this takes back" in said.out
    assert bare(home) == before
    assert home.account(new)["active"] is False
    listed = home.command("runs")
    assert f"(undo of {made.id})" in listed.out
    quiet = home.command("sync")
    assert quiet.code == 11, "who left and has access again waits for HR"
    assert "undo.held" in quiet.out
    assert bare(home) == before
    told = home.command("explain", one.employee_id, "title")
    assert "undo.held" in told.out, told.out
    chain = home.command("audit", "show", "--json")
    kinds = [record["kind"] for record in json.loads(chain.out)] if chain.out.startswith("[") else chain.out
    assert "undo" in kinds
    page = home.folder / "undo.html"
    run = home.runs()[1].id
    assert home.command("runs", run, "--html", str(page)).code == 0
    assert "Takes back" in page.read_text(encoding="utf-8")


def test_an_undo_waits_for_consent_and_is_applied_like_any_plan(home: House) -> None:
    one = home.active(1)[0]
    home.set(one, job_title="Taken Back")
    made, _ = home.sync()
    said = home.command("undo", made.id[:-1], "--json")
    assert said.code == 0, said.err
    plan = json.loads(said.out)
    assert (plan["undoes"], plan["actions"]) == (made.id, {"update": 1})
    assert home.account(one)["title"] == "Taken Back"
    refused = home.command("undo", made.id, "--apply")
    assert refused.code == 2
    assert "no terminal" in refused.err
    done = home.command("apply", plan["id"], "--yes")
    assert done.code == 0, done.err
    assert home.account(one)["title"] == one.title
    again = home.command("undo", plan["id"], "--apply", "--yes")
    assert again.code == 0
    assert home.account(one)["title"] == "Taken Back"
    home.quiet()


def test_an_undo_whose_file_was_edited_is_refused(home: House) -> None:
    home.set(home.active(1)[0], job_title="Taken Back")
    made, _ = home.sync()
    back = undo(home.file, made.id)
    file = home.folder / "undo.ndjson"
    with bootstrap.open_store(home.settings()) as store:
        run = store.run(back.id)
        assert run is not None
        content = store.artifact(run.plan).read_bytes()
    file.write_bytes(content.replace(made.id.encode(), b"20200101-000000-abcd"))
    with pytest.raises(PlanDamaged):
        home.apply(file)


def test_roles_that_the_directory_took_from_a_leaver_come_back_with_the_access(home: House) -> None:
    who = home.active(1)[0]
    home.edit(who, "roles", [{"value": "employee"}, {"value": "supervisor"}])
    home.set(who, status="left")
    made, _ = home.sync()
    assert not home.account(who).get("roles")
    back = undo(home.file, made.id)
    assert {d.path for c in back.changes for d in c.deltas} == {"active", "roles"}
    report = home.apply(back.id)
    assert report.clean, report.outcomes
    assert {one["value"] for one in home.account(who)["roles"]} == {"employee", "supervisor"}


def test_what_others_wrote_since_stays_on_the_simulator(home: House) -> None:
    one, two = home.active(2)
    home.set(one, job_title="Taken Back", department="Nowhere")
    home.set(two, job_title="Taken Back")
    made, _ = home.sync()
    home.edit(one, "title", "By hand")
    back = undo(home.file, made.id)
    home.edit(two, "title", "By another hand")  # between plan and apply
    home.apply(back.id)
    assert home.account(one)["title"] == "By hand"
    assert home.account(two)["title"] == "By another hand"
    assert [notice.key for notice in back.notices] == [one.employee_id]


def test_one_person_is_brought_back_to_an_earlier_time_by_command(home: House) -> None:
    one = home.active(1)[0]
    moment = now()
    home.set(one, job_title="Later", skill_list=None)
    home.sync()
    assert restore(home.file, moment, one.employee_id).tally.changes == 1
    said = home.command(
        "restore", "--user", one.employee_id, "--as-of", f"{moment:%Y-%m-%dT%H:%M:%S+0000}", "--apply", "--yes"
    )
    if said.code != 0:  # the moment has no fractions of a second: the first run may have ended within it
        assert "no run that is kept ended before" in said.err
        home.apply(restore(home.file, moment, one.employee_id).id)
    assert home.account(one)["title"] == one.title
    assert home.skills(one) == {name for name, _ in one.skills}
    assert codes(home.plan()) >= {"undo.held"}


def test_a_run_that_was_never_applied_or_does_not_exist_is_not_taken_back(home: House) -> None:
    home.set(home.active(1)[0], job_title="Taken Back")
    made = home.plan()
    with pytest.raises(PlanStale, match="never applied"):
        undo(home.file, made.id)
    with pytest.raises(PlanStale, match="no run"):
        undo(home.file, "19990101")
    assert home.command("undo", made.id, "--attribute", "titel").code == 2
    assert home.command("restore", "--as-of", "2026-01-01").code == 2
    to_come = home.command("restore", "--user", "E00001", "--as-of", "2999-01-01")
    assert to_come.code == 2
    assert "is to come" in to_come.err


def test_a_run_at_another_provider_is_taken_back_memberships_too(tmp_path: Path) -> None:
    provider = Provider(*(account(number) for number in range(6)))
    ids = [str(user["id"]) for user in provider.users.values()]
    for team in ("red", "blue"):
        provider.put({"id": team, "displayName": team, "members": []}, provider.groups)

    def teams() -> dict[str, set[str]]:
        return {g: {str(m["value"]) for m in held.get("members", [])} for g, held in provider.groups.items()}

    with firm(tmp_path, provider) as it:
        it.configure(more="group_loss = 1000\ngroup_gain = 1000\n" + TEAM)
        it.hr(*({"id": n, "team": "red" if n < 3 else ""} for n in range(6)))
        it.sync()
        before, was = teams(), {i: {**provider.users[i]} for i in ids}
        it.hr(
            {"id": 0, "team": "blue", "title": "Lead"},
            *({"id": n, "team": "red;blue" if n < 3 else ""} for n in range(1, 5)),
            {"id": 9, "team": "red"},
        )
        made, report = it.sync()
        assert report.clean, report.outcomes
        assert teams() != before
        back = undo(it.folder / "scimsync.toml", made.id)
        assert it.apply(back.id).clean
        assert teams() == before
        keys = ("userName", "displayName", "active", "title")
        assert [{k: provider.users[i].get(k) for k in keys} for i in ids] == [
            {k: was[i].get(k) for k in keys} for i in ids
        ]
        state = teams()
        it.sync()
        assert teams() == state, "the night leaves it as it is"


def test_what_was_taken_back_is_known_to_a_state_that_is_opened_again(home: House) -> None:
    home.set(home.active(1)[0], job_title="Taken Back")
    made, _ = home.sync()
    home.apply(undo(home.file, made.id).id)
    with contextlib.closing(sqlite3.connect(home.folder / ".scimsync/state.db")) as database:
        rows = database.execute("SELECT path, wanted FROM undone").fetchall()
    assert rows == [("title", "Taken Back")]
