"""One source of the file to settings: what its kind takes and lacks, its secrets, and how it is joined to the first."""

from __future__ import annotations

import re

from scimsync.config.addresses import source_fault, token_fault
from scimsync.config.faults import Faults
from scimsync.config.places import Place
from scimsync.config.references import References
from scimsync.config.rest_settings import RestSettings
from scimsync.config.settings import AccessSettings, SourceSettings
from scimsync.config.source_rest import ASKED
from scimsync.config.sources import FITS, NEEDS, JoinedSource, Source
from scimsync.errors import InvalidDialect
from scimsync.scim.dialect import Dialect
from scimsync.scim.dialect_file import dialect_of

#: what a source may be called in the mapping
_NAME = re.compile(r"[a-z][a-z0-9_]*")
#: a reference, as a value that is a secret is written
_SECRET = re.compile(r"(env|file):")
#: what lets us in, and what it cannot do without
_LACKS = {"client_id": "client_secret", "client_secret": "token_url", "username": "password", "header": "header_value"}
#: what hides an equals sign: strings and quoted names
_TEXTS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
#: the sign alone, and no part of another
_EQUALS = re.compile(r"(?<![<>!=~^])=(?!=)")


def read(
    given: Source | JoinedSource, place: Place, told: Faults, references: References, *, has_secrets: bool
) -> SourceSettings:
    """What all sources have; the key and what the first one has besides are the caller's.

    Args:
        given: As it is written.
        place: Where that is: ("source",) or ("source", NAME).
        told: Takes the faults.
        references: Follows what the file refers to.
        has_secrets: Whether its secrets are needed.
    """
    where = f"[{'.'.join(map(str, place))}]"
    if (*place, "kind") not in told.places and given.kind:
        _fit(given, place, told)
    is_sql = given.kind == "sql"

    def secret(key: str) -> str:
        return references.resolve(f"{where} {key}", getattr(given, key)) if has_secrets else ""

    return SourceSettings(
        kind=given.kind,
        key="",
        url=references.database(references.resolve(f"{where} url", given.url)) if is_sql else _address(given),
        query=given.query if is_sql else "",
        path=references.beside(given.path) if given.path and not is_sql else None,
        delimiter=given.delimiter,
        encoding=given.encoding,
        complete=given.complete,
        null_values=tuple(given.null_values),
        rest=_rest(given, place, told, references, has_secrets=has_secrets) if given.kind in ASKED else None,
        access=AccessSettings(
            username=secret("username"),
            password=secret("password"),
            token=secret("token"),
            header=given.header,
            header_value=secret("header_value"),
            client_id=secret("client_id"),
            client_secret=secret("client_secret"),
            token_url=given.token_url,
            scopes=tuple(given.scopes),
            audience=given.audience,
            client_auth=given.client_auth or "basic",
            ca_file=references.beside(given.ca_file) if given.ca_file else None,
        ),
    )


def _address(given: Source | JoinedSource) -> str:
    return given.url if given.kind in ASKED else ""


def _rest(
    given: Source | JoinedSource, place: Place, told: Faults, references: References, *, has_secrets: bool
) -> RestSettings:
    """What is known of a source that is asked over HTTP."""
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
        read = references.resolve
        return {name: read(f"{where} {key} {name}", text) for name, text in held.items()} if has_secrets else {**held}

    parameters, secret = values("parameters"), {name for name, text in given.parameters.items() if _SECRET.match(text)}
    return RestSettings(
        url=given.url,
        columns=given.columns,
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


def _fit(given: Source | JoinedSource, place: Place, told: Faults) -> None:
    """Tell which keys the kind of a source lacks, and which it does not take."""
    for key in NEEDS[given.kind]:
        told.need_at(place, key, getattr(given, key))
    for key in FITS:
        if key in given.model_fields_set and given.kind not in FITS[key] and (*place, key) not in told.places:
            kinds = ", ".join(sorted(FITS[key])) or "none yet"
            where = ".".join(map(str, place))
            said = f"[{where}] {key} does not fit kind = {given.kind!r}; it is for {kinds}: take it away"
            told.tell((*place, key), said)


def name_fault(name: str, first: str) -> str:
    """What is wrong with the name of a joined source; "" for nothing."""
    if not _NAME.fullmatch(name):
        return "the name of a source is made of small letters, digits and _, because it stands in the mapping"
    return f"the first source is called {first} too" if name == first else ""


def sides(name: str, given: JoinedSource, first: Source) -> tuple[str, str] | str:
    """Both sides of a join as SQL: over its record, and over ours; or what is wrong with it."""
    if given.join and given.key:
        return "give either join or key, not both"
    if given.key:
        return _quoted(given.key), _quoted(first.key)
    if not given.join:
        return f'needs join, such as "{name}.id = {first.key or "employee_id"}", or key: the column that holds our key'
    hidden = _TEXTS.sub(lambda found: "x" * len(found[0]), given.join)
    signs = [found.start() for found in _EQUALS.finditer(hidden)]
    if len(signs) != 1:
        return f"join = {given.join!r}: write one equation, such as {name}.id = {first.key or 'employee_id'}"
    parts = given.join[: signs[0]].strip(), given.join[signs[0] + 1 :].strip()
    theirs = [
        bool(re.search(rf"(?<![\w.]){re.escape(name)}\.", _TEXTS.sub(_kept_name, part), re.IGNORECASE))
        for part in parts
    ]
    if theirs == [True, False]:
        return parts
    if theirs == [False, True]:
        return parts[1], parts[0]
    return f"join = {given.join!r}: one side, and only one, is made of columns of {name}, written {name}.column"


def _kept_name(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "''"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
