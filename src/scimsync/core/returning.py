"""What a directory takes from whoever becomes inactive, and does not give back to whoever returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.outcomes import STRIPPED, Outcome, Status
from scimsync.model.plans import Delta, Finding, Severity
from scimsync.model.policy import Policy
from scimsync.scim.dialect import Dialect
from scimsync.scim.schema import Place, Value

_GOOD = frozenset({Status.DONE, Status.ALREADY})


def unmapped(policy: Policy, dialect: Dialect) -> tuple[Place, ...]:
    """What the directory takes from inactive people and the mapping does not give back."""
    mapped = {attribute.place.root for attribute in policy.attributes}
    return tuple(dialect.users.resolve(root) for root in sorted(dialect.dropped - mapped))


def bare(places: Sequence[Place], resource: Mapping[str, object]) -> list[Place]:
    """Those of which an account holds nothing."""
    return [place for place in places if place.read(resource) is None]


def finding(key: str, place: Place, last: Value, row: int | None = None) -> Finding:
    """That this person comes back to an account that lost something.

    Args:
        key: The person.
        place: What the account lost.
        last: What it held before it was disabled; None where nobody knows.
        row: Where the person stands in the source.
    """
    names = [str(dict(entry).get(place.key)) for entry in last] if isinstance(last, tuple) else [str(last)]
    known = f"the last ones: {', '.join(sorted(names))}" if last is not None else "the last ones are not known"
    return Finding(
        severity=Severity.WARNING,
        code=STRIPPED,
        subject=key,
        summary="this person comes back and cannot work: the directory took something when the account was disabled",
        detail=f"{place.short}; {known}",
        hint=f"give them back in the directory once the account is active, or map {place.short}",
        row=row,
    )


def judged(
    outcome: Outcome, deltas: Sequence[Delta], places: Sequence[Place], resource: Mapping[str, object]
) -> Outcome:
    """The outcome of a change; of one that enabled an account which lacks what it lost, with the code that says so."""
    enabled = any(d.path == ACTIVE and d.sides.desired is True and d.sides.current is not True for d in deltas)
    lacking = [place.short for place in bare(places, resource)] if enabled and outcome.status in _GOOD else []
    if not lacking:
        return outcome
    told = f"the account is active and has no {', '.join(lacking)}; this person cannot work"
    return replace(outcome, code=STRIPPED, detail=told)
