"""The entries of a dialect file: what each is called, which field of `Dialect` it is, and what may be written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct


class Entry(Struct, frozen=True, kw_only=True):
    """One word of a dialect file."""

    #: `table.key`
    name: str
    #: the field of `Dialect`
    field: str
    #: what it says
    about: str
    #: what may be written: the words, or none
    words: tuple[str, ...] = ()
    #: the kind of value: bool, int, text, texts, seconds, word, path (a text without words), paths
    kind: str = "word"
    #: the words that stand for True, where the field is one of yes and no
    true: str = ""

    def read(self, given: object) -> object:
        """The value of the field.

        Raises:
            ValueError: It is none; says what may be written.
        """
        return _READERS[self.kind](self, given)

    def written(self, held: object) -> object:
        """The value as it stands in a file."""
        if self.true:
            return self.true if held else next(word for word in self.words if word != self.true)
        if isinstance(held, frozenset):
            return sorted(held)
        return list(held) if isinstance(held, tuple) else held


def _bool(_: Entry, given: object) -> object:
    return _checked(given, isinstance(given, bool), "true or false")


def _int(_: Entry, given: object) -> object:
    fits = isinstance(given, int) and not isinstance(given, bool) and given >= 0
    return _checked(given, fits, "a whole number from 0")


def _positive(_: Entry, given: object) -> object:
    fits = isinstance(given, int) and not isinstance(given, bool) and given >= 1
    return _checked(given, fits, "a whole number from 1")


def _plain(_: Entry, given: object) -> object:
    return _checked(given, isinstance(given, str), "a text")


def _texts(_: Entry, given: object) -> object:
    fits = isinstance(given, list) and all(isinstance(one, str) and one for one in given)
    return frozenset(_checked(given, fits, "a list of texts"))  # type: ignore[call-overload]


def _listed(entry: Entry, given: object) -> object:
    fits = isinstance(given, list) and all(one in entry.words for one in given)
    return frozenset(_checked(given, fits, f"a list of {', '.join(entry.words)}"))  # type: ignore[call-overload]


def _seconds(_: Entry, given: object) -> object:
    fits = isinstance(given, list) and all(isinstance(one, int | float) and 0 < one <= 600 for one in given)
    return tuple(map(float, _checked(given, fits, "a list of seconds, each up to 600")))  # type: ignore[call-overload]


def _word(entry: Entry, given: object) -> object:
    _checked(given, given in entry.words, f"one of {', '.join(entry.words)}")
    return given == entry.true if entry.true else given


def _first(_: Entry, given: object) -> object:
    return _checked(given, given in (0, 1) and not isinstance(given, bool), "0 or 1")


def _checked(given: object, fits: bool, form: str) -> object:  # noqa: FBT001 - the outcome of one comparison
    if not fits:
        raise ValueError(f"write {form}")
    return given


_READERS: Mapping[str, Callable[[Entry, object], object]] = {
    "bool": _bool,
    "int": _int,
    "positive": _positive,
    "first": _first,
    "text": _plain,
    "paths": _texts,
    "list": _listed,
    "seconds": _seconds,
    "word": _word,
}


def _entry(name: str, field: str, about: str, *words: str, kind: str = "word", true: str = "") -> Entry:
    return Entry(name=name, field=field, about=about, words=words, kind=kind, true=true)


#: every entry of a dialect file, in the order in which it is written
ENTRIES: tuple[Entry, ...] = (
    _entry("service.base_path", "base_path", "What stands between `api_url` and `/Users`.", kind="text"),
    _entry("service.access", "access", "Where our rights are given, for messages.", kind="text"),
    _entry(
        "service.media_type",
        "media_type",
        "What bodies are called.",
        "application/scim+json",
        "application/json",
    ),
    _entry(
        "service.requests_per_minute",
        "requests_per_minute",
        "The requests a minute that are granted where no answer tells.",
        kind="int",
    ),
    _entry(
        "service.throttles",
        "throttles",
        "The statuses that say that too much was asked and nothing was done, as 429 does. 400 and 403 need not stand "
        "here where their words or headers say so.",
        "400",
        "403",
        "503",
        kind="list",
    ),
    _entry("service.characters", "characters", "The characters that a text takes; 0: no limit.", kind="int"),
    _entry(
        "service.request_bytes",
        "request_bytes",
        "The bytes that the body of a request takes; 0: no limit.",
        kind="int",
    ),
    _entry(
        "discovery.served",
        "discovery",
        "The documents about itself that it serves.",
        "ServiceProviderConfig",
        "Schemas",
        "ResourceTypes",
        kind="list",
    ),
    _entry("paging.largest", "page_size", "The resources that a page holds at most.", kind="positive"),
    _entry("paging.first_index", "first_index", "The number of the first resource.", kind="first"),
    _entry(
        "paging.by",
        "pages_by",
        "How a listing goes on: from the number of a resource, or by a cursor (RFC 9865).",
        "index",
        "cursor",
    ),
    _entry("paging.stable", "stable_pages", "Whether two readings of one listing have one order.", kind="bool"),
    _entry(
        "reading.attributes",
        "takes_attributes",
        "Whether `attributes=` is heeded, or at least not refused; else whole accounts are read.",
        kind="bool",
    ),
    _entry(
        "filters.attributes",
        "filterable",
        "The paths on which a filter with `eq` is heeded. Missing: any, and whether it was heeded is seen.",
        kind="paths",
    ),
    _entry(
        "filters.case_exact",
        "exact_filters",
        "Whether a filter on `userName` tells capitals from small letters.",
        kind="bool",
    ),
    _entry(
        "versions.concurrency",
        "concurrency",
        "What guards a write: the version, comparing, or the one that the target shows.",
        "auto",
        "version",
        "compare",
    ),
    _entry("versions.shown", "versions_in", "Where versions are shown.", "header", "meta", "both", "none"),
    _entry("patch.served", "patches", "Whether PATCH is served; else accounts are written with PUT.", kind="bool"),
    _entry(
        "patch.value_filters",
        "value_filters",
        'Whether a path may select elements: `emails[type eq "work"].value`; else whole lists are written.',
        kind="bool",
    ),
    _entry(
        "patch.keeps_others",
        "keeps_others",
        "Whether a write to selected elements leaves the others of the list alone.",
        kind="bool",
    ),
    _entry("patch.op_case", "capital_ops", "How operations are called.", "lower", "title", true="title"),
    _entry(
        "patch.paths",
        "pathless",
        "Whether operations name their path, or have none and an object as value.",
        "explicit",
        "none",
        true="none",
    ),
    _entry("patch.operations", "operations_per_patch", "The operations that one PATCH takes; 0: no limit.", kind="int"),
    _entry("create.answers", "answers_creation", "What a creation answers with.", "resource", "nothing"),
    _entry("create.required", "required", "The paths without which no account is made.", kind="paths"),
    _entry(
        "create.unique_logins",
        "unique_logins",
        "Whether a second account of one login is refused, so that a creation may be sent twice.",
        kind="bool",
    ),
    _entry(
        "accounts.disabled",
        "disabled",
        "What becomes of an account that is not active: listed on, readable but not listed, or not found.",
        "shown",
        "hidden",
        "gone",
    ),
    _entry(
        "accounts.deleted",
        "deleting",
        "What becomes of an account that is deleted: gone, kept as an inactive one, or the deletion is refused.",
        "gone",
        "kept",
        "refused",
    ),
    _entry(
        "accounts.immutable",
        "immutable",
        "Paths that are written where an account is made, and never after.",
        kind="paths",
    ),
    _entry("accounts.hidden", "hidden", "Paths that are taken and never shown.", kind="paths"),
    _entry("accounts.unkept", "unkept", "Paths that are answered with a success, and not kept.", kind="paths"),
    _entry(
        "accounts.normalised",
        "normalised",
        "Paths whose values the provider writes in a form of its own.",
        kind="paths",
    ),
    _entry("accounts.booleans", "text_booleans", "What booleans are sent as.", "json", "text", true="text"),
    _entry(
        "accounts.search_lag",
        "search_lag_s",
        "Seconds after which a search that lags is asked again; empty where it does not lag.",
        kind="seconds",
    ),
    _entry("accounts.login_is_email", "login_is_email", "Whether `userName` is an e-mail address.", kind="bool"),
    _entry("accounts.phones_are_e164", "phones_are_e164", "Whether phone numbers are E.164.", kind="bool"),
    _entry("groups.served", "groups", "Whether there are groups.", kind="bool"),
    _entry("groups.members", "members", "What a group shows of its members.", "shown", "capped", "hidden"),
    _entry("groups.cap", "members_cap", "The members that a group shows at most; 0: all.", kind="int"),
    _entry(
        "groups.add_twice",
        "add_twice",
        "What becomes of a member that is added again.",
        "ignored",
        "doubled",
        "refused",
    ),
    _entry(
        "groups.remove",
        "remove_members",
        'How a member is removed: path `members[value eq "x"]`; path `members` and whom as value; or the list anew.',
        "filter",
        "value",
        "list",
    ),
    _entry("groups.nested", "nested_groups", "Whether a group may be a member of a group.", kind="bool"),
    _entry(
        "groups.members_at_once", "members_at_once", "Members that one PATCH adds and removes at most.", kind="positive"
    ),
)
