"""Leave in the table `records` what holds on a day, and find out who comes, moves and goes after it.

Days are those of the time zone of the workbench. Tables: `spans` (n, place, key, first, last, bad) of all records with
a key, an open side as a day that never comes; `aside` (records that do not hold on the day), `ended` (n, key, last) of
people whose last record has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from msgspec import Struct

from scimsync.core.validity import Validity
from scimsync.errors import ConfigError
from scimsync.model.plans import Coming, Lifecycle
from scimsync.workbench.bench import PLACE, N, Workbench, quoted, row_of, text
from scimsync.workbench.expressions import Expression, check
from scimsync.workbench.holding import leave_out
from scimsync.workbench.presence import ENDED, set_aside
from scimsync.workbench.types import type_of

#: an open side
_ALWAYS, _NEVER = "DATE '0001-01-01'", "DATE '9999-12-31'"
#: of a side that is always open
_NONE = Expression(sql="NULL", columns=frozenset())


def check_validity(
    bench: Workbench, validity: Validity, columns: Sequence[str] | None
) -> tuple[Expression, Expression]:
    """What gives the first and the last day of a record.

    Raises:
        ConfigError: An expression is none, or gives no day.
    """
    faults: list[str] = []
    found = [
        _checked(bench, key, given, columns, faults)
        for key, given in (("valid_from", validity.first), ("valid_until", validity.last))
    ]
    if faults:
        raise ConfigError(*faults)
    return found[0], found[1]


def _checked(bench: Workbench, key: str, given: str, columns: Sequence[str] | None, faults: list[str]) -> Expression:
    if not given:
        return _NONE
    where = f"[source] {key} = {given!r}"
    result = check(given, bench.sql, columns, texts={})
    if not isinstance(result, Expression):
        faults += [f"{where}: {fault}" for fault in result]
        return _NONE
    if columns is None:
        return result
    found = type_of(bench, result.sql, where, faults)
    if found.endswith("[]") or found.startswith(("STRUCT", "MAP", "BOOLEAN", "TIME WITH", "INTERVAL")):
        faults.append(f"{where}: it must give a day, but gives {found}")
    return result


def keep_valid(bench: Workbench, key: str, days: tuple[Expression, Expression], day: date, *, marks: bool) -> None:
    """Leave in `records` what holds on a day: of each person the records that do, else the last that has ended.

    Records whose days cannot be read, or whose last day is a filler (`days`), stay, and so do records without a key:
    who they are about is held.

    Args:
        bench: Has the table `records`.
        key: Column that identifies a person.
        days: What gives the first and the last day of a record.
        day: The day.
        marks: Whether records that have ended stay, marked so in the column `ENDED`, so that the mapping of `active`
            says that they left; else they go too, and whoever they are about is missing.
    """
    sql = bench.sql
    first, last = (_day(given.sql) for given in days)
    sql.execute(
        "CREATE OR REPLACE TABLE read AS SELECT n, place, key, first, last, bad AS unread, NOT bad AND first > last AS "
        f"crossed FROM (SELECT {N} AS n, {PLACE} AS place, tidy({quoted(key)}) AS key, "
        f"coalesce({first[0]}, {_ALWAYS}) AS first, coalesce({last[0]}, {_NEVER}) AS last, "
        f"({first[1]}) OR ({last[1]}) OR is_filler({last[0]}) AS bad FROM records) WHERE coalesce(key, '') <> ''"
    )
    when = f"{text(day.isoformat())}::DATE"
    # the old end and the new beginning of somebody who comes back: two spans, until the day of the return
    split = f"crossed AND first > {when}"
    sql.execute(
        "CREATE OR REPLACE TABLE spans AS "
        f"SELECT n, place, key, first, last, unread OR crossed AS bad, unread FROM read WHERE NOT ({split}) UNION ALL "
        f"SELECT n, place, key, {_ALWAYS}, last, false, false FROM read WHERE {split} UNION ALL "
        f"SELECT n, place, key, first, {_NEVER}, false, false FROM read WHERE {split}"
    )
    sql.execute(
        "CREATE OR REPLACE TABLE standing AS SELECT *, CASE WHEN bad THEN 0 WHEN first <= "
        f"{when} AND last >= {when} THEN 1 WHEN last < {when} THEN 2 ELSE 3 END AS state FROM spans"
    )
    sql.execute(
        "CREATE OR REPLACE TABLE ended AS SELECT arg_max(n, (last, n)) AS n, key, max(last) AS last FROM standing "
        "WHERE state = 2 AND key NOT IN (SELECT key FROM standing WHERE state < 2) GROUP BY key"
    )
    stays = (
        "SELECT n FROM standing s WHERE state = (SELECT min(o.state) FROM standing o WHERE o.key = s.key) AND state < 2"
    )
    if marks:
        stays += " UNION ALL SELECT n FROM ended"
    set_aside(bench, f"{N} IN (SELECT n FROM spans) AND {N} NOT IN ({stays})")
    sql.execute(f"UPDATE records SET {ENDED} = true WHERE {N} IN (SELECT n FROM ended)")


def date_outside(bench: Workbench, days: tuple[Expression, Expression], day: date) -> None:
    """Find out which of the records in `outside` hold on a day. One whose days cannot be read does, for all we know."""
    first, last = (_day(given.sql) for given in days)
    when = f"{text(day.isoformat())}::DATE"
    bench.sql.execute(
        "UPDATE outside SET holds = r.bad OR CASE WHEN r.first <= r.last THEN "
        f"r.first <= {when} AND r.last >= {when} ELSE r.first <= {when} OR r.last >= {when} END FROM (SELECT {N} AS n, "
        f"coalesce({first[0]}, {_ALWAYS}) AS first, coalesce({last[0]}, {_NEVER}) AS last, "
        f"({first[1]}) OR ({last[1]}) OR is_filler({last[0]}) AS bad FROM aside) r WHERE r.n = outside.n"
    )


def pretend(bench: Workbench, day: date) -> None:
    """Let it be noon of a day wherever the mapping asks what day it is."""
    for name in ("today", "current_date"):
        bench.sql.execute(f"CREATE OR REPLACE MACRO {name}() AS {text(day.isoformat())}::DATE")
    bench.sql.execute(f"CREATE OR REPLACE MACRO now() AS {text(f'{day.isoformat()} 12:00:00')}::TIMESTAMPTZ")


def _day(given: str) -> tuple[str, str]:
    """The SQL of a day, NULL where there is none; and of whether something stands there that is no day.

    A moment with a zone is the day that it is in ours. `0000-00-00` is how some databases write none.
    """
    if given == "NULL":
        return "NULL::DATE", "false"
    value = f"TRY(CAST(({given}) AS VARCHAR))"
    written = f"nullif(nullif(nullif(tidy({value}), ''), '0000-00-00'), '00000000')"
    day = f"day_in({written})"
    fails = f"TRY(struct_pack(v := ({given}))) IS NULL"
    return day, f"{fails} OR ({written} IS NOT NULL AND {day} IS NULL)"


def hold_bad(bench: Workbench, active: int | None) -> Iterator[tuple[str, int | None, str, bool]]:
    """Leave out whose days cannot be told, but whoever left by the status; key, place, what is wrong, and whether.

    Args:
        bench: After the mapping: `desired`, `held` and `left_out`.
        active: The number of `active` in the mapping; None where it is not mapped.
    """
    out = f"d{active} IS DISTINCT FROM 'false'" if active is not None else "true"
    leave_out(bench, f"SELECT n FROM desired WHERE n IN (SELECT n FROM spans WHERE bad) AND {out}")
    for key, place, unread, holds in bench.rows(
        "SELECT key, place, unread, n IN (SELECT n FROM left_out) FROM spans WHERE bad ORDER BY key, n"
    ):
        what = "no day that can be read" if unread else "it ends before it begins"
        yield str(key), row_of(place), what, bool(holds)


def hold_early(bench: Workbench) -> None:
    """Whoever is linked and has only records that hold later did not leave by that: the key is held."""
    bench.sql.execute(
        "CREATE OR REPLACE TABLE early AS SELECT key, min(first) AS first, arg_min(place, first) AS place, "
        "arg_min(n, first) AS n FROM standing GROUP BY key HAVING min(state) = 3"
    )
    linked = "key IN (SELECT key FROM links) AND key NOT IN (SELECT key FROM desired)"
    bench.sql.execute(f"INSERT INTO held SELECT key, n FROM early WHERE {linked}")


def early_and_active(bench: Workbench) -> Iterator[tuple[str, date, int | None]]:
    """Key, first day and place of those who have only records that hold later, and an active account of ours."""
    query = (
        "SELECT e.key, e.first, e.place FROM early e JOIN links l ON l.key = e.key AND l.ours JOIN accounts a "
        "ON a.id = l.account WHERE coalesce(a.active, true) ORDER BY 1"
    )
    for key, first, place in bench.rows(query):
        if isinstance(first, date):
            yield str(key), first, row_of(place)


def is_early(bench: Workbench, key: str) -> bool:
    """Whether somebody has only records that hold later."""
    return bool(bench.number("SELECT count(*) FROM early WHERE key = ?", [key]))


def ended(bench: Workbench) -> dict[str, date]:
    """The last day of everybody whose last record has ended, by key."""
    found = bench.rows("SELECT key, last FROM ended ORDER BY key")
    return {str(key): last for key, last in found if isinstance(last, date)}


def coming(bench: Workbench, after: date, until: date) -> Iterator[Coming]:
    """Who joins, moves and leaves after a day, until another; by day and key."""
    since, till = (f"{text(day.isoformat())}::DATE" for day in (after, until))
    covers = "EXISTS (SELECT 1 FROM good o WHERE o.key = g.key AND o.first <= {day} AND o.last >= {day})"
    query = (
        "WITH good AS (SELECT * FROM spans WHERE NOT bad), near AS (SELECT * FROM good g WHERE "
        f"(first > {since} AND first <= {till}) OR (last >= {since} AND last < {till})) "
        f"SELECT key, CASE WHEN {covers.format(day='g.first - 1')} THEN 'mover' ELSE 'joiner' END, first FROM near g "
        f"WHERE first > {since} AND first <= {till} UNION SELECT key, 'leaver', last + 1 FROM near g "
        f"WHERE last >= {since} AND last < {till} AND NOT {covers.format(day='g.last + 1')} ORDER BY 3, 1, 2"
    )
    for key, what, day in bench.rows(query):
        if isinstance(day, date):
            yield Coming(str(key), Lifecycle(what), day)


# --- who joins later -----------------------------------------------------------------------------------


def stage_later(bench: Workbench, other: Workbench, after: date, until: date) -> dict[str, date]:
    """Bring the records of those who join later into another workbench; the first day of each, by key."""
    since, till = (f"{text(day.isoformat())}::DATE" for day in (after, until))
    bench.sql.execute(
        "CREATE OR REPLACE TABLE later AS SELECT key, min(first) AS first, arg_min(n, (first, n)) AS n FROM standing "
        f"WHERE state = 3 AND first > {since} AND first <= {till} AND key NOT IN (SELECT key FROM standing "
        f"WHERE state < 2) AND n IN (SELECT {N} FROM aside) GROUP BY key"
    )
    found = {str(key): first for key, first in bench.rows("SELECT key, first FROM later") if isinstance(first, date)}
    if found:
        with bench.spooled("later") as (path, _):
            where = text(str(path))
            for table, query in (
                ("records", f"SELECT * FROM aside WHERE {N} IN (SELECT n FROM later)"),
                ("links", "SELECT key FROM links WHERE key IN (SELECT key FROM later)"),
            ):
                bench.sql.execute(f"COPY ({query}) TO {where} (FORMAT parquet)")
                other.sql.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM read_parquet({where})")
        other.columns, other.texts = bench.columns, bench.texts
    return found


class Later(Struct, frozen=True):
    """Somebody who joins later, as the mapping has them."""

    key: str
    row: int | None
    #: in small letters; "" for none
    login: str
    #: numbers of the attributes that have no value, of those that were asked for
    missing: frozenset[int]


def later_values(other: Workbench, login: int | None, needed: Sequence[int]) -> Iterator[Later]:
    """Who joins later, once they are mapped in a workbench of their own.

    Args:
        other: That workbench.
        login: The number of the login in the mapping.
        needed: The numbers of the attributes without which no account is made.
    """
    name = f"coalesce(lower(d{login}), '')" if login is not None else "''"
    nulls = "".join(f", d{number} IS NULL" for number in needed)
    for key, place, wanted, *missing in other.rows(f"SELECT key, place, {name}{nulls} FROM desired ORDER BY key"):
        lacks = frozenset(number for number, none in zip(needed, missing, strict=True) if none)
        yield Later(str(key), row_of(place), str(wanted), lacks)


def colliding(
    bench: Workbench, wanted: Sequence[Later], login: int, *, found_by_login: bool
) -> Iterator[tuple[str, str]]:
    """(key, who has it) of each who joins later and whose login another has; who has it is a key or an account.

    Args:
        bench: The tables of the run.
        wanted: Those who join later.
        login: The number of the login in the mapping.
        found_by_login: An account that nobody is linked to is found by its login, so that it is no other's.
    """
    columns = [[one.key for one in wanted], [one.login for one in wanted]]
    bench.sql.execute("CREATE OR REPLACE TABLE later_logins AS SELECT unnest(?) AS key, unnest(?) AS login", columns)
    unlinked = "" if found_by_login else " OR l.key IS NULL"
    query = (
        "SELECT w.key, coalesce(l.key, 'account ' || a.id) FROM later_logins w JOIN accounts a "
        f"ON lower(a.user_name) = w.login LEFT JOIN links l ON l.account = a.id WHERE l.key <> w.key{unlinked} UNION "
        "SELECT w.key, o.key FROM later_logins w JOIN later_logins o ON o.login = w.login AND o.key <> w.key UNION "
        f"SELECT w.key, d.key FROM later_logins w JOIN desired d ON lower(d.d{login}) = w.login AND d.key <> w.key "
        "ORDER BY 1, 2"
    )
    for key, who in bench.rows(query):
        yield str(key), str(who)
