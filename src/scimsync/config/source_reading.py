"""One source of the file to settings: what its kind takes and lacks, its secrets, and how it is joined to the first."""

from __future__ import annotations

import re
from pathlib import Path

from scimsync.config import directories, rest_reading, source_places
from scimsync.config.faults import Faults
from scimsync.config.places import Place
from scimsync.config.references import References
from scimsync.config.settings import SINCE, AccessSettings, PlaceSettings, SourceSettings
from scimsync.config.source_ldap import LDAP
from scimsync.config.source_rest import ASKED
from scimsync.config.sources import FITS, NEEDS, JoinedSource, Source

#: what a source may be called in the mapping
_NAME = re.compile(r"[a-z][a-z0-9_]*")
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
    is_sql, is_asked, is_ldap = given.kind == "sql", given.kind in ASKED, given.kind in LDAP

    def secret(key: str) -> str:
        return references.resolve(f"{where} {key}", getattr(given, key)) if has_secrets else ""

    return SourceSettings(
        kind=given.kind,
        key="",
        url=references.database(references.resolve(f"{where} url", given.url))
        if is_sql or is_ldap
        else given.url
        if is_asked
        else "",
        query=given.query if is_sql else "",
        path=file(given.path, (*place, "path"), told, references) if not is_sql and not is_ldap else None,
        delimiter=given.delimiter,
        encoding=given.encoding,
        complete=given.complete,
        null_values=tuple(given.null_values),
        rest=rest_reading.read(given, place, told, references, has_secrets=has_secrets) if is_asked else None,
        ldap=directories.read(given, place, told, references) if is_ldap else None,
        skip_lines=given.skip_lines,
        columns=tuple(given.columns) if isinstance(given.columns, list) else (),
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
        sheet=source_places.sheet_of(given, given.kind),
        place=_elsewhere(given, place, told, references),
    )


def is_delta(given: Source, told: Faults) -> bool:
    """Whether a delivery holds changed people alone; tells what does not go with that.

    Args:
        given: The first source as it is written.
        told: Takes the faults.
    """
    if given.mode == "full":
        values = " ".join(map(str, given.parameters.values()))
        asked = {"query": given.query, "filter": given.filter, "parameters": values}
        for key in (key for key, text in asked.items() if SINCE in text):
            told.tell(("source", key), f'[source] {key}: {SINCE} asks for changes, and wants mode = "delta"')
        return False
    if not given.name.strip():
        told.tell(
            ("source", "name"),
            '[source] mode = "delta" needs name: give the delivery of everybody and that of changes the same name, '
            "so that their people are known to be the same",
        )
    if given.expect is not None:
        told.tell(
            ("source", "expect"),
            '[source.expect] does not fit mode = "delta": it says what everybody together is like; take it away here',
        )
    return True


def file(written: str, place: Place, told: Faults, references: References) -> Path | str | None:
    """A file of this machine, or the address of one elsewhere; None where nothing is written.

    Args:
        written: The path as it is written; or env:NAME, because a signed address lets in whoever has it.
        place: Where that is.
        told: Takes the faults.
        references: Knows the folder that paths are taken from.
    """
    if written.startswith("env:"):
        *section, key = map(str, place)
        written = references.resolve(f"[{'.'.join(section)}] {key}", written)
    if not source_places.is_address(written):
        return references.beside(written) if written else None
    if fault := source_places.address_fault(written):
        *section, key = map(str, place)
        told.tell(place, f"[{'.'.join(section)}] {key} {fault}")
    return written


def _elsewhere(given: Source | JoinedSource, place: Place, told: Faults, references: References) -> PlaceSettings:
    """How a file is fetched; checked where one is."""
    found = PlaceSettings(
        ready=given.ready,
        settle=given.settle,
        known_hosts=references.beside(given.known_hosts) if given.known_hosts else None,
        host_key=given.host_key,
        key_file=references.beside(given.key_file) if given.key_file else None,
        endpoint=given.endpoint,
        region=given.storage_region,
        most_megabytes=given.most_megabytes,
    )
    if source_places.is_address(given.path):
        for key, fault in source_places.place_faults(found, given.path):
            told.tell((*place, key), f"[{'.'.join(map(str, place))}] {key} {fault}")
    return found


def _fit(given: Source | JoinedSource, place: Place, told: Faults) -> None:
    """Tell which keys the kind of a source lacks, and which it does not take."""
    if "columns" in given.model_fields_set and isinstance(given.columns, dict) != (given.kind in ASKED | LDAP):
        where, shape = (
            ".".join(map(str, place)),
            "a table, column = where" if given.kind in ASKED | LDAP else "a list of names",
        )
        told.tell((*place, "columns"), f"[{where}] columns for kind = {given.kind!r} is {shape}")
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


def column_of(name: str, expression: str) -> str:
    """The column of a joined source that an expression is, and nothing else; "" where it is more."""
    found = re.fullmatch(rf'(?:{re.escape(name)}\.)?("?)(?P<column>\w+)\1', expression.strip(), re.IGNORECASE)
    return found["column"] if found else ""


def _kept_name(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "''"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
