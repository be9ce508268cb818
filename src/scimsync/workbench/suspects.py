"""Who is missing from the source and keeps everything for now; who of those that were is there again."""

from __future__ import annotations

from collections.abc import Sequence

from scimsync.workbench.bench import Workbench


def spare(bench: Workbench, accounts: Sequence[str]) -> None:
    """Leave the memberships of some accounts as they are."""
    bench.sql.execute("INSERT INTO suspects SELECT unnest(?::VARCHAR[])", [[*accounts]])


def there(bench: Workbench, keys: Sequence[str], *, whole: bool) -> list[str]:
    """Those of some keys who are there, or of whom there is nothing to be missed.

    Args:
        bench: The tables of the run, after correlation.
        keys: Who is asked about.
        whole: The reading is of everybody, so that no other source's is whoever it neither holds nor lacks.
    """
    asked = "SELECT unnest(?::VARCHAR[]) AS key"
    named = "SELECT key FROM desired UNION SELECT key FROM held WHERE key IS NOT NULL UNION SELECT key FROM left_out"
    others = "SELECT key FROM links WHERE NOT ours"
    test = f"key IN ({named})" + (f" OR key NOT IN ({others} UNION SELECT key FROM orphans)" if whole else "")
    return [str(key) for (key,) in bench.rows(f"SELECT key FROM ({asked}) WHERE {test} ORDER BY 1", [[*keys]])]


def linked(bench: Workbench, keys: Sequence[str]) -> dict[str, bool]:
    """Those of some keys that have a link -> whether it is one of this source."""
    asked = "SELECT unnest(?::VARCHAR[]) AS key"
    found = bench.rows(
        f"SELECT l.key, bool_or(l.ours) FROM ({asked}) k JOIN links l ON l.key = k.key GROUP BY 1", [[*keys]]
    )
    return {str(key): bool(ours) for key, ours in found}
