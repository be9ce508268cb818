"""The description of the JSON API: OpenAPI 3.1, made from the routes and from the types by which they read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from scimsync.errors import ConfigError

Json = Mapping[str, object]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters, or an empty body."""


class Operation(Struct, frozen=True, kw_only=True):
    """What one address of the API does, what it takes, and what it answers with."""

    what: str
    #: JSON Schema of a good answer
    answer: Json
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] = Nothing
    #: the status of a good answer
    good: int = 200

    def read_query(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Whether the parameters are such as are known.

        Raises:
            ConfigError: One is not known, or has a value that will not do.
        """
        _convert(self.query, _grouped(self.query, pairs), strict=False)

    def read_body(self, body: bytes, kind: str) -> Mapping[str, tuple[str, ...]]:
        """The fields of a body, JSON or a form, each with its values.

        Raises:
            ConfigError: It cannot be read, or a field is not known, missing, or of another type.
        """
        if kind.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            try:
                pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=6000)
            except ValueError as error:
                raise ConfigError("what was sent cannot be read as a form") from error
            found = _convert(self.body, _grouped(self.body, pairs), strict=False)
        else:
            try:
                found = msgspec.json.decode(body or b"{}", type=self.body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise ConfigError(f"what was sent does not fit: {error}") from error
        told: dict[str, Any] = msgspec.to_builtins(found)
        return {
            name: tuple(value) if isinstance(value, list | tuple) else (str(value),)
            for name, value in told.items()
            if value is not None
        }


def _convert(kind: type[msgspec.Struct], given: Mapping[str, object], *, strict: bool) -> msgspec.Struct:
    try:
        found: msgspec.Struct = msgspec.convert(given, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise ConfigError(f"what was sent does not fit: {error}") from error
    return found


def _grouped(kind: type[msgspec.Struct], pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Pairs by name: all values of what is a list, else the last."""
    lists = {name for name, told in _properties(kind).items() if told.get("type") == "array"}
    found: dict[str, object] = {}
    for name, value in pairs:
        many = found.setdefault(name, []) if name in lists else None
        if isinstance(many, list):
            many.append(value)
        else:
            found[name] = value
    return found


def _properties(kind: type[msgspec.Struct]) -> dict[str, dict[str, object]]:
    told: dict[str, dict[str, object]] = _schema(kind)["properties"]  # type: ignore[assignment]
    return told


def _schema(kind: type[msgspec.Struct]) -> dict[str, object]:
    """The JSON Schema of a type by which a request is read; all of it in place."""
    (_,), parts = msgspec.json.schema_components([kind], ref_template="{name}")
    found = dict(parts[kind.__name__])
    found.pop("title", None)
    found.pop("description", None)
    return found


# --- schemas of answers -----------------------------------------------------------------------------

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer", "minimum": 0}
FLAG: Json = {"type": "boolean"}
MOMENT: Json = {"type": "string", "format": "date-time"}
COUNTS: Json = {"type": "object", "additionalProperties": {"type": "integer"}}
ANY: Json = {"type": "object"}


def maybe(of: Json) -> dict[str, object]:
    """Null, too."""
    return {"anyOf": [of, {"type": "null"}]}


def an_object(**members: Json) -> dict[str, object]:
    """An object that has all these members and no other."""
    return {"type": "object", "required": sorted(members), "properties": members, "additionalProperties": False}


def a_list(of: Json) -> dict[str, object]:
    """A list of these."""
    return {"type": "array", "items": of}


def ref(name: str) -> dict[str, object]:
    """One of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_RUN: Mapping[str, Json] = {
    "id": TEXT,
    "state": {"enum": ["planned", "applying", "done", "partial", "interrupted", "refused", "offline"]},
    "created": MOMENT,
    "finished": maybe(MOMENT),
    "target": TEXT,
    "partial": FLAG,
    "undoes": TEXT,
    "tally": COUNTS,
    "statuses": COUNTS,
}
_DECISION: Mapping[str, Json] = {
    "id": TEXT,
    "path": TEXT,
    "key": TEXT,
    "wins": {"enum": ["hr", "directory"]},
    "scope": {"enum": ["once", "person", "attribute"]},
    "actor": TEXT,
    "reason": TEXT,
    "at": MOMENT,
    "until": maybe({"type": "string", "format": "date"}),
}
SCHEMAS: Mapping[str, Json] = {
    "Error": {"type": "object", "required": ["error"], "properties": {"error": TEXT, "exit_code": NUMBER}},
    "Run": an_object(**_RUN),
    "Plan": an_object(
        **_RUN,
        digest=TEXT,
        writes=NUMBER,
        can_be_applied=FLAG,
        refusals=a_list(ANY),
        limits=a_list(an_object(rule=TEXT, told=TEXT, share=maybe({"type": "number"}))),
        findings=COUNTS,
        counts={"type": "object", "additionalProperties": COUNTS},
    ),
    "Change": an_object(
        n=NUMBER,
        kind={"enum": ["change", "group", "notice"]},
        group=TEXT,
        status=maybe(TEXT),
        change=ANY,
    ),
    "Finding": an_object(code=TEXT, subject=TEXT, path=TEXT, summary=TEXT, detail=TEXT, hint=TEXT),
    "Work": an_object(
        id=TEXT,
        kind={"enum": ["plan", "apply", "undo"]},
        actor=TEXT,
        run=TEXT,
        stage=TEXT,
        done=NUMBER,
        total=maybe({"type": "integer"}),
        seconds={"type": "number"},
        has_ended=FLAG,
        error=TEXT,
        exit_code=NUMBER,
    ),
    "Person": an_object(key=TEXT, login=TEXT, name=TEXT, active=maybe(FLAG)),
    "Standing": an_object(
        run=TEXT,
        digest=TEXT,
        authors=a_list(TEXT),
        waits=FLAG,
        why=TEXT,
        needs=a_list(an_object(rule=TEXT, why=TEXT, by=a_list(TEXT), missing=NUMBER)),
        approvals=a_list(
            an_object(actor=TEXT, proof=TEXT, approves=FLAG, reason=TEXT, at=MOMENT, until=MOMENT, void=TEXT)
        ),
    ),
    "Conflict": an_object(
        key=TEXT,
        name=TEXT,
        path=TEXT,
        plan=TEXT,
        because=TEXT,
        authority=TEXT,
        desired={},
        current={},
        base={},
        base_is_known=FLAG,
        decision=maybe(TEXT),
    ),
    "Decision": an_object(**_DECISION),
    "LeftOut": an_object(key=TEXT, code=TEXT, since=MOMENT, run=TEXT, why=TEXT, what_to_do=TEXT, ask=TEXT),
    "Schedule": an_object(
        name=TEXT, cron=TEXT, zone=TEXT, next=MOMENT, ended=TEXT, at=maybe(MOMENT), run=TEXT, is_well=FLAG
    ),
    "Proof": an_object(size=NUMBER, siblings=a_list(TEXT), checkpoint=TEXT, public_key=TEXT),
    "Alarm": an_object(kind=TEXT, subject=TEXT, since=MOMENT),
}
_ERRORS = {
    "400": "something that was sent will not do",
    "401": "no token, or none that holds",
    "403": "the token does not reach so far",
    "404": "there is no such thing",
    "409": "it does not fit what is there, or somebody else is at work",
    "413": "it is too long, or did not come in time",
    "502": "the directory did not answer as it should",
}


# --- the description --------------------------------------------------------------------------------


class Served(Protocol):
    """An address: its path under `/api/v1`, its method, and what it does."""

    @property
    def path(self) -> str:
        """The whole path."""
        ...

    @property
    def method(self) -> str:
        """The method."""
        ...

    @property
    def scope(self) -> str:
        """The scope that a token needs."""
        ...

    @property
    def told(self) -> Operation | None:
        """What it does; None for what the description leaves out."""
        ...


#: under what all addresses of the API lie
ROOT = "/api/v1"


def document(served: Iterable[Served]) -> dict[str, object]:
    """The whole description, of the addresses that are served."""
    paths: dict[str, dict[str, object]] = {}
    for page in served:
        if page.told is not None:
            path = page.path.removeprefix(ROOT)
            paths.setdefault(path, {})[page.method.lower()] = _operation(path, page, page.told)
    return {
        "openapi": "3.1.0",
        "info": {"title": "scimsync", "version": version("scimsync")},
        "servers": [{"url": ROOT}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(path: str, page: Served, told: Operation) -> dict[str, object]:
    method = page.method.lower()
    schema = _schema(told.query)
    needed = schema.get("required", [])
    found: dict[str, object] = {
        "summary": told.what,
        "description": f"Needs the scope `{page.scope}`.",
        "operationId": method + "".join(part.strip("{}").title().replace("-", "") for part in path.split("/")),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": TEXT} for name in _parts(path)),
            *(
                {"name": name, "in": "query", "required": name in needed, "schema": one}  # type: ignore[operator]
                for name, one in _properties(told.query).items()
            ),
        ],
        "responses": {
            str(told.good): _answer(told.what, told.answer),
            **{status: _answer(words, ref("Error")) for status, words in _ERRORS.items()},
        },
    }
    if method == "post":
        body = _schema(told.body)
        found["requestBody"] = {
            "required": bool(body.get("required")),
            "content": {"application/json": {"schema": body}},
        }
    return found


def _parts(path: str) -> Iterator[str]:
    return (part.strip("{}") for part in path.split("/") if part.startswith("{"))


def _answer(words: str, schema: Json) -> dict[str, object]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}
