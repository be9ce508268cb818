"""Whoever is known and not in a delivery of changes: the table `absent` (key), in which nobody is for any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
