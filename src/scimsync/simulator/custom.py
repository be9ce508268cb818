"""Custom attributes of people: their schemas, and a record for each person and schema (genesys-scim.md §16).

The Platform API alone has them (documented since 2026). A record has no version, and does not move that of its person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from scimsync.simulator.answers import Refused
from scimsync.simulator.entities import JsonObject
from scimsync.simulator.people import identifier

#: core type of a property -> what its value is
CORE_TYPES: Mapping[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str) and len(value) <= 100,
    "longtext": lambda value: isinstance(value, str) and len(value) <= 1000,
    "url": lambda value: isinstance(value, str) and "://" in value,
    "identifier": lambda value: isinstance(value, str) and len(value) <= 100,
    "date": lambda value: isinstance(value, str) and len(value) == 10,
    "datetime": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "checkbox": lambda value: isinstance(value, bool),
    "enum": lambda value: isinstance(value, str),
    "tag": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
}


class CustomSchema(Struct):
    """The attributes that belong together, by name with their core type."""

    name: str
    types: dict[str, str]
    version: int = 1

    @property
    def id(self) -> str:
        """Its id."""
        return identifier(f"schema:{self.name}")

    def to_json(self) -> JsonObject:
        """As the Platform API shows it: a `DataSchema`."""
        properties = {
            name: {"allOf": [{"$ref": f"#/definitions/{kind}"}], "title": name} for name, kind in self.types.items()
        }
        document = {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "title": self.name,
            "type": "object",
            "properties": properties,
        }
        return {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "appliesTo": ["USER"],
            "enabled": True,
            "jsonSchema": document,
            "selfUri": f"/api/v2/users/customattributes/schemas/{self.id}",
        }


def _first() -> dict[str, CustomSchema]:
    schema = CustomSchema("Employment", {"costCenter": "text", "badge": "integer", "remote": "checkbox"})
    return {schema.id: schema}


class CustomAttributes(Struct):
    """The schemas there are, and the records of people: by user id and schema id."""

    schemas: dict[str, CustomSchema] = field(default_factory=_first)
    records: dict[str, dict[str, JsonObject]] = field(default_factory=dict)

    def define(self, name: str, types: Mapping[str, str]) -> CustomSchema:
        """Make a schema, or give one other attributes under a new version.

        Raises:
            ValueError: A type is none of the core types.
        """
        if unknown := sorted(set(types.values()) - set(CORE_TYPES)):
            raise ValueError(f"{unknown[0]} is none of the core types {', '.join(CORE_TYPES)}")
        schema = CustomSchema(name, dict(types))
        if (held := self.schemas.get(schema.id)) is not None:
            schema.version = held.version + 1
        self.schemas[schema.id] = schema
        return schema

    def schema(self, id_: str) -> CustomSchema:
        """The schema of that id.

        Raises:
            Refused: 404; there is none.
        """
        if (found := self.schemas.get(id_)) is None:
            raise Refused(404, "There is no schema with this id.")
        return found

    def show(self, user: str, schema: CustomSchema) -> JsonObject:
        """A record as the Platform API shows it.

        Raises:
            Refused: 404; the person has none of this schema.
        """
        if (held := self.records.get(user, {}).get(schema.id)) is None:
            raise Refused(404, "This user has no custom attributes of this schema.")
        return {
            "id": identifier(f"custom:{user}:{schema.id}"),
            "userId": user,
            "schema": schema.to_json(),
            "attributes": held,
            "selfUri": f"/api/v2/users/{user}/customattributes/{schema.id}",
        }

    def write(self, user: str, body: object, *, whole: bool) -> tuple[CustomSchema, bool]:
        """Replace the record of a person, or amend it; the schema, and whether anything changed.

        Raises:
            Refused: 400 or 404; the body names no schema, another version of it, or a value that does not fit.
        """
        given = body if isinstance(body, Mapping) else {}
        attributes = given.get("attributes")
        if not isinstance(attributes, Mapping) or not isinstance(given.get("schemaId"), str):
            raise Refused(400, "schemaId and attributes are required.")
        schema = self.schema(str(given["schemaId"]))
        if given.get("schemaVersion", schema.version) != schema.version:
            raise Refused(400, f"The schema has the version {schema.version}.")
        for name, value in attributes.items():
            kind = schema.types.get(str(name))
            if kind is None or not (value is None or CORE_TYPES[kind](value)):
                raise Refused(400, f"{name} is not an attribute of this schema, or its value is no {kind}.")
        records = self.records.setdefault(user, {})
        before = records.get(schema.id)
        kept = {} if whole else before or {}
        after = {name: value for name, value in {**kept, **attributes}.items() if value is not None}
        records[schema.id] = after
        return schema, after != before

    def remove(self, user: str, schema: CustomSchema) -> None:
        """Take the record of a person away.

        Raises:
            Refused: 404; the person has none of this schema.
        """
        self.show(user, schema)
        del self.records[user][schema.id]
