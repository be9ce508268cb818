"""What plans read of a state on SQLite without SQLAlchemy is what the whole store reads, and what they write too."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from scimsync.adapters.store_sql import SqlStore
from scimsync.adapters.store_sqlite import QuickStore, open_quickly
from scimsync.engine.ports import Store
from scimsync.errors import ConfigError, StoreDamaged
from scimsync.model.outcomes import (
    Deferred,
    Document,
    JournalLine,
    Link,
    LinkDecision,
    Outcome,
    Pin,
    Run,
    RunState,
    Status,
    Step,
)
from scimsync.model.records import SourceHealth
from scimsync.testing import VirtualClock

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
APPLIED = Run(
    id="20260301-1",
    created=MOMENT,
    state=RunState.DONE,
    target="https://api",
    plan="plan-1.ndjson",
    agreed="agreed-1.parquet",
    base="base-1.parquet",
    finished=MOMENT + timedelta(minutes=1),
    tally={"records": 3},
    statuses={"done": 2},
    health=SourceHealth(rows=3, blanks={"title": 0.5}, fingerprint="f", desired={"title": 0.25}),
    partial=True,
    source="hr",
    takes=("ältere",),
    began=MOMENT,
    done={"create": 2},
    answered=("disable",),
)
DOCUMENTS = {"Schemas": Document([{"id": "user"}], "W/1")}
CUT_SHORT = Run(id="20260301-2", created=MOMENT, state=RunState.APPLYING, target="https://api", began=MOMENT)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A state with something of everything that a plan asks for."""
    store = whole(tmp_path)()
    store.save_run(APPLIED)
    store.save_run(CUT_SHORT)
    store.save_links([Link("p1", "a1", "hr"), Link("p2", "a2", "other")])
    store.decide_link(LinkDecision("p3", "a3", same=True, actor="ada", source="hr"))
    store.decide_link(LinkDecision("p4", "a4", same=False, actor="ada", source="hr"))
    store.save_deferred([Deferred("p1", "manager", "p9", APPLIED.id, MOMENT)])
    store.change_frozen("hr", {"disable": APPLIED.id})
    store.save_pin(Pin(target="https://api", at=MOMENT, actor="ada", documents=DOCUMENTS))
    outcome = Outcome(key="p1", status=Status.DONE, account="a1", version="W/2", written={"title": "Boss"})
    store.append(
        [
            JournalLine(run=APPLIED.id, key="p1", part=0, step=Step.INTENT, at=MOMENT, method="PATCH"),
            JournalLine(run=APPLIED.id, key="p1", part=0, step=Step.OUTCOME, at=MOMENT, outcome=outcome),
        ]
    )
    store.close()
    return tmp_path


def whole(place: Path) -> Callable[[], SqlStore]:
    return lambda: SqlStore(f"sqlite:///{place}/state.db", place / "artifacts", VirtualClock())


def quick(place: Path) -> QuickStore:
    found = open_quickly(f"sqlite:///{place}/state.db", place / "artifacts", whole(place))
    assert found is not None
    return cast("QuickStore", found)


READINGS: dict[str, Callable[[Store], object]] = {
    "begun": lambda store: store.begun(),
    "begun one": lambda store: store.begun(1),
    "run": lambda store: [store.run(name) for name in (APPLIED.id, "20260301-2", "", "nobody's")],
    "worked": lambda store: store.worked(MOMENT - timedelta(days=1)),
    "worked lately": lambda store: store.worked(MOMENT + timedelta(days=1)),
    "last applied": lambda store: [store.last_applied(), store.last_applied("hr"), store.last_applied("other")],
    "frozen": lambda store: [store.frozen("hr"), store.frozen("other")],
    "pin": lambda store: [store.pin("https://api"), store.pin("https://elsewhere")],
    "journal": lambda store: list(store.journal(APPLIED.id)),
    "journal since": lambda store: list(store.journal(APPLIED.id, since=MOMENT + timedelta(seconds=1))),
    "links": lambda store: sorted(store.links(), key=lambda link: link.key),
    "decisions": lambda store: store.link_decisions(),
    "sources": lambda store: store.sources(),
    "deferred": lambda store: list(store.deferred()),
    "artifact": lambda store: store.artifact("plan").name,
}


@pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS.keys())
def test_a_plan_reads_what_the_whole_store_reads_and_does_not_open_it(
    place: Path, reading: Callable[[Store], object]
) -> None:
    one, other = quick(place), whole(place)()
    assert reading(cast("Store", one)) == reading(other)
    assert not one.is_whole
    one.close()
    other.close()


def rows(place: Path) -> Sequence[tuple[object, ...]]:
    with sqlite3.connect(place / "state.db") as connection:
        return connection.execute("SELECT * FROM run ORDER BY seq").fetchall()


