"""Whatever becomes of the source on its way, nobody loses access, a value or a membership by it.

A source cut at any row, without any department, with any column gone null, or of an earlier day: of every kind that we
read. `SCIMSYNC_CUTS_TIMES=10 pytest tests/laws/test_source_cuts.py` cuts ten times as often.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.soak import WHOLE, pairs
from tests.unit.engine.test_whole_runs import Company

from scimsync.adapters.source_file import CsvSource, JsonlSource, ParquetSource
from scimsync.adapters.source_sql import SqlSource
from scimsync.core.contract import OLD, SHARES, STALE
from scimsync.engine.ports import Source
from scimsync.errors import ConfigError, SourceError
from scimsync.model.contracts import Contract, Expect, Newest
from scimsync.model.plans import Action, Plan
from scimsync.model.policy import Grouping, Limit, Limits
from scimsync.testing import MemoryTarget
from scimsync.testing.target import members_of

TIMES = int(os.environ.get("SCIMSYNC_CUTS_TIMES", "1"))
PEOPLE = 60
#: how many people each department has; the smallest that can be told from people who left has three
SIZES = {"Sales": 27, "Service": 18, "Legal": 8, "Lab": 4, "Board": 3}
DEPARTMENTS = [name for name, size in SIZES.items() for _ in range(size)]
COLUMNS = ("id", "email", "name", "status", "title", "boss", "department", "teams", "updated_at")

law = settings(
    max_examples=(8 if WHOLE else 4) * TIMES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Rows = Sequence[dict[str, Any]]


class Firm(Company):
    """Sixty people in five departments, in files and tables of every kind."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "state", PEOPLE)
        self.folder = folder
        self.columns = COLUMNS
        self.mapping["enterprise:department"] = "department"
        for number, row in enumerate(self.rows.values()):
            row["department"] = DEPARTMENTS[number]
            row["boss"] = "E0" if number else None
            row["teams"] = f"Everybody; {DEPARTMENTS[number]}"
            row["updated_at"] = (self.clock.now() - timedelta(hours=1)).isoformat(sep=" ", timespec="seconds")
        newest = Newest(column="updated_at", within=timedelta(hours=36))
        self.contract = Contract(expect=Expect(shares={"department": Limit(share=0.2, floor=3)}, newest=newest))
        self.more = {
            "limits": Limits(
                disable=Limit(share=1),
                update=Limit(share=1),
                create=Limit(share=1),
                group_gain=Limit(),
                group_loss=Limit(),
            )
        }
        self.more["groups"] = Grouping(column="teams")
        groups = [{"id": f"g{n}", "displayName": name, "members": []} for n, name in enumerate(["Everybody", *SIZES])]
        self.target = MemoryTarget(groups=groups)
        #: what the next plan reads; the list where None
        self.reads: Source | None = None

    def hr(self) -> Source:
        return self.reads or super().hr()

    def takes(self, reads: Source | None = None) -> Plan | None:
        """Plan, and assert that nothing is taken from anybody; None where the source was refused."""
        self.reads = reads
        try:
            plan = self.plan()
        except (SourceError, ConfigError):
            return None
        assert taken(plan) == []
        return plan


def taken(plan: Plan) -> list[tuple[str, str]]:
    """(key, what) of everything that a plan takes away."""
    found = [(c.key, c.word) for c in plan.changes if c.action in {Action.DISABLE, Action.DELETE}]
    for change in plan.changes:
        cleared = (d for d in change.deltas if d.sides.desired is None and d.sides.current is not None)
        found += [(change.key, delta.path) for delta in cleared]
    return found + [(member.key, group.name) for group in plan.groups for member in group.remove]


# --- the kinds of source ------------------------------------------------------------------------


def write_csv(folder: Path, rows: Rows, **more: Any) -> Source:
    path = folder / "hr.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *([row[column] for column in COLUMNS] for row in rows)])
    return CsvSource(path, "id", **more)


def write_jsonl(folder: Path, rows: Rows, **more: Any) -> Source:
    path = folder / "hr.jsonl"
    path.write_text("".join(json.dumps({c: row[c] for c in COLUMNS}) + "\n" for row in rows), encoding="utf-8")
    return JsonlSource(path, "id", **more)


