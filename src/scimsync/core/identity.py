"""Who is who: the marks by which a record and an account show that they are one person.

A login alone proves nothing: it is given anew. One mark more, and two records may be about one person, so
that a person must say so; two more, and an account may follow its person to a new key, where policy allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from scimsync.model.accounts import Pair
from scimsync.model.outcomes import LinkDecision
from scimsync.model.plans import Change, Finding, Severity, Sides, Verdict
from scimsync.model.policy import Limits, Mapped
from scimsync.scim.schema import Value

#: marks that agree where two records may be one person: a hit, and one more
SAME = 2
#: marks that agree where an account follows its person to a new key: a hit, and two more
FOLLOWED = 3
#: the rule that may be set aside where many keys of the source changed at once
KEYS_CHANGED = "source.keys-changed"
RULES = frozenset({KEYS_CHANGED})

#: paths that HR numbers people by: no two people share a value
NUMBERS = frozenset({"externalId", "enterprise:employeeNumber"})
#: people who are warned of by name; the rest is counted
MOST_NAMED = 100
#: the mark that every person has
LOGIN = "login"
_LOGIN = "userName"
_NAMES = (("displayName",), ("name.familyName", "name.givenName"))


class Mark(Struct, frozen=True):
    """One thing that a person is known by. It agrees where all paths of one of its ways do."""

    name: str
    ways: tuple[tuple[str, ...], ...]


def marks(attributes: Sequence[Mapped]) -> tuple[Mark, ...]:
    """The marks that a mapping has, the login first.

    Addresses say what the login says, and two numbers that one expression makes say one thing: each counts once.
    """
    short = {mapped.path: mapped for mapped in attributes}
    login = tuple((path,) for path, mapped in short.items() if path == _LOGIN or _is(mapped, "emails"))
    names = tuple(way for way in _NAMES if all(path in short for path in way))
    phones = tuple((path,) for path, mapped in short.items() if _is(mapped, "phoneNumbers"))
    numbers: dict[str, list[str]] = {}
    for path, mapped in short.items():
        if path in NUMBERS or _is(mapped, "externalIds"):
            numbers.setdefault(mapped.expression, []).append(path)
    found = [Mark(LOGIN, login), Mark("name", names), Mark("phone", phones)]
    found += [Mark(paths[0], tuple((path,) for path in paths)) for paths in numbers.values()]
    return tuple(mark for mark in found if mark.ways)


def _is(mapped: Mapped, attribute: str) -> bool:
    return mapped.place.attribute.name == attribute


def other_person(pair: Pair, change: Change) -> Finding | None:
    """A warning where login and name of one key change at once: it may be another person by now."""
    written = {d.path for d in change.deltas if d.verdict is Verdict.WRITE and _differs(d.sides)}
    name = next((way for way in _NAMES if written.issuperset(way)), None)
    if _LOGIN not in written or name is None:
        return None
    return _other_person(pair.key, " and ".join((_LOGIN, *name)), pair.row)


def named(others: Sequence[Finding]) -> tuple[Finding, ...]:
    """So many of them by name; the rest is counted."""
    rest = len(others) - MOST_NAMED
    return (*others[:MOST_NAMED], *([_other_person("", f"{rest} more")] if rest > 0 else []))


def _other_person(subject: str, detail: str, row: int | None = None) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="record.other-person",
        subject=subject,
        summary="login and name of one key change together; the key may belong to another person now",
        detail=detail,
        hint="look whether HR gave the key to somebody else; if so, give that person a key of their own",
        row=row,
    )


def _differs(sides: Sides) -> bool:
    wanted, held = sides.desired, sides.current
    return wanted is not None and held is not None and _folded(wanted) != _folded(held)


def _folded(value: Value) -> str:
    return " ".join(str(value).casefold().split())


def keys_changed(number: int, of: int, limits: Limits, overrides: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Why a plan is refused where many people came again under other keys: the key column is damaged, or was changed.

    Args:
        number: Linked people of whom a record with another key is: theirs is gone, or somebody else's by now.
        of: Linked people.
        limits: How much of a source may vanish from one run to the next.
        overrides: Rules that a person set aside.
    """
    if limits.source_rows_drop.allows(number, of) or KEYS_CHANGED in frozenset(overrides):
        return ()
    return (
        Finding(
            severity=Severity.ERROR,
            code=KEYS_CHANGED,
            subject="",
            summary="many people of the source appear under other keys",
            detail=f"{number} of {of}, allowed {limits.source_rows_drop}",
            hint="look whether the key column lost leading zeros, was moved or was exchanged; if HR did renumber: "
            f'[correlation] rekey = "follow" and --override {KEYS_CHANGED} --reason "..."',
        ),
    )


