"""What every store promises about the audit chain."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from scimsync.adapters.store_sql import SqlStore
from scimsync.core import chain
from scimsync.engine import checkpoints, continuity, ledger
from scimsync.engine.state import Audit, Journal
from scimsync.errors import StoreDamaged, StoreLocked
from scimsync.model.audit import Edit, Entry, Kind, Record
from scimsync.model.outcomes import JournalLine, Step
from scimsync.testing import MemoryAudit, MemoryStore, VirtualClock

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SEED = bytes(range(32))
CLEAR = {"Canary Jane", "canary.jane@example.com", "account-of-canary"}


def make_record(person: str = "E1", **members: object) -> Record:
    given: dict[str, object] = {"kind": Kind.OUTCOME, "at": MOMENT, "actor": "ann@host", "run": "run-1", **members}
    return Record(person=person, **given)  # type: ignore[arg-type]


CANARY = make_record(
    name="canary.jane@example.com",
    account="account-of-canary",
    action="update",
    edits=(Edit(path="displayName", before=None, after="Canary Jane", reason="source_moved", authority="ask"),),
    status="done",
)


class Audited(Journal, Audit, Protocol):
    """The part of a store that this is about."""


@pytest.fixture(params=["part in memory", "memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Audited]:
    if "memory" in request.param:
        yield MemoryStore(tmp_path / "artifacts") if request.param == "memory" else MemoryAudit()
        return
    sql = SqlStore(url_of(request, tmp_path), tmp_path / "artifacts", VirtualClock())
    yield sql
    sql.close()


@pytest.fixture(params=["sqlite", "postgres"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], SqlStore]]:
    url, made = url_of(request, tmp_path), []

    def make() -> SqlStore:
        made.append(SqlStore(url, tmp_path / "artifacts", VirtualClock(), patience_s=5.0))
        return made[-1]

    yield make
    for one in made:
        one.close()


def url_of(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    return str(request.getfixturevalue("postgres_database"))


def whole(store: Audited) -> int:
    return checkpoints.verify_store(store, checkpoints.public_of(SEED)).size


def clear(store: Audited, entry: Entry) -> str:
    return (ledger.reveal(entry, store.key(entry.person)) or b"").decode()


def test_records_stand_in_one_chain_in_the_order_they_came(store: Audited) -> None:
    store.append((), [make_record("E1"), make_record("E2")])
    store.append((), [make_record("")])
    assert [entry.seq for entry in store.entries()] == [1, 2, 3]
    assert store.head().size == 3
    assert whole(store) == 3


def test_what_is_personal_comes_back_in_clear_with_the_key_only(store: Audited) -> None:
    store.append((), [CANARY])
    (entry,) = store.entries()
    assert not any(word.encode() in entry.body for word in (*CLEAR, '"E1"'))
    assert all(word in clear(store, entry) for word in (*CLEAR, "E1"))
    assert ledger.document_of(entry)["paths"] == [{"path": "displayName", "reason": "source_moved", "authority": "ask"}]


def test_a_record_about_nobody_is_in_clear(store: Audited) -> None:
    store.append((), [make_record("", detail="create 3", edits=(Edit(path="title", after=2.5),))])
    (entry,) = store.entries()
    told = ledger.document_of(entry)
    assert (entry.person, told["detail"], told["values"]) == (
        "",
        "create 3",
        {"title": {"before": None, "after": "2.5"}},
    )


def test_one_person_has_one_pseudonym_and_another_another(store: Audited) -> None:
    store.append((), [make_record("E1"), make_record("E2"), make_record("E1")])
    one, two, three = (entry.person for entry in store.entries())
    assert one == three != two
    assert len(store.keys("E1")) == 1


def test_entries_are_chosen_by_run_kind_people_place_and_number(store: Audited) -> None:
    store.append((), [make_record(f"E{n % 3}", run=f"r{n % 2}") for n in range(9)])
    store.append((), [make_record("", kind=Kind.PIN)])
    assert [e.seq for e in store.entries(run="r1")] == [2, 4, 6, 8]
    assert [e.seq for e in store.entries(kind="pin")] == [10]
    assert [e.seq for e in store.entries(people=[k.pseudonym for k in store.keys("E0")])] == [1, 4, 7]
    assert [e.seq for e in store.entries(after=7)] == [8, 9, 10]
    assert [e.seq for e in store.entries(newest=2)] == [9, 10]
    assert [e.seq for e in store.entries(run="r0", newest=2)] == [7, 9]


def test_an_erasure_destroys_the_key_and_leaves_the_chain_whole(store: Audited) -> None:
    store.append((), [CANARY, make_record("E2", detail="kept")])
    note = checkpoints.close(store, VirtualClock(), SEED)
    erasure = make_record(kind=Kind.ERASURE, at=MOMENT + timedelta(days=1), actor="dpo@host", reason="asked", run="")
    assert store.erase("E1", erasure) == 1
    first, second, third = store.entries()
    key = store.key(first.person)
    assert key is not None
    assert (key.person, key.secret, key.erased, key.erased_by) == ("", None, MOMENT + timedelta(days=1), "dpo@host")
    assert ledger.reveal(first, key) is None
    assert "kept" in clear(store, second)
    assert (third.kind, third.person) == ("erasure", first.person)
    assert whole(store) == 3
    assert checkpoints.verify_store(store, checkpoints.public_of(SEED), [note]).checkpoints == 2


def test_a_person_who_was_erased_and_comes_again_gets_another_key(store: Audited) -> None:
    store.append((), [CANARY])
    store.erase("E1", make_record(kind=Kind.ERASURE))
    store.append((), [CANARY])
    assert store.erase("E1", make_record(kind=Kind.ERASURE)) == 1
    store.append((), [CANARY, CANARY])
    keys = store.keys("E1")
    assert [key.secret is None for key in keys] == [True, True, False]
    *_, last = store.entries(people=[key.pseudonym for key in keys])
    assert "Canary Jane" in clear(store, last)
    assert whole(store) == 6


def test_nobody_is_erased_twice_and_nothing_is_recorded_of_it(store: Audited) -> None:
    store.append((), [CANARY])
    assert store.erase("E9", make_record("E9", kind=Kind.ERASURE)) == 0
    store.erase("E1", make_record(kind=Kind.ERASURE))
    assert store.erase("E1", make_record(kind=Kind.ERASURE)) == 0
    assert store.head().size == 2


def test_a_part_that_its_key_does_not_open_is_damage(store: Audited) -> None:
    store.append((), [CANARY, make_record("E2")])
    first, second = store.entries()
    with pytest.raises(StoreDamaged, match="record 1"):
        ledger.reveal(first, store.key(second.person))


def test_checkpoints_are_kept_by_size_and_made_once(store: Audited) -> None:
    assert checkpoints.close(store, VirtualClock(), SEED) == ""
    store.append((), [CANARY])
    note = checkpoints.close(store, VirtualClock(), SEED)
    assert checkpoints.opened(note, checkpoints.public_of(SEED)) == checkpoints.statement(store.head())
    assert checkpoints.close(store, VirtualClock(), SEED) == ""
    store.append((), [CANARY])
    assert checkpoints.close(store, VirtualClock(), SEED) != note
    assert store.checkpoints()[0] == note
    assert len(store.checkpoints()) == 2


def test_every_record_can_be_proven(store: Audited) -> None:
    store.append((), [make_record(f"E{n}") for n in range(11)])
    for seq in (1, 7, 11):
        entry, proof, note = checkpoints.prove(store, seq, SEED)
        told = checkpoints.opened(note, checkpoints.public_of(SEED))
        assert chain.proves(proof, chain.leaf(entry.body), seq - 1, told.size, told.root)
    with pytest.raises(LookupError):
        checkpoints.prove(store, 12, SEED)


# Databases


def test_lines_and_records_are_written_together_or_not_at_all(disk: Callable[[], SqlStore]) -> None:
    mine, other = disk(), disk()
    line = JournalLine(run="run-1", key="E1", part=1, step=Step.INTENT, at=MOMENT)
    with other.lease("other"), pytest.raises(StoreLocked):
        mine.append([line], [CANARY])
    assert list(mine.journal("run-1")) == []
    assert mine.head().size == 0
    with other.lease("other"):
        mine.append((), [CANARY])
    assert mine.head().size == 1


def test_many_writers_make_one_chain(disk: Callable[[], SqlStore]) -> None:
    def work(store: SqlStore, name: str) -> None:
        for number in range(20):
            store.append((), [make_record(f"{name}{number % 3}"), make_record("")])

    threads = [threading.Thread(target=work, args=(disk(), name)) for name in "ABC"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert whole(disk()) == 120


@pytest.mark.parametrize("words", ["UPDATE audit SET kind = 'pin'", "DELETE FROM audit WHERE seq = 2"])
def test_the_database_itself_refuses_to_change_a_record(disk: Callable[[], SqlStore], words: str) -> None:
    store = disk()
    store.append((), [CANARY, CANARY])
    with pytest.raises(sa.exc.DBAPIError, match="only added to"), store.engine.begin() as connection:
        connection.exec_driver_sql(words)
    assert whole(store) == 2


def test_a_chain_that_was_cut_behind_its_head_is_named(disk: Callable[[], SqlStore]) -> None:
    store = disk()
    store.append((), [CANARY, CANARY, CANARY])
    unguarded(store, "DELETE FROM audit WHERE seq = 3")
    with pytest.raises(StoreDamaged, match="record 3 is missing"):
        whole(store)


def test_a_checkpoint_elsewhere_names_a_cut_that_hides_all_its_traces(disk: Callable[[], SqlStore]) -> None:
    store = disk()
    store.append((), [CANARY, CANARY])
    before = store.head()
    store.append((), [CANARY])
    note = checkpoints.close(store, VirtualClock(), SEED)
    unguarded(store, "DELETE FROM audit WHERE seq = 3", "DELETE FROM checkpoint")
    with store.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE audit_head SET size = 2, hash = :h, frontier = :f"),
            {"h": before.hash, "f": b"".join(before.frontier)},
        )
    assert whole(store) == 2
    with pytest.raises(StoreDamaged, match="record 3 is missing"):
        checkpoints.verify_store(store, checkpoints.public_of(SEED), [note])


def test_a_fail_over_that_lost_the_last_second_is_noticed_and_so_is_another_chain(
    disk: Callable[[], SqlStore], tmp_path: Path
) -> None:
    store = disk()
    store.append((), [CANARY, CANARY])
    before = store.head()
    store.append((), [CANARY])
    kept = continuity.Witness("elsewhere", str(checkpoints.close(store, VirtualClock(), SEED)))
    assert [*continuity.breaks(store, [kept])] == []
    unguarded(store, "DELETE FROM audit WHERE seq = 3", "DELETE FROM checkpoint")
    assert "record 3 is missing" in "".join(continuity.breaks(store, [kept]))
    with store.engine.begin() as connection:
        end = {"h": before.hash, "f": b"".join(before.frontier)}
        connection.execute(sa.text("UPDATE audit_head SET size = 2, hash = :h, frontier = :f"), end)
    assert "over 3 records of the audit chain, and this state has 2" in "".join(continuity.breaks(store, [kept]))
    store.append((), [CANARY])  # as many again, and not the same
    assert "written anew" in "".join(continuity.breaks(store, [kept]))
    assert "it was emptied, or is another state" in "".join(continuity.breaks(MemoryStore(tmp_path / "a"), [kept]))


def unguarded(store: SqlStore, *statements: str) -> None:
    """What somebody with all rights can do."""
    lite = store.engine.dialect.name == "sqlite"
    guards = ("DROP TRIGGER IF EXISTS audit_no_update", "DROP TRIGGER IF EXISTS audit_no_delete")
    with store.engine.begin() as connection:
        for words in (*(guards if lite else ("DROP TRIGGER audit_no_change ON audit",)), *statements):
            connection.exec_driver_sql(words)


def test_after_an_erasure_no_file_holds_the_key(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/state.db", tmp_path / "artifacts", VirtualClock())
    store.append((), [CANARY, make_record("E2")])
    (key,) = store.keys("E1")
    assert key.secret is not None
    store.erase("E1", make_record(kind=Kind.ERASURE))
    held = b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
    store.close()
    assert key.secret not in held


def test_the_audit_tables_hold_no_personal_value(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/state.db", tmp_path / "artifacts", VirtualClock())
    store.append((), [CANARY, replace(CANARY, kind=Kind.HOLD, detail="Canary Jane is held")])
    checkpoints.close(store, VirtualClock(), SEED)
    store.close()
    held = b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
    assert not [word for word in CLEAR if word.encode() in held]


def test_a_signature_of_another_key_is_refused(store: Audited) -> None:
    store.append((), [CANARY])
    checkpoints.close(store, VirtualClock(), bytes(32))
    with pytest.raises(StoreDamaged, match="another key"):
        whole(store)


def test_postgres_refuses_to_empty_the_chain(postgres_database: str, tmp_path: Path) -> None:
    store = SqlStore(postgres_database, tmp_path / "artifacts", VirtualClock())
    store.append((), [CANARY])
    store.close()
    with psycopg.connect(postgres_database) as connection, pytest.raises(psycopg.Error, match="only added to"):
        connection.execute("TRUNCATE audit")
