"""What every store promises, held by the twin in memory, by SQLite and by PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from scimsync.adapters.store_sql import SqlStore
from scimsync.engine.ports import Store
from scimsync.engine.state import (
    Acceptances,
    Deferrals,
    Endings,
    Journal,
    Links,
    Memberships,
    NeverShown,
    Pins,
    Refusals,
    Runs,
    Suspicions,
)
from scimsync.errors import ConfigError, StoreError, StoreLocked
from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.approvals import Approval, Quarantined
from scimsync.model.audit import Kind, Record
from scimsync.model.decisions import Decision, Wins
from scimsync.model.outcomes import (
    Acceptance,
    Deferred,
    Document,
    Ending,
    JournalLine,
    Link,
    LinkDecision,
    Outcome,
    Pin,
    Run,
    RunState,
    Status,
    Step,
    Suspect,
    Undone,
    Unshown,
)
from scimsync.model.records import KeySample, SourceHealth
from scimsync.model.visitors import Passkey, Token, User
from scimsync.testing import MemoryAudit, MemoryPeople, MemoryRuns, MemoryStore, VirtualClock

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def make_run(name: str = "run-1", **members: object) -> Run:
    given: dict[str, object] = {"created": MOMENT, "state": RunState.PLANNED, "target": "https://api", **members}
    return Run(id=name, **given)  # type: ignore[arg-type]


def make_line(key: str = "p1", *, run: str = "run-1", **members: object) -> JournalLine:
    given: dict[str, object] = {"part": 1, "step": Step.INTENT, "at": MOMENT, "method": "PATCH", **members}
    return JournalLine(run=run, key=key, **given)  # type: ignore[arg-type]


class People(Links, Deferrals, Endings, Suspicions, NeverShown, Acceptances, Memberships, Protocol):
    """The part that knows whose account is whose."""


class RunsAndPins(Runs, Refusals, Pins, Protocol):
    """The part that knows runs."""


WHOLE = ("memory", "sqlite", "postgres")
#: a part in memory promises what the whole does
on_people = pytest.mark.parametrize("store", ["people in memory", *WHOLE], indirect=True)
on_runs = pytest.mark.parametrize("store", ["runs in memory", *WHOLE], indirect=True)
on_journal = pytest.mark.parametrize("store", ["journal in memory", *WHOLE], indirect=True)


@pytest.fixture(params=WHOLE)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store | MemoryPeople | MemoryRuns | MemoryAudit]:
    parts = {"people in memory": MemoryPeople, "runs in memory": MemoryRuns, "journal in memory": MemoryAudit}
    if request.param in parts:
        yield parts[request.param]()
        return
    if request.param == "memory":
        yield MemoryStore(tmp_path / "artifacts")
        return
    sql = SqlStore(_url(request, tmp_path), tmp_path / "artifacts", VirtualClock())
    yield sql
    sql.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where several stores, of this process or of others, meet."""
    return _url(request, tmp_path)


def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def another(url: str, tmp_path: Path) -> Iterator[Callable[[], SqlStore]]:
    """Opens a store of its own on the common state."""
    with ExitStack() as stack:

        def make(clock: VirtualClock | None = None) -> SqlStore:
            made = SqlStore(url, tmp_path / "artifacts", clock or VirtualClock(), patience_s=5.0)
            stack.callback(made.close)
            return made

        yield make


# Runs


@on_runs
def test_a_run_comes_back_as_it_was_saved(store: RunsAndPins) -> None:
    run = make_run(
        state=RunState.PARTIAL,
        plan="run-1.plan",
        agreed="run-1.agreed",
        base="run-1.base",
        finished=MOMENT + timedelta(hours=1),
        tally={"update": 3, "create": 1},
        statuses={"done": 4},
        health=SourceHealth(
            rows=10,
            blanks={"title": 0.25, "phone": 1.0},
            fingerprint="abc",
            desired={"title": 0.5},
            keys=KeySample(mark=7, digests=(0, 1, 2**48 - 1), whole=True),
            shares={"department": {"Billing": 4, "Größe": 6}},
            newest=MOMENT,
        ),
        partial=True,
        source="hr",
        takes=("hr.csv", ""),
        began=MOMENT + timedelta(minutes=1),
        done={"disable": 2, "clear title": 1},
        answered=("limits.disable",),
        digest="5f" * 32,
        spent={"plan.list": 3, "apply.seconds": 1.5},
    )
    store.save_run(run)
    assert store.run("run-1") == run
    assert store.runs() == [run]


@on_runs
def test_the_runs_that_worked_are_those_begun_since_and_those_that_never_ended(store: RunsAndPins) -> None:
    def save(name: str, state: RunState, hours: int | None) -> None:
        store.save_run(make_run(name, state=state, began=None if hours is None else MOMENT + timedelta(hours=hours)))

    save("long-ago", RunState.DONE, -2)
    save("killed", RunState.APPLYING, -3)
    save("just", RunState.DONE, 0)
    save("planned", RunState.PLANNED, None)
    save("later", RunState.PARTIAL, 5)
    assert [run.id for run in store.worked(MOMENT)] == ["killed", "just", "later"]


