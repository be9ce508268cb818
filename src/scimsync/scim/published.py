"""What a provider publishes about its schemas: Schema documents (RFC 7643 §7) read into `Schema`."""

from __future__ import annotations

from collections.abc import Mapping

from scimsync.scim.schema import Attribute, Schema

_MUTABILITY = {m.lower(): m for m in ("readWrite", "readOnly", "immutable", "writeOnly")}
_TYPES = {
    t.lower(): t for t in ("string", "boolean", "decimal", "integer", "dateTime", "reference", "complex", "binary")
}


#: RFC 7643 §2.3.8 knows one level below an attribute; what is deeper than this is not read
_DEEPEST = 4


def schema_from_json(document: Mapping[str, object]) -> Schema:
    """Read a Schema resource (RFC 7643 §7). Enumerated words are taken without case; `capitals` remembers it.

    Takes any JSON: what has another form than the RFC gives it is as if it were not there.
    """
    return Schema(
        id=_text(document, "id"),
        name=_text(document, "name"),
        description=_text(document, "description"),
        attributes=_attributes(document.get("attributes")),
        capitals=_in_capitals(document.get("attributes")),
    )


def schemas_from_json(document: Mapping[str, object]) -> tuple[Schema, ...]:
    """Read the answer of `/Schemas` (a ListResponse), or one Schema resource; each schema once."""
    listed = document.get("Resources")
    found = listed if isinstance(listed, list) else [document] if "attributes" in document else []
    schemas: dict[str, Schema] = {}
    for item in found:
        if isinstance(item, Mapping):
            schema = schema_from_json(item)
            schemas.setdefault(schema.id.lower(), schema)
    return tuple(schemas.values())


def _attributes(listed: object, depth: int = _DEEPEST) -> tuple[Attribute, ...]:
    """The attributes of a list, each name once: names have no case, and the first counts."""
    found: dict[str, Attribute] = {}
    for item in listed if isinstance(listed, list) and depth else []:
        if isinstance(item, Mapping):
            attribute = _attribute_from(item, depth)
            found.setdefault(attribute.name.lower(), attribute)
    return tuple(found.values())


def _attribute_from(item: Mapping[str, object], depth: int) -> Attribute:
    mutability, type_ = _text(item, "mutability", "readWrite"), _text(item, "type", "string")
    return Attribute(
        name=_text(item, "name"),
        type=_TYPES.get(type_.lower(), type_),
        multi_valued=item.get("multiValued") is True,
        required=item.get("required") is True,
        case_exact=item.get("caseExact") is True,
        mutability=_MUTABILITY.get(mutability.lower(), mutability),
        returned=_text(item, "returned", "default").lower(),
        uniqueness=_text(item, "uniqueness", "none").lower(),
        canonical_values=_texts(item.get("canonicalValues")),
        reference_types=_texts(item.get("referenceTypes")),
        sub_attributes=_attributes(item.get("subAttributes"), depth - 1),
        description=_text(item, "description"),
    )


def _in_capitals(listed: object, depth: int = _DEEPEST) -> bool:
    """Whether an enumerated word of an attribute, or of one below it, is in capitals."""
    return any(
        any(_text(item, word).isupper() for word in ("type", "mutability", "returned", "uniqueness"))
        or _in_capitals(item.get("subAttributes"), depth - 1)
        for item in (listed if isinstance(listed, list) and depth else [])
        if isinstance(item, Mapping)
    )


def _text(item: Mapping[str, object], name: str, default: str = "") -> str:
    found = item.get(name)
    return found if isinstance(found, str) else default


def _texts(found: object) -> tuple[str, ...]:
    return tuple(text for text in found if isinstance(text, str)) if isinstance(found, list) else ()
