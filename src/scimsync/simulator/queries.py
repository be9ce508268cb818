"""The query of a listing: which page, which attributes, which users (genesys-scim.md §2.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs

from scimsync.errors import InvalidFilter
from scimsync.scim.dialect import GENESYS, GENESYS_USER
from scimsync.scim.grammar import ValueFilter, lookup, matches, parse_filter
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Catalog
from scimsync.simulator.answers import Refused
from scimsync.simulator.directory import GROUPS, USERS, Directory, Entity, Projection

JsonObject = dict[str, object]

DEFAULT_COUNT = 25  #: documented
_ALWAYS: Mapping[str, frozenset[str]] = {
    CORE_USER: frozenset({"id", "username", "active", "meta", "schemas"}),
    CORE_GROUP: frozenset({"id", "meta", "schemas"}),
}
#: `attribute eq value`, the value bare or quoted; both are used (documented bare, RFC quoted)
_EQUAL = re.compile(r"\s*([\w.:$-]+)\s+eq\s+(.+?)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a request, read."""

    start: int
    count: int
    filter: str | None
    key: str  #: tells projections apart
    projection: Projection | None
    expensive: bool


def read_query(text: bytes, catalog: Catalog) -> Query:
    """Read a query string; lists may be repeated or comma-separated (both are used).

    Raises:
        Refused: 400 `invalidValue`; a number is none, or an attribute is not known.
    """
    if not text:
        return _plain(catalog)
    return _read(text, catalog.core.id)


@lru_cache(maxsize=8)
def _plain_of(core: str) -> Query:
    return _read(b"", core)


def _plain(catalog: Catalog) -> Query:
    return _plain_of(catalog.core.id)


@lru_cache(maxsize=1024)
def _read(text: bytes, core: str) -> Query:
    found = {n.lower(): v for n, v in parse_qs(text.decode("latin-1"), keep_blank_values=True).items()}
    wanted, unwanted = _names(found.get("attributes")), _names(found.get("excludedattributes"))
    catalog = USERS if core == CORE_USER else GROUPS
    keep, drop = _paths(wanted, catalog), _paths(unwanted, catalog)
    texts = found.get("filter")
    return Query(
        start=max(1, _number(found, "startindex", 1)),
        count=max(0, _number(found, "count", DEFAULT_COUNT)),
        filter=texts[-1] if texts else None,
        key=f"{sorted(keep)}{sorted(drop)}" if wanted or unwanted else "",
        projection=_projection(keep, drop, core, only=bool(wanted)) if wanted or unwanted else None,
        expensive=any(_costs(name, keep, drop, only=bool(wanted)) for name in _EXPENSIVE),
    )


def _number(found: Mapping[str, list[str]], name: str, default: int) -> int:
    text = found.get(name, [str(default)])[-1]
    try:
        return int(text)
    except ValueError as error:
        raise Refused(400, f"{name} is a whole number", scim_type="invalidValue") from error


def _names(values: list[str] | None) -> list[str]:
    return [name.strip() for value in values or [] for name in value.split(",") if name.strip()]


#: (urn or "", attribute or "", sub-attribute or ""), lower case
_Part = tuple[str, str, str]


def _paths(names: list[str], catalog: Catalog) -> frozenset[_Part]:
    return frozenset(_part(name, catalog) for name in names)


def _part(text: str, catalog: Catalog) -> _Part:
    for schema in catalog.schemas:
        if text.lower() == schema.id.lower():
            return (_urn(schema.id, catalog), "", "")
        if text.lower().startswith(schema.id.lower() + ":"):
            attribute, _, sub = text[len(schema.id) + 1 :].partition(".")
            return _known(_urn(schema.id, catalog), attribute, sub, catalog)
    attribute, _, sub = text.partition(".")
    return _known("", attribute, sub, catalog)


def _urn(id_: str, catalog: Catalog) -> str:
    return "" if id_ == catalog.core.id else id_.lower()


def _known(urn: str, attribute: str, sub: str, catalog: Catalog) -> _Part:
    schema = next((s for s in catalog.schemas if s.id.lower() == urn), catalog.core)
    if schema.attribute(attribute) is None and attribute.lower() != "schemas":
        raise Refused(400, f"{attribute} is not an attribute", scim_type="invalidValue")
    return (urn, attribute.lower(), sub.lower())


def _costs(name: str, keep: frozenset[_Part], drop: frozenset[_Part], *, only: bool) -> bool:
    urn, _, attribute = name.rpartition(":")
    if only:
        return any(u == urn and a in {"", attribute} for u, a, _ in keep)
    return not any(u == urn and a in {"", attribute} for u, a, _ in drop)


_EXPENSIVE = tuple(sorted(GENESYS.expensive))


def _projection(keep: frozenset[_Part], drop: frozenset[_Part], core: str, *, only: bool) -> Projection:
    always = _ALWAYS[core]

    def listed(parts: frozenset[_Part], urn: str, name: str, sub: str) -> bool:
        return (
            bool(parts & {(urn, "", ""), (urn, name, ""), (urn, name, sub)})
            if urn
            else bool(parts & {("", name, ""), ("", name, sub)})
        )

    def wanted(urn: str, name: str, sub: str) -> bool:
        return listed(keep, urn, name, sub) if only else not listed(drop, urn, name, sub)

    def reduce(urn: str, holder: JsonObject) -> JsonObject:
        kept = {}
        for name, value in holder.items():
            if not urn and (name.lower() in always or ":" in name):
                continue
            part = _reduced(value, lambda sub, name=name: wanted(urn, name.lower(), sub))  # type: ignore[misc]
            if part is not None:
                kept[name] = part
        return kept

    def project(full: JsonObject) -> JsonObject:
        kept = {n: v for n, v in full.items() if n.lower() in always} | reduce("", full)
        for name, value in full.items():
            if ":" in name and isinstance(value, dict) and (part := reduce(name.lower(), value)):
                kept[name] = part
        return kept

    return project


