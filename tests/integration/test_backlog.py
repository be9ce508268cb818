"""A receiver that was away for weeks: however many messages wait, a run is not slower, and all of them get out in order."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.soak import WHOLE
from tests.unit.engine.test_delivering import KEY, OK, Receiver, assert_in_order

from scimsync.adapters.store_sql import SqlStore
from scimsync.engine.delivering import DeliveryPorts, Endpoint, Rounds
from scimsync.model.events import Message, MessageState
from scimsync.model.outcomes import JournalLine, Step
from scimsync.testing import VirtualClock

AT = datetime(2026, 1, 1, tzinfo=UTC)


def message(person: int, number: int) -> Message:
    name = f"E{person}.{number}"
    return Message(id=name, endpoint="a", person=f"E{person}", type="t", body=name.encode(), created=AT, due=AT)


@contextmanager
def opened(folder: Path, people: int, each: int) -> Iterator[SqlStore]:
    """A state in which so many messages wait for one receiver."""
    with closing(SqlStore(f"sqlite:///{folder}/state.db", folder / "artifacts", VirtualClock())) as store:
        for number in range(each):
            store.enqueue([message(person, number) for person in range(people)])
        yield store


def steps(store: SqlStore, work: Callable[[], object]) -> int:
    """How many steps of its machine SQLite takes for some work, in hundreds: a time that no load moves."""
    counted = 0

    def one() -> int:
        nonlocal counted
        counted += 1
        return 0

    def watch(connection: Any, *_: object) -> None:
        connection.set_progress_handler(one, 100)

    sa.event.listen(store.engine, "checkout", watch)
    try:
        work()
    finally:
        sa.event.remove(store.engine, "checkout", watch)
    return counted


def append(store: SqlStore) -> None:
    lines = [JournalLine(run="r", key="E1", part=1, step=Step.INTENT, at=AT)]
    store.append(lines, (), [message(1, 10_000 + n) for n in range(5)])


@pytest.mark.parametrize("people", [10_000 if WHOLE else 600])
def test_a_run_and_a_delivery_take_as_long_with_a_backlog_as_without(tmp_path: Path, people: int) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    with opened(tmp_path / "few", 10, 2) as few, opened(tmp_path / "many", people, 10) as many:
        assert steps(many, lambda: append(many)) <= steps(few, lambda: append(few)) * 1.05 + 1
        looked = [steps(store, lambda s=store: s.next_due("a")) for store in (few, many)]
        claimed = [steps(store, lambda s=store: s.claim("a", AT, AT, 4)) for store in (few, many)]
        assert looked[1] <= looked[0] + 5, looked
        assert claimed[1] <= claimed[0] + 5, claimed


def test_a_backlog_is_drained_in_order_for_each_person_in_bounded_memory(tmp_path: Path) -> None:
    people, each = (10_000, 10) if WHOLE else (50, 4)
    with opened(tmp_path, people, each) as store:
        clock = VirtualClock(AT)
        receiver = Receiver(clock, lambda _, __: OK)
        endpoint = Endpoint(name="a", shown="a", sender=receiver, keys=[KEY])
        rounds = Rounds(DeliveryPorts(outbox=store, endpoints=[endpoint], clock=clock, chance=lambda: 0.5))
        tracemalloc.start()
        try:
            assert asyncio.run(rounds.once()) == people * each
            kept = sum(len(name) + 200 for _, name, _ in receiver.seen) * 4  # by the receiver of this test
            assert tracemalloc.get_traced_memory()[1] < 8_000_000 + kept
        finally:
            tracemalloc.stop()
        assert_in_order(receiver)
        assert len(set(receiver.arrived)) == people * each
        assert store.outbox() == {"a": {MessageState.DELIVERED: people * each}}
