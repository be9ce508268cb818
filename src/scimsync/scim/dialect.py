"""How one provider departs from the RFC, as data. `grounds` says of each entry how sure it is, and whence.

`generic` has a provider that keeps to the RFC, `genesys` Genesys Cloud; all others are files (`dialect_file`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct, field
from msgspec.structs import force_setattr, replace

from scimsync.scim.grounds import Ground
from scimsync.scim.messages import MEDIA_TYPE
from scimsync.scim.schema import CORE_USER, Catalog, Place

ROLE = "role"  #: the kind of names that licences follow from
_CORE = f"{CORE_USER.lower()}:"


def among(path: str, paths: Collection[str]) -> bool:
    """Whether a path is one of some, or stands below one of them.

    Examples:
        >>> among('emails[type eq "work"].value', {"emails"}), among("name.givenName", {"name.familyName"})
        (True, False)
    """
    return path in paths or any(path.startswith((f"{one}.", f"{one}[")) for one in paths)


class NameList(Struct, frozen=True, kw_only=True):
    """Names that exist outside SCIM: what may stand at one place, and where the provider lists them."""

    #: what one of them is called in messages and codes: role, division, skill, language
    kind: str
    #: attribute with its URN, as `Place.root` has it
    root: str
    #: path below the API host; pages by `pageNumber` and `pageSize`, `entities` with a `name` each
    url: str


class Permission(Struct, frozen=True, kw_only=True):
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


class Dialect(Struct, frozen=True, kw_only=True):
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
    #: statuses that say "too many" and nothing of the request, as 429 does
    throttles: frozenset[str] = frozenset()
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
    #: what bodies are called: `application/scim+json` (RFC 7644 §3.1), or `application/json`
    media_type: str = MEDIA_TYPE
    #: the documents about itself that it serves (RFC 7644 §4)
    discovery: frozenset[str] = frozenset({"ServiceProviderConfig", "Schemas", "ResourceTypes"})
    #: the number of the first resource of a listing
    first_index: int = 1
    #: how a listing goes on: `index` (of the first resource) or `cursor` (RFC 9865)
    pages_by: str = "index"
    #: two readings of one listing have one order
    stable_pages: bool = True
    #: the parameter `attributes` is heeded, or at least not refused
    takes_attributes: bool = True
    #: short paths on which a filter with `eq` is heeded; None: all
    filterable: frozenset[str] | None = None
    #: a filter on `userName` tells capitals from small letters, though logins do not differ by them
    exact_filters: bool = False
    #: where a version is shown: `header`, `meta`, `both`, `none`
    versions_in: str = "both"
    #: PATCH is served; else accounts are written with PUT
    patches: bool = True
    #: a path of a PATCH may select elements by their value: `emails[type eq "work"].value`
    value_filters: bool = True
    #: operations are called `Add`, `Replace`, `Remove`
    capital_ops: bool = False
    #: operations have no path, and an object as value
    pathless: bool = False
    #: what a creation answers with: `resource`, `nothing`
    answers_creation: str = "resource"
    #: short paths without which no account is made
    required: frozenset[str] = frozenset({"userName"})
    #: what becomes of an account that is not active: `shown`, `hidden` (readable, not listed), `gone` (404)
    disabled: str = "shown"
    #: what becomes of an account that is deleted: `gone`, `kept` (it stays, inactive), `refused`
    deleting: str = "gone"
    #: short paths that are written where an account is made, and never after
    immutable: frozenset[str] = frozenset()
    #: short paths that are taken and never shown
    hidden: frozenset[str] = frozenset()
    #: short paths that are answered with a success, and not kept
    unkept: frozenset[str] = frozenset()
    #: short paths whose values the provider writes in a form of its own
    normalised: frozenset[str] = frozenset()
    #: booleans are sent as texts
    text_booleans: bool = False
    #: seconds after which a search that may lag behind the writes is asked again; () where it does not lag
    search_lag_s: tuple[float, ...] = ()
    #: there are groups
    groups: bool = True
    #: the members of a group are `shown`, `capped` (some of them), `hidden`
    members: str = "shown"
    #: members that a group shows at most; 0: all
    members_cap: int = 0
    #: a member that is added again is `ignored`, `doubled`, `refused`
    add_twice: str = "ignored"
    #: how a member is removed: `filter` (`members[value eq "x"]`), `value` (`members`, and whom as value), `list` (all
    #: are written anew)
    remove_members: str = "filter"
    #: groups may be members of groups
    nested_groups: bool = True
    #: what it is, for people
    title: str = ""
    #: field name -> what its value rests on; each field but `name`, `title` and this one has an entry
    grounds: Mapping[str, Ground] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let every place that is found in the schemas know what in it is not ours."""
        users = replace(
            self.users, reserved=self.reserved, filled=self.filled, dropped=self.dropped, required=self.required
        )
        force_setattr(self, "users", users)

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
