"""A provider that keeps to the RFC, and what all dialects share. Each other dialect is layered on this one."""

from __future__ import annotations

from scimsync.scim.dialect import Dialect
from scimsync.scim.grounds import documented, guessed
from scimsync.scim.schema import CORE_USER, ENTERPRISE_USER, Attribute, Catalog, Schema


def simple(name: str, **more: object) -> Attribute:
    """An attribute of one value, a text unless `more` says otherwise."""
    return Attribute(name=name, **more)  # type: ignore[arg-type]


def compound(name: str, *subs: Attribute, **more: object) -> Attribute:
    """An attribute with sub-attributes."""
    return Attribute(name=name, type="complex", sub_attributes=subs, **more)  # type: ignore[arg-type]


ID = simple("id", case_exact=True, mutability="readOnly", returned="always", uniqueness="server")
EXTERNAL_ID = simple("externalId", case_exact=True)
META = compound(
    "meta",
    simple("resourceType", case_exact=True, mutability="readOnly"),
    simple("lastModified", type="dateTime", mutability="readOnly"),
    simple("location", type="reference", case_exact=True, mutability="readOnly", reference_types=("uri",)),
    simple("version", case_exact=True, mutability="readOnly"),
    mutability="readOnly",
)
ENTERPRISE_SHARED = (simple("division"), simple("department"), simple("employeeNumber"))
MANAGER = compound(
    "manager",
    simple("value", case_exact=True),
    simple("$ref", type="reference", case_exact=True, mutability="readOnly", reference_types=("User",)),
)

NEVER = {
    "id": "the directory gives ids",
    "meta": "the directory keeps it",
    "groups": "membership is changed on the group; see [groups]",
    "password": "scimsync never sends or stores passwords",
    'emails[type eq "other"]': "it mirrors the login; map userName",
}

_HONORIFICS = ("honorificPrefix", "honorificSuffix")
_RFC_VALUE = (simple("value"), simple("display"), simple("type"), simple("primary", type="boolean"))

