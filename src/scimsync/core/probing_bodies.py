"""The bodies that experiments send: new accounts, and changes in each form in which providers take them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from msgspec import Struct

from scimsync.model.probing import Heard
from scimsync.scim.generic import GENERIC
from scimsync.scim.messages import PATCH_OP, Operation, version_of
from scimsync.scim.patch import apply
from scimsync.scim.schema import CORE_GROUP, CORE_USER, ENTERPRISE_USER, Value

#: a login that nobody has and nobody guesses; `example.com` receives no mail (RFC 2606)
PREFIX, DOMAIN = "scimsync-probe-", "example.com"
ACTIVE = "active"
_NAMES = ("name.givenName", "name.familyName", "name.formatted")
#: what an account may not be made without
NEEDED = ("displayName", *_NAMES, 'emails[type eq "work"].value', "externalId", ACTIVE)
#: a login that nobody has
NOBODY = f"{PREFIX}nobody@{DOMAIN}"


def login_of(token: str) -> str:
    """The login of what a probe makes."""
    return f"{PREFIX}{token}@{DOMAIN}"


class Way(Struct, frozen=True, kw_only=True):
    """How accounts are changed."""

    patches: bool = True
    #: operations are called Add, Replace, Remove
    capital: bool = False
    #: operations have no path, and an object as value
    pathless: bool = False

    @property
    def words(self) -> str:
        """It, for evidence."""
        if not self.patches:
            return "PUT"
        form = "without path" if self.pathless else "with path"
        return f"PATCH, {'Replace' if self.capital else 'replace'} {form}"


#: the ways in which a change is tried, the best one first
WAYS = (Way(), Way(capital=True), Way(pathless=True), Way(capital=True, pathless=True))
PUT = Way(patches=False)


class Trial(Struct, frozen=True, kw_only=True):
    """A path that a mapping usually has, and two values to be written there."""

    path: str
    values: tuple[str, str]
    #: the list, and the type of the element, where it is a part of one
    attribute: str = ""
    type: str = ""

    def held(self, resource: Mapping[str, object]) -> Value:
        """The value that a resource shows there."""
        return GENERIC.users.resolve(self.path).read(resource)

    @property
    def word(self) -> str:
        """What a message calls it."""
        return self.attribute or self.path.replace(":", ".").rpartition(".")[2]

    @property
    def long(self) -> str:
        """The path as it travels."""
        return str(GENERIC.users.resolve(self.path).path)

    def setting(self, value: str) -> Operation:
        """What writes a first value."""
        if self.attribute:
            return Operation("add", self.attribute, [{"value": value, "type": self.type}])
        return Operation("replace", self.long, value)

    def moving(self, value: str, *, filtered: bool) -> Operation:
        """What writes another value."""
        if self.attribute and not filtered:
            return Operation("replace", self.attribute, [{"value": value, "type": self.type}])
        return Operation("replace", self.long, value)


_CLOSED_EXTENSION = ("division", "department", "costCenter", "organization")
#: where a provider may take values of a list of its own alone: divisions, languages
CLOSED = frozenset(
    {"userType", "preferredLanguage", "locale", "timezone", *(f"enterprise:{name}" for name in _CLOSED_EXTENSION)}
)


def values_of_others(trial: Trial, others: Iterable[Mapping[str, object]]) -> list[str]:
    """The values that others have there, where a provider may take none but its own."""
    if trial.path not in CLOSED:
        return []
    return list(dict.fromkeys(value for one in others if isinstance(value := trial.held(one), str)))


def trials(token: str) -> tuple[Trial, ...]:
    """What is tried; mail addresses in capitals, so that rewriting is seen. No value holds the other."""
    simple = {
        "displayName": ("First Probe", "Second Probe"),  # unlike the names, of which some make it
        "name.givenName": ("Scimsync", "Scott"),
        "name.familyName": ("Probe", "Probing"),
        "name.formatted": ("Written Whole", "Written Anew"),
        "title": ("Tester", "Testing"),
        "nickName": ("Probe", "Probing"),
        "userType": ("Employee", "Contractor"),
        "preferredLanguage": ("en-US", "de-DE"),
        "locale": ("en-US", "de-DE"),
        "timezone": ("Europe/Berlin", "America/New_York"),
        "externalId": (f"probe-{token}-1", f"probe-{token}-2"),
        "enterprise:employeeNumber": (f"p{token[:8]}1", f"p{token[:8]}2"),
        "enterprise:department": ("Scimsync Probe", "Scimsync Probing"),
        "enterprise:division": ("Scimsync Probe", "Scimsync Probing"),
        "enterprise:costCenter": ("Probe 1", "Probe 2"),
        "enterprise:organization": ("Scimsync Probe", "Scimsync Probing"),
    }
    elements = {
        ("emails", "work"): tuple(f"Work.{n}.{PREFIX}{token}@{DOMAIN}" for n in (1, 2)),
        ("phoneNumbers", "work"): ("+13175550142", "+13175550143"),
        ("phoneNumbers", "mobile"): ("+13175550144", "+13175550145"),
    }
    return (
        *(Trial(path=path, values=values) for path, values in simple.items()),
        *(
            Trial(path=f'{attribute}[type eq "{kind}"].value', values=(v[0], v[1]), attribute=attribute, type=kind)
            for (attribute, kind), v in elements.items()
        ),
    )


def account(login: str, given: Iterable[Trial] = (), *, active: bool = False) -> dict[str, object]:
    """The body of a new account, with the first value of some trials, and active if it must say so."""
    moves = [trial.setting(trial.values[0]) for trial in given]
    bare = {"schemas": [CORE_USER], "userName": login} | ({ACTIVE: True} if active else {})
    made = apply(bare, moves, GENERIC.users, create_on_replace=True)
    return {**made, "schemas": [CORE_USER, *([ENTERPRISE_USER] if ENTERPRISE_USER in made else [])]}


def bodies() -> list[tuple[str, ...]]:
    """The paths of bodies, beside `userName`, from the smallest to that with all that is usually needed."""
    pairs = list(combinations(NEEDED, 2))
    return [(), *((path,) for path in NEEDED), *pairs, ("displayName", *_NAMES), NEEDED]


def wanted(refused: Heard, given: Iterable[str]) -> tuple[str, ...]:
    """What a refused creation wants besides, as far as its words name it.

    Examples:
        >>> from scimsync.model.probing import Question
        >>> question = Question(method="POST", endpoint="Users")
        >>> wanted(Heard(question=question, status=400, body={"detail": "Field 'name' is required"}), ())
        ('name.familyName',)
        >>> wanted(Heard(question=question, status=400, body={"detail": "active and displayName are missing"}), ())
        ('displayName', 'active')
    """
    words = words_of(refused)
    named = [path for path in NEEDED if path.partition("[")[0].rpartition(".")[2].lower() in words]
    if not named and "name" in words:
        named = ["name.familyName"]
    return tuple(path for path in named if path not in set(given))


def words_of(heard: Heard) -> set[str]:
    """The words of an answer, in small letters."""
    said = " ".join(str(held) for name, held in heard.resource.items() if name != "schemas")
    return {word.lower() for word in re.findall(r"[A-Za-z]+", said)}


def group(name: str, members: Sequence[Mapping[str, str]] = ()) -> dict[str, object]:
    """The body of a new group, with members where it needs some."""
    body: dict[str, object] = {"schemas": [CORE_GROUP], "displayName": name}
    return body | ({"members": [*members]} if members else {})


def member(seen: Heard, kind: str = "", *, named: bool = False) -> dict[str, str]:
    """A resource as a member of a group.

    Args:
        seen: The resource.
        kind: Its type, where that must be said.
        named: Whether it is named by its address too.
    """
    meta = seen.resource.get("meta")
    address = str(meta.get("location") or "") if isinstance(meta, Mapping) else ""
    made = {"value": str(seen.resource["id"])} | ({"type": kind} if kind else {})
    return made | ({"$ref": address} if named and address else {})


def patch(way: Way, operations: Sequence[Operation]) -> dict[str, object]:
    """Operations in one form of PATCH; `remove` has no other form than with its path."""
    made = []
    for operation in operations:
        body: dict[str, object] = {"op": operation.op.title() if way.capital else operation.op}
        if way.pathless and operation.op != "remove" and operation.path:
            body["value"] = _object(operation.path, operation.value)
        else:
            body["path"] = operation.path
            if operation.op != "remove" or operation.value is not None:
                body["value"] = operation.value
        made.append(body)
    return {"schemas": [PATCH_OP], "Operations": made}


def _object(path: str, value: object) -> dict[str, object]:
    """A value as an object without path. A path with a filter stays as it is: it has no other form."""
    if "[" in path:
        return {path: value}
    head, _, tail = path.rpartition(":")
    inner: object = value
    for name in reversed(tail.split(".")):
        inner = {name: inner}
    return {head: inner} if head else inner  # type: ignore[return-value]


def put(seen: Heard, operations: Sequence[Operation]) -> dict[str, object]:
    """All that an account shows, with a change in it; without elements that hold nothing, which some show."""
    held = {name: _filled(value) if isinstance(value, list) else value for name, value in seen.resource.items()}
    return apply(held, operations, GENERIC.users, create_on_replace=True)


def _filled(elements: Sequence[object]) -> list[object]:
    return [one for one in elements if not (isinstance(one, Mapping) and one.get("value", one) in ("", None))]


def version_header(seen: Heard) -> str:
    """The version of a resource as If-Match takes it: the header as it came, else `meta.version` in quotes."""
    return seen.etag or meta_header(seen)


def meta_header(seen: Heard) -> str:
    """`meta.version` as If-Match takes it; "" for none."""
    meta = seen.resource.get("meta")
    found = version_of(meta.get("version") if isinstance(meta, Mapping) else None)
    return found if found.startswith("W/") or not found else f'"{found}"'
