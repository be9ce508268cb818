"""The switches: where the documents of Genesys contradict each other or are silent, each reading is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import asdict

from scimsync.simulator.permissions import read_role

#: parts of a user that other services keep, and that may not move the version (inferred)
AREAS = ("directory", "roles", "skills", "languages", "external_ids", "membership")


class Switch(Struct, frozen=True, kw_only=True):
    """What is known about one switch. `section` is that of the reference (genesys-scim.md)."""

    tag: str  #: documented, inferred, folklore or unknown: how sure the default is
    section: str
    text: str
    values: tuple[str, ...] = ()  #: the words it takes, the default first; () for numbers, yes and no
    read: Callable[[str], str] | None = None  #: checks a free text


def _covers(value: str) -> str:
    if value == "all":
        return value
    unknown = set(value.split("+")) - set(AREAS)
    if unknown:
        raise ValueError(f"version_covers is all, or some of {', '.join(AREAS)} joined by +")
    return value


def _role(value: str) -> str:
    read_role(value)
    return value


def _page_words(value: str) -> str:
    word = {"true": "always", "false": "never"}.get(value.lower(), value)  # as it was said until version 1
    if word not in {"documented", "always", "never"}:
        raise ValueError("option expensive_page_429 is one of documented, always, never")
    return word


def _division_names(value: str) -> str:
    if not any(part.strip() for part in value.split(",")):
        raise ValueError("divisions is all, or names joined by commas")
    return value


def _one_of(tag: str, section: str, text: str, *values: str) -> Switch:
    return Switch(tag=tag, section=section, text=text, values=values)


def _plain(tag: str, section: str, text: str) -> Switch:
    return Switch(tag=tag, section=section, text=text)


#: every switch by name
SWITCHES: Mapping[str, Switch] = {
    "version_conflict": _one_of(
        "documented", "§4.1", "answer to a stale If-Match; the documents contradict each other",
        "400_invalid_vers", "409_scim", "409_general_conflict", "412",
    ),
    "version_covers": Switch(
        tag="unknown", section="§4.1", text=f"what moves the version: all, directory, or areas joined by + "
        f"({', '.join(AREAS)}); membership only where it is named", values=("all", "directory"), read=_covers,
    ),
    "meta_version_quoted": _plain("unknown", "§4.1", "meta.version holds the quotes of the ETag"),
    "etag_form": _one_of(
        "documented", "§2.1", "how the ETag header is written", "quoted", "weak", "unquoted", "none",
    ),
    "weak_if_match": _one_of("unknown", "§4.1", "a weak tag in If-Match", "accept", "refuse"),
    "no_op_moves_version": _plain("unknown", "§4.2", "a write that changes nothing moves the version"),
    "readonly_write": _one_of("unknown", "§4.2", "a write to a read-only or immutable attribute", "error", "ignore"),
    "remove_no_match": _one_of("unknown", "§4.2", "a remove that selects nothing", "ignore", "error"),
    "create_on_replace": _plain("unknown", "§4.2", "replace on a filter that selects nothing makes the element"),
    "empty_value": _one_of("folklore", "§4.2", "an empty text: passed over, or clears", "ignore", "clear"),
    "put_absent": _one_of("unknown", "§4.3", "what a PUT body leaves out", "clear", "keep"),
    "inactive_roles": _one_of(
        "documented", "§4.4", "roles of a person made inactive: the newest page has them removed, an older one kept",
        "remove", "keep",
    ),
    "default_role": _plain("documented", "§4.4", "a new user without roles gets the role employee"),
    "post_on_deleted": _one_of(
        "inferred", "§4.4", "POST of a deleted user's name", "restore", "new_id", "conflict",
    ),
    "rename_conflict": _one_of("unknown", "§4.5", "PATCH or PUT of a taken userName", "409", "400"),
    "external_id_scope": _one_of(
        "inferred", "§4.5", "each client sees its own externalId, or all see one", "client", "org",
    ),
    "external_id_taken": _one_of(
        "unknown", "§4.5", "an authority and value that another user has", "allow", "error",
    ),
    "reserved_dropped": _one_of(
        "unknown", "§4.5", "a PATCH that leaves SCIM's own entry out of externalIds", "undone", "refused", "obeyed",
    ),
    "login_form": _one_of(
        "documented", "§3.1", "userName: an e-mail address, else 400; any text", "email", "any",
    ),
    "password_length": _plain(
        "inferred", "§3.1", "characters of a password at least, else 400; 0 = any (each organisation has its policy)",
    ),
    "group_create": _one_of("unknown", "§2", "answer to POST and DELETE of groups", "405", "404"),
    "group_batch": _plain("unknown", "§4.6", "members that one request may add and remove; 0 = no limit"),
    "group_types_writable": _one_of(
        "unknown", "§4.6", "groups whose members can be written", "all", "official",
    ),
    "nested_groups": _one_of("unknown", "§4.6", "groups as members of groups", "allow", "error"),
    "unknown_reference": _one_of(
        "inferred", "§4.7", "an unknown role, skill, language, division or manager", "error", "ignore",
    ),
    "division_case": _one_of("unknown", "§4.7", "case of division names", "exact", "ignore"),
    "proficiency_step": _one_of("unknown", "§4.7", "to what proficiency is rounded", "none", "0.5", "1"),
    "phone_readback": _one_of("inferred", "§4.8", "form in which phone numbers are read back", "e164", "tel"),
    "duplicate_type": _one_of("inferred", "§4.8", "two phones or mails of one type", "last", "error"),
    "search_lag_ms": _plain("inferred", "§4.9", "milliseconds until a write shows in lists and filters"),
    "filter_finds_inactive": _plain("inferred", "§2.2", "filters other than active find inactive people"),
    "unknown_attribute": _one_of(
        "unknown", "§2.2", "names in attributes that are not listed: 400; only those of no schema: 400; passed over",
        "error", "lenient", "ignore",
    ),
    "expand_listed": _one_of(
        "documented", "§16", "a listing of people shows what `expand` asks for: best effort, not guaranteed",
        "always", "never",
    ),
    "group_active": _one_of(
        "documented", "§2.2", "`active` in attributes of groups, which have none and are said to return it always",
        "accept", "error",
    ),
    "sort": _one_of("documented", "§2.2", "sortBy and sortOrder, which the spec lacks", "ignore", "error"),
    "create_status": _one_of("documented", "§2", "status of a successful POST", "201", "200"),
    "delete_status": _one_of("documented", "§2", "status of a successful DELETE", "204", "200"),
    "v2_groups_filter_required": _plain("documented", "§2", "/v2/groups without filter is a 400"),
    "inactive_wall": _plain(
        "documented", "§16", "inactive people that can be listed; a page beyond them is a 400; 0 = no limit",
    ),
    "max_count": _plain("unknown", "§2.2", "resources a page at most; 0 = no limit (none is documented)"),
    "permissions": Switch(
        tag="inferred", section="§1.3", text="what the role of the client allows: a role by name, or permissions "
        "joined by commas", read=_role,
    ),
    "divisions": Switch(
        tag="inferred", section="§16", text="divisions that the client sees: all, or names joined by commas; people of "
        "others are not there for it", read=_division_names,
    ),
    "expensive_page_429": Switch(
        tag="documented", section="§2.2", text="what a page of more than 25 users must leave out, else 429: "
        "externalId, roles, skills, languages, which are listed; manager, division, external ids too; nothing",
        values=("documented", "always", "never"), read=_page_words,
    ),
    "expensive_group_page_429": _plain("documented", "§2.2", "more than 25 groups with members are a 429"),
    "rate_limit": _plain("documented", "§7", "requests a minute and token; 0 = no limit"),
    "rate_shown": _plain("folklore", "§7", "the limit that the headers show; 0 = the true one"),
    "refuse_again": _plain("folklore", "§7", "requests that are refused once more after the wait"),
    "login_limit": _plain("documented", "§1.2", "token requests a minute; 0 = no limit"),
    "expires_in": _plain("documented", "§1.2", "seconds a token lives"),
    "idle_timeout": _plain("documented", "§1.2", "seconds after which an unused token dies (HIPAA: 900); 0 = never"),
    "token_skew": _plain("inferred", "§1.2", "seconds by which tokens die earlier than they say; negative: later"),
    "clock_skew": _plain("inferred", "§1.2", "seconds by which the Date header runs ahead"),
    "request_bytes": _plain("folklore", "§7", "bytes a request body may have; 0 = no limit"),
}  # fmt: skip
#: the words a switch takes; the first is the default
CHOICES: Mapping[str, tuple[str, ...]] = {name: s.values for name, s in SWITCHES.items() if s.values}


class Options(Struct, kw_only=True):
    """All switches and limits of a running simulator; they may be changed at any time.

    `SWITCHES` says of each what it does, and whether the default is documented or a guess.
    """

    version_conflict: str = "400_invalid_vers"
    version_covers: str = "all"
    meta_version_quoted: bool = False
    etag_form: str = "quoted"
    weak_if_match: str = "accept"
    no_op_moves_version: bool = False
    readonly_write: str = "error"
    remove_no_match: str = "ignore"
    create_on_replace: bool = False
    empty_value: str = "ignore"
    put_absent: str = "clear"
    inactive_roles: str = "remove"
    default_role: bool = True
    post_on_deleted: str = "restore"
    rename_conflict: str = "409"
    external_id_scope: str = "client"
    external_id_taken: str = "allow"
    reserved_dropped: str = "undone"
    login_form: str = "email"
    password_length: int = 8
    group_create: str = "405"
    group_batch: int = 0
    group_types_writable: str = "all"
    nested_groups: str = "allow"
    unknown_reference: str = "error"
    division_case: str = "exact"
    proficiency_step: str = "none"
    phone_readback: str = "e164"
    duplicate_type: str = "last"
    search_lag_ms: int = 0
    filter_finds_inactive: bool = False
    unknown_attribute: str = "error"
    group_active: str = "accept"
    sort: str = "ignore"
    create_status: str = "201"
    delete_status: str = "204"
    v2_groups_filter_required: bool = False
    inactive_wall: int = 10_000
    expand_listed: str = "always"
    max_count: int = 0
    permissions: str = "SCIM Integration"
    divisions: str = "all"
    expensive_page_429: str = "documented"
    expensive_group_page_429: bool = True
    rate_limit: int = 300
    rate_shown: int = 0
    refuse_again: int = 0
    login_limit: int = 300
    expires_in: int = 86_400
    idle_timeout: int = 0
    token_skew: int = 0
    clock_skew: int = 0
    request_bytes: int = 512_000

    def change(self, changes: Mapping[str, object]) -> None:
        """Set switches by name; texts are read (`"true"`, `"60"`). All are set, or none.

        Raises:
            ValueError: There is no such switch, or it does not take this value.
        """
        names = set(self.__struct_fields__)
        read = {}
        for name, value in changes.items():
            if name not in names:
                raise ValueError(f"there is no option {name}; there are {', '.join(sorted(names))}")
            read[name] = _read(name, getattr(self, name), value)
        for name, value in read.items():
            setattr(self, name, value)

    def to_json(self) -> dict[str, object]:
        """All switches by name."""
        return asdict(self)

    def sees(self, division: str) -> bool:
        """Whether a client sees the people of a division."""
        return self.divisions == "all" or division in {part.strip() for part in self.divisions.split(",")}

    def covers(self, areas: frozenset[str]) -> bool:
        """Whether a change in these areas moves the version."""
        if self.version_covers == "all":
            return bool(areas - {"membership"})
        return not areas.isdisjoint(self.version_covers.split("+"))


def explain() -> list[dict[str, object]]:
    """Every switch with its values, default, tag, section and meaning."""
    defaults = Options().to_json()
    return [
        {
            "name": name,
            "values": " | ".join(switch.values) or _kind(defaults[name]),
            "default": defaults[name],
            "tag": switch.tag,
            "section": switch.section,
            "text": switch.text,
        }
        for name, switch in SWITCHES.items()
    ]


def _kind(default: object) -> str:
    if isinstance(default, bool):
        return "true | false"
    return "number" if isinstance(default, int) else "text"


_SIGNED = frozenset({"token_skew", "clock_skew"})


def _read(name: str, held: object, value: object) -> object:
    if isinstance(held, bool):
        words = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
        if str(value).lower() not in words:
            raise ValueError(f"option {name} is true or false")
        return words[str(value).lower()]
    if isinstance(held, int):
        digits = str(value).removeprefix("-") if name in _SIGNED else str(value)
        if not digits.isdecimal():
            raise ValueError(f"option {name} is a whole number")
        return int(str(value))
    switch = SWITCHES[name]
    if switch.read is not None:
        return switch.read(str(value))
    if str(value) not in switch.values:
        raise ValueError(f"option {name} is one of {', '.join(switch.values)}")
    return str(value)
