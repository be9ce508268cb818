"""What a reading of the source is held to: what was declared, and what the readings before it were like.

A breach takes nothing from anybody on the word of the source; it says what was, what is, and where the bar stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core.limits import clears
from scimsync.core.planner import SENT, operations_of
from scimsync.model.contracts import Expect
from scimsync.model.plans import MAKING, Change, Finding, Severity
from scimsync.model.policy import Limit, Limits, Mapped
from scimsync.model.records import KeySample, SourceHealth
from scimsync.model.wording import some_of

#: the rules a person may set aside
COUNT, CHURN, SHARES, STALE, OLD = "source.rows", "source.churn", "source.shares", "source.stale", "source.old"
RULES = frozenset({COUNT, CHURN, SHARES, STALE, OLD})
#: the keys that are remembered of a reading; of so few, all are
SAMPLED = 512
#: a value that nobody declared is watched where so many records have it
FEWEST = 10
#: a declared value that vanishes is told of where so many records had it
_VANISHED = 3
#: below so many records, what a reading was like says nothing
_FEW = 20
#: how many keys may be gone where nobody says so
_LEARNED = Limit(share=0.10, floor=10)
#: values, and people, whom one finding names
_NAMED = 5


class Earlier(Struct, frozen=True, kw_only=True):
    """A reading that was believed before the last one."""

    run: str
    when: datetime
    fingerprint: str


class Breach(Struct, frozen=True, kw_only=True):
    """Why a reading takes nothing from anybody."""

    finding: Finding
    #: the column that it is about; "" for the whole of it
    column: str = ""
    #: the reading is older than the last: what it says about access is not believed at all
    backwards: bool = False


def breaches(  # noqa: PLR0913 - a reading is held to much
    health: SourceHealth,
    previous: SourceHealth | None,
    expect: Expect,
    *,
    limits: Limits,
    now: datetime,
    earlier: Iterable[Earlier] = (),
    fewer: bool = False,
) -> Iterator[Breach]:
    """Where a reading breaks what is expected of it.

    Args:
        health: Numbers of this reading.
        previous: Numbers of the last reading that was believed; None on a first run.
        expect: What was declared.
        limits: How far the number of records may fall: where it may, as many keys may be gone.
        now: The wall clock.
        earlier: The readings before the last.
        fewer: That there are far fewer records is known already, or was allowed: what is learned says it no more.
    """
    yield from _count(health.rows, previous, expect)
    if previous is not None:
        yield from _churn(health, previous, expect, limits, learned=not fewer)
        yield from _shares(health, previous, expect, learned=not fewer)
    yield from _stale(health, previous, expect, now)
    if previous is not None and previous.rows >= _FEW and health.fingerprint != previous.fingerprint:
        known = next((one for one in earlier if one.fingerprint == health.fingerprint), None)
        if known is not None:
            yield Breach(finding=of_old(known), backwards=True)


def _count(rows: int, previous: SourceHealth | None, expect: Expect) -> Iterator[Breach]:
    low, high = expect.least, expect.most
    if (low is None or rows >= low) and (high is None or rows <= high):
        return
    was = f"{previous.rows:,} in the last run, " if previous else ""
    bar = f"from {low:,} to {high:,}" if low and high else f"{low:,} or more" if low else f"{high:,} or fewer"
    few = low is not None and rows < low
    yield Breach(
        finding=_finding(
            COUNT,
            f"the source has {'fewer' if few else 'more'} records than [source.expect] rows says, so nothing is taken "
            "from anybody on its word",
            f"{was}{rows:,} now; expected {bar}",
        )
    )


def _churn(
    health: SourceHealth, previous: SourceHealth, expect: Expect, limits: Limits, *, learned: bool
) -> Iterator[Breach]:
    moved = churn(previous.keys, health.keys)
    if moved is None:
        return
    gone, new = round(moved[0] * previous.rows), round(moved[1] * health.rows)
    if expect.churn is not None:
        bar, broken = (
            str(expect.churn),
            not (expect.churn.allows(gone, previous.rows) and expect.churn.allows(new, health.rows)),
        )
    else:
        allowed = (_LEARNED, limits.source_rows_drop)
        broken = learned and previous.rows >= _FEW and not any(limit.allows(gone, previous.rows) for limit in allowed)
        bar = f"{_LEARNED} gone"
    if broken:
        about = "" if _is_exact(previous.keys, health.keys) else "about "
        yield Breach(
            finding=_finding(
                CHURN,
                "the records of the source are to a large part those of other people than before, so nothing is taken "
                "from anybody on its word",
                f"of {previous.rows:,} keys of the last run, {about}{gone:,} are gone ({moved[0]:.1%}); of "
                f"{health.rows:,} now, {about}{new:,} are new ({moved[1]:.1%}); allowed {bar}",
            )
        )


def churn(before: KeySample | None, now: KeySample | None) -> tuple[float, float] | None:
    """The share of the former keys that are gone, and of the keys that are new; None where nobody knows.

    Of many keys it is an estimate, and that on the safe side of a false alarm: what it is at least, 19 times of 20.

    Examples:
        >>> before, now = (KeySample(mark=1, digests=d, whole=True) for d in ((1, 2, 3, 4), (2, 3, 4, 5)))
        >>> churn(before, now)
        (0.25, 0.25)
    """
    if before is None or now is None or before.mark != now.mark:
        return None
    ends = [sample.digests[-1] for sample in (before, now) if not sample.whole and sample.digests]
    end = min(ends, default=math.inf)
    former, present = ({d for d in sample.digests if d <= end} for sample in (before, now))
    exact = _is_exact(before, now)
    return _at_least(former, present, exact=exact), _at_least(present, former, exact=exact)


def _at_least(some: set[int], others: set[int], *, exact: bool) -> float:
    if not some:
        return 0.0
    share = len(some - others) / len(some)
    return share if exact else max(0.0, share - 2 * math.sqrt(share * (1 - share) / len(some)))


def _is_exact(*samples: KeySample | None) -> bool:
    return all(sample is not None and sample.whole for sample in samples)


def _shares(health: SourceHealth, previous: SourceHealth, expect: Expect, *, learned: bool) -> Iterator[Breach]:
    declared = {column.lower(): limit for column, limit in expect.shares.items()}
    names = {column.lower(): column for column in health.shares}
    moved = churn(previous.keys, health.keys)
    gone = round(moved[0] * previous.rows) if moved else 0
    for column, before in previous.shares.items():
        now = health.shares.get(names.get(column.lower(), column), {})
        limit = declared.get(column.lower())
        lost = [
            (value, was, now.get(value, 0))
            for value, was in before.items()
            if was > now.get(value, 0) and _is_broken(was, now.get(value, 0), limit, gone if learned else 0)
        ]
        if lost and (limit is not None or previous.rows >= _FEW):
            yield Breach(finding=_lost(column, lost, limit), column=column if limit is not None else "")


def remembered(health: SourceHealth, expect: Expect) -> SourceHealth:
    """What is kept of a reading: of columns that nobody declared, the values that many records have."""
    declared = {column.lower() for column in expect.shares}
    shares = {
        column: {v: n for v, n in counted.items() if n >= FEWEST or column.lower() in declared}
        for column, counted in health.shares.items()
    }
    return replace(health, shares={column: counted for column, counted in shares.items() if counted})


def _is_broken(was: int, now: int, limit: Limit | None, gone: int) -> bool:
    """Whether a value lost too much; where nobody declared it, it has vanished, and its people with it."""
    if limit is None:
        return was >= FEWEST and not now and gone * 2 >= was
    return (not now and was >= _VANISHED) or not limit.allows(was - now, was)


def _lost(column: str, lost: Sequence[tuple[str, int, int]], limit: Limit | None) -> Finding:
    told = [
        f"{value}: {was:,} in the last run, {f'{now:,} now' if now else 'none now'}"
        for value, was, now in sorted(lost, key=lambda one: (one[2] - one[1], one[0]))
    ]
    more = f"; and {len(told) - _NAMED:,} more values" if len(told) > _NAMED else ""
    bar = "none may vanish with its people" if limit is None else f"each may lose {limit}"
    return replace(
        _finding(
            SHARES,
            f"values of {column} lost their records, so nothing is taken from anybody on the word of this source",
            f"{'; '.join(told[:_NAMED])}{more}; {bar}",
        ),
        subject=column,
    )


def _stale(health: SourceHealth, previous: SourceHealth | None, expect: Expect, now: datetime) -> Iterator[Breach]:
    if expect.newest is None:
        return
    column, within, newest = expect.newest.column, expect.newest.within, health.newest
    was = previous.newest if previous else None
    before = f", in the last run {was:%Y-%m-%d %H:%M} UTC" if was else ""
    summary = detail = ""
    if newest is None:
        summary = "no record of the source says when it changed, so nobody knows how old it is"
        detail = f"column {column} holds no moment{before}"
    elif was is not None and newest < was:
        summary = "the source is older than at the last run, so nobody gains or loses access on its word"
        detail = f"the newest {column} is {newest:%Y-%m-%d %H:%M} UTC{before}"
    elif now - newest > within:
        summary = "the source stands still: its newest change is too old, so nothing is taken from anybody on its word"
        detail = f"the newest {column} is {newest:%Y-%m-%d %H:%M} UTC{before}; that is {_hours(now - newest)} ago"
    if summary:
        finding = replace(_finding(STALE, summary, f"{detail}; allowed {_hours(within)}"), subject=column)
        yield Breach(finding=finding, backwards=newest is not None and was is not None and newest < was)


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:,.0f} h"


def of_old(known: Earlier) -> Finding:
    """That a delivery is an earlier one, which came again."""
    return _finding(
        OLD,
        "the source is to the letter what it was in an earlier run, and not in the last: an old file that was "
        "delivered again? Nobody gains or loses access on its word, and nothing is taken from anybody",
        f"as in run {known.run} of {known.when:%Y-%m-%d %H:%M} UTC",
    )


def _finding(code: str, summary: str, detail: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=code,
        subject="",
        summary=summary,
        detail=detail,
        hint=f'check the export; if it is right: --override {code} --reason "..."',
    )


def unknown(expect: Expect, columns: Sequence[str]) -> list[str]:
    """What is wrong with the columns that were named: the source does not have them."""
    known = {column.lower(): column for column in columns}
    faults = []
    for column in expect.columns:
        if column.lower() not in known:
            near = get_close_matches(column.lower(), known, n=1, cutoff=0.5)
            meant = f"; did you mean {known[near[0]]}?" if near else f"; the columns are {', '.join(columns)}"
            faults.append(f"[source.expect] names a column that the source does not have: {column}{meant}")
    return faults


def too_blank(shares: Mapping[str, float], expect: Expect) -> dict[str, str]:
    """Column -> is and bar, of the columns that are blanker than was declared."""
    names = {column.lower(): column for column in shares}
    found = {}
    for column, bar in expect.blanks.items():
        name = names.get(column.lower())
        if name is not None and shares[name] > bar:
            found[name] = f"{shares[name]:.1%} of the records have none, allowed {bar * 100:g}%"
    return found


# --- what is taken, and left -------------------------------------------------------------------


class Withheld(Struct, frozen=True, kw_only=True):
    """Changes without what a doubtful source would take."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()


