"""The directory as it is and as it will be, as the two views that rules are asked of."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
from msgspec import Struct, field

from scimsync.errors import ConfigError
from scimsync.model.contracts import Rule
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Kind, Place, Value
from scimsync.workbench import rule_language
from scimsync.workbench.bench import Workbench, encode, quoted, text
from scimsync.workbench.expressions import Fault
from scimsync.workbench.values import text_of

#: the columns that both views have before those of the mapping
KEY, ID, ACTIVE = "key", "id", "active"
#: rows of a rule that are looked at; seconds that one may take
MOST, PATIENCE_S = 100, 60.0
#: rows of which is asked whom they are about
_LOOKED_AT = 5


class Moved(Struct):
    """What a plan makes of one account. `values` is attribute number -> text of a value column, "" for none."""

    key: str
    account: str | None
    #: kinds of change, by what they touch: the attribute number, or None for access and the account itself
    kinds: dict[int | None, str]
    values: dict[int, str] = field(default_factory=dict)
    active: str = ""
    made: bool = False
    gone: bool = False


class Failing(Struct, frozen=True):
    """The rows that a rule gave, at most `MOST` of them, and how many there are."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    number: int


def columns(attributes: Sequence[Mapped]) -> dict[str, int]:
    """The columns of the mapping: each path, and the last word of it where that means nothing else. By number."""
    paths = {mapped.path: index for index, mapped in enumerate(attributes) if mapped.path.lower() != ACTIVE}
    taken = {KEY, ID, ACTIVE, *(path.lower() for path in paths)}
    words: dict[str, list[tuple[str, int]]] = {}
    for index, mapped in enumerate(attributes):
        if mapped.place.path.filter is None:
            place = mapped.place
            word = (place.attribute if place.kind is Kind.REFERENCE else place.leaf).name
            words.setdefault(word.lower(), []).append((word, index))
    short = {one[0][0]: one[0][1] for low, one in words.items() if len(one) == 1 and low not in taken}
    return paths | short


def check(bench: Workbench, attributes: Sequence[Mapped], rules: Sequence[Rule]) -> None:
    """Check rules against views without rows, so that nobody's data is needed for it.

    Raises:
        ConfigError: A rule is not understood, asks for what it may not, or names a column that is none; all at once.
    """
    if not rules:
        return
    sql = bench.sql
    values = ", ".join(f"c{index} VARCHAR" for index, _ in enumerate(attributes)) or "c VARCHAR"
    sql.execute("CREATE OR REPLACE TABLE rule_people (id VARCHAR, key VARCHAR)")
    named = _selected(attributes, "a.c")
    sql.execute(f"CREATE OR REPLACE TABLE rule_none (id VARCHAR, active BOOLEAN, {values})")
    for view in rule_language.VIEWS:
        sql.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT id AS key, id, active{named} FROM rule_none a")
    faults = []
    for rule in rules:
        checked = _checked(bench, attributes, rule)
        if not isinstance(checked, str):
            faults += [f"[[rule]] {rule.name}: {fault}" for fault in checked]
    if faults:
        raise ConfigError(*faults)


def _checked(bench: Workbench, attributes: Sequence[Mapped], rule: Rule) -> str | tuple[Fault, ...]:
    """The text of a rule that is safe to run."""
    known = [KEY, ID, ACTIVE, *columns(attributes)]
    if rule.sql:
        return rule_language.check(rule.sql, bench.sql, known)
    found = rule_language.check(_where(rule, "count(*) AS people", _outside(rule)), bench.sql, known)
    if isinstance(found, str):
        return found
    before = len(_where(rule, "count(*) AS people", "").partition(rule.where)[0])
    return tuple(Fault(f.reason, f.column - before if f.column and f.column > before else None) for f in found)


def _where(rule: Rule, what: str, having: str, view: str = "after") -> str:
    return f"SELECT {what} FROM {view} WHERE ({rule.where}\n){having}"


def _outside(rule: Rule) -> str:
    tests = [f"count(*) < {rule.least}"] if rule.least is not None else []
    tests += [f"count(*) > {rule.most}"] if rule.most is not None else []
    return f" HAVING {' OR '.join(tests)}"


