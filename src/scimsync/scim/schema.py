"""Attribute definitions (RFC 7643 §7), what a path names in them, and when two values are the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import force_setattr, replace

from scimsync.errors import InvalidPath
from scimsync.scim.forms import phone_form, truth
from scimsync.scim.grammar import AttributePath, Path, Scalar, equality, lookup, parse_path

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

#: One element of a multi-valued attribute: its sub-attributes sorted by name. Hashable, so lists are sets.
Entry: TypeAlias = tuple[tuple[str, Scalar], ...]
#: The value of a managed path. `None` is unassigned: null, `[]` and absent are one state (RFC 7643 §2.5).
Value: TypeAlias = str | bool | int | float | tuple[Entry, ...] | None


class Kind(Enum):
    """How the value of a path is read, compared and written."""

    TEXT = "text"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    PHONE = "phone"  #: compares as E.164 with extension
    DATE = "date"  #: compares by its date part
    REFERENCE = "reference"  #: the id of another resource
    LIST = "list"  #: a whole multi-valued attribute, compared without order, each element by its key


class Attribute(Struct, frozen=True, kw_only=True):
    """One attribute of a schema. Field names and defaults are those of RFC 7643 §7."""

    name: str
    type: str = "string"
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: str = "readWrite"
    returned: str = "default"
    uniqueness: str = "none"
    canonical_values: tuple[str, ...] = ()
    reference_types: tuple[str, ...] = ()
    sub_attributes: tuple[Attribute, ...] = ()
    description: str = ""

    def sub(self, name: str) -> Attribute | None:
        """The sub-attribute of that name, case ignored."""
        return _named(self.sub_attributes, name)

    def to_json(self) -> dict[str, object]:
        """The attribute as a Schema resource holds it."""
        members: dict[str, object] = {
            "name": self.name,
            "type": self.type,
            "multiValued": self.multi_valued,
            "description": self.description,
            "required": self.required,
            "caseExact": self.case_exact,
            "mutability": self.mutability,
            "returned": self.returned,
            "uniqueness": self.uniqueness,
        }
        if self.canonical_values:
            members["canonicalValues"] = list(self.canonical_values)
        if self.reference_types:
            members["referenceTypes"] = list(self.reference_types)
        if self.sub_attributes:
            members["subAttributes"] = [sub.to_json() for sub in self.sub_attributes]
        return members


class Schema(Struct, frozen=True, kw_only=True):
    """One schema: its URN and its attributes."""

    id: str
    name: str
    attributes: tuple[Attribute, ...]
    description: str = ""
    #: the enumerated words were published in capitals, as Genesys did before July 2021 (documented)
    capitals: bool = False
    #: the provider publishes it; else it is of our own making, for what is kept beside SCIM
    published: bool = True

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of that name, case ignored."""
        return _named(self.attributes, name)

    def to_json(self) -> dict[str, object]:
        """The schema as the `/Schemas` endpoint serves it, without `meta`."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "attributes": [attribute.to_json() for attribute in self.attributes],
        }


class Place(Struct, frozen=True, kw_only=True):
    """What a path names: the attribute, and of a complex or multi-valued one the part that is meant.

    `short` is how people write it (`enterprise:department`), `path` how RFC 7644 does.
    """

    short: str
    path: Path
    attribute: Attribute
    leaf: Attribute
    kind: Kind
    #: the provider publishes its schema
    published: bool = True
    #: how the key of an element begins, in small letters, that is the provider's own; "" where none is
    reserved: str = ""
    #: written where nothing stands, or what was ours; the value of another provisioner stays
    filled: bool = False
    #: taken by the provider from whoever becomes inactive
    dropped: bool = False
    #: no account is made without it, by the schema or the dialect
    needed: bool = False
    #: what an element must look like to be selected (`{"type": "work"}`); empty without filter
    selector: Mapping[str, Scalar] = field(default_factory=dict)
    #: what names the element of a list that this is a part of, alike for all its parts; "" where it is none
    element: str = ""

    def __post_init__(self) -> None:
        """Say once which element it is: whoever writes asks for each value."""
        found = equality(self.path.filter) or {}
        selector = {sub.name if (sub := self.attribute.sub(name)) else name: to for name, to in found.items()}
        named = sorted((name.lower(), str(wanted).casefold()) for name, wanted in selector.items())
        force_setattr(self, "selector", selector)
        force_setattr(self, "element", f"{self.root.lower()}{named}" if self.path.filter is not None else "")

    def __hash__(self) -> int:
        """Places are told apart by how people write them."""
        return hash(self.short)

    @property
    def urn(self) -> str | None:
        """The extension the attribute belongs to; None for the core schema."""
        return self.path.attribute.urn

    @property
    def key(self) -> str:
        """The sub-attribute that identifies an element of a list; `value` where none is declared."""
        return element_key(self.attribute)

    @property
    def root(self) -> str:
        """The name for the `attributes` parameter: the attribute with its URN, without sub-attribute."""
        return f"{self.urn}:{self.attribute.name}" if self.urn else self.attribute.name

    @property
    def is_filter(self) -> bool:
        """Whether one plain filter names it: a text that is no part of a list (RFC 7644 §3.4.2.2)."""
        return self.kind is Kind.TEXT and self.leaf is self.attribute and self.path.filter is None

    @property
    def read_only(self) -> bool:
        """Whether a client may never write here."""
        return "readOnly" in {self.attribute.mutability, self.leaf.mutability}

    def is_told(self, resource: Mapping[str, object]) -> bool:
        """Whether a resource says anything of this place: over SCIM always, since absent is empty (RFC 7643 §2.5).

        Of what is kept beside SCIM, absent is unknown (`scim.platform`).
        """
        if self.published or self.urn is None:
            return True
        holder = lookup(resource, self.urn)
        return isinstance(holder, Mapping) and self.attribute.name in holder

    def read(self, resource: Mapping[str, object]) -> Value:
        """The value at this place in a resource, as a `Value`."""
        holder = lookup(resource, self.urn) if self.urn else resource
        found = lookup(holder, self.attribute.name) if isinstance(holder, Mapping) else None
        if self.kind is Kind.LIST:
            shared = [e for e in found if not self.is_reserved(e)] if isinstance(found, list) else None
            return entries(shared, self.attribute)
        if self.path.filter is not None:
            found = self._selected(found)
        if isinstance(found, Mapping):
            found = lookup(found, self.path.sub or self.path.attribute.sub or "value")
        if self.kind is Kind.BOOLEAN:
            return truth(found)
        return found if isinstance(found, str | bool | int | float) and found != "" else None

    def _selected(self, found: object) -> object:
        for element in found if isinstance(found, list) else []:
            if isinstance(element, Mapping) and self.selects(element):
                return element
        return None

    def selects(self, element: Mapping[str, object]) -> bool:
        """Whether an element of the attribute is the one this place is about."""
        for name, wanted in self.selector.items():
            held, definition = lookup(element, name), self.attribute.sub(name)
            exact = definition is not None and definition.case_exact
            if isinstance(held, str) and isinstance(wanted, str) and not exact:
                if held.casefold() != wanted.casefold():
                    return False
            elif held != wanted:
                return False
        return True

    def is_reserved(self, element: object) -> bool:
        """Whether an element of the attribute is the provider's: nobody else writes, removes or compares it."""
        key = lookup(element, self.key) if self.reserved and isinstance(element, Mapping) else None
        return isinstance(key, str) and key.lower().startswith(self.reserved)

    def normal(self, value: Value) -> Value:
        """The form in which values of this place compare: equal forms are one value for SCIM."""
        if value is None or value in ("", ()):
            return None
        if isinstance(value, tuple):
            return tuple(sorted({_normal_entry(entry, self.attribute) for entry in value}, key=repr)) or None
        match self.kind:
            case Kind.PHONE:
                return phone_form(str(value)) or None
            case Kind.DATE:
                return str(value)[:10]
            case Kind.DECIMAL if isinstance(value, int | float):
                return float(value)
            case Kind.BOOLEAN:
                return truth(value)
        if isinstance(value, str):
            return _normal_text(value, self.leaf)
        return value

    def identity(self, entry: Entry) -> Scalar:
        """The key of an element in the form in which it compares; None where it has none."""
        key, sub = dict(entry).get(self.key), self.attribute.sub(self.key)
        return _normal_text(key, sub) if isinstance(key, str) and sub is not None else key

    @property
    def folds(self) -> bool:
        """Whether a text that differs in capitals alone is the same also when it is written: logins and addresses."""
        return self.attribute.name in {"userName", "emails"} or bool(self.leaf.canonical_values)

    def alike(self, left: Value, right: Value) -> bool:
        """Whether SCIM takes the two for one value: case counts only where the schema says so. For finding people."""
        return self.normal(left) == self.normal(right)

    def same(self, left: Value, right: Value) -> bool:
        """Whether there is nothing to write: as `alike`, but a correction of capitals in a text is one."""
        if left is right:
            return True
        if self.kind is Kind.TEXT and not self.folds:
            return _plain(left) == _plain(right)
        return self.alike(left, right)


