"""Records without a key, and keys that several records have: whoever they are about is held."""

from __future__ import annotations

from scimsync.model.plans import Finding, Severity
from scimsync.workbench.bench import PLACE, N, Workbench, quoted, row_of


def bad_keys(bench: Workbench, key: str) -> list[Finding]:
    """Hold them, and tell of each.

    Args:
        bench: Has the tables `records` and `held`.
        key: Column that identifies a person.
    """
    findings: list[Finding] = []
    column = f"tidy({quoted(key)})"
    (keys, different), *_ = bench.sql.execute(
        f"SELECT count(nullif(k, '')), count(DISTINCT nullif(k, '')) FROM (SELECT {column} AS k FROM records)"
    ).fetchall()
    if keys == different == bench.number("SELECT count(*) FROM records"):
        return findings
    for n, place in bench.rows(f"SELECT {N}, {PLACE} FROM records WHERE coalesce({column}, '') = '' ORDER BY 1"):
        findings.append(
            Finding(
                severity=Severity.ERROR,
                code="record.no-key",
                subject=f"row {place}",
                summary="a record has no key",
                hint=f"fill the column {key} in the source",
                row=row_of(place),
                holds=True,
            )
        )
        bench.sql.execute("INSERT INTO held VALUES (NULL, ?)", [n])
    doubled = f"SELECT {column} AS k FROM records WHERE coalesce({column}, '') <> '' GROUP BY 1 HAVING count(*) > 1"
    for found, places in bench.rows(
        f"SELECT {column}, list({PLACE} ORDER BY {N}) FROM records WHERE {column} IN ({doubled}) GROUP BY 1 ORDER BY 1"
    ):
        rows = ", ".join(str(p) for p in places) if isinstance(places, list) else ""
        findings.append(
            Finding(
                severity=Severity.ERROR,
                code="record.duplicate-key",
                subject=str(found),
                summary="several records have the same key",
                detail=f"rows {rows}",
                hint="keep one of them in the source; until then this person is left as is",
                row=row_of(places[0]) if isinstance(places, list) else None,
                holds=True,
            )
        )
    bench.sql.execute(f"INSERT INTO held SELECT {column}, {N} FROM records WHERE {column} IN ({doubled})")
    return findings