def _reduced(value: object, wanted: Callable[[str], bool]) -> object:
    """What is left of an attribute; None for nothing."""
    if isinstance(value, dict):
        return {n: v for n, v in value.items() if wanted(n.lower())} or None
    if isinstance(value, list) and value and isinstance(value[0], dict):
        kept = [{n: v for n, v in item.items() if wanted(n.lower())} for item in value]
        return [item for item in kept if item] or None
    return value if wanted("") else None


# -- filters ---------------------------------------------------------------------------------------


def select_users(directory: Directory, text: str | None) -> list[Entity]:
    """The users a filter selects; without one the active ones (documented).

    Raises:
        Refused: 400 `invalidFilter`; only `eq` on the documented attributes is answered (inferred).
    """
    if text is None or not text.strip():
        return directory.by_state(active=True)
    if "[" in text:
        return _shown(directory, _by_external_id(directory, text))
    name, value = _equality(text)
    if name == "active":
        if value.lower() not in {"true", "false"}:
            raise Refused(400, "active is true or false", scim_type="invalidFilter")
        return directory.by_state(active=value.lower() == "true")
    return _shown(directory, _find(directory, name, value))


def _shown(directory: Directory, found: list[Entity]) -> list[Entity]:
    """Inactive users are left out of every listing that does not ask for them (documented)."""
    return [u for u in found if not u.deleted and (u.active or directory.options.filter_finds_inactive)]


def _equality(text: str) -> tuple[str, str]:
    found = _EQUAL.fullmatch(text)
    if found is None:
        raise Refused(400, "only eq is supported in filters", scim_type="invalidFilter")
    name, value = found[1].lower(), found[2]
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    elif re.search(r"\s(and|or)\s", value, re.IGNORECASE):
        raise Refused(400, "only one comparison is supported in filters", scim_type="invalidFilter")
    for urn in (CORE_USER, CORE_GROUP, ENTERPRISE_USER):
        name = name.removeprefix(urn.lower() + ":")
    return name, value


def _find(directory: Directory, name: str, value: str) -> list[Entity]:
    match name:
        case "id":
            found = directory.user(value)
            return [found] if found else []
        case "username":
            return directory.indexed("userName", value)
        case "externalid":
            return directory.indexed("externalId", value)
        case "employeenumber":
            return directory.indexed("employeeNumber", value)
        case "email" | "emails" | "emails.value":
            return _scan(directory, lambda user: _has_mail(user, value.lower()))
        case "manager" | "manager.value":
            return _scan(directory, lambda user: _manager(user) == value)
        case "division":
            return _scan(directory, lambda user: _enterprise(user, "division") == value)
    raise Refused(400, f"{name} cannot be filtered", scim_type="invalidFilter")


def _scan(directory: Directory, test: Callable[[Entity], bool]) -> list[Entity]:
    return [user for user in directory.users.values() if test(user)]


def _has_mail(user: Entity, value: str) -> bool:
    mails = user.resource.get("emails")
    listed = mails if isinstance(mails, list) else []
    return any(str(mail.get("value", "")).lower() == value for mail in listed)


def _enterprise(user: Entity, name: str) -> object:
    part = user.resource.get(ENTERPRISE_USER)
    return lookup(part, name) if isinstance(part, dict) else None


def _manager(user: Entity) -> object:
    manager = _enterprise(user, "manager")
    return manager.get("value") if isinstance(manager, dict) else None


def _by_external_id(directory: Directory, text: str) -> list[Entity]:
    """`urn:...:externalIds[authority eq "A" and value eq "V"]` (documented since September 2021)."""
    try:
        tree = parse_filter(text)
    except InvalidFilter as error:
        raise Refused(400, str(error), scim_type="invalidFilter") from error
    if not isinstance(tree, ValueFilter) or tree.attribute.attribute.lower() != "externalids":
        raise Refused(400, "only externalIds takes a [filter]", scim_type="invalidFilter")
    exact = frozenset({"authority", "value"})

    def has(user: Entity) -> bool:
        part = user.resource.get(GENESYS_USER)
        listed = part.get("externalIds") if isinstance(part, dict) else None
        return isinstance(listed, list) and any(matches(tree.inner, item, exact=exact) for item in listed)

    return _scan(directory, has)


def select_groups(directory: Directory, text: str | None) -> list[Entity]:
    """The groups a filter selects: by `id` or `displayName` (documented).

    Raises:
        Refused: 400 `invalidFilter`.
    """
    listed = list(directory.groups.values())
    if text is None or not text.strip():
        return listed
    name, value = _equality(text)
    if name not in {"id", "displayname"}:
        raise Refused(400, f"{name} cannot be filtered", scim_type="invalidFilter")
    return [g for g in listed if str(lookup(g.resource, name)).casefold() == value.casefold()]
