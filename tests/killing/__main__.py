"""`python -m tests.killing`: every point of every scene, once before and once after, on both databases.

Prints a line for each scene and a breach where there is one; ends with 1 where there was any.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.killing.points import Point
from tests.killing.scenes import staged
from tests.postgres import postgres_url


def main() -> int:
    """Play the sweep."""
    asked = argparse.ArgumentParser(prog="python -m tests.killing")
    asked.add_argument("--on", choices=("sqlite", "postgresql"), action="append")
    asked.add_argument("--scene", action="append", help="this scene only; may be repeated")
    asked.add_argument("--point", default="", help="points whose name contains this only")
    asked.add_argument("--mutant", default="", help="a bug of tests.chaos.mutants that every command has")
    asked.add_argument("--when", choices=("before", "after"), help="this only; after every point but reads is distinct")
    given = asked.parse_args()
    wrong = 0
    for kind in given.on or ("sqlite", "postgresql"):
        with _server(kind) as url, tempfile.TemporaryDirectory(prefix="scimsync-kill-") as folder:
            wrong += _sweep(kind, Path(folder), url, given)
    return 1 if wrong else 0


@contextlib.contextmanager
def _server(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        yield ""
        return
    with postgres_url() as url:
        yield url


def _sweep(kind: str, folder: Path, url: str, given: argparse.Namespace) -> int:
    wrong = every = 0
    begun = time.monotonic()
    with staged(folder, url) as stage:
        for scene in stage.scenes():
            if given.scene and scene.name not in given.scene:
                continue
            since = time.monotonic()
            scene.count()
            scene.mutant = given.mutant
            points = [point for point in scene.passed if given.point in point.name]
            deaths = [(point, when) for point in points for when in point.moments if given.when in {None, when}]
            found, missed = 0, 0
            for turn, (point, when) in enumerate(deaths):
                breaches = scene.kill(point, when, turn)
                if breaches is None:
                    missed += 1
                    print(f"  {kind}, {scene.name}: never came to {when} {_shown(point)} again", flush=True)
                for breach in breaches or ():
                    found += 1
                    print(f"  {kind}, {scene.name}: {when} {_shown(point)} (turn {turn}): {breach}", flush=True)
            wrong, every = wrong + found, every + len(deaths) - missed
            took = time.monotonic() - since
            print(
                f"{kind:10} {scene.name:18} {len(points):4} points {len(deaths) - missed:4} deaths "
                f"{missed:3} not met {found:3} breaches {took:6.0f} s", flush=True,
            )  # fmt: skip
    print(f"{kind:10} {every} deaths, {wrong} breaches, {time.monotonic() - begun:.0f} s", flush=True)
    return wrong


def _shown(point: Point) -> str:
    return f"{point.name} #{point.number}"


if __name__ == "__main__":
    sys.exit(main())
