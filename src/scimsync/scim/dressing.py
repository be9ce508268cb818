"""Operations and resources in the form that one provider takes, where it does not take that of RFC 7644.

What is written does not change by it, only how it is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scimsync.scim.dialect import Dialect
from scimsync.scim.grammar import parse_path
from scimsync.scim.messages import PATCH_OP, Operation
from scimsync.scim.patch import apply


def wants_sight(operations: Iterable[Operation], dialect: Dialect) -> bool:
    """Whether the resource must be known for its operations to be said: where a list is written as a whole."""
    return not dialect.value_filters and any(_selects(operation) for operation in operations)


def dressed(
    operations: Sequence[Operation], dialect: Dialect, held: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The body of a PATCH as the provider takes it.

    Args:
        operations: What is written, as RFC 7644 §3.5.2 has it.
        dialect: Of the provider.
        held: The resource as it is; needed where `wants_sight`.

    Raises:
        ProtocolError: The operations cannot be carried out on the resource.

    Examples:
        >>> from msgspec.structs import replace
        >>> from scimsync.scim.generic import GENERIC
        >>> whole = replace(GENERIC, value_filters=False, capital_ops=True, text_booleans=True)
        >>> moves = [Operation("remove", 'emails[type eq "home"]'), Operation("replace", "active", False)]
        >>> dressed(moves, whole, {"emails": [{"type": "home"}, {"type": "work"}]})["Operations"]
        [{'op': 'Replace', 'path': 'active', 'value': 'false'}, {'op': 'Replace', 'path': 'emails', \
'value': [{'type': 'work'}]}]
    """
    said = _whole(operations, dialect, held) if wants_sight(operations, dialect) else list(operations)
    bodies = [operation.to_json() for operation in said]
    if dialect.pathless:
        bodies = _pathless(bodies)
    if dialect.text_booleans:
        bodies = [{**body, "value": told(body["value"])} if "value" in body else body for body in bodies]
    if dialect.capital_ops:
        bodies = [{**body, "op": str(body["op"]).title()} for body in bodies]
    return {"schemas": [PATCH_OP], "Operations": bodies}


def told(value: object) -> object:
    """A value in which booleans are texts.

    Examples:
        >>> told([{"primary": True, "value": "a"}])
        [{'primary': 'true', 'value': 'a'}]
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return {name: told(inner) for name, inner in value.items()}
    return [told(inner) for inner in value] if isinstance(value, list) else value


def _selects(operation: Operation) -> bool:
    """Whether an operation selects elements of a list, or adds some to those that are there."""
    if operation.path is None:
        return False
    return parse_path(operation.path).filter is not None or (
        operation.op == "add" and isinstance(operation.value, list)
    )


def _whole(operations: Sequence[Operation], dialect: Dialect, held: Mapping[str, object] | None) -> list[Operation]:
    """Each list of which elements are written, written as a whole, in the place of them."""
    kept = [operation for operation in operations if not _selects(operation)]
    roots = dict.fromkeys(_root(operation) for operation in operations if _selects(operation))
    kept = [operation for operation in kept if _root(operation) not in roots]
    made = apply(held or {}, operations, dialect.users, create_on_replace=True)
    for urn, name in roots:
        holder = made.get(urn) if urn else made
        left = holder.get(name) if isinstance(holder, Mapping) else None
        path = f"{urn}:{name}" if urn else name
        kept.append(Operation("replace", path, left) if left else Operation("remove", path))
    return kept


def _root(operation: Operation) -> tuple[str, str]:
    path = parse_path(str(operation.path))
    return path.attribute.urn or "", path.attribute.attribute


def _pathless(bodies: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    """Operations without path, one for each kind; what has none without one (`remove`, a filter) keeps it."""
    merged: dict[str, dict[str, object]] = {}
    rest: list[dict[str, object]] = []
    for body in bodies:
        path = parse_path(str(body["path"])) if isinstance(body.get("path"), str) else None
        if path is None or path.filter is not None or "value" not in body:
            rest.append(body)
            continue
        holder = merged.setdefault(str(body["op"]), {})
        if path.attribute.urn:
            holder = holder.setdefault(path.attribute.urn, {})  # type: ignore[assignment]
        if path.attribute.sub:
            holder = holder.setdefault(path.attribute.attribute, {})  # type: ignore[assignment]
        name, value = path.attribute.sub or path.attribute.attribute, body["value"]
        held = holder.get(name)
        holder[name] = [*held, *value] if isinstance(held, list) and isinstance(value, list) else value
    rest += [{"op": op, "value": value} for op, value in merged.items()]
    return rest
