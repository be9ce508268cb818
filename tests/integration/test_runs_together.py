"""Everything at once: joiners who lead each other, groups, parts, messages, audit records and the report, and a crash."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import ENTERPRISE, WIDE_LIMITS, House, Person, change_of, house

from scimsync import bootstrap
from scimsync.engine import ledger
from scimsync.model.outcomes import Status
from scimsync.model.plans import Plan, Verdict

GROUPS = '[groups]\nquery = "SELECT employee_id, group_name FROM membership"\n'
HOOK = '[[webhook]]\nurl = "https://hr.example.com/hook"\nsecret = "file:hook"\nvalues = true\n'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=60) as found:
        found.settle()
        hook = found.folder / "hook"
        hook.touch(mode=0o600)
        hook.write_text("whsec_" + "a" * 40, encoding="utf-8")
        with contextlib.closing(sqlite3.connect(found.folder / "hr.db")) as database, database:
            database.execute("CREATE TABLE membership (employee_id TEXT, group_name TEXT)")
        found.configure(
            target=found.target + "operations_per_patch = 1\n",
            limits={**WIDE_LIMITS, "group_loss": "100%"},
            more=GROUPS + HOOK,
        )
        yield found


def night(home: House) -> tuple[list[Person], Person]:
    """A chain of joiners, a mover in parts, a leaver, and all joiners in one group."""
    boss = home.newcomer(0)
    joiners = [boss, *(home.newcomer(n, manager_id=boss.employee_id) for n in range(1, 6))]
    mover, leaver = home.active(2)
    home.hire(*joiners)
    home.set(mover, job_title="Moved", department="Moved", manager_id=boss.employee_id)
    home.dismiss(leaver)
    home.call("groups", {"displayName": "Billing", "members": [home.account(mover)["id"]], "type": "official"})
    for who in joiners:
        home.hr("INSERT INTO membership VALUES (?, 'Billing')", who.employee_id)
    return joiners, mover


def members(home: House, made: Plan) -> set[str]:
    held = home.simulator.directory.groups[made.groups[0].group].resource.get("members", [])
    assert isinstance(held, list)
    return {str(member["value"]) for member in held}


@pytest.mark.parametrize(
    ("kind", "again"), [("post", "apply"), ("patch", "sync"), ("group_patch", "apply"), ("group_patch", "sync")]
)
def test_a_night_that_was_killed_is_brought_to_its_end_with_all_its_proof(home: House, kind: str, again: str) -> None:
    joiners, mover = night(home)
    made = home.plan()
    assert [d.verdict for d in change_of(made, mover).deltas].count(Verdict.AWAIT) == 1
    home.fault({"on": kind, "kind": "hang", "seconds": 1, "times": 0, "when": "after"})
    home.reset()
    with home.start("apply", made.id, "--yes") as process:
        began = time.monotonic()
        while home.counted(kind) < 1 and time.monotonic() < began + 20:
            time.sleep(0.01)
        time.sleep(0.1)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    home.fault()
    said = home.command(*(("apply", made.id, "--yes") if again == "apply" else ("sync",)))
    assert said.code == 0, said.out + said.err
    assert members(home, made) == {home.account(who)["id"] for who in (*joiners, mover)}
    boss = home.account(joiners[0])["id"]
    leads = [*joiners[1:], mover]
    assert {home.account(who)[ENTERPRISE]["manager"]["value"] for who in leads} == {boss}
    home.quiet()
    assert home.command("audit", "verify").code == 0
    for run in home.runs():
        assert home.command("runs", run.id, "--html", "run.html").code == 0
    with bootstrap.open_store(home.settings()) as store:
        lines = Counter((run.id, x.key, x.part, x.step.value) for run in store.runs() for x in store.journal(run.id))
        told: Counter[tuple[str, str, int, str]] = Counter()
        for entry in store.entries():
            body, key = ledger.document_of(entry), store.key(entry.person)
            if entry.kind in {"intent", "outcome"} and key is not None:
                told[entry.run, key.person, int(str(body["part"])), entry.kind] += 1
        final = Counter(
            (run.id, x.key, x.part)
            for run in store.runs()
            for x in store.journal(run.id)
            if x.outcome is not None and x.outcome.status in {Status.DONE, Status.ALREADY}
        )
    assert told == lines
    assert set(final.values()) == {1}
