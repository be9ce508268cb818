"""The base over many runs: what a quiet run leaves, what an older release left, crashes in between, and retention."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.laws import whole_base
from tests.servers import Firm, Provider, firm

from scimsync import bootstrap
from scimsync.cli.main import cli
from scimsync.config import load
from scimsync.engine import planning as plans
from scimsync.engine import settling
from scimsync.errors import PlanStale, StoreDamaged
from scimsync.model.outcomes import Run
from scimsync.services import applying, planning, retention
from scimsync.services.planning import Choices
from scimsync.workbench import mirror
from scimsync.workbench.bench import Workbench
from scimsync.workbench.layers import Layers, needed

PEOPLE = range(1, 41)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Firm]:
    with firm(tmp_path, Provider()) as found:
        found.hr(*({"id": number} for number in PEOPLE))
        yield found


def artifacts(home: Firm) -> Path:
    return home.folder / ".scimsync/artifacts"


def names(home: Firm, pattern: str = "*") -> set[str]:
    return {path.name for path in artifacts(home).glob(pattern)}


def last(home: Firm) -> Run:
    with bootstrap.open_store(load(home.folder / "scimsync.toml")) as store:
        found = store.last_applied()
    assert found is not None
    return found


def base(home: Firm) -> dict[str, dict[str, Any]]:
    """What is agreed, by key."""
    path = artifacts(home) / last(home).base
    with Workbench(path.parent) as bench:
        cursor = bench.sql.execute(f"SELECT * FROM {Layers(bench, path).rows()}")
        columns = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return {row.pop("key"): row for row in rows}


def old(path: Path, days: int = 3) -> None:
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_a_run_that_finds_nothing_to_do_leaves_its_plan_and_no_file_of_people(home: Firm) -> None:
    home.sync()
    before, left = names(home, "base-*") | names(home, "agreed-*"), last(home)
    made, _ = home.sync()
    assert names(home, "base-*") | names(home, "agreed-*") == before
    assert last(home).base == left.base
    assert last(home).id == made.id


def test_one_person_who_changes_costs_one_row(home: Firm) -> None:
    home.sync()
    home.hr(*({"id": number, "title": "Lead" if number == 7 else "T"} for number in PEOPLE))
    home.sync()
    with Workbench(artifacts(home)) as bench:
        layers = Layers(bench, artifacts(home) / last(home).base)
    assert [layer.rows for layer in layers.stack] == [40, 1]
    assert {row["title"] for row in base(home).values()} == {"T", "Lead"}
    home.quiet()


def test_a_plan_that_was_made_before_a_run_which_found_nothing_to_do_is_stale(home: Firm) -> None:
    home.sync()
    home.hr(*({"id": number, "title": "Lead"} for number in PEOPLE))
    early = home.plan()
    home.hr(*({"id": number} for number in PEOPLE))
    home.quiet()
    settings = load(home.folder / "scimsync.toml")
    with bootstrap.open_store(settings) as store, store.lease(bootstrap.owner()):
        found = planning.find_plan(store, early.id)
        with pytest.raises(PlanStale, match="another run was applied"):
            asyncio.run(applying.apply(settings, store, _Quiet(), found, Choices()))


class _Quiet:
    def stage(self, name: str, total: int | None = None) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def say(self, text: str) -> None: ...


class _Older:
    """As an older release wrote a base: everybody, anew, into one file."""

    @staticmethod
    def write_agreed(comparison: Any, path: Path, settled: Any, former: Path | None, last: Any, _: Any) -> bool:
        whole_base.write_agreed(comparison, path, settled, former, last)
        return True

    @staticmethod
    def lay_outcomes(bench: Any, agreed: Path, values: Any, accounts: Any, base: Path, _: Path | None) -> None:
        whole_base.lay_outcomes(bench, agreed, values, accounts, base)


@pytest.mark.parametrize("applied", [True, False], ids=["applied", "planned"])
def test_a_state_of_an_older_release_goes_on(home: Firm, monkeypatch: pytest.MonkeyPatch, applied: bool) -> None:
    with monkeypatch.context() as older:
        older.setattr(plans, "write_agreed", _Older.write_agreed)
        older.setattr(settling, "lay_outcomes", _Older.lay_outcomes)
        home.sync()
        home.hr(*({"id": number, "title": "Lead" if number % 9 == 0 else "T"} for number in PEOPLE))
        made = home.plan()
        if applied:
            home.apply(made.id)
    if not applied:
        home.apply(made.id)
    assert {key for key, row in base(home).items() if row["title"] == "Lead"} == {"9", "18", "27", "36"}
    home.quiet()
    home.hr(*({"id": number, "title": "Lead" if number % 9 == 0 or number == 1 else "T"} for number in PEOPLE))
    home.sync()
    assert base(home)["1"]["title"] == "Lead"
    assert len(base(home)) == len(PEOPLE)
    home.quiet()


@pytest.mark.parametrize("moment", ["agreed", "base"])
def test_a_crash_after_a_file_was_written_loses_nothing(
    home: Firm, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    home.sync()
    home.hr(*({"id": number, "title": "Lead" if number in {3, 4} else "T"} for number in PEOPLE))
    module = plans if moment == "agreed" else settling
    name = "write_agreed" if moment == "agreed" else "lay_outcomes"
    written = getattr(module, name)

    def cut(*given: Any, **named: Any) -> None:
        written(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(module, name, cut)
        with pytest.raises(KeyboardInterrupt):
            home.sync()
    if moment == "base":
        home.apply()
    else:
        home.sync()
    assert {key for key, row in base(home).items() if row["title"] == "Lead"} == {"3", "4"}
    home.quiet()


def test_a_missing_layer_stops_the_run_before_anything_is_read_and_says_what_to_do(home: Firm) -> None:
    home.sync()
    (snapshot,) = names(home, "base-*")
    home.hr(*({"id": number, "title": "Lead" if number == 7 else "T"} for number in PEOPLE))
    home.sync()
    (artifacts(home) / snapshot).unlink()
    asked = len(home.provider.asked)
    with pytest.raises(StoreDamaged, match=rf"{snapshot} is missing. Put the file back from a backup"):
        home.plan()
    assert not [one for one in home.provider.asked[asked:] if one.path.startswith("/Users")]


# --- retention ------------------------------------------------------------------------------------


def lives(home: Firm, titles: Sequence[Mapping[int, str]]) -> list[str]:
    """Play runs, long ago; their ids."""
    found = []
    for given in titles:
        home.hr(*({"id": number, "title": given.get(number, "T")} for number in PEOPLE))
        made, _ = home.sync()
        found.append(made.id)
    for path in artifacts(home).iterdir():
        old(path)
    return found


def test_gc_removes_what_is_no_longer_kept_and_the_next_run_finds_nothing_to_do(
    home: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.configure(more="[state]\nkeep = { runs = 2, days = 1 }")
    ids = lives(home, [{}, {1: "A"}, {1: "A", 2: "B"}, {3: "C", 1: "A", 2: "B"}])
    stray, fresh = artifacts(home) / "agreed-20200101-000000-aaaa.parquet", artifacts(home) / "plan-new-1.ndjson"
    for path in (stray, fresh):
        path.write_bytes(b"")
    old(stray)
    old(fresh, days=-3)
    _advance(monkeypatch, days=3)
    before, agreed = names(home), base(home)

    told = json.loads(_gc(home, "--dry-run", "--json"))
    assert told["dry_run"] is True
    assert set(told["runs"]) == set(ids[:2])
    assert names(home) == before

    text = _gc(home)
    assert text.startswith("Removed ")
    gone = before - names(home)
    assert gone == {one["name"] for one in told["files"]}
    assert {f"plan-{name}.ndjson" for name in ids[:2]} <= gone
    assert stray.name in gone
    assert not gone & {fresh.name, f"plan-{ids[2]}.ndjson", f"plan-{ids[3]}.ndjson"}
    assert base(home) == agreed
    seen = mirror.seen_in(artifacts(home) / mirror.MIRROR)
    assert seen is not None
    with Workbench(artifacts(home)) as bench:
        assert names(home, "mirror-0*") == {*needed(bench, artifacts(home) / seen.top)}
    assert any(name.startswith("mirror-0") for name in gone)
    assert _gc(home).startswith("Nothing to remove")
    home.quiet()


def _advance(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let retention look from later on."""
    given = retention.now
    monkeypatch.setattr(retention, "now", lambda: given() + timedelta(days=days))


