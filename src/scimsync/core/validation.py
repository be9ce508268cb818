"""What can be known to be wrong before the first write, all at once, as findings.

`validate` goes over the changes of a plan: a value with an error is left out until healthy, or its person; the
rest goes on. `validate_operations` looks at operations alone, for people who build their own. What a provider takes
(lengths, counts, forms, names that must exist) is data of its dialect.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches

from scimsync.core.lifecycle import ACTIVE
from scimsync.core.planner import SENT, operations_of
from scimsync.core.writing import body_bytes, split
from scimsync.errors import InvalidPath
from scimsync.model.plans import BESIDES, Change, Delta, Finding, Severity, Verdict
from scimsync.model.policy import Mapped
from scimsync.scim.dialect import GENERIC, Dialect, NameList
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Attribute, Catalog, Kind, Place, Value, phone_form

#: controls, and what is as invisible and turns or joins what stands around it (zero width, direction, a mark inside)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
#: a local part and a domain of at least two labels (RFC 5321 §4.1.2 without quoting and address literals)
_EMAIL = re.compile(
    r"(?=.{3,254}$)(?=[^@]{1,64}@)[^\s@.\"(),:;<>\[\\\]]+(?:\.[^\s@.\"(),:;<>\[\\\]]+)*"
    r"@(?:(?!-)[\w-]{1,63}(?<![-_])\.)+(?!-)[\w-]{2,63}(?<![-_])"
)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}(?:;ext=[0-9]{1,15})?")
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
#: code -> what it means, what to do
_WORDS: Mapping[str, tuple[str, str]] = {
    "operation.invalid": ("an operation cannot be sent as it is", "see the page of this code"),
    "operation.too-large": ("a change is larger than one request may be", "shorten what the detail names"),
    "record.incomplete": ("a value that every account or element needs is missing", "fill it in the source"),
    "record.too-long": ("a text is longer than the directory takes", "shorten it in the source, or with left() in the "
                        "mapping; the limit is [target] characters"),
    "record.too-many": ("a list has more elements than the directory takes", "take some of them from the source"),
    "record.bad-date": ("a date is none", "write it as YYYY-MM-DD"),
    "record.bad-email": ("an e-mail address is none", "correct it in the source: name@domain, nothing around it"),
    "record.bad-phone": ("a phone number cannot be read", "write it with country code (+1...), or map it with e164"),
    "record.bad-level": ("a number is out of range", "correct it in the source"),
    "record.control-characters": (
        "a text holds control characters", "take line breaks, tabs and the like out of it in the source",
    ),
    "record.not-canonical": ("a value is none of those that the schema lists", "take one of those"),
    "record.duplicate-element": ("a list names one thing twice", "keep one of the two in the source"),
    "record.duplicate-login": ("several people want the same login", "give each of them a login of its own"),
    "record.duplicate-external-id": (
        "several people want the same externalId", "give each of them a value of its own in the source",
    ),
    "reference.self": ("a person refers to themselves", "name another person in the source, or nobody"),
    "role.unknown": ("the directory has no role of this name", "make it in Genesys Cloud, or correct the source"),
    "division.unknown": (
        "the directory has no division of this name", "make it in Genesys Cloud, or correct the source",
    ),
    "skill.unknown": ("the directory has no skill of this name", "make it in Genesys Cloud, or correct the source"),
    "language.unknown": (
        "the directory has no language of this name", "make it in Genesys Cloud, or correct the source",
    ),
}  # fmt: skip
_UNKNOWN = {kind: f"{kind}.unknown" for kind in ("role", "division", "skill", "language")}
#: what no two people may share, and the code where two of a plan would
_UNIQUE = {"userName": "record.duplicate-login", "externalId": "record.duplicate-external-id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known about the directory beside the people."""

    #: kind -> the names that exist; None, or no entry, where they cannot be known
    names: Mapping[str, frozenset[str] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """The changes that may go on, and what is wrong with the others."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Fault:
    code: str
    path: str
    detail: str = ""
    hint: str = ""
    #: the deltas that it spoils
    spoils: tuple[str, ...] = ()

    def finding(self, subject: str, row: int | None, path: str = "") -> Finding:
        summary, hint = _WORDS[self.code]
        return Finding(
            severity=Severity.ERROR,
            code=self.code,
            subject=subject,
            summary=summary,
            detail=f"{self.path}: {self.detail}" if self.detail else self.path,
            hint=self.hint or hint,
            row=row,
            holds=True,
            path=path,
        )


# --- the changes of a plan ----------------------------------------------------------------------------


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
        known: What `name_kinds` of these changes asked for.
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


def _shared(changes: Iterable[Change], attributes: Mapping[str, Mapped]) -> dict[tuple[str, int], list[_Fault]]:
    """Which change would give what somebody else of the same plan gets too, by key and part."""
    wanted: dict[tuple[str, Value], list[Change]] = defaultdict(list)
    for change in changes:
        for delta in _written(change):
            if delta.path in _UNIQUE and delta.path in attributes and delta.sides.desired is not None:
                value = attributes[delta.path].place.normal(delta.sides.desired)
                wanted[delta.path, value].append(change)
    found: dict[tuple[str, int], list[_Fault]] = defaultdict(list)
    for (path, _), takers in wanted.items():
        for one in takers if len(takers) > 1 else ():
            others = ", ".join(other.key for other in takers if other is not one)
            found[one.key, one.part].append(_Fault(_UNIQUE[path], path, f"also {others}", spoils=(path,)))
    return found


@dataclass(frozen=True, slots=True)
class _Validation:
    """One walk over one plan."""

    attributes: Mapping[str, Mapped]
    catalog: Catalog
    dialect: Dialect
    known: Known
    #: path of an operation -> why it cannot be written; "" where it can
    paths: dict[str, str] = field(default_factory=dict)

    def faults(self, change: Change) -> Iterator[_Fault]:
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
                yield _Fault("operation.invalid", path, why, spoils=self._behind(path, change))
        yield from self._of_size(change)

    def mended(
        self, change: Change, faults: Sequence[_Fault], marks: frozenset[str], *, whole: bool
    ) -> tuple[Change | None, list[Finding]]:
        """A change without its bad values, None where nothing of it may go on; and what is told of them."""
        essential = self._essential(change, marks)
        left: Change | None = change
        found: list[_Fault] = []
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
        needed = (m.path for m in self.attributes.values() if m.place.attribute.required and m.place.urn is None)
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

    def _of_delta(self, change: Change, delta: Delta, place: Place) -> _Fault | None:
        value, held = delta.sides.desired, delta.sides.current
        if place.kind is Kind.REFERENCE:
            own = delta.awaits == change.key if delta.awaits else change.account is not None and value == change.account
            return _Fault("reference.self", delta.path) if own else None
        fault = _value_fault(place, value, held, self.dialect)
        listed = next((one for one in self.dialect.names if one.root == place.root), None)
        return fault if fault is not None or listed is None else self._unknown(place, listed, value, held)

    def _unknown(self, place: Place, listed: NameList, value: Value, held: Value) -> _Fault | None:
        names = self.known.names.get(listed.kind)
        wanted, there = _names(place, value), _names(place, held)
        strange = [] if names is None else [name for name in wanted if name not in names and name not in there]
        if not strange or names is None:
            return None
        return _Fault(_UNKNOWN[listed.kind], place.short, ", ".join(strange), _did_you_mean(strange[0], names))

    def _why_not(self, operation: Operation) -> str:
        path = operation.path or ""
        if path not in self.paths:
            found = _resolved(path, self.catalog, self.dialect)
            self.paths[path] = found if isinstance(found, str) else ""
        return self.paths[path]

    def _of_size(self, change: Change) -> Iterator[_Fault]:
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
                yield _Fault("operation.too-large", str(where), f"{size} bytes, at most {limit}", spoils=spoils)


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


# --- one value ----------------------------------------------------------------------------------------


def _value_fault(place: Place, value: Value, held: Value, dialect: Dialect) -> _Fault | None:
    if value is None:
        needed = place.leaf.required and place.path.filter is None
        return _Fault("record.incomplete", place.short) if needed else None
    if not isinstance(value, tuple):
        return _text_fault(place, place.leaf, value, dialect, place.short)
    there = {place.normal((entry,)) for entry in held} if isinstance(held, tuple) else set()
    fresh = [dict(entry) for entry in value if place.normal((entry,)) not in there]
    keys = [identity for entry in value if (identity := place.identity(entry)) is not None]
    most = dialect.elements.get(place.root, 0)
    if most and len(value) > most:
        return _Fault("record.too-many", place.short, f"{len(value)}, at most {most}")
    fault = next(filter(None, (_element_fault(place, element, dialect) for element in fresh)), None)
    if fault is None and len(place.attribute.sub_attributes) > 1 and len(set(keys)) < len(keys):
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        return _Fault("record.duplicate-element", place.short, ", ".join(twice)) if place.key != "value" else None
    return fault


def _element_fault(place: Place, element: Mapping[str, object], dialect: Dialect) -> _Fault | None:
    """The first thing that is wrong with one element of a list, or with the members of a complex value."""
    held = {name.lower(): value for name, value in element.items()}
    for sub in place.attribute.sub_attributes:
        value, path = held.get(sub.name.lower()), f"{place.short}.{sub.name}"
        if sub.required and value in (None, ""):
            return _Fault("record.incomplete", path)
        if value is not None and sub.mutability != "readOnly":
            fault = _text_fault(place, sub, value, dialect, path)
            if fault is not None:
                return fault
    return None


def _text_fault(place: Place, leaf: Attribute, value: object, dialect: Dialect, path: str) -> _Fault | None:  # noqa: PLR0911 - one line for each rule
    if not _is_of(leaf.type, value):
        return _Fault("operation.invalid", path, f"it takes a {leaf.type}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most = dialect.ranges.get(leaf.name, (value, value))
        return None if least <= value <= most else _Fault("record.bad-level", path, f"from {least:g} to {most:g}")
    if not isinstance(value, str):
        return None
    if _CONTROL.search(value):
        return _Fault("record.control-characters", path)
    if dialect.characters and len(value) > dialect.characters:
        return _Fault("record.too-long", path, f"{len(value)} characters, at most {dialect.characters}")
    words = {word.lower() for word in leaf.canonical_values}
    if words and value.lower() not in words:
        return _Fault("record.not-canonical", path, f"one of {', '.join(leaf.canonical_values)}")
    name = place.attribute.name
    is_email = (name == "userName" and dialect.login_is_email) or (name == "emails" and leaf.name == "value")
    if is_email and not _EMAIL.fullmatch(value):
        return _Fault("record.bad-email", path)
    is_phone = name == "phoneNumbers" and leaf.name == "value" and dialect.phones_are_e164
    if is_phone and not _PHONE.fullmatch(phone_form(value)):
        return _Fault("record.bad-phone", path)
    if (leaf.type == "dateTime" or place.kind is Kind.DATE) and not _is_date(value):
        return _Fault("record.bad-date", path)
    return None


def _is_of(type_: str, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match type_:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return is_number and value == int(value)  # type: ignore[call-overload]
        case "decimal":
            return is_number
        case "complex":
            return isinstance(value, Mapping)
    return isinstance(value, str)


def _is_date(value: str) -> bool:
    if not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True


# --- operations alone ---------------------------------------------------------------------------------


def validate_operations(
    operations: Sequence[Operation],
    catalog: Catalog,
    *,
    dialect: Dialect = GENERIC,
    subject: str = "",
    row: int | None = None,
) -> tuple[Finding, ...]:
    """What is wrong with the operations of one PATCH, all at once; nothing is sent and nothing is asked.

    Args:
        operations: As they would be sent (RFC 7644 §3.5.2).
        catalog: The schemas they are about.
        dialect: What the provider takes beyond its schemas.
        subject: Whom the findings are about.
        row: Where that person stands in the source.

    Examples:
        >>> from scimsync.scim.dialect import GENESYS
        >>> wrong = [
        ...     Operation("replace", "titel", "Lead"),
        ...     Operation("add", "emails", [{"value": "a@b", "type": "work"}]),
        ... ]
        >>> [(f.code, f.detail) for f in validate_operations(wrong, GENESYS.users)]  # doctest: +NORMALIZE_WHITESPACE
        [('operation.invalid', 'titel: the target has no attribute titel; did you mean title?'),
         ('record.bad-email', 'emails.value')]
    """
    faults = [fault for operation in operations for fault in _operation_faults(operation, catalog, dialect)]
    most, size = dialect.operations_per_patch, dialect.request_bytes
    if most and len(operations) > most:
        faults.append(_Fault("operation.too-large", "PATCH", f"{len(operations)} operations, at most {most}"))
    if size and (found := body_bytes(operations)) > size:
        faults.append(_Fault("operation.too-large", "PATCH", f"{found} bytes, at most {size}"))
    return tuple(fault.finding(subject, row) for fault in faults)


def _operation_faults(operation: Operation, catalog: Catalog, dialect: Dialect) -> Iterator[_Fault]:
    op, path = operation.op.lower(), operation.path
    if op not in {"add", "replace", "remove"}:
        yield _Fault("operation.invalid", path or "PATCH", f"{operation.op!r} is none of add, replace, remove")
    elif op == "remove" and path is None:
        yield _Fault("operation.invalid", "PATCH", "a remove needs a path")
    elif path is None or path.lower() in {schema.id.lower() for schema in catalog.schemas}:
        yield from _member_faults(operation, catalog, dialect)
    else:
        place = _resolved(path, catalog, dialect)
        fault = _Fault("operation.invalid", path, place) if isinstance(place, str) else None
        if not isinstance(place, str):
            value = None if op == "remove" else operation.value
            fault = _written_fault(place, value, dialect)
        if fault is not None:
            yield fault


def _member_faults(operation: Operation, catalog: Catalog, dialect: Dialect) -> Iterator[_Fault]:
    """An operation without path, or on a whole extension: each member of its object stands for one."""
    if operation.op == "remove":
        return
    if not isinstance(operation.value, Mapping):
        yield _Fault("operation.invalid", operation.path or "PATCH", "without path it takes an object")
        return
    prefix = f"{operation.path}:" if operation.path else ""
    for name, value in operation.value.items():
        if name.lower() != "schemas":
            yield from _operation_faults(Operation(operation.op, f"{prefix}{name}", value), catalog, dialect)


def _resolved(path: str, catalog: Catalog, dialect: Dialect) -> Place | str:
    """What a path names, or why it cannot be written."""
    try:
        place = catalog.resolve(path)
    except InvalidPath as error:
        return error.reason
    for name, why in dialect.unwritable.items():
        if place.short.lower() == name.lower() or place.short.lower().startswith(
            (f"{name.lower()}.", f"{name.lower()}[")
        ):
            return why
    if place.read_only:
        return "it is read-only"
    for name, wanted in place.selector.items():
        sub = place.attribute.sub(name)
        words = sub.canonical_values if sub else ()
        if words and str(wanted).lower() not in {word.lower() for word in words}:
            return f"{wanted} is no {name} of {place.attribute.name}; it takes {', '.join(words)}"
    return place


def _written_fault(place: Place, value: object, dialect: Dialect) -> _Fault | None:
    if value is None or value == []:
        return _value_fault(place, None, None, dialect)
    if place.kind is Kind.LIST and isinstance(value, list):
        elements = [item if isinstance(item, Mapping) else {place.key: item} for item in value]
        most = dialect.elements.get(place.root, 0)
        if most and len(elements) > most:
            return _Fault("record.too-many", place.short, f"{len(elements)}, at most {most}")
        return next(filter(None, (_element_fault(place, element, dialect) for element in elements)), None)
    if isinstance(value, Mapping) and place.attribute.type == "complex":
        return _element_fault(place, value, dialect)
    if place.kind in {Kind.LIST, Kind.REFERENCE}:
        element = {place.key if place.kind is Kind.LIST else "value": value}
        return _element_fault(place, element, dialect)
    return _text_fault(place, place.leaf, value, dialect, place.short)
