"""PATCH on plain JSON objects (RFC 7644 §3.5.2): in order, and all of it or nothing.

What an operation names comes from `grammar`, what it may do there from the attribute definitions of a
`Catalog`. Nothing here knows a provider; what RFC 7644 leaves open is a keyword of `apply`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from scimsync.errors import InvalidPath, PatchRefused
from scimsync.scim.grammar import Filter, Path, equality, matches, parse_path
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Attribute, Catalog, Schema

JsonObject: TypeAlias = dict[str, object]

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")


def apply(
    resource: Mapping[str, object],
    operations: Sequence[Operation],
    catalog: Catalog,
    *,
    create_on_replace: bool = False,
    ignore_read_only: bool = False,
    strict_remove: bool = False,
) -> JsonObject:
    """Carry out PATCH operations on a copy of a resource (RFC 7644 §3.5.2).

    The copy shares with the resource whatever no operation touched.

    Args:
        resource: The resource as JSON; it stays as it is.
        operations: What to do, in order. The case of `op` does not count.
        catalog: The schemas the resource is made of.
        create_on_replace: Let `replace` on an `eq` filter that selects nothing make the element,
            as `add` does, where the RFC wants `noTarget`.
        ignore_read_only: Pass over what aims at a read-only attribute, where the RFC wants `mutability`.
        strict_remove: Refuse a `remove` that selects nothing with `noTarget`; the RFC is silent.

    Returns:
        The new resource. Attributes that lost their value are absent, not null.

    Raises:
        PatchRefused: An operation cannot be carried out; `scim_type` says why (RFC 7644 §3.12).
        InvalidPath: A path is not one, or names nothing in the catalog.

    Examples:
        >>> from scimsync.scim.genesys import GENESYS
        >>> apply({"title": "Clerk"}, [Operation("replace", "title", "Lead")], GENESYS.users)
        {'title': 'Lead'}
    """
    work = _Work(catalog, create_on_replace, ignore_read_only, strict_remove)
    changed = dict(resource)
    for operation in operations:
        work.carry_out(changed, operation)
    return changed


class _Target(Struct, frozen=True):
    """What a path names: `attribute`, of it the elements `filter` selects, of them `sub`."""

    text: str
    urn: str | None
    attribute: Attribute
    filter: Filter | None = None
    sub: Attribute | None = None

    @property
    def leaf(self) -> Attribute:
        return self.sub or self.attribute

    @property
    def read_only(self) -> bool:
        return "readOnly" in {self.attribute.mutability, self.leaf.mutability}


class _Work(Struct, frozen=True):
    catalog: Catalog
    create_on_replace: bool
    ignore_read_only: bool
    strict_remove: bool

    def carry_out(self, resource: JsonObject, operation: Operation) -> None:
        op = operation.op.lower()
        if op not in {"add", "replace", "remove"}:
            raise PatchRefused("invalidSyntax", f"{operation.op!r} is not an operation")
        if op == "remove":
            self._remove_at(resource, operation)
        elif operation.path is None or self._is_core(operation.path):
            self._merge(resource, op, operation.value)
        else:
            self._write_at(resource, op, operation.path, operation.value)

    def _is_core(self, text: str) -> bool:
        return text.lower() == self.catalog.core.id.lower()

    def _extension(self, text: str) -> Schema | None:
        if ":" not in text:
            return None
        lowered = text.lower()
        return next((s for s in self.catalog.extensions if s.id.lower() == lowered), None)

    def _merge(self, resource: JsonObject, op: str, value: object) -> None:
        """A path-less operation: each member of the object stands for one of its own."""
        if not isinstance(value, Mapping):
            raise PatchRefused("invalidValue", "an operation without path needs an object as value")
        for name, inner in value.items():
            if self._is_core(name):
                self._merge(resource, op, inner)
            elif name.lower() != "schemas":
                self._write_at(resource, op, name, inner)

    def _write_at(self, resource: JsonObject, op: str, text: str, value: object) -> None:
        extension = self._extension(text)
        if extension is None:
            self._write(resource, op, self._target(text), value)
            return
        if value is None:
            resource.pop(_spelling(resource, extension.id), None)
            return
        if not isinstance(value, Mapping):
            raise PatchRefused("invalidValue", f"{text} needs an object as value")
        for name, inner in value.items():
            self._write(resource, op, self._target(f"{extension.id}:{name}"), inner)

    def _target(self, text: str) -> _Target:
        path = parse_path(text)
        schema = self._schema(path, text)
        attribute = schema.attribute(path.attribute.attribute)
        if attribute is None:
            raise InvalidPath(text, f"there is no attribute {path.attribute.attribute}")
        name = path.sub or path.attribute.sub
        sub = attribute.sub(name) if name else None
        if name and sub is None:
            raise InvalidPath(text, f"{attribute.name} has no sub-attribute {name}")
        if path.filter is not None and not attribute.multi_valued:
            raise InvalidPath(text, f"{attribute.name} has one value, so it takes no [filter]")
        return _Target(text, None if schema is self.catalog.core else schema.id, attribute, path.filter, sub)

    def _schema(self, path: Path, text: str) -> Schema:
        urn = path.attribute.urn
        if urn is None:
            return self.catalog.core
        for schema in self.catalog.schemas:
            if schema.id.lower() == urn.lower():
                return schema
        raise InvalidPath(text, f"there is no schema {urn}")

    # -- add and replace ---------------------------------------------------------------------------

    def _write(self, resource: JsonObject, op: str, target: _Target, value: object) -> None:
        if target.read_only:
            self._refuse_read_only(resource, target, value)
            return
        if value is None or (value == [] and op == "replace" and target.sub is None):
            self._clear(resource, target)
            return
        holder = _holder(resource, target.urn)
        name = _spelling(holder, target.attribute.name)
        if target.attribute.multi_valued:
            held = _elements(holder.get(name))
            holder[name] = self._list(op, target, held, value)
        else:
            holder[name] = _single(target, holder.get(name), value)
        _declare(resource, target.urn)

    def _refuse_read_only(self, resource: JsonObject, target: _Target, value: object) -> None:
        held = resource.get(target.urn) if target.urn else resource
        same = isinstance(held, Mapping) and held.get(target.attribute.name) == value
        if not self.ignore_read_only and not (same and target.filter is None and target.sub is None):
            raise PatchRefused("mutability", f"{target.text} is read-only")

    def _list(self, op: str, target: _Target, held: list[object], value: object) -> list[object]:
        if target.filter is not None:
            return self._selected(op, target, held, value)
        if target.sub is not None:
            if not held:
                raise PatchRefused("noTarget", f"{target.text} selects nothing")
            return [_with_sub(target, element, value) for element in held]
        fresh = [_element(target.attribute, item) for item in _listed(value)]
        _refuse_two_primaries(target, fresh)
        if op == "replace":
            return _appended(target.attribute, [], fresh)
        unknown = [element for element in fresh if element not in held]
        return _appended(target.attribute, _yield_primary(held, unknown), unknown)

    def _selected(self, op: str, target: _Target, held: list[object], value: object) -> list[object]:
        chosen = _choose(target, held)
        if not any(chosen):
            if op == "replace" and not self.create_on_replace:
                raise PatchRefused("noTarget", f"{target.text} selects nothing")
            made = _made(target, value)
            return [*_yield_primary(held, [made]), made]
        fresh = [
            _changed(op, target, element, value) if picked else element
            for element, picked in zip(held, chosen, strict=True)
        ]
        touched = [element for element, picked in zip(fresh, chosen, strict=True) if picked]
        if not _sets_primary(target, value):
            return fresh
        _refuse_two_primaries(target, touched)
        return [
            element if picked else _yield_primary([element], touched)[0]
            for element, picked in zip(fresh, chosen, strict=True)
        ]

    # -- remove ------------------------------------------------------------------------------------

    def _remove_at(self, resource: JsonObject, operation: Operation) -> None:
        if operation.path is None:
            raise PatchRefused("noTarget", "remove needs a path")
        extension = self._extension(operation.path)
        if extension is not None:
            found = resource.pop(_spelling(resource, extension.id), None)
            self._found(bool(found), operation.path)
            return
        target = self._target(operation.path)
        if target.read_only:
            self._refuse_read_only(resource, target, ...)
            return
        if operation.value not in (None, "", [], {}) and target.attribute.multi_valued and not target.filter:
            self._withdraw(resource, target, operation.value)
        else:
            self._clear(resource, target)

    def _found(self, found: bool, text: str) -> None:  # noqa: FBT001 - the answer to the one question
        if self.strict_remove and not found:
            raise PatchRefused("noTarget", f"{text} selects nothing")

    def _withdraw(self, resource: JsonObject, target: _Target, value: object) -> None:
        """Entra's `remove members` with the elements as value: observed, not in the RFC."""
        gone = [_element(target.attribute, item) for item in _listed(value)]
        holder, name, held = _held(resource, target)
        kept = [e for e in held if not any(_covers(target.attribute, e, wanted) for wanted in gone)]
        self._found(len(kept) < len(held), target.text)
        _put(resource, target.urn, holder, name, kept)

    def _clear(self, resource: JsonObject, target: _Target) -> None:
        if target.leaf.required and target.filter is None:
            raise PatchRefused("mutability", f"{target.text} is required")
        holder, name, held = _held(resource, target)
        if target.filter is None and target.sub is None:
            self._found(name in holder, target.text)
            _put(resource, target.urn, holder, name, None)
            return
        chosen = _choose(target, held)
        self._found(any(chosen), target.text)
        if target.sub is None:
            kept: list[object] = [e for e, picked in zip(held, chosen, strict=True) if not picked]
        else:
            kept = [_without(target, e) if p else e for e, p in zip(held, chosen, strict=True)]
        kept = [element for element in kept if element != {}]
        _put(resource, target.urn, holder, name, kept if target.attribute.multi_valued else kept[0:1])


