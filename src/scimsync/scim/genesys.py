"""Genesys Cloud, as far as its documents tell. The simulator reads the schemas here; nothing else of a dialect."""

from __future__ import annotations

from scimsync.scim.dialect import ROLE, Dialect, NameList, Permission
from scimsync.scim.generic import ENTERPRISE_SHARED, EXTERNAL_ID, ID, MANAGER, META, NEVER, compound, simple
from scimsync.scim.grounds import documented, guessed
from scimsync.scim.platform import ELSEWHERE, GENESYS_PLATFORM, PLATFORM_PERMISSIONS, PLATFORM_USER
from scimsync.scim.regions import GENESYS_REGIONS
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Attribute, Catalog, Schema

GENESYS_USER = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"

_PHONE_TYPES = (
    "work", "work2", "work3", "work4", "home", "mobile", "other",
    "microsoftteams", "zoomphone", "eightbyeight", "ringcentral",
)  # fmt: skip

GENESYS_CORE = Schema(
    id=CORE_USER,
    name="User",
    description="User Account",
    attributes=(
        ID,
        EXTERNAL_ID,
        META,
        simple("userName", required=True, uniqueness="server", returned="always"),
        simple("displayName", required=True),
        simple("title"),
        simple("active", type="boolean", returned="always"),
        simple("password", mutability="writeOnly", returned="never", case_exact=True),
        compound(
            "emails",
            simple("value", case_exact=False),
            simple("type", canonical_values=("work", "other")),
            simple("primary", type="boolean"),
            multi_valued=True,
        ),
        compound(
            "phoneNumbers",
            simple("value"),
            simple("type", canonical_values=_PHONE_TYPES),
            simple("primary", type="boolean"),
            multi_valued=True,
        ),
        compound(
            "groups",
            simple("value", mutability="readOnly", case_exact=True),
            simple("type", mutability="readOnly"),
            simple("$ref", type="reference", mutability="readOnly", reference_types=("Group",)),
            multi_valued=True,
            mutability="readOnly",
        ),
        compound("roles", simple("value", case_exact=True), multi_valued=True),
    ),
)

GENESYS_ENTERPRISE = Schema(
    id=ENTERPRISE_USER,
    name="EnterpriseUser",
    description="Enterprise User",
    attributes=(*ENTERPRISE_SHARED, MANAGER, simple("dateHire")),
)

_LEVEL = Attribute(name="proficiency", type="decimal")
_NAME = Attribute(name="name", case_exact=True, required=True)

GENESYS_EXTENSION = Schema(
    id=GENESYS_USER,
    name="GenesysUser",
    description="Genesys Cloud User",
    attributes=(
        compound("routingSkills", _NAME, _LEVEL, multi_valued=True),
        compound("routingLanguages", _NAME, _LEVEL, multi_valued=True),
        compound(
            "externalIds",
            simple("authority", case_exact=True, required=True),
            simple("value", case_exact=True, required=True),
            multi_valued=True,
        ),
    ),
)

GENESYS_GROUP = Schema(
    id=CORE_GROUP,
    name="Group",
    description="Group",
    attributes=(
        ID,
        EXTERNAL_ID,
        META,
        simple("displayName", mutability="readOnly", required=True),
        compound(
            "members",
            simple("value", case_exact=True, mutability="immutable"),
            simple("type", mutability="readOnly"),
            simple("$ref", type="reference", mutability="readOnly", reference_types=("User", "Group")),
            multi_valued=True,
        ),
    ),
)

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
    unwritable=NEVER,
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
    required=frozenset({"userName", "displayName"}),
    search_lag_s=(5.0, 30.0, 120.0),
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
        "throttles": documented("429 in all layers since November 2021"),
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
        "media_type": documented("API specification: both are taken"),
        "discovery": documented("API specification, SCIM routes"),
        "first_index": documented("API specification: startIndex from 1"),
        "pages_by": documented("API specification: startIndex"),
        "stable_pages": guessed("no order is documented, no sorting offered"),
        "takes_attributes": documented("API specification, parameter attributes"),
        "filterable": guessed("documented are externalId, userName, id, email and active; that others fail is not"),
        "exact_filters": guessed("logins are e-mail addresses; nothing is said of their capitals"),
        "versions_in": documented("API specification: ETag and meta.version"),
        "patches": documented("API specification, SCIM routes"),
        "value_filters": documented("the shipped Entra mapping writes so"),
        "capital_ops": documented("API specification: add, replace, remove"),
        "pathless": documented("API specification: a path may be given"),
        "answers_creation": documented("API specification: 201 with the user"),
        "required": documented("API specification: displayName and userName"),
        "disabled": documented("found by filter=active eq false"),
        "deleting": documented("the account goes into the state deleted, SCIM does not show it"),
        "immutable": documented("none in the API specification but the reserved elements"),
        "hidden": documented("password: returned never"),
        "unkept": documented("none in the API specification"),
        "normalised": guessed("dates of hire and phone numbers may come back in another form"),
        "text_booleans": documented("API specification: boolean"),
        "search_lag_s": guessed("that search lags is documented, for how long is not"),
        "groups": documented("API specification, SCIM routes"),
        "members": documented("shown where excludedAttributes does not name them"),
        "members_cap": guessed("none is published"),
        "add_twice": guessed("RFC 7644 §3.5.2.1: no change"),
        "remove_members": documented("the shipped Entra mapping writes so"),
        "nested_groups": guessed("members are users or groups in the API specification"),
    },
)
