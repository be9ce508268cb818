"""From deltas to PATCH operations and to the body of a new resource.

The shapes are those that servers in the wild take: explicit path and value; `add` for an element that
is not there, a value-filtered `replace` for one that is; never a replace of a list that others share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from scimsync.core.merge import is_keyed, keyed
from scimsync.scim.grammar import render_value
from scimsync.scim.messages import Operation, patch_body
from scimsync.scim.platform import is_platform, request_of
from scimsync.scim.schema import CORE_USER, Entry, Kind, Place, Value


class Move(Struct, frozen=True):
    """What is to become of one place."""

    place: Place
    current: Value
    wanted: Value


def operations(moves: Iterable[Move]) -> Iterator[Operation]:
    """The operations that carry out some moves on one account, in their order.

    The parts of one element of a multi-valued attribute are written together, so that an element is
    made once and with all its parts.
    """
    elements: dict[str, list[Move]] = {}
    for move in moves:
        elements.setdefault(move.place.element or str(move.place.path), []).append(move)
    for parts in elements.values():
        if parts[0].place.element:
            yield from _element_operations(parts)
        else:
            yield from _operations(parts[0].place, parts[0].current, parts[0].wanted)


def _operations(place: Place, current: Value, wanted: Value) -> Iterator[Operation]:
    path = str(place.path)
    if place.kind is Kind.LIST:
        yield from _list_operations(place, current, wanted)
    elif wanted is None:
        yield Operation("remove", path)
    elif place.kind is Kind.REFERENCE:
        yield Operation("replace", path, {"value": wanted})
    else:
        yield Operation("replace", path, wanted)


def _element_operations(parts: Sequence[Move]) -> Iterator[Operation]:
    """One element of a multi-valued attribute, addressed by its filter (RFC 7644 §3.5.2).

    An element without its `value` is nothing; without another part it still is one. One of which only
    other parts are known is taken to be there: nobody can make an element of them alone.
    """
    place = parts[0].place
    main = next((part for part in parts if part.place.leaf.name == "value"), None)
    if main is not None and main.wanted is None:
        yield Operation("remove", str(place.path).rpartition("]")[0] + "]")
        return
    alone = main is None and place.attribute.sub("value") is not None
    if alone or any(part.current is not None for part in parts):
        for part in parts:
            if part.wanted is None:
                yield Operation("remove", str(part.place.path))
            else:
                yield Operation("replace", str(part.place.path), part.wanted)
        return
    made = {part.place.leaf.name: part.wanted for part in parts if part.wanted is not None}
    if made:
        yield Operation("add", str(place.path.attribute), [{**place.selector, **made}])


def _list_operations(place: Place, current: Value, wanted: Value) -> Iterator[Operation]:
    before, after = keyed(place, current, wanted)
    name = str(place.path)
    if is_keyed(place, current, wanted):
        filters = {i: f"{place.key} eq {render_value(dict(entry)[place.key])}" for i, entry in before.items()}
    else:
        members = {member for entry in before.values() for member, _ in entry}
        filters = {i: _whole(entry, members) for i, entry in before.items()}
    for gone in sorted(before.keys() - after.keys(), key=repr):
        yield Operation("remove", f"{name}[{filters[gone]}]")
    for kept in sorted(before.keys() & after.keys(), key=repr):
        yield from _member_operations(place, f"{name}[{filters[kept]}]", before[kept], after[kept])
    added = [_json(after[new]) for new in sorted(after.keys() - before.keys(), key=repr)]
    if added:
        yield Operation("add", name, added)


def _member_operations(place: Place, element: str, before: Entry, after: Entry) -> Iterator[Operation]:
    held, wanted = dict(before), dict(after)
    for member in sorted(held.keys() | wanted.keys()):
        if place.same((((member, held.get(member)),),), (((member, wanted.get(member)),),)):
            continue
        if wanted.get(member) is None:
            yield Operation("remove", f"{element}.{member}")
        else:
            yield Operation("replace", f"{element}.{member}", wanted[member])


def _whole(entry: Entry, members: Iterable[str]) -> str:
    """The filter that selects one element by all it has, and by what it lacks of the others."""
    held = {member: value for member, value in entry if value is not None}
    tests = [f"{member} eq {render_value(value)}" for member, value in held.items()]
    return " and ".join([*tests, *(f"not ({member} pr)" for member in sorted(set(members) - held.keys()))])


def _json(entry: Entry) -> dict[str, object]:
    return {member: value for member, value in entry if value is not None}


def split(operations: Sequence[Operation], *, most: int = 0, size: int = 0) -> list[tuple[Operation, ...]]:
    """The operations as the bodies of as few PATCHes as the limits of a target allow; 0 stands for none.

    Where there must be several, the account is a valid one after each: access goes with the first and
    comes with the last, and an element takes the mark `primary` after the others have given it up. An
    operation that is too large for a body of its own stands alone in one, unless it adds a list. What the
    Platform API has beside SCIM comes after all that, in bodies of its own.
    """
    scim = [operation for operation in operations if not is_platform(operation.path)]
    beside: dict[int, list[Operation]] = {}
    for operation in operations:
        if is_platform(operation.path):
            beside.setdefault(request_of(str(operation.path)), []).append(operation)
    return [*_split(scim, most, size), *(tuple(part) for _, part in sorted(beside.items()))]


def _split(operations: Sequence[Operation], most: int, size: int) -> list[tuple[Operation, ...]]:
    if _fits(operations, most, size):
        return [tuple(operations)] if operations else []
    parts: list[list[Operation]] = []
    for operation in sorted(operations, key=_turn):
        for piece in _pieces(operation, size):
            if parts and _fits([*parts[-1], piece], most, size):
                parts[-1].append(piece)
            else:
                parts.append([piece])
    return [tuple(part) for part in parts]


def body_bytes(operations: Sequence[Operation]) -> int:
    """How many bytes the body of a PATCH takes."""
    return len(msgspec.json.encode(patch_body(operations)))


def _fits(operations: Sequence[Operation], most: int, size: int) -> bool:
    return (not most or len(operations) <= most) and (not size or body_bytes(operations) <= size)


def _turn(operation: Operation) -> int:
    if operation.path is not None and operation.path.lower() == "active":
        return 3 if operation.value is True else 0
    listed = operation.value if isinstance(operation.value, list) else []
    marks = any(isinstance(element, dict) and element.get("primary") is True for element in listed)
    return 2 if marks or (str(operation.path).endswith(".primary") and operation.value is True) else 1


def _pieces(operation: Operation, size: int) -> Iterator[Operation]:
    """A long addition to a list as several."""
    listed = operation.value
    if operation.op != "add" or not isinstance(listed, list) or len(listed) < 2 or _fits([operation], 0, size):
        yield operation
        return
    middle = len(listed) // 2
    for half in (listed[:middle], listed[middle:]):
        yield from _pieces(Operation("add", operation.path, half), size)


def resource(values: Iterable[tuple[Place, Value]]) -> dict[str, object]:
    """The body of a new account that holds these values."""
    body: dict[str, object] = {"schemas": [CORE_USER]}
    schemas: list[object] = [CORE_USER]
    for place, value in values:
        if value is None:
            continue
        holder = body
        if place.urn is not None:
            if place.urn not in schemas:
                schemas.append(place.urn)
            holder = _member(body, place.urn)
        _put(holder, place, value)
    body["schemas"] = schemas
    return body


def _put(holder: dict[str, object], place: Place, value: Value) -> None:
    name = place.attribute.name
    if isinstance(value, tuple):
        holder[name] = [_json(entry) for entry in value]
    elif place.path.filter is not None:
        listed = holder.setdefault(name, [])
        if isinstance(listed, list):
            held = next((e for e in listed if isinstance(e, dict) and place.selects(e)), None)
            if held is None:
                listed.append({**place.selector, place.leaf.name: value})
            else:
                held[place.leaf.name] = value
    elif place.kind is Kind.REFERENCE:
        holder[name] = {"value": value}
    elif place.path.attribute.sub is not None:
        _member(holder, name)[place.leaf.name] = value
    else:
        holder[name] = value


def _member(holder: dict[str, object], name: str) -> dict[str, object]:
    found = holder.setdefault(name, {})
    return found if isinstance(found, dict) else {}