def _put(resource: JsonObject, urn: str | None, holder: JsonObject, name: str, value: list[object] | None) -> None:
    """Set what is left of an attribute; with nothing left it is absent, and an empty extension too."""
    if urn is not None:
        holder = resource[_spelling(resource, urn)] = dict(holder)  # the old one belongs to another state
    if not value:
        holder.pop(name, None)
    elif isinstance(holder.get(name), list):
        holder[name] = value
    else:
        holder[name] = value[0]
    if urn is not None and not holder:
        resource.pop(_spelling(resource, urn), None)


def _held(resource: JsonObject, target: _Target) -> tuple[JsonObject, str, list[object]]:
    holder: object = resource
    if target.urn is not None:
        holder = resource.get(_spelling(resource, target.urn))
    if not isinstance(holder, dict):
        holder = {}
    name = _spelling(holder, target.attribute.name)
    return holder, name, _elements(holder.get(name))


def _holder(resource: JsonObject, urn: str | None) -> JsonObject:
    if urn is None:
        return resource
    name = _spelling(resource, urn)
    held = resource.get(name, {})
    if not isinstance(held, dict):
        raise PatchRefused("invalidValue", f"{urn} does not hold an object")
    holder = resource[name] = dict(held)
    return holder


def _declare(resource: JsonObject, urn: str | None) -> None:
    schemas = resource.get("schemas")
    if urn is not None and isinstance(schemas, list) and urn not in schemas:
        resource["schemas"] = [*schemas, urn]


