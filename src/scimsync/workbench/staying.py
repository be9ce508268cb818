"""Who left by what HR says and still has an active account, whatever else became of the record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from scimsync.core.lifecycle import ACTIVE
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Place
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.values import comparable


class StillActive(Struct, frozen=True):
    """An account to which somebody who left has access, for all that is known."""

    key: str
    name: str
    account: str
    row: int | None = None
    #: whether the directory showed the account; if not, it may be active
    seen: bool = True


def by_status(bench: Workbench, attributes: Sequence[Mapped], match: Sequence[Place]) -> Iterator[StillActive]:
    """Whose record says inactive, good or bad, and whose account is active or was not shown.

    The account is that of the link, the one that the record was given, or, for a record that was given
    none, one that it fits and that is nobody else's.
    """
    index = {mapped.path: number for number, mapped in enumerate(attributes)}
    if ACTIVE not in index:
        return
    left = f"d{index[ACTIVE]} = 'false' AND key IS NOT NULL"
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE leaving AS SELECT * FROM desired WHERE {left} "
        f"UNION ALL SELECT * FROM left_out WHERE {left}"
    )
    if not bench.are("leaving"):
        return
    found = [
        "SELECT v.key, v.place, l.account FROM leaving v JOIN links l ON l.key = v.key AND l.ours",
        "SELECT v.key, v.place, p.id FROM leaving v JOIN pairing p ON p.n = v.n",
    ]
    loose = (
        "v.n NOT IN (SELECT n FROM pairing) AND v.key NOT IN (SELECT key FROM links) "
        "AND a.id NOT IN (SELECT id FROM pairing) AND a.id NOT IN (SELECT account FROM links) "
        "AND NOT EXISTS (SELECT 1 FROM parted t WHERE t.key = v.key AND t.account = a.id)"
    )
    clean = ""
    alone = "leaving v WHERE v.n NOT IN (SELECT n FROM pairing) AND v.key NOT IN (SELECT key FROM links)"
    marks = [(index[place.short], place) for place in match if place.short in index]
    for number, where in marks if bench.number(f"SELECT count(*) FROM {alone}") else ():
        fits = f"{comparable(where, f'v.d{number}')} = {comparable(where, f'a.c{number}')}"
        found.append(f"SELECT v.key, v.place, a.id FROM leaving v JOIN accounts a ON {fits} WHERE {loose}{clean}")
        clean += f" AND (a.c{number} IS NULL OR coalesce({fits}, false))"
    query = (
        "SELECT o.key, min(o.place), o.account, min(a.user_name), bool_or(a.id IS NOT NULL) "
        f"FROM ({' UNION ALL '.join(found)}) o(key, place, account) LEFT JOIN accounts a ON a.id = o.account "
        f"LEFT JOIN base b ON b.key = o.key WHERE coalesce(a.active, b.b{index[ACTIVE]} "
        "IS DISTINCT FROM 'false') AND ((SELECT count(*) FROM only_keys) = 0 OR o.key IN (SELECT key FROM only_keys)) "
        "GROUP BY o.key, o.account ORDER BY 1, 3"
    )
    for key, place, account, name, seen in bench.rows(query):
        row = place if isinstance(place, int) else None
        yield StillActive(str(key), str(name or ""), str(account), row, seen=bool(seen))


def lately(bench: Workbench, attributes: Sequence[Mapped]) -> list[str]:
    """The keys of those whose record says inactive and of whom the base says that the account is active."""
    index = next((number for number, mapped in enumerate(attributes) if mapped.path == ACTIVE), None)
    if index is None:
        return []
    query = (
        f"SELECT DISTINCT v.key FROM (SELECT key FROM desired WHERE d{index} = 'false' UNION ALL SELECT key FROM "
        f"left_out WHERE d{index} = 'false') v JOIN links l ON l.key = v.key AND l.ours JOIN base b ON b.key = v.key "
        f"WHERE b.b{index} = 'true' ORDER BY 1"
    )
    return [str(key) for (key,) in bench.rows(query)]


def by_absence(bench: Workbench, attributes: Sequence[Mapped], comparison: Comparison) -> Iterator[StillActive]:
    """Who is not in the source, and whose active account a record that waits may be about."""
    if not bench.are(f"({comparison.left_alone()})"):
        return
    index = next((number for number, mapped in enumerate(attributes) if mapped.path == ACTIVE), None)
    agreed = "true" if index is None else f"b.b{index} IS DISTINCT FROM 'false'"
    query = (
        "SELECT min(l.key), min(a.user_name), a.id FROM links l JOIN accounts a ON a.id = l.account "
        f"LEFT JOIN base b ON b.key = l.key WHERE l.ours AND coalesce(a.active, {agreed}) "
        "AND a.id NOT IN (SELECT id FROM pairing) AND l.key NOT IN (SELECT key FROM desired) "
        "AND l.key NOT IN (SELECT key FROM held WHERE key IS NOT NULL) "
        f"AND a.id IN (SELECT * FROM ({comparison.left_alone()})) "
        "AND ((SELECT count(*) FROM only_keys) = 0 OR l.key IN (SELECT key FROM only_keys)) GROUP BY a.id ORDER BY 1"
    )
    for key, name, account in bench.rows(query):
        yield StillActive(str(key), str(name or ""), str(account))
