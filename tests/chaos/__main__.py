"""`make chaos`: play worlds under fire and judge them. SEEDS=2000, SEED=n, ONLY=1,4, MUTANT=name."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.chaos.faults import KINDS
from tests.chaos.matrix import ALWAYS, ELSEWHERE, ROWS
from tests.chaos.mutants import MUTANTS
from tests.chaos.playing import Played, play, shrunk

#: what a breach comes to, by the number of its invariant
_LOST, _DOUBLED, _WRONG = {"I4", "I5", "I6", "I11"}, {"I2", "I8"}, {"I0", "I1", "I3"}
#: so many worlds are played in this process
FEW = 20


def main(arguments: Sequence[str]) -> int:
    """Play, and say what came of it; 1 where somebody was hurt."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", default="", help="numbers of the faults that happen: 1,4")
    parser.add_argument("--mutant", default="", choices=["", *MUTANTS])
    given = parser.parse_args(arguments)
    if given.seed is not None:
        return _one(given.seed, given.only, given.mutant)
    began = time.perf_counter()
    seeds = range(given.first, given.first + given.seeds)
    played = list(_all(seeds, given.mutant, stop=bool(given.mutant)))
    _table(played)
    hurt = [one for one in played if one.breaches]
    _kinds(played)
    requests, days = sum(one.requests for one in played), sum(one.seconds for one in played) / 86400
    took = time.perf_counter() - began
    print(f"\n{len(played):,} worlds, {sum(one.processes for one in played):,} processes, {requests:,} requests, "
          f"{days:,.0f} days of virtual time, in {took:.0f} s; at most {max(o.most_requests for o in played)} requests of "
          "one process")  # fmt: skip
    for one in hurt[:5]:
        found, needed = shrunk(one.seed, given.mutant)
        only = ",".join(map(str, needed))
        again = f"make chaos SEED={one.seed} ONLY={only or 'none'}" + f" MUTANT={given.mutant}" * bool(given.mutant)
        print(f"\nseed {one.seed}: {found.breaches[0] if found.breaches else one.breaches[0]}\n  again: {again}")
    if given.mutant:
        print(f"\nthe bug {given.mutant!r} was {'found' if hurt else 'NOT FOUND'}")
        return 0 if hurt else 1
    print(f"\nhurt: {len(hurt)} of {len(played):,} worlds")
    return 1 if hurt else 0


def _all(seeds: Sequence[int], mutant: str, *, stop: bool) -> Iterator[Played]:
    """Play them on every core; to the first that is hurt, where that is all that is asked."""
    if len(seeds) <= FEW:
        yield from (play(seed, mutant=mutant) for seed in seeds)
        return
    if stop:
        for seed in seeds:
            yield (one := play(seed, mutant=mutant))
            if one.breaches:
                return
        return
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(partial(play, mutant=mutant), seeds, chunksize=20)


def _one(seed: int, only: str, mutant: str) -> int:
    """Replay one world."""
    numbers = None if not only else [] if only == "none" else [int(number) for number in only.split(",")]
    one = play(seed, numbers, mutant)
    for fault in one.faults:
        print(f"  {fault}; struck {one.struck.get(fault.number, 0)} times")
    print(
        f"{one.processes} processes, {one.requests} requests, {one.seconds / 86400:.1f} days, digest {one.digest[:16]}"
    )
    for breach in one.breaches:
        print(f"  {breach}")
    print("hurt" if one.breaches else "nobody was hurt")
    return 1 if one.breaches else 0


def _table(played: Sequence[Played]) -> None:
    struck, worlds, hurt = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for one in played:
        rows = Counter[str]()
        for fault in one.faults:
            for row in KINDS[fault.kind].rows:
                rows[row] += one.struck.get(fault.number, 0)
        for row in [row for row, times in rows.items() if times]:
            struck[row] += rows[row]
            worlds[row] += 1
            hurt[row, "quiet"] += one.quiet
            for name, kinds in (("lost", _LOST), ("doubled", _DOUBLED), ("wrong", _WRONG)):
                hurt[row, name] += bool(one.kinds & kinds)
            hurt[row, "other"] += bool(one.kinds - _LOST - _DOUBLED - _WRONG)
    print(f"{'row':5}{'what goes wrong':46}{'struck':>8}{'worlds':>8}{'lost':>6}{'doubled':>9}{'wrongly':>9}{'other':>7}"
          f"{'converged':>11}")  # fmt: skip
    for row, what in ROWS.items():
        if worlds[row]:
            wrong = "".join(f"{hurt[row, name]:>{width}}" for name, width in _COLUMNS)
            print(f"{row:5}{what:46}{struck[row]:>8,}{worlds[row]:>8,}{wrong}{hurt[row, 'quiet'] / worlds[row]:>11.0%}")
        elif row in ALWAYS:
            print(f"{row:5}{what:46}  {ALWAYS[row]}")
        else:
            print(f"{row:5}{what:46}  {_covered(row)}")


def _kinds(played: Sequence[Played]) -> None:
    """What worlds were like, and what was done in them."""
    told, done = Counter[str](), Counter[str]()
    for one in played:
        told.update(one.traits)
        done.update(one.done)
    print("\nworlds: " + ", ".join(f"{number:,} {name}" for name, number in sorted(told.items())))
    print("done: " + ", ".join(f"{number:,} {name}" for name, number in sorted(done.items())))


_COLUMNS = (("lost", 6), ("doubled", 9), ("wrong", 9), ("other", 7))


def _covered(row: str) -> str:
    if row not in ELSEWHERE:
        return "not drawn in these worlds"
    return f"tests/{ELSEWHERE[row]}" if ELSEWHERE[row] else "no test yet"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
