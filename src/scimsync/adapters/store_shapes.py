"""Rows of the tables as what we keep, whoever read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scimsync.model.outcomes import Document, JournalLine, Outcome, Pin, Run, RunState, Status, Step
from scimsync.model.records import SourceHealth
from scimsync.scim.schema import value_from_json


def health_to_json(health: SourceHealth) -> dict[str, object]:
    """The health of a source as JSON."""
    shares = {"blanks": dict(health.blanks), "desired": dict(health.desired)}
    return {"rows": health.rows, "fingerprint": health.fingerprint, **shares}


def run_from(row: Mapping[Any, Any]) -> Run:
    """A row as a run."""
    held = {str(name): value for name, value in row.items()}
    health = held.pop("health")
    changed = {"takes": tuple(held["takes"]), "answered": tuple(held["answered"]), "state": RunState(held["state"])}
    return Run(**held | changed, health=None if health is None else SourceHealth(**health))


def pin_from(row: Mapping[Any, Any]) -> Pin:
    """A row as a pin."""
    documents = {name: Document(held["body"], held["tag"]) for name, held in row["documents"].items()}
    return Pin(target=row["target"], at=row["at"], actor=row["actor"], documents=documents)


def line_from(row: Mapping[Any, Any]) -> JournalLine:
    """A row as a line of the journal."""
    held = {str(name): value for name, value in row.items() if name not in {"seq", "step", "outcome"}}
    outcome = None if row["outcome"] is None else _outcome_from(row["outcome"], row["part"])
    return JournalLine(**held, step=Step(row["step"]), outcome=outcome)


def _outcome_from(found: dict[str, Any], part: int) -> Outcome:
    changed = {
        "part": part,
        "status": Status(found["status"]),
        "written": {path: value_from_json(value) for path, value in found["written"].items()},
        "overwritten": tuple(found["overwritten"]),
        "deferred": tuple(found.get("deferred", ())),
    }
    return Outcome(**{**found, **changed})
