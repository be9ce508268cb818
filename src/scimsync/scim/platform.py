"""What Genesys Cloud keeps of people beside SCIM, in its Platform API: as a schema of our own, and as a table of hints.

The URN is published by nobody. It lets a mapping name such an attribute like any other (`platform:location`), so that
comparing, merging and planning need to know nothing of it; who reads and writes it is an adapter of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from scimsync.scim.schema import Attribute, Schema

PLATFORM_USER = "urn:scimsync:genesys:platform:User"
#: the path of the mail that lets a new person in: sent once to whom we made an account for, never taken back
INVITATION = "platform:invitation"

_PART = Attribute(name="value", case_exact=True)

GENESYS_PLATFORM = Schema(
    id=PLATFORM_USER,
    name="PlatformUser",
    description="What the Platform API has of a user, and SCIM has not",
    attributes=(
        Attribute(
            name="employerInfo",
            type="complex",
            sub_attributes=(
                Attribute(name="officialName", case_exact=True),
                Attribute(name="employeeType", case_exact=True),
            ),
        ),
        Attribute(
            name="customAttributes",
            type="complex",
            multi_valued=True,
            sub_attributes=(Attribute(name="name", case_exact=True, required=True), _PART),
        ),
        Attribute(name="location", case_exact=True),
        Attribute(name="team", case_exact=True),
        Attribute(name="invitation", type="boolean"),
    ),
    published=False,
)


class Served(Struct, frozen=True, kw_only=True):
    """An attribute of the schema above: where the Platform API has it, and what our client must be allowed."""

    #: name of the attribute, as `Schema.attributes` has it
    name: str
    #: what `expand` of a listing of users calls it
    expand: str
    #: a request that writes it; attributes of one request are written together
    writes: str
    reading: tuple[str, ...]
    writing: tuple[str, ...]

    @property
    def root(self) -> str:
        """The attribute with its URN, as `Place.root` has it."""
        return f"{PLATFORM_USER}:{self.name}"


_USER = "PATCH /api/v2/users/{id}"
_SEEN, _EDITED = ("directory:user:view",), ("directory:user:edit",)

#: what is served, in the order in which it is written; permissions: documented by the SDKs (reference §16)
SERVED: tuple[Served, ...] = (
    Served(name="employerInfo", expand="employerInfo", writes=_USER, reading=_SEEN, writing=_EDITED),
    Served(name="location", expand="locations", writes=_USER, reading=_SEEN, writing=_EDITED),
    Served(
        name="customAttributes",
        expand="customAttributes",
        writes="PATCH or PUT /api/v2/users/{id}/customattributes",
        reading=("directory:user:view", "directory:user:edit"),
        writing=_EDITED,
    ),
    Served(
        name="team",
        expand="team",
        writes="POST and DELETE /api/v2/teams/{team}/members",
        reading=("directory:user:view", "groups:team:view"),
        writing=("groups:team:assign",),
    ),
    Served(
        name="invitation",
        expand="dateWelcomeSent",
        writes="POST /api/v2/users/{id}/invite",
        reading=_SEEN,
        writing=("directory:user:add",),
    ),
)

#: permission, but for that which every change of a person needs -> the roots that are read or written with it
PLATFORM_PERMISSIONS: Mapping[str, tuple[str, ...]] = {
    name: tuple(served.root for served in SERVED if name in served.reading + served.writing)
    for name in sorted(
        {name for served in SERVED for name in served.reading + served.writing} - {*_EDITED, "directory:user:add"}
    )
}


class Unserved(Struct, frozen=True, kw_only=True):
    """What administrators ask for, and scimsync does not write: where the Platform API has it."""

    what: str
    #: names under which people look for it, in lower case
    words: tuple[str, ...]
    where: str
    permission: str


UNSERVED: tuple[Unserved, ...] = (
    Unserved(
        what="preferred name",
        words=("preferredname", "nickname"),
        where="`preferredName` of a user, PATCH /api/v2/users/{id}",
        permission="directory:user:edit",
    ),
    Unserved(
        what="language of the interface",
        words=("locale", "language", "languages", "preferredlanguage", "languagepreference"),
        where="`languagePreference` of a user, which is shown; no request is documented that sets it for somebody else",
        permission="",
    ),
    Unserved(
        what="station, default phone",
        words=("station", "stations", "defaultstation", "defaultphone", "webrtcphone"),
        where="PUT /api/v2/users/{id}/station/defaultstation/{station}",
        permission="telephony:phone:assign",
    ),
    Unserved(
        what="queues",
        words=("queue", "queues"),
        where="POST /api/v2/routing/queues/{queue}/members",
        permission="routing:queue:edit",
    ),
    Unserved(
        what="auto-answer",
        words=("acdautoanswer", "autoanswer"),
        where="`acdAutoAnswer` of a user, PATCH /api/v2/users/{id}",
        permission="directory:user:edit",
    ),
)
_HERE: Mapping[str, tuple[str, ...]] = {
    "platform:employerInfo.officialName": ("officialname", "employer", "company"),
    "platform:employerInfo.employeeType": ("employeetype", "usertype", "employmenttype"),
    "platform:employerInfo.officialName and platform:employerInfo.employeeType": ("employerinfo",),
    "platform:location": ("location", "locations", "office", "site"),
    "platform:team": ("team", "workteam", "teams"),
    "platform:invitation": ("invitation", "invite", "invited", "welcome"),
    'platform:customAttributes[name eq "..."].value': ("customattributes", "customattribute", "custom"),
}
_OWN = 'Genesys Cloud has none; a custom attribute may hold it: platform:customAttributes[name eq "..."].value'


def _told(other: Unserved) -> str:
    allowed = f" ({other.permission})" if other.permission else ""
    return f"not in SCIM; in the Platform API as {other.where.replace('`', '')}{allowed}; scimsync does not write it"


#: name that people look for, in lower case -> where it is
ELSEWHERE: Mapping[str, str] = {
    **{word: f"not in SCIM; in the Platform API as {path}" for path, words in _HERE.items() for word in words},
    **{word: _told(other) for other in UNSERVED for word in other.words},
    **dict.fromkeys(("employeeid",), "it is enterprise:employeeNumber"),
    **dict.fromkeys(("costcenter", "organization", "timezone", "profileurl"), _OWN),
}


def is_platform(path: str | None) -> bool:
    """Whether a path of an operation, or the root of a place, is of the Platform API.

    Examples:
        >>> is_platform(f"{PLATFORM_USER}:location"), is_platform("title"), is_platform(None)
        (True, False, False)
    """
    return path is not None and path.lower().startswith(_HEAD)


_HEAD = f"{PLATFORM_USER.lower()}:"


def request_of(path: str) -> int:
    """The number of the request that writes a path of the Platform API; paths of one number are written together.

    Examples:
        >>> [request_of(f"{PLATFORM_USER}:{name}") for name in ("employerInfo.officialName", "location", "team")]
        [0, 0, 2]
    """
    name = path[len(_HEAD) :].lower()
    requests = list(dict.fromkeys(served.writes for served in SERVED))
    found = (served for served in SERVED if name.startswith(served.name.lower()))
    return next((requests.index(served.writes) for served in found), len(requests))
