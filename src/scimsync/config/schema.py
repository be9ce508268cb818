"""JSON Schema (draft 2020-12) of the configuration, from the models that read it."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from scimsync.config.clockwork import DAYS, MAIL, MAIL_NEEDS
from scimsync.config.document import Document
from scimsync.config.keys import INSTEAD, PLACED, WAYS
from scimsync.config.sources import FITS, NEEDS
from scimsync.model.alarms import AlarmKind
from scimsync.model.events import PROFILE, EventKind
from scimsync.scim.regions import GENESYS_REGIONS

#: how the schema calls itself; no address, because nothing is fetched
ID = "urn:scimsync:configuration"

Node = dict[str, Any]


class Generator(GenerateJsonSchema):
    """As pydantic does; without titles made of names, and without null, which TOML does not have."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """What may be missing, as it is where it is there."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """What holds where a key is missing."""
        found = super().default_schema(schema)
        if found.get("default") in ("", None, {}):  # stands for a key that is missing
            found.pop("default", None)
        return found


@cache
def schema() -> Node:
    """The schema; nobody changes it."""
    found = Document.model_json_schema(schema_generator=Generator)
    sections = found.pop("$defs")
    whole = cast(Node, inlined(found, sections))
    _narrow(whole["properties"])
    return {"$schema": GenerateJsonSchema.schema_dialect, "$id": ID} | whole


def inlined(node: object, sections: Node) -> object:
    """Every section where it is referred to: an editor that ignores what stands beside `$ref` loses no text."""
    if isinstance(node, list):
        return [inlined(each, sections) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: inlined(each, sections) for key, each in node.items() if key != "$ref"}
    if "$ref" in node:
        section = cast(Node, inlined(sections[node["$ref"].rpartition("/")[2]], sections))
        section.pop("title", None)
        return section | found
    return found


def _narrow(sections: Node) -> None:
    """What one model cannot say: keys that need each other, and words that an editor may offer."""
    kinds = [
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
            "then": {
                "required": [*needed],
                "properties": dict.fromkeys((key for key, kinds in FITS.items() if kind not in kinds), False),
            },
        }
        for kind, needed in NEEDS.items()
    ]
    joined = sections["source"]["additionalProperties"]
    sections["source"]["allOf"], joined["allOf"] = kinds, kinds
    joined["oneOf"] = [{"required": [key]} for key in ("join", "key")]
    sections["target"]["oneOf"] = [
        {"required": ["region"]},
        {"required": ["api_url"], "anyOf": [{"required": [key]} for key in PLACED]},
    ]
    others = {
        key: [other for way in WAYS.values() if key not in way for other in way] for key in sum(WAYS.values(), ())
    }
    others["token_url"] = [*others["token_url"], *INSTEAD]
    sections["target"]["dependentSchemas"] = {
        key: {"properties": dict.fromkeys(keys, False)} for key, keys in others.items()
    }
    sections["target"]["properties"]["region"]["anyOf"] = [{"enum": [*GENESYS_REGIONS]}, {"minLength": 1}]
    alarm = sections["alarm"]["items"]
    alarm["properties"]["about"]["items"] = {"enum": [kind.value for kind in AlarmKind]}
    alarm["allOf"] = [
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": "mail"}}},
            "then": {"required": [*MAIL_NEEDS], "properties": {"url": False}},
            "else": {"required": ["url"], "properties": dict.fromkeys(MAIL, False)},
        }
    ]
    sections["blackout"]["items"]["properties"]["days"]["items"] = {"enum": [*DAYS]}
    sections["groups"]["oneOf"] = [{"required": [key]} for key in ("query", "path", "base", "column")]
    names = [kind.value for kind in EventKind]
    known = "|".join(name.replace(".", r"\.") for name in names)
    event = {"anyOf": [{"enum": names}, {"pattern": f"^({PROFILE})?({known})(:full)?(:notice)?$"}]}
    for choice in sections["webhook"]["items"]["properties"]["events"]["anyOf"]:
        choice.get("items", choice).update(event)
