"""A first mapping for a target of which a probe tells what it keeps: of the columns of the sample source. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set

from scimsync.core.probing_changes import KEPT
from scimsync.model.probing import Probed

#: path -> the expression over the columns of the sample, in the order of the file
EXPRESSIONS: Mapping[str, str] = {
    "userName": "lower(trim(email))",
    "displayName": "first_name || ' ' || last_name",
    "name.givenName": "first_name",
    "name.familyName": "last_name",
    "name.formatted": "first_name || ' ' || last_name",
    "active": "one_of(status, ['active'], ['inactive', 'left'])",
    "externalId": "employee_id",
    "title": "job_title",
    "enterprise:employeeNumber": "employee_id",
    "enterprise:department": "department",
    "enterprise:division": "division",
    'emails[type eq "work"].value': "lower(trim(email))",
    'phoneNumbers[type eq "work"].value': "e164(phone, country)",
    'phoneNumbers[type eq "mobile"].value': "e164(mobile, country)",
}
#: always mapped: who it is, and whether they have access
_ALWAYS = ("userName", "active")
#: what becomes of a path that is worth mapping
_WORTH = frozenset({KEPT, "normalised", "immutable"})
#: where nothing at all is known
_COMMON = ("displayName", "externalId")
#: by what accounts are found, the best first
_MATCH = ("externalId", "enterprise:employeeNumber", "userName")


def mapped(probed: Probed) -> tuple[str, ...]:
    """The paths that are mapped: what the target keeps, or, where nothing was written, what it lists or shows."""
    found = probed.findings
    fates, needed = found.attributes, found.value("create.required")
    if fates:
        good: Set[str] = {path for path, word in fates.items() if word in _WORTH}
    else:
        good = found.listed or set(_COMMON)
    wanted = {*_ALWAYS, *good, *(needed if isinstance(needed, list) else [])}
    return tuple(path for path in EXPRESSIONS if path in wanted)


def match(paths: tuple[str, ...]) -> list[str]:
    """By which of the mapped paths accounts are found."""
    return [path for path in _MATCH if path in paths]


def mapping_lines(probed: Probed) -> Iterator[str]:
    """The section `[attributes]`; what is left out is told in a comment."""
    paths, fates = mapped(probed), probed.findings.attributes
    unlisted = "not listed by the target" + ("" if fates else "; init --probe --write finds out whether it is kept")
    for path in paths:
        name = path if path.isalnum() else f"'{path}'" if '"' in path else f'"{path}"'
        value = json.dumps(EXPRESSIONS[path])
        hr = f'{{ value = {value}, authority = "local_wins" }}' if path == "active" else value
        yield f"{name:<38} = {hr}"
    for path in EXPRESSIONS:
        if path not in paths:
            yield f"# {path}: {fates.get(path) or unlisted}"
