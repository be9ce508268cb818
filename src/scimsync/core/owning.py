"""Whose people are whose: a state that several sources share keeps the links of each apart.

A reading speaks about the people of its own source only: whoever is missing from it and belongs to another
source is no leaver. A source goes by its `[source] name`, else by what it is read from; what merely signs an
address, and changes each day, counts for nothing. Under a new name it is known by its people: where at least
half of those that one other source had are in the reading, it is that source, and their links are taken over;
else it is a second one, and that is said.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from scimsync.model.plans import Finding, Severity

#: the rule that keeps a source from the people of another
SECOND = "source.second"
RULES = frozenset({SECOND})
#: after so many runs without one of its own, nobody looks after the people of a source
SILENT = 20
_URL = re.compile(r"(?P<kind>\w+)[^:]*://(?:[^:/@]*(?::[^@]*)?@)?(?P<host>[^/?]*)(?P<path>[^?]*)(?P<rest>(?s:.*))")
_LOGIN = re.compile(
    r"(?:uid|user|username|pwd|pass|password|token|secret)\s*(?:=|%3D).*?(?=;|&|%3B|$)", re.IGNORECASE | re.DOTALL
)
#: parameters that sign an address, in three clouds and their likes
_SIGNS = ("x-amz-", "x-goog-", "x-oss-")
#: the same by name: of older signatures and CloudFront, of Azure; they sign where those are that stand first
_SIGNED_BY = (
    (
        frozenset({"signature"}),
        frozenset("signature expires policy awsaccesskeyid googleaccessid ossaccesskeyid key-pair-id".split()),
    ),
    (
        frozenset({"sig", "sv"}),
        frozenset("sig sv ss srt sp st se spr sr sip si ses skoid sktid skt ske sks skv saoid suoid scid".split()),
    ),
)


def unsigned(place: str) -> str:
    """An address without what merely signs it, which changes each day and selects nothing.

    A token that is no signature stays: it may be what tells one export from another.

    Examples:
        >>> unsigned("https://b.example.com/hr.csv?versionId=3&X-Amz-Date=20261128&X-Amz-Signature=1f")
        'https://b.example.com/hr.csv?versionId=3'
        >>> unsigned("https://x.blob.core.windows.net/c/hr.csv?sv=2024-11-04&se=2026-11-29&sr=b&sp=r&sig=a%3D#People")
        'https://x.blob.core.windows.net/c/hr.csv#People'
        >>> unsigned("https://hr.example.com/export?report=7&token=x"), unsigned("/srv/hr.csv?sig=1&sv=2")
        ('https://hr.example.com/export?report=7&token=x', '/srv/hr.csv?sig=1&sv=2')
    """
    bare, mark, rest = place.partition("?")
    if not mark or not bare.lower().startswith(("https://", "http://")):
        return place
    query, sharp, fragment = rest.partition("#")
    given = [(part.partition("=")[0].lower(), part) for part in query.split("&")]
    names = {name for name, _ in given}
    drops = frozenset[str]().union(*(dropped for signed, dropped in _SIGNED_BY if signed <= names))
    kept = "&".join(part for name, part in given if name not in drops and not name.startswith(_SIGNS))
    return f"{bare}{kept and f'?{kept}'}{sharp}{fragment}"


def former(*, name: str, kind: str, place: str, key: str, query: str = "") -> str:
    """What an earlier version knew a source by: with all that stands behind the question mark of its address."""
    return name or _digested(place.replace("\\", "/").rpartition("/")[2], kind, place, key, query)


def identity(*, name: str, kind: str, place: str, key: str, query: str = "") -> str:
    """What a source is known by: its name, else where it is read from, and a digest of how.

    What stands behind the question mark of an address is not shown: it may be a secret.

    Args:
        name: As a person gave it; "" where nobody did.
        kind: Of the source.
        place: A URL or a path. Users, passwords and tokens in it count for nothing.
        key: Column that identifies a person.
        query: Two queries on one database, or two questions to one API, may be two sources; how they are laid out
            does not matter.

    Examples:
        >>> identity(name="", kind="csv", place="/srv/hr/people.csv", key="id")
        'people.csv (30f6055484)'
        >>> one = identity(name="", kind="sql", place="postgresql://me:one@db/hr", key="id", query="SELECT 1")
        >>> one == identity(name="", kind="sql", place="postgresql://you:two@db/hr", key="id", query="SELECT  1 ")
        True
        >>> one.startswith("postgresql db hr (")
        True
    """
    if name:
        return name
    shown = place.replace("\\", "/").rpartition("/")[2]
    if kind == "sql" and (found := _URL.fullmatch(place)):
        database = found["path"].rpartition("/")[2]
        shown = " ".join(filter(None, (found["kind"], found["host"], database)))
        place = "".join((found["kind"], found["host"], found["path"], _LOGIN.sub("", found["rest"])))
    elif place.lower().startswith(("https://", "http://")):
        place = unsigned(place)
        bare, _, rest = place.partition("?")
        shown = bare.rpartition("/")[2] + "".join(rest.partition("#")[1:])
    return _digested(shown, kind, place, key, query)


def _digested(shown: str, kind: str, place: str, key: str, query: str) -> str:
    known = "\x00".join((kind, place, key, " ".join(query.split())))
    return f"{shown} ({hashlib.sha256(known.encode()).hexdigest()[:10]})"


class Held(Struct, frozen=True, kw_only=True):
    """The links of one source, and how this reading meets them."""

    #: "" for links that nobody owns yet
    source: str
    links: int
    #: of their keys, those that the reading has
    met: int
    #: records of the last reading of that source; 0 where there is none. Links of people who left stay
    rows: int = 0
    #: it was applied lately
    alive: bool = True

    @property
    def same(self) -> bool:
        """Whether the reading has at least half of its people."""
        return 2 * self.met >= min(self.links, self.rows or self.links)

    @property
    def shown(self) -> str:
        """How a person is told of it."""
        return self.source or "no named source (an earlier version)"


class Ownership(Struct, frozen=True):
    """What a reading may speak about, besides the links of its own source."""

    takes: tuple[str, ...]
    findings: tuple[Finding, ...]


def judge(
    source: str, held: Sequence[Held], *, known: bool, overrides: Iterable[str] = (), former: str = ""
) -> Ownership:
    """Decide whose links a reading takes over.

    Args:
        source: The source that was read.
        held: The links of each source, in the order of their names.
        known: Whether this source has, or ever had, links of its own: then it is itself and no other.
        overrides: Rules that a person set aside.
        former: What an earlier version knew this source by; whoever bears that name is this one.
    """
    others = [each for each in held if each.source not in {source, ""}]
    takes = [each for each in held if not each.source and source and each.same]
    renamed = [each for each in others if each.same]
    if SECOND in frozenset(overrides):
        takes += renamed or (others if len(others) == 1 else [])
    elif not known and len(others) == 1:
        takes += renamed
    takes += [each for each in others if each.source == former and each not in takes]
    findings = [_renamed(source, each) for each in takes if each.source]
    left = [each for each in held if each.source != source and each not in takes]
    findings += [_second(source, each, known=known) for each in left]
    return Ownership(tuple(each.source for each in takes), tuple(findings))


def _renamed(source: str, former: Held) -> Finding:
    return Finding(
        severity=Severity.INFO,
        code="source.renamed",
        subject="",
        summary="the source has a new name and the same people; it is treated as the same source",
        detail=f"{former.shown} is {source} now: {former.met:,} of {former.links:,} people are in this reading",
        hint='[source] name = "..." gives it a name that stays, wherever it is read from',
    )


def _second(source: str, other: Held, *, known: bool) -> Finding:
    people = f"{other.links:,} {'person' if other.links == 1 else 'people'}"
    silent = "" if other.alive else f"; none of the last {SILENT} runs was about them"
    return Finding(
        severity=Severity.INFO if known and other.alive else Severity.WARNING,
        code=SECOND,
        subject="",
        summary="this state also holds people of another source; they are not changed and not treated as leavers",
        detail=f"{people} of {other.shown}, {other.met:,} of them in {source or 'this one'}{silent}",
        hint=(
            f'if the other is this one under a former name: --override {SECOND} --reason "..." takes its people over, '
            'and [source] name = "..." keeps them; else go on running both'
        ),
    )
