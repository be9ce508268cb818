"""What the simulator answers: a status, headers and a body, and the error bodies in both formats."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from msgspec import Struct, field

from scimsync.scim.messages import MEDIA_TYPE, scim_error

JSON = "application/json"
#: error code of a Genesys ErrorBody for each status (documented)
CODES: Mapping[int, str] = {
    400: "bad.request",
    401: "authentication.required",
    403: "missing.any.permissions",
    404: "not.found",
    405: "method.not.allowed",
    408: "request.timeout",
    409: "general.conflict",
    412: "precondition.failed",
    413: "request.entity.too.large",
    415: "unsupported.media.type",
    429: "too.many.requests.retry.after",
    500: "internal.server.error",
    502: "bad.gateway",
    503: "service.unavailable",
    504: "request.timeout",
}


class Limit(Struct, frozen=True):
    """The limit that was hit; a 429 and a 413 may name it (documented; the namespaces are guesses)."""

    namespace: str
    key: str
    value: int


class Answer(Struct, frozen=True):
    """One HTTP answer; the correlation id is added when it is sent."""

    status: int
    body: bytes = b""
    media_type: str = MEDIA_TYPE
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request is answered with an error body."""

    def __init__(self, status: int, message: str, *, code: str = "", scim_type: str | None = None) -> None:
        self.limit: Limit | None = None
        self.status = status
        self.message = message
        self.code = code
        self.scim_type = scim_type
        self.headers: dict[str, str] = {}
        super().__init__(message)

    def answer(self, correlation_id: str) -> Answer:
        """The error as an answer: a ScimError where a `scim_type` is given, else a Genesys ErrorBody."""
        if self.scim_type is not None:
            body = msgspec.json.encode(scim_error(self.status, self.message, self.scim_type or None))
            return Answer(self.status, body, MEDIA_TYPE, self.headers)
        return Answer(
            self.status,
            error_body(self.status, self.message, correlation_id, self.code, self.limit),
            JSON,
            self.headers,
        )


def refuse_beyond(wall: int, last: int) -> None:
    """Refuse a page of inactive people that reaches beyond the wall; 0 is none (documented by the Terraform provider).

    Raises:
        Refused: 400.
    """
    if wall and last > wall:
        raise Refused(400, f"No more than {wall:,} inactive users can be retrieved.")


def error_body(status: int, message: str, correlation_id: str, code: str = "", limit: Limit | None = None) -> bytes:
    """A Genesys ErrorBody (documented; genesys-scim.md §2.3): `status` is a number."""
    body: dict[str, object] = {
        "message": message,
        "code": code or CODES.get(status, "internal.server.error"),
        "status": status,
        "contextId": correlation_id,
        "details": [],
        "errors": [],
    }
    if limit is not None:
        body["limit"] = {"namespace": limit.namespace, "key": limit.key, "value": limit.value}
    return msgspec.json.encode(body)


def as_json(value: object, status: int = 200, media_type: str = JSON) -> Answer:
    """Any value as a JSON answer."""
    return Answer(status, msgspec.json.encode(value), media_type)


def html_page(status: int) -> Answer:
    """What a gateway in front of the service says when it says nothing useful."""
    phrase = HTTPStatus(status).phrase
    page = f"<html><head><title>{status} {phrase}</title></head><body><h1>{phrase}</h1></body></html>"
    return Answer(status, page.encode(), "text/html")
