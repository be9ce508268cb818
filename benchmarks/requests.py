"""Requests and minutes at the true limit, 300 a minute, on a virtual clock: a first plan, nights, one person."""

from __future__ import annotations

import json
import sys

from benchmarks.harness import ROOT, Report, Row, Size, run

USUAL = 10_000
LIMIT = 300
NOTES = (
    "The product plans and applies against the simulator in one process. Both keep one virtual clock, and the "
    "simulator grants 300 requests a minute, as Genesys documents; the answer to a request takes no time.",
    "13 attributes, among them externalId and skills, which are documented to cost a second look-up. 1 in 50 is "
    "inactive. Tokens and schemas are counted too.",
    "three calls a person: what a script needs that reads, writes and reads again, at the same limit; reckoned.",
)
#: work -> bars of its requests, and of its seconds
_BARS = {
    "quiet night": ("", "<= 30"),
    "one person, nothing to do": ("<= 3", ""),
    "one person": ("<= 3", ""),
}


def measure(size: Size) -> Report:
    """Play some days of one organisation."""
    told = run(sys.executable, "-m", "benchmarks.nights", str(size.people), folder=ROOT).out
    took: dict[str, tuple[float, float]] = json.loads(told)
    took["three calls a person"] = (3.0 * size.people, 60.0 * 3 * size.people / LIMIT)
    rows = []
    for what, (requests, seconds) in took.items():
        most, longest = _BARS.get(what, ("", ""))
        small = size.people <= USUAL
        rows.append(Row(work=f"{what}: requests", values=[requests], unit="", bar=most, always=True))
        if seconds:
            bar = longest if small else ""
            rows.append(Row(work=f"{what}: time", values=[seconds], unit="s", bar=bar, always=True))
    return Report(name="requests", size=size, rows=rows, notes=NOTES)