def _gc(home: Firm, *words: str) -> str:
    said = CliRunner().invoke(cli, ["state", "gc", "--config", str(home.folder / "scimsync.toml"), *words])
    assert said.exit_code == 0, said.output
    return said.output


def test_a_run_whose_plan_is_gone_is_listed_and_says_so(home: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    home.configure(more="[state]\nkeep = { runs = 1, days = 1 }")
    ids = lives(home, [{}, {1: "A"}, {1: "B"}])
    _advance(monkeypatch, days=100)
    _gc(home)
    listed = home.command("runs")
    assert all(name in listed.out for name in ids)
    shown = home.command("runs", ids[0])
    assert shown.code == 4
    assert "no longer kept" in shown.err
    assert home.command("audit", "verify").code == 0
    home.quiet()


def test_doctor_says_how_much_room_the_state_takes(home: Firm) -> None:
    home.sync()
    said = home.command("doctor")
    assert " in the store, " in said.out
    assert "scimsync state gc" in said.out


@pytest.mark.parametrize("keep", ["{ runs = 0 }", '{ days = "30d" }', "{ months = 3 }", "30"])
def test_a_keep_that_says_nothing_is_refused_with_what_it_must_be(home: Firm, keep: str) -> None:
    home.configure(more=f"[state]\nkeep = {keep}")
    said = home.command("config", "check")
    assert said.code == 2
    assert "[state] keep" in said.err + said.out
    assert "runs and days" in said.err + said.out
