"""What goes wrong at a console: each a sentence on the page, nothing lost, nothing done twice."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.consoles import Client, Shown, faults_of, shown
from tests.runs import House, house

from scimsync.adapters.store_sql import SqlStore
from scimsync.bootstrap import now
from scimsync.console.roles import Role
from scimsync.model.outcomes import RunState
from scimsync.services import awaiting, evidence, overview
from scimsync.services.working import _Watch

RULE = '[[approval]]\nname = "eyes"\nevery = true\nvalid = "1h"\n'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    """A house with a plan of three changes and a conflict that wait."""
    with house(tmp_path, users=20) as found:
        found.configure(authority="ask")
        found.settle()
        *movers, edited = found.active(4)
        for someone in movers:
            found.set(someone, job_title="Lead")
        found.set(edited, job_title="Trainer")
        found.edit(edited, "title", "Chief of Everything")
        yield found


def digest_of(client: Client, run: str) -> str:
    return str(client.get(f"/api/v1/runs/{run}").json()["digest"])


def come(place: Shown, role: Role, name: str) -> Client:
    """Somebody who has the first page open."""
    client = place.visitor(role, name)
    assert client.get("/").status_code == 200
    return client


def told(client: Client, answer: object) -> str:
    """What a page says in the end, of work that a form began."""
    path = answer.headers["location"]  # type: ignore[attr-defined]
    with client.stream(f"{path}/events") as lines:
        for _ in lines:
            pass
    page = client.get(path).text
    assert faults_of(page) == []
    return page


def test_an_approval_that_expired_is_shown_with_why_it_counts_no_more_and_the_plan_waits_again(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.configure(authority="ask", more=RULE)
    run = home.plan().id
    with shown(home) as place:
        ada, cleo = come(place, Role.OPERATOR, "ada"), come(place, Role.APPROVER, "cleo")
        digest = digest_of(ada, run)
        assert cleo.post(f"/runs/{run}/approve", digest=digest, reason="read it").status_code == 303
        assert "It is approved" in ada.get(f"/runs/{run}/approvals").text
        monkeypatch.setattr(awaiting, "now", lambda: now() + timedelta(hours=2))
        page = ada.get(f"/runs/{run}/approvals")
        assert faults_of(page.text) == []
        assert "It waits for 1 approval" in page.text
        assert "counts for no rule any more" in page.text
        assert "waits for approval" in ada.get("/").text


def test_a_plan_that_the_world_overtook_is_not_applied_and_its_page_says_what_to_do(home: House) -> None:
    run = home.plan().id
    home.sync()
    before = home.writes()
    with shown(home) as place:
        ada = come(place, Role.OPERATOR, "ada")
        page = told(ada, ada.post(f"/runs/{run}/apply", digest=digest_of(ada, run)))
        assert 'role="alert"' in page
        assert "another run" in page
        assert "Make a new plan" in page
    assert home.writes() == before


def test_of_two_who_decide_one_conflict_at_once_one_is_told_that_the_other_did(home: House) -> None:
    home.plan()
    with shown(home) as place:
        people = [come(place, Role.OPERATOR, name) for name in ("ada", "bo")]
        (conflict,) = people[0].get("/api/v1/conflicts").json()["conflicts"]
        form = {"scope": "person", "one": "yes", "reason": "so", "key": conflict["key"], "path": "title"}
        start, answers = threading.Barrier(2), {}

        def decide(client: Client, wins: str) -> None:
            start.wait()
            answers[wins] = client.post("/conflicts/decide", wins=wins, seen=conflict["plan"], **form)

        threads = [threading.Thread(target=decide, args=one) for one in zip(people, ("hr", "directory"), strict=True)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        (first,) = [wins for wins, answer in answers.items() if answer.status_code == 303]
        (second,) = [answer for answer in answers.values() if answer.status_code != 303]
        assert second.status_code == 409
        assert faults_of(second.text) == []
        assert "decided" in second.text
        place.opened.console.works.halt()
        (kept,) = place.store.decisions()
        assert kept.wins.value == first
        records = [record.document for record in evidence.latest(place.store, "", "", 99, kind="hold")]
        assert [one["action"] for one in records] == ["decided"]


def test_a_browser_that_goes_away_in_the_middle_of_an_apply_ends_nothing_and_begins_nothing_twice(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, gate, advance = home.plan().id, threading.Event(), _Watch.advance

    def held(watch: _Watch, steps: int = 1) -> None:
        advance(watch, steps)
        if watch._work.kind == "apply" and watch._work.done:
            assert gate.wait(60)

    monkeypatch.setattr(_Watch, "advance", held)
    with shown(home) as place:
        ada = come(place, Role.OPERATOR, "ada")
        form = {"digest": digest_of(ada, run)}
        begun = ada.post(f"/runs/{run}/apply", **form)
        work = begun.headers["location"]
        with ada.stream(f"{work}/events") as lines:
            assert any(" of 3" in line for line in lines)  # and the connection is gone
        again = ada.post(f"/runs/{run}/apply", **form)  # a form that is sent again
        assert (again.status_code, "at work already, begun by ada" in again.text) == (409, True)
        assert f'href="{work}"' in ada.get(f"/runs/{run}").text  # whoever comes back finds it
        gate.set()
        assert "The run came to its end" in told(ada, begun)
        assert home.writes() == 3
        told(ada, ada.post(f"/runs/{run}/apply", **form))  # and once more: nothing is left to do
        assert home.writes() == 3
    assert home.runs()[0].state is RunState.DONE


def test_a_database_that_is_locked_is_a_sentence_and_what_was_asked_is_asked_again(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.configure(authority="ask", more=RULE)
    run = home.plan().id
    monkeypatch.setitem(SqlStore.__init__.__kwdefaults__, "patience_s", 0.05)
    with shown(home) as place:
        cleo = come(place, Role.APPROVER, "cleo")
        form = {"digest": digest_of(cleo, run), "reason": "read it"}
        with contextlib.closing(sqlite3.connect(home.folder / ".scimsync/state.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = cleo.post(f"/runs/{run}/approve", **form)
            assert (answer.status_code, faults_of(answer.text)) == (409, [])
            assert "keeps" in answer.text
            assert "locked" in answer.text
            assert cleo.get(f"/runs/{run}").status_code == 200  # reading goes on
            other.rollback()
        assert cleo.post(f"/runs/{run}/approve", **form).status_code == 303
        assert len(place.store.approvals(run)) == 1


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_jumps_ends_no_session_and_shows_no_nonsense(
    home: House, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    run = home.plan().id
    with shown(home) as place:
        ada = come(place, Role.OPERATOR, "ada")
        for module in (overview, awaiting):
            monkeypatch.setattr(module, "now", lambda: now() + timedelta(hours=hours))
        page = ada.get("/")
        assert (page.status_code, faults_of(page.text)) == (200, [])
        assert "<dd>-" not in page.text
        assert ada.get(f"/runs/{run}").status_code == 200
        assert ada.get(f"/runs/{run}/approvals").status_code == 200
        assert "The run came to its end" in told(ada, ada.post(f"/runs/{run}/apply", digest=digest_of(ada, run)))
        assert home.writes() == 3
