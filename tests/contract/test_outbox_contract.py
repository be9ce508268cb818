"""What every outbox and inbox promises, held by the twin in memory, by SQLite and by PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from scimsync.adapters.store_sql import SqlStore
from scimsync.engine.ports import Store
from scimsync.engine.state import Inbox, Outbox
from scimsync.errors import StoreLocked
from scimsync.model.events import Call, Message, MessageState
from scimsync.model.outcomes import JournalLine, Run, RunState, Step
from scimsync.testing import MemoryOutbox, MemoryStore, VirtualClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


class Post(Outbox, Inbox, Protocol):
    """Both."""


@pytest.fixture(params=["part in memory", "memory", "sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Post]]:
    """Opens stores on one common state; in memory there is one store only, or the part of it that this is about."""
    with ExitStack() as stack:
        if "memory" in request.param:
            one = MemoryStore(tmp_path / "artifacts") if request.param == "memory" else MemoryOutbox()
            yield lambda: one
            return
        url = f"sqlite:///{tmp_path}/state.db"
        if request.param == "postgres":
            url = str(request.getfixturevalue("postgres_database"))

        def another() -> SqlStore:
            made = SqlStore(url, tmp_path / "artifacts", VirtualClock(), patience_s=5.0)
            stack.callback(made.close)
            return made

        yield another


@pytest.fixture
def store(make: Callable[[], Post]) -> Post:
    return make()


def message(name: str, person: str = "E1", **more: Any) -> Message:
    given: dict[str, Any] = {
        "endpoint": "a",
        "type": "scimsync.ping",
        "body": b'{"x":"\xc3\xa4"}',
        "created": NOW,
        "due": NOW,
        **more,
    }
    return Message(id=name, person=person, **given)


def take(store: Outbox, now: datetime = NOW, endpoint: str = "a", limit: int = 10) -> Sequence[Message]:
    return store.claim(endpoint, now, now + timedelta(seconds=60), limit)


def names(messages: Sequence[Message]) -> list[str]:
    return [each.id for each in messages]


def delivered(each: Message) -> Message:
    return replace(each, state=MessageState.DELIVERED, attempts=1, status=204, delivered=LATER, tried=LATER)


def test_a_letter_comes_back_as_it_was_posted_and_with_its_place(store: Post) -> None:
    store.enqueue([message("m1"), message("m2", "E2")])
    first, second = take(store)
    assert replace(first, seq=0) == message("m1")
    assert 0 < first.seq < second.seq


@pytest.mark.parametrize("make", ["memory", "sqlite", "postgres"], indirect=True)
def test_letters_are_posted_with_the_lines_they_tell_of_or_not_at_all(make: Callable[[], Store]) -> None:
    store = make()
    line = JournalLine(run="run-1", key="E1", part=1, step=Step.OUTCOME, at=NOW)
    store.append([line], messages=[message("m1")])
    run = Run(id="run-1", created=NOW, state=RunState.DONE, target="https://api")
    store.save_run(run, [message("m2", "")])
    assert names(take(store)) == ["m1", "m2"]
    assert store.run("run-1") == run
    assert len(list(store.journal("run-1"))) == 1


def test_of_each_person_only_the_oldest_is_given_and_the_next_waits_for_its_end(store: Post) -> None:
    store.enqueue([message("m1"), message("m2"), message("n1", "E2"), message("m3")])
    taken = take(store)
    assert names(taken) == ["m1", "n1"]
    assert names(take(store)) == []
    store.settle([delivered(taken[0])])
    assert names(take(store)) == ["m2"]


def test_the_next_of_a_person_goes_when_the_one_before_is_dead(store: Post) -> None:
    store.enqueue([message("m1"), message("m2")])
    (first,) = take(store)
    store.settle([replace(first, state=MessageState.DEAD)])
    assert names(take(store)) == ["m2"]


def test_one_who_is_not_due_holds_back_the_next_of_that_person_and_of_no_other(store: Post) -> None:
    store.enqueue([message("m1", due=LATER), message("m2"), message("n1", "E2")])
    assert names(take(store)) == ["n1"]
    assert store.next_due("a") == LATER
    assert names(take(store, LATER)) == ["m1", "n1"]


def test_what_was_taken_comes_back_after_its_time_with_the_same_bytes(store: Post) -> None:
    store.enqueue([message("m1")])
    (first,) = take(store)
    assert take(store, NOW + timedelta(seconds=59)) == []
    (again,) = take(store, NOW + timedelta(seconds=61))
    assert (again.id, again.body, again.seq) == (first.id, first.body, first.seq)


def test_no_more_are_given_than_asked_and_the_earliest_first(store: Post) -> None:
    store.enqueue([message(f"m{n}", f"E{n}", due=NOW - timedelta(seconds=n)) for n in range(5)])
    assert names(take(store, limit=2)) == ["m4", "m3"]


def test_endpoints_do_not_see_each_other(store: Post) -> None:
    store.enqueue([message("m1"), message("m1", endpoint="b")])
    assert names(take(store, endpoint="b")) == ["m1"]
    assert names(take(store, endpoint="a")) == ["m1"]
    assert take(store, endpoint="c") == []
    assert store.next_due("c") is None


def test_what_became_of_a_letter_is_kept_and_counted(store: Post) -> None:
    store.enqueue([message("m1"), message("n1", "E2"), message("o1", "E3"), message("p1", endpoint="b")])
    one, two, _ = take(store)
    tried = replace(two, attempts=3, status=500, detail="answered 500", tried=LATER, due=LATER)
    store.settle([delivered(one), tried])
    assert store.outbox() == {
        "a": {MessageState.DELIVERED: 1, MessageState.PENDING: 2},
        "b": {MessageState.PENDING: 1},
    }
    assert store.last_trouble("a") == tried
    assert store.last_trouble("b") is None
    assert store.messages("a", MessageState.DELIVERED) == [delivered(one)]
    store.settle([])


def test_a_letter_that_arrived_is_not_set_back_by_one_who_comes_late(store: Post) -> None:
    store.enqueue([message("m1")])
    (first,) = take(store)
    store.settle([delivered(first)])
    store.settle([replace(first, attempts=1, detail="late")])
    assert [x.state for x in store.messages("a", MessageState.DELIVERED)] == [MessageState.DELIVERED]


def test_an_endpoint_that_is_back_gets_everything_at_once(store: Post) -> None:
    store.enqueue([message(f"m{n}", f"E{n}", attempts=n, due=NOW + timedelta(hours=n)) for n in range(1, 4)])
    store.enqueue([message("other", endpoint="b", attempts=1, due=LATER), message("new", "E9", due=LATER)])
    store.retry_now("a", NOW)
    assert [(each.id, each.attempts) for each in take(store)] == [("m1", 0), ("m2", 0), ("m3", 0)]
    assert take(store, endpoint="b") == []


def test_what_is_given_up_can_be_sent_again_by_its_id_or_all_of_it(store: Post) -> None:
    old = NOW - timedelta(days=20)
    store.enqueue([message("m1", created=old), message("m2"), message("n1", "E2"), message("o1", endpoint="b")])
    assert store.dead_letter("a", "too old", NOW - timedelta(days=14)) == 1
    assert names(store.messages("a", MessageState.DEAD)) == ["m1"]
    assert store.dead_letter("a", "switched off") == 2
    assert take(store) == []
    assert [x.detail for x in store.messages("a", MessageState.DEAD)] == ["switched off", "switched off", "too old"]
    assert store.redrive(["n1", "unknown"], LATER) == 1
    assert names(take(store, LATER)) == ["n1"]
    assert store.redrive([], LATER) == 2
    (first,) = take(store, LATER)
    assert (first.id, first.attempts, first.created) == ("m1", 0, LATER)


def test_letters_that_arrived_long_ago_are_forgotten_and_no_others(store: Post) -> None:
    store.enqueue([message("m1"), message("n1", "E2")])
    store.settle([delivered(take(store)[0])])
    assert store.forget_messages(LATER) == 0
    assert store.forget_messages(LATER + timedelta(seconds=1)) == 1
    assert store.outbox() == {"a": {MessageState.PENDING: 1}}


def test_two_who_deliver_at_once_never_hold_the_same_message(make: Callable[[], Post]) -> None:
    first, second = make(), make()
    first.enqueue([message(f"m{n}", f"E{n % 10}") for n in range(100)])
    held: list[str] = []
    begin = threading.Barrier(2)

    def deliver(store: Store) -> None:
        begin.wait()
        while taken := take(store, limit=3):
            held.extend(names(taken))
            store.settle([delivered(each) for each in taken])

    threads = [threading.Thread(target=deliver, args=(store,)) for store in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in (first, second):  # one may have ended while the other held the last of a person
        while taken := take(store):
            held.extend(names(taken))
            store.settle([delivered(each) for each in taken])
    assert len(held) == len(set(held)) == 100


def test_who_lost_the_lease_posts_nothing_any_more(tmp_path: Path) -> None:
    url, clock = f"sqlite:///{tmp_path}/state.db", VirtualClock()
    first = SqlStore(url, tmp_path / "artifacts", clock)
    with first.lease("first"):
        with first.engine.begin() as connection:
            connection.execute(sa.text("UPDATE lease SET fence = fence + 1"))
        with pytest.raises(StoreLocked):
            first.append([JournalLine(run="r", key="E1", part=1, step=Step.OUTCOME, at=NOW)], messages=[message("m1")])
    assert first.outbox() == {}
    first.close()


# Calls from outside


def call(name: str, *keys: str, at: datetime = NOW) -> Call:
    return Call(id=name, at=at, keys=keys or ("E1",))


def test_a_call_is_kept_once_and_waits_until_a_run_has_answered_it(store: Post) -> None:
    assert store.accept(call("c1", "E1", "E2"))
    assert store.accept(call("c2"))
    assert not store.accept(call("c1", "E9"))
    assert list(store.waiting()) == [call("c1", "E1", "E2"), call("c2")]
    store.answered(["c1"])
    assert list(store.waiting()) == [call("c2")]
    assert not store.accept(call("c1"))


def test_answered_calls_are_forgotten_after_a_while_and_waiting_ones_never(store: Post) -> None:
    for name in ("c1", "c2"):
        store.accept(call(name))
    store.answered(["c1"])
    store.forget_calls(NOW)
    assert not store.accept(call("c1"))
    store.forget_calls(LATER)
    assert store.accept(call("c1", at=LATER))
    assert [each.id for each in store.waiting()] == ["c2", "c1"]


def test_of_two_who_bring_the_same_call_at_once_one_is_told_that_it_is_new(make: Callable[[], Post]) -> None:
    stores = [make(), make()]
    begin = threading.Barrier(2)
    told: list[bool] = []

    def bring(store: Store) -> None:
        begin.wait()
        told.extend(store.accept(call(f"c{n}")) for n in range(30))

    threads = [threading.Thread(target=bring, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(told) == 30
