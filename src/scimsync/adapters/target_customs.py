"""Custom attributes of the Platform API: their schemas, records, and the types of their values (reference §16)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from scimsync.scim.forms import truth

CUSTOM = "customAttributes"
JsonObject = dict[str, object]


class Unwritable(Exception):
    """A value has no form that the Platform API takes. Caught by who wanted it written."""


class CustomSchema(Struct, frozen=True, kw_only=True):
    """The custom attributes that belong together: what a record names it by, and the core type of each."""

    id: str
    name: str
    version: int
    types: Mapping[str, str]


def read_schema(document: Mapping[str, object]) -> CustomSchema | None:
    """A `DataSchema`; None for one that is not in use."""
    inner = document.get("jsonSchema")
    properties = inner.get("properties") if isinstance(inner, Mapping) else None
    if document.get("enabled") is False or not isinstance(properties, Mapping):
        return None
    version = document.get("version")
    return CustomSchema(
        id=str(document.get("id")),
        name=str(document.get("name")),
        version=version if isinstance(version, int) else 1,
        types={str(name): _core_type(held) for name, held in properties.items()},
    )


def _core_type(held: object) -> str:
    """The core type that a property refers to: `{"allOf": [{"$ref": "#/definitions/text"}]}`."""
    listed = held.get("allOf") if isinstance(held, Mapping) else None
    first = listed[0] if isinstance(listed, list) and listed else None
    return str(first.get("$ref", "")).rpartition("/")[2] if isinstance(first, Mapping) else ""


def read_records(listed: Sequence[object]) -> dict[str, JsonObject]:
    """Schema id -> attributes, of records as `UserCustomAttributes` has them."""
    found: dict[str, JsonObject] = {}
    for record in listed:
        schema = record.get("schema") if isinstance(record, Mapping) else None
        attributes = record.get("attributes") if isinstance(record, Mapping) else None
        if isinstance(schema, Mapping) and isinstance(attributes, dict):
            found[str(schema.get("id"))] = attributes
    return found


def text_of(value: object) -> str:
    """A value as a mapping says it: true, 5, 2.5."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def typed(name: str, text: str, kind: str) -> object:
    """A text as the core type of its attribute wants it.

    Raises:
        Unwritable: It says nothing of this type.
    """
    try:
        match kind:
            case "integer":
                return int(text)
            case "number" if math.isfinite(number := float(text)):
                return number
            case "number":
                raise ValueError
            case "checkbox" if (said := truth(text)) is not None:
                return said
            case "checkbox":
                raise ValueError
    except ValueError:
        raise Unwritable(f"the custom attribute {name} is of type {kind}, and the value is not") from None
    return text


def by_name(members: Mapping[str, object]) -> dict[str, object]:
    """Name -> value of the custom attributes among what a person has."""
    listed = members.get(CUSTOM)
    found = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    return {str(one.get("name")): one.get("value") for one in found}
