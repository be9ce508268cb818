"""Mark in the table `records` who is out of scope, on leave, or joins soon; choose among several records of a person.

The marks are columns of `records` that the mapping of `active` reads. After the mapping, `lay_aside` takes out of
`desired` of whom nothing shall be written: people with an account are then held, and others never were there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from msgspec import Struct

from scimsync.core.presence import Presence
from scimsync.errors import ConfigError, SourceError
from scimsync.workbench.bench import PLACE, N, Workbench, quoted, row_of, text
from scimsync.workbench.expressions import Expression, check
from scimsync.workbench.holding import leave_out
from scimsync.workbench.types import type_of

#: the columns of `records` that say so
ENDED, LEAVE, AHEAD, OUT = "scimsync_ended", "scimsync_leave", "scimsync_ahead", "scimsync_out"
MARKS = (ENDED, LEAVE, AHEAD, OUT)


class Checked(Struct, frozen=True, kw_only=True):
    """What a source says of its people, checked."""

    where: Expression | None = None
    leave: Expression | None = None
    #: the records of a person in the order in which they are chosen, as SQL; "" for none
    order: str = ""

    @property
    def columns(self) -> frozenset[str]:
        """The columns of the source that access depends on."""
        return frozenset().union(*(one.columns for one in (self.where, self.leave) if one is not None))


def check_presence(bench: Workbench, presence: Presence, columns: Sequence[str] | None) -> Checked:
    """What says who is in scope, on leave, and which record counts.

    Raises:
        ConfigError: An expression is none, or gives neither true nor false.
    """
    faults: list[str] = []
    where = _test(bench, "where", presence.where, columns, faults)
    leave = _test(bench, "on_leave", presence.on_leave, columns, faults)
    order = _order(bench, presence.main, columns, faults)
    if faults:
        raise ConfigError(*faults)
    return Checked(where=where, leave=leave, order=order)


def _test(
    bench: Workbench, key: str, given: str, columns: Sequence[str] | None, faults: list[str]
) -> Expression | None:
    if not given:
        return None
    where = f"[source] {key} = {given!r}"
    kinds = bench.kinds if columns is not None else {}
    result = check(given, bench.sql, columns, texts=bench.texts, kinds=kinds, is_test=True)
    if not isinstance(result, Expression):
        faults += [f"{where}: {fault}" for fault in result]
        return None
    found = type_of(bench, result.sql, where, faults) if columns is not None else ""
    if found and found != "BOOLEAN":
        faults.append(f"{where}: it must be true or false, but gives {found}")
    return result


def _order(bench: Workbench, given: str, columns: Sequence[str] | None, faults: list[str]) -> str:
    """The checked parts of an order (`is_primary desc, hours desc`), as SQL; what is blank comes last."""
    if not given:
        return ""
    where = f"[source] main = {given!r}"
    parts: list[str] = []
    for one in _parts(bench, given):
        words, kind = one
        result = check(words, bench.sql, columns, texts=bench.texts, kinds=bench.kinds if columns is not None else {})
        if not isinstance(result, Expression):
            faults += [f"{where}: {fault}" for fault in result]
            continue
        if columns is None or type_of(bench, result.sql, where, faults):
            parts.append(f"TRY({result.sql}) {kind} NULLS LAST")
    if not parts and not faults:
        faults.append(f"{where}: write columns or expressions in order, for instance is_primary desc, hours desc")
    return ", ".join(parts)


def _parts(bench: Workbench, given: str) -> list[tuple[str, str]]:
    """The expressions of an order as text, each with its direction; none where it is no order."""
    answer = _serialized(bench, f"SELECT 1 ORDER BY {given}")
    if answer.get("error") or len(answer["statements"]) != 1:
        return []
    modifiers = answer["statements"][0]["node"].get("modifiers") or []
    if [one.get("type") for one in modifiers] != ["ORDER_MODIFIER"]:
        return []
    found = []
    for one in modifiers[0]["orders"]:
        wrapped = _serialized(bench, "SELECT 1")
        wrapped["statements"][0]["node"]["select_list"] = [{**one["expression"], "alias": ""}]
        sql = bench.sql.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(wrapped)]).fetchone()
        words = str(sql[0]).removeprefix("SELECT ").removesuffix(";") if sql else ""
        found.append((words, "DESC" if one["type"] == "DESCENDING" else "ASC"))
    return found


def _serialized(bench: Workbench, query: str) -> dict[str, Any]:
    row = bench.sql.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    return json.loads(str(row[0])) if row else {}


# --- the table `records` -----------------------------------------------------------------------------


def prepare(bench: Workbench) -> None:
    """Begin: all that was read stands in `records`, with marks that say nothing yet."""
    restore(bench)
    bench.sql.execute("DROP TABLE IF EXISTS outside")
    for mark in MARKS:
        bench.sql.execute(f"ALTER TABLE records ADD COLUMN {mark} BOOLEAN DEFAULT false")
    bench.sql.execute("CREATE OR REPLACE TABLE aside AS SELECT * FROM records LIMIT 0")
    bench.has_aside = True


def restore(bench: Workbench) -> None:
    """Bring back into `records` what an earlier plan from the same reading set aside."""
    bench.sql.execute("DELETE FROM ahead")
    if bench.has_aside:
        bench.has_aside = False
        bench.sql.execute("INSERT INTO records BY NAME SELECT * FROM aside")
        bench.sql.execute("DROP TABLE aside")
        for mark in MARKS:
            bench.sql.execute(f"ALTER TABLE records DROP COLUMN {mark}")


def set_aside(bench: Workbench, test: str) -> None:
    """Take records away that a test finds."""
    bench.sql.execute(f"INSERT INTO aside SELECT * FROM records WHERE {test}")
    bench.sql.execute(f"DELETE FROM records WHERE {N} IN (SELECT {N} FROM aside)")


def leave_scope(bench: Workbench, key: str, where: Expression, *, may_be_empty: bool = False) -> None:
    """Set aside what is not in scope; `outside` (n, key, place, unsure, holds) remembers it, and whether it holds.

    Raises:
        SourceError: Nobody is in scope, and somebody has to be.
    """
    bench.sql.execute(
        f"CREATE OR REPLACE TABLE outside AS SELECT {N} AS n, tidy({quoted(key)}) AS key, {PLACE} AS place, "
        f"TRY({where.sql}) IS NULL AS unsure, true AS holds FROM records WHERE TRY({where.sql}) IS NOT TRUE"
    )
    set_aside(bench, f"{N} IN (SELECT n FROM outside)")
    if not may_be_empty and not bench.number("SELECT count(*) FROM records"):
        raise SourceError(
            "[source] where leaves nobody. Correct it, or the source: an empty scope never means that all left."
        )


def mark_outside(bench: Workbench, key: str) -> None:
    """Bring back one record, so marked, of whoever has one that holds and none in scope: who ended there included.

    What ended out of scope says nothing: whoever ended in scope left, though an older record is elsewhere.
    """
    bench.sql.execute(
        f"DELETE FROM records WHERE {ENDED} AND tidy({quoted(key)}) IN (SELECT key FROM outside WHERE holds)"
    )
    bench.sql.execute(
        "CREATE OR REPLACE TEMP TABLE stranger AS SELECT max(n) AS n FROM outside WHERE holds "
        f"AND coalesce(key, '') <> '' AND key NOT IN (SELECT tidy({quoted(key)}) FROM records "
        f"WHERE {quoted(key)} IS NOT NULL) GROUP BY key"
    )
    bench.sql.execute(f"UPDATE aside SET {OUT} = true WHERE {N} IN (SELECT n FROM stranger)")
    bench.sql.execute(f"INSERT INTO records SELECT * FROM aside WHERE {OUT}")
    bench.sql.execute(f"DELETE FROM aside WHERE {OUT}")


def choose(bench: Workbench, key: str, order: str) -> None:
    """Leave one record of each person, the first in an order; two that are equal in it both stay, and are told."""
    ranked = (
        f"SELECT {N} AS n, rank() OVER (PARTITION BY tidy({quoted(key)}) ORDER BY {order}) AS place FROM records "
        f"WHERE coalesce(tidy({quoted(key)}), '') <> ''"
    )
    set_aside(bench, f"{N} IN (SELECT n FROM ({ranked}) WHERE place > 1)")


def bring_ahead(bench: Workbench, until: date) -> None:
    """Bring records, so marked, of those who join until a day; `ahead` (key) tells who. After `keep_valid`."""
    till = f"{text(until.isoformat())}::DATE"
    bench.sql.execute(
        "CREATE OR REPLACE TEMP TABLE soon AS SELECT s.n, s.key FROM standing s JOIN (SELECT key, min(first) AS first "
        f"FROM standing GROUP BY key HAVING min(state) = 3 AND min(first) <= {till}) f "
        "ON f.key = s.key AND f.first = s.first"
    )
    bench.sql.execute("INSERT INTO ahead SELECT DISTINCT key FROM soon")
    bench.sql.execute(f"UPDATE aside SET {AHEAD} = true WHERE {N} IN (SELECT n FROM soon)")
    bench.sql.execute(f"INSERT INTO records SELECT * FROM aside WHERE {AHEAD}")
    bench.sql.execute(f"DELETE FROM aside WHERE {AHEAD}")


def mark_leave(bench: Workbench, leave: Expression) -> None:
    """Mark who is on leave; null where that cannot be told because a day that it asks for is none."""
    undated = f"WHEN {leave.undated} THEN NULL " if leave.undated else ""
    bench.sql.execute(
        f"UPDATE records SET {LEAVE} = CASE WHEN TRY({leave.sql}) THEN true WHEN NOT TRY({leave.sql}) THEN false "
        f"{undated}ELSE false END WHERE NOT {OUT}"
    )


# --- after the mapping ---------------------------------------------------------------------------------


def marked(bench: Workbench, key: str, test: str) -> dict[str, tuple[int, int | None]]:
    """The keys of the records that a test on the marks finds, each with its number and place."""
    query = f"SELECT tidy({quoted(key)}), {N}, {PLACE} FROM records WHERE {test} ORDER BY 1"
    return {str(name): (row_of(n) or 0, row_of(place)) for name, n, place in bench.rows(query) if name}


def lay_aside(bench: Workbench, numbers: Sequence[int], active: int | None, *, strangers: bool = True) -> list[str]:
    """Take people out of `desired`, and hold those who have an account; their keys.

    What their record says of access decides nothing, so it is blank where their values are kept.

    Args:
        bench: After the mapping.
        numbers: The numbers of their records.
        active: The number of `active` in the mapping; None where it is not mapped.
        strangers: Whether the accounts that fit people without a link are left alone for them.
    """
    sql = bench.sql
    sql.execute("CREATE OR REPLACE TABLE laid AS SELECT unnest(?::BIGINT[]) AS n", [[*numbers]])
    if not strangers:
        sql.execute("DELETE FROM desired WHERE n IN (SELECT n FROM laid) AND key NOT IN (SELECT key FROM links)")
    leave_out(bench, "SELECT n FROM laid", linked=True)
    if active is not None:
        sql.execute(f"UPDATE left_out SET d{active} = NULL WHERE n IN (SELECT n FROM laid)")
    found = "SELECT key FROM left_out WHERE n IN (SELECT n FROM laid) AND key IN (SELECT key FROM links) ORDER BY 1"
    return [str(key) for (key,) in bench.rows(found)]


def take_access(bench: Workbench, numbers: Sequence[int], active: int) -> None:
    """Leave of people in `desired` nothing to be written but access, and nobody who has no link: they were never ours.

    Args:
        bench: After the mapping.
        numbers: The numbers of their records.
        active: The number of `active` in the mapping.
    """
    sql = bench.sql
    sql.execute("CREATE OR REPLACE TABLE laid AS SELECT unnest(?::BIGINT[]) AS n", [[*numbers]])
    sql.execute("DELETE FROM desired WHERE n IN (SELECT n FROM laid) AND key NOT IN (SELECT key FROM links)")
    width = len(sql.execute("DESCRIBE desired").fetchall()) - 3
    for index in (number for number in range(width) if number != active):
        sql.execute(f"INSERT INTO spoiled SELECT n, {index} FROM laid EXCEPT SELECT n, i FROM spoiled")


def settle_ahead(bench: Workbench, active: int) -> None:
    """Leave alone who joins later and has an account that is active, or is not shown to be inactive. After correlation.

    Somebody else may have given that access: it is not ours to take before the first day.
    """
    query = (
        "SELECT d.n FROM desired d JOIN pairing p ON p.n = d.n LEFT JOIN accounts a ON a.id = p.id "
        "WHERE d.key IN (SELECT key FROM ahead) AND coalesce(a.active, true)"
    )
    numbers = [row_of(n) or 0 for (n,) in bench.rows(query)]
    if numbers:
        keys = bench.rows("SELECT key, n FROM desired WHERE n IN (SELECT unnest(?))", [numbers])
        lay_aside(bench, numbers, active)
        for key, n in [*keys]:
            bench.sql.execute(
                "INSERT INTO held SELECT ?, ? WHERE ? NOT IN (SELECT key FROM held WHERE key IS NOT NULL)",
                [key, n, key],
            )


def unsure(bench: Workbench) -> frozenset[str]:
    """The keys of people of whom a record cannot tell whether they are in scope."""
    there = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'outside'"
    if not bench.number(there):
        return frozenset()
    return frozenset(str(key) for (key,) in bench.rows("SELECT DISTINCT key FROM outside WHERE unsure AND holds"))


def first_days(bench: Workbench, since: date, until: date) -> Mapping[str, date]:
    """Whose records hold from one of some days on, and not before, by key."""
    query = (
        "SELECT key, min(first) FROM spans WHERE NOT bad GROUP BY key HAVING min(first) BETWEEN "
        f"{text(since.isoformat())}::DATE AND {text(until.isoformat())}::DATE"
    )
    return {str(key): day for key, day in bench.rows(query) if isinstance(day, date)}
