"""Conflicts that wait for a person: listed, decided, obeyed by the next plan, taken back."""

from __future__ import annotations

import asyncio
import json
import threading
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.runs import ATTRIBUTES, House, Quiet, codes, house

from scimsync import bootstrap
from scimsync.bootstrap import now
from scimsync.core.blackout import Holding
from scimsync.engine import ledger
from scimsync.errors import PlanStale
from scimsync.model.decisions import Actor, Scope, Wins
from scimsync.services import deciding, planning
from scimsync.services.deciding import Said
from scimsync.services.planning import Choices

UNTIL = str(now().date() + timedelta(days=30))
ASKING = ATTRIBUTES.replace('"job_title"\n', '{ value = "job_title", authority = "ask" }\n')


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=20) as found:
        found.sync()
        found.configure(attributes=ASKING)
        yield found


def both_moved(home: House, number: int = 1) -> list[str]:
    """People whose title HR and somebody in the directory both changed; their keys."""
    chosen = home.active(number)
    for who in chosen:
        home.set(who, job_title="Lead")
        home.edit(who, "title", "Chief")
    home.sync()
    return [who.employee_id for who in chosen]


def titles(home: House, number: int = 1) -> list[str]:
    return [home.account(who)["title"] for who in home.active(number)]


def test_a_conflict_is_listed_with_its_three_sides(home: House) -> None:
    before = titles(home)
    (key,) = both_moved(home)
    said = home.command("conflicts")
    assert (said.code, said.err) == (0, "")
    assert f'HR "Lead", directory "Chief", agreed "{before[0]}"' in said.out
    (one,) = json.loads(home.command("conflicts", "--json").out)["conflicts"]
    assert (one["key"], one["path"], one["hr"], one["directory"], one["agreed"]) == (
        key, "title", "Lead", "Chief", before[0],
    )  # fmt: skip
    shown = home.command("conflicts", "show", key, "title")
    assert "account changed" in shown.out
    assert "conflicts decide" in shown.out
    assert titles(home) == ["Chief"]


def test_decided_for_once_that_hr_wins_it_is_written_and_the_next_conflict_asks_again(home: House) -> None:
    (key,) = both_moved(home)
    said = home.command("conflicts", "decide", key, "title", "--wins", "hr", "--apply", "--yes")
    assert said.code == 0, said.err
    assert titles(home) == ["Lead"]
    assert "No conflict waits" in home.command("conflicts").out
    home.quiet()
    home.edit(home.active(1)[0], "title", "Chief")  # the very same values again: the answer was for once
    home.sync()
    assert titles(home) == ["Chief"]
    assert len(json.loads(home.command("conflicts", "--json").out)["conflicts"]) == 1


def test_decided_that_the_directory_wins_its_value_stays_and_nobody_is_asked_again(home: House) -> None:
    (key,) = both_moved(home)
    said = home.command("conflicts", "decide", key, "title", "--wins", "directory", "--no-plan")
    assert said.code == 0, said.err
    made, _ = home.sync()
    assert (titles(home), made.tally.conflicts, made.tally.kept) == (["Chief"], 0, 1)
    assert "No conflict waits" in home.command("conflicts").out
    assert "this once" in home.command("conflicts", "--all").out


def test_a_decision_about_values_that_moved_since_is_told_and_not_applied(home: House) -> None:
    (key,) = both_moved(home)
    home.command("conflicts", "decide", key, "title", "--wins", "hr", "--no-plan")
    home.edit(home.active(1)[0], "title", "President")
    made, _ = home.sync()
    assert titles(home) == ["President"]
    assert "conflict.moved" in codes(made)
    assert "decided about other values" in home.command("conflicts").out
    again = home.command("conflicts", "decide", key, "title", "--wins", "hr", "--apply", "--yes")
    assert again.code == 0, again.err
    assert titles(home) == ["Lead"]


