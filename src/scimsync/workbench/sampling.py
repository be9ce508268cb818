"""One attribute under two expressions, record by record: what the mapping workshop shows."""

from __future__ import annotations

from collections.abc import Sequence

from scimsync.workbench.bench import Workbench

#: a value of a record under one expression; None where there is none
Sample = tuple[str, str | None, str | None, bool]


def keep(bench: Workbench, name: str) -> None:
    """Keep what `stage_desired` made of the one attribute, under a name.

    Args:
        bench: Where the tables are.
        name: `today` or `wanted`.
    """
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE kept_{name} AS SELECT n, key, d0::VARCHAR AS v, "
        "n IN (SELECT n FROM spoiled) AS bad FROM desired"
    )


def compared(bench: Workbench, size: int) -> tuple[int, int, Sequence[Sample]]:
    """How many records there are, of how many the value differs, and some of both, those that differ first.

    Args:
        bench: Where `keep` kept both.
        size: How many are shown.
    """
    joined = "kept_today t FULL JOIN kept_wanted w USING (n)"
    total, differ = next(bench.rows(f"SELECT count(*), count(*) FILTER (WHERE t.v IS DISTINCT FROM w.v) FROM {joined}"))
    found = bench.rows(
        f"SELECT coalesce(t.key, w.key), t.v, w.v, coalesce(w.bad, true) FROM {joined} "
        f"ORDER BY (t.v IS DISTINCT FROM w.v) DESC, n LIMIT {int(size)}"
    )
    rows = [(str(key), _text(today), _text(wanted), bool(bad)) for key, today, wanted, bad in found]
    return int(str(total)), int(str(differ)), rows


def _text(value: object) -> str | None:
    return None if value is None else str(value)