def write_parquet(folder: Path, rows: Rows) -> Source:
    path, told = folder / "hr.parquet", folder / "hr.json"
    path.unlink(missing_ok=True)
    told.write_text(json.dumps([{c: row[c] for c in COLUMNS} for row in rows]))
    with duckdb.connect() as duck:
        kinds = ", ".join(f"{c}: 'VARCHAR'" for c in COLUMNS)
        read = f"SELECT * FROM read_json('{told}', columns = {{{kinds}}})"
        duck.execute(f"COPY ({read}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    return ParquetSource(path, "id")


def write_sql(folder: Path, rows: Rows, breaks: int | None = None) -> Source:
    """A table; where `breaks` is given, the server breaks off at that row."""
    path = folder / "hr.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE employee ({', '.join(f'{c} TEXT' for c in COLUMNS)})")
        marks = ", ".join("?" for _ in COLUMNS)
        database.executemany(f"INSERT INTO employee VALUES ({marks})", [[row[c] for c in COLUMNS] for row in rows])
    named = ", ".join(COLUMNS)
    if breaks is not None:  # the smallest integer has no absolute value: an error in the middle of the rows
        fails = f"CASE WHEN rowid > {breaks} THEN abs(-9223372036854775807 - 1) ELSE title END"
        named = named.replace("title", f"{fails} AS title")
    return SqlSource(f"sqlite:///{path}", f"SELECT {named} FROM employee ORDER BY rowid", "id")


def assume(write: Callable[..., Source]) -> Callable[[Path, Rows], Source]:
    return lambda folder, rows: write(folder, rows, complete="assume")


#: sources that are believed to be whole
BELIEVED: dict[str, Callable[[Path, Rows], Source]] = {
    "csv": assume(write_csv),
    "jsonl": assume(write_jsonl),
    "parquet": write_parquet,
    "sql": write_sql,
}


@pytest.fixture(scope="module")
def _firm(tmp_path_factory: pytest.TempPathFactory) -> Firm:
    folder = tmp_path_factory.mktemp("firm")
    (folder / "state").mkdir()
    firm = Firm(folder)
    firm.sync()
    assert sorted(len(members_of(group)) for group in firm.target.groups.values()) == sorted([*SIZES.values(), PEOPLE])
    return firm


@pytest.fixture
def firm(_firm: Firm) -> Firm:
    """A firm whose first run is done; plans only, so that it stays as it is."""
    return _firm


def cut(path: Path, at: int) -> None:
    path.write_bytes(path.read_bytes()[:at])


# --- the laws -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@law
@given(share=st.floats(0, 1), at_a_line=st.booleans(), proven=st.booleans())
def test_a_text_file_cut_anywhere_takes_nothing_from_anybody(
    firm: Firm, kind: str, share: float, *, at_a_line: bool, proven: bool
) -> None:
    write = write_csv if kind == "csv" else write_jsonl
    source = write(firm.folder, [*firm.rows.values()], complete="checksum" if proven else "unproven")
    path = firm.folder / f"hr.{kind}"
    whole = path.read_bytes()
    beside = firm.folder / f"hr.{kind}.sha256"
    beside.write_text(f"{hashlib.sha256(whole).hexdigest()}  {path.name}\n")
    at = int(share * len(whole))
    cut(path, whole.rfind(b"\n", 0, at) + 1 if at_a_line else at)
    plan = firm.takes(source)
    assert plan is None or not proven or path.read_bytes() == whole


@law
@given(share=st.floats(0, 1))
def test_a_parquet_file_cut_anywhere_takes_nothing_from_anybody(firm: Firm, share: float) -> None:
    source = write_parquet(firm.folder, [*firm.rows.values()])
    size = (firm.folder / "hr.parquet").stat().st_size
    cut(firm.folder / "hr.parquet", int(share * size))
    assert firm.takes(source) is None or share == 1


@law
@given(row=st.integers(0, PEOPLE - 1))
def test_a_query_that_breaks_off_at_any_row_takes_nothing_from_anybody(firm: Firm, row: int) -> None:
    assert firm.takes(write_sql(firm.folder, [*firm.rows.values()], breaks=row)) is None


