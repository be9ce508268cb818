"""Whether somebody who joins just left under another key: judged by several marks, decided by a person.

HR renumbers people, or closes one record and opens another; nothing says so. Taken at its word, the person loses
access, roles and history, and gets an empty account. So a joiner and a leaver who agree in two strong marks that say
different things, and that nobody else has, both wait. One mark proves nothing: logins and desk phones are given anew,
a father's name is his son's, and a switchboard is everybody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import pairwise

from msgspec import Struct

from scimsync.core.identity import LOGIN, marks
from scimsync.model.plans import Finding, Severity
from scimsync.model.policy import Mapped, Renames
from scimsync.scim.schema import Kind

#: the code of a joiner who is probably a leaver
SUSPECTED = "rename.suspected"
#: strong marks, each of its own ground, that agree where two keys are probably one person
ENOUGH = 2


class Ground(Enum):
    """What a mark is about. Marks of one ground say one thing; the value is how people read it."""

    NUMBER = "number"
    ADDRESS = "address"
    NAME = "name"
    MOBILE = "mobile phone"
    PHONE = "phone"
    HIRED = "date of hire"
    BORN = "date of birth"


class Mark(Struct, frozen=True):
    """A mark (see `identity`) with what it is about. It agrees where all paths of one of its ways do.

    A mark of two others holds where both do; it is there for those that are common alone and rare together.
    """

    name: str
    ground: Ground
    ways: tuple[tuple[str, ...], ...] = ()
    #: only the part before the @ counts
    local: bool = False
    #: the marks that this one joins
    of: tuple[str, ...] = ()

    @property
    def strong(self) -> bool:
        """Whether it belongs to a person, and not to a desk or a household."""
        return self.ground is not Ground.PHONE

    @property
    def lasting(self) -> bool:
        """Whether two people are two where it differs."""
        return self.ground is Ground.BORN


class Sign(Struct, frozen=True):
    """What a joiner and a leaver say of one mark that both have."""

    mark: Mark
    agrees: bool
    #: how many other people have the value in which they agree
    others: int = 0


class Likeness(Struct, frozen=True, kw_only=True):
    """A joiner and a leaver who have something in common."""

    n: int
    key: str
    row: int | None
    former: str
    account: str
    #: the leaver's account is active
    active: bool
    #: the source of the leaver; "" where it is the one that is read
    source: str = ""
    signs: tuple[Sign, ...] = ()


def telling(attributes: Sequence[Mapped]) -> tuple[Mark, ...]:
    """What a mapping says of people that tells them apart, and what of it counts together."""
    paths = {mapped.path: mapped for mapped in attributes}
    found: list[Mark] = []
    for mark in marks(attributes):
        if mark.name == LOGIN:
            found.append(Mark("address", Ground.ADDRESS, mark.ways))
            found.append(Mark("address before the @", Ground.NAME, mark.ways, local=True))
        elif mark.name == "name":
            found.append(Mark("name", Ground.NAME, mark.ways))
        elif mark.name == "phone":
            mobile = tuple(way for way in mark.ways if '"mobile"' in way[0].lower())
            desk = tuple(way for way in mark.ways if way not in mobile)
            found += [Mark("mobile phone", Ground.MOBILE, mobile)] if mobile else []
            found += [Mark("phone", Ground.PHONE, desk)] if desk else []
        else:
            found.append(Mark(mark.name, Ground.NUMBER, mark.ways))
    for ground in (Ground.HIRED, Ground.BORN):
        dates = tuple((path,) for path, mapped in paths.items() if _date(mapped) is ground)
        found += [Mark(ground.value, ground, dates)] if dates else []
    dated = [mark for mark in found if mark.ground in {Ground.HIRED, Ground.BORN}]
    named = [mark for mark in found if mark.name == "name"]
    joint = [*((one, two) for one in named for two in dated), *pairwise(dated)]
    return (*found, *(Mark(f"{a.name} and {b.name}", a.ground, of=(a.name, b.name)) for a, b in joint))


def _date(mapped: Mapped) -> Ground | None:
    name = mapped.place.leaf.name.lower()
    if "birth" in name:
        return Ground.BORN
    hired = "hire" in name or ("date" in name and "start" in name)
    return Ground.HIRED if hired and mapped.place.kind in {Kind.DATE, Kind.TEXT} else None


def suspected(signs: Iterable[Sign]) -> bool:
    """Whether a joiner and a leaver are probably one person.

    Two strong marks agree that say different things. One that another person has too is none, unless another mark
    goes with it and nobody else has both. Whoever was born on another day is another person.
    """
    told = list(_independent(signs))
    if any(sign.mark.lasting and not sign.agrees for sign in told):
        return False
    rare = [sign.mark for sign in told if sign.agrees and sign.others == 0]
    together = {name for mark in rare for name in mark.of}
    strong = [sign.mark for sign in told if sign.agrees and not sign.mark.of and sign.mark.strong]
    return len({mark.ground for mark in strong if mark in rare or mark.name in together}) >= ENOUGH


def _independent(signs: Iterable[Sign]) -> Iterator[Sign]:
    """Without what only repeats another: whoever has the same address has the same beginning of it."""
    told = list(signs)
    same = any(sign.agrees and sign.mark.ground is Ground.ADDRESS for sign in told)
    yield from (sign for sign in told if not (same and sign.mark.local))


def suspects(found: Iterable[Likeness]) -> Iterator[Likeness]:
    """Those of some pairs who are probably one person, each pair once."""
    seen = set[tuple[str, str]]()
    for one in found:
        if (one.key, one.account) not in seen and one.key != one.former and suspected(one.signs):
            seen.add((one.key, one.account))
            yield one


def finding(pair: Likeness, renames: Renames) -> Finding:
    """What a person is told of a suspected rename: both keys, what agrees, what differs, what follows, what to say."""
    holds = renames is Renames.HOLD
    signs = [sign for sign in _independent(pair.signs) if not sign.mark.of]
    agree = [sign.mark.name for sign in signs if sign.agrees]
    differ = [sign.mark.name for sign in signs if not sign.agrees]
    who = f"{pair.former} of {pair.source}" if pair.source else pair.former
    detail = f"{who} left, account {pair.account}; the same: {', '.join(agree)}"
    if differ:
        detail += f"; different: {', '.join(differ)}"
    return Finding(
        severity=Severity.ERROR if holds else Severity.WARNING,
        code=SUSPECTED,
        subject=pair.key,
        summary="a joiner is probably somebody who left, under another key",
        detail=detail,
        hint=f"{_meanwhile(pair, holds=holds)}; one person: scimsync link {pair.key} {pair.account} --from "
        f'{pair.former} --reason "..."; two people: scimsync link {pair.key} {pair.account} --different --reason "..."',
        row=pair.row,
        holds=holds,
    )


def _meanwhile(pair: Likeness, *, holds: bool) -> str:
    """What becomes of the two as long as nobody says anything."""
    if not holds:
        loses = f", and {pair.former} loses access" if pair.active else ""
        return f"this plan makes {pair.key} a new account{loses}"
    keeps = f"{pair.former} keeps access and " if pair.active else ""
    return f"until a person says so, {keeps}{pair.key} gets no account"
