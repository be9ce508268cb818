"""Whatever is removed, whenever it is cut off: what is kept reads as it was, and the state goes on."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.soak import examples

from scimsync.core.retention import kept
from scimsync.model.outcomes import JournalLine, Run, RunState, Step
from scimsync.model.policy import Keep
from scimsync.services import retention
from scimsync.testing import MemoryStore
from scimsync.workbench.bench import Workbench
from scimsync.workbench.layers import Layers, write_snapshot

NOW = datetime(2026, 11, 1, tzinfo=UTC)
KEYS = [f"k{number}" for number in range(12)]
#: one run: what it says of whom, how it ends, and days until the next
_runs = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(KEYS), st.none() | st.sampled_from("xyz"), max_size=4),
        st.sampled_from([RunState.DONE, RunState.DONE, RunState.PARTIAL, RunState.PLANNED, RunState.REFUSED,
                         RunState.INTERRUPTED]),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=14,
)  # fmt: skip


class Past:
    """A state with some runs behind it, and what each of them left."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, MemoryStore(folder)
        self.history: dict[str, Mapping[str, str]] = {}
        self.held: dict[str, str] = {}
        self.base = ""
        self.number = 0

    def play(self, moves: Mapping[str, str | None], state: RunState, at: datetime) -> None:
        self.number += 1
        name = f"r{self.number}"
        changed = {key: value for key, value in moves.items() if self.held.get(key) != value}
        agreed = f"agreed-{name}.parquet" if changed or not self.base else self.base
        said = {key: value for key, value in {**self.held, **changed}.items() if value is not None}
        if agreed != self.base:
            self._write(agreed, changed, at, fold=False)
        self.history[agreed] = said
        self._leave(f"plan-{name}.ndjson", at)
        self._leave(f"groups-{name}.json", at)
        base = ""
        if state not in {RunState.PLANNED, RunState.REFUSED}:
            base = agreed
            if agreed != self.base:
                base = f"base-{self.number:08d}-{name}.parquet"
                self._write(base, changed, at, fold=True)
            self.store.append([JournalLine(run=name, key="k", part=1, step=Step.INTENT, at=at)])
            self.history[base], self.held, self.base = said, said, base
        run = Run(id=name, created=at, state=state, target="t", plan=f"plan-{name}.ndjson", agreed=agreed, base=base)
        self.store.save_run(run)

    def _write(self, name: str, changed: Mapping[str, str | None], at: datetime, *, fold: bool) -> None:
        with Workbench(self.folder) as bench:
            bench.sql.execute("CREATE TABLE t (key VARCHAR, v VARCHAR)")
            for key, value in changed.items():
                bench.sql.execute("INSERT INTO t VALUES (?, ?)", [key, value])
            rows = "(SELECT * FROM t WHERE v IS NOT NULL)"
            if not self.base:
                write_snapshot(bench, self.folder / name, rows)
            else:
                gone = "(SELECT key FROM t WHERE v IS NULL)"
                Layers(bench, self.folder / self.base).write(self.folder / name, rows, gone=gone, fold=fold)
        self._date(name, at)

    def _leave(self, name: str, at: datetime) -> None:
        (self.folder / name).write_text("{}", encoding="utf-8")
        self._date(name, at)

    def _date(self, name: str, at: datetime) -> None:
        os.utime(self.folder / name, (at.timestamp(), at.timestamp()))

    def collect(self, keep: Keep) -> retention.Collected:
        given: Any = SimpleNamespace(
            state=SimpleNamespace(keep=keep), target=SimpleNamespace(recall=timedelta(days=28))
        )
        return retention._collect(given, self.store, dry=False)

    def check(self, ids: frozenset[str]) -> None:
        """Everything that these runs left reads as it was."""
        for run in self.store.runs(1000):
            if run.id not in ids:
                continue
            assert (self.folder / run.plan).is_file()
            assert (self.folder / f"groups-{run.id}.json").is_file()
            with Workbench(self.folder) as bench:
                for top in {run.agreed, run.base} - {""}:
                    rows = bench.rows(f"SELECT key, v FROM {Layers(bench, self.folder / top).rows()}")
                    assert {str(key): str(value) for key, value in rows} == self.history[top]


class Cut(BaseException):
    """The process ends here."""


@settings(max_examples=examples(40, 15), deadline=None)
@given(runs=_runs, keep=st.builds(Keep, st.integers(1, 5), st.integers(1, 90)), steps=st.integers(0, 12))
def test_what_is_kept_reads_as_it_was_and_the_state_goes_on(
    runs: list[tuple[dict[str, str | None], RunState, int]], keep: Keep, steps: int
) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "now", lambda: NOW)
        past = Past(Path(name))
        at = NOW - timedelta(days=sum(days for _, _, days in runs))
        for moves, state, days in runs:
            past.play(moves, state, at)
            at += timedelta(days=days)
        ids = kept(past.store.runs(1000), keep, NOW)
        last = past.store.last_applied()
        left = iter(range(steps))

        def cut(path: Path) -> None:
            if next(left, None) is None:
                raise Cut
            path.unlink()

        with patch.context() as mean:
            mean.setattr(retention, "_remove", cut)
            with contextlib.suppress(Cut):
                past.collect(keep)
        past.check(ids)
        past.collect(keep)
        past.check(ids)
        assert past.store.last_applied() == last
        assert not past.collect(keep).files
        named = {run.id for run in past.store.runs(1000) if run.plan}
        assert named == ids
        for file in past.folder.glob("plan-*"):
            assert file.stem.removeprefix("plan-") in ids
        past.play({"k0": "new"}, RunState.DONE, NOW)
        past.check(frozenset({f"r{past.number}"}))
