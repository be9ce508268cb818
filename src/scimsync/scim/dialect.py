"""How one provider departs from the RFC, as data. `grounds` says of each entry how sure it is, and whence.

`GENERIC` is a provider that keeps to the RFC; `GENESYS` is Genesys Cloud as far as the reference
knows it. The simulator reads the schemas here; nothing else of a dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from scimsync.scim.grounds import Ground, documented, guessed
from scimsync.scim.platform import ELSEWHERE, GENESYS_PLATFORM, PLATFORM_PERMISSIONS, PLATFORM_USER
from scimsync.scim.regions import GENESYS_REGIONS
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Attribute, Catalog, Place, Schema

ROLE = "role"  #: the kind of names that licences follow from
_CORE = f"{CORE_USER.lower()}:"
GENESYS_USER = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameList:
    """Names that exist outside SCIM: what may stand at one place, and where the provider lists them."""

    #: what one of them is called in messages and codes: role, division, skill, language
    kind: str
    #: attribute with its URN, as `Place.root` has it
    root: str
    #: path below the API host; pages by `pageNumber` and `pageSize`, `entities` with a `name` each
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What the provider must allow our client, and what of a configuration needs it."""

    name: str
    #: attributes with their URN, as `Place.root` has them, that are written with it
    roots: tuple[str, ...] = ()
    #: what is done with it: create, update, delete (of accounts), members (of groups)
    actions: tuple[str, ...] = ()
    #: the list of names of this kind is shown with it
    names: str = ""
    #: when it is needed at all; "" for always
    only: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What the client must know about a provider before it asks."""

    name: str
    users: Catalog
    #: path below the API host
    base_path: str
    #: `users` is what this one product publishes, so that another answer is a drift; else a provider need not list all
    #: that it serves, and what it lists is not held against it
    knows_schemas: bool = False
    #: what a message names as the place where our rights are given
    access: str = "the rights of the token"
    #: resources a page where no expensive attribute is asked for, and where one is
    page_size: int
    expensive_page_size: int
    #: attributes (lower case, with URN) that cost the provider a second look-up
    expensive: frozenset[str] = frozenset()
    #: the plain listing leaves out inactive people, who need a sweep of their own
    lists_active_only: bool = False
    #: versions are counters: of two versions of one account, the greater number is the newer
    counts_versions: bool = False
    #: what guards a write: `version`, `compare` (read, compare, write, read back), or `auto`: a version if there is one
    concurrency: str = "auto"
    #: paths that must never be written, with the reason
    unwritable: Mapping[str, str] = field(default_factory=dict)
    #: attribute with URN -> how the key of those of its elements begins, in small letters, that are the provider's
    reserved: Mapping[str, str] = field(default_factory=dict)
    #: attributes with URN in which another provisioner may have a value of its own, which stays
    filled: frozenset[str] = frozenset()
    #: attributes with URN that the provider takes from whoever becomes inactive, and does not give back
    dropped: frozenset[str] = frozenset()
    #: requests a minute that the provider grants where it does not say so itself
    requests_per_minute: int = 300
    #: operations that one PATCH takes; 0: no limit
    operations_per_patch: int = 0
    #: characters that a text takes; 0: no limit
    characters: int = 0
    #: bytes that the body of a request takes; 0: no limit
    request_bytes: int = 0
    #: attribute with URN -> elements that it takes
    elements: Mapping[str, int] = field(default_factory=dict)
    #: sub-attribute -> least and largest number
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    #: a PATCH leaves alone what no operation names
    keeps_others: bool = False
    #: a second account of one login is refused with 409, so that a creation may be sent twice
    unique_logins: bool = False
    #: `userName` is an e-mail address
    login_is_email: bool = False
    #: phone numbers are E.164, with `;ext=` or as tel URI where they have an extension
    phones_are_e164: bool = False
    #: the names that must exist before they are referred to
    names: tuple[NameList, ...] = ()
    #: path below the API host that lists people in the state `deleted`, and brings one back by PATCH; "" for none
    deleted: str = ""
    #: the highest version that an account has when its creation is answered; 0: versions do not tell
    newborn_version: int = 0
    #: what our client must be allowed
    permissions: tuple[Permission, ...] = ()
    #: path below the API host at which the provider says what our client may do, in which divisions; "" for none
    rights_url: str = ""
    #: path below the API host at which it says what limits it keeps for SCIM; "" for none
    limits_url: str = ""
    #: path below the API host that tells by POST which licences follow from ids of roles; "" for none
    licences_url: str = ""
    #: members that one PATCH of a group may add and remove
    members_at_once: int = 50
    #: roles and entitlements that every new account gets by itself
    default_roles: frozenset[str] = frozenset()
    #: region name -> domain; empty where there are no regions
    regions: Mapping[str, str] = field(default_factory=dict)
    #: field name -> what its value rests on; each field but `name` and this one has an entry
    grounds: Mapping[str, Ground] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let every place that is found in the schemas know what in it is not ours."""
        users = self.users
        object.__setattr__(
            self, "users", replace(users, reserved=self.reserved, filled=self.filled, dropped=self.dropped)
        )

    def refusal(self, place: Place) -> str:
        """Why nothing may be written at a place; "" where something may."""
        name = place.short.lower()
        for path, why in self.unwritable.items():
            if name == path.lower() or name.startswith((f"{path.lower()}.", f"{path.lower()}[")):
                return why
        if place.is_reserved(place.selector):
            return f"{place.selector[place.key]} belongs to the directory"
        return "it is read-only" if place.read_only else ""

    def is_expensive(self, name: str) -> bool:
        """Whether an attribute, one below it, or (for a whole extension) one in it costs a second look-up.

        Args:
            name: As the parameter `attributes` has it: with URN, with or without that of the core schema.
        """
        name = name.lower().removeprefix(_CORE)
        dear = self.expensive
        return any(name == one or name.startswith(one + ".") or one.startswith(name + ":") for one in dear)


