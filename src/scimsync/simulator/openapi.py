"""The OpenAPI 3.1 description of the simulated service, and of the control paths beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from scimsync.scim.messages import LIST_RESPONSE, MEDIA_TYPE, PATCH_OP
from scimsync.scim.schema import CORE_GROUP, Attribute, Schema
from scimsync.simulator.entities import GROUPS, USERS
from scimsync.simulator.routes import NAMES, PLATFORM, STATES

JsonObject = dict[str, object]

FAMILIES = ("/api/v2/scim/v2", "/api/v2/scim")  #: both are served alike
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_TYPES: Mapping[str, JsonObject] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "decimal": {"type": "number"},
    "dateTime": {"type": "string"},
}
_NUMBER: JsonObject = {"type": "integer"}
_TEXT: JsonObject = {"type": "string"}
_OBJECT: JsonObject = {"type": "object"}


def describe(base: str, control: Sequence[tuple[str, str]] = ()) -> JsonObject:
    """The whole description.

    Args:
        base: URL of the simulator.
        control: Methods and paths below `/_simulator/`.
    """
    paths: dict[str, JsonObject] = {"/oauth/token": {"post": _token()}}
    for family in FAMILIES:
        paths |= {f"{family}{path}": item for path, item in _service(family).items()}
    paths |= {
        path: {"get": _operation(f"list_{names}", {"200": "Names"}, query=_PAGING)} for path, names in NAMES.items()
    }
    paths |= {path: _platform(path, methods) for path, methods in PLATFORM.items()}
    for method, path in control:
        paths.setdefault(f"/_simulator/{path}", {})[method.lower()] = _steering(method, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Genesys Cloud SCIM, simulated",
            "version": "2",
            "description": "As far as public documents describe it; the simulator is not made by Genesys.",
        },
        "servers": [{"url": base}] if base else [],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "client": {"type": "http", "scheme": "basic"},
            },
            "schemas": _schemas(),
            "parameters": _parameters(),
            "responses": {
                "Refused": {
                    "description": "An ErrorBody, or a ScimError",
                    "content": {
                        media: {"schema": {"anyOf": [_ref("ErrorBody"), _ref("ScimError")]}}
                        for media in ("application/json", MEDIA_TYPE)
                    },
                },
                "NotModified": {"description": "The version is the one in If-None-Match"},
            },
        },
    }


def routes(description: Mapping[str, object]) -> set[tuple[str, str]]:
    """(method, path) of every operation that is described."""
    paths = description["paths"]
    if not isinstance(paths, dict):
        raise TypeError("a description has paths")
    return {(method.upper(), path) for path, item in paths.items() for method in item if method != "parameters"}


def _ref(name: str, kind: str = "schemas") -> JsonObject:
    return {"$ref": f"#/components/{kind}/{name}"}


def _service(family: str) -> dict[str, JsonObject]:
    tag = family.replace("/", "_")
    paths: dict[str, JsonObject] = {
        "/Users": {
            "get": _operation(f"listUsers{tag}", {"200": "UserList"}, query=_LISTING),
            "post": _operation(f"createUser{tag}", {"200": "User", "201": "User"}, body="User", query=_PROJECTION),
        },
        "/Users/{userId}": _one("User", tag, {"delete": {"204": "", "200": ""}}),
        "/Groups": {"get": _operation(f"listGroups{tag}", {"200": "GroupList"}, query=_LISTING)},
        "/Groups/{groupId}": _one("Group", tag, {}),
    }
    for name, id_ in (("Schemas", "schemaId"), ("ResourceTypes", "typeId")):
        paths[f"/{name}"] = {"get": _operation(f"list{name}{tag}", {"200": "List"})}
        paths[f"/{name}/{{{id_}}}"] = {
            "parameters": [_path(id_)],
            "get": _operation(f"get{name}{tag}", {"200": "Object"}),
        }
    paths["/ServiceProviderConfig"] = {"get": _operation(f"getConfig{tag}", {"200": "Object"}, query=("IfNoneMatch",))}
    return paths


def _platform(path: str, methods: Mapping[str, str]) -> JsonObject:
    """A path of the Platform API; its objects are those of the SDKs and are not described again."""
    item: JsonObject = {"parameters": [_path(name) for name in re.findall(r"\{(\w+)\}", path)]}
    for method, kind in methods.items():
        tag = f"{kind}{re.sub(r'[^a-z]+', '_', path)}"
        if kind == "people":
            item["get"] = _operation(tag, {"200": "Names"}, query=("state", *_PAGING))
        elif kind == "license":
            item["post"] = _operation(tag, {"200": "Texts"}, body="Texts")
        else:
            item[method.lower()] = _operation(tag, {"200": "Object"}, body="" if method == "GET" else "Object")
    return item


def _one(kind: str, tag: str, more: Mapping[str, Mapping[str, str]]) -> JsonObject:
    """One user or group: read, replace, change, and what else there is."""
    item: JsonObject = {
        "parameters": [_path(f"{kind.lower()}Id")],
        "get": _operation(f"get{kind}{tag}", {"200": kind}, query=(*_PROJECTION, "IfNoneMatch")),
        "put": _operation(f"put{kind}{tag}", {"200": kind}, body=kind, query=(*_PROJECTION, "IfMatch")),
        "patch": _operation(f"patch{kind}{tag}", {"200": kind}, body="PatchOp", query=(*_PROJECTION, "IfMatch")),
    }
    for method, answers in more.items():
        item[method] = _operation(f"{method}{kind}{tag}", answers, query=("IfMatch",))
    return item


_PROJECTION = ("attributes", "excludedAttributes")
_PAGING = ("pageNumber", "pageSize")
_LISTING = ("startIndex", "count", "filter", "sortBy", "sortOrder", *_PROJECTION)


def _operation(name: str, answers: Mapping[str, str], *, body: str = "", query: Sequence[str] = ()) -> JsonObject:
    responses: JsonObject = {status: _answer(schema) for status, schema in answers.items()}
    responses["default"] = _ref("Refused", "responses")
    if "IfNoneMatch" in query:
        responses["304"] = _ref("NotModified", "responses")
    operation: JsonObject = {"operationId": name, "responses": responses}
    if query:
        operation["parameters"] = [_ref(parameter, "parameters") for parameter in query]
    if body:
        content = {media: {"schema": _ref(body)} for media in (MEDIA_TYPE, "application/json")}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answer(schema: str) -> JsonObject:
    if not schema:
        return {"description": "Done; no body"}
    content = {media: {"schema": _ref(schema)} for media in (MEDIA_TYPE, "application/json")}
    return {"description": schema, "content": content}


def _path(name: str) -> JsonObject:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _parameters() -> JsonObject:
    schemas = {"startIndex": _NUMBER, "count": _NUMBER, "sortOrder": {"enum": ["ascending", "descending"]}}
    found: JsonObject = {name: {"name": name, "in": "query", "schema": schemas.get(name, _TEXT)} for name in _LISTING}
    found |= {name: {"name": name, "in": "query", "schema": {"type": "integer", "minimum": 1}} for name in _PAGING}
    found["state"] = {"name": "state", "in": "query", "schema": {"enum": list(STATES)}}
    for header in ("If-Match", "If-None-Match"):
        found[header.replace("-", "")] = {"name": header, "in": "header", "schema": _TEXT}
    return found


def _token() -> JsonObject:
    form = {"type": "object", "properties": {"grant_type": {"const": "client_credentials"}}, "required": ["grant_type"]}
    granted = {
        "type": "object",
        "properties": {"access_token": _TEXT, "token_type": _TEXT, "expires_in": _NUMBER},
        "required": ["access_token", "token_type", "expires_in"],
    }
    return {
        "operationId": "token",
        "security": [{"client": []}],
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}},
        "responses": {
            "200": {"description": "A token", "content": {"application/json": {"schema": granted}}},
            "default": {"description": "Refused", "content": {"application/json": {"schema": _OBJECT}}},
        },
    }


def _steering(method: str, path: str) -> JsonObject:
    operation: JsonObject = {
        "operationId": f"simulator_{method.lower()}_{path.replace('/', '_').replace('.', '_')}",
        "security": [],
        "responses": {
            status: {"description": text, "content": {"application/json": {"schema": True}}}
            for status, text in (("200", "What is now"), ("400", "A mistake, in words"))
        },
    }
    if method != "GET":
        operation["requestBody"] = {"content": {"application/json": {"schema": {"type": ["object", "array"]}}}}
    return operation


# -- schemas ---------------------------------------------------------------------------------------


def _schemas() -> JsonObject:
    return {
        "User": _resource(USERS.schemas, ("userName", "displayName")),
        "Group": _resource(GROUPS.schemas, ("displayName",)),
        "UserList": _list("User"),
        "GroupList": _list("Group"),
        "List": _list(""),
        "Names": {
            "type": "object",
            "required": ["entities", "total", "pageCount"],
            "properties": {
                "entities": {"type": "array", "items": {"type": "object", "properties": {"id": _TEXT, "name": _TEXT}}},
                "total": _NUMBER,
                "pageCount": _NUMBER,
                "pageNumber": _NUMBER,
                "pageSize": _NUMBER,
            },
        },
        "Object": _OBJECT,
        "Texts": {"type": "array", "items": _TEXT},
        "PatchOp": {
            "type": "object",
            "required": ["schemas", "Operations"],
            "properties": {
                "schemas": {"type": "array", "items": {"const": PATCH_OP}, "minItems": 1},
                "Operations": {"type": "array", "minItems": 1, "items": _ref("PatchOperation")},
            },
        },
        "PatchOperation": {
            "type": "object",
            "required": ["op"],
            "properties": {"op": {"enum": ["add", "replace", "remove"]}, "path": _TEXT, "value": True},
        },
        "ScimError": {
            "type": "object",
            "required": ["schemas", "status", "detail"],
            "properties": {
                "schemas": {"type": "array", "items": {"const": _ERROR}},
                "status": _TEXT,
                "scimType": _TEXT,
                "detail": _TEXT,
            },
        },
        "ErrorBody": {
            "type": "object",
            "required": ["message", "code", "status", "contextId"],
            "properties": {"message": _TEXT, "code": _TEXT, "status": _NUMBER, "contextId": _TEXT},
        },
    }


def _list(kind: str) -> JsonObject:
    return {
        "type": "object",
        "required": ["schemas", "totalResults"],
        "properties": {
            "schemas": {"type": "array", "items": {"const": LIST_RESPONSE}},
            "totalResults": _NUMBER,
            "startIndex": _NUMBER,
            "itemsPerPage": _NUMBER,
            "Resources": {"type": "array", "items": _ref(kind) if kind else _OBJECT},
        },
    }


def _resource(schemas: Sequence[Schema], named: Sequence[str]) -> JsonObject:
    """A resource as it is written and read. What an answer leaves out by `attributes` is not required."""
    core, *extensions = schemas
    properties: JsonObject = {"schemas": {"type": "array", "items": _TEXT}}
    properties |= {attribute.name: _attribute(attribute) for attribute in core.attributes}
    for extension in extensions:
        parts = {attribute.name: _attribute(attribute) for attribute in extension.attributes}
        properties[extension.id] = {"type": "object", "properties": parts}
    kind = "group" if core.id == CORE_GROUP else "user"
    return {"type": "object", "description": f"A {kind}; a new one has {' and '.join(named)}", "properties": properties}


def _attribute(attribute: Attribute) -> JsonObject:
    if attribute.type == "complex":
        parts = {sub.name: _attribute(sub) for sub in attribute.sub_attributes}
        schema: JsonObject = {"type": "object", "properties": parts}
    else:
        schema = dict(_TYPES.get(attribute.type, _TEXT))
    if attribute.mutability == "readOnly":
        schema["readOnly"] = True
    return {"type": "array", "items": schema} if attribute.multi_valued else schema