class Result:
    """The two views of one plan. Wants the tables of `accounts` and `comparing`."""

    def __init__(self, bench: Workbench, attributes: Sequence[Mapped], moved: Iterable[Moved]) -> None:
        self._bench, self._attributes = bench, attributes
        self._moved = list(moved)
        sql = bench.sql
        sql.execute("CREATE OR REPLACE TABLE rule_people AS SELECT id, min(key) AS key FROM people GROUP BY id")
        self._lay()
        named = "LEFT JOIN rule_people p ON p.id = a.id"
        sql.execute(
            f"CREATE OR REPLACE VIEW before AS SELECT p.key, a.id, a.active{_selected(attributes, 'a.c')} "
            f"FROM accounts a {named}"
        )
        values = [f"coalesce(m.v{n}, a.c{n})" for n, _ in enumerate(attributes)]
        sql.execute(
            "CREATE OR REPLACE VIEW after AS SELECT p.key, a.id, "
            f"CASE coalesce(m.active, '') WHEN '' THEN a.active ELSE m.active = 'true' END AS active"
            f"{_selected(attributes, values)} FROM accounts a {named} LEFT JOIN rule_moved m ON m.id = a.id "
            "AND NOT m.made WHERE m.gone IS DISTINCT FROM true UNION ALL "
            f"SELECT m.key, m.id, coalesce(m.active, '') IN ('', 'true'){_selected(attributes, 'm.v')} "
            "FROM rule_moved m WHERE m.made"
        )

    def _lay(self, without: str | None = None) -> None:
        """What the plan does, without changes of one kind."""
        values = {f"v{n}": "VARCHAR" for n, _ in enumerate(self._attributes)}
        kinds = {"key": "VARCHAR", "id": "VARCHAR", "active": "VARCHAR", "made": "BOOLEAN", "gone": "BOOLEAN"} | values
        with self._bench.spooled("rules") as (path, file):
            file.write(b'{"made": null}\n')
            for one in self._moved:
                itself = without is not None and without in {"", one.kinds.get(None)}
                if without == "" or (itself and (one.made or one.gone)):
                    continue
                row: dict[str, object] = {"key": one.key, "id": one.account, "made": one.made, "gone": one.gone}
                row["active"] = "" if itself else one.active
                row |= {f"v{n}": v for n, v in one.values.items() if without is None or one.kinds.get(n) != without}
                file.write(encode(row) + b"\n")
            file.flush()
            listed = ", ".join(f"{name}: {text(kind)}" for name, kind in kinds.items())
            self._bench.sql.execute(
                f"CREATE OR REPLACE TABLE rule_moved AS SELECT * FROM read_ndjson({text(str(path))}, "
                f"columns = {{{listed}}}, maximum_object_size = 67108864) WHERE made IS NOT NULL"
            )

    @contextmanager
    def without(self, kind: str) -> Iterator[None]:
        """The directory as it would be without changes of one kind; without any where it is ""."""
        self._lay(kind)
        try:
            yield
        finally:
            self._lay()

    def uses(self, rule: Rule, paths: Collection[str]) -> bool:
        """Whether a rule may ask for one of these paths: it has the name of the column, or asks for all of them."""
        names = [name for name, index in columns(self._attributes).items() if self._attributes[index].path in paths]
        checked = _checked(self._bench, self._attributes, rule)
        written = checked if isinstance(checked, str) else f"{rule.sql} {rule.where}"
        return any(name.lower() in written.lower() for name in names) or (bool(names) and bool(_ALL.search(written)))

    def failing(self, rule: Rule) -> Failing | None:
        """The rows that a rule gives; None where it holds.

        Raises:
            ConfigError: It cannot be answered: a value does not fit, or it takes too long.
        """
        checked = _checked(self._bench, self._attributes, rule)
        if not isinstance(checked, str):
            raise ConfigError(*(f"[[rule]] {rule.name}: {fault}" for fault in checked))
        timer = threading.Timer(PATIENCE_S, self._bench.sql.interrupt)
        timer.start()
        try:
            order = "" if "order by" in checked.lower() else " ORDER BY ALL"
            cursor = self._bench.sql.execute(f"SELECT * FROM ({checked}){order}")
            names = tuple(str(one[0]) for one in cursor.description or ())
            rows = tuple(cursor.fetchmany(MOST))
            number = len(rows)
            while more := cursor.fetchmany(10_000):
                number += len(more)
        except duckdb.Error as error:
            why = f"it took more than {PATIENCE_S:.0f} s" if not timer.is_alive() else str(error).split("\n")[0]
            raise ConfigError(f"[[rule]] {rule.name}: {why}") from error
        finally:
            timer.cancel()
        return Failing(names, rows, number) if rows else None

    def concerned(self, rule: Rule, failing: Failing, keys: Sequence[str]) -> list[str]:
        """Of some people, those whom the rows of a failing rule are about: by their key, or by what they have."""
        if not rule.sql:
            away, to = ("before", "after") if rule.least is not None else ("after", "before")
            among = "key IN (SELECT unnest(?::VARCHAR[]))"
            known = [KEY, ID, ACTIVE, *columns(self._attributes)]
            asked = [rule_language.check(_where(rule, "key", "", v), self._bench.sql, known) for v in (away, to)]
            left = [f"SELECT key FROM ({one}) WHERE {among}" for one in asked if isinstance(one, str)]
            if rule.least is not None and rule.most is not None:
                both = f"(({left[0]}) EXCEPT ({left[1]})) UNION (({left[1]}) EXCEPT ({left[0]}))"
                return self._keys(both, [list(keys)] * 4)
            return self._keys(" EXCEPT ".join(left), [list(keys)] * 2)
        ours = {name.lower(): name for name in columns(self._attributes)}
        shared = [(n, ours[name.lower()]) for n, name in enumerate(failing.columns) if name.lower() in ours]
        if not shared:
            return list(keys)
        found: list[str] = []
        for row in failing.rows[:_LOOKED_AT]:
            values = [(quoted(name), row[n]) for n, name in shared]
            tests = " AND ".join(f"{name}::VARCHAR IS NOT DISTINCT FROM ?" for name, _ in values)
            told = [None if value is None else str(value) for _, value in values]
            views = " UNION ALL ".join(f"SELECT key FROM {view} WHERE {tests}" for view in rule_language.VIEWS)
            query = f"SELECT DISTINCT key FROM ({views}) WHERE key IN (SELECT unnest(?::VARCHAR[]))"
            found += self._keys(query, [*told, *told, list(keys)])
        return list(dict.fromkeys(found)) or list(keys)

    def _keys(self, query: str, parameters: Sequence[object]) -> list[str]:
        return sorted(str(key) for (key,) in self._bench.rows(query, parameters))


