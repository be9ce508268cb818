"""What a plan foresees, beside what applying it takes, against the simulator with the rate limit of a tenant on."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import world
from benchmarks.harness import BenchmarkError, Report, Row, Size, scimsync, served
from scimsync.simulator.people import people, person

#: changes in one round, most of them of people who are there
USUAL = 60
#: requests a minute that a tenant grants
RATE = 300
NOTES = (
    f"The simulator grants {RATE} requests a minute, as Genesys Cloud does. A round plans and applies changes of one "
    "attribute, and one joiner for every ten of them, by the real commands.",
    "Foreseen is `estimate` of `plan --json`; in fact is `spent` of `runs RUN --json`: requests that were sent, and "
    "the seconds of applying.",
    "A ratio is the larger by the smaller, so that 1.0 is exact and 1.15 is 15 % off, in either direction.",
)


def measure(size: Size) -> Report:
    """Play the rounds; each gives the same people another title, and makes other people's accounts."""
    count = size.people + size.people // 10 + 20
    rounds = []
    with tempfile.TemporaryDirectory(prefix="scimsync-bench-") as made:
        folder = Path(made)
        arguments = ("--users", str(count), "--seed", str(world.SEED), "--option", "rate_limit=0")
        with served(*arguments) as announced:
            world.furnish(folder, count)
            place = world.home(folder, "estimate", announced)
            file = place / "scimsync.toml"
            file.write_text(_loosened(file.read_text(encoding="utf-8")), encoding="utf-8")
            scimsync("sync", folder=place)
            who = [p for p in people(world.SEED, count) if p.active][: size.people]
            world.call(announced["api_url"], "options", {"rate_limit": RATE})
            for turn in range(size.pairs):
                world.promote(folder, who, f"Title {turn}")
                first = count + turn * (size.people // 10)
                world.hire(folder, [person(world.SEED, first + n) for n in range(size.people // 10)])
                rounds.append(_round(place))
    return _report(size, rounds)


def _loosened(config: str) -> str:
    """A configuration that lets the target say its rate."""
    return "".join(line for line in config.splitlines(keepends=True) if not line.startswith("requests_per_minute"))


def _round(place: Path) -> Mapping[str, Any]:
    plan = json.loads(scimsync("plan", "--json", folder=place).out)
    scimsync("apply", plan["id"], "--yes", folder=place)
    run = json.loads(scimsync("runs", plan["id"], "--json", folder=place).out)
    if run["state"] != "done":
        raise BenchmarkError(f"the run ended as {run['state']}")
    return {"foreseen": plan["estimate"], "fact": run["spent"]["apply"]}


def _report(size: Size, rounds: list[Mapping[str, Any]]) -> Report:
    def off(left: float, right: float) -> float:
        return max(left, right) / min(left, right)

    def total(of: Mapping[str, Any]) -> int:
        return sum(of["requests"].values())

    return Report(
        name="estimate",
        size=size,
        notes=NOTES,
        rows=[
            Row(
                work="time foreseen, off by",
                values=[off(r["foreseen"]["seconds"], r["fact"]["seconds"]) for r in rounds],
                bar="<= 1.15",
            ),
            Row(
                work="requests foreseen, off by",
                values=[off(total(r["foreseen"]), total(r["fact"])) for r in rounds],
                bar="<= 1.05",
            ),
            Row(work="time foreseen", values=[r["foreseen"]["seconds"] for r in rounds], unit="s"),
            Row(work="time in fact", values=[r["fact"]["seconds"] for r in rounds], unit="s"),
        ],
    )
