"""The main job beside a plain loop, on the same simulator: requests, wall time, CPU, memory."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import world
from benchmarks.harness import ROOT, BenchmarkError, Report, Row, Size, Spent, run, scimsync, served
from scimsync.simulator.people import Person, account_id, people

USUAL = 10_000
SHARE = 0.01
NOTES = (
    "1 % of the people got another title in HR; 2 % of all are inactive. Every side starts from the same directory.",
    "scimsync: the commands `plan` and `apply`, from start of the process to its end: both processes together for "
    "wall, CPU and requests, the larger one for memory. 13 attributes, SQLite for HR and state, journal on disk.",
    "plain loop: one process; 9 attributes; ids of accounts given; neither base, plan, journal nor repetition.",
    "first run: the same with an empty state, so that every account is found by its external id.",
    "The simulator is another process and is measured in none of the sides. CPU and memory: what wait4 says of the "
    "child.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one side took in one round."""

    spent: Spent
    requests: int


def measure(size: Size) -> Report:
    """Play the rounds."""
    with tempfile.TemporaryDirectory(prefix="scimsync-bench-") as made:
        folder = Path(made)
        arguments = ("--users", str(size.people), "--seed", str(world.SEED), "--option", "rate_limit=0")
        with served(*arguments) as announced:
            return _report(size, _rounds(folder, announced, size))


def _rounds(folder: Path, announced: dict[str, str], size: Size) -> list[dict[str, Side]]:
    count = size.people
    world.furnish(folder, count)
    ids = {p.employee_id: account_id(world.SEED, i) for i, p in enumerate(people(world.SEED, count))}
    (folder / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "announced.json").write_text(json.dumps(announced), encoding="utf-8")
    based = world.home(folder, "based", announced)
    _sync(based)  # both sides agree and a base is written; not measured
    rounds = []
    for turn in range(size.pairs):
        who = world.chosen(count, SHARE, turn)
        world.promote(folder, who, "Team Lead")
        first = world.home(folder, f"first-{turn}", announced)
        sides: list[tuple[str, Callable[[], Spent]]] = [
            ("loop", lambda: _loop(folder)),
            ("scimsync", lambda: _sync(based)),
            ("first", lambda first=first: _sync(first)),
        ]
        if turn % 2:
            sides.reverse()
        rounds.append({name: _side(announced["api_url"], work, who) for name, work in sides})
    return rounds


def _side(api_url: str, work: Callable[[], Spent], who: list[Person]) -> Side:
    """One side from a directory that HR is ahead of, with the proof that it did its work."""
    world.put_back(api_url, who)
    before = world.stats(api_url)
    spent = work()
    after = world.stats(api_url)
    writes = after.get("patch", 0) - before.get("patch", 0)
    if writes != len(who):
        raise BenchmarkError(f"{writes} PATCHes for {len(who)} changed people")
    return Side(spent=spent, requests=after["requests"] - before["requests"])


def _loop(folder: Path) -> Spent:
    return run(sys.executable, "-m", "benchmarks.plain_loop", str(folder), folder=ROOT)


def _sync(place: Path) -> Spent:
    return scimsync("plan", folder=place) + scimsync("apply", "--yes", folder=place)


def _report(size: Size, rounds: list[dict[str, Side]]) -> Report:
    def ratio(name: str, value: Callable[[Side], float], *, reverse: bool = False) -> list[float]:
        found = [value(played["loop"]) / value(played[name]) for played in rounds]
        return [1 / r for r in found] if reverse else found

    rows: list[Row] = []
    bars = {"scimsync": (">= 15", ">= 1.2", ">= 0.9", "<= 8"), "first": (">= 15", ">= 1.2", ">= 0.9", "<= 8")}
    for name, title in (("scimsync", "scimsync"), ("first", "first run")):
        requests, wall, cpu, memory = bars[name]
        rows += [
            Row(work=f"{title}: fewer requests", values=ratio(name, lambda s: s.requests), bar=requests, always=True),
            Row(work=f"{title}: less wall time", values=ratio(name, lambda s: s.spent.wall), bar=wall),
            Row(work=f"{title}: less CPU", values=ratio(name, lambda s: s.spent.cpu), bar=cpu),
            Row(
                work=f"{title}: peak memory, of the loop's",
                values=ratio(name, lambda s: s.spent.memory, reverse=True),
                bar=memory,
            ),
        ]
    for name in ("loop", "scimsync", "first"):
        sides = [played[name] for played in rounds]
        rows += [
            Row(work=f"{name}: requests", values=[s.requests for s in sides], unit=""),
            Row(work=f"{name}: wall", values=[s.spent.wall for s in sides], unit="s"),
            Row(work=f"{name}: CPU", values=[s.spent.cpu for s in sides], unit="s"),
            Row(work=f"{name}: peak memory", values=[s.spent.memory / 2**20 for s in sides], unit="MiB"),
        ]
    return Report(name="main_job", size=size, rows=rows, notes=NOTES)
