"""The description of the JSON API: OpenAPI 3.1, from one table."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

_TEXT: Mapping[str, object] = {"type": "string"}
_NUMBER: Mapping[str, object] = {"type": "integer", "minimum": 0}
_FLAG: Mapping[str, object] = {"type": "boolean"}
_COUNTS: Mapping[str, object] = {"type": "object", "additionalProperties": {"type": "integer"}}
_ANY: Mapping[str, object] = {"type": "object"}


def _maybe(kind: str) -> dict[str, object]:
    return {"type": [kind, "null"]}


def _object(**members: object) -> dict[str, object]:
    return {"type": "object", "required": sorted(members), "properties": members}


def _list(of: object) -> dict[str, object]:
    return {"type": "array", "items": of}


def _ref(name: str) -> dict[str, object]:
    return {"$ref": f"#/components/schemas/{name}"}


_RUN = {
    "id": _TEXT,
    "state": {"enum": ["planned", "applying", "done", "partial", "interrupted", "refused", "offline"]},
    "created": {"type": "string", "format": "date-time"},
    "finished": _maybe("string"),
    "target": _TEXT,
    "partial": _FLAG,
    "undoes": _TEXT,
    "tally": _COUNTS,
    "statuses": _COUNTS,
}
SCHEMAS: Mapping[str, object] = {
    "Error": _object(error=_TEXT),
    "Run": _object(**_RUN),
    "Plan": _object(
        **_RUN,
        digest=_TEXT,
        writes=_NUMBER,
        can_be_applied=_FLAG,
        refusals=_list(_ANY),
        limits=_list(_object(rule=_TEXT, told=_TEXT, share=_maybe("number"))),
        findings=_COUNTS,
        counts={"type": "object", "additionalProperties": _COUNTS},
    ),
    "Change": _object(n=_NUMBER, kind={"enum": ["change", "group", "notice"]}, group=_TEXT, status=_maybe("string"),
                      change=_ANY),
    "Work": _object(
        id=_TEXT,
        kind={"enum": ["plan", "apply", "undo"]},
        actor=_TEXT,
        run=_TEXT,
        stage=_TEXT,
        done=_NUMBER,
        total=_maybe("integer"),
        seconds={"type": "number"},
        has_ended=_FLAG,
        error=_TEXT,
        exit_code=_NUMBER,
    ),
    "Person": _object(key=_TEXT, login=_TEXT, name=_TEXT, active=_maybe("boolean")),
}  # fmt: skip
_FILTERS = ("action", "group", "path", "rule", "q", "outcome")
#: path -> method -> what it does, its scope, its parameters of the query, and what it answers with
OPERATIONS: Mapping[str, Mapping[str, tuple[str, str, tuple[str, ...], object]]] = {
    "/overview": {"get": ("Whether all is well, and what waits", "see", (), _ANY)},
    "/runs": {"get": ("The latest runs, newest first", "see", ("limit",), _object(runs=_list(_ref("Run"))))},
    "/runs/{run}": {"get": ("One plan with its digest, limits and counts", "see", (), _ref("Plan"))},
    "/runs/{run}/changes": {
        "get": (
            "Changes of a plan, filtered, and what came of them",
            "see",
            (*_FILTERS, "limit", "offset"),
            _object(total=_NUMBER, changes=_list(_ref("Change"))),
        )
    },
    "/runs/{run}/apply": {"post": ("Carry out a plan exactly: digest", "write", (), _ref("Work"))},
    "/runs/{run}/undo": {"post": ("Plan to take a run back", "write", (), _ref("Work"))},
    "/plans": {"post": ("Make a plan, for everybody or only: keys", "write", (), _ref("Work"))},
    "/works/{work}": {"get": ("How far a piece of work is", "see", (), _ref("Work"))},
    "/works/{work}/stop": {"post": ("Stop it after the writes in progress", "write", (), _ref("Work"))},
    "/people": {
        "get": ("People by the beginnings of words of key, login, name", "values", ("q", "limit"),
                _object(known=_NUMBER, people=_list(_ref("Person"))))
    },
    "/people/story": {"get": ("Why everything about a person is as it is", "values", ("key", "path", "offline"), _ANY)},
    "/audit": {
        "get": ("Records of the audit chain, oldest first", "audit", ("user", "run", "kind", "limit"),
                _object(size=_NUMBER, records=_list(_ANY)))
    },
}  # fmt: skip
_BODIES: Mapping[str, object] = {
    "/runs/{run}/apply": _object(digest=_TEXT),
    "/plans": {"type": "object", "properties": {"only": _list(_TEXT)}},
}
_ERRORS = {
    "400": "a parameter will not do",
    "401": "no token, or none that holds",
    "403": "the token does not reach so far",
    "409": "it does not fit what is there, or somebody else is at work",
    "502": "the directory did not answer as it should",
}


def document() -> dict[str, object]:
    """The whole description."""
    paths = {
        path: {method: _operation(path, method, *told) for method, told in methods.items()}
        for path, methods in OPERATIONS.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "scimsync", "version": version("scimsync")},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(path: str, method: str, what: str, scope: str, query: tuple[str, ...], answer: object) -> object:
    good = "202" if method == "post" else "200"
    told: dict[str, object] = {
        "summary": what,
        "description": f"Needs the scope `{scope}`.",
        "operationId": method + "".join(part.strip("{}").capitalize() for part in path.split("/")),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": _TEXT} for name in _parts(path)),
            *({"name": name, "in": "query", "schema": _parameter(name)} for name in query),
        ],
        "responses": {
            good: {"description": what, "content": {"application/json": {"schema": answer}}},
            **{status: _error(words) for status, words in _ERRORS.items()},
        },
    }
    if method == "post":
        body = {"application/json": {"schema": _BODIES.get(path, _ANY)}}
        told["requestBody"] = {"required": path in _BODIES, "content": body}
    return told


def _parts(path: str) -> list[str]:
    return [part.strip("{}") for part in path.split("/") if part.startswith("{")]


def _parameter(name: str) -> object:
    return {"type": "integer", "minimum": 0} if name in {"limit", "offset"} else _TEXT


def _error(words: str) -> dict[str, object]:
    return {"description": words, "content": {"application/json": {"schema": _ref("Error")}}}
