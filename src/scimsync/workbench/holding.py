"""Take people out of `desired` of whom nothing shall be written; `left_out` keeps their values, `held` their keys."""

from __future__ import annotations

from scimsync.workbench.bench import Workbench


def leave_out(bench: Workbench, numbers: str, *, linked: bool = False) -> None:
    """Leave people out, and hold them: they are not concluded absent.

    Args:
        bench: After the mapping: `desired`, `held` and `left_out`.
        numbers: A query for the numbers of their records.
        linked: Those alone are held who have a link; the others never were there.
    """
    sql, only = bench.sql, " AND key IN (SELECT key FROM links)" if linked else ""
    sql.execute(f"INSERT INTO held SELECT key, n FROM desired WHERE n IN ({numbers}){only}")
    sql.execute(f"INSERT INTO left_out SELECT * FROM desired WHERE n IN ({numbers})")
    sql.execute(f"DELETE FROM desired WHERE n IN ({numbers})")
