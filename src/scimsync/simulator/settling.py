"""What becomes of a written user before it is kept: normal forms, mirrored values, checks of references."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scimsync.errors import PatchRefused
from scimsync.scim import patch
from scimsync.scim.dialect import GENESYS_USER
from scimsync.scim.messages import Operation
from scimsync.scim.schema import ENTERPRISE_USER, Catalog, phone_form

JsonObject = dict[str, object]

EXTERNAL_AUTHORITY = "x-pc:scimv2:v1"  #: documented as the beginning; the rest is unpublished
_PHONE = re.compile(r"\+?[0-9]{3,15}(;ext=[0-9]+)?")
_LEVELS_KEPT = 50


@dataclass(slots=True)
class Names:
    """The names that exist outside SCIM and can only be referred to."""

    divisions: set[str]
    roles: set[str]
    skills: set[str]
    languages: set[str]


def conform(body: Mapping[str, object], catalog: Catalog) -> JsonObject:
    """The writable part of a POST or PUT body, checked; read-only and unknown attributes are left out.

    Raises:
        PatchRefused: A value is not of its type.
    """
    known = {name.lower() for schema in catalog.schemas for name in (schema.id, *(a.name for a in schema.attributes))}
    part = {name: value for name, value in body.items() if name.lower() in known}
    return patch.apply({}, [Operation("add", None, part)], catalog, ignore_read_only=True)


def settle(resource: JsonObject) -> JsonObject:
    """Bring a user into the form in which it is read back (genesys-scim.md §3.2, §3.6, §4.8).

    Raises:
        PatchRefused: A value can have no normal form.
    """
    settled = {name: value for name, value in resource.items() if not _nothing(value)}
    settled.pop("password", None)  # writeOnly: never returned
    _settle_list(settled, "emails", _mails(resource))
    _settle_list(settled, "phoneNumbers", _by_type(resource.get("phoneNumbers"), _phone))
    _settle_list(settled, "roles", list(_keyed(resource.get("roles"), "value").values()))
    _settle_extension(settled, ENTERPRISE_USER, _enterprise)
    settled.setdefault(GENESYS_USER, {})
    _settle_extension(settled, GENESYS_USER, lambda held: _genesys(held, str(resource.get("externalId") or "")))
    return settled


def refuse_other_mail(before: JsonObject, after: JsonObject) -> None:
    """`emails[type eq "other"]` mirrors the login and cannot be written (documented).

    Raises:
        PatchRefused: It was given another value than the login.
    """
    held, wanted = _other_mail(before), _other_mail(after)
    if wanted is not None and wanted != held and wanted != after.get("userName"):
        raise PatchRefused("mutability", 'emails[type eq "other"] mirrors userName and cannot be written')


def check_references(
    resource: JsonObject,
    before: JsonObject,
    names: Names,
    *,
    is_user: Callable[[str], bool],
    ignore: bool,
) -> JsonObject:
    """Refuse new references to what does not exist, or leave them out (inferred: refused).

    Raises:
        PatchRefused: A manager, role, skill, language or division is unknown.
    """
    checked = dict(resource)
    enterprise = dict(_part(resource, ENTERPRISE_USER))
    old = _part(before, ENTERPRISE_USER)
    manager = _value(enterprise.get("manager"))
    if manager != _value(old.get("manager")) and manager and not is_user(manager):
        _unknown("manager", ignore=ignore)
        enterprise.pop("manager")
    division = str(enterprise.get("division", ""))
    if division and division != old.get("division") and division not in names.divisions:
        _unknown("division", ignore=ignore)
        enterprise.pop("division")
    if enterprise:
        checked[ENTERPRISE_USER] = enterprise
    genesys = dict(_part(resource, GENESYS_USER))
    for holder, was, attribute, key, known in (
        (checked, before, "roles", "value", names.roles),
        (genesys, _part(before, GENESYS_USER), "routingSkills", "name", names.skills),
        (genesys, _part(before, GENESYS_USER), "routingLanguages", "name", names.languages),
    ):
        allowed = known | set(_keyed(was.get(attribute), key))
        _settle_list(holder, attribute, _known(holder.get(attribute), key, allowed, ignore=ignore))
    if genesys or GENESYS_USER in checked:
        checked[GENESYS_USER] = genesys
    return {name: value for name, value in checked.items() if not _nothing(value)}


def _known(listed: object, key: str, allowed: set[str], *, ignore: bool) -> list[JsonObject]:
    kept = []
    for name, element in _keyed(listed, key).items():
        if name in allowed:
            kept.append(element)
        else:
            _unknown(key, ignore=ignore)
    return kept


def _unknown(what: str, *, ignore: bool) -> None:
    if not ignore:
        raise PatchRefused("invalidValue", f"there is no such {what}")


def _nothing(value: object) -> bool:
    return value is None or value in ("", [], {})


def _part(resource: Mapping[str, object], urn: str) -> Mapping[str, object]:
    found = resource.get(urn)
    return found if isinstance(found, dict) else {}


def _value(manager: object) -> str:
    return str(manager.get("value") or "") if isinstance(manager, dict) else ""


def _objects(listed: object) -> list[JsonObject]:
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _keyed(listed: object, key: str) -> dict[str, JsonObject]:
    """The elements by their key; of two with one key the later stands in the place of the earlier."""
    return {str(item[key]): item for item in _objects(listed) if not _nothing(item.get(key))}


def _settle_list(holder: JsonObject, name: str, elements: list[JsonObject]) -> None:
    if elements:
        holder[name] = elements
    else:
        holder.pop(name, None)


def _settle_extension(resource: JsonObject, urn: str, settle_part: Callable[[JsonObject], JsonObject]) -> None:
    part = settle_part(dict(_part(resource, urn)))
    if part:
        resource[urn] = part
    else:
        resource.pop(urn, None)


def _other_mail(resource: JsonObject) -> object:
    return _keyed(resource.get("emails"), "type").get("other", {}).get("value")


def _mails(resource: JsonObject) -> list[JsonObject]:
    written = [m for m in _objects(resource.get("emails")) if str(m.get("type", "")).lower() != "other"]
    mirror = {"type": "other", "value": resource.get("userName")}
    return [*_by_type(written, lambda mail: mail), mirror]


def _by_type(listed: object, settle_one: Callable[[JsonObject], JsonObject]) -> list[JsonObject]:
    """One entry for each type (inferred: one field for each); the type is mandatory (documented)."""
    elements = [item for item in _objects(listed) if not _nothing(item.get("value"))]
    if any(_nothing(item.get("type")) for item in elements):
        raise PatchRefused("invalidValue", "an element needs a type")
    return [settle_one(item) for item in _keyed(elements, "type").values()]


def _phone(element: JsonObject) -> JsonObject:
    number = phone_form(str(element["value"]))
    if not _PHONE.fullmatch(number):
        raise PatchRefused("invalidValue", "a phone number is E.164 or a tel URI")
    return element | {"value": number}


def _enterprise(held: JsonObject) -> JsonObject:
    part = {name: value for name, value in held.items() if not _nothing(value)}
    if "dateHire" in part:
        part["dateHire"] = str(part["dateHire"])[:10]
    if not _value(part.get("manager")):
        part.pop("manager", None)
    return part


def _genesys(held: JsonObject, external_id: str) -> JsonObject:
    part = dict(held)
    for name in ("routingSkills", "routingLanguages"):
        _settle_list(part, name, _levels(part.get(name)))
    external = _keyed(part.get("externalIds"), "authority")
    external.pop(EXTERNAL_AUTHORITY, None)
    if external_id:
        external[EXTERNAL_AUTHORITY] = {"authority": EXTERNAL_AUTHORITY, "value": external_id}
    _settle_list(part, "externalIds", list(external.values()))
    return part


def _levels(listed: object) -> list[JsonObject]:
    levels = _keyed(listed, "name")
    if len(levels) > _LEVELS_KEPT:
        raise PatchRefused("invalidValue", f"no more than {_LEVELS_KEPT} skills or languages")
    return [_level(element) for element in levels.values()]


def _level(element: JsonObject) -> JsonObject:
    proficiency = element.get("proficiency", 0.0)
    if not isinstance(proficiency, int | float) or not 0 <= proficiency <= 5:
        raise PatchRefused("invalidValue", "proficiency goes from 0.0 to 5.0")
    return element | {"proficiency": float(proficiency)}
