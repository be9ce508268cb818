"""What the service says about itself: Schemas, ResourceTypes, ServiceProviderConfig (genesys-scim §3.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scimsync.scim.genesys import GENESYS_GROUP, GENESYS_USER
from scimsync.scim.messages import list_response
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Attribute, Schema
from scimsync.simulator.answers import Refused
from scimsync.simulator.drift import Step, drifted
from scimsync.simulator.entities import USERS

JsonObject = dict[str, object]

_CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"


def _read_only(name: str, type_: str = "string", *subs: Attribute, many: bool = False) -> Attribute:
    return Attribute(name=name, type=type_, multi_valued=many, mutability="readOnly", sub_attributes=subs)


_SUPPORTED = _read_only("supported", "boolean")
_DEFINITION = (
    *(_read_only(name) for name in ("name", "type", "description", "mutability", "returned", "uniqueness")),
    *(_read_only(name, "boolean") for name in ("multiValued", "required", "caseExact")),
    *(_read_only(name, many=True) for name in ("canonicalValues", "referenceTypes")),
)
#: the schemas of the service's own description (RFC 7643 §5 to §7)
_OWN = (
    Schema(
        id=_CONFIG,
        name="ServiceProviderConfig",
        attributes=(
            _read_only("documentationUri", "reference"),
            *(_read_only(name, "complex", _SUPPORTED) for name in ("patch", "changePassword", "sort", "etag")),
            _read_only("bulk", "complex", _SUPPORTED, _read_only("maxOperations", "integer"),
                       _read_only("maxPayloadSize", "integer")),
            _read_only("filter", "complex", _SUPPORTED, _read_only("maxResults", "integer")),
            _read_only("authenticationSchemes", "complex",
                       *(_read_only(n) for n in ("name", "description", "type", "specUri", "documentationUri")),
                       _read_only("primary", "boolean"), many=True),
        ),
    ),
    Schema(
        id=_TYPE,
        name="ResourceType",
        attributes=(
            *(_read_only(name) for name in ("id", "name", "description", "endpoint", "schema")),
            _read_only("schemaExtensions", "complex", _read_only("schema"), _read_only("required", "boolean"),
                       many=True),
        ),
    ),
    Schema(
        id=_SCHEMA,
        name="Schema",
        attributes=(
            *(_read_only(name) for name in ("id", "name", "description")),
            _read_only("attributes", "complex", *_DEFINITION,
                       _read_only("subAttributes", "complex", *_DEFINITION, many=True), many=True),
        ),
    ),
)  # fmt: skip


def schemas(base: str, drift: Sequence[Step] = ()) -> dict[str, JsonObject]:
    """All schemas by their URN, as the `/Schemas` endpoint serves them."""
    return {
        schema.id: drifted(
            {
                "schemas": [_SCHEMA],
                **schema.to_json(),
                "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{schema.id}"},
            },
            list(drift),
        )
        for schema in (*USERS.schemas, GENESYS_GROUP, *_OWN)
    }


#: resource type -> description, endpoint, schema, extensions (documented: these five)
_RESOURCE_TYPES: Mapping[str, tuple[str, str, str, tuple[str, ...]]] = {
    "User": ("User Account", "/Users", CORE_USER, (ENTERPRISE_USER, GENESYS_USER)),
    "Group": ("Group", "/Groups", CORE_GROUP, ()),
    "ServiceProviderConfig": ("Service Provider Configuration", "/ServiceProviderConfig", _CONFIG, ()),
    "ResourceType": ("Resource Type", "/ResourceTypes", _TYPE, ()),
    "Schema": ("Schema", "/Schemas", _SCHEMA, ()),
}


def resource_types(base: str) -> dict[str, JsonObject]:
    """The five resource types by name."""
    return {
        name: {
            "schemas": [_TYPE],
            "id": name,
            "name": name,
            "description": description,
            "endpoint": endpoint,
            "schema": schema,
            **({"schemaExtensions": [{"schema": urn, "required": False} for urn in more]} if more else {}),
            "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{name}"},
        }
        for name, (description, endpoint, schema, more) in _RESOURCE_TYPES.items()
    }


def provider_config(base: str) -> JsonObject:
    """The ServiceProviderConfig; its values are unpublished, these are inferred."""
    return {
        "schemas": [_CONFIG],
        "documentationUri": "https://developer.genesys.cloud/platform/scim/",
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": 0},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "name": "OAuth Bearer Token",
                "description": "Authentication with an OAuth bearer token",
                "type": "oauthbearertoken",
                "primary": True,
            }
        ],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": f"{base}/ServiceProviderConfig",
            "lastModified": "2019-06-01T00:00:00.000Z",
            "version": "1",
        },
    }


def describe(kind: str, id_: str, base: str, *, filtered: bool, drift: Sequence[Step] = ()) -> JsonObject:
    """Answer a request for a discovery resource.

    Args:
        kind: `schemas`, `resourcetypes` or `serviceproviderconfig`.
        id_: Of one of them; "" for all.
        base: URL of the family.
        filtered: Whether the request brings a filter, which RFC 7644 §4 wants refused with 403.
        drift: What became of the schemas since they were published.

    Raises:
        Refused: 403 for a filter, 404 for an unknown id.
    """
    if filtered:
        raise Refused(403, "filters are not allowed here", code="not.authorized")
    if kind == "serviceproviderconfig":
        return provider_config(base)
    held = schemas(base, drift) if kind == "schemas" else resource_types(base)
    if not id_:
        return list_response(list(held.values()), total=len(held), start=1)
    found = {name.lower(): document for name, document in held.items()}.get(id_.lower())
    if found is None:
        raise Refused(404, f"there is no {id_} here")
    return found
