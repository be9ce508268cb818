"""What becomes of a written user before it is kept: normal forms, mirrored values, checks of references."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from scimsync.errors import PatchRefused
from scimsync.scim import patch
from scimsync.scim.forms import phone_form
from scimsync.scim.genesys import GENESYS_CORE, GENESYS_USER
from scimsync.scim.messages import Operation
from scimsync.scim.schema import ENTERPRISE_USER, Catalog

JsonObject = dict[str, object]

EXTERNAL_AUTHORITY = "x-pc:scimv2:v1"  #: documented as the beginning; the rest is unpublished
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)*")
_PHONE = re.compile(r"\+?[0-9]{3,15}(;ext=[0-9]+)?")
_LEVELS_KEPT = 50  #: skills, and languages (documented)
_EXTERNAL_KEPT = 100  #: external ids of one entity (documented for the platform)
_PHONE_TYPES = frozenset(
    word
    for a in GENESYS_CORE.attributes
    if a.name == "phoneNumbers"
    for s in a.sub_attributes
    for word in s.canonical_values
)
_MAIL_TYPES = frozenset({"work"})  #: beside the mirror
_ANY: frozenset[str] = frozenset()


class Rules(Struct, frozen=True, kw_only=True):
    """What a write may do; each field follows a switch, or who writes."""

    closed: bool = True  #: types are those of the enum; closed on write, open on read (documented)
    immutable: bool = True  #: an immutable value that is written anew is refused
    twice: bool = True  #: of two elements of one type the later counts
    dropped: frozenset[str] = _ANY  #: reserved external ids, by authority, that the write takes away
    step: float = 0.0  #: to what proficiency is rounded; 0 = not at all


class Own(Struct, frozen=True, kw_only=True):
    """The externalId of the client that writes, and the authority under which it is kept."""

    authority: str
    value: str


FREE = Rules(closed=False, immutable=False)


class Names(Struct):
    """The names that exist outside SCIM and can only be referred to."""

    divisions: set[str]
    roles: set[str]
    skills: set[str]
    languages: set[str]


def authority(lens: str) -> str:
    """Under which authority the externalId of a client is kept; "" is the first client."""
    return f"{EXTERNAL_AUTHORITY}:{lens}" if lens else EXTERNAL_AUTHORITY


def conform(body: Mapping[str, object], catalog: Catalog) -> JsonObject:
    """The writable part of a POST or PUT body, checked; read-only and unknown attributes are left out.

    Raises:
        PatchRefused: A value is not of its type.
    """
    known = {name.lower() for schema in catalog.schemas for name in (schema.id, *(a.name for a in schema.attributes))}
    part = {name: value for name, value in body.items() if name.lower() in known}
    return patch.apply({}, [Operation("add", None, part)], catalog, ignore_read_only=True)


def settle(
    resource: JsonObject, before: JsonObject | None = None, rules: Rules = FREE, own: Own | None = None
) -> JsonObject:
    """Bring a user into the form in which it is read back (genesys-scim.md §3.2, §3.6, §4.8).

    Args:
        resource: What is to be kept.
        before: What was kept so far; what was there may stay.
        rules: What the write may do.
        own: The externalId of the client; None for that of the resource itself.

    Raises:
        PatchRefused: A value can have no normal form, or breaks a rule.
    """
    was = before or {}
    mine = own or Own(authority=EXTERNAL_AUTHORITY, value=str(resource.get("externalId") or ""))
    settled = {name: value for name, value in resource.items() if not _nothing(value)}
    settled.pop("password", None)  # writeOnly: never returned
    settled.setdefault("active", True)  # always returned (documented); without a value it is that of a new user
    if not (_stays(resource, was, "emails") and _stays(resource, was, "userName")):
        _settle_list(settled, "emails", _mails(resource, was, rules))
    if not _stays(resource, was, "phoneNumbers"):
        phones = _Listed("phoneNumbers", _PHONE_TYPES if rules.closed else _ANY)
        _settle_list(settled, "phoneNumbers", _by_type(resource, was, phones, rules))
    if not _stays(resource, was, "roles"):
        _settle_list(settled, "roles", list(_keyed(resource.get("roles"), "value").values()))
    if not _stays(resource, was, ENTERPRISE_USER):
        _settle_extension(settled, ENTERPRISE_USER, _enterprise)
    held = _part(was, GENESYS_USER)
    if not (_stays(resource, was, GENESYS_USER) and _is_kept(mine, held)):
        settled.setdefault(GENESYS_USER, {})
        _settle_extension(settled, GENESYS_USER, lambda part: _genesys(part, held, mine, rules))
    return settled


def _is_kept(own: Own, held: Mapping[str, object]) -> bool:
    """Whether the externalId of the client is kept as it is written."""
    kept = [item.get("value") for item in _objects(held.get("externalIds")) if item.get("authority") == own.authority]
    return kept == ([own.value] if own.value else [])


def _stays(holder: Mapping[str, object], was: Mapping[str, object], name: str) -> bool:
    """Whether a value is the one that was settled before."""
    return name in was and holder.get(name) == was[name]


def check_login(resource: JsonObject, before: JsonObject, *, shortest: int, email: bool) -> None:
    """The login is an e-mail address, and a password keeps to the policy (documented).

    Raises:
        PatchRefused: One of them does not.
    """
    name = str(resource.get("userName") or "")
    if email and name != before.get("userName") and not _EMAIL.fullmatch(name):
        raise PatchRefused("invalidValue", "userName is an e-mail address")
    password = resource.get("password")
    if isinstance(password, str) and len(password) < shortest:
        raise PatchRefused("invalidValue", f"password has at least {shortest} characters")


def refuse_other_mail(before: JsonObject, after: JsonObject) -> None:
    """`emails[type eq "other"]` mirrors the login and cannot be written (documented).

    Raises:
        PatchRefused: It was given another value than the login.
    """
    held, wanted = _other_mail(before), _other_mail(after)
    if wanted is not None and wanted != held and wanted != after.get("userName"):
        raise PatchRefused("mutability", 'emails[type eq "other"] mirrors userName and cannot be written')


def external_ids(resource: Mapping[str, object]) -> list[JsonObject]:
    """The external ids of a user."""
    return _objects(_part(resource, GENESYS_USER).get("externalIds"))


def dropped(resource: JsonObject, held: JsonObject) -> frozenset[str]:
    """The authorities of external ids that SCIM keeps itself and that a written list leaves out."""
    listed = {item.get("authority") for item in external_ids(resource)}
    return frozenset(
        str(item["authority"]) for item in external_ids(held) if _reserved(item) and item["authority"] not in listed
    )


def without_reserved(resource: JsonObject, before: JsonObject) -> JsonObject:
    """The resource without written external ids that SCIM keeps itself: they are passed over."""
    part = _part(resource, GENESYS_USER)
    listed, held = external_ids(resource), external_ids(before)
    kept = [item for item in listed if not _reserved(item) or item in held]
    if len(kept) == len(listed):
        return resource
    return resource | {GENESYS_USER: {**part, "externalIds": kept}}


def check_references(
    resource: JsonObject,
    before: JsonObject,
    names: Names,
    *,
    is_user: Callable[[str], bool],
    ignore: bool,
    fold: bool = False,
) -> JsonObject:
    """Refuse new references to what does not exist, or leave them out (inferred: refused).

    Raises:
        PatchRefused: A manager, role, skill, language or division is unknown.
    """
    if all(resource.get(name) == before.get(name) for name in (ENTERPRISE_USER, GENESYS_USER, "roles")):
        return resource
    checked = dict(resource)
    enterprise = dict(_part(resource, ENTERPRISE_USER))
    old = _part(before, ENTERPRISE_USER)
    manager = _value(enterprise.get("manager"))
    if manager != _value(old.get("manager")) and manager and not is_user(manager):
        _unknown("manager", ignore=ignore)
        enterprise.pop("manager")
    division = _division(enterprise, names) if fold else str(enterprise.get("division", ""))
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
        if holder.get(attribute) == was.get(attribute):
            continue
        allowed = known | set(_keyed(was.get(attribute), key))
        _settle_list(holder, attribute, _known(holder.get(attribute), key, allowed, ignore=ignore))
    if genesys or GENESYS_USER in checked:
        checked[GENESYS_USER] = genesys
    return {name: value for name, value in checked.items() if not _nothing(value)}


def _division(enterprise: JsonObject, names: Names) -> str:
    """The division in the spelling of its name, which becomes that of the resource."""
    spelled = {name.casefold(): name for name in names.divisions}
    written = str(enterprise.get("division", ""))
    if written:
        enterprise["division"] = spelled.get(written.casefold(), written)
    return str(enterprise.get("division", ""))


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


class _Listed(Struct, frozen=True):
    name: str
    types: frozenset[str]  #: that may be written; none = any


def _mails(resource: JsonObject, before: JsonObject, rules: Rules) -> list[JsonObject]:
    written = [m for m in _objects(resource.get("emails")) if str(m.get("type", "")).lower() != "other"]
    mirror = {"type": "other", "value": resource.get("userName")}
    wanted = _Listed("emails", _MAIL_TYPES if rules.closed else _ANY)
    return [*_by_type({"emails": written}, before, wanted, rules), mirror]


def _by_type(resource: JsonObject, before: JsonObject, wanted: _Listed, rules: Rules) -> list[JsonObject]:
    """One entry for each type (inferred: one field for each); the type is mandatory (documented)."""
    elements = [item for item in _objects(resource.get(wanted.name)) if not _nothing(item.get("value"))]
    types = [str(item.get("type") or "") for item in elements]
    if "" in types:
        raise PatchRefused("invalidValue", "an element needs a type")
    if not rules.twice and len(set(types)) < len(types):
        raise PatchRefused("invalidValue", f"{wanted.name} may hold one element of each type")
    if wanted.types:
        known = wanted.types | set(_keyed(before.get(wanted.name), "type"))
        elements = [_of_type(item, known, wanted.name) for item in elements]
    settled = list(_keyed(elements, "type").values())
    if wanted.name != "phoneNumbers":
        return settled
    held = _objects(before.get(wanted.name))
    return [item if item in held else _phone(item) for item in settled]


def _of_type(element: JsonObject, known: frozenset[str] | set[str], name: str) -> JsonObject:
    type_ = str(element["type"])
    if type_ in known:
        return element
    if type_.lower() in known:
        return element | {"type": type_.lower()}
    raise PatchRefused("invalidValue", f"{type_} is not a type of {name}")


def _phone(element: JsonObject) -> JsonObject:
    number = phone_form(str(element["value"]))
    if not _PHONE.fullmatch(number):
        raise PatchRefused("invalidValue", "a phone number is E.164 or a tel URI")
    return element | {"value": number}


def _enterprise(held: JsonObject) -> JsonObject:
    part = {name: value for name, value in held.items() if not _nothing(value)}
    if "dateHire" in part:
        part["dateHire"] = _day(str(part["dateHire"]))
    if not _value(part.get("manager")):
        part.pop("manager", None)
    return part


def _day(text: str) -> str:
    """The date of any ISO-8601 text (documented: the time is dropped)."""
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError as error:
        raise PatchRefused("invalidValue", "dateHire is a date: YYYY-MM-DD") from error


def _genesys(held: JsonObject, before: Mapping[str, object], own: Own, rules: Rules) -> JsonObject:
    part = dict(held)
    for name in ("routingSkills", "routingLanguages"):
        if not _stays(part, before, name):
            _settle_list(part, name, _levels(part.get(name), rules.step))
    known = _objects(before.get("externalIds"))
    _settle_list(part, "externalIds", _external(_objects(part.get("externalIds")), known, own, rules))
    return part


def _external(listed: list[JsonObject], before: list[JsonObject], own: Own, rules: Rules) -> list[JsonObject]:
    """External ids: authority and value are required; those that SCIM itself keeps are immutable (documented)."""
    if any(_nothing(item.get("authority")) or _nothing(item.get("value")) for item in listed):
        raise PatchRefused("invalidValue", "an external id needs an authority and a value")
    gone = rules.dropped | {own.authority}
    kept = {str(item["authority"]): item for item in before if _reserved(item) and item["authority"] not in gone}
    if own.value:
        kept[own.authority] = {"authority": own.authority, "value": own.value}
    given = [item for item in listed if _reserved(item)]
    if rules.immutable and any(item not in before and item not in kept.values() for item in given):
        raise PatchRefused("mutability", f"external ids of {EXTERNAL_AUTHORITY} cannot be written; write externalId")
    free = _keyed([item for item in listed if not _reserved(item)], "authority")
    if len(free) + len(kept) > _EXTERNAL_KEPT:
        raise PatchRefused("invalidValue", f"no more than {_EXTERNAL_KEPT} external ids")
    return [*free.values(), *(kept[authority] for authority in sorted(kept))]


def _reserved(item: JsonObject) -> bool:
    return str(item.get("authority", "")).startswith(EXTERNAL_AUTHORITY)


def _levels(listed: object, step: float) -> list[JsonObject]:
    if any(_nothing(item.get("name")) for item in _objects(listed)):
        raise PatchRefused("invalidValue", "a skill or language needs a name")
    levels = _keyed(listed, "name")
    if len(levels) > _LEVELS_KEPT:
        raise PatchRefused("invalidValue", f"no more than {_LEVELS_KEPT} skills or languages")
    return [_level(element, step) for element in levels.values()]


def _level(element: JsonObject, step: float) -> JsonObject:
    proficiency = element.get("proficiency", 0.0)
    if not isinstance(proficiency, int | float) or not 0 <= proficiency <= 5:
        raise PatchRefused("invalidValue", "proficiency goes from 0.0 to 5.0")
    return element | {"proficiency": round(proficiency / step) * step if step else float(proficiency)}
