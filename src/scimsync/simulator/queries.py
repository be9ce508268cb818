"""The query of a listing: which page, which attributes, which users (genesys-scim.md §2.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qs

from msgspec import Struct

from scimsync.errors import InvalidFilter
from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.grammar import ValueFilter, equality, lookup, parse_filter
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Catalog
from scimsync.simulator.answers import Refused
from scimsync.simulator.directory import Directory
from scimsync.simulator.entities import GROUPS, USERS, Entity, Projection
from scimsync.simulator.normalising import authority

JsonObject = dict[str, object]

DEFAULT_COUNT = 25  #: documented
_ALWAYS: Mapping[str, frozenset[str]] = {
    CORE_USER: frozenset({"id", "username", "active", "meta", "schemas"}),
    CORE_GROUP: frozenset({"id", "meta", "schemas"}),
}
#: `attribute eq value`, the value bare or quoted; both are used (documented bare, RFC quoted)
_EQUAL = re.compile(r"\s*([\w.:$-]+)\s+eq\s+(.+?)\s*", re.IGNORECASE)


class Query(Struct, frozen=True):
    """The parameters of a request, read."""

    start: int
    count: int
    filter: str | None
    key: str  #: tells projections apart
    projection: Projection | None
    expensive: bool  #: whether it asks for what is documented as expensive
    costly: bool  #: whether it asks for anything that may be
    sorted: bool  #: whether it asks for an order, which the service does not offer


def read_query(text: bytes, catalog: Catalog, unknown: str = "error", *, group_active: bool = True) -> Query:
    """Read a query string; lists may be repeated or comma-separated (both are used).

    Args:
        text: The query string.
        catalog: Of users or of groups.
        unknown: What becomes of attribute names that are not listed; the switch `unknown_attribute`.
        group_active: Whether `active` can be named for groups, which have none; the switch of this name.

    Raises:
        Refused: 400 `invalidValue`; a number is none, or an attribute is not known.
    """
    return _read(text, catalog.core.id, unknown, group_active)


@lru_cache(maxsize=1024)
def _read(text: bytes, core: str, unknown: str, group_active: bool) -> Query:  # noqa: FBT001 - for the cache
    found = {n.lower(): v for n, v in parse_qs(text.decode("latin-1"), keep_blank_values=True).items()}
    wanted, unwanted = _names(found.get("attributes")), _names(found.get("excludedattributes"))
    catalog = USERS if core == CORE_USER else GROUPS
    if wanted and core == CORE_GROUP and group_active:
        wanted = [name for name in wanted if name.lower() not in _GROUP_ACTIVE] or ["id"]
    keep, drop = _paths(wanted, catalog, unknown), _paths(unwanted, catalog, unknown)
    texts = found.get("filter")
    documented, dear = (_EXPENSIVE, _COSTLY) if core == CORE_USER else (_EXPENSIVE_GROUP, _EXPENSIVE_GROUP)
    return Query(
        start=max(1, _number(found, "startindex", 1)),
        count=max(0, _number(found, "count", DEFAULT_COUNT)),
        filter=texts[-1] if texts else None,
        key=f"{sorted(keep)}{sorted(drop)}{bool(wanted)}" if wanted or unwanted else "",
        projection=_projection(keep, drop, core, only=bool(wanted)) if wanted or unwanted else None,
        expensive=any(_costs(name, keep, drop, only=bool(wanted)) for name in documented),
        costly=any(_costs(name, keep, drop, only=bool(wanted)) for name in dear),
        sorted="sortby" in found,
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


def _paths(names: list[str], catalog: Catalog, unknown: str) -> frozenset[_Part]:
    parts = (_part(name, catalog, unknown) for name in names)
    return frozenset(part for part in parts if part is not None)


def _part(text: str, catalog: Catalog, unknown: str) -> _Part | None:
    lowered = text.lower()
    found = next(
        (s for s in catalog.schemas if lowered == s.id.lower() or lowered.startswith(s.id.lower() + ":")), None
    )
    tail = lowered[len(found.id) + 1 :] if found is not None else lowered
    urn = "" if found is None or found.id == catalog.core.id else found.id.lower()
    listed = _LISTED_GROUP if catalog is GROUPS else _LISTED
    known = (urn, tail) in listed or (urn and not tail) or (not urn and tail == "schemas")
    attribute, _, sub = tail.partition(".")
    schema = found or catalog.core
    if not known and unknown == "lenient":
        definition = schema.attribute(attribute)
        known = definition is not None and (not sub or definition.sub(sub) is not None)
    if known:
        return (urn, attribute, sub)
    if unknown == "ignore":
        return None
    raise Refused(400, f"{text} is not an attribute", scim_type="invalidValue")


#: the names that the spec allows in `attributes` (documented, genesys-scim.md §2.2)
_LISTED = frozenset(
    [("", name) for name in (
        "id", "username", "displayname", "title", "active", "externalid", "phonenumbers", "emails", "groups", "roles",
        "meta", "meta.version", "meta.lastmodified",
    )]
    + [(ENTERPRISE_USER.lower(), name) for name in (
        "division", "department", "manager", "manager.value", "employeenumber", "datehire",
    )]
    + [(GENESYS_USER.lower(), name) for name in ("routingskills", "routinglanguages", "externalids")]
)  # fmt: skip
#: always returned by what the documents say, and not in their list of values
_GROUP_ACTIVE = frozenset({"active", f"{CORE_GROUP.lower()}:active"})
_LISTED_GROUP = frozenset(
    ("", name) for name in ("id", "displayname", "members", "externalid", "meta", "meta.version", "meta.lastmodified")
)


def _costs(name: str, keep: frozenset[_Part], drop: frozenset[_Part], *, only: bool) -> bool:
    urn, _, attribute = name.rpartition(":")
    if only:
        return any(u == urn and a in {"", attribute} for u, a, _ in keep)
    return not any(u == urn and a in {"", attribute} for u, a, _ in drop)


#: what the parameter `count` says to leave out of a page above 25 (documented)
_EXPENSIVE = (
    "externalid",
    "roles",
    f"{GENESYS_USER.lower()}:routingskills",
    f"{GENESYS_USER.lower()}:routinglanguages",
)
#: with those that the parameter `attributes` calls secondary too (documented)
_COSTLY = (
    *_EXPENSIVE,
    f"{ENTERPRISE_USER.lower()}:division",
    f"{ENTERPRISE_USER.lower()}:manager",
    f"{GENESYS_USER.lower()}:externalids",
)
_EXPENSIVE_GROUP = ("members",)  # externalId is one too (documented in 2020), but no group has one at first


def _projection(keep: frozenset[_Part], drop: frozenset[_Part], core: str, *, only: bool) -> Projection:
    always = _ALWAYS[core]
    parts = keep if only else drop
    known: dict[tuple[str, str], _Wish] = {}

    def wish(urn: str, name: str) -> _Wish:
        if (urn and (urn, "", "") in parts) or (urn, name, "") in parts:
            return _Wish(only, frozenset())
        subs = frozenset(sub for u, a, sub in parts if (u, a) == (urn, name))
        return _Wish(not only, subs)

    def reduce(urn: str, holder: JsonObject) -> JsonObject:
        left = {}
        for name, value in holder.items():
            if not urn and (name.lower() in always or ":" in name):
                continue
            wished = known.get((urn, name))
            if wished is None:
                wished = known[urn, name] = wish(urn, name.lower())
            part = _reduced(value, wished)
            if part is not None:
                left[name] = part
        return left

    def project(full: JsonObject) -> JsonObject:
        left = {n: v for n, v in full.items() if n.lower() in always} | reduce("", full)
        parts = {n: reduce(n.lower(), v) for n, v in full.items() if ":" in n and isinstance(v, dict)}
        return left | {name: part for name, part in parts.items() if part}

    return project


class _Wish(Struct, frozen=True):
    """Whether an attribute stays, and the sub-attributes for which the contrary holds."""

    stays: bool
    but: frozenset[str]


def _reduced(value: object, wish: _Wish) -> object:
    """What is left of an attribute; None for nothing."""
    if not wish.but:
        return value if wish.stays else None
    if isinstance(value, dict):
        return {n: v for n, v in value.items() if (n.lower() in wish.but) is not wish.stays} or None
    if isinstance(value, list):
        return [left for item in value if (left := _reduced(item, wish)) is not None] or None
    return value if wish.stays else None


# -- filters ---------------------------------------------------------------------------------------


def select_users(directory: Directory, text: str | None, client: str = "") -> Sequence[int]:
    """The users a filter selects, by number; without one the active ones (documented).

    Raises:
        Refused: 400 `invalidFilter`; only `eq` on the documented attributes is answered (inferred).
    """
    if text is None or not text.strip():
        return directory.select("active", "true")
    index, key = _by_external_id(text) if "[" in text else _criterion(*_equality(text))
    if index == "externalId" and (lens := directory.lens(client)):
        index, key = "externalIds", f"{authority(lens)}\n{key}"
    return directory.select(index, key)


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


#: attribute in a filter -> index of the directory, and whether case counts
_INDEXES: Mapping[str, tuple[str, bool]] = {
    "id": ("id", True),
    "username": ("userName", False),
    "externalid": ("externalId", True),
    "employeenumber": ("employeeNumber", True),
    "email": ("email", False),
    "emails": ("email", False),
    "emails.value": ("email", False),
    "manager": ("manager", True),
    "manager.value": ("manager", True),
    "division": ("division", True),
}


def _criterion(name: str, value: str) -> tuple[str, str]:
    if name == "active":
        if value.lower() not in {"true", "false"}:
            raise Refused(400, "active is true or false", scim_type="invalidFilter")
        return "active", value.lower()
    if name not in _INDEXES:
        raise Refused(400, f"{name} cannot be filtered", scim_type="invalidFilter")
    index, exact = _INDEXES[name]
    return index, value if exact else value.lower()


def _by_external_id(text: str) -> tuple[str, str]:
    """`urn:...:externalIds[authority eq "A" and value eq "V"]` (documented since September 2021)."""
    try:
        tree = parse_filter(text)
    except InvalidFilter as error:
        raise Refused(400, str(error), scim_type="invalidFilter") from error
    if not isinstance(tree, ValueFilter) or tree.attribute.attribute.lower() != "externalids":
        raise Refused(400, "only externalIds takes a [filter]", scim_type="invalidFilter")
    wanted = equality(tree.inner) or {}
    if wanted.keys() != {"authority", "value"}:
        raise Refused(400, "externalIds is filtered by authority and value", scim_type="invalidFilter")
    return "externalIds", f"{wanted['authority']}\n{wanted['value']}"


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