def _spelling(holder: Mapping[str, object], name: str) -> str:
    """The key under which an object holds a name; names have no case (RFC 7643 §2.1)."""
    if name in holder:
        return name
    lowered = name.lower()
    return next((key for key in holder if key.lower() == lowered), name)


def _elements(held: object) -> list[object]:
    return held if isinstance(held, list) else [] if held is None else [held]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _choose(target: _Target, held: list[object]) -> list[bool]:
    if target.filter is None:
        return [True] * len(held)
    exact = frozenset(s.name.lower() for s in target.attribute.sub_attributes if s.case_exact)
    return [isinstance(e, Mapping) and matches(target.filter, e, exact=exact) for e in held]


def _single(target: _Target, held: object, value: object) -> object:
    if target.sub is not None:
        return _with_sub(target, held if isinstance(held, dict) else {}, value)
    if target.attribute.type != "complex":
        _immutable(target, held, value)
        return _typed(target.attribute, value, target.text)
    fresh = _element(target.attribute, value)
    before = held if isinstance(held, dict) else {}
    return _merged(target.attribute, before, fresh)


def _merged(attribute: Attribute, before: JsonObject, fresh: object) -> JsonObject:
    """Sub-attributes that are not named stay; those the provider derives go when others moved."""
    merged = before | fresh if isinstance(fresh, dict) else before
    if merged == before:
        return before
    return {name: value for name, value in merged.items() if not _derived(attribute, name)}


def _derived(attribute: Attribute, name: str) -> bool:
    definition = attribute.sub(name)
    return definition is not None and definition.mutability == "readOnly"


def _with_sub(target: _Target, element: object, value: object) -> JsonObject:
    assert target.sub is not None  # noqa: S101 - callers ask only then
    before = element if isinstance(element, dict) else {}
    name = target.sub.name
    _immutable(target, before.get(name), value)
    return _merged(target.attribute, before, {name: _typed(target.sub, value, target.text)})


def _without(target: _Target, element: object) -> object:
    if target.sub is None or not isinstance(element, dict):
        return element
    left = {name: value for name, value in element.items() if name.lower() != target.sub.name.lower()}
    if left == element:
        return element
    return {name: value for name, value in left.items() if not _derived(target.attribute, name)}