def test_an_edit_between_plan_and_apply_is_not_overwritten_by_a_decision_for_once(home: House) -> None:
    (key,) = both_moved(home)
    home.command("conflicts", "decide", key, "title", "--wins", "hr", "--no-plan")
    made = home.plan()
    home.edit(home.active(1)[0], "title", "President")
    report = home.apply(made.id)
    assert titles(home) == ["President"]
    assert report.outcomes[key][0].code == "conflict.open"


def test_decided_for_a_person_it_holds_for_other_values_until_it_is_taken_back(home: House) -> None:
    (key,) = both_moved(home)
    why = ("--reason", "her lead says so")
    bare = home.command("conflicts", "decide", key, "title", "--wins", "hr", "--for", "person")
    assert bare.code == 2
    assert "--reason" in bare.err
    home.command("conflicts", "decide", key, "title", "--wins", "hr", "--for", "person", *why, "--apply", "--yes")
    home.edit(home.active(1)[0], "title", "Other")
    home.sync()
    assert titles(home) == ["Lead"]
    (one,) = json.loads(home.command("conflicts", "decisions", "--json").out)
    assert (one["reason"], one["for"]) == ("her lead says so", "person")
    assert home.command("conflicts", "withdraw", one["id"]).code == 0
    home.edit(home.active(1)[0], "title", "Other")
    home.sync()
    assert titles(home) == ["Other"]
    twice = home.command("conflicts", "withdraw", one["id"])
    assert twice.code == 4
    assert "holds no more" in twice.err


def test_decided_for_an_attribute_it_answers_for_everybody_and_is_exported_as_configuration(home: House) -> None:
    both_moved(home, 3)
    first = home.active(1)[0].employee_id
    why = ("--reason", "HR owns titles", "--until", UNTIL)
    said = home.command("conflicts", "decide", first, "title", "--wins", "hr", "--for", "attribute", *why, "--no-plan")
    assert said.code == 0, said.err
    home.sync()
    assert titles(home, 3) == ["Lead"] * 3
    exported = home.command("conflicts", "export").out
    assert tomllib.loads(exported)["attributes"]["title"] == {"value": "job_title", "authority": "local_wins"}
    assert "HR owns titles" in exported


def test_many_are_decided_by_filter_only_where_somebody_agrees(home: House) -> None:
    both_moved(home, 3)
    asked = home.command("conflicts", "decide", "--attribute", "title", "--wins", "hr")
    assert asked.code == 2
    assert "3 conflicts" in asked.err
    said = home.command("conflicts", "decide", "--attribute", "title", "--wins", "hr", "--yes", "--apply")
    assert said.code == 0, said.err
    assert titles(home, 3) == ["Lead"] * 3
    nothing = home.command("conflicts", "decide", "--wins", "hr", "--yes")
    assert nothing.code == 2


def test_of_two_who_decide_at_once_the_second_is_told_and_nothing_is_overwritten(home: House) -> None:
    both_moved(home)
    settings, said = home.settings(), {}

    def decide(name: str, wins: Wins) -> None:
        with bootstrap.open_store(settings) as store:
            told = deciding.listed(settings, store)
            barrier.wait()
            try:
                deciding.decide(settings, store, told.open, Said(wins=wins), Actor(name))
                said[name] = "kept"
            except PlanStale as error:
                said[name] = str(error)

    barrier = threading.Barrier(2)
    people = [threading.Thread(target=decide, args=one) for one in (("ada@a", Wins.HR), ("ben@b", Wins.DIRECTORY))]
    for one in people:
        one.start()
    for one in people:
        one.join()
    kept = [name for name, words in said.items() if words == "kept"]
    told = [words for words in said.values() if words != "kept"]
    assert len(kept) == 1
    assert kept[0] in told[0]
    assert "nothing was overwritten" in told[0]
    with bootstrap.open_store(settings) as store:
        assert [one.actor for one in store.decisions()] == kept


