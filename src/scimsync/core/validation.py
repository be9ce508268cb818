"""What can be known to be wrong before the first write, all at once, as findings.

`validate` goes over the changes of a plan: a value with an error is left out until healthy, or its person; the
rest goes on. What is wrong with one value stands in `faults`, with one operation in `operations`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core.faults import Fault, value_fault
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.operations import resolved
from scimsync.core.planner import SENT, operations_of
from scimsync.core.writing import body_bytes, split
from scimsync.model.phones import PhoneReader, Unread
from scimsync.model.plans import BESIDES, Change, Delta, Finding, Verdict
from scimsync.model.policy import Mapped
from scimsync.scim.dialect import Dialect, NameList
from scimsync.scim.forms import phone_form
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Catalog, Kind, Place, Value

_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
_UNKNOWN = {kind: f"{kind}.unknown" for kind in ("role", "division", "skill", "language", "location", "team")}
#: what no two people may share, and the code where two of a plan would
_UNIQUE = {"userName": "record.duplicate-login", "externalId": "record.duplicate-external-id"}


class Known(Struct, frozen=True, kw_only=True):
    """What is known beside the changes."""

    #: what reads phone numbers; None where nobody asks whether one can be dialled
    phones: PhoneReader | None = None
    #: kind -> the names that exist; None, or no entry, where they cannot be known
    names: Mapping[str, frozenset[str] | None] = field(default_factory=dict)


class Validated(Struct, frozen=True, kw_only=True):
    """The changes that may go on, and what is wrong with the others."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]


def validate(  # noqa: PLR0913 - what is validated, against what, and by which policy
    changes: Sequence[Change],
    attributes: Iterable[Mapped],
    catalog: Catalog,
    dialect: Dialect,
    known: Known,
    *,
    marks: frozenset[str] = frozenset(),
    whole: bool = False,
) -> Validated:
    """Look at every change of a plan.

    A value with an error is left out, and the others go on. With a bad login or status the whole change waits, and
    so does a creation that lacks what every account needs, or what the person is found by. That a leaver's access is
    taken away is a change of its own, which holds no other value.

    Args:
        changes: What would be written.
        attributes: What a plan may write.
        catalog: The schemas of the accounts.
        dialect: What the provider takes.
        known: What `name_kinds` of these changes asked for, and what reads phone numbers.
        marks: Paths by which people are found.
        whole: A value with an error leaves out its whole change.
    """
    work = _Validation({mapped.path: mapped for mapped in attributes}, catalog, dialect, known)
    shared = _shared(changes, work.attributes)
    kept: list[Change] = []
    findings: list[Finding] = []
    for change in changes:
        faults = [*work.faults(change), *shared.get((change.key, change.part), ())]
        left, told = work.mended(change, faults, marks, whole=whole) if faults else (change, [])
        findings += told
        if left is not None:
            kept.append(left)
    return Validated(changes=tuple(kept), findings=tuple(findings))


def name_kinds(changes: Iterable[Change], attributes: Iterable[Mapped], dialect: Dialect) -> list[str]:
    """The kinds of names that these changes write, and that must exist: what to ask the directory for."""
    roots = {mapped.path: mapped.place.root for mapped in attributes}
    written = {roots[delta.path] for change in changes for delta in _written(change) if delta.path in roots}
    return [one.kind for one in dialect.names if one.root in written]


def _written(change: Change) -> Iterator[Delta]:
    return (delta for delta in change.deltas if delta.verdict is Verdict.WRITE)


def _shared(changes: Iterable[Change], attributes: Mapping[str, Mapped]) -> dict[tuple[str, int], list[Fault]]:
    """Which change would give what somebody else of the same plan gets too, by key and part."""
    wanted: dict[tuple[str, Value], list[Change]] = defaultdict(list)
    for change in changes:
        for delta in _written(change):
            if delta.path in _UNIQUE and delta.path in attributes and delta.sides.desired is not None:
                value = attributes[delta.path].place.normal(delta.sides.desired)
                wanted[delta.path, value].append(change)
    found: dict[tuple[str, int], list[Fault]] = defaultdict(list)
    for (path, _), takers in wanted.items():
        for one in takers if len(takers) > 1 else ():
            others = ", ".join(other.key for other in takers if other is not one)
            found[one.key, one.part].append(Fault(_UNIQUE[path], path, f"also {others}", spoils=(path,)))
    return found


