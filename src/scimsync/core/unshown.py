"""What a target takes and never shows: which values may be remembered as such, and how it is told.

A value that was answered with success, and of which a look at the account afterwards shows nothing, would be written
in every run, and a list would grow by it each time. So it is remembered, until HR, the mapping, the target's schema or
what the target shows is another. Only what was *given* is: what was to be taken away and is still there never is, and
access (`active`) neither; there every run tries again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.outcomes import Outcome
from scimsync.model.plans import LOGIN, Delta, Finding, Reason, Severity
from scimsync.model.policy import Mapped
from scimsync.scim.dialect import among
from scimsync.scim.schema import Catalog, Entry, Place, Schema, Value

#: the code of what is left alone because it is never shown, and the rule by which a person has it sent once more
CODE = "attribute.unshown"
RULES = frozenset({CODE})
#: the code of one change that the target answered with success, and that does not show
MISMATCH = "write.mismatch"
#: so many people of whom nine in ten miss a value make it the target's trouble, not theirs
_MANY, _SHARE = 3, 0.9


def unshown(
    deltas: Iterable[Delta],
    different: Iterable[str],
    seen: Mapping[str, object],
    attributes: Mapping[str, Mapped],
    reworded: Collection[str] = (),
) -> dict[str, Value]:
    """Of the paths that do not hold what was sent: those that may be remembered, with what is shown there.

    Args:
        deltas: What was sent.
        different: The paths on which the account does not show it.
        seen: The account, as a look at it showed it after the write.
        attributes: Everything that a plan may write.
        reworded: The paths whose values the target writes in a form of its own.
    """
    paths = frozenset(different)
    found = {}
    for delta in deltas:
        place = attributes[delta.path].place
        if delta.path not in paths or delta.path == ACTIVE or delta.reason is Reason.PARKED or not place.published:
            continue
        held = place.read(seen)
        is_ours = _is_missing_only(place, delta, held) or (among(delta.path, reworded) and _is_reworded(delta, held))
        if delta.sides.desired is not None and is_ours:
            found[delta.path] = held
    return found


def _is_missing_only(place: Place, delta: Delta, held: Value) -> bool:
    """Whether nothing is shown, or of a list nothing that was there before and was to go.

    What is shown with fewer members than one of ours is that one. An element that is new there and none of ours is one
    of ours in another form, of which there are no more than are missing.
    """
    if not isinstance(held, tuple):
        return held is None
    wanted, before, shown = (_elements(place, value) for value in (delta.sides.desired, delta.sides.current, held))
    strange = {entry for entry in shown if not any(_is_part(entry, ours) for ours in wanted)}
    missing = [ours for ours in wanted if not any(_is_part(entry, ours) for entry in shown)]
    return not strange & before and len(strange) <= len(missing)


def _is_reworded(delta: Delta, held: Value) -> bool:
    """Whether what is shown may be what was sent in another form: it came with the write, or has the same letters."""
    came = held is not None and held != delta.sides.current
    return came or _letters(held) == _letters(delta.sides.desired)


def _letters(value: Value) -> str:
    return "".join(filter(str.isalnum, str(value).casefold()))


def _is_part(entry: Entry, whole: Entry) -> bool:
    return set(entry) <= set(whole)


def _elements(place: Place, value: Value) -> frozenset[Entry]:
    listed = value if isinstance(value, tuple) else ()
    return frozenset(entry for one in listed for entry in _normal(place, one))


def _normal(place: Place, entry: Entry) -> tuple[Entry, ...]:
    normal = place.normal((entry,))
    return normal if isinstance(normal, tuple) else ()


def schema_mark(published: Iterable[Schema], catalog: Catalog) -> str:
    """What tells what the target publishes of accounts from what it published another day, in whatever order."""
    ours = {schema.id.lower() for schema in catalog.schemas}
    told = sorted(_in_order(schema.to_json()) for schema in published if schema.id.lower() in ours)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _in_order(document: object) -> str:
    """A document as a text, whatever the order of its lists."""
    if isinstance(document, Mapping):
        return "{" + ",".join(f"{name}:{_in_order(document[name])}" for name in sorted(document)) + "}"
    if isinstance(document, list | tuple):
        return "[" + ",".join(sorted(map(_in_order, document))) + "]"
    return repr(document)


def finding(path: str, people: int, of: int) -> Finding:
    """That a value of so many people, of all who have one, is not sent again."""
    return Finding(
        severity=Severity.INFO,
        code=CODE,
        subject="",
        summary="what HR says here was sent and taken, and the directory never shows it; it is not sent again",
        detail=f"{path}: {people:,} of {of:,} {'person' if of == 1 else 'people'}",
        hint=(
            "take the path from [attributes] if the directory does not keep it; it is sent again when HR, the mapping "
            f"or the target's schema changes, or with --override {CODE}"
        ),
    )


class Unkept(Struct, frozen=True, kw_only=True):
    """A path on which the target says yes and does not show what was sent, of nearly everybody."""

    path: str
    missed: int
    tried: int

    def __str__(self) -> str:
        return f"this directory does not keep {self.path}: {self.missed:,} of {self.tried:,}"


def unkept(outcomes: Iterable[Outcome]) -> tuple[Unkept, ...]:
    """The paths on which what was sent does not show of (nearly) everybody to whom it was sent; by path."""
    missed: dict[str, set[str]] = {}
    kept: dict[str, set[str]] = {}
    for outcome in outcomes:
        for path in outcome.unmet:
            missed.setdefault(path, set()).add(outcome.key)
        for path in outcome.written:
            kept.setdefault(path, set()).add(outcome.key)
    counted = ((path, len(keys), len(keys | kept.get(path, set()))) for path, keys in sorted(missed.items()))
    return tuple(
        Unkept(path=path, missed=number, tried=of)
        for path, number, of in counted
        if path not in {ACTIVE, LOGIN} and number >= _MANY and number >= _SHARE * of
    )


def is_summed(outcome: Outcome, found: Iterable[Unkept]) -> bool:
    """Whether what is told of the target says all about this outcome."""
    paths = {one.path for one in found}
    return outcome.code == MISMATCH and bool(outcome.unmet) and paths.issuperset(outcome.unmet)
