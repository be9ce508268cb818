"""What travels: list responses, PATCH bodies, both error formats, entity tags. Parse and build."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
MEDIA_TYPE = "application/scim+json"
#: what no header may hold
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Operation(Struct, frozen=True):
    """One PATCH operation (RFC 7644 §3.5.2). `op` in lower case; `value` is any JSON, of `remove` None by the RFC."""

    op: str
    path: str | None
    value: object = None

    def to_json(self) -> dict[str, object]:
        """The operation as it is sent; `remove` carries a value only where it names elements so (Entra does)."""
        body: dict[str, object] = {"op": self.op}
        if self.path is not None:
            body["path"] = self.path
        if self.op.lower() != "remove" or self.value is not None:
            body["value"] = self.value
        return body


def patch_body(operations: Sequence[Operation]) -> dict[str, object]:
    """The body of a PATCH request."""
    return {"schemas": [PATCH_OP], "Operations": [o.to_json() for o in operations]}


class ErrorReport(Struct, frozen=True, kw_only=True):
    """What a refused request says: a ScimError (RFC 7644 §3.12) or a Genesys ErrorBody, made one shape."""

    status: int
    scim_type: str = ""
    code: str = ""
    detail: str = ""
    correlation_id: str = ""


def read_error(status: int, body: object, correlation_id: str = "") -> ErrorReport:
    """Read an error body of either format; anything else leaves the texts empty."""
    if not isinstance(body, Mapping):
        return ErrorReport(status=status, correlation_id=correlation_id)
    said = {name.lower(): held for name, held in body.items() if isinstance(name, str)}
    text = said.get("detail") or said.get("message") or said.get("error_description")
    return ErrorReport(
        status=status,
        scim_type=plain(said.get("scimtype")),
        code=plain(said.get("code") or said.get("error")),
        detail=plain(text),
        correlation_id=correlation_id or plain(said.get("contextid")),
    )


def error_within(body: object) -> ErrorReport | None:
    """The error that a body tells though the status of the answer is a success; None where it tells none.

    Examples:
        >>> error_within({"schemas": [ERROR], "status": "400", "detail": "no"})
        ErrorReport(status=400, scim_type='', code='', detail='no', correlation_id='')
        >>> error_within({"id": "1", "status": "409", "detail": "a user named no"})
    """
    if not isinstance(body, Mapping) or "id" in body:
        return None
    said = {name.lower(): held for name, held in body.items() if isinstance(name, str)}
    status = plain(said.get("status") or said.get("statuscode") or said.get("code"))
    number = int(status) if status.isascii() and status.isdigit() and len(status) == 3 else 0
    schemas = said.get("schemas")
    named = (isinstance(schemas, list) and ERROR in schemas) or "scimtype" in said
    if not named and not (400 <= number < 600 and {"detail", "message", "error"} & said.keys()):
        return None
    return read_error(number if 400 <= number < 600 else 400, body)


def plain(found: object) -> str:
    """A text, or a number of ordinary size as text; "" for whatever else stands where one should.

    Examples:
        >>> plain("gone"), plain(404), plain(None), plain(["gone"]), plain(10**5000)
        ('gone', '404', '', '', '')
    """
    is_number = isinstance(found, int | float) and abs(found) < 2**63
    return found if isinstance(found, str) else str(found) if is_number else ""


def scim_error(status: int, detail: str, scim_type: str | None = None) -> dict[str, object]:
    """A ScimError body; `status` travels as text (RFC 7644 §3.12)."""
    body: dict[str, object] = {"schemas": [ERROR], "status": str(status), "detail": detail}
    if scim_type:
        body["scimType"] = scim_type
    return body


def list_response(resources: Sequence[object], *, total: int, start: int) -> dict[str, object]:
    """A ListResponse body (RFC 7644 §3.4.2)."""
    return {
        "schemas": [LIST_RESPONSE],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }


#: characters of a version that is believed
_LONGEST_VERSION = 512


def version_of(text: object) -> str:
    """The version of an entity tag or of `meta.version` as it came, without the quotes of a strong tag.

    A version is opaque (RFC 7644 §3.14): a weak tag keeps its mark, and spaces, quotes within and letters of any
    alphabet stay. "" where there is none, and for what no header can carry.

    Examples:
        >>> version_of('"42"'), version_of(42), version_of(None), version_of("a b")
        ('42', '42', '', 'a b')
        >>> version_of('W/"42"')
        'W/"42"'
    """
    if not isinstance(text, str | int) or isinstance(text, bool):
        return ""
    found = str(text).strip()
    if len(found) > 1 and found[0] == found[-1] == '"':
        found = found[1:-1]
    return found if len(found) <= _LONGEST_VERSION and not _CONTROLS.search(found) else ""


def entity_tag(version: str) -> str:
    """A version as a strong entity tag."""
    return f'"{version}"'
