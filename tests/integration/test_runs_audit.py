"""Whole runs leave a whole chain: who changed what, from what to what, why, on whose authority."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.runs import House, Quiet, house

from scimsync import bootstrap
from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.store_sql import SqlStore
from scimsync.config import load
from scimsync.engine import ledger
from scimsync.errors import StoreError, TargetError
from scimsync.model.audit import Edit, Kind
from scimsync.model.outcomes import Step
from scimsync.services import applying, auditing, planning
from scimsync.services.planning import Choices

ROOT = Path(__file__).parents[2]


def records(home: House, **wanted: object) -> list[dict[str, Any]]:
    """The chain in clear."""
    found = []
    with bootstrap.open_store(home.settings()) as store:
        for entry in store.entries():
            clear = json.loads((ledger.reveal(entry, store.key(entry.person)) if entry.person else None) or b"{}")
            found.append({**ledger.document_of(entry), **clear})
    return [told for told in found if all(told.get(name) == value for name, value in wanted.items())]


def whole(home: House) -> str:
    said = home.command("audit", "verify")
    assert said.code == 0, said.err
    return said.out


def test_a_write_has_an_intent_and_an_outcome_path_by_path(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        who = home.active(1)[0]
        home.set(who, job_title="Lead", department="New")
        made, _ = home.sync()
        (intent,) = records(home, run=made.id, kind="intent")
        (outcome,) = records(home, run=made.id, kind="outcome")
        for told in (intent, outcome):
            assert told["person"] == who.employee_id
            assert told["values"] == {
                "title": {"before": who.title, "after": "Lead"},
                "enterprise:department": {"before": who.department, "after": "New"},
            }
            assert {(p["reason"], p["authority"]) for p in told["paths"]} == {("source_moved", "local_wins")}
            assert told["action"] == "update"
            assert "@" in told["actor"]
        assert intent["method"] == "PATCH"
        assert outcome["status"] == "done"
        assert outcome["version_before"] == intent["version_before"] != outcome["version_after"]
        assert outcome["correlation_id"]
        assert len(outcome["plan"]) == 64
        whole(home)


def test_every_journal_line_has_its_record(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        boss = home.newcomer(0)
        home.hire(boss, home.newcomer(1, manager_id=boss.employee_id))
        home.dismiss(*home.active(2, start=20))
        made, _ = home.sync()
        with bootstrap.open_store(home.settings()) as store:
            lines = Counter((line.key, line.part, line.step.value) for line in store.journal(made.id))
        told = Counter(
            (r["person"], r["part"], r["kind"])
            for r in records(home, run=made.id)
            if r["kind"] in {"intent", "outcome"}
        )
        assert lines == told
        assert sum(lines.values()) == 8
        assert {Step.INTENT.value, Step.OUTCOME.value} == {kind for _, _, kind in told}
        whole(home)


def test_an_approval_names_the_plan_and_the_actor_and_a_quiet_run_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCIMSYNC_ACTOR", "nightly schedule")
    with house(tmp_path) as home:
        home.settle()
        home.set(home.active(1)[0], job_title="Lead")
        home.sync()
        (approved,) = records(home, kind="plan-approved")
        assert approved["actor"] == "nightly schedule"
        assert approved["detail"] == "update 1"
        assert len(records(home, kind="configuration")) == 1
        before = len(records(home))
        home.quiet()
        assert len(records(home)) == before


def test_another_configuration_is_recorded_when_it_takes_effect(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.configure(authority="merge")
        home.set(home.active(1)[0], job_title="Lead")
        made, _ = home.sync()
        first, second = records(home, kind="configuration")
        assert first["configuration"] != second["configuration"] == made.seal.configuration
        assert {p["authority"] for p in second["paths"]} >= {"merge"}


def test_a_rule_that_is_set_aside_stands_there_with_its_reason(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.configure(limits={"update": 0})
        home.set(home.active(1)[0], job_title="Lead")
        made = home.plan(limits__update="moved office")
        home.apply(made.id)
        (override,) = records(home, kind="override")
        assert (override["rule"], override["reason"]) == ("limits.update", "moved office")


def test_people_and_attributes_that_wait_are_recorded_as_held(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.configure(authority="ask", policy=f'protected = ["{home.active(3)[2].employee_id}"]')
        home.settle()
        one, two, three = home.active(3)
        home.edit(one, "title", "By hand")
        home.set(one, job_title="By HR")
        home.set(two, job_title="Lead")
        home.set(three, job_title="Lead")
        home.sync()
        held = {r["person"]: r for r in records(home, kind="hold")}
        assert held[one.employee_id]["rule"] == "conflict.open"
        assert held[one.employee_id]["values"]["title"] == {"before": "By hand", "after": "By HR"}
        assert held[three.employee_id]["rule"] == "account.protected"


def test_a_record_from_outside_a_run_stands_in_the_same_chain(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        settings = home.settings()
        with bootstrap.open_store(settings) as store:
            edits = [Edit(path="schemas", before="old", after="new")]
            auditing.note(settings, store, Kind.PIN, action="pinned", reason="reviewed", edits=edits)
        (told,) = records(home, kind="pin")
        assert told["target"].endswith("/scim/v2")
        assert told["values"] == {"schemas": {"before": "old", "after": "new"}}
        whole(home)


def test_a_checkpoint_is_signed_at_the_end_of_a_run_and_also_kept_elsewhere(tmp_path: Path) -> None:
    with house(tmp_path / "here") as home:
        elsewhere = tmp_path / "checkpoints"
        home.configure(more=f'[audit]\ncheckpoints = "{elsewhere}"\n')
        home.settle()
        home.set(home.active(1)[0], job_title="Lead")
        home.sync()
        assert elsewhere.read_text().count("— scimsync/") == 2
        assert "Held against 4 checkpoints" in whole(home)
        assert home.command("audit", "verify", "--against", str(elsewhere)).code == 0


def test_a_place_elsewhere_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.configure(more='[audit]\ncheckpoints = "none/checkpoints"\n')
        home.plan()
        said = home.command("apply", "--yes")
        assert said.code == 0
        assert "[audit] checkpoints" in said.err
        assert load(home.file).audit.checkpoints is not None


class Unsigned(SqlStore):
    """A state that takes no checkpoint."""

    def save_checkpoint(self, size: int, at: datetime, note: str) -> None:
        raise StoreError(f"no room for {size} {at} {note}")


def test_trouble_with_signing_does_not_hide_why_a_run_ended(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.set(home.active(1)[0], job_title="Lead")
        made = home.plan()
        settings = home.settings()
        home.fault({"on": "token", "kind": "status", "status": 400, "times": 1})
        store = Unsigned(settings.state.url, settings.state.artifacts, SystemClock())
        with contextlib.closing(store), store.lease(bootstrap.owner()):
            found = planning.find_plan(store, made.id)
            with pytest.raises(TargetError):
                asyncio.run(applying.apply(settings, store, Quiet(), found, Choices()))
            with pytest.raises(StoreError, match="no room"):
                asyncio.run(applying.apply(settings, store, Quiet(), found, Choices()))
        assert whole(home)


def test_a_key_that_is_named_and_missing_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.configure(more='[audit]\nkey = "file:my-key"\n')
        said = home.command("plan")
        assert said.code == 0
        assert "not signed" in said.err
        said = home.command("apply", "--yes")
        assert said.code == 2
        assert "scimsync audit key" in said.err
        assert home.writes() == 0
        assert home.command("audit", "key").out.startswith("ed25519:")
        assert (tmp_path / "my-key").stat().st_mode & 0o777 == 0o600
        assert home.command("apply", "--yes").code == 0
        whole(home)


def test_an_export_is_proven_without_the_state_and_names_what_was_changed(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.set(home.active(1)[0], job_title="Lead")
        made, _ = home.sync()
        public = home.command("audit", "key").out.strip()
        for more in ([], ["--run", made.id], ["--no-values"], ["--since", "2026-01-01"]):
            assert home.command("audit", "export", "--out", "all.jsonl", *more).code == 0
            said = home.command("audit", "verify", "all.jsonl", "--config", "none.toml", "--public-key", public)
            assert said.code == 0, said.err
            assert "not looked at" not in said.out
        lines = (tmp_path / "all.jsonl").read_bytes().splitlines(keepends=True)
        lines[4] = lines[4].replace(b'"status":"done"', b'"status":"held"').replace(b'"intent"', b'"outcome"')
        (tmp_path / "all.jsonl").write_bytes(b"".join(lines))
        said = home.command("audit", "verify", "all.jsonl")
        assert said.code == 6
        assert "record 4 was changed" in said.err
        assert "exported again" in said.err
        assert "state" not in said.err


def test_a_record_is_proven_by_ten_lines_of_a_third_party(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.set(home.active(1)[0], job_title="Lead")
        home.sync()
        assert home.command("audit", "prove", "3", "--out", "proof.json").code == 0
        assert home.command("audit", "prove", "99999").code == 2
    script = [sys.executable, str(ROOT / "examples/check_proof.py"), str(tmp_path / "proof.json")]
    said = subprocess.run(script, check=False, capture_output=True, text=True)
    assert said.returncode == 0
    assert said.stdout.startswith("record 3 is in the chain")
    proof = json.loads((tmp_path / "proof.json").read_text())
    proof["record"] = proof["record"].replace("intent", "outcome").replace("update", "create")
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    assert subprocess.run(script, check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize("body", ["replace(body, 'title', 'titel')", "''", "x'FF'"])
def test_what_somebody_did_to_a_record_in_the_database_is_named_by_each_command(tmp_path: Path, body: str) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.set(home.active(1)[0], job_title="Lead")
        home.sync()
        with contextlib.closing(sqlite3.connect(tmp_path / ".scimsync/state.db")) as database, database:
            database.execute("DROP TRIGGER audit_no_update")
            database.execute(f"UPDATE audit SET body = {body} WHERE seq = 3")  # replace() leaves a text
        said = home.command("audit", "verify")
        assert (said.code, "record 3 was changed" in said.err) == (6, True), said.err
        assert home.command("audit", "export", "--out", "all.jsonl").code == 6
        assert home.command("audit", "prove", "2").code == 6
        reads_on = body.startswith("replace")
        for words in (["show"], ["export", "--format", "ocsf"]):
            said = home.command("audit", *words)
            assert (said.code == 0) if reads_on else ("record 3 was changed" in said.err), said.err


def test_an_erased_person_is_shown_as_erased_by_whom_and_the_chain_is_whole(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        who, other = home.active(2)
        home.set(who, job_title="Marked-4711")
        home.set(other, job_title="Kept-4711")
        home.sync()
        assert "Marked-4711" in home.command("audit", "show", "--user", who.employee_id).out
        home.environ["SCIMSYNC_ACTOR"] = "dpo"
        said = home.command("audit", "erase", who.employee_id, "--reason", "request 4711", "--yes")
        assert said.code == 0, said.err
        shown = home.command("audit", "show", "--user", who.employee_id).out
        assert "[erased]" in shown
        assert "by dpo" in shown
        assert "Marked-4711" not in home.command("audit", "show", "--json").out
        assert "Kept-4711" in home.command("audit", "show", "--json").out
        (erasure,) = records(home, kind="erasure")
        assert (erasure["actor"], erasure["reason"]) == ("dpo", "request 4711")
        whole(home)
        home.command("audit", "export", "--out", "after.jsonl")
        assert home.command("audit", "verify", "after.jsonl").code == 0
        assert "Marked-4711" not in (tmp_path / "after.jsonl").read_text()
        assert home.command("audit", "erase", who.employee_id, "--reason", "again", "--yes").code == 2
        home.quiet()


def test_a_person_or_run_that_nobody_knows_is_told(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        assert "there is no state in" in home.command("audit", "show").err
        with bootstrap.open_store(home.settings()):
            assert "No records yet" in home.command("audit", "show").out
        assert home.command("audit", "show", "--user", "E9").code == 2
        assert home.command("audit", "show", "--run", "2026").code == 2
        assert home.command("audit", "verify", "none.jsonl").code == 2
        assert home.command("audit", "verify", "--against", "none").code == 2
        assert home.command("audit", "verify", "--public-key", "none").code == 2
        assert "nothing to sign" in home.command("audit", "checkpoint").out


def test_the_export_for_a_siem_counts_what_was_done(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        home.hire(home.newcomer(0))
        home.dismiss(*home.active(1, start=20))
        home.set(home.active(1)[0], job_title="Lead")
        made, _ = home.sync()
        said = home.command("audit", "export", "--format", "ocsf", "--run", made.id)
        found = Counter((e["class_uid"], e["activity_name"]) for e in map(json.loads, said.out.splitlines()))
        assert found == {(3004, "Approve"): 1, (3001, "Disable"): 1, (3001, "Create"): 1, (3004, "Update"): 1}


def test_the_key_that_nobody_named_is_private_from_the_first_moment(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        assert home.command("audit", "key").code == 0
        state = tmp_path / ".scimsync"
        assert state.stat().st_mode & 0o777 == 0o700
        assert (state / "artifacts" / "audit-key").stat().st_mode & 0o777 == 0o600
