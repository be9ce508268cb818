"""scimsync explain: whom it means, what it says, what it leaves behind (nothing), and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runs import ENTERPRISE, SOURCE_SQL, WIDE_LIMITS, House, house

from scimsync.cli.sample import ATTRIBUTES


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=40) as found:
        found.settle()
        yield found


def told(home: House, *words: str) -> dict[str, Any]:
    said = home.command("explain", *words, "--json")
    assert said.code == 0, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found


def test_a_person_is_meant_by_key_by_account_and_by_login_and_costs_one_reading(home: House) -> None:
    (who,) = home.active(1)
    account = home.account(who)["id"]
    by_key = told(home, who.employee_id)
    assert (by_key["named"], by_key["account"], by_key["standing"]) == ("key", account, "same")
    stats = home.stats()
    assert (stats["get"], stats["list"], stats["patch"]) == (1, 0, 0)
    for word, named in ((account, "account"), (who.email, "login"), (who.email.upper(), "login")):
        found = told(home, word)
        assert (found["key"], found["named"]) == (who.employee_id, named)


def test_a_login_that_somebody_edited_in_the_directory_leads_to_the_person(home: House) -> None:
    (who,) = home.active(1)
    account = home.account(who)["id"]
    home.edit(account, "userName", "renamed@example.com")
    found = told(home, "renamed@example.com", "userName")
    assert (found["key"], found["name"]) == (who.employee_id, "renamed@example.com")
    assert [(one["path"], one["becomes"]) for one in found["paths"]] == [("userName", "write")]


def test_a_word_that_means_several_people_says_so(home: House) -> None:
    first, second = home.active(2)
    home.set(second, employee_id=first.email)  # a key that is another's login
    found = told(home, first.email)
    assert (found["key"], found["named"], found["also"]) == (first.email, "key", [first.employee_id])
    assert first.employee_id in home.command("explain", first.email).out


def test_who_joins_later_is_not_said_to_be_unknown_and_who_leaves_later_is_told(home: House) -> None:
    text = home.file.read_text(encoding="utf-8").replace("[target]", 'valid_from = "hire_date"\n\n[target]', 1)
    home.file.write_text(text, encoding="utf-8")
    who = home.newcomer(900, hire_date="2999-01-31")
    home.hire(who)
    found = told(home, who.employee_id)
    assert found["standing"] == "no-account"
    assert "holds from 2999-01-31" in found["told"][0]
    assert "scimsync plan --as-of 2999-01-31" in found["advice"]


def test_nobody_is_told_with_whoever_is_near(home: House) -> None:
    (who,) = home.active(1)
    said = home.command("explain", who.employee_id.replace("E", "F"))
    assert said.code == 2
    assert "did you mean" in said.err
    assert home.command("explain", "nobody at all", "--offline").code == 2


def test_an_attribute_that_is_not_mapped_is_refused_before_anything_is_read(home: House) -> None:
    (who,) = home.active(1)
    home.reset()
    said = home.command("explain", who.employee_id, "nickName")
    assert said.code == 2
    assert "never touched" in said.err
    assert home.stats()["requests"] == 0


def test_an_account_that_no_record_has_is_nobodys(home: House) -> None:
    (who,) = home.active(1)
    home.command("link", who.employee_id, "--unlink", "--reason", "test")
    home.dismiss(who)
    found = told(home, who.email)
    assert (found["standing"], found["key"], found["account"]) == ("unmanaged", "", home.account(who)["id"])
    assert "scimsync link" in found["advice"]


def test_an_account_of_another_source_is_told_with_its_owner(tmp_path: Path) -> None:
    with house(tmp_path, users=20) as home:
        home.configure(source=f'{SOURCE_SQL}name = "one"\n')
        home.settle()
        (who,) = home.active(1)
        home.configure(source=f'{SOURCE_SQL}name = "two"\n')
        home.write_hr([home.newcomer(1), home.newcomer(2)])
        found = told(home, who.email)
        assert (found["standing"], found["key"]) == ("unmanaged", who.employee_id)
        assert "source one" in found["told"][0]


def test_a_record_that_fits_several_accounts_is_told_with_what_to_do(home: House) -> None:
    first, second, third = home.active(3)
    for who in (second, third):
        home.command("link", who.employee_id, "--unlink", "--reason", "test")
        home.dismiss(who)
        home.edit(who, "externalId", "E77777")
    new = home.newcomer(1, employee_id="E77777")
    home.hire(new)
    found = told(home, "E77777")
    assert found["standing"] == "held"
    assert {cause["code"] for cause in found["causes"]} & {"correlation.ambiguous", "correlation.taken"}
    assert found["advice"]
    assert told(home, first.employee_id)["standing"] == "same"


def test_an_account_that_was_deleted_by_another_hand_is_told(home: House) -> None:
    (who,) = home.active(1)
    home.delete(who)
    found = told(home, who.employee_id)
    assert "does not have it any more" in found["told"][1]
    assert {cause["code"] for cause in found["causes"]} & {"account.gone", "account.restoring"}
    assert found["advice"]


def test_a_refusal_by_a_limit_is_told_to_each_whom_it_stops_and_the_run_does_as_was_said(home: House) -> None:
    home.configure(limits={**WIDE_LIMITS, "disable": 1})
    first, second = home.active(2)
    home.dismiss(first, second)
    assert home.plan().refusals
    for who in (first, second):
        found = told(home, who.employee_id, "active")
        assert (found["standing"], found["action"]) == ("refused", "disable")
        assert {cause["code"] for cause in found["causes"]} == {"limits.disable"}
        assert "--override limits.disable" in found["advice"]
        assert "refused by limits.disable" in found["paths"][0]["verdict"]
        assert told(home, who.employee_id, "--offline")["standing"] == "refused"
    home.command("sync")
    assert home.account(first)["active"]


def test_whoever_is_missing_from_a_short_source_is_not_taken_for_a_leaver(home: House) -> None:
    home.configure(limits={**WIDE_LIMITS, "source_rows_drop": 1})
    gone = home.active(4)
    home.dismiss(*gone)
    found = told(home, gone[0].employee_id)
    assert found["standing"] == "held"
    assert "leaver.unproven" in {cause["code"] for cause in found["causes"]}


def test_a_write_that_the_directory_refused_is_told_with_its_answer(home: House) -> None:
    (who,) = home.active(1)
    home.set(who, job_title="Chief")
    home.fault({"on": "patch", "kind": "status", "status": 400, "times": 20})
    home.sync()
    home.fault()
    found = told(home, who.employee_id, "title")
    assert found["standing"] == "changes"
    (deed,) = found["deeds"]
    assert (deed["status"], deed["method"]) in {("failed", "PATCH"), ("held", "PATCH")}
    assert deed["if_match"]
    assert deed["code"]
    assert deed["code"] in {cause["code"] for cause in found["causes"]}
    assert deed["correlation_id"] in {request["correlation_id"] for request in home.call("history/requests")}
    assert "400" in deed["answer"]
    assert deed in told(home, who.employee_id, "--offline")["deeds"]


def test_a_conflict_is_told_with_its_three_sides(home: House) -> None:
    home.configure(attributes=ATTRIBUTES, authority="ask")
    (who,) = home.active(1)
    before = home.account(who)[ENTERPRISE]["department"]
    home.edit(who, f"{ENTERPRISE}:department", "Elsewhere")
    home.set(who, department="Here")
    found = told(home, who.employee_id, "enterprise:department")
    (path,) = found["paths"]
    sides = [path[side]["value"] for side in ("desired", "current", "base")]
    assert sides == ["Here", "Elsewhere", before]
    assert path["becomes"] == "conflict"
    assert "authority ask" in path["rule"]
    assert path["advice"]


def test_the_whole_road_of_a_value_is_shown(home: House) -> None:
    (who,) = home.active(1)
    home.set(who, email=f"  {who.email.upper()} ", job_title="Chief")
    said = home.command("explain", who.employee_id, "userName")
    lines = [line.strip() for line in said.out.splitlines()]
    assert any(line.endswith(f"email: '  {who.email.upper()} '") for line in lines)
    assert f"trim(email)  ->  '{who.email.upper()}'" in lines
    assert f"lower(trim(email))  ->  '{who.email}'" in lines
    home.sync()
    said = home.command("explain", who.employee_id, "title")
    assert "PATCH If-Match" in said.out
    assert "correlation" in said.out


def test_explain_leaves_nothing_behind_and_values_stand_on_stdout_alone(home: House) -> None:
    home.configure(more='[log]\nformat = "json"\nlevel = "debug"\n')
    (who,) = home.active(1)
    home.set(who, job_title="Chief of Whispers")
    waiting = home.plan()
    files = {path.name: path.stat().st_mtime_ns for path in (home.folder / ".scimsync/artifacts").rglob("*")}
    audit = home.command("audit", "show", "--json").out
    for more in ((), ("--offline",)):
        said = home.command("explain", who.employee_id, *more)
        assert "Chief of Whispers" in said.out
        assert "Whispers" not in said.err
        assert who.email not in said.err
    assert {path.name: path.stat().st_mtime_ns for path in (home.folder / ".scimsync/artifacts").rglob("*")} == files
    assert next(run.id for run in home.runs()) == waiting.id, "the latest plan is the one that a person made"
    assert home.command("audit", "show", "--json").out == audit
    assert home.history() == [] or home.writes() == 0


def test_without_a_network_explain_offline_tells_what_is_known(home: House) -> None:
    first, second = home.active(2)
    home.set(first, job_title="Chief")
    home.sync()
    home.set(second, job_title="Deputy")
    home.edit(first, "title", "Edited since")
    home.reset()
    known = told(home, first.employee_id, "title", "--offline")
    assert not known["live"]
    assert known["paths"][0]["current"]["value"] == "Chief", "nobody asked the directory"
    moved = told(home, second.employee_id, "title", "--offline")
    assert (moved["standing"], moved["paths"][0]["becomes"]) == ("changes", "write")
    home.configure(attributes=ATTRIBUTES.replace('"job_title"', '"upper(job_title)"'))
    assert told(home, first.employee_id, "title", "--offline")["paths"][0]["desired"]["value"] == "CHIEF"
    assert home.stats()["requests"] == 0


def test_before_the_directory_was_read_explain_offline_says_what_to_do(tmp_path: Path) -> None:
    with house(tmp_path, users=10) as home:
        who = home.people[1]
        said = home.command("explain", who.employee_id, "--offline")
        assert said.code == 4
        assert "scimsync plan" in said.err
        assert told(home, who.employee_id)["standing"] in {"changes", "same"}
