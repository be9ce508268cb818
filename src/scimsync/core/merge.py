"""Three-way merge: what becomes of one attribute when both sides may have moved.

Two values are equal when SCIM says so (`Place.same`). A list under `merge` is a set of elements, each
with its key: what HR added is added, what HR dropped is dropped, what others put there stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from msgspec import Struct

from scimsync.model.plans import Reason, Sides, Verdict
from scimsync.model.policy import Authority
from scimsync.scim.grammar import Scalar
from scimsync.scim.schema import Entry, Kind, Place, Value

#: what tells an element of a list from the others: its key, or all of it
Identity: TypeAlias = Scalar | Value


class Merged(Struct, frozen=True):
    """The verdict on one attribute; `value` is what the directory shall hold (for WRITE)."""

    verdict: Verdict
    reason: Reason
    value: Value = None


def merge(place: Place, sides: Sides, authority: Authority) -> Merged | None:
    """Decide what becomes of one attribute.

    The directory's value is overwritten in two cases only: it has not moved since both sides agreed,
    or policy says that HR wins; where others have values of their own (`Place.filled`), in the first case only.

    Returns:
        The verdict; None where there is nothing to do, because both sides hold the same, or because
        under `merge` all that HR asks for is there.
    """
    if place.same(sides.desired, sides.current):
        return None
    if place.kind is Kind.LIST and authority is Authority.MERGE:
        return _merge_list(place, sides)
    reason = _reason(place, sides)
    if reason is Reason.SOURCE_MOVED:
        return Merged(Verdict.WRITE, reason, sides.desired)
    match authority:
        case Authority.LOCAL_WINS if place.filled and sides.current is not None:
            return Merged(Verdict.KEEP, reason)
        case Authority.LOCAL_WINS:
            return Merged(Verdict.WRITE, reason, sides.desired)
        case Authority.CLOUD_WINS:
            return Merged(Verdict.KEEP, reason)
        case Authority.ASK:
            return Merged(Verdict.CONFLICT, reason)
        case Authority.MERGE:
            return _merge_single(sides, reason)


def _reason(place: Place, sides: Sides) -> Reason:
    if not sides.known:
        return Reason.NO_BASE
    if place.same(sides.current, sides.base):
        return Reason.SOURCE_MOVED
    return Reason.TARGET_MOVED if place.same(sides.desired, sides.base) else Reason.BOTH_MOVED


def _merge_single(sides: Sides, reason: Reason) -> Merged:
    """One value cannot be merged: the side that moved wins, a blank gives way, else a person decides."""
    if reason is Reason.TARGET_MOVED:
        return Merged(Verdict.KEEP, reason)
    if reason is Reason.NO_BASE and sides.current is None:
        return Merged(Verdict.WRITE, reason, sides.desired)
    if reason is Reason.NO_BASE and sides.desired is None:
        return Merged(Verdict.KEEP, reason)
    return Merged(Verdict.CONFLICT, reason)


def _merge_list(place: Place, sides: Sides) -> Merged | None:
    """Add desired - base - current; remove = (base - desired) that current still holds."""
    desired, current, base = keyed(place, sides.desired, sides.current, sides.base if sides.known else None)
    merged = dict(current)
    for key, entry in desired.items():
        held, agreed = current.get(key), base.get(key)
        is_new = held is None and agreed is None
        moved = held is not None and (agreed is None or not place.same((entry,), (agreed,)))
        if is_new or moved:
            merged[key] = entry
    for key in base.keys() - desired.keys():
        merged.pop(key, None)
    value = tuple(sorted(merged.values(), key=repr)) or None
    if place.same(value, sides.current):
        return None
    return Merged(Verdict.WRITE, _reason(place, sides), value)


def keyed(place: Place, *values: Value) -> list[dict[Identity, Entry]]:
    """The elements of list values by what identifies them.

    That is their key; where a key is missing or stands twice in a list, it is the whole element, in all
    of the lists, so that no element hides another.
    """
    lists = [value if isinstance(value, tuple) else () for value in values]
    return [dict(zip(names, listed, strict=True)) for names, listed in zip(_names(place, lists), lists, strict=True)]


def is_keyed(place: Place, *values: Value) -> bool:
    """Whether the key alone tells the elements of each of these lists apart."""
    return all(len(set(names)) == len(names) and None not in names for names in _keys(place, values))


def _keys(place: Place, values: Iterable[Value]) -> list[list[Scalar]]:
    return [[place.identity(entry) for entry in value] if isinstance(value, tuple) else [] for value in values]


def _names(place: Place, lists: Sequence[tuple[Entry, ...]]) -> Sequence[Sequence[Identity]]:
    if is_keyed(place, *lists):
        return _keys(place, lists)
    return [[place.normal((entry,)) for entry in listed] for listed in lists]
