"""How long `scimsync --help` takes, beside a Python that does nothing."""

from __future__ import annotations

import sys

from benchmarks.harness import Report, Row, Size, run

#: there are no people in it
USUAL = 0
NOTES = (
    "wall time of the whole process, the two in turns, after one warm-up of each; bytecode is compiled.",
    "`python -m scimsync --help` against `python -c pass`, the same interpreter.",
)


def measure(size: Size) -> Report:
    """Take alternating pairs; five times as many as elsewhere, because a start is short."""
    ours, nothing = (sys.executable, "-m", "scimsync", "--help"), (sys.executable, "-c", "pass")
    run(*ours)
    run(*nothing)
    pairs = [(run(*ours).wall, run(*nothing).wall) for _ in range(size.pairs * 5)]
    return Report(
        name="startup",
        size=Size(people=0, usual=0, pairs=size.pairs),
        notes=NOTES,
        rows=[
            Row(work="scimsync --help / python -c pass", values=[o / n for o, n in pairs], bar="<= 12", always=True),
            Row(work="scimsync --help", values=[o for o, _ in pairs], unit="s", bar="<= 0.25", always=True),
            Row(work="python -c pass", values=[n for _, n in pairs], unit="s"),
        ],
    )