def test_a_plan_that_rests_on_a_decision_is_stale_once_that_is_taken_back(home: House) -> None:
    (key,) = both_moved(home)
    home.command("conflicts", "decide", key, "title", "--wins", "hr", "--no-plan")
    made = home.plan()
    (one,) = json.loads(home.command("conflicts", "decisions", "--json").out)
    home.command("conflicts", "withdraw", one["id"])
    said = home.command("apply", made.id, "--yes")
    assert said.code == 4
    assert "a person decided about a conflict holds no more" in said.err
    assert titles(home) == ["Chief"]


def test_a_decision_after_its_last_day_asks_again(home: House) -> None:
    (key,) = both_moved(home)
    settings = home.settings()
    with bootstrap.open_store(settings) as store:
        told = deciding.listed(settings, store)
        said = Said(wins=Wins.HR, scope=Scope.PERSON, reason="for now", until=now().date())
        (one,) = deciding.decide(settings, store, told.open, said, Actor("ada@a"))
        gone = one.at.date() + timedelta(days=1)
        assert one.holds(one.at.date())
        assert not one.holds(gone)
    past = str(now().date() - timedelta(days=2))
    late = home.command(
        "conflicts", "decide", key, "title", "--wins", "hr", "--for", "person", "--reason", "x", "--until", past
    )
    assert late.code in {2, 4}


def test_every_decision_stands_in_the_audit_chain_with_its_author_and_values_under_the_key_of_the_person(
    home: House,
) -> None:
    (key,) = both_moved(home)
    home.command("conflicts", "decide", key, "title", "--wins", "hr", "--reason", "agreed", "--no-plan")
    (one,) = json.loads(home.command("conflicts", "decisions", "--json").out)
    home.command("conflicts", "withdraw", one["id"])
    with bootstrap.open_store(home.settings()) as store:
        told = [ledger.document_of(entry) for entry in store.entries(kind="hold")]
    mine = [record for record in told if record.get("rule") == f"decision {one['id']}"]
    assert [record["action"] for record in mine] == ["decided", "withdrawn"]
    assert mine[0]["actor"] == one["actor"]
    assert mine[0]["reason"] == "agreed"
    assert home.command("audit", "verify").code == 0


def test_a_decision_for_once_ends_with_its_conflict_also_where_nobody_carried_it_out(home: House) -> None:
    (key,) = both_moved(home)
    (who,) = home.active(1)
    home.edit(who, "title", "Lead")  # both are equal by hand
    home.sync()
    home.edit(who, "title", "Chief")
    home.sync()
    home.command("conflicts", "decide", key, "title", "--wins", "hr", "--no-plan")
    home.edit(who, "title", "Lead")
    home.sync()
    home.edit(who, "title", "Chief")
    home.sync()
    assert titles(home) == ["Chief"]
    assert len(json.loads(home.command("conflicts", "--json").out)["conflicts"]) == 1
    assert json.loads(home.command("conflicts", "decisions", "--json").out) == []


def test_a_plan_in_a_blackout_ends_no_decision_whose_write_it_leaves_for_later(home: House) -> None:
    (key,) = both_moved(home)
    home.command("conflicts", "decide", key, "title", "--wins", "hr", "--no-plan")
    settings = home.settings()
    holding = Holding("office-hours", datetime(2099, 1, 1, tzinfo=UTC))
    with bootstrap.open_store(settings) as store:
        made = asyncio.run(planning.plan(settings, store, Quiet(), Choices(blackout=holding)))
    assert made.changes == ()
    assert len(json.loads(home.command("conflicts", "decisions", "--json").out)) == 1
    home.sync()
    assert titles(home) == ["Lead"]


def test_a_plan_for_another_person_ends_no_decision(home: House) -> None:
    key, other = both_moved(home, 2)
    home.command("conflicts", "decide", key, "title", "--wins", "hr", "--no-plan")
    home.plan(other)
    home.sync()
    assert titles(home) == ["Lead"]