@pytest.mark.parametrize("known", [None, APPLIED.id])
def test_a_run_is_saved_as_the_whole_store_saves_it(
    place: Path, tmp_path_factory: pytest.TempPathFactory, known: str | None
) -> None:
    there = tmp_path_factory.mktemp("there")
    with sqlite3.connect(place / "state.db") as given, sqlite3.connect(there / "state.db") as copy:
        given.backup(copy)
    run = Run(
        id=known or "20260302-1",
        created=MOMENT.astimezone(),
        state=RunState.PLANNED,
        target="https://api",
        tally={"records": 4, "match": 1},
        health=None if known else APPLIED.health,
        takes=("ältere",),
    )
    one, other = quick(place), whole(there)()
    one.save_run(run)
    other.save_run(run)
    assert rows(place) == rows(there)
    assert not one.is_whole
    one.close()
    other.close()


def test_what_a_plan_does_not_ask_for_the_whole_store_gives(place: Path) -> None:
    one = cast("Store", quick(place))
    assert [run.id for run in one.runs()] == [CUT_SHORT.id, APPLIED.id]
    assert one.owner_of("a1") == "p1"
    with one.lease("us"):
        one.save_run(CUT_SHORT)


def test_an_ambiguous_beginning_of_a_run_is_refused_by_the_whole_store(place: Path) -> None:
    with pytest.raises(ConfigError, match="several runs begin with"):
        quick(place).run("2026")


def test_a_reference_that_waits_is_saved_by_the_whole_store_and_none_by_nobody(place: Path) -> None:
    one = quick(place)
    one.save_deferred([], [])
    assert not one.is_whole
    one.save_deferred([], [("p1", "manager")])
    assert list(one.deferred()) == []


def test_a_row_that_cannot_be_read_is_told_as_the_whole_store_tells_it(place: Path) -> None:
    with sqlite3.connect(place / "state.db") as connection:
        connection.execute("UPDATE run SET tally = '{'")
    with pytest.raises(StoreDamaged, match="a row cannot be read"):
        quick(place).begun()
    with sqlite3.connect(place / "state.db") as connection:
        connection.execute("UPDATE deferred SET since = 'long ago'")
    with pytest.raises(StoreDamaged, match="a row cannot be read"):
        list(quick(place).deferred())


def described(database: Path) -> tuple[set[tuple[str, ...]], list[object]]:
    """Everything in a new database but for what is drawn by lot."""
    with sqlite3.connect(database) as connection:
        made = connection.execute("SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_master").fetchall()
        names = sorted(name for kind, name, *_ in made if kind == "table")
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    ((number, origin, secret, *rest),) = rows.pop("audit_head")
    assert rest == [0, hashlib.sha256(origin.encode()).digest(), b""]
    return {(kind, name, table, "".join(sql.split())) for kind, name, table, sql in made}, [
        rows, number, len(origin), origin[:9], len(secret),
    ]  # fmt: skip


@pytest.mark.parametrize("empty", [False, True], ids=["no file", "an empty file"])
def test_a_new_state_is_the_one_that_the_steps_make(tmp_path: Path, *, empty: bool) -> None:
    stepped, made = tmp_path / "stepped.db", tmp_path / "made.db"
    SqlStore(f"sqlite:///{stepped}", tmp_path / "artifacts", VirtualClock()).close()
    if empty:
        made.touch()
    store = open_quickly(f"sqlite:///{made}", tmp_path / "artifacts", whole(tmp_path))
    assert store is not None
    store.close()
    assert described(made) == described(stepped)
    assert made.stat().st_mode & 0o777 == 0o600


def states(folder: Path) -> Iterator[tuple[str, str]]:
    (folder / "text.db").write_text("no database" * 100)
    yield "no database", f"sqlite:///{folder}/text.db"
    for name, statement in (
        ("old", "UPDATE scimsync_version SET version_num = '0009'"),
        ("foreign", "DROP TABLE scimsync_version"),
    ):
        with sqlite3.connect(folder / "state.db") as given, sqlite3.connect(folder / f"{name}.db") as copy:
            given.backup(copy)
            copy.execute(statement)
        yield name, f"sqlite:///{folder}/{name}.db"
    yield "options", f"sqlite:///{folder}/state.db?timeout=3"
    yield "PostgreSQL", "postgresql://localhost/nowhere"
    yield "memory", "sqlite:///:memory:"


def test_what_is_not_up_to_date_or_no_state_is_left_to_the_whole_store(place: Path) -> None:
    opened = {name: open_quickly(url, place / "artifacts", whole(place)) for name, url in states(place)}
    assert {name for name, found in opened.items() if found is not None} == set()
