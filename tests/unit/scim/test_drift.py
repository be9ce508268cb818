"""Drift between a baseline and what a target publishes now."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from scimsync.errors import ConfigError
from scimsync.scim.dialect import Dialect
from scimsync.scim.dialect_file import CODED
from scimsync.scim.drift import PLAIN, Drift, Kind, compare, compare_documents, plain_baseline
from scimsync.scim.genesys import GENESYS, GENESYS_GROUP
from scimsync.scim.published import schema_from_json, schemas_from_json
from scimsync.scim.schema import Attribute, Schema

USERS = GENESYS.users
SCHEMAS = USERS.schemas


def core(*attributes: Attribute) -> list[Schema]:
    return [replace(USERS.core, attributes=attributes)]


def published(**changes: Any) -> list[Schema]:
    """The schemas as documents that travelled, `title` and `emails.value` changed."""
    documents = json.loads(json.dumps([schema.to_json() for schema in SCHEMAS]))
    for attribute in documents[0]["attributes"]:
        if attribute["name"] == "title":
            attribute.update(changes)
    return [schema_from_json(document) for document in documents]


def test_a_schema_has_not_drifted_from_itself() -> None:
    assert compare(SCHEMAS, published()) == ()
    assert compare((*SCHEMAS, GENESYS_GROUP), published() + [GENESYS_GROUP]) == ()


@pytest.mark.parametrize(
    ("changes", "kind", "before", "after"),
    [
        ({"type": "integer"}, Kind.TYPE, "string", "integer"),
        ({"multiValued": True}, Kind.MULTI_VALUED, "false", "true"),
        ({"mutability": "READONLY"}, Kind.MUTABILITY, "readWrite", "readOnly"),
        ({"uniqueness": "Server"}, Kind.UNIQUENESS, "none", "server"),
        ({"canonicalValues": ["Agent"]}, Kind.VALUE_ADDED, "", "Agent"),
        ({"required": True}, Kind.REQUIRED, "false", "true"),
        ({"caseExact": True}, Kind.CASE, "without case", "caseExact"),
        ({"returned": "never"}, Kind.RETURNED, "default", "never"),
    ],
)
def test_each_fact_of_an_attribute_can_drift(changes: dict[str, object], kind: Kind, before: str, after: str) -> None:
    drifts = compare(SCHEMAS, published(**changes))
    assert drifts[-1:] == (Drift("title", kind, before, after),)
    assert len(drifts) == (2 if "mutability" in changes else 1)  # a word in capitals is named too


def test_attributes_and_sub_attributes_are_removed_and_added() -> None:
    value, display = Attribute(name="value"), Attribute(name="display", required=True)
    before = core(Attribute(name="title"), Attribute(name="emails", type="complex", sub_attributes=(value,)))
    after = core(Attribute(name="EMAILS", type="complex", sub_attributes=(display,)), Attribute(name="nickName"))
    assert [str(drift) for drift in compare(before, after)] == [
        "title: removed (string)",
        "emails.value: removed (string)",
        "emails.display: added (string)",
        "emails.display: required (none) -> true",
        "nickName: added (string)",
    ]


def test_a_schema_that_is_gone_is_named_by_its_attributes_and_a_new_one_by_its_urn() -> None:
    drifts = compare(SCHEMAS[:2], [SCHEMAS[0], GENESYS_GROUP])
    assert [d.path for d in drifts if d.kind is Kind.REMOVED] == [
        f"enterprise:{attribute.name}" for attribute in SCHEMAS[1].attributes
    ]
    assert [d.path for d in drifts if d.kind is Kind.ADDED] == [GENESYS_GROUP.id]


def test_values_compare_without_case_and_one_by_one() -> None:
    before = core(Attribute(name="kind", canonical_values=("work", "home")))
    after = core(Attribute(name="kind", canonical_values=("WORK", "fax")))
    assert compare(before, after) == (
        Drift("kind", Kind.VALUE_REMOVED, "home", ""),
        Drift("kind", Kind.VALUE_ADDED, "", "fax"),
    )


def test_what_is_required_of_the_provider_binds_nobody() -> None:
    before = core(Attribute(name="id", mutability="readOnly"))
    assert compare(before, core(Attribute(name="id", mutability="readOnly", required=True))) == ()


def test_capitals_are_named_once_for_a_schema() -> None:
    words = ("type", "mutability", "returned", "uniqueness")

    def upper(item: Any) -> Any:
        if isinstance(item, list):
            return [upper(entry) for entry in item]
        if isinstance(item, dict):
            return {k: str(v).upper() if k in words and isinstance(v, str) else upper(v) for k, v in item.items()}
        return item

    shouted = schemas_from_json({"Resources": upper([s.to_json() for s in SCHEMAS])})
    drifts = compare(SCHEMAS, shouted)
    assert [(d.path, d.kind) for d in drifts] == [(s.id, Kind.CAPITALS) for s in SCHEMAS]
    assert compare(shouted, shouted) == ()


# The plain form


def test_paths_of_a_plain_baseline_resolve_to_their_attribute() -> None:
    plain = {
        "title": "string",
        'emails[type eq "work"].value': "STRING",
        "emails.type": "string",
        "groups.value": "string",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager": "string",
        "genesys:routingSkills": "complex",
    }
    listed = {
        USERS.shorten(f"{schema.id}:{attribute.name}"): [sub.name for sub in attribute.sub_attributes]
        for schema in plain_baseline(plain, USERS)
        for attribute in schema.attributes
    }
    assert listed == {
        "title": [],
        "emails": ["value", "type"],
        "groups": ["value"],
        "enterprise:manager": ["value"],
        "genesys:routingSkills": [],
    }


def test_a_plain_baseline_speaks_of_its_paths_only() -> None:
    documents = {"Schemas": {"Resources": [schema.to_json() for schema in published(type="integer")]}}
    plain = {"displayName": "string", 'phoneNumbers[type eq "work"].value': "string"}
    assert compare_documents({PLAIN: plain}, documents, USERS) == ()
    drifts = compare_documents({PLAIN: {**plain, "title": "string", "active": "string"}}, documents, USERS)
    assert [str(drift) for drift in drifts] == ["title: type string -> integer", "active: type string -> boolean"]


def test_all_faults_of_a_plain_baseline_are_told_at_once_with_what_was_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        plain_baseline({"groups[[]].value": "string", "titel": "string", "title": "text", "active": 1}, USERS)
    invalid, unknown, no_type, no_text = caught.value.faults
    assert "holds no filter" in invalid
    assert "did you mean title?" in unknown
    assert "'text' is no type" in no_type
    assert "1 is no type" in no_text


def test_the_part_of_any_element_may_be_written_with_empty_brackets() -> None:
    assert plain_baseline({"groups[].value": "string"}, USERS) == plain_baseline({"groups.value": "string"}, USERS)
    with pytest.raises(ConfigError, match="did you mean value"):
        plain_baseline({"groups[].valeu": "string"}, USERS)


# Whole descriptions


def test_features_and_resource_types_can_drift() -> None:
    before: dict[str, Any] = {
        "ServiceProviderConfig": {"patch": {"supported": True}, "etag": {"supported": True}, "filter": {"supported": True, "maxResults": 200},
                                  "authenticationSchemes": [{"type": "oauthbearertoken"}]},
        "ResourceTypes": {"Resources": [
            {"name": "User", "endpoint": "/Users", "schema": "urn:u", "schemaExtensions": [{"schema": "urn:e", "required": False}]},
            {"name": "Group", "endpoint": "/Groups", "schema": "urn:g"},
        ]},
    }  # fmt: skip
    after: dict[str, Any] = {
        "ServiceProviderConfig": {"patch": {"supported": False}, "filter": {"supported": True, "maxResults": 100},
                                  "authenticationSchemes": [{"type": "oauthbearertoken"}]},
        "ResourceTypes": {"Resources": [{"name": "User", "endpoint": "/Users", "schema": "urn:u"}]},
    }  # fmt: skip
    assert compare_documents(before, before, USERS) == ()
    assert {str(drift) for drift in compare_documents(before, after, USERS)} == {
        "ServiceProviderConfig.patch: feature yes -> no",
        "ServiceProviderConfig.etag: feature yes -> (none)",
        "ServiceProviderConfig.filter.maxResults: feature 200 -> 100",
        "ResourceTypes.User.urn:e: feature extension -> (none)",
        "ResourceTypes.Group: feature /Groups urn:g -> (none)",
    }


# Dialects


@pytest.mark.parametrize("dialect", CODED.values(), ids=CODED)
def test_every_entry_of_a_dialect_says_what_it_rests_on(dialect: Dialect) -> None:
    assert set(dialect.grounds) == set(dialect.__struct_fields__) - {"name", "title", "grounds"}
    assert all(ground.source for ground in dialect.grounds.values())
