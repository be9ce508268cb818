"""What the directory took and never shows, in the tables of a run: whom to leave alone, and what to presume of others.

Of whom HR says the same as was sent, the path is left alone. Of whom HR says something else by now, what was sent is
presumed to be there, and agreed: so it is replaced or taken away, though nobody sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from scimsync.model.outcomes import Unshown
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Kind, Place
from scimsync.workbench.bench import ACCOUNT, Workbench, encode, text
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.values import text_of, value_of

#: kinds whose values have more than one text
_LOOSE = frozenset({Kind.LIST, Kind.DECIMAL})


def stage_unshown(bench: Workbench, remembered: Iterable[Unshown]) -> int:
    """Load what is remembered into the table `unshown`; how much that is."""
    left = [*remembered]
    if not left:  # most days; nobody reads the table then
        return 0
    kinds = ", ".join(f"{name}: 'VARCHAR'" for name in "kpastmcr")
    with bench.spooled("unshown") as (path, file):
        file.write(b"{}\n")
        for one in left:
            line = {"k": one.key, "p": one.path, "a": one.account, "s": one.sent, "t": one.shown}
            file.write(encode({**line, "m": one.mapping, "c": one.schema, "r": one.run}) + b"\n")
        file.flush()
        bench.sql.execute(
            "CREATE OR REPLACE TABLE unshown AS SELECT k AS key, p AS path, a AS account, s AS sent, t AS shown, "
            f"m AS mapping, c AS schema, r AS run FROM read_ndjson({text(str(path))}, columns = {{{kinds}}}) "
            "WHERE k IS NOT NULL"
        )
    return len(left)


class Standing(Struct, frozen=True):
    """How a path stands: of how many people it is left alone, and how many have a value there at all."""

    path: str
    people: int
    of: int


def judge(
    bench: Workbench, comparison: Comparison, marks: Mapping[str, str], schema: str, *, again: bool
) -> tuple[list[Standing], list[tuple[str, str]], list[Unshown]]:
    """Leave alone what is as it was, and presume what was sent where HR says something else.

    Args:
        bench: The tables of the run, with `unshown`.
        comparison: The comparison of the run, after `resolve`.
        marks: Path -> mark of its mapping.
        schema: Mark of the target's schemas; "" where nobody looked.
        again: Whether everything is to be sent once more.

    Returns:
        How each path stands; (key, path) of what holds no more; and what holds, and did not know the schemas.
    """
    standings, over, fresh = [], list[tuple[str, str]](), list[Unshown]()
    for index, mapped in enumerate(comparison.attributes):
        if not bench.number("SELECT count(*) FROM unshown WHERE path = ?", [mapped.path]):
            continue
        _lay(bench, comparison, index, mapped.place, mapped.path)
        there = "account = id AND same_shown"
        given = f"{there} AND mapping = ? AND (schema IN ('', ?) OR ? = '')"
        bench.sql.execute(
            f"CREATE OR REPLACE TABLE holding AS SELECT *, ({given}) AND NOT ? AS holds, "
            f"({there}) AND NOT same_sent AS moved FROM laid_unshown",
            [marks[mapped.path], schema, schema, again],
        )
        # what HR says otherwise is known until it is written, whatever else moved: else nobody would take it away
        gone = bench.rows("SELECT key FROM holding WHERE NOT (holds OR moved)")
        over += [(str(key), mapped.path) for (key,) in gone]
        if schema:
            fresh += _stamped(bench, mapped.path, schema)
        comparison.leave(index, "SELECT n FROM holding WHERE holds AND same_sent")
        _presume(bench, index, mapped)
        people = bench.number("SELECT count(*) FROM holding WHERE holds AND same_sent")
        if people:
            of = f"SELECT count(*) FROM wanted w JOIN pairing p ON p.n = w.n WHERE w.d{index} IS NOT NULL"
            standings.append(Standing(mapped.path, people, bench.number(of)))
    return standings, over, fresh


def _lay(bench: Workbench, comparison: Comparison, index: int, place: Place, path: str) -> None:
    """Make `laid_unshown`: what is remembered of a path of the people looked at, and whether either side moved."""
    rows = (
        f"SELECT u.*, w.n, a.id, coalesce(w.d{index}, '') AS wanted, coalesce(a.c{index}, '') AS held FROM unshown u "
        "JOIN wanted w ON w.key = u.key JOIN pairing p ON p.n = w.n JOIN accounts a ON a.id = p.id "
        f"WHERE u.path = {text(path)} AND {comparison.looked_at('u.key')} AND {comparison.is_told(index)}"
    )
    if place.kind not in _LOOSE:
        bench.sql.execute(
            f"CREATE OR REPLACE TABLE laid_unshown AS SELECT *, wanted = sent AS same_sent, "
            f"held = shown AS same_shown FROM ({rows})"
        )
        return
    with bench.spooled("laid_unshown") as (spool, file):
        file.write(b"{}\n")
        for n, wanted, sent, held, shown in bench.rows(f"SELECT n, wanted, sent, held, shown FROM ({rows})"):
            same = _plain(place, wanted) == sent, _plain(place, held) == shown
            file.write(encode({"n": n, "s": same[0], "t": same[1]}) + b"\n")
        file.flush()
        bench.sql.execute(
            "CREATE OR REPLACE TABLE laid_unshown AS SELECT r.*, s AS same_sent, t AS same_shown FROM "
            f"({rows}) r JOIN read_ndjson({text(str(spool))}, columns = {{n: 'BIGINT', s: 'BOOLEAN', t: 'BOOLEAN'}}) x "
            "ON x.n = r.n"
        )


def _plain(place: Place, found: object) -> str:
    return text_of(value_of(place, found))


def _stamped(bench: Workbench, path: str, schema: str) -> Iterator[Unshown]:
    """What holds and did not know the schemas, with their mark."""
    query = "SELECT key, account, sent, shown, mapping, run FROM holding WHERE holds AND schema = ''"
    for key, account, sent, shown, mapping, run in bench.rows(query):
        yield Unshown(
            key=str(key),
            path=path,
            account=str(account),
            sent=str(sent or ""),
            shown=str(shown or ""),
            mapping=str(mapping),
            schema=schema,
            run=str(run),
        )


def _presume(bench: Workbench, index: int, mapped: Mapped) -> None:
    """Let `accounts` and `base` hold what was sent to people of whom HR says something else now."""
    moved = [
        (str(key), str(account), _with(mapped.place, held, sent), str(sent))
        for key, account, held, sent in bench.rows("SELECT key, id, held, sent FROM holding WHERE moved")
    ]
    if not moved:
        return
    sql = bench.sql
    columns = [[row[number] for row in moved] for number in range(4)]
    sql.execute(
        "CREATE OR REPLACE TABLE presumed AS SELECT unnest(?::VARCHAR[]) AS key, unnest(?::VARCHAR[]) AS id, "
        "unnest(?::VARCHAR[]) AS value, unnest(?::VARCHAR[]) AS sent",
        columns,
    )
    sql.execute(f"UPDATE accounts SET c{index} = p.value FROM presumed p WHERE p.id = accounts.id")
    sql.execute(
        f"INSERT INTO base (key, {ACCOUNT}) SELECT key, id FROM presumed WHERE key NOT IN (SELECT key FROM base)"
    )
    # of a shared list what others have in it was never agreed
    agreed = "sent" if mapped.is_shared else "value"
    sql.execute(f"UPDATE base SET b{index} = p.{agreed} FROM presumed p WHERE p.key = base.key")
    sql.execute("INSERT INTO rebased SELECT key FROM presumed")


def _with(place: Place, held: object, sent: object) -> str:
    """What is presumed to be there: what was sent, and in a list also what is shown."""
    if place.kind is not Kind.LIST:
        return str(sent)
    given, shown = value_of(place, sent), value_of(place, held)
    listed = {*(given if isinstance(given, tuple) else ()), *(shown if isinstance(shown, tuple) else ())}
    return text_of(tuple(sorted(listed, key=repr)))