class _Validation(Struct, frozen=True):
    """One walk over one plan."""

    attributes: Mapping[str, Mapped]
    catalog: Catalog
    dialect: Dialect
    known: Known
    #: path of an operation -> why it cannot be written; "" where it can
    paths: dict[str, str] = field(default_factory=dict)

    def faults(self, change: Change) -> Iterator[Fault]:
        """What is wrong with one change: of each attribute the first thing that is."""
        for delta in change.deltas:
            mapped = self.attributes.get(delta.path)
            if mapped is None or delta.verdict not in SENT:
                continue
            fault = self._of_delta(change, delta, mapped.place)
            if fault is not None:
                yield replace(fault, spoils=(delta.path,))
        for operation in change.operations:
            if why := self._why_not(operation):
                path = str(operation.path)
                yield Fault("operation.invalid", path, why, spoils=self._behind(path, change))
        yield from self._of_size(change)

    def mended(
        self, change: Change, faults: Sequence[Fault], marks: frozenset[str], *, whole: bool
    ) -> tuple[Change | None, list[Finding]]:
        """A change without its bad values, None where nothing of it may go on; and what is told of them."""
        essential = self._essential(change, marks)
        left: Change | None = change
        found: list[Fault] = []
        waits = False
        while faults and left is not None:
            found += faults
            spoiled = {path for fault in faults for path in fault.spoils}
            waits = whole or bool(spoiled & essential) or not all(fault.spoils for fault in faults)
            left = None if waits else self._without(left, spoiled)
            faults = [] if left is None else [*self.faults(left)]
        alone = not waits or change.part == BESIDES
        return left, [
            fault.finding(change.key, change.row, fault.spoils[0] if alone and fault.spoils else "") for fault in found
        ]

    def _essential(self, change: Change, marks: frozenset[str]) -> frozenset[str]:
        """The paths without which a change says too little about a person."""
        if change.account is not None:
            return frozenset({"userName", ACTIVE})
        needed = (m.path for m in self.attributes.values() if m.place.needed)
        return frozenset({"userName", ACTIVE, *marks, *needed})

    def _without(self, change: Change, spoiled: AbstractSet[str]) -> Change | None:
        """A change without some values; without its `value`, the other parts of an element go too."""
        places = {path: mapped.place for path, mapped in self.attributes.items()}
        elements = {places[path].element for path in spoiled if places[path].leaf.name == "value"} - {None, ""}
        deltas = tuple(
            d
            for d in change.deltas
            if d.path not in spoiled and not (d.path in places and places[d.path].element in elements)
        )
        if not any(delta.verdict in SENT for delta in deltas):
            return None
        return replace(change, deltas=deltas, operations=operations_of(deltas, [*self.attributes.values()]))

    def _behind(self, path: str, change: Change) -> tuple[str, ...]:
        """The deltas that an operation on a path may stem from."""
        sent = (delta.path for delta in change.deltas if delta.verdict in SENT and delta.path in self.attributes)
        roots = {one: str(self.attributes[one].place.path.attribute) for one in sent}
        return tuple(one for one, root in roots.items() if re.match(rf"{re.escape(root)}(?:[.\[]|$)", path))

    def _of_delta(self, change: Change, delta: Delta, place: Place) -> Fault | None:
        value, held = delta.sides.desired, delta.sides.current
        if place.kind is Kind.REFERENCE:
            own = delta.awaits == change.key if delta.awaits else change.account is not None and value == change.account
            return Fault("reference.self", delta.path) if own else None
        fault = value_fault(place, value, held, self.dialect)
        if fault is None and place.kind is Kind.PHONE and isinstance(value, str):
            return self._of_phone(delta.path, phone_form(value).partition(";")[0])
        listed = next((one for one in self.dialect.names if one.root == place.root), None)
        return fault if fault is not None or listed is None else self._unknown(place, listed, value, held)

    def _of_phone(self, path: str, number: str) -> Fault | None:
        """What is in international form must be a number that can be, however it came into the mapping."""
        if self.known.phones is None or not _INTERNATIONAL.fullmatch(number):
            return None
        match self.known.phones(number, ""):
            case Unread.UNKNOWN_CODE:
                return Fault("record.phone-country", path)
            case Unread() | None:
                return Fault("record.bad-phone", path, "too long or too short for its country")
        return None

    def _unknown(self, place: Place, listed: NameList, value: Value, held: Value) -> Fault | None:
        names = self.known.names.get(listed.kind)
        wanted, there = _names(place, value), _names(place, held)
        strange = [] if names is None else [name for name in wanted if name not in names and name not in there]
        if not strange or names is None:
            return None
        return Fault(_UNKNOWN[listed.kind], place.short, ", ".join(strange), _did_you_mean(strange[0], names))

    def _why_not(self, operation: Operation) -> str:
        path = operation.path or ""
        if path not in self.paths:
            found = resolved(path, self.catalog, self.dialect)
            self.paths[path] = found if isinstance(found, str) else ""
        return self.paths[path]

    def _of_size(self, change: Change) -> Iterator[Fault]:
        limit = self.dialect.request_bytes
        if not limit or body_bytes(change.operations) <= limit:
            return
        parts = [change.operations]
        if change.account is not None:
            parts = split(change.operations, most=self.dialect.operations_per_patch, size=limit)
        for part in parts:
            if (size := body_bytes(part)) > limit:
                where = max(part, key=lambda operation: body_bytes([operation])).path
                spoils = self._behind(str(where), change)
                yield Fault("operation.too-large", str(where), f"{size} bytes, at most {limit}", spoils=spoils)


def _names(place: Place, value: Value) -> list[str]:
    if isinstance(value, tuple):
        return [str(dict(entry).get(place.key)) for entry in value]
    selected = [str(wanted) for name, wanted in place.selector.items() if name == place.key]
    return selected or ([] if value is None else [str(value)])


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    listed = sorted(names)
    same = next((known for known in listed if known.casefold() == name.casefold()), "")
    if same:
        return f"write {same}: case counts"
    near = get_close_matches(name, listed, n=1, cutoff=0.6)
    return f"did you mean {near[0]}? If not, make it in Genesys Cloud first" if near else ""