class Catalog(Struct, frozen=True):
    """The schemas of one resource type, and the short names people may use for the extensions."""

    core: Schema
    extensions: tuple[Schema, ...] = ()
    prefixes: Mapping[str, str] = field(default_factory=dict)
    #: name in lower case, of what people look for and the schemas have not -> where it is
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    #: as `Dialect` has them, by which the places know what is not theirs alone
    reserved: Mapping[str, str] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """The core schema, then the extensions."""
        return (self.core, *self.extensions)

    @property
    def published(self) -> Catalog:
        """What of it the provider itself knows."""
        return replace(self, extensions=tuple(schema for schema in self.extensions if schema.published))

    def expand(self, text: str) -> str:
        """Replace a short prefix by the URN it stands for."""
        head, colon, tail = text.partition(":")
        urn = self.prefixes.get(head.lower())
        return f"{urn}:{tail}" if colon and urn else text

    def shorten(self, text: str) -> str:
        """Replace a URN by its short prefix; the core URN by nothing."""
        for prefix, urn in (*self.prefixes.items(), ("", self.core.id)):
            if text.lower().startswith(urn.lower() + ":"):
                return f"{prefix}:{text[len(urn) + 1 :]}" if prefix else text[len(urn) + 1 :]
        return text

    def resolve(self, text: str) -> Place:
        """Find what a path, long or short, names.

        Raises:
            InvalidPath: Not a path, or nothing in the schemas has that name; with a suggestion
                where a name is near.
        """
        path = parse_path(self.expand(text))
        schema, attribute = self._attribute(path, text)
        sub_name = path.sub or path.attribute.sub
        leaf = attribute
        if sub_name is not None:
            leaf = attribute.sub(sub_name) or self._unknown_sub(text, sub_name, schema, attribute)
        if path.filter is not None and not attribute.multi_valued:
            raise InvalidPath(text, f"{attribute.name} has one value, so it takes no [filter]")
        urn = None if schema is self.core else schema.id
        kind = _kind(schema, attribute, leaf, filtered=path.filter is not None)
        if kind is Kind.REFERENCE:  # `manager` and `manager.value` are one place
            return Place(
                short=self.shorten(f"{urn}:{attribute.name}"),
                path=Path(AttributePath(urn, attribute.name)),
                attribute=attribute,
                leaf=attribute.sub("value") or attribute,
                kind=kind,
            )
        spelled = Path(
            AttributePath(urn, attribute.name, leaf.name if path.attribute.sub else None),
            path.filter,
            leaf.name if path.sub else None,
        )
        place = Place(short=self.shorten(str(spelled)), path=spelled, attribute=attribute, leaf=leaf, kind=kind)
        reserved, root = self.reserved.get(place.root, ""), place.root
        return replace(
            place,
            published=schema.published,
            reserved=reserved,
            filled=root in self.filled,
            dropped=root in self.dropped,
            needed=(attribute.required and urn is None) or place.short in self.required,
        )

    def _attribute(self, path: Path, text: str) -> tuple[Schema, Attribute]:
        urn = path.attribute.urn
        schema = self.core
        if urn is not None:
            found = [s for s in self.schemas if s.id.lower() == urn.lower()]
            if not found:
                raise InvalidPath(text, self._no_schema(path))
            schema = found[0]
        attribute = schema.attribute(path.attribute.attribute)
        if attribute is None:
            raise InvalidPath(text, self._no_attribute(path.attribute.attribute, schema))
        return schema, attribute

    def _no_schema(self, path: Path) -> str:
        full = f"{path.attribute.urn}:{path.attribute.attribute}"
        if any(s.id.lower() == full.lower() for s in self.schemas):
            return "a whole extension cannot be mapped; name one of its attributes"
        return "the target has no such schema; it has " + ", ".join(s.id for s in self.schemas)

    def _no_attribute(self, name: str, schema: Schema) -> str:
        elsewhere = [
            self.shorten(f"{s.id}:{a.name}")
            for s in self.schemas
            for a in s.attributes
            if a.name.lower() == name.lower()
        ]
        if told := self.elsewhere.get(name.lower()):
            return told
        if elsewhere:
            return f"did you mean {elsewhere[0]}?"
        names = {self.shorten(f"{s.id}:{a.name}").lower(): self.shorten(f"{s.id}:{a.name}")
                 for s in self.schemas for a in s.attributes}  # fmt: skip
        wanted = self.shorten(f"{schema.id}:{name}").lower()
        near = get_close_matches(wanted, names, n=1, cutoff=0.6) or [
            full for full in names if get_close_matches(name.lower(), [full.rpartition(":")[2]], n=1, cutoff=0.6)
        ]
        hint = f"; did you mean {names[near[0]]}?" if near else ""
        return f"the target has no attribute {name}{hint}"

    def _unknown_sub(self, text: str, name: str, schema: Schema, attribute: Attribute) -> Attribute:
        if not schema.published and attribute.multi_valued:
            element = self.shorten(f'{schema.id}:{attribute.name}[{element_key(attribute)} eq "{name}"].value')
            raise InvalidPath(text, f"name one of its elements: {element}")
        if not schema.published and (told := self.elsewhere.get(name.lower())):
            raise InvalidPath(text, told)
        return _unknown_sub(text, name, attribute)

    def places(self) -> Iterator[Attribute]:
        """All attributes, core first."""
        for schema in self.schemas:
            yield from schema.attributes