def _selected(attributes: Sequence[Mapped], values: str | Sequence[str]) -> str:
    """The SQL of the columns of the mapping, out of value columns."""
    found = []
    for name, index in columns(attributes).items():
        column = f"{values}{index}" if isinstance(values, str) else values[index]
        shown = _shown(attributes[index].place, f"nullif({column}, '')")
        found.append(f", {shown} AS {quoted(name)}")
    return "".join(found)


def _shown(place: Place, value: str) -> str:
    """The SQL of a value as a rule sees it: a list of the keys of its elements, and a person by the key in HR."""
    match place.kind:
        case Kind.LIST:
            members = text(f'$[*]."{place.key}"')
            return f"coalesce(json_extract_string({value}, {members}), []::VARCHAR[])"
        case Kind.BOOLEAN:
            return f"({value} = 'true')"
        case Kind.DECIMAL:
            return f"TRY_CAST({value} AS DOUBLE)"
        case Kind.REFERENCE:
            return f"coalesce((SELECT o.key FROM rule_people o WHERE o.id = {value}), {value})"
        case _:
            return value


#: all columns, as DuckDB prints them back: no product, and not the number of rows
_ALL = re.compile(r"\*(?=[,)]| FROM\b| EXCLUDE\b| REPLACE\b| RENAME\b)|\bNATURAL\b")


def texts(values: Mapping[int, Value]) -> dict[int, str]:
    """Values as the texts of value columns."""
    return {index: text_of(value) for index, value in values.items()}
