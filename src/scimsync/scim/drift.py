"""Drift: what a provider publishes now against a baseline (RFC 7643 §5 to §7). Judges nothing.

A path is short, as people write it in `[attributes]`: `title`, `phoneNumbers.type`, `enterprise:department`.
What belongs to no attribute is named by its document: `ResourceTypes.User`, `ServiceProviderConfig.patch`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from scimsync.errors import ConfigError, InvalidPath
from scimsync.scim.genesys import GENESYS
from scimsync.scim.grammar import parse_path
from scimsync.scim.messages import plain, read_error
from scimsync.scim.published import schemas_from_json
from scimsync.scim.schema import Attribute, Catalog, Schema
from scimsync.scim.schema import Kind as PlaceKind

#: the three documents in which a provider describes itself, as their endpoints are called
SCHEMAS, RESOURCE_TYPES, CONFIG = "Schemas", "ResourceTypes", "ServiceProviderConfig"
DOCUMENTS = (CONFIG, SCHEMAS, RESOURCE_TYPES)
#: the name under which a baseline in the plain form `{path: type}` is kept
PLAIN = "plain"

FEATURES = ("patch", "etag", "filter", "bulk", "sort", "changePassword")
#: texts up to this length are shown
_SHORT = 40
_TYPES = ("string", "boolean", "decimal", "integer", "dateTime", "reference", "complex", "binary")


class Kind(Enum):
    """What drifted; the value is what people read."""

    REMOVED = "removed"
    ADDED = "added"
    TYPE = "type"
    MULTI_VALUED = "multi-valued"
    MUTABILITY = "mutability"
    UNIQUENESS = "uniqueness"
    VALUE_REMOVED = "value removed"
    VALUE_ADDED = "value added"
    REQUIRED = "required"
    CASE = "case"
    RETURNED = "returned"
    CAPITALS = "capitals"
    FEATURE = "feature"
    UNREADABLE = "unreadable"


class Drift(Struct, frozen=True):
    """One difference: where, what, and both states as text; "" is absent.

    Examples:
        >>> str(Drift("title", Kind.MUTABILITY, "readWrite", "readOnly"))
        'title: mutability readWrite -> readOnly'
    """

    path: str
    kind: Kind
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        """One half line for people."""
        return f"{self.path}: {self.what}"

    @property
    def is_new(self) -> bool:
        """Whether the baseline says nothing about the path at all."""
        return self.kind is Kind.ADDED or (self.kind is Kind.REQUIRED and not self.before)

    @property
    def what(self) -> str:
        """The difference without its path."""
        match self.kind:
            case Kind.REMOVED | Kind.ADDED | Kind.UNREADABLE:
                return f"{self.kind.value} ({self.before or self.after})"
            case Kind.VALUE_REMOVED | Kind.VALUE_ADDED:
                return f"{self.kind.value}: {self.before or self.after}"
            case Kind.CAPITALS:
                return "words in capitals" if self.after == "capitals" else "words no longer in capitals"
        return f"{self.kind.value} {self.before or '(none)'} -> {self.after or '(none)'}"


def compare(baseline: Sequence[Schema], found: Sequence[Schema], catalog: Catalog = GENESYS.users) -> tuple[Drift, ...]:
    """What became of the baseline's schemas. Enumerated words and names have no case.

    Args:
        baseline: The schemas as they were.
        found: The schemas as they are.
        catalog: Gives the short prefixes of the paths.

    Examples:
        >>> before = Schema(id=GENESYS.users.core.id, name="User", attributes=(Attribute(name="title"),))
        >>> after = replace(before, attributes=(Attribute(name="title", mutability="readOnly"),))
        >>> [str(drift) for drift in compare([before], [after])]
        ['title: mutability readWrite -> readOnly']
    """
    return tuple(_compare(baseline, found, catalog))


def _compare(baseline: Sequence[Schema], found: Sequence[Schema], catalog: Catalog) -> Iterator[Drift]:
    now = {schema.id.lower(): schema for schema in found}
    before = {schema.id.lower() for schema in baseline}
    for schema in baseline:
        later = now.get(schema.id.lower())
        if later is not None and later.capitals != schema.capitals:
            yield Drift(schema.id, Kind.CAPITALS, _lettering(schema), _lettering(later))
        names = [catalog.shorten(f"{schema.id}:{attribute.name}") for attribute in schema.attributes]
        yield from _among(schema.attributes, names, later.attributes if later else (), catalog.shorten(f"{schema.id}:"))
    for schema in found:
        if schema.id.lower() not in before:
            yield Drift(schema.id, Kind.ADDED, "", "schema")


def _lettering(schema: Schema) -> str:
    return "capitals" if schema.capitals else "as in RFC 7643"


def _among(
    before: Sequence[Attribute], names: Sequence[str], after: Sequence[Attribute], prefix: str
) -> Iterator[Drift]:
    """Attributes on one level; `names` are the short paths of those before."""
    now = {attribute.name.lower(): attribute for attribute in after}
    for attribute, path in zip(before, names, strict=True):
        later = now.pop(attribute.name.lower(), None)
        if later is None:
            yield Drift(path, Kind.REMOVED, attribute.type, "")
        else:
            yield from _facts(path, attribute, later)
            subs = [f"{path}.{sub.name}" for sub in attribute.sub_attributes]
            yield from _among(attribute.sub_attributes, subs, later.sub_attributes, f"{path}.")
    for attribute in now.values():
        yield Drift(f"{prefix}{attribute.name}", Kind.ADDED, "", attribute.type)
        if _wanted(attribute):
            yield Drift(f"{prefix}{attribute.name}", Kind.REQUIRED, "", "true")


def _facts(path: str, before: Attribute, after: Attribute) -> Iterator[Drift]:
    for kind, old, new in (
        (Kind.TYPE, before.type, after.type),
        (Kind.MULTI_VALUED, _claim(before.multi_valued), _claim(after.multi_valued)),
        (Kind.MUTABILITY, before.mutability, after.mutability),
        (Kind.UNIQUENESS, before.uniqueness, after.uniqueness),
        (Kind.REQUIRED, _claim(_wanted(before)), _claim(_wanted(after))),
        (Kind.CASE, _case(before, after), _case(after, before)),
        (Kind.RETURNED, before.returned, after.returned),
    ):
        if old.lower() != new.lower():
            yield Drift(path, kind, old, new)
    old_values, new_values = _words(before), _words(after)
    if before.type.lower() == after.type.lower():
        yield from (Drift(path, Kind.VALUE_REMOVED, old_values[w], "") for w in old_values if w not in new_values)
        yield from (Drift(path, Kind.VALUE_ADDED, "", new_values[w]) for w in new_values if w not in old_values)


def _claim(holds: bool) -> str:  # noqa: FBT001
    return str(holds).lower()


def _wanted(attribute: Attribute) -> bool:
    """Whether a client must give a value: what is read-only binds the provider alone."""
    return attribute.required and attribute.mutability.lower() != "readonly"


def _case(attribute: Attribute, other: Attribute) -> str:
    """Case is a matter of text on both sides: of numbers and complex attributes servers say anything."""
    if {attribute.type, other.type} <= {"string", "reference", "binary"}:
        return "caseExact" if attribute.case_exact else "without case"
    return ""


def _words(attribute: Attribute) -> dict[str, str]:
    return {word.lower(): word for word in attribute.canonical_values}


# A baseline in the plain form


def plain_baseline(plain: Mapping[str, object], catalog: Catalog) -> tuple[Schema, ...]:
    """Read a baseline `{path: type}`; whatever it does not say about a path is taken from the catalog.

    A path with a value filter means its attribute: `emails[type eq "work"].value` is `emails.value`, and so is
    `emails[].value`, as some write the part of any element.

    Raises:
        ConfigError: A path names nothing, or a type is none of RFC 7643 §2.3; all faults at once.

    Examples:
        >>> [schema] = plain_baseline({'emails[type eq "work"].value': "string"}, GENESYS.users)
        >>> [(a.name, [s.name for s in a.sub_attributes]) for a in schema.attributes]
        [('emails', ['value'])]
    """
    listed: dict[str, dict[str, Attribute]] = {}
    faults = []
    for text, given in plain.items():
        try:
            _list(listed, text, given, catalog)
        except InvalidPath as error:
            faults.append(f"baseline: {error}")
        except ValueError as error:
            faults.append(f"baseline: {text}: {error}")
    if faults:
        raise ConfigError(*faults)
    return tuple(
        replace(schema, attributes=tuple(listed[schema.id].values()))
        for schema in catalog.schemas
        if schema.id in listed
    )


#: some write the part of any element so: `emails[].value`
_ANY = re.compile(r"(?<=\w)\[\](?=\.|$)")


def _list(listed: dict[str, dict[str, Attribute]], text: str, given: object, catalog: Catalog) -> None:
    """Add what one line of a plain baseline names."""
    types = {name.lower(): name for name in _TYPES}
    if not isinstance(given, str) or given.lower() not in types:
        said = repr(given) if isinstance(given, str | int | float | None) else f"a {type(given).__name__}"
        raise ValueError(f"{said} is no type; types are {', '.join(_TYPES)}")
    type_ = types[given.lower()]
    place = catalog.resolve(_ANY.sub("", text))
    if place.urn not in {None, *(schema.id for schema in catalog.published.schemas)}:
        raise ValueError("it is not in SCIM, so no schema is published to compare it with")
    attribute, leaf = place.attribute, place.leaf
    held = listed.setdefault(place.urn or catalog.core.id, {})
    known = held.get(attribute.name, replace(attribute, sub_attributes=()))
    # `manager` and `manager.value` are one place, and only the first is complex
    whole = type_ == "complex" if place.kind is PlaceKind.REFERENCE else leaf is attribute
    if whole:
        held[attribute.name] = replace(known, type=type_)
    else:
        others = tuple(sub for sub in known.sub_attributes if sub.name != leaf.name)
        held[attribute.name] = replace(known, sub_attributes=(*others, replace(leaf, type=type_)))


# Whatever somebody has at hand


def compare_any(baseline: object, published: object, catalog: Catalog) -> tuple[Drift, ...]:
    """Compare a baseline of either form with an answer of `/Schemas`; what cannot be read is a drift, too.

    A path that the catalog does not know may be one that the provider has by now, or has no more: what is
    published decides.

    Args:
        baseline: `{path: type}`, an answer of `/Schemas`, or anything else.
        published: An answer of `/Schemas`, or anything else.
        catalog: Gives the short prefixes, and whatever a plain baseline does not say.
    """
    found = _schemas_of(published)
    if found is None:
        return (Drift(SCHEMAS, Kind.UNREADABLE, "", _what(published)),)
    if not isinstance(baseline, Mapping):
        return (Drift("baseline", Kind.UNREADABLE, _what(baseline)),)
    if "Resources" in baseline or not isinstance(baseline.get("attributes", ""), str):
        before = _schemas_of(baseline)
        if before is None:
            return (Drift("baseline", Kind.UNREADABLE, _what(baseline)),)
        return compare(before, found, catalog)
    return tuple(_against_lines(baseline, found, catalog))


def _against_lines(plain: Mapping[object, object], found: Sequence[Schema], catalog: Catalog) -> Iterator[Drift]:
    """What became of the paths of a plain baseline, each read by what the catalog knows or what is published."""
    core = next((schema for schema in found if schema.id.lower() == catalog.core.id.lower()), None)
    others = tuple(schema for schema in found if schema is not core)
    now = Catalog(core or replace(catalog.core, attributes=()), others, catalog.prefixes)
    for reader in (catalog, now):
        listed: dict[str, dict[str, Attribute]] = {}
        for text, given in plain.items():
            known = _known_by(text, catalog, now)
            if known is reader and (fault := _line(listed, text, given, reader)):
                yield fault
            if known is None and reader is now:
                yield _lost(text, given)
        schemas = [replace(s, attributes=tuple(listed[s.id].values())) for s in reader.schemas if s.id in listed]
        yield from (drift for drift in compare(schemas, found, catalog) if not drift.is_new)


def _known_by(text: object, *catalogs: Catalog) -> Catalog | None:
    for catalog in catalogs:
        try:
            catalog.resolve(_ANY.sub("", text) if isinstance(text, str) else "")
        except InvalidPath:
            continue
        return catalog
    return None


def _line(listed: dict[str, dict[str, Attribute]], text: object, given: object, catalog: Catalog) -> Drift | None:
    try:
        _list(listed, str(text), given, catalog)
    except ValueError:
        return Drift(str(text), Kind.UNREADABLE, _what(given))
    return None


def _lost(text: object, given: object) -> Drift:
    """A path that names nothing now: gone, where it is one."""
    if not isinstance(text, str):
        return Drift("baseline", Kind.UNREADABLE, _what(text))
    try:
        parse_path(_ANY.sub("", text))
    except InvalidPath:
        return Drift(text, Kind.UNREADABLE, "it is no path")
    return Drift(text, Kind.REMOVED, given if isinstance(given, str) else _what(given))


def _schemas_of(document: object) -> tuple[Schema, ...] | None:
    """The schemas of an answer; None where it is none. An empty list is an answer."""
    if not isinstance(document, Mapping):
        return None
    schemas = schemas_from_json(document)
    return schemas if schemas or document.get("Resources") == [] else None


def _what(found: object) -> str:
    """What somebody gave, for people: a type, what an error body says, or a short text."""
    if isinstance(found, Mapping):
        said = read_error(0, found)
        words = [plain(found.get("status")), said.code, said.detail]
        return "an error: " + " ".join(filter(None, words)) if any(words) else "an object without schemas"
    if isinstance(found, str) and len(found) <= _SHORT:
        return f"{found!r} is none of {', '.join(_TYPES)}" if found else "an empty text"
    return "nothing" if found is None else f"a {type(found).__name__}"


# Whole descriptions


def compare_documents(
    before: Mapping[str, Mapping[str, object]], after: Mapping[str, Mapping[str, object]], catalog: Catalog
) -> tuple[Drift, ...]:
    """Compare the documents that a baseline has with those of now, by the name of their endpoint.

    A baseline in the plain form (`PLAIN`) says nothing about paths that it does not list, so nothing is
    called added against it.

    Raises:
        ConfigError: A plain baseline cannot be read.
    """
    if all(body == after.get(name) for name, body in before.items()):
        return ()  # most days: nothing need be read
    drifts: list[Drift] = []
    found = schemas_from_json(after.get(SCHEMAS, {}))
    if PLAIN in before:
        listed = plain_baseline(before[PLAIN], catalog)
        drifts += [d for d in compare(listed, found, catalog) if not d.is_new]
    if SCHEMAS in before:
        drifts += compare(schemas_from_json(before[SCHEMAS]), found, catalog)
    if RESOURCE_TYPES in before:
        drifts += compare_types(before[RESOURCE_TYPES], after.get(RESOURCE_TYPES, {}))
    if CONFIG in before:
        drifts += compare_config(before[CONFIG], after.get(CONFIG, {}))
    return tuple(drifts)


def compare_types(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[Drift, ...]:
    """Compare two answers of `/ResourceTypes`: types, their endpoints, their schema extensions."""
    return tuple(_differences(RESOURCE_TYPES, Kind.FEATURE, _type_facts(before), _type_facts(after)))


def compare_config(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[Drift, ...]:
    """Compare two ServiceProviderConfigs: features, the largest page, authentication schemes."""
    return tuple(_differences(CONFIG, Kind.FEATURE, config_facts(before), config_facts(after)))


def _differences(document: str, kind: Kind, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Drift]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            yield Drift(f"{document}.{name}", kind, old, new)


def _type_facts(document: Mapping[str, object]) -> dict[str, str]:
    facts = {}
    listed = document.get("Resources")
    for item in listed if isinstance(listed, list) else []:
        if not isinstance(item, Mapping):
            continue
        name = str(item.get("name") or item.get("id") or "")
        facts[name] = f"{item.get('endpoint', '')} {item.get('schema', '')}".strip()
        extensions = item.get("schemaExtensions")
        for extension in extensions if isinstance(extensions, list) else []:
            if isinstance(extension, Mapping):
                required = " required" if extension.get("required") is True else ""
                facts[f"{name}.{extension.get('schema', '')}"] = f"extension{required}"
    return facts


def pages_by_cursor(document: Mapping[str, object]) -> bool:
    """Whether a ServiceProviderConfig says that listings go on by cursors only (RFC 9865 §4).

    Examples:
        >>> pages_by_cursor({"pagination": {"cursor": True, "index": False}}), pages_by_cursor({})
        (True, False)
    """
    said = document.get("pagination")
    return isinstance(said, Mapping) and said.get("cursor") is True and said.get("index") is False


def largest_page(document: Mapping[str, object]) -> int:
    """The most results of one answer that a ServiceProviderConfig announces; 0 where it announces none.

    Examples:
        >>> largest_page({"filter": {"supported": True, "maxResults": "50"}}), largest_page({})
        (50, 0)
    """
    said = config_facts(document).get("filter.maxResults", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 10 else 0


def config_facts(document: Mapping[str, object]) -> dict[str, str]:
    """The facts of a ServiceProviderConfig that a client rests on, as text by name; what it does not say is absent.

    Examples:
        >>> config_facts({"patch": {"supported": True}, "filter": {"supported": True, "maxResults": 200}})
        {'patch': 'yes', 'filter': 'yes', 'filter.maxResults': '200'}
    """
    facts = {}
    for name in FEATURES:
        feature = document.get(name)
        if isinstance(feature, Mapping) and isinstance(feature.get("supported"), bool):
            facts[name] = "yes" if feature["supported"] else "no"
    feature = document.get("filter")
    if isinstance(feature, Mapping) and "maxResults" in feature:
        facts["filter.maxResults"] = str(feature["maxResults"])
    schemes = document.get("authenticationSchemes")
    words = [str(s.get("type", "")) for s in schemes if isinstance(s, Mapping)] if isinstance(schemes, list) else []
    if words:
        facts["authenticationSchemes"] = ", ".join(sorted(words))
    return facts
