"""`python -m benchmarks all|NAME`: run, print a table, write build/bench/NAME.json; PEOPLE turns sizes down."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks import (
    apply,
    audit,
    console,
    estimate,
    fleet,
    limits,
    main_job,
    one_person,
    plan,
    references,
    requests,
    simulator,
    sources,
    startup,
)
from benchmarks.harness import ROOT, Report, Size

#: name -> what runs it, and its usual size
BENCHMARKS: Mapping[str, tuple[Callable[[Size], Report], int]] = {
    "startup": (startup.measure, startup.USUAL),
    "main_job": (main_job.measure, main_job.USUAL),
    "plan": (plan.measure, plan.USUAL),
    "one_person": (one_person.measure, one_person.USUAL),
    "requests": (requests.measure, requests.USUAL),
    "apply": (apply.measure, apply.USUAL),
    "estimate": (estimate.measure, estimate.USUAL),
    "fleet": (fleet.measure, fleet.USUAL),
    "limits": (limits.measure, limits.USUAL),
    "references": (references.measure, references.USUAL),
    "audit": (audit.measure, audit.USUAL),
    "console": (console.measure, console.USUAL),
    "simulator": (simulator.measure, simulator.USUAL),
    "sources": (sources.measure, sources.USUAL),
}


def main(arguments: Sequence[str]) -> int:
    """Run what is named; 0 when every bar is met, 1 when one is missed, 2 when nothing of that name is there."""
    name = arguments[0] if arguments else "all"
    if len(arguments) > 1 or (name != "all" and name not in BENCHMARKS):
        print(f"usage: python -m benchmarks all|{'|'.join(BENCHMARKS)}; PEOPLE=1000 for a quick look", file=sys.stderr)
        return 2
    given = os.environ.get("PEOPLE", "")
    if given and not (given.isdecimal() and int(given) >= 100):
        print(f"PEOPLE={given}: it is a number, at least 100", file=sys.stderr)
        return 2
    good = True
    for wanted in BENCHMARKS if name == "all" else (name,):
        measure, usual = BENCHMARKS[wanted]
        # A size for all turns down only: what is quick for one benchmark takes hours in another.
        count = int(given) if given else usual
        report = measure(Size(people=min(count, usual) if name == "all" else count, usual=usual))
        path = report.save()
        for line in report.lines():
            print(line)
        print(f"  -> {path.relative_to(ROOT)}\n", flush=True)
        good = good and report.good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