def element_key(attribute: Attribute) -> str:
    """The sub-attribute that tells the elements of a multi-valued attribute apart.

    `type` for e-mails and phones, `name` for skills and languages, `authority` for external ids,
    else `value` (RFC 7643 §2.4 gives the default sub-attributes, the rest is the provider's).
    """
    if attribute.name in {"emails", "phoneNumbers"} and attribute.sub("type") is not None:
        return "type"
    for name in ("authority", "name", "value"):
        if attribute.sub(name) is not None:
            return name
    return "value"


def entries(found: object, attribute: Attribute) -> tuple[Entry, ...] | None:
    """Read a list of a resource as entries: empty sub-attributes and those of the provider left out, sorted."""
    kept = {sub.name for sub in compared(attribute)}
    read = set()
    for element in found if isinstance(found, list) else []:
        members = element.items() if isinstance(element, Mapping) else [("value", element)]
        read.add(
            tuple(
                sorted(
                    (name, float(held) if _is_number(held) else held)
                    for name, held in members
                    if name in kept and held is not None and isinstance(held, str | bool | int | float)
                )
            )
        )
    return tuple(sorted(read, key=repr)) or None


def compared(attribute: Attribute) -> list[Attribute]:
    """The sub-attributes of a list that count: not what the provider derives (`$ref`, `display`, `primary`)."""
    derived = {"$ref", "primary", "display"}
    subs = [s for s in attribute.sub_attributes if s.mutability != "readOnly" and s.name not in derived]
    return sorted(subs, key=lambda sub: sub.name)


