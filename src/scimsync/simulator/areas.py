"""The parts of a user that different services keep: what a write touches, and what it needs (genesys-scim §0.12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scimsync.scim.genesys import GENESYS_USER
from scimsync.simulator import permissions

JsonObject = dict[str, object]

_ROLES, _SKILLS, _LANGUAGES, _EXTERNAL = "roles", "routingSkills", "routingLanguages", "externalIds"
_PLACES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "roles": (("", _ROLES),),
    "skills": ((GENESYS_USER, _SKILLS),),
    "languages": ((GENESYS_USER, _LANGUAGES),),
    "external_ids": (("", "externalId"), (GENESYS_USER, _EXTERNAL)),
}
_ELSEWHERE = frozenset({"roles", "externalId", GENESYS_USER})


def touched(before: JsonObject, after: JsonObject) -> frozenset[str]:
    """The areas in which two resources differ."""
    found = {
        area for area, places in _PLACES.items() if any(_at(before, place) != _at(after, place) for place in places)
    }
    if _record(before) != _record(after):
        found.add("directory")
    return frozenset(found)


def keep_back(before: JsonObject, after: JsonObject, areas: Iterable[str]) -> JsonObject:
    """The new resource with some areas as they were: what a partial failure leaves."""
    mixed = dict(after)
    if "directory" in areas:
        mixed = _record(before) | {name: value for name, value in after.items() if name in _ELSEWHERE}
    for area in areas:
        for place in _PLACES.get(area, ()):
            _put(mixed, place, _at(before, place))
    return mixed


def needed(before: JsonObject, after: JsonObject) -> list[str]:
    """The permissions that a change needs, by area (inferred: genesys-scim.md §1.3)."""
    areas, found = touched(before, after), []
    if areas & {"directory", "external_ids"}:
        found.append(permissions.EDIT)
    old, new = _names(before.get(_ROLES)), _names(after.get(_ROLES))
    if new - old:
        found.append(permissions.GRANT_ADD)
    if old - new:
        found.append(permissions.GRANT_DELETE)
    if "skills" in areas:
        found.append(permissions.SKILL)
    if "languages" in areas:
        found.append(permissions.LANGUAGE)
    if _extensions(before) != _extensions(after):
        found.append(permissions.EXTENSION)
    return found


def _at(resource: JsonObject, place: tuple[str, str]) -> object:
    urn, name = place
    holder = resource.get(urn) if urn else resource
    return holder.get(name) if isinstance(holder, dict) else None


def _put(resource: JsonObject, place: tuple[str, str], value: object) -> None:
    urn, name = place
    held = resource.get(urn) if urn else resource
    holder = dict(held) if isinstance(held, dict) else {}
    if value is None:
        holder.pop(name, None)
    else:
        holder[name] = value
    if not urn:
        resource.pop(name, None)
        resource.update(holder)
    elif holder:
        resource[urn] = holder
    else:
        resource.pop(urn, None)


def _record(resource: JsonObject) -> JsonObject:
    return {name: value for name, value in resource.items() if name not in _ELSEWHERE}


def _names(roles: object) -> set[str]:
    return {str(role.get("value")) for role in roles if isinstance(role, dict)} if isinstance(roles, list) else set()


def _extensions(resource: JsonObject) -> set[str]:
    phones = resource.get("phoneNumbers")
    numbers = [str(p.get("value", "")) for p in phones if isinstance(p, dict)] if isinstance(phones, list) else []
    return {number for number in numbers if ";ext=" in number}
