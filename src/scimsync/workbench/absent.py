"""Whoever is known and not in a delivery of changes: the table `absent` (key), in which nobody is for any other."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from scimsync.model.policy import Mapped
from scimsync.workbench.bench import Workbench, quoted
from scimsync.workbench.expressions import Expression
from scimsync.workbench.mapping import check_mapping, nothing


def lay(bench: Workbench, key: str) -> None:
    """Hold everybody of this source whom the delivery does not name. After the mapping, once links are told apart.

    A key in `held` is that of somebody who is left as is: no leaver, no former owner, in all their groups, and named by
    references as before. Whose records were set aside is not absent: HR says of them that they ended, for instance.

    Args:
        bench: The tables `links`, `desired` and `held`.
        key: Column of the source that identifies a person.
    """
    named = "SELECT key FROM desired UNION ALL SELECT key FROM held WHERE key IS NOT NULL"
    if bench.has_aside:
        named += f" UNION ALL SELECT tidy({quoted(key)}) FROM aside WHERE {quoted(key)} IS NOT NULL"
    bench.sql.execute(f"INSERT INTO absent SELECT DISTINCT key FROM links WHERE ours AND key NOT IN ({named})")
    bench.sql.execute("INSERT INTO held SELECT key, NULL FROM absent")


def not_delivered(bench: Workbench, key: str, people: Sequence[str]) -> dict[str, bool]:
    """Those of some people who are not in the delivery, each with whether they have access for all that is known.

    Args:
        bench: The tables of the run, with the accounts.
        key: Column of the source that identifies a person.
        people: The keys.
    """
    query = (
        "SELECT k.key, coalesce(bool_or(a.id IS NOT NULL AND a.active IS DISTINCT FROM false), false) "
        "FROM (SELECT unnest(?::VARCHAR[]) AS key) k LEFT JOIN links l ON l.key = k.key AND l.ours "
        f"LEFT JOIN accounts a ON a.id = l.account WHERE k.key NOT IN ({_records(bench, key)}) GROUP BY 1 ORDER BY 1"
    )
    return {str(name): bool(active) for name, active in bench.rows(query, [[*people]])}


def delivered(bench: Workbench, key: str) -> list[str]:
    """The keys of everybody whom a delivery holds, in scope or not."""
    return sorted({str(found) for (found,) in bench.rows(_records(bench, key)) if found})


def _records(bench: Workbench, key: str) -> str:
    """The SQL of the keys of all records."""
    tables = ("records", *(["aside"] if bench.has_aside else []))
    return " UNION ALL ".join(
        f"SELECT tidy({quoted(key)}) FROM {table} WHERE {quoted(key)} IS NOT NULL" for table in tables
    )


def without_values(bench: Workbench, attributes: Sequence[Mapped]) -> dict[str, Expression]:
    """The mapping for a delivery that holds nobody: it says no types, and often no columns.

    Raises:
        ConfigError: An expression is none.
    """
    parsed = check_mapping(bench, attributes, None)
    return {
        m.path: replace(parsed[m.path], sql=nothing(m.place), columns=frozenset(), phones=(), statuses=(), undated="")
        for m in attributes
    }
