"""Which words of a status nobody knows, and how many people have them. A status word is no personal value."""

from __future__ import annotations

from collections.abc import Iterator

from scimsync.model.plans import Finding, Severity
from scimsync.workbench.bench import Workbench, text
from scimsync.workbench.expressions import Expression

#: more words than a status has; what stands there may be anything about people, and is not shown
_TOO_MANY, _TOO_LONG = 20, 40


def unknown_words(bench: Workbench, active: Expression | None, column: str) -> Iterator[Finding]:
    """A finding for the words that decide nothing, with the number of people of each.

    Args:
        bench: Has the tables `records`, `desired` and `left_out`.
        active: The expression of `active`; None where nothing maps it.
        column: The column of `desired` with what it gave.
    """
    undecided = f"SELECT {column} FROM desired UNION ALL SELECT {column} FROM left_out"
    if active is None or not bench.number(f"SELECT count(*) FROM ({undecided}) WHERE {column} IS NULL"):
        return
    for given, named in active.statuses:
        known = ", ".join(map(text, named))
        found = bench.sql.execute(
            f"SELECT word, count(*) FROM (SELECT status_word({given}) AS word FROM records WHERE TRY({active.sql}) "
            f"IS NULL) WHERE word IS NOT NULL AND NOT list_contains([{known}]::VARCHAR[], word) GROUP BY 1 "
            "ORDER BY 2 DESC, 1"
        ).fetchall()
        if found:
            yield Finding(
                severity=Severity.WARNING,
                code="status.unknown",
                subject="",
                summary="the source has a status that the mapping of active does not list; its people are not changed",
                detail=_shown(found),
                hint="say what it means, for instance one_of(status, 'active', 'on leave', ['left', 'retired'])",
            )


def _shown(found: list[tuple[str, int]]) -> str:
    people = sum(count for _, count in found)
    if len(found) > _TOO_MANY or any(len(word) > _TOO_LONG or "@" in word for word, _ in found):
        return f"{len(found):,} different words, {people:,} people"
    return ", ".join(f"{word!r}: {count:,} {'person' if count == 1 else 'people'}" for word, count in found)