@on_runs
def test_what_is_frozen_stays_until_it_is_forgotten(store: RunsAndPins) -> None:
    assert store.frozen("hr") == {}
    store.change_frozen("hr", {"disable": "run-1", "clear title": "run-1"})
    store.change_frozen("hr", {"disable": "run-2"})
    store.change_frozen("other", {"disable": "run-9"})
    assert store.frozen("hr") == {"disable": "run-2", "clear title": "run-1"}
    store.change_frozen("hr", {"enable": "run-3", "create": "run-3"}, ["disable", "create"])
    store.change_frozen("hr", {}, ["clear title"])
    assert store.frozen("hr") == {"enable": "run-3", "create": "run-3"}
    assert store.frozen("other") == {"disable": "run-9"}


@on_runs
def test_a_run_saved_again_replaces_the_first(store: RunsAndPins) -> None:
    store.save_run(make_run())
    store.save_run(make_run(state=RunState.DONE, finished=MOMENT))
    assert [run.state for run in store.runs()] == [RunState.DONE]


@on_runs
def test_moments_of_another_zone_are_the_same_moments(store: RunsAndPins) -> None:
    store.save_run(make_run(created=MOMENT.astimezone(timezone(timedelta(hours=5)))))
    found = store.run("run-1")
    assert found is not None
    assert found.created == MOMENT


@on_runs
def test_runs_are_listed_newest_first_whatever_the_clock_said_and_no_more_than_asked(store: RunsAndPins) -> None:
    for number, minutes in ((1, 9), (2, 0), (3, 5), (4, -60)):
        store.save_run(make_run(f"run-{number}", created=MOMENT + timedelta(minutes=minutes)))
    store.save_run(make_run("run-2", created=MOMENT, state=RunState.DONE))
    assert [run.id for run in store.runs(limit=3)] == ["run-4", "run-3", "run-2"]


@on_runs
def test_runs_that_were_begun_are_listed_by_when_they_last_were_and_numbers_never_repeat(store: RunsAndPins) -> None:
    for number in (1, 2, 3, 4):
        store.save_run(make_run(f"run-{number}", state=RunState.REFUSED if number == 4 else RunState.PLANNED))
    assert store.begun() == []
    for number in (2, 1):
        store.save_run(make_run(f"run-{number}", state=RunState.APPLYING))
        store.save_run(make_run(f"run-{number}", state=RunState.INTERRUPTED))
    assert [run.id for run in store.begun()] == ["run-1", "run-2"]
    store.save_run(make_run("run-2", state=RunState.APPLYING))
    assert [run.id for run in store.begun(limit=1)] == ["run-2"]
    store.save_run(make_run("run-5"))
    numbers = [number for run in store.runs() for number in (run.seq, run.begun) if number]
    assert len(numbers) == len(set(numbers))
    assert store.runs()[0].seq == max(numbers)


