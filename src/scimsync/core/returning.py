"""What a directory takes from whoever becomes inactive, and does not give back to whoever returns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from scimsync.core.lifecycle import ACTIVE
from scimsync.core.planner import operations_of
from scimsync.model.outcomes import STRIPPED, Outcome, Status
from scimsync.model.plans import Change, Delta, Finding, Reason, Severity, Sides, Verdict
from scimsync.model.policy import Authority, Mapped, Policy, Rehire
from scimsync.scim.dialect import Dialect
from scimsync.scim.schema import Place, Value

_GOOD = frozenset({Status.DONE, Status.ALREADY})
#: the rule by which what is proposed is given
RULES = frozenset({STRIPPED})


def unmapped(policy: Policy, dialect: Dialect) -> tuple[Place, ...]:
    """What the directory takes from inactive people and the mapping does not give back."""
    mapped = {attribute.place.root for attribute in policy.attributes}
    return tuple(dialect.users.resolve(root) for root in sorted(dialect.dropped - mapped))


def bare(places: Sequence[Place], resource: Mapping[str, object]) -> list[Place]:
    """Those of which an account holds nothing."""
    return [place for place in places if place.read(resource) is None]


def gives(rehire: Rehire, overrides: Collection[str]) -> bool:
    """Whether what the directory took is given back: policy says so, or a person did of what was proposed."""
    return rehire is Rehire.RESTORE or (rehire is Rehire.PROPOSE and STRIPPED in overrides)


def existing(place: Place, last: Value, names: Collection[str] | None) -> Value:
    """What an account held, without what does not exist any more; all of it where nobody knows what exists."""
    if names is None or not isinstance(last, tuple):
        return last
    return tuple(entry for entry in last if str(dict(entry).get(place.key)) in names) or None


def giving(change: Change, place: Place, last: Value) -> Change:
    """A change that enables an account, with what it held before it was disabled."""
    mapped = Mapped(place=place, expression="", authority=Authority.MERGE)
    delta = Delta(
        path=place.short,
        sides=Sides(desired=last, current=None, base=None, known=True),
        verdict=Verdict.WRITE,
        reason=Reason.RETURNED,
        authority=Authority.MERGE,
    )
    deltas = (*change.deltas, delta)
    return replace(change, deltas=deltas, operations=(*change.operations, *operations_of([delta], [mapped])))


def finding(key: str, place: Place, last: Value, row: int | None = None, *, rehire: Rehire = Rehire.LEAVE) -> Finding:
    """That this person comes back to an account that lost something.

    Args:
        key: The person.
        place: What the account lost.
        last: What it held before it was disabled; None where nobody knows.
        row: Where the person stands in the source.
        rehire: What policy says; a proposal only where what is known may be this person's.
    """
    names = [str(dict(entry).get(place.key)) for entry in last] if isinstance(last, tuple) else [str(last)]
    known = f"the last ones: {', '.join(sorted(names))}" if last is not None else "the last ones are not known"
    hint = f"give them back in the directory once the account is active, or map {place.short}"
    if rehire is Rehire.PROPOSE and last is not None:
        hint = f'proposed: the last ones, with --user {key} --override {STRIPPED} --reason "..."; or {hint}'
    return Finding(
        severity=Severity.WARNING,
        code=STRIPPED,
        subject=key,
        summary="this person comes back and cannot work: the directory took something when the account was disabled",
        detail=f"{place.short}; {known}",
        hint=hint,
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
