"""The ladder of leavers by absence: missing once is suspect, missing in enough readings takes the access.

Who stands on it keeps everything they have. Only absence climbs it: whom HR *says* to have left is no suspect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from scimsync.model.outcomes import Suspect
from scimsync.model.plans import Finding, Severity

#: the codes of somebody who keeps access for now, and of somebody who was missing often enough
SUSPECTED, MISSING = "leaver.suspect", "leaver.missing"
#: a run may begin some minutes earlier in the day, or in the hour, than the one before
_EARLY = 24


def is_another(known: Suspect, now: datetime, apart: timedelta, delivery: str) -> bool:
    """Whether a reading is another one than the last that counted: not the same file, and not just after it.

    Examples:
        >>> noon = datetime(2026, 3, 1, 12, 0)
        >>> known = Suspect("1001", "a1", readings=1, since=noon, last=noon, delivery="written 02:00")
        >>> hour = timedelta(hours=1)
        >>> is_another(known, noon + hour, hour, "written 11:00"), is_another(known, noon + hour, hour, "written 02:00")
        (True, False)
        >>> is_another(known, noon + timedelta(minutes=5), hour, "written 12:04")
        False
    """
    if delivery and delivery == known.delivery:
        return False
    return now - known.last >= apart - apart / _EARLY


def climb(  # noqa: PLR0913 - a rung is made of much
    known: Suspect | None, key: str, account: str, now: datetime, *, apart: timedelta, delivery: str, counts: bool
) -> Suspect:
    """Where somebody stands who is missing from a reading.

    Args:
        known: Where they stood; None where they were there at the last reading.
        key: Who it is.
        account: The account that they would lose.
        now: The wall clock.
        apart: How far apart two readings are.
        delivery: Which delivery this reading is; "" for no file.
        counts: Whether this reading counts: it is of everybody, and believed.
    """
    if known is None or known.account != account:
        return Suspect(key, account, int(counts), now, now, delivery)
    if counts and now < known.last:  # the clock was ahead then: who waits for it would wait as long as it was
        return replace(known, last=now)
    if counts and (not known.readings or is_another(known, now, apart, delivery)):
        return replace(known, readings=known.readings + 1, last=now, delivery=delivery)
    return known


def over(known: Iterable[Suspect], missing: Iterable[str], there: Iterable[str]) -> Iterator[str]:
    """The keys of those who stand on the ladder no more.

    Args:
        known: Who stands on it.
        missing: Who is missing and has access.
        there: Who of all others may be taken for not missing.
    """
    gone, back = frozenset(missing), frozenset(there)
    yield from (one.key for one in known if one.key in back and one.key not in gone)


def next_due(suspect: Suspect, needed: int, apart: timedelta) -> datetime:
    """The earliest moment at which access can be taken."""
    return suspect.last + max(needed - suspect.readings, 1) * apart


# --- what is told ----------------------------------------------------------------------------------


def of_suspect(suspect: Suspect, needed: int) -> Finding:
    """That somebody is missing and keeps access for now."""
    times = f"missing in {suspect.readings} of {needed} readings" if suspect.readings else "missing"
    return Finding(
        severity=Severity.WARNING,
        code=SUSPECTED,
        subject=suspect.key,
        summary="this person is missing from the source, and keeps access until enough readings say so",
        detail=f"{times}, first on {suspect.since:%Y-%m-%d %H:%M} UTC",
        hint="if this person left, say so in the source or disable the account by hand; if not, put the record back",
        holds=True,
    )


def of_missing(suspect: Suspect) -> Finding:
    """That somebody was missing often enough."""
    return Finding(
        severity=Severity.INFO,
        code=MISSING,
        subject=suspect.key,
        summary="this person was missing from enough readings of the source; the access is taken away",
        detail=f"missing in {suspect.readings} readings, first on {suspect.since:%Y-%m-%d %H:%M} UTC",
    )