def withhold(
    changes: Sequence[Change], codes: Sequence[str], attributes: Sequence[Mapped], *, older: bool = False
) -> Withheld:
    """Leave the values alone that a source would clear which is not believed; the rest of each change goes on.

    Args:
        changes: The changes.
        codes: The rules that it breaks.
        attributes: Everything that a plan may write.
        older: Whether it is older than the last: who joins by it may have left since, and waits.
    """
    if not codes:
        return Withheld(changes=tuple(changes))
    kept: list[Change] = []
    values: dict[str, list[str]] = {}
    waiting = [change for change in changes if older and change.action in MAKING]
    for change in changes:
        if older and change.action in MAKING:
            continue
        gone = {d.path for d in change.deltas if clears(d)}
        for path in gone:
            values.setdefault(path, []).append(change.key)
        deltas = tuple(d for d in change.deltas if d.path not in gone)
        if not gone:
            kept.append(change)
        elif any(delta.verdict in SENT for delta in deltas):
            kept.append(replace(change, deltas=deltas, operations=operations_of(deltas, attributes)))
    told = [_left(path, codes, keys) for path, keys in sorted(values.items())]
    told += [_unmade(change, codes) for change in waiting]
    return Withheld(changes=tuple(kept), findings=tuple(told))


def _left(path: str, codes: Sequence[str], keys: Sequence[str]) -> Finding:
    people = "1 person" if len(keys) == 1 else f"{len(keys):,} people"
    return Finding(
        severity=Severity.WARNING,
        code=codes[0],
        subject=path,
        summary=f"the source would clear {path}; it is left alone, because the source is not believed",
        detail=f"{people}: {some_of(keys)}; {', '.join(codes)}",
        hint="it is cleared by the first run whose source is believed",
        holds=True,
        path=path,
    )


def _unmade(change: Change, codes: Sequence[str]) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=codes[0],
        subject=change.key,
        summary="the source would have this person join; the person waits, because the source is older than the last",
        detail=", ".join(codes),
        hint="the account is made by the first run whose source is believed",
        row=change.row,
        holds=True,
    )