def _kind(schema: Schema, attribute: Attribute, leaf: Attribute, *, filtered: bool) -> Kind:
    if attribute.multi_valued and not filtered:
        return Kind.LIST
    if schema.id == ENTERPRISE_USER and attribute.name == "manager" and leaf.name in {"manager", "value"}:
        return Kind.REFERENCE
    if attribute.name == "phoneNumbers" and leaf.name == "value":
        return Kind.PHONE
    if leaf.name == "dateHire":  # documented for Genesys: any ISO-8601 in, the date part out
        return Kind.DATE
    return {"boolean": Kind.BOOLEAN, "decimal": Kind.DECIMAL, "integer": Kind.DECIMAL}.get(leaf.type, Kind.TEXT)


def _unknown_sub(text: str, name: str, attribute: Attribute) -> Attribute:
    names = [sub.name for sub in attribute.sub_attributes]
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(names)}" if names else ""
    raise InvalidPath(text, f"{attribute.name} has no sub-attribute {name}{hint}")


def _named(attributes: Iterable[Attribute], name: str) -> Attribute | None:
    for attribute in attributes:
        if attribute.name == name:
            return attribute
    lowered = name.lower()
    return next((a for a in attributes if a.name.lower() == lowered), None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _normal_entry(entry: Entry, attribute: Attribute) -> Entry:
    return tuple(sorted((n, _normal_member(v, attribute.sub(n))) for n, v in entry if v is not None))


def _normal_member(value: Scalar, sub: Attribute | None) -> Scalar:
    if _is_number(value):
        return float(value)  # type: ignore[arg-type]
    return _normal_text(value, sub) if isinstance(value, str) and sub is not None else value


def _plain(value: Value) -> Value:
    """A text as it stands, but for the form of its letters (NFC) and outer space; None for no text at all."""
    return (unicodedata.normalize("NFC", value).strip() or None) if isinstance(value, str) else value


def _normal_text(text: str, attribute: Attribute) -> str:
    """Canonical form, and without case the canonical caseless form (Unicode D145), which is stable."""
    text = unicodedata.normalize("NFD", text)
    return text if attribute.case_exact else unicodedata.normalize("NFD", text.casefold())