@pytest.mark.parametrize("kind", BELIEVED)
@law
@given(left=st.integers(1, PEOPLE - 7), start=st.integers(0, PEOPLE))
def test_a_source_that_says_it_is_whole_and_lacks_a_tenth_takes_nothing_from_anybody(
    firm: Firm, kind: str, left: int, start: int
) -> None:
    rows = [*firm.rows.values()]
    plan = firm.takes(BELIEVED[kind](firm.folder, [*rows[start:], *rows[:start]][:left]))
    assert plan is not None
    assert len([f for f in plan.findings if f.code == "leaver.unproven"]) == PEOPLE - left


@pytest.mark.parametrize(("kind", "department"), pairs(BELIEVED, SIZES))
def test_a_source_without_any_department_takes_nothing_from_anybody(firm: Firm, kind: str, department: str) -> None:
    rows = [row for row in firm.rows.values() if row["department"] != department]
    plan = firm.takes(BELIEVED[kind](firm.folder, rows))
    assert plan is not None
    (told,) = [finding for finding in plan.findings if finding.code == SHARES]
    assert told.detail.startswith(f"{department}: {SIZES[department]} in the last run, none now; ")


@pytest.mark.parametrize(("kind", "column"), pairs(BELIEVED, [column for column in COLUMNS if column != "boss"]))
def test_a_source_of_which_any_column_went_null_takes_nothing_from_anybody(firm: Firm, kind: str, column: str) -> None:
    firm.takes(BELIEVED[kind](firm.folder, [{**row, column: None} for row in firm.rows.values()]))


@pytest.mark.parametrize("kind", BELIEVED)
def test_a_manager_column_that_went_null_takes_nobodys_manager(firm: Firm, kind: str) -> None:
    assert firm.takes(BELIEVED[kind](firm.folder, [{**row, "boss": None} for row in firm.rows.values()]))


@pytest.fixture
def later(tmp_path: Path) -> tuple[Firm, list[dict[str, Any]]]:
    """A firm two days later, which two people joined and one left; and the rows of the first day."""
    (tmp_path / "state").mkdir()
    firm = Firm(tmp_path)
    firm.sync()
    old = [dict(row) for row in firm.rows.values()]
    firm.clock.advance(2 * 86_400)
    moment = firm.clock.now().isoformat(sep=" ", timespec="seconds")
    for number in (60, 61):
        firm.rows[f"E{number}"] = {**firm.person(number), "department": "Lab", "teams": None, "updated_at": moment}
    firm.rows["E7"] |= {"status": "left", "updated_at": moment}
    firm.sync()
    return firm, old


@pytest.mark.parametrize("kind", BELIEVED)
def test_an_old_file_that_comes_again_gives_and_takes_no_access(
    later: tuple[Firm, list[dict[str, Any]]], kind: str
) -> None:
    firm, old = later
    plan = firm.takes(BELIEVED[kind](firm.folder, old))
    assert plan is not None
    assert STALE in {finding.code for finding in plan.findings}
    assert [c for c in plan.changes if c.action is Action.ENABLE] == []


@pytest.mark.parametrize("kind", [kind for kind in BELIEVED if kind != "sql"])
def test_an_old_file_that_comes_again_gives_and_takes_no_access_where_no_column_tells_its_age(
    later: tuple[Firm, list[dict[str, Any]]], kind: str
) -> None:
    firm, old = later
    firm.contract = Contract()
    plan = firm.takes(BELIEVED[kind](firm.folder, old))
    assert plan is not None
    assert OLD in {finding.code for finding in plan.findings}
    assert [c for c in plan.changes if c.action in {Action.ENABLE, Action.CREATE}] == []


def test_whoever_vouches_for_the_source_has_its_leavers_leave(firm: Firm) -> None:
    firm.reads = write_sql(firm.folder, [row for row in firm.rows.values() if row["department"] != "Board"])
    plan = firm.plan(overrides=(SHARES,))
    assert sorted(what for _, what in taken(plan)) == sorted(["disable", "Everybody", "Board"] * SIZES["Board"])


def test_a_source_as_it_was_is_believed(firm: Firm) -> None:
    plan = firm.takes()
    assert plan is not None
    assert not plan.findings
