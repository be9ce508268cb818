"""A plan that was read is the plan that is applied: signed, bound to the world, refused for whom it moved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.runs import House, house

from scimsync import bootstrap, files
from scimsync.core import sealing
from scimsync.engine import checkpoints
from scimsync.services import planning, verifying


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    """A house where three people have new titles."""
    with house(tmp_path, users=40) as found:
        found.settle()
        for who in found.active(3):
            found.set(who, job_title="Moved")
        yield found


def planned(home: House, name: str = "monday.ndjson") -> Path:
    file = home.folder / name
    assert home.command("plan", "--out", str(file)).code == 0
    return file


def marks(home: House, file: Path, *more: str) -> dict[str, str]:
    said = home.command("plan", "verify", str(file), "--json", *more)
    found = {look["check"]: look["result"] for look in json.loads(said.out)}
    assert said.code == (4 if "fail" in found.values() else 0)
    return found


def words(home: House, file: Path, *more: str) -> dict[str, str]:
    said = home.command("plan", "verify", str(file), "--json", *more)
    return {look["check"]: look["detail"] for look in json.loads(said.out)}


def test_a_plan_that_was_just_made_is_good_point_by_point(home: House) -> None:
    file = planned(home)
    said = home.command("plan", "verify", str(file))
    assert said.code == 0, said.out + said.err
    names = [line.split()[1] for line in said.out.splitlines()]
    assert names == [
        "digest",
        "signature",
        "state",
        "target",
        "configuration",
        "links",
        "decisions",
        "base",
        "runs",
        "expiry",
    ]
    assert all(line.startswith("ok ") for line in said.out.splitlines())
    assert home.command("apply", str(file), "--yes").code == 0
    assert set(marks(home, file).values()) == {"ok"}, "carried out, and still the plan that it was"
    assert "it was applied" in words(home, file)["state"]


def test_any_byte_changed_in_the_file_is_refused_by_apply_and_by_verify(home: House) -> None:
    file = planned(home)
    whole = file.read_bytes()
    closing = whole.splitlines(keepends=True)[-1]
    places = [0, len(whole) // 2, len(whole) - len(closing) + 12, whole.rindex(b'"}') - 3, len(whole) - 1]
    harms = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places]
    for changed in [*harms, whole + b"\n", whole[:-1], whole[:-1] + b" \n"]:
        file.write_bytes(changed)
        assert home.command("plan", "verify", str(file)).code == 4
        assert home.command("apply", str(file), "--yes").code == 4
    assert home.writes() == 0
    file.write_bytes(whole)
    assert home.command("apply", str(file), "--yes").code == 0


def test_a_stored_plan_that_was_exchanged_is_not_applied(home: House) -> None:
    planned(home)
    run = home.runs()[0]
    assert run.digest
    stored = home.folder / ".scimsync" / "artifacts" / run.plan
    other = planned(home, "other.ndjson").read_bytes()
    stored.write_bytes(other.replace(home.runs()[0].id.encode(), run.id.encode()))
    assert home.command("apply", run.id, "--yes").code == 4
    stored.write_bytes(other)
    said = home.command("apply", run.id, "--yes")
    assert (said.code, home.writes()) == (4, 0)
    assert "by its digest" in said.err


def test_a_plan_is_applied_only_where_it_was_signed_with_the_key_of_here(home: House) -> None:
    file = planned(home)
    given = home.command("audit", "key").out.strip()
    assert marks(home, file, "--public-key", given)["signature"] == "ok"
    stranger = checkpoints.public_text(checkpoints.public_of(bytes(32)))
    assert marks(home, file, "--public-key", stranger)["signature"] == "fail"
    (home.folder / ".scimsync" / "artifacts" / "audit-key").unlink()
    assert home.command("audit", "key").out.strip() != given
    assert marks(home, file)["signature"] == "fail"
    said = home.command("apply", str(file), "--yes")
    assert (said.code, home.writes()) == (4, 0)
    assert "another key" in said.err


def test_somebody_with_the_file_and_the_public_key_alone_can_verify_it(home: House, tmp_path: Path) -> None:
    file = planned(home)
    key = home.command("audit", "key").out.strip()
    elsewhere = replace(home, folder=tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    found = marks(elsewhere, file, "--public-key", key)
    assert found == {"digest": "ok", "signature": "ok", "expiry": "ok", "state": "warn"}
    assert marks(elsewhere, file)["signature"] == "warn", "the key that the file names is nobody's yet"


def test_a_configuration_that_is_named_and_not_there_is_an_error_and_not_less_to_look_at(home: House) -> None:
    said = home.command("plan", "verify", str(planned(home)), "--config", "prood.toml")
    assert said.code == 2, said.out
    assert "prood.toml" in said.err


def test_a_plan_of_a_version_before_signatures_is_accepted_with_what_it_had(home: House) -> None:
    file = planned(home)
    with bootstrap.open_store(home.settings()) as store:
        run = store.runs(1)[0]
        stored = store.artifact(run.plan)
        files.write(stored, sealing.encode(planning.open_plan(stored).plan))
        file.write_bytes(stored.read_bytes())
    found = words(home, file)
    assert "its digest alone" in found["signature"]
    assert marks(home, file)["signature"] == "warn"
    assert home.command("plan", "verify", str(file), "--public-key", home.command("audit", "key").out.strip()).code == 4


def test_an_account_that_was_edited_meanwhile_stops_for_that_person_alone(home: House) -> None:
    home.configure(authority="ask")
    file = planned(home)
    edited, *others = home.active(3)
    home.edit(edited, "title", "By hand")
    said = home.command("apply", str(file), "--yes")
    assert said.code == 11
    assert home.account(edited)["title"] == "By hand"
    assert [home.account(who)["title"] for who in others] == ["Moved", "Moved"]
    assert edited.employee_id in said.out
    assert not any(who.employee_id in said.out for who in others)


def test_another_mapping_refuses_the_plan_and_says_of_what_and_for_whom(home: House) -> None:
    home.set(home.active(4)[3], department="Elsewhere")
    file = planned(home)
    text = home.file.read_text(encoding="utf-8")
    home.file.write_text(text.replace('"department"', '"upper(department)"', 1), encoding="utf-8")
    said = home.command("apply", str(file), "--yes")
    assert (said.code, home.writes()) == (4, 0)
    assert "configuration changed" in said.err
    assert "attributes.enterprise:department" in said.err
    assert f"1 person: {home.active(4)[3].employee_id}" in said.err
    looked = words(home, file)
    assert "1 person" in looked["configuration"]


def test_another_run_since_refuses_the_plan_and_says_whom_both_are_about(home: House) -> None:
    one, two, _ = home.active(3)
    file = planned(home)
    assert home.command("sync", "--user", one.employee_id, "--user", two.employee_id).code == 0
    assert home.writes() == 2
    said = home.command("apply", str(file), "--yes")
    assert (said.code, home.writes()) == (4, 2)
    assert "another run was applied" in said.err
    assert "2 people" in said.err
    assert one.employee_id in said.err
    assert marks(home, file)["base"] == "fail"


def test_a_plan_lives_as_long_as_the_configuration_said_when_it_was_made(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.configure(policy='plan_expires = "8h"')
    made = home.plan()
    assert made.expires == made.created + timedelta(hours=8)
    home.configure()
    said = words(home, home.folder / ".scimsync" / "artifacts" / home.runs()[0].plan)
    assert f"{made.expires:%H:%M}" in said["expiry"]
    monkeypatch.setattr(verifying, "now", lambda: made.created + timedelta(hours=9))
    looks = {
        look.name: look
        for look in verifying.verify(home.folder / ".scimsync" / "artifacts" / home.runs()[0].plan, home.settings())
    }
    assert looks["expiry"].mark == "fail"
    assert "9 hours old" in looks["expiry"].words


def test_the_difference_of_two_plans_is_told_by_person_and_attribute(home: House) -> None:
    first = planned(home, "first.ndjson")
    one, two, _ = home.active(3)
    home.set(one, job_title="Moved again")
    home.set(two, job_title=home.account(two)["title"])
    home.hire(home.newcomer(1))
    second = planned(home, "second.ndjson")
    said = home.command("plan", "diff", str(first), str(second), "--detailed-exitcode")
    assert said.code == 10
    assert "1 added, 1 gone, 1 altered" in said.out
    assert "Moved again" in said.out
    runs = [run.id for run in home.runs()]
    found = json.loads(home.command("plan", "diff", runs[1], runs[0], "--json").out)
    assert [change["key"] for change in found["changes"]["added"]] == [home.newcomer(1).employee_id]
    assert [change["key"] for change in found["changes"]["gone"]] == [two.employee_id]
    assert [(change["key"], change["paths"]) for change in found["changes"]["altered"]] == [
        (one.employee_id, ["title"])
    ]
    assert found["tally"]["actions.create"] == [0, 1]
    assert "source" in found["seal"]


def test_two_plans_of_one_world_do_not_differ(home: House) -> None:
    first, second = planned(home, "first.ndjson"), planned(home, "second.ndjson")
    said = home.command("plan", "diff", str(first), str(second), "--detailed-exitcode")
    assert said.code == 0, said.out
    assert "No difference" in said.out
    assert home.command("plan", "diff", str(first), "19990101").code == 4


def test_options_of_plan_are_not_passed_over_before_a_command_below_it(home: House) -> None:
    file = planned(home)
    assert home.command("plan", "--all", "verify", str(file)).code == 2
    assert home.command("plan", "--config", str(home.file), "verify", str(file)).code == 0
