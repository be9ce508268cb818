"""What helps a stranger to find a fault, without anything that is secret or about a person.

Every part is made of what it needs, not of everything less something: a part that is added shows nothing by itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from scimsync.bootstrap import now, open_store
from scimsync.config import Settings, load
from scimsync.engine.ports import Store
from scimsync.errors import ScimsyncError
from scimsync.model.outcomes import Outcome, Run
from scimsync.model.plans import Finding
from scimsync.services import building, masking, runs
from scimsync.services.retention import sizes

#: runs that are told of, the newest
_RUNS = 20


class Part(Struct, frozen=True):
    """One file of a bundle, and what is in it in words."""

    name: str
    about: str
    content: bytes


def parts(config: Path) -> Iterator[Part]:
    """What a bundle holds. What cannot be had is left out, and its part says of what kind the trouble was."""
    yield _part(
        "versions.json", "build, Python, libraries, revision of the state", lambda: asdict(building.build(config))
    )
    yield _part(
        "configuration.json", "the configuration; secrets, addresses and literals masked", lambda: _config(config)
    )
    try:
        settings = load(config, secrets=False)
        with open_store(settings, writes=False) as store:
            yield _part("sizes.json", "sizes, and how many of what waits", lambda: _state(settings, store))
            yield _part("runs.json", f"the last {_RUNS} runs in numbers", lambda: [*map(_run, store.runs(_RUNS))])
            yield _part(
                "findings.json", "their findings and outcomes: codes, paths and counts", lambda: _findings(store)
            )
    except (ScimsyncError, OSError) as error:
        trouble = _trouble(error)
        yield _part("sizes.json", "why the state could not be read", lambda: trouble)


def taken_at() -> datetime:
    """When a bundle is made."""
    return now()


def _part(name: str, about: str, make: Callable[[], object]) -> Part:
    try:
        document = make()
    except (ScimsyncError, OSError) as error:
        document = _trouble(error)
    return Part(name, about, json.dumps(document, indent=2, default=str).encode() + b"\n")


def _trouble(error: Exception) -> Mapping[str, object]:
    """Of what kind it was; its words may hold values."""
    return {"trouble": type(error).__name__, "exit_code": getattr(error, "exit_code", None)}


def _config(config: Path) -> Mapping[str, Any]:
    try:
        load(config, secrets=False)
        faults = 0
    except ScimsyncError as error:
        faults = len(getattr(error, "faults", [error]))
    return {"faults": faults, "configuration": masking.masked_file(config)}


def _state(settings: Settings, store: Store) -> Mapping[str, object]:
    return {
        "kind": settings.state.url.partition(":")[0],
        "bytes": asdict(sizes(store)),
        "links": sum(1 for _ in store.links()),
        "deferred": sum(1 for _ in store.deferred()),
        "suspects": sum(1 for _ in store.suspects()),
        "decisions": len(store.decisions()),
        "quarantine": dict(Counter(each.code for each in store.quarantined())),
        "audit_records": store.head().size,
        "messages": [{state.value: number for state, number in states.items()} for states in store.outbox().values()],
    }


def _run(run: Run) -> Mapping[str, object]:
    return {
        "id": run.id,
        "state": run.state.value,
        "created": run.created,
        "began": run.began,
        "finished": run.finished,
        "partial": run.partial,
        "changes": dict(run.tally),
        "outcomes": dict(run.statuses),
        "spent": dict(run.spent),
        "set_aside": len(run.answered),
        "undoes_a_run": bool(run.undoes),
        "rows": run.health.rows if run.health else None,
        "blanks": {path: round(share, 4) for path, share in run.health.desired.items()} if run.health else None,
    }


def _findings(store: Store) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    for run in store.runs(_RUNS):
        try:
            past = runs.find(store, run.id)
        except ScimsyncError as error:
            found.append({"run": run.id, **_trouble(error)})
            continue
        found.append({
            "run": run.id,
            "findings": _counted(map(_of_finding, past.plan.findings)),
            "outcomes": _counted(map(_of_outcome, past.outcomes)),
        })  # fmt: skip
    return found


def _of_finding(finding: Finding) -> tuple[str, ...]:
    return finding.code, finding.path, finding.severity.value, "holds" if finding.holds else ""


def _of_outcome(outcome: Outcome) -> tuple[str, ...]:
    return outcome.status.value, outcome.code


def _counted(kinds: Iterator[tuple[str, ...]]) -> list[str]:
    return [f"{number} x {' '.join(word for word in kind if word)}" for kind, number in Counter(kinds).most_common()]
