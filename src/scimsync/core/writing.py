"""From deltas to PATCH operations and to the body of a new resource.

The shapes are those that servers in the wild take: explicit path and value; `add` for an element that
is not there, a value-filtered `replace` for one that is; never a replace of a list that others share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from scimsync.core.merge import is_keyed, keyed
from scimsync.scim.grammar import render_value
from scimsync.scim.messages import Operation
from scimsync.scim.schema import CORE_USER, Entry, Kind, Place, Value


def operations(place: Place, current: Value, wanted: Value) -> Iterator[Operation]:
    """The operations that turn the current value of a place into the wanted one."""
    path = str(place.path)
    if place.kind is Kind.LIST:
        yield from _list_operations(place, current, wanted)
    elif place.path.filter is not None:
        yield from _element_operations(place, current, wanted)
    elif wanted is None:
        yield Operation("remove", path)
    elif place.kind is Kind.REFERENCE:
        yield Operation("replace", path, {"value": wanted})
    else:
        yield Operation("replace", path, wanted)


def _element_operations(place: Place, current: Value, wanted: Value) -> Iterator[Operation]:
    """One element of a multi-valued attribute, addressed by its filter (RFC 7644 §3.5.2)."""
    element = str(place.path).rpartition("]")[0] + "]"
    if wanted is None:  # without its value an element is nothing; without another part it still is one
        yield Operation("remove", element if place.leaf.name == "value" else str(place.path))
    elif current is None:
        yield Operation("add", str(place.path.attribute), [{**place.selector, place.leaf.name: wanted}])
    else:
        yield Operation("replace", str(place.path), wanted)


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


def mismatches(wanted: Mapping[str, Value], places: Mapping[str, Place], held: Mapping[str, object]) -> list[str]:
    """The paths on which a returned resource does not hold what was written."""
    return [path for path, value in wanted.items() if not places[path].same(value, places[path].read(held))]