def _text(name: str, **more: object) -> Attribute:
    return Attribute(name=name, **more)  # type: ignore[arg-type]


def _complex(name: str, *subs: Attribute, **more: object) -> Attribute:
    return Attribute(name=name, type="complex", sub_attributes=subs, **more)  # type: ignore[arg-type]


_PHONE_TYPES = (
    "work", "work2", "work3", "work4", "home", "mobile", "other",
    "microsoftteams", "zoomphone", "eightbyeight", "ringcentral",
)  # fmt: skip

_ID = _text("id", case_exact=True, mutability="readOnly", returned="always", uniqueness="server")
_EXTERNAL_ID = _text("externalId", case_exact=True)
_META = _complex(
    "meta",
    _text("resourceType", case_exact=True, mutability="readOnly"),
    _text("lastModified", type="dateTime", mutability="readOnly"),
    _text("location", type="reference", case_exact=True, mutability="readOnly", reference_types=("uri",)),
    _text("version", case_exact=True, mutability="readOnly"),
    mutability="readOnly",
)
_ENTERPRISE_SHARED = (_text("division"), _text("department"), _text("employeeNumber"))
_MANAGER = _complex(
    "manager",
    _text("value", case_exact=True),
    _text("$ref", type="reference", case_exact=True, mutability="readOnly", reference_types=("User",)),
)

GENESYS_CORE = Schema(
    id=CORE_USER,
    name="User",
    description="User Account",
    attributes=(
        _ID,
        _EXTERNAL_ID,
        _META,
        _text("userName", required=True, uniqueness="server", returned="always"),
        _text("displayName", required=True),
        _text("title"),
        _text("active", type="boolean", returned="always"),
        _text("password", mutability="writeOnly", returned="never", case_exact=True),
        _complex(
            "emails",
            _text("value", case_exact=False),
            _text("type", canonical_values=("work", "other")),
            _text("primary", type="boolean"),
            multi_valued=True,
        ),
        _complex(
            "phoneNumbers",
            _text("value"),
            _text("type", canonical_values=_PHONE_TYPES),
            _text("primary", type="boolean"),
            multi_valued=True,
        ),
        _complex(
            "groups",
            _text("value", mutability="readOnly", case_exact=True),
            _text("type", mutability="readOnly"),
            _text("$ref", type="reference", mutability="readOnly", reference_types=("Group",)),
            multi_valued=True,
            mutability="readOnly",
        ),
        _complex("roles", _text("value", case_exact=True), multi_valued=True),
    ),
)

GENESYS_ENTERPRISE = Schema(
    id=ENTERPRISE_USER,
    name="EnterpriseUser",
    description="Enterprise User",
    attributes=(*_ENTERPRISE_SHARED, _MANAGER, _text("dateHire")),
)

_LEVEL = Attribute(name="proficiency", type="decimal")
_NAME = Attribute(name="name", case_exact=True, required=True)

