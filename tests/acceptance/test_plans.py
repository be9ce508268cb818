"""Plans as files and runs, by the installed command: applied exactly as sealed, here, once, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import ENTERPRISE, House, house

from scimsync.simulator.server import Settings, running


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    """A house where three people have new titles."""
    with house(tmp_path) as found:
        found.settle()
        for who in found.active(3):
            found.set(who, job_title="Moved")
        yield found


def test_the_exit_code_is_10_before_and_0_after_apply(home: House) -> None:
    """Must show 3, first half."""
    assert home.command("plan", "--detailed-exitcode").code == 10
    assert home.command("plan").code == 0
    assert home.command("apply", "--yes").code == 0
    assert home.command("plan", "--detailed-exitcode").code == 0
    before = home.writes()
    assert home.command("sync").code == 0
    assert home.writes() == before == 3


@pytest.mark.parametrize(
    ("authority", "code", "held"),
    [("ask", 11, "By hand"), ("local_wins", 0, "Moved"), ("cloud_wins", 0, "By hand")],
)
def test_an_edit_between_plan_and_apply_is_decided_by_authority(
    home: House, authority: str, code: int, held: str
) -> None:
    """Must show 3, second half."""
    home.configure(authority=authority)
    who = home.active(1)[0]
    assert home.command("plan", "--detailed-exitcode").code == 10
    home.edit(who, "title", "By hand")
    home.edit(who, f"{ENTERPRISE}:department", "Nobody's business")
    said = home.command("apply", "--yes")
    assert said.code == code, said.out
    account = home.account(who)
    assert account["title"] == held
    assert account[ENTERPRISE]["department"] == "Nobody's business"
    assert account["id"] not in said.out
    if authority != "cloud_wins":
        assert who.employee_id in said.out
        assert "title" in said.out
        assert ("overwrote a directory edit of title" in said.out) is (authority == "local_wins")


@pytest.mark.parametrize("harm", ["edited", "cut", "empty", "not a plan", "shuffled"])
def test_a_plan_file_that_was_touched_is_refused(home: House, harm: str) -> None:
    file = home.folder / "monday.ndjson"
    assert home.command("plan", "--out", str(file)).code == 0
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(
        {
            "edited": b"".join(lines).replace(b"Moved", b"Moves", 1),
            "cut": b"".join(lines[:-1]),
            "empty": b"",
            "not a plan": b"hello\n",
            "shuffled": b"".join([lines[0], *reversed(lines[1:-1]), lines[-1]]),
        }[harm]
    )
    said = home.command("apply", "--yes", str(file))
    assert said.code == 4
    assert len(said.faults) == 1
    assert "monday.ndjson" in said.err or "plan" in said.err
    assert home.writes() == 0


def test_a_plan_file_is_private_and_can_be_applied_and_a_second_time_does_nothing(home: House) -> None:
    file = home.folder / "monday.ndjson"
    assert home.command("plan", "--out", str(file)).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert home.command("apply", str(file), "--yes").code == 0
    assert home.writes() == 3
    finished = home.runs()[0].finished
    assert home.command("apply", str(file), "--yes").code == 0
    assert home.command("apply", "--yes").code == 0
    assert home.writes() == 3
    assert home.runs()[0].finished == finished


def test_a_plan_file_that_cannot_be_written_is_said_in_one_paragraph(home: House) -> None:
    said = home.command("plan", "--out", str(home.folder / "nowhere" / "monday.ndjson"))
    assert said.code == 2
    assert "nowhere" in said.err
    assert home.writes() == 0


def test_a_plan_for_another_target_is_refused(home: House, tmp_path: Path) -> None:
    file = home.folder / "monday.ndjson"
    home.command("plan", "--out", str(file))
    with house(tmp_path / "other") as other:
        other.settle()
        said = other.command("apply", str(file), "--yes")
        assert said.code == 4
        assert other.writes() == 0
    home.configure(target=home.target.replace("127.0.0.1", "localhost"))
    said = home.command("apply", str(file), "--yes")
    assert (said.code, home.writes()) == (4, 0)


def test_a_plan_made_under_another_configuration_is_refused(home: House) -> None:
    home.command("plan")
    home.configure(authority="ask")
    said = home.command("apply", "--yes")
    assert (said.code, home.writes()) == (4, 0)
    assert "configuration changed" in said.err


def test_a_plan_that_is_older_than_another_applied_run_is_refused(home: House) -> None:
    home.command("plan")
    old = home.runs()[0].id
    home.command("sync")
    assert home.writes() == 3
    said = home.command("apply", old, "--yes")
    assert (said.code, home.writes()) == (4, 3)
    assert "another run" in said.err


def test_the_beginning_of_a_run_id_is_enough_where_it_is_the_only_one(home: House) -> None:
    home.command("plan")
    run = home.runs()[0].id
    said = home.command("apply", run[:8], "--yes")
    assert said.code != 0, "all runs of today begin so"
    assert run in said.err
    assert home.command("apply", run[:-1], "--yes").code == 0
    assert home.writes() == 3
    assert home.command("apply", "19990101", "--yes").code == 4


def test_a_plan_for_one_person_touches_that_person_only_and_forgets_nobody(home: House) -> None:
    one, two, three = home.active(3)
    home.hire(home.newcomer(1))
    home.dismiss(home.active(5)[4])
    assert home.command("plan", "--user", one.employee_id).code == 0
    assert home.command("apply", "--yes").code == 0
    assert home.effects() == {home.account(one)["id"]: 1}
    made = home.plan()
    assert {c.key for c in made.changes} == {
        two.employee_id, three.employee_id, home.newcomer(1).employee_id, home.active(5)[4].employee_id,
    }  # fmt: skip
    assert home.command("apply", "--yes").code == 0
    home.quiet()


def test_a_refused_plan_exits_with_4_writes_nothing_and_an_override_needs_a_reason(home: House) -> None:
    home.configure(limits={"disable": "0%", "create": "0%", "update": 2})
    assert home.command("plan").code == 4
    assert home.command("apply", "--yes").code == 4
    assert home.command("sync").code == 4
    assert home.command("apply", "--override", "limits.update").code == 2
    assert home.writes() == 0
    said = home.command("apply", "--override", "limits.update", "--reason", "ticket 17", "--yes")
    assert said.code == 0, said.err
    assert home.writes() == 3
    for who in home.active(3):
        home.set(who, job_title="Moved again")
    assert home.command("plan", "--override", "limits.update", "--reason", "ticket 18").code == 0
    assert "ticket 18" in str(home.plan(limits__update="ticket 18").overrides)
    assert home.command("apply", "--yes").code == 0


def test_what_is_asked_for_as_json_is_one_document_on_stdout(home: House) -> None:
    made = json.loads(home.command("plan", "--json").out)
    assert len(made["changes"]) == 3
    report = json.loads(home.command("apply", "--json", "--yes").out)
    assert report
    runs = json.loads(home.command("runs", "--json").out)
    assert len(runs) == 2
    shown = json.loads(home.command("runs", runs[0]["id"], "--json").out)
    assert len(shown["outcomes"]) == 3
    assert {check["result"] for check in json.loads(home.command("doctor", "--json").out)} == {"ok"}
    json.loads(home.command("sync", "--json").out)


def test_runs_lists_and_shows_without_talking_to_the_target(home: House) -> None:
    home.command("sync")
    home.reset()
    listed = home.command("runs")
    assert listed.code == 0
    run = home.runs()[0]
    assert run.id in listed.out
    assert home.command("runs", run.id).code == 0
    assert home.command("runs", "19990101").code == 4
    assert home.stats()["requests"] == 0


def test_a_plan_can_be_rehearsed_on_a_copy_of_the_directory_as_it_was_read(home: House, tmp_path: Path) -> None:
    kept = tmp_path / "accounts.ndjson"
    real = json.loads(home.command("plan", "--keep-accounts", str(kept), "--json").out)
    assert kept.stat().st_mode & 0o777 == 0o600
    with running(Settings(source=kept, options={"rate_limit": 0})) as copy:
        target = home.target.replace(home.simulator.api_url, copy.api_url).replace(
            home.simulator.client_id, copy.client_id
        )
        home.configure(
            target=target + f'[state]\nurl = "sqlite:///{tmp_path}/copy.db"\nartifacts = "{tmp_path}/copy"\n'
        )
        (home.folder / "client_secret").write_text(copy.client_secret, encoding="utf-8")
        rehearsed = json.loads(home.command("plan", "--json").out)
        assert rehearsed["tally"]["linked"] == real["tally"]["linked"] > 0
        assert [c["key"] for c in rehearsed["changes"]] == [c["key"] for c in real["changes"]]
        assert home.command("apply", "--yes").code == 0
    assert home.writes() == 0
