"""A REST API or another directory, from the file to settings: what goes together, and what is a secret."""

from __future__ import annotations

import re

from scimsync.config.addresses import source_fault, token_fault
from scimsync.config.faults import Faults
from scimsync.config.places import Place
from scimsync.config.references import References
from scimsync.config.rest_settings import RestSettings
from scimsync.config.sources import JoinedSource, Source
from scimsync.errors import InvalidDialect
from scimsync.scim.dialect import Dialect
from scimsync.scim.dialect_file import dialect_of

#: a reference, as a value that is a secret is written
_SECRET = re.compile(r"(env|file|credential|exec):")
#: what lets us in, and what it cannot do without
_LACKS = {"client_id": "client_secret", "client_secret": "token_url", "username": "password", "header": "header_value"}


def read(
    given: Source | JoinedSource, place: Place, told: Faults, references: References, *, has_secrets: bool
) -> RestSettings:
    """What is known of a source that is asked over HTTP.

    Args:
        given: As it is written.
        place: Where that is.
        told: Takes the faults.
        references: Follows what the file refers to.
        has_secrets: Whether its secrets are needed.
    """
    where = f"[{'.'.join(map(str, place))}]"
    for key, fault in (("url", source_fault(given.url)), ("token_url", token_fault(given.token_url))):
        if getattr(given, key) and fault and (*place, key) not in told.places:
            told.tell((*place, key), f"{where} {key} {fault}")
    for key, needed in _LACKS.items():
        if getattr(given, key) and not getattr(given, needed):
            told.tell((*place, needed), f"{where} {needed} is needed where there is {key}")
    if given.paging in {"cursor", "next"} and not given.next:
        told.tell((*place, "next"), f"{where} paging = {given.paging!r} needs next: where the answer says what follows")
    if given.method != "POST" and (given.body or given.page_in_body):
        told.tell((*place, "method"), f'{where} a body travels with method = "POST" only')
    if given.complete == "checksum":
        told.tell((*place, "complete"), f"{where} complete = 'checksum' is for files; give total, or 'assume'")

    def values(key: str) -> dict[str, str]:
        held = getattr(given, key)
        resolve = references.resolve if has_secrets else _as_written
        return {name: resolve(f"{where} {key} {name}", text) for name, text in held.items()}

    parameters, secret = values("parameters"), {name for name, text in given.parameters.items() if _SECRET.match(text)}
    return RestSettings(
        url=given.url,
        columns=given.columns if isinstance(given.columns, dict) else {},
        records=given.records,
        parameters={name: text for name, text in parameters.items() if name not in secret},
        secret_parameters={name: text for name, text in parameters.items() if name in secret},
        headers=values("headers"),
        method=given.method or "GET",
        body=given.body,
        paging=given.paging or "none",
        page_parameter=given.page_parameter,
        first_page=given.first_page,
        page_size_parameter=given.page_size_parameter,
        page_size=given.page_size or 0,
        page_in_body=given.page_in_body,
        next=given.next,
        total=given.total,
        dialect=_dialect(given, place, told, references) if given.kind == "scim" else None,
        requests_per_minute=given.requests_per_minute,
        answer_seconds=given.answer_seconds or 60,
        answer_megabytes=given.answer_megabytes or 64,
    )


def _dialect(given: Source | JoinedSource, place: Place, told: Faults, references: References) -> Dialect | None:
    try:
        return dialect_of(given.dialect, references.file.parent)
    except InvalidDialect as error:
        for fault in error.faults:
            told.tell((*place, "dialect"), f"[{'.'.join(map(str, place))}] dialect: {fault}")
        return None


def _as_written(_: str, written: str) -> str:
    return written
