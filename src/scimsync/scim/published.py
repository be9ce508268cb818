"""What a provider publishes about its schemas: Schema documents (RFC 7643 §7) read into `Schema`."""

from __future__ import annotations

from collections.abc import Mapping

from scimsync.scim.schema import Attribute, Schema

_MUTABILITY = {m.lower(): m for m in ("readWrite", "readOnly", "immutable", "writeOnly")}
_TYPES = {
    t.lower(): t for t in ("string", "boolean", "decimal", "integer", "dateTime", "reference", "complex", "binary")
}


def schema_from_json(document: Mapping[str, object]) -> Schema:
    """Read a Schema resource (RFC 7643 §7). Enumerated words are taken without case; `capitals` remembers it."""
    return Schema(
        id=str(document.get("id", "")),
        name=str(document.get("name", "")),
        description=str(document.get("description", "")),
        attributes=_attributes(document.get("attributes")),
        capitals=_in_capitals(document.get("attributes")),
    )


def schemas_from_json(document: Mapping[str, object]) -> tuple[Schema, ...]:
    """Read the answer of `/Schemas` (a ListResponse), or one Schema resource."""
    listed = document.get("Resources")
    found = listed if isinstance(listed, list) else [document] if "attributes" in document else []
    return tuple(schema_from_json(item) for item in found if isinstance(item, Mapping))


def _attributes(listed: object) -> tuple[Attribute, ...]:
    found = listed if isinstance(listed, list) else []
    return tuple(_attribute_from(item) for item in found if isinstance(item, Mapping))


def _attribute_from(item: Mapping[str, object]) -> Attribute:
    mutability, type_ = str(item.get("mutability", "readWrite")), str(item.get("type", "string"))
    return Attribute(
        name=str(item.get("name", "")),
        type=_TYPES.get(type_.lower(), type_),
        multi_valued=item.get("multiValued") is True,
        required=item.get("required") is True,
        case_exact=item.get("caseExact") is True,
        mutability=_MUTABILITY.get(mutability.lower(), mutability),
        returned=str(item.get("returned", "default")).lower(),
        uniqueness=str(item.get("uniqueness", "none")).lower(),
        canonical_values=_texts(item.get("canonicalValues")),
        reference_types=_texts(item.get("referenceTypes")),
        sub_attributes=_attributes(item.get("subAttributes")),
        description=str(item.get("description", "")),
    )


def _in_capitals(listed: object) -> bool:
    """Whether an enumerated word of an attribute, or of one below it, is in capitals."""
    return any(
        any(str(item.get(word, "")).isupper() for word in ("type", "mutability", "returned", "uniqueness"))
        or _in_capitals(item.get("subAttributes"))
        for item in (listed if isinstance(listed, list) else [])
        if isinstance(item, Mapping)
    )


def _texts(found: object) -> tuple[str, ...]:
    return tuple(str(text) for text in found) if isinstance(found, list) else ()
