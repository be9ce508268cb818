"""What is wrong with the operations of one PATCH: for those of a plan, and for people who build their own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scimsync.core.faults import Fault, element_fault, text_fault, value_fault
from scimsync.core.writing import body_bytes
from scimsync.errors import InvalidPath
from scimsync.model.plans import Finding
from scimsync.scim.dialect import Dialect
from scimsync.scim.generic import GENERIC
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Catalog, Kind, Place


def checked_operations(given: object, catalog: Catalog, *, dialect: Dialect = GENERIC) -> tuple[Finding, ...]:
    """What is wrong with whatever somebody takes for the operations of one PATCH.

    Args:
        given: A list of operations, as objects or as JSON; a whole body; or anything else.
        catalog: The schemas they are about.
        dialect: What the provider takes beyond its schemas.
    """
    if isinstance(given, Mapping):
        given = given.get("Operations", [given])
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        return (Fault("operation.invalid", "PATCH", f"a list of operations, not {_kind(given)}").finding("", None),)
    read: list[Operation] = []
    faults: list[Fault] = []
    for number, one in enumerate(given, 1):
        operation = _read(one)
        if isinstance(operation, str):
            faults.append(Fault("operation.invalid", "PATCH", f"operation {number} {operation}"))
        else:
            read.append(operation)
    told = tuple(fault.finding("", None) for fault in faults)
    return told + validate_operations(read, catalog, dialect=dialect)


def _read(one: object) -> Operation | str:
    """One operation as it would be sent, or what is wrong with it."""
    op: object
    path: object
    if isinstance(one, Operation):
        op, path, value = one.op, one.path, one.value
    elif isinstance(one, Mapping):
        op, path, value = one.get("op"), one.get("path"), one.get("value")
    else:
        return f"is no object, but {_kind(one)}"
    if not isinstance(op, str):
        return f"has {_kind(op)} for op, which is one of add, replace, remove"
    if not isinstance(path, str | None):
        return f"has {_kind(path)} for path, which is a text"
    try:
        operation = Operation(op, path, json.loads(json.dumps(value, allow_nan=False)))
        body_bytes([Operation("add", path, [op, operation.value])])
    except (TypeError, ValueError, OverflowError, RecursionError):
        return "cannot be sent: its value is no JSON (RFC 8259), or nested too deeply"
    return operation


def _kind(found: object) -> str:
    return "nothing" if found is None else f"a {type(found).__name__}"


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
        >>> from scimsync.scim.genesys import GENESYS
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
        faults.append(Fault("operation.too-large", "PATCH", f"{len(operations)} operations, at most {most}"))
    if size and (found := body_bytes(operations)) > size:
        faults.append(Fault("operation.too-large", "PATCH", f"{found} bytes, at most {size}"))
    return tuple(fault.finding(subject, row) for fault in faults)


def _operation_faults(operation: Operation, catalog: Catalog, dialect: Dialect) -> Iterator[Fault]:
    op, path = operation.op.lower(), operation.path
    if op not in {"add", "replace", "remove"}:
        yield Fault("operation.invalid", path or "PATCH", f"{operation.op!r} is none of add, replace, remove")
    elif op == "remove" and path is None:
        yield Fault("operation.invalid", "PATCH", "a remove needs a path")
    elif path is None or path.lower() in {schema.id.lower() for schema in catalog.schemas}:
        yield from _member_faults(operation, catalog, dialect)
    else:
        place = resolved(path, catalog, dialect)
        fault = Fault("operation.invalid", path or "PATCH", place) if isinstance(place, str) else None
        if not isinstance(place, str):
            value = None if op == "remove" else operation.value
            fault = _written_fault(place, value, dialect)
        if fault is not None:
            yield fault


def _member_faults(operation: Operation, catalog: Catalog, dialect: Dialect) -> Iterator[Fault]:
    """An operation without path, or on a whole extension: each member of its object stands for one."""
    if operation.op == "remove":
        return
    if not isinstance(operation.value, Mapping):
        yield Fault("operation.invalid", operation.path or "PATCH", "without path it takes an object")
        return
    prefix = f"{operation.path}:" if operation.path else ""
    for name, value in operation.value.items():
        if name.lower() != "schemas":
            yield from _operation_faults(Operation(operation.op, f"{prefix}{name}", value), catalog, dialect)


def resolved(path: str, catalog: Catalog, dialect: Dialect) -> Place | str:
    """What a path names, or why it cannot be written."""
    try:
        place = catalog.resolve(path)
    except InvalidPath as error:
        return error.reason
    if why := dialect.refusal(place):
        return why
    for name, wanted in place.selector.items():
        sub = place.attribute.sub(name)
        words = sub.canonical_values if sub else ()
        if words and str(wanted).lower() not in {word.lower() for word in words}:
            return f"{wanted} is no {name} of {place.attribute.name}; it takes {', '.join(words)}"
    return place


def _written_fault(place: Place, value: object, dialect: Dialect) -> Fault | None:
    if value is None or value == []:
        return value_fault(place, None, None, dialect)
    if place.kind is Kind.LIST and isinstance(value, list):
        elements = [item if isinstance(item, Mapping) else {place.key: item} for item in value]
        most = dialect.elements.get(place.root, 0)
        if most and len(elements) > most:
            return Fault("record.too-many", place.short, f"{len(elements)}, at most {most}")
        return next(filter(None, (element_fault(place, element, dialect) for element in elements)), None)
    if isinstance(value, Mapping) and place.attribute.type == "complex":
        return element_fault(place, value, dialect)
    if place.kind in {Kind.LIST, Kind.REFERENCE}:
        element = {place.key if place.kind is Kind.LIST else "value": value}
        return element_fault(place, element, dialect)
    return text_fault(place, place.leaf, value, dialect, place.short)