GENESYS_EXTENSION = Schema(
    id=GENESYS_USER,
    name="GenesysUser",
    description="Genesys Cloud User",
    attributes=(
        _complex("routingSkills", _NAME, _LEVEL, multi_valued=True),
        _complex("routingLanguages", _NAME, _LEVEL, multi_valued=True),
        _complex(
            "externalIds",
            _text("authority", case_exact=True, required=True),
            _text("value", case_exact=True, required=True),
            multi_valued=True,
        ),
    ),
)

GENESYS_GROUP = Schema(
    id=CORE_GROUP,
    name="Group",
    description="Group",
    attributes=(
        _ID,
        _EXTERNAL_ID,
        _META,
        _text("displayName", mutability="readOnly", required=True),
        _complex(
            "members",
            _text("value", case_exact=True, mutability="immutable"),
            _text("type", mutability="readOnly"),
            _text("$ref", type="reference", mutability="readOnly", reference_types=("User", "Group")),
            multi_valued=True,
        ),
    ),
)

_NEVER = {
    "id": "the directory gives ids",
    "meta": "the directory keeps it",
    "groups": "membership is changed on the group; see [groups]",
    "password": "scimsync never sends or stores passwords",
    'emails[type eq "other"]': "it mirrors the login; map userName",
}

GENESYS = Dialect(
    name="genesys",
    users=Catalog(
        GENESYS_CORE,
        (GENESYS_ENTERPRISE, GENESYS_EXTENSION, GENESYS_PLATFORM),
        {"enterprise": ENTERPRISE_USER, "genesys": GENESYS_USER, "platform": PLATFORM_USER},
        elsewhere=ELSEWHERE,
    ),
    base_path="/api/v2/scim/v2",
    knows_schemas=True,
    access="the roles of the OAuth client (Genesys: 'SCIM Integration')",
    page_size=100,
    expensive_page_size=25,
    expensive=frozenset(
        name.lower()
        for name in (
            "externalId",
            "roles",
            f"{GENESYS_USER}:routingSkills",
            f"{GENESYS_USER}:routingLanguages",
        )
    ),
    lists_active_only=True,
    counts_versions=True,
    concurrency="version",
    unwritable=_NEVER,
    reserved={f"{GENESYS_USER}:externalIds": "x-pc:scimv2:v1"},
    filled=frozenset({"externalId"}),
    dropped=frozenset({"roles"}),
    requests_per_minute=300,
    request_bytes=512_000,
    elements={
        f"{GENESYS_USER}:routingSkills": 50,
        f"{GENESYS_USER}:routingLanguages": 50,
        f"{GENESYS_USER}:externalIds": 100,
    },
    ranges={"proficiency": (0.0, 5.0)},
    keeps_others=True,
    unique_logins=True,
    login_is_email=True,
    phones_are_e164=True,
    names=(
        NameList(kind=ROLE, root="roles", url="/api/v2/authorization/roles"),
        NameList(kind="division", root=f"{ENTERPRISE_USER}:division", url="/api/v2/authorization/divisions"),
        NameList(kind="skill", root=f"{GENESYS_USER}:routingSkills", url="/api/v2/routing/skills"),
        NameList(kind="language", root=f"{GENESYS_USER}:routingLanguages", url="/api/v2/routing/languages"),
        NameList(kind="location", root=f"{PLATFORM_USER}:location", url="/api/v2/locations"),
        NameList(kind="team", root=f"{PLATFORM_USER}:team", url="/api/v2/teams"),
    ),
    deleted="/api/v2/users",
    newborn_version=9,
    permissions=(
        Permission(name="directory:user:add", actions=("create",)),
        Permission(
            name="directory:user:view", actions=("create",), only="to see whose login belonged to a deleted account"
        ),
        Permission(name="directory:user:edit", actions=("update",)),
        Permission(name="directory:user:delete", actions=("delete",)),
        Permission(name="directory:group:edit", actions=("members",)),
        Permission(name="authorization:grant:add", roots=("roles",)),
        Permission(name="authorization:grant:delete", roots=("roles",)),
        Permission(name="routing:skill:assign", roots=(f"{GENESYS_USER}:routingSkills",)),
        Permission(name="routing:language:assign", roots=(f"{GENESYS_USER}:routingLanguages",)),
        Permission(name="telephony:extension:assign", roots=("phoneNumbers",), only="where a number has an extension"),
        Permission(name="authorization:role:view", names=ROLE),
        Permission(name="authorization:division:view", names="division"),
        Permission(name="routing:skill:view", names="skill"),
        Permission(name="routing:language:view", names="language"),
        *(Permission(name=name, roots=roots) for name, roots in PLATFORM_PERMISSIONS.items()),
    ),
    rights_url="/api/v2/authorization/subjects/me?includeFullRoles=true",
    limits_url="/api/v2/organizations/limits/namespaces/scim",
    licences_url="/api/v2/license/infer",
    members_at_once=50,
    default_roles=frozenset({"employee"}),
    regions=GENESYS_REGIONS,
    grounds={
        "users": guessed("put together from the models of the API; no /Schemas answer is published"),
        "base_path": documented("API specification, SCIM routes"),
        "knows_schemas": guessed("put together from the models of the API, as users"),
        "access": documented("Resource Center: the role SCIM Integration"),
        "page_size": guessed("no maximum is published"),
        "expensive_page_size": documented("above 25 the answer may be 429"),
        "expensive": guessed(
            "API specification, which names them in three places and no two alike; these four stand in all. "
            "For others a page is halved where the provider refuses it"
        ),
        "lists_active_only": documented("inactive people need filter=active eq false"),
        "counts_versions": documented("an integer in quotes"),
        "concurrency": documented("§4.1: If-Match on every write"),
        "unwritable": documented("API specification, read-only members; `password` by our own choice"),
        "reserved": documented("API specification: the SCIM authority x-pc:scimv2:v1 of externalIds is immutable"),
        "dropped": documented("Resource Center: roles go on deactivation for good; an older page denies it"),
        "filled": guessed("externalId is that of the provisioning client; whether each client sees its own is open"),
        "requests_per_minute": documented("rate limit of the SCIM routes"),
        "operations_per_patch": documented("no limit in the API specification"),
        "characters": documented("no limit in the API specification"),
        "request_bytes": guessed("413 is documented, the number is only told"),
        "elements": documented("API specification; external ids: of the Platform API"),
        "ranges": documented("API specification, proficiency"),
        "keeps_others": documented("the shipped Entra mapping writes single elements by value filter"),
        "unique_logins": documented("409 on POST: the user name is used by a user who is not deleted"),
        "login_is_email": documented("userName is the login e-mail"),
        "phones_are_e164": documented("E.164, or a tel URI with ext"),
        "names": documented("Platform API"),
        "deleted": documented("Platform API, GET and PATCH /api/v2/users; a creation brings one back: inferred"),
        "newborn_version": guessed("a creation is spread over some six services, each of which may count it once"),
        "permissions": guessed("API specification: any of them will do; that each area needs its own is inferred"),
        "rights_url": documented("Platform API, needs no permission"),
        "limits_url": documented("Platform API; its keys are not published"),
        "licences_url": documented("Platform API, needs no permission; what names it gives licences is guessed"),
        "default_roles": documented("a new user without roles gets the role employee"),
        "members_at_once": guessed("documented for the Platform API, silent about SCIM"),
        "regions": documented("the three official lists agree"),
    },
)