# --- what was said ------------------------------------------------------------------------------------


def parted(decisions: Iterable[LinkDecision]) -> list[tuple[str, str]]:
    """The (key, account) of which it was last said that they are not one person."""
    last = {(decision.key, decision.account): decision.same for decision in decisions}
    return [pair for pair, same in last.items() if not same]


def said(decisions: Iterable[LinkDecision]) -> str:
    """How much people said, as a plan is sealed with it; "" for nothing."""
    number = sum(1 for decision in decisions if decision.actor)
    return str(number) if number else ""


# --- what a creation answers ------------------------------------------------------------------------

#: what belongs to one person, so that no directory gives it to a new account by itself
_PERSONAL = frozenset(
    {
        "phonenumbers", "addresses", "ims", "photos", "x509certificates", "nickname", "title",
        "externalid", "employeenumber", "costcenter", "department", "manager", "routingskills", "routinglanguages",
        "externalids",
    }
)  # fmt: skip


def brought_back(sent: Mapping[str, object], answered: Mapping[str, object], born: Iterable[str] = ()) -> list[str]:
    """What the answer to a creation shows that was not sent: the account of a deleted person came back.

    Args:
        sent: The resource of the request.
        answered: The resource of the answer.
        born: Roles and entitlements that every new account gets.

    Returns:
        The names of the attributes; `meta.created` where the account is older than its last change.
    """
    ours, theirs = _flat(sent), _flat(answered)
    known = frozenset(_texts(sent))
    found = [n for n, held in theirs.items() if n.lower() in _PERSONAL and _more(ours.get(n), held, known)]
    given = frozenset(born)
    found += [name for name in ("roles", "entitlements") if _values(theirs.get(name)) - _values(ours.get(name)) - given]
    return found + (["meta.created"] if _is_old(answered.get("meta")) else [])


def _flat(resource: Mapping[str, object]) -> dict[str, object]:
    """The attributes of a resource and of its extensions, in one table."""
    flat = {name: held for name, held in resource.items() if ":" not in name}
    for name, held in resource.items():
        if ":" in name and isinstance(held, Mapping):
            flat |= {str(inner): value for inner, value in held.items()}
    return flat


def _more(sent: object, held: object, known: frozenset[str]) -> bool:
    """Whether the answer holds a value where none was sent, or more elements of a list; what repeats ours is none."""
    if isinstance(held, list):
        strange = [item for item in held if known.isdisjoint(_texts(item))]
        return bool(strange) and len(held) > (len(sent) if isinstance(sent, list) else 0)
    return sent is None and any(text not in known for text in _texts(held))


def _texts(held: object) -> Iterator[str]:
    """Every text in a value, in one letter case; that of a `type` says nothing."""
    if isinstance(held, Mapping):
        for name, inner in held.items():
            yield from () if name == "type" else _texts(inner)
    elif isinstance(held, list):
        for inner in held:
            yield from _texts(inner)
    elif isinstance(held, str) and held:
        yield held.casefold()


def _values(listed: object) -> frozenset[str]:
    found = listed if isinstance(listed, list) else []
    return frozenset(str(item.get("value", "")) if isinstance(item, Mapping) else str(item) for item in found)


def _is_old(meta: object) -> bool:
    """Whether an account was made well before what just happened to it, by the clock of the directory alone."""
    found = meta if isinstance(meta, Mapping) else {}
    try:
        made, changed = (datetime.fromisoformat(str(found.get(name))) for name in ("created", "lastModified"))
        return changed - made > _NEWBORN
    except (TypeError, ValueError):  # one is missing, is no moment, or only one of them has a zone
        return False


#: how long a creation may take, from the first moment of an account to its last change
_NEWBORN = timedelta(minutes=5)