def test_two_who_plan_at_once_get_two_numbers(another: Callable[[], SqlStore]) -> None:
    first, second = another(), another()

    def plan(store: SqlStore, name: str) -> None:
        for number in range(20):
            store.save_run(make_run(f"{name}-{number}"))

    threads = [threading.Thread(target=plan, args=given) for given in ((first, "a"), (second, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.seq for run in first.runs()) == [*range(1, 41)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("abc1", "abc1"),
        ("abc12", "abc123"),
        ("b_", "b_x"),
        ("ABC123", None),
        ("b%", None),
        ("bz", None),
        ("", None),
    ],
)
@on_runs
def test_a_run_is_found_by_its_id_or_an_unambiguous_beginning(
    store: RunsAndPins, asked: str, found: str | None
) -> None:
    for name in ("abc1", "abc123", "abc1x", "b_x"):
        store.save_run(make_run(name))
    run = store.run(asked)
    assert (run and run.id) == found


@on_runs
def test_an_ambiguous_beginning_is_refused_and_says_what_it_could_be(store: RunsAndPins) -> None:
    for name in ("abc1", "abc2", "x"):
        store.save_run(make_run(name))
    with pytest.raises(ConfigError, match="abc1, abc2"):
        store.run("abc")


@on_runs
def test_the_last_applied_run_is_the_newest_that_left_a_base(store: RunsAndPins) -> None:
    assert store.last_applied() is None
    for minute, base in ((3, "c.base"), (1, "a.base"), (4, "")):
        store.save_run(make_run(f"run-{minute}", created=MOMENT + timedelta(minutes=minute), base=base))
    found = store.last_applied()
    assert found is not None
    assert found.base == "c.base"


@on_runs
def test_the_last_applied_run_of_one_source_is_not_that_of_another(store: RunsAndPins) -> None:
    for number, source in ((1, "hr"), (2, "contractors")):
        store.save_run(make_run(f"run-{number}", base=f"base-{number:08}", source=source))
    assert [(run and run.id) for run in map(store.last_applied, ("hr", "contractors", "", None))] == [
        "run-1", "run-2", None, "run-2"
    ]  # fmt: skip


@on_runs
def test_of_runs_with_one_base_the_one_that_was_begun_last_is_the_last_applied(store: RunsAndPins) -> None:
    base = "base-00000001-run-9.parquet"
    for name in ("run-9", "run-3", "run-5"):  # their clock stepped back
        store.save_run(make_run(name, state=RunState.APPLYING))
        store.save_run(make_run(name, state=RunState.DONE, base=base))
    found = store.last_applied()
    assert found is not None
    assert found.id == "run-5"


@on_runs
def test_a_run_whose_files_are_forgotten_keeps_its_numbers(store: RunsAndPins) -> None:
    for name in ("run-1", "run-2"):
        store.save_run(make_run(name, plan="p", agreed="a", base=f"base-{name}", tally={"update": 3}))
    store.forget_files(["run-1", "nobody"])
    forgotten, left = store.run("run-1"), store.run("run-2")
    assert forgotten == make_run("run-1", tally={"update": 3})
    assert left == make_run("run-2", plan="p", agreed="a", base="base-run-2", tally={"update": 3})


# Links


@on_people
def test_links_are_replaced_by_key(store: People) -> None:
    store.save_links([Link("p1", "a1"), Link("p2", "a2")])
    store.save_links(link for link in [Link("p2", "b2"), Link("p3", "a3"), Link("p3", "b3")])
    assert sorted(store.links(), key=lambda link: link.key) == [Link("p1", "a1"), Link("p2", "b2"), Link("p3", "b3")]


@on_people
def test_a_link_remembers_whose_person_it_is_about_until_another_source_takes_them_over(store: People) -> None:
    store.save_links(
        [Link("p1", "a1", "hr"), Link("p2", "a2", "hr"), Link("p3", "a3", "contractors"), Link("p4", "a4")]
    )
    assert store.sources() == {"hr", "contractors"}
    store.take_links("hr", "people")
    store.take_links("", "contractors")
    assert {link.key: link.source for link in store.links()} == {
        "p1": "people", "p2": "people", "p3": "contractors", "p4": "contractors"
    }  # fmt: skip
    assert store.sources() == {"hr", "contractors", "people"}


@on_people
def test_many_links_are_saved_and_read(store: People) -> None:
    store.save_links(Link(f"p{n}", f"a{n}") for n in range(3500))
    assert {(link.key, link.account) for link in store.links()} == {(f"p{n}", f"a{n}") for n in range(3500)}


@on_people
def test_links_can_be_saved_while_they_are_walked(store: People) -> None:
    store.save_links(Link(f"p{n}", f"old{n}") for n in range(50))
    for link in store.links():
        store.save_links([Link(link.key, f"new {link.key}")])
    assert {link.account for link in store.links()} == {f"new p{n}" for n in range(50)}


@on_people
def test_a_walk_that_is_given_up_blocks_nobody(store: People) -> None:
    store.save_links(Link(f"p{n}", f"a{n}") for n in range(5))
    walk = store.links()
    next(walk)
    store.save_links([Link("p9", "a9")])
    del walk
    assert len(list(store.links())) == 6


# The journal


@on_journal
def test_journal_lines_come_back_in_the_order_they_were_written(store: Journal) -> None:
    for batch in range(5):
        store.append([make_line(f"p{batch}-{n}", attempt=n + 1) for n in range(20)])
        store.append([make_line("other", run="run-2")])
    lines = list(store.journal("run-1"))
    assert [line.key for line in lines] == [f"p{batch}-{n}" for batch in range(5) for n in range(20)]
    assert len(list(store.journal("run-2"))) == 5
    assert list(store.journal("run-3")) == []


@on_journal
def test_the_journal_gives_only_what_was_written_since_a_moment(store: Journal) -> None:
    early = make_line("early")
    store.append([early, replace(early, key="late", at=early.at + timedelta(minutes=5))])
    assert [line.key for line in store.journal("run-1", since=early.at)] == ["early", "late"]
    assert [line.key for line in store.journal("run-1", since=early.at + timedelta(seconds=1))] == ["late"]
    assert list(store.journal("run-1", since=early.at + timedelta(hours=1))) == []


@on_journal
def test_the_journals_of_some_runs_are_dropped_and_those_of_others_stay(store: Journal) -> None:
    store.append([make_line("a"), make_line("b"), make_line("c", run="run-2"), make_line("d", run="run-3")])
    assert store.journalled(["run-1", "run-2", "nobody"]) == 3
    assert store.forget_journal(["run-1", "run-2", "nobody"]) == 3
    assert store.journalled(["run-1", "run-2"]) == 0
    assert [line.key for line in store.journal("run-3")] == ["d"]


@on_journal
def test_the_journal_tells_of_one_person_through_all_runs_and_of_the_latest_alone_where_that_is_asked(
    store: Journal,
) -> None:
    store.append([make_line("p1"), make_line("p2"), make_line("p1", run="run-2"), make_line("p1", run="run-2")])
    assert [line.run for line in store.journal_of("p1")] == ["run-1", "run-2", "run-2"]
    assert [line.run for line in store.journal_of("p1", newest=2)] == ["run-2", "run-2"]
    assert list(store.journal_of("p9")) == []


@on_journal
def test_a_journal_line_comes_back_equal_to_the_last_type(store: Journal) -> None:
    outcome = Outcome(
        key="Zoë\N{SNOWMAN}",
        part=2, status=Status.HELD,
        account=None,
        version="7",
        written={
            "title": "Lead, \"q\" \\ \x01 é",
            "active": True,
            "count": 1,
            "ratio": 1.0,
            "gone": None,
            "emails": ((("primary", True), ("type", "work"), ("value", "a@b")), (("value", 2.0), ("weight", 2))),
            "empty": (),
        },
        code="target.version-conflict",
        detail="moved",
        races=3,
        correlation_id="c-1",
        overwritten=("title", "emails"),
    )  # fmt: skip
    line = make_line("Zoë\N{SNOWMAN}", part=2, step=Step.OUTCOME, attempt=2, version="6", outcome=outcome)
    store.append([line])
    (found,) = store.journal("run-1")
    assert found == line
    assert repr(found) == repr(line)  # 1, 1.0 and True are equal, and not the same


def test_an_empty_batch_is_no_trouble(store: Store) -> None:
    store.append([])
    store.save_links([])
    assert list(store.journal("run-1")) == []


@on_journal
def test_several_threads_may_append_at_once(store: Journal) -> None:
    def work(name: str) -> None:
        for number in range(25):
            store.append([make_line(name, attempt=number)])

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = list(store.journal("run-1"))
    for name in ("t0", "t1", "t2", "t3"):
        assert [line.attempt for line in lines if line.key == name] == list(range(25))


# Pins


def make_pin(target: str = "https://api", **members: object) -> Pin:
    documents = {"Schemas": Document({"Resources": [{"id": "urn:x"}]}), "ServiceProviderConfig": Document({}, 'W/"1"')}
    given: dict[str, object] = {"at": MOMENT, "actor": "ada", "documents": documents, **members}
    return Pin(target=target, **given)  # type: ignore[arg-type]


@on_runs
def test_a_pin_comes_back_as_it_was_saved(store: RunsAndPins) -> None:
    store.save_pin(make_pin())
    assert store.pin("https://api") == make_pin()


@on_runs
def test_the_latest_pin_of_a_target_counts_and_another_targets_does_not(store: RunsAndPins) -> None:
    assert store.pin("https://api") is None
    store.save_pin(make_pin())
    store.save_pin(make_pin(actor="ben", at=MOMENT - timedelta(hours=1)))  # clocks may step back
    store.save_pin(make_pin("https://other", actor="cem"))
    found = store.pin("https://api")
    assert found is not None
    assert found.actor == "ben"


# Artifacts


def test_a_store_knows_how_much_room_it_takes(store: Store) -> None:
    before = store.size()
    store.append([make_line(f"p{number}") for number in range(5000)])
    assert store.size() >= before >= 0


def test_artifacts_live_in_a_private_folder(store: Store, tmp_path: Path) -> None:
    path = store.artifact("run-1.plan_2.ndjson")
    assert path == tmp_path / "artifacts" / "run-1.plan_2.ndjson"
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a b", "ä", "x\n", "\0"])
def test_an_artifact_cannot_be_named_out_of_its_folder(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="cannot name an artifact"):
        store.artifact(name)


# The lease


def test_the_lease_has_one_holder_and_can_be_taken_again(store: Store) -> None:
    with store.lease("apply"):
        with pytest.raises(StoreLocked, match="apply is at work"), store.lease("apply"):
            pass
        store.append([make_line()])
    with store.lease("apply"):
        store.append([make_line()])
    assert len(list(store.journal("run-1"))) == 2


def test_the_lease_is_given_back_when_the_work_fails(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.lease("apply"):
        raise ZeroDivisionError
    with store.lease("apply"):
        pass


def test_a_second_store_is_told_who_is_at_work(another: Callable[..., SqlStore]) -> None:
    first, second = another(), another()
    with first.lease("apply run-1"):
        told = rf"apply run-1 is at work: process {os.getpid()} on .*, since 2026-01-01"
        with pytest.raises(StoreLocked, match=told), second.lease("apply run-2"):
            pass
        with pytest.raises(StoreLocked, match="apply run-1"):
            second.append([make_line()])
    with second.lease("apply run-2"):
        pass


def test_a_holder_on_another_host_is_borne_for_ten_minutes_and_then_fenced(
    another: Callable[..., SqlStore],
) -> None:
    clock = VirtualClock()
    first, second = another(clock), another(clock)
    with first.lease("apply"):
        first.append([make_line("before")])
        _pretend_another_host(first)
        clock.advance(599)
        with pytest.raises(StoreLocked, match=r"elsewhere.*its lease ends at 00:10:00 UTC"), second.lease("apply"):
            pass
        clock.advance(2)
        with second.lease("apply"):
            second.append([make_line("second")])
            with pytest.raises(StoreLocked, match="its lease went to"):
                first.append([make_line("stale")])
            with pytest.raises(StoreLocked, match="its lease went to"):
                first.save_links([Link("p1", "stale")])
        with pytest.raises(StoreLocked, match="its lease went to"):
            first.append([make_line("stale")])
    assert [line.key for line in first.journal("run-1")] == ["before", "second"]
    assert list(first.links()) == []


def test_who_promised_to_speak_loses_the_lease_by_silence_though_the_process_lives(
    another: Callable[..., SqlStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock()
    monkeypatch.setattr(SqlStore, "_time", lambda *_: clock.now())
    first, second, third = another(clock), another(clock), another(clock)
    with first.lease("worker 1", 20):
        clock.advance(20)
        with (
            pytest.raises(StoreLocked, match="its lease ends after 20 seconds of silence"),
            second.lease("worker 2", 20),
        ):
            pass
        clock.advance(1)
        with second.lease("worker 2", 20):
            with pytest.raises(StoreLocked, match="its lease went to worker 2"):
                first.append([make_line("zombie")])
            with pytest.raises(StoreLocked, match="worker 2 is at work"), third.lease("a person"):
                pass
    with third.lease("a person"):
        clock.advance(50)
        with pytest.raises(StoreLocked, match="a person is at work"), first.lease("worker 1", 20):
            pass


def test_a_fenced_holder_that_ends_does_not_end_the_lease_of_the_next(another: Callable[..., SqlStore]) -> None:
    clock = VirtualClock()
    first, second, third = another(clock), another(clock), another(clock)
    with ExitStack() as stack:
        with first.lease("first"):
            _pretend_another_host(first)
            clock.advance(601)
            stack.enter_context(second.lease("second"))
        with pytest.raises(StoreLocked, match="second is at work"), third.lease("third"):
            pass


def test_a_lease_that_is_renewed_does_not_expire(
    another: Callable[..., SqlStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scimsync.adapters.store_sql.RENEW_S", 0.01)
    clock = VirtualClock()
    first, second = another(clock), another(clock)
    with first.lease("apply"):
        _pretend_another_host(first)
        clock.advance(3600)
        threading.Event().wait(0.5)  # the renewer writes meanwhile
        with pytest.raises(StoreLocked), second.lease("apply"):
            pass


def _pretend_another_host(store: SqlStore) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE lease SET host = 'elsewhere', place = 'elsewhere', pid = 1"))


# Other processes

_WORKER = """
import sys, time
from pathlib import Path
from datetime import datetime, UTC
from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.store_sql import SqlStore
from scimsync.model.accounts import GroupMemory, Membership
from scimsync.model.approvals import Approval, Quarantined
from scimsync.model.audit import Kind, Record
from scimsync.model.decisions import Decision, Wins
from scimsync.model.outcomes import JournalLine, Step
store = SqlStore(sys.argv[1], Path(sys.argv[2]), SystemClock())
with store.lease("the victim"):
    for number in range(100_000):
        store.append([JournalLine(run="run-1", key=str(number), part=1, step=Step.INTENT, at=datetime.now(UTC))])
        print(number, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill_and_the_lease_is_taken_over(
    url: str, another: Callable[..., SqlStore], tmp_path: Path
) -> None:
    store = another()
    victim = subprocess.Popen(
        [sys.executable, "-c", _WORKER, url, str(tmp_path / "artifacts")], stdout=subprocess.PIPE, text=True
    )
    assert victim.stdout is not None
    for _ in range(40):
        victim.stdout.readline()
    with pytest.raises(StoreLocked, match=f"the victim is at work: process {victim.pid} "), store.lease("apply"):
        pass
    victim.send_signal(signal.SIGKILL)
    acknowledged = 40 + len(victim.stdout.readlines())
    os.waitid(os.P_PID, victim.pid, os.WEXITED | os.WNOWAIT)  # not reaped: a zombie holds nothing
    with store.lease("apply"):
        keys = [line.key for line in store.journal("run-1")]
    victim.wait()
    victim.stdout.close()
    assert len(keys) >= acknowledged
    assert keys == [str(number) for number in range(len(keys))]


def test_a_process_that_got_the_number_of_the_dead_is_not_taken_for_it(another: Callable[..., SqlStore]) -> None:
    first, second = another(), another()
    with first.lease("the dead"):
        with first.engine.begin() as connection:  # our own number, which another process had before us
            connection.execute(sa.text("UPDATE lease SET started = '1'"))
        with second.lease("apply"):
            second.append([make_line()])


_OPENER = """
import sys
from pathlib import Path
from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.store_sql import SqlStore
sys.stdin.readline()
SqlStore(sys.argv[1], Path(sys.argv[2]), SystemClock()).close()
"""


def test_several_processes_may_make_the_store_at_once(url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OPENER, url, str(tmp_path / "artifacts")]
    openers = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    threading.Event().wait(1.5)  # until all have imported
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("\n")
        opener.stdin.flush()
    assert [opener.communicate()[1] for opener in openers] == [""] * 4
    assert [opener.returncode for opener in openers] == [0] * 4


# Read, then write


def test_no_update_is_lost_between_two_threads(another: Callable[..., SqlStore]) -> None:
    store = another()
    start = threading.Barrier(2)

    def count() -> None:
        start.wait()
        for _ in range(100):
            with store.engine.begin() as connection:
                held = connection.execute(sa.text("SELECT fence FROM lease" + lock)).scalar_one()
                connection.execute(sa.text("UPDATE lease SET fence = :next"), {"next": held + 1})

    lock = " FOR UPDATE" if store.engine.dialect.name == "postgresql" else ""
    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT fence FROM lease")).scalar_one() == 200


def linked(store: Store) -> dict[str, str]:
    return {link.key: link.account for link in store.links()}


@on_people
def test_a_link_of_another_key_is_never_dropped_in_silence(store: People) -> None:
    store.save_links([Link("E1", "a1"), Link("E2", "a2")])
    assert store.save_links([Link("N1", "a1"), Link("N3", "a3"), Link("E2", "a1")]) == [
        Link("N1", "a1"),
        Link("E2", "a1"),
    ]
    assert linked(store) == {"E1": "a1", "E2": "a2", "N3": "a3"}


@on_people
def test_an_account_goes_to_another_key_where_the_former_owner_is_named(store: People) -> None:
    store.save_links([Link("E1", "a1"), Link("E2", "a2")])
    assert not store.save_links([Link("N1", "a1"), Link("E2", "b2"), Link("N2", "a2")], {"E1"})
    assert linked(store) == {"N1": "a1", "E2": "b2", "N2": "a2"}
    assert (store.owner_of("a1"), store.owner_of("b9")) == ("N1", None)


@on_people
def test_of_two_keys_that_want_one_new_account_the_first_has_it(store: People) -> None:
    assert store.save_links([Link("E1", "a1"), Link("E2", "a1")]) == [Link("E2", "a1")]
    assert linked(store) == {"E1": "a1"}


@on_people
def test_what_was_said_about_who_is_who_is_kept_and_makes_the_links(store: People) -> None:
    store.save_links([Link("E1", "a1"), Link("E2", "a2")])
    said = [
        LinkDecision("N1", "a1", same=True, actor="ada@host", source="hr"),
        LinkDecision("E2", "a2", same=False, actor="ada@host"),
        LinkDecision("E2", "a1", same=False),
    ]
    for decision in said:
        store.decide_link(decision)
    assert linked(store) == {"N1": "a1"}
    assert list(store.link_decisions()) == said
    assert [link.source for link in store.links()] == ["hr"]


@on_runs
def test_runs_are_listed_newest_first_whatever_base_they_left(store: RunsAndPins) -> None:
    store.save_run(make_run("run-1", base="base-00000002-x.parquet"))
    store.save_run(make_run("run-2", created=MOMENT + timedelta(minutes=1)))
    assert [run.id for run in store.runs()] == ["run-2", "run-1"]


@on_runs
def test_the_latest_base_counts_even_where_the_clock_was_set_back(store: RunsAndPins) -> None:
    store.save_run(make_run("run-1", base="base-00000001-run-1.parquet"))
    store.save_run(make_run("run-2", created=MOMENT - timedelta(hours=5), base="base-00000002-run-2.parquet"))
    found = store.last_applied()
    assert found is not None
    assert found.id == "run-2"


# Deferred references


def make_deferred(key: str = "p1", **members: object) -> Deferred:
    given: dict[str, object] = {"path": "m", "awaits": "p9", "run": "run-1", "since": MOMENT, **members}
    return Deferred(key, **given)  # type: ignore[arg-type]


@on_people
def test_deferred_references_come_back_by_key_and_path(store: People) -> None:
    edges = [make_deferred("p2"), make_deferred("p1", path="n"), make_deferred("p1")]
    store.save_deferred(edge for edge in edges)
    assert list(store.deferred()) == edges[::-1]


@on_people
def test_a_reference_that_waits_on_keeps_the_day_it_began(store: People) -> None:
    store.save_deferred([make_deferred()])
    store.save_deferred([make_deferred(run="run-2", since=MOMENT + timedelta(days=1))])
    assert list(store.deferred()) == [make_deferred()]


@on_people
def test_a_reference_that_waits_for_somebody_else_begins_anew(store: People) -> None:
    store.save_deferred([make_deferred()])
    store.save_deferred([other := make_deferred(awaits="p8", run="run-2", since=MOMENT + timedelta(days=1))])
    assert list(store.deferred()) == [other]


@on_people
def test_settled_references_are_forgotten_and_may_wait_again(store: People) -> None:
    store.save_deferred([make_deferred("p1"), make_deferred("p2"), make_deferred("p2", path="n")])
    store.save_deferred([], [("p2", "m"), ("p3", "m")])
    assert [(edge.key, edge.path) for edge in store.deferred()] == [("p1", "m"), ("p2", "n")]
    store.save_deferred([again := make_deferred("p1", run="run-2")], [("p1", "m"), ("p2", "n")])
    assert list(store.deferred()) == [again]


# Memberships


@on_people
def test_memberships_come_and_go_and_saying_it_twice_does_no_harm(store: People) -> None:
    one, two, three = (Membership("g1", "a1"), Membership("g1", "a2"), Membership("g2", "a1"))
    store.change_memberships([one, two, three], [])
    store.change_memberships([one, three], [two])
    store.change_memberships([], [two])
    assert set(store.memberships()) == {one, three}


@on_people
def test_what_is_learned_of_groups_takes_the_place_of_what_was_known(store: People) -> None:
    assert store.group_memory() == GroupMemory()
    for memory in (
        GroupMemory(names={"billing": "g1", "facturación": "g1"}, partial={"g1": 100, "g2": None}),
        GroupMemory(names={"billing": "g3"}, partial={"g2": 0}),
        GroupMemory(),
    ):
        store.remember_groups(memory)
        assert store.group_memory() == memory


@on_people
def test_more_memberships_than_one_statement_takes(store: People) -> None:
    many = [Membership(f"g{n % 7}", f"a{n}") for n in range(2500)]
    store.change_memberships(many, [])
    store.change_memberships([], many[:2400])
    assert set(store.memberships()) == set(many[2400:])


def test_what_was_taken_back_is_kept_until_it_is_forgotten(store: Store) -> None:
    given = [Undone(key="p2", path="title", wanted="Lead", run="r1"), Undone(key="p1", path="a", wanted="", run="r1")]
    store.change_undone(one for one in given)
    assert list(store.undone()) == [given[1], given[0]]
    other = Undone(key="p2", path="title", wanted="Head", run="r2")
    store.change_undone([other], [("p1", "a"), ("p9", "title")])
    assert list(store.undone()) == [other]
    store.change_undone((), [("p2", "title")])
    assert list(store.undone()) == []


def make_unshown(key: str = "p1", path: str = "title", **members: object) -> Unshown:
    given: dict[str, object] = {"account": "a1", "sent": "T", "mapping": "m", "run": "run-1", **members}
    return Unshown(key=key, path=path, **given)  # type: ignore[arg-type]


@on_people
def test_what_is_never_shown_comes_back_by_key_and_path(store: People) -> None:
    given = [make_unshown("p2"), make_unshown("p1"), make_unshown("p1", "roles", sent="[]", shown="x", schema="s")]
    store.change_unshown(one for one in given)
    assert list(store.unshown()) == [given[2], given[1], given[0]]
    assert list(store.unshown(["p2", "p9"])) == [given[0]]
    assert list(store.unshown([f"p{n}" for n in range(1, 3000)])) == [given[2], given[1], given[0]]


@on_people
def test_what_is_never_shown_is_forgotten_and_remembered_anew(store: People) -> None:
    store.change_unshown([make_unshown(), make_unshown("p2"), make_unshown("p3")])
    later = make_unshown(sent="New", run="run-2")
    store.change_unshown([later], [("p2", "title"), ("p3", "roles"), ("p1", "title")])
    assert list(store.unshown()) == [later, make_unshown("p3")]


def make_ending(key: str = "p1", **members: object) -> Ending:
    given: dict[str, object] = {"account": "a1", "since": MOMENT, "proven": True, **members}
    return Ending(key, **given)  # type: ignore[arg-type]


def test_endings_come_back_by_key(store: People) -> None:
    store.change_endings(one for one in (make_ending("p2"), make_ending("p1", proven=False)))
    assert list(store.endings()) == [make_ending("p1", proven=False), make_ending("p2")]


def test_an_ending_takes_the_place_of_what_its_key_had(store: People) -> None:
    store.change_endings([make_ending(), make_ending("p2")])
    later = make_ending(account="a9", since=MOMENT + timedelta(days=1))
    store.change_endings([later], ["p1", "p2", "p3"])
    assert list(store.endings()) == [later]


def make_suspect(key: str = "p1", readings: int = 1, delivery: str = "") -> Suspect:
    return Suspect(key, f"a-{key}", readings, MOMENT, MOMENT + timedelta(hours=readings), delivery)


@on_people
def test_suspects_come_back_by_key_each_in_the_place_of_what_its_key_had(store: People) -> None:
    store.change_suspects(one for one in (make_suspect("p2"), make_suspect("p1"), make_suspect("p3")))
    store.change_suspects([make_suspect("p2", 2, "written on monday")], ["p3", "p4"])
    assert list(store.suspects()) == [make_suspect("p1"), make_suspect("p2", 2, "written on monday")]


def make_acceptance(key: str = "p1", kind: str = "record.bad-phone", **members: object) -> Acceptance:
    given = {
        "code": "record.bad-phone",
        "until": date(2026, 12, 1),
        "actor": "ada@host",
        "at": datetime(2026, 11, 1, tzinfo=UTC),
    }
    return Acceptance(key=key, kind=kind, **{**given, **members})  # type: ignore[arg-type]


@on_people
def test_what_people_accepted_is_kept_by_key_and_kind(store: People) -> None:
    given = [make_acceptance("p2"), make_acceptance("p1", reason="HR asks"), make_acceptance("p1", "other")]
    store.change_acceptances(one for one in given)
    assert list(store.acceptances()) == [given[2], given[1], given[0]]
    later = make_acceptance("p1", until=date(2027, 1, 1))
    store.change_acceptances([later], [("p2", "record.bad-phone"), ("p9", "x")])
    assert list(store.acceptances()) == [given[2], later]


# What people decided


def make_decision(name: str = "d1", key: str = "p1", path: str = "title", **members: object) -> Decision:
    given: dict[str, object] = {"wins": Wins.HR, "actor": "ada@laptop", "at": MOMENT, "plan": "run-1", **members}
    return Decision(id=name, key=key, path=path, **given)  # type: ignore[arg-type]


def make_record(kind: Kind = Kind.HOLD, **members: object) -> Record:
    return Record(kind=kind, at=MOMENT, actor="ada@laptop", **members)  # type: ignore[arg-type]


TODAY = MOMENT.date()


def test_a_decision_comes_back_as_it_was_kept_with_its_record_in_the_chain(store: Store) -> None:
    given = make_decision(reason="agreed", until=TODAY, sides="0af3", proof="oidc")
    assert store.decide(given, make_record(person="p1", action="decided"), TODAY) is None
    assert store.decisions() == [given]
    assert [entry.kind for entry in store.entries()] == ["hold"]


def test_of_two_decisions_about_the_same_the_first_stays_and_the_second_leaves_no_record(store: Store) -> None:
    first = make_decision()
    store.decide(first, make_record(), TODAY)
    assert store.decide(make_decision("d2", wins=Wins.DIRECTORY), make_record(), TODAY) == first
    assert store.decide(make_decision("d3", path="department"), make_record(), TODAY) is None
    assert store.decide(make_decision("d4", key=""), make_record(), TODAY) is None
    assert [one.id for one in store.decisions()] == ["d1", "d3", "d4"]
    assert len(list(store.entries())) == 3


def test_a_decision_that_was_ended_gives_way_and_is_kept(store: Store) -> None:
    store.decide(make_decision(), make_record(), TODAY)
    assert store.end_decision("d1", MOMENT, "run-2", [make_record(action="withdrawn")])
    assert not store.end_decision("d1", MOMENT, "ben@laptop", [make_record(action="withdrawn")])
    assert not store.end_decision("d9", MOMENT, "ben@laptop")
    assert store.decide(make_decision("d2"), make_record(), TODAY) is None
    assert [one.id for one in store.decisions()] == ["d2"]
    assert {one.id: one.ended_by for one in store.decisions(ended=True)} == {"d1": "run-2", "d2": ""}
    assert len(list(store.entries())) == 3


def test_a_decision_whose_last_day_is_gone_gives_way(store: Store) -> None:
    store.decide(make_decision(until=TODAY), make_record(), TODAY)
    assert store.decide(make_decision("d2"), make_record(), TODAY) is not None
    assert store.decide(make_decision("d3"), make_record(), TODAY + timedelta(days=1)) is None
    assert [one.id for one in store.decisions()] == ["d3"]


def test_of_many_who_decide_at_the_same_moment_one_is_kept(another: Callable[[], SqlStore]) -> None:
    stores, barrier, stood = [another() for _ in range(4)], threading.Barrier(4), list[Decision | None]()

    def decide(number: int) -> None:
        barrier.wait()
        stood.append(stores[number].decide(make_decision(f"d{number}"), make_record(), TODAY))

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (held,) = stores[0].decisions()
    assert stood.count(None) == 1
    assert {one.id for one in stood if one is not None} == {held.id}
    assert len(list(stores[0].entries())) == 1


def make_approval(run: str = "run-1", **members: object) -> Approval:
    given: dict[str, object] = {"digest": "ab", "actor": "ada@laptop", "proof": "os", "approves": True, **members}
    return Approval(run=run, reason="looked at", at=MOMENT, until=MOMENT + timedelta(days=1), **given)  # type: ignore[arg-type]


def test_what_people_said_of_a_plan_comes_back_in_its_order_with_its_records_in_the_chain(store: Store) -> None:
    given = [
        make_approval(),
        make_approval(actor="ben@laptop", approves=False, signature="c2ln"),
        make_approval("run-2"),
    ]
    for one in given:
        store.approve(one, make_record(Kind.APPROVAL, run=one.run))
    assert store.approvals("run-1") == given[:2]
    assert store.approvals("run-3") == []
    assert [entry.run for entry in store.entries(kind="approval")] == ["run-1", "run-1", "run-2"]


def test_rules_about_approvals_are_remembered_in_the_place_of_those_before(store: Store) -> None:
    assert store.approval_rules() == {}
    store.keep_approval_rules({"many": {"needs": 2, "by": ["ada"]}, "groups": {"needs": 1}})
    store.keep_approval_rules({"many": {"needs": 1, "by": []}})
    assert store.approval_rules() == {"many": {"needs": 1, "by": []}}
    store.keep_approval_rules({})
    assert store.approval_rules() == {}


def test_who_is_left_out_is_remembered_since_the_first_time(store: Store) -> None:
    first = Quarantined(key="p2", code="record.incomplete", since=MOMENT, run="run-1")
    other = Quarantined(key="p1", code="record.no-key", since=MOMENT, run="run-1")
    store.change_quarantined([first, other])
    assert store.quarantined() == [other, first]
    store.change_quarantined([], [("p1", "record.no-key"), ("p9", "x")])
    assert store.quarantined() == [first]


def test_users_and_tokens_of_the_console_are_kept_until_they_are_removed(store: Store) -> None:
    ada = User(name="ada", role="viewer", secret="hash", actor="root", at=MOMENT)
    store.save_user(replace(ada, name="bo"))
    store.save_user(ada)
    store.save_user(replace(ada, role="admin"))
    assert [(one.name, one.role) for one in store.users()] == [("ada", "admin"), ("bo", "viewer")]
    assert store.remove_user("bo")
    assert not store.remove_user("bo")
    token = Token(id="1", name="nightly", digest="d1", scopes=("see", "audit"), actor="root", at=MOMENT, expires=MOMENT)
    store.save_token(token)
    store.save_token(replace(token, id="2", digest="d2", at=MOMENT + timedelta(days=1)))
    assert [one.id for one in store.tokens()] == ["2", "1"]
    assert store.tokens()[1] == token
    assert store.remove_token("2")
    assert not store.remove_token("2")
    assert store.users() == [replace(ada, role="admin")]


def test_passkeys_of_a_user_are_kept_until_they_are_removed_or_the_user_is(store: Store) -> None:
    one = Passkey(id="c1", user="ada", name="laptop", key=b"\x00\xff", count=2**32 - 1, at=MOMENT)
    store.save_user(User(name="ada", role="viewer", secret="hash", actor="root", at=MOMENT))
    store.save_passkey(replace(one, id="c2", at=MOMENT + timedelta(days=1)))
    store.save_passkey(one)
    store.save_passkey(replace(one, id="c3", user="bo"))
    store.save_passkey(replace(one, count=7, used=MOMENT))
    assert [key.id for key in store.passkeys("ada")] == ["c1", "c2"]
    assert store.passkeys("ada")[0] == replace(one, count=7, used=MOMENT)
    assert store.remove_passkey("c2")
    assert not store.remove_passkey("c2")
    assert store.remove_user("ada")
    assert [key.id for key in store.passkeys()] == ["c3"]
    assert store.remove_passkey("c3")
