"""What came of the sources that are joined to the first: whose values are known, and what is told of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from scimsync.model.plans import Finding, Severity
from scimsync.model.policy import Limits
from scimsync.model.records import JoinedHealth, SourceHealth

#: the rule that a person may override, and the other codes
SHORT = "source.joined-short"
UNREAD, SEVERAL, MISSING = "source.joined-unread", "source.joined-several", "source.joined-missing"
#: the finding about a person who waits for a joined source
UNJOINED = "record.unjoined"


def short(
    health: SourceHealth,
    previous: SourceHealth | None,
    made_of: Mapping[str, Iterable[str]],
    limits: Limits,
    overrides: Iterable[str] = (),
) -> dict[str, Finding]:
    """The joined sources that have far fewer records than before, each with what is told of it.

    Args:
        health: Of this reading.
        previous: Of the last one that was believed; None on a first run.
        made_of: Joined source -> the paths that are made of it.
        limits: How far the number of rows may fall.
        overrides: Rules that a person set aside.
    """
    if SHORT in frozenset(overrides):
        return {}
    before = {one.name: one.rows for one in (previous.joined if previous else ()) if not one.reason}
    return {
        one.name: _short(one, sorted(made_of[one.name]), before[one.name], str(limits.source_rows_drop))
        for one in health.joined
        if not one.reason
        and before.get(one.name, 0) > one.rows
        and not limits.source_rows_drop.allows(before[one.name] - one.rows, before[one.name])
    }


def remembered(health: SourceHealth, previous: SourceHealth | None, doubted: Iterable[str]) -> SourceHealth:
    """What the next reading is judged by: of a joined source that is not believed or was not read, the last."""
    former = {one.name: one for one in (previous.joined if previous else ())}
    gone = {*doubted, *(one.name for one in health.joined if one.reason)}
    columns = {} if previous is None else {c: s for c, s in previous.blanks.items() if c.partition(".")[0] in gone}
    return replace(
        health,
        blanks={**columns, **health.blanks},
        joined=tuple(former.get(one.name, one) if one.name in gone else one for one in health.joined),
    )


def told(health: SourceHealth, made_of: Mapping[str, Iterable[str]]) -> Iterator[Finding]:
    """What is told of joined sources, as far as the mapping uses them.

    Args:
        health: Of this reading.
        made_of: Joined source -> the paths that are made of it.
    """
    for one in health.joined:
        paths = sorted(made_of.get(one.name, ()))
        if not paths:
            continue
        if one.reason:
            yield _unread(one, paths)
            continue
        if one.ambiguous:
            yield _several(one, paths)
        lacking = health.rows - one.found - one.ambiguous
        if lacking > 0 and not one.proven:
            yield _missing(one, lacking, paths)


def of_unjoined(key: str, names: str, row: int | None) -> Finding:
    """That somebody waits whole, because login, status or account hang on what is not known.

    Args:
        key: Who it is.
        names: The joined sources.
        row: Where the record stands.
    """
    return Finding(
        severity=Severity.ERROR,
        code=UNJOINED,
        subject=key,
        summary="login, status or account of this person hang on a joined source of which nothing is known",
        detail=names,
        hint="see what is told of that source; until then this person is left as is",
        row=row,
        holds=True,
    )


def _unread(one: JoinedHealth, paths: list[str]) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=UNREAD,
        subject="",
        path=", ".join(paths),
        summary="a joined source could not be read, so what is made of it is left as it is",
        detail=f"{one.name}: {one.reason}",
        hint="mend what it says and run again; everything else goes on",
        holds=True,
    )


def _short(one: JoinedHealth, paths: list[str], before: int, limit: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=SHORT,
        subject="",
        path=", ".join(paths),
        summary="a joined source has far fewer records than before, so what is made of it is left as it is",
        detail=f"{one.name}: {before:,} records in the last run, {one.rows:,} now; [limits] source_rows_drop: {limit}",
        hint="check it; if it is right, override this rule for one run",
        holds=True,
    )


def _several(one: JoinedHealth, paths: list[str]) -> Finding:
    rows = ", ".join(str(place) for place in one.places)
    return Finding(
        severity=Severity.WARNING,
        code=SEVERAL,
        subject="",
        path=", ".join(paths),
        summary="a joined source has several different records for one person, whose values are left as they are",
        detail=f"{one.name}: {one.ambiguous:,} of our records, for instance row {rows}",
        hint="correct the join, or keep one of them there",
        holds=True,
    )


def _missing(one: JoinedHealth, lacking: int, paths: list[str]) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code=MISSING,
        subject="",
        path=", ".join(paths),
        summary="a joined source cannot prove that it is complete, so values of whom it does not have are left as they "
        "are",
        detail=f"{one.name}: {lacking:,} of our records have none there",
        hint=f'[source.{one.name}] complete = "checksum" proves a file; a database, a directory and Parquet prove '
        "themselves",
    )
