"""A limit that nobody tells and that moves, beside a client that only obeys `Retry-After`."""

from __future__ import annotations

import json
import sys

from benchmarks.harness import ROOT, Report, Row, Size, run
from benchmarks.limited import LIMITS, TAKES, WORKERS

USUAL = 0
#: seconds at each limit
SECONDS = 1800
NOTES = (
    f"The service grants {', then '.join(map(str, LIMITS))} requests a minute, {SECONDS // 60} minutes each, and says "
    "nothing of it but `Retry-After` in whole seconds; the product begins with 97 % of the 300 of its dialect.",
    f"Minutes are those of a virtual clock. {WORKERS} workers of the real target ask one after the other; an answer "
    f"takes {TAKES[0]} to {TAKES[1]} s.",
    "simulator: `scimsync simulate` in the same process, whose headers about the limit are taken away; its minute "
    "begins with the first request after the last one. clock: the same, on the minute. sliding: the last 60 seconds. "
    "bucket: fills evenly and holds ten seconds' worth.",
    "used: of what was allowed; a bucket also gives what it held. refused: of all requests.",
    "Retry-After only: as many workers, which send what they have and wait as long as they are told.",
)
KINDS = ("simulator", "clock", "sliding", "bucket")


def measure(size: Size) -> Report:
    """Play each kind of limit with both clients."""
    seconds = size.people or SECONDS
    rows = []
    for kind in KINDS:
        for client, name in (("ours", "scimsync"), ("plain", "Retry-After only")):
            seeds = range(1, 2 if kind == "simulator" or client == "plain" else size.pairs + 1)
            told = [_play(kind, client, seconds, seed) for seed in seeds]
            bars = (">= 95", "<= 1") if client == "ours" else ("", "")
            for what, bar in zip(("used", "refused"), bars, strict=True):
                values = [one[what] for one in told]
                rows.append(Row(work=f"{kind}, {name}: {what}", values=values, unit="%", bar=bar))
    return Report(name="limits", size=size, rows=rows, notes=NOTES)


def _play(kind: str, client: str, seconds: int, seed: int) -> dict[str, float]:
    told = run(sys.executable, "-m", "benchmarks.limited", kind, client, str(seconds), str(seed), folder=ROOT).out
    found: dict[str, float] = json.loads(told)
    return found