def _changed(op: str, target: _Target, element: object, value: object) -> object:
    if target.sub is not None:
        return _with_sub(target, element, value)
    if not isinstance(value, Mapping):
        raise PatchRefused("invalidValue", f"{target.text} needs an object as value")
    fresh = _element(target.attribute, value)
    if op == "add" and isinstance(element, dict):
        return _merged(target.attribute, element, fresh)
    return fresh


def _made(target: _Target, value: object) -> JsonObject:
    """The element an `eq` filter describes, with the value put into it."""
    described = equality(target.filter)
    if described is None:
        raise PatchRefused("noTarget", f"{target.text} selects nothing, and describes no element")
    element = _element(target.attribute, _named(target, described))
    if target.sub is not None:
        return _with_sub(target, element, value)
    if not isinstance(value, Mapping):
        raise PatchRefused("invalidValue", f"{target.text} needs an object as value")
    fresh = _element(target.attribute, value)
    return element | fresh


def _named(target: _Target, described: Mapping[str, object]) -> JsonObject:
    for name in described:
        if target.attribute.sub(name) is None:
            raise InvalidPath(target.text, f"{target.attribute.name} has no sub-attribute {name}")
    return dict(described)


def _immutable(target: _Target, held: object, value: object) -> None:
    if target.leaf.mutability == "immutable" and held is not None and held != value:
        raise PatchRefused("mutability", f"{target.text} cannot be changed once it has a value")


def _element(attribute: Attribute, value: object) -> JsonObject:
    """One value of a complex attribute: names spelled as in the schema, derived and unknown ones left out.

    A bare scalar stands for `{"value": scalar}`: observed with Entra for `manager`.
    """
    if not isinstance(value, Mapping):
        if attribute.sub("value") is None or isinstance(value, list):
            raise PatchRefused("invalidValue", f"{attribute.name} needs an object as value")
        value = {"value": value}
    element: JsonObject = {}
    for name, inner in value.items():
        definition = attribute.sub(name)
        if definition is None or definition.mutability == "readOnly" or inner is None:
            continue
        element[definition.name] = _typed(definition, inner, f"{attribute.name}.{definition.name}")
    if not element:
        raise PatchRefused("invalidValue", f"a value of {attribute.name} is empty")
    return element


def _typed(definition: Attribute, value: object, text: str) -> object:
    if not _fits(definition.type, value):
        raise PatchRefused("invalidValue", f"{text} is of type {definition.type}")
    return value


def _fits(type_: str, value: object) -> bool:
    match type_:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "decimal":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "dateTime":
            return isinstance(value, str) and (value == "" or _DATE_TIME.fullmatch(value) is not None)
        case "complex":
            return isinstance(value, Mapping)
    return isinstance(value, str)


def _covers(attribute: Attribute, element: object, wanted: JsonObject) -> bool:
    """Whether an element has every value the other one names; derived sub-attributes do not count."""
    return isinstance(element, Mapping) and all(
        element.get(name) == value for name, value in wanted.items() if not _derived(attribute, name)
    )


def _appended(attribute: Attribute, held: list[object], fresh: Sequence[object]) -> list[object]:
    """The elements held, and of the fresh ones those that are not there already (RFC 7644 §3.5.2.1)."""
    derived = {s.name for s in attribute.sub_attributes if s.mutability == "readOnly"}
    present = {_print(element, derived) for element in held}
    appended = list(held)
    for element in fresh:
        if (mark := _print(element, derived)) not in present:
            present.add(mark)
            appended.append(element)
    return appended


def _print(element: object, derived: set[str]) -> frozenset[tuple[str, str]]:
    items = element.items() if isinstance(element, Mapping) else [("value", element)]
    return frozenset((name, repr(value)) for name, value in items if name not in derived)


def _is_primary(element: object) -> bool:
    return isinstance(element, Mapping) and element.get("primary") is True


def _sets_primary(target: _Target, value: object) -> bool:
    if target.sub is not None:
        return target.sub.name == "primary" and value is True
    return any(_is_primary(item) for item in _listed(value))


def _refuse_two_primaries(target: _Target, elements: Sequence[object]) -> None:
    if sum(_is_primary(element) for element in elements) > 1:
        raise PatchRefused("invalidValue", f"{target.attribute.name} may hold one primary value")


def _yield_primary(held: Sequence[object], fresh: Sequence[object]) -> list[object]:
    """A new primary takes the mark from the old one (RFC 7644 §3.5.2)."""
    if not any(_is_primary(element) for element in fresh):
        return list(held)
    return [
        element | {"primary": False} if isinstance(element, dict) and _is_primary(element) else element
        for element in held
    ]