_HONORIFICS = ("honorificPrefix", "honorificSuffix")
_RFC_VALUE = (_text("value"), _text("display"), _text("type"), _text("primary", type="boolean"))

GENERIC = Dialect(
    name="generic",
    users=Catalog(
        Schema(
            id=CORE_USER,
            name="User",
            attributes=(
                _ID,
                _EXTERNAL_ID,
                _META,
                _text("userName", required=True, uniqueness="server"),
                _complex(
                    "name",
                    *map(_text, ("formatted", "familyName", "givenName", "middleName", *_HONORIFICS)),
                ),
                *(
                    _text(n)
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
                _text("active", type="boolean"),
                _text("password", mutability="writeOnly", returned="never"),
                *(
                    _complex(n, *_RFC_VALUE, multi_valued=True)
                    for n in ("emails", "phoneNumbers", "ims", "photos", "entitlements", "roles")
                ),
                _complex("groups", *_RFC_VALUE, multi_valued=True, mutability="readOnly"),
            ),
        ),
        (
            Schema(
                id=ENTERPRISE_USER,
                name="EnterpriseUser",
                attributes=(*_ENTERPRISE_SHARED, _text("costCenter"), _text("organization"), _MANAGER),
            ),
        ),
        {"enterprise": ENTERPRISE_USER},
    ),
    base_path="",
    page_size=100,
    expensive_page_size=100,
    operations_per_patch=50,
    characters=255,
    unwritable={name: why for name, why in _NEVER.items() if "[" not in name},
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
    },
)


DIALECTS: Mapping[str, Dialect] = {"genesys": GENESYS, "generic": GENERIC}