GENERIC = Dialect(
    name="generic",
    users=Catalog(
        Schema(
            id=CORE_USER,
            name="User",
            attributes=(
                ID,
                EXTERNAL_ID,
                META,
                simple("userName", required=True, uniqueness="server"),
                compound(
                    "name",
                    *map(simple, ("formatted", "familyName", "givenName", "middleName", *_HONORIFICS)),
                ),
                *(
                    simple(n)
                    for n in (
                        "displayName",
                        "nickName",
                        "profileUrl",
                        "title",
                        "userType",
                        "preferredLanguage",
                        "locale",
                        "timezone",
                    )
                ),
                simple("active", type="boolean"),
                simple("password", mutability="writeOnly", returned="never"),
                *(
                    compound(n, *_RFC_VALUE, multi_valued=True)
                    for n in ("emails", "phoneNumbers", "ims", "photos", "entitlements", "roles")
                ),
                compound("groups", *_RFC_VALUE, multi_valued=True, mutability="readOnly"),
            ),
        ),
        (
            Schema(
                id=ENTERPRISE_USER,
                name="EnterpriseUser",
                attributes=(*ENTERPRISE_SHARED, simple("costCenter"), simple("organization"), MANAGER),
            ),
        ),
        {"enterprise": ENTERPRISE_USER},
    ),
    base_path="",
    page_size=100,
    expensive_page_size=100,
    operations_per_patch=50,
    characters=255,
    unwritable={name: why for name, why in NEVER.items() if "[" not in name},
    filled=frozenset({"externalId"}),
    grounds={
        "users": documented("RFC 7643 §4.1, §4.3"),
        "base_path": documented("none: api_url is the SCIM base, RFC 7644 §1.3"),
        "knows_schemas": documented("RFC 7643 §3.1, §4: which attributes a provider has is its own"),
        "access": documented("RFC 7644 §2 leaves it to the provider"),
        "page_size": guessed("RFC 7644 §3.4.2.4 leaves it to the provider"),
        "expensive_page_size": guessed("as page_size: RFC 7644 knows no expensive attributes"),
        "expensive": documented("none: RFC 7644 knows no expensive attributes"),
        "lists_active_only": documented("RFC 7644 §3.4.2 lists all resources"),
        "counts_versions": documented("RFC 7644 §3.14: versions are opaque"),
        "concurrency": documented("RFC 7644 §3.14: versions are optional"),
        "unwritable": documented("RFC 7643 §3.1, §4.1.2; `password` by our own choice"),
        "reserved": documented("RFC 7643 §2.4 knows none"),
        "dropped": documented("none: RFC 7643 §4.1.1 leaves an inactive account as it is"),
        "filled": documented("RFC 7643 §3.1: the identifier of the provisioning client that set it"),
        "requests_per_minute": guessed("RFC 7644 names no rate"),
        "throttles": documented("RFC 6585 §4: 429 alone says so"),
        "operations_per_patch": guessed("what common tutorials assume; RFC 7644 names none"),
        "characters": guessed("what common tutorials assume; RFC 7643 names none"),
        "request_bytes": documented("RFC 7644 names none"),
        "elements": documented("RFC 7643 names none"),
        "ranges": documented("RFC 7643 names none"),
        "keeps_others": guessed("RFC 7644 §3.5.2 demands it; servers are met that replace the whole list"),
        "unique_logins": guessed("RFC 7643 §4.1.1 demands it; servers are met that do not check"),
        "login_is_email": documented("RFC 7643 §4.1.1: any text"),
        "phones_are_e164": documented("RFC 7643 §4.1.2: should be RFC 3966, need not"),
        "names": documented("none: RFC 7644 knows no such lists"),
        "deleted": documented("none: RFC 7644 §3.6 knows nothing of an account that was deleted"),
        "newborn_version": documented("none: RFC 7644 §3.14: versions are opaque"),
        "permissions": documented("none: RFC 7644 leaves them to the provider"),
        "rights_url": documented("none: RFC 7644 knows no such answer"),
        "limits_url": documented("none: RFC 7644 knows no such answer"),
        "licences_url": documented("none: RFC 7644 knows no licences"),
        "default_roles": documented("none: RFC 7643 gives nobody a role"),
        "members_at_once": guessed("RFC 7644 names no number"),
        "regions": documented("none: the RFC knows no regions"),
        "media_type": documented("RFC 7644 §3.1"),
        "discovery": documented("RFC 7644 §4"),
        "first_index": documented("RFC 7644 §3.4.2.4"),
        "pages_by": documented("RFC 7644 §3.4.2.4; RFC 9865 has cursors beside"),
        "stable_pages": guessed("RFC 7644 §3.4.2.4 promises no order"),
        "takes_attributes": documented("RFC 7644 §3.9"),
        "filterable": guessed("RFC 7644 §3.4.2.2 leaves it to the provider; whether a filter was heeded is seen"),
        "exact_filters": documented("RFC 7643 §4.1.1: userName is not case-exact"),
        "versions_in": documented("RFC 7644 §3.14: both"),
        "patches": guessed("RFC 7644 §3.5.2: optional; ServiceProviderConfig tells, or 405 and 501"),
        "value_filters": documented("RFC 7644 §3.5.2"),
        "capital_ops": documented("RFC 7644 §3.5.2"),
        "pathless": documented("RFC 7644 §3.5.2: a path is optional but for remove"),
        "answers_creation": documented("RFC 7644 §3.3"),
        "required": documented("RFC 7643 §4.1.1"),
        "disabled": guessed("RFC 7643 §4.1.1 leaves it to the provider"),
        "deleting": documented("RFC 7644 §3.6"),
        "immutable": documented("none; what the schemas of the provider call so counts as well"),
        "hidden": documented("none but the password: RFC 7643 §4.1.1"),
        "unkept": documented("none: RFC 7644 §3.3, a provider may ignore what it does not know"),
        "normalised": documented("none: RFC 7643 §2.3"),
        "text_booleans": documented("RFC 7643 §2.3.2"),
        "search_lag_s": guessed("RFC 7644 says nothing of it; most providers keep accounts in a database"),
        "groups": documented("RFC 7643 §4.2"),
        "members": documented("RFC 7643 §4.2"),
        "members_cap": documented("none: RFC 7643 §4.2"),
        "add_twice": documented("RFC 7644 §3.5.2.1: no change"),
        "remove_members": documented("RFC 7644 §3.5.2.2"),
        "nested_groups": documented("RFC 7643 §4.2"),
    },
)
