"""The ladder on a real socket: a suspect keeps account and groups and is named, and a second reading takes both."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path

from tests.integration.test_runs_groups import Club, club
from tests.runs import SOURCE_CSV, House, actions, codes, house

LADDER = 'leavers_readings = 2\nleavers = "delete"\nleavers_after = "30d"'


def wait(home: House, hours: int = 24) -> None:
    """Let so much time go by since the last reading that counted."""
    with contextlib.closing(sqlite3.connect(home.folder / ".scimsync/state.db")) as database, database:
        rows = database.execute("SELECT key, last FROM suspect").fetchall()
        for key, last in rows:
            database.execute("UPDATE suspect SET last = ? WHERE key = ?", (last.replace("202", "201", 1), key))
    assert hours


def test_a_suspect_keeps_account_and_groups_until_a_second_reading(tmp_path: Path) -> None:
    with club(tmp_path) as it:
        _keeps_both(it)


def _keeps_both(it: Club) -> None:
    home = it.home
    it.configure(policy=LADDER)
    who, other = home.active(2)
    key = who.employee_id
    it.make("Billing")
    it.join("Billing", who, other)
    home.sync()
    home.dismiss(who)
    it.leave("Billing", who)
    said = home.command("sync")
    assert said.code == 11, said.err
    assert "leaver.suspect" in said.out + said.err
    assert home.account(who)["active"]
    assert it.holds("Billing", who, other)
    story = home.command("explain", key)
    assert "leaver.suspect" in story.out
    assert "a plan takes the access away from" in story.out
    shown = home.command("plan")
    assert f"{key} loses access if still missing" in shown.out
    wait(home)
    made, report = home.sync()
    assert actions(made) == {key: "disable"}
    assert "leaver.missing" in codes(made)
    assert report.clean
    assert not home.account(who)["active"]
    assert it.holds("Billing", other)
    assert f"{key} is deleted" in home.command("plan").out
    assert home.command("sync").code == 0


def test_a_file_that_was_not_written_anew_is_no_second_reading(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.configure(source=f'{SOURCE_CSV}complete = "checksum"\n', policy="leavers_readings = 2")
        who = home.active(1)[0]

        def deliver(second: int, *without: str) -> None:
            content = home.write_csv(p for p in home.people if p.employee_id not in without)
            (home.folder / "hr.csv.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  hr.csv\n")
            os.utime(home.folder / "hr.csv", (1_700_000_000 + second,) * 2)

        deliver(0)
        home.settle()
        deliver(1, who.employee_id)
        for _ in range(2):
            made, _ = home.sync()
            assert "leaver.suspect" in codes(made)
            wait(home)
        assert home.account(who)["active"]
        deliver(2, who.employee_id)
        made, _ = home.sync()
        assert actions(made) == {who.employee_id: "disable"}
