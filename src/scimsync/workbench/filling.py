"""Fill the table `desired`: every record mapped, in as few statements as there can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scimsync.core.desired import is_main
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Kind, Place
from scimsync.workbench.bench import PLACE, N, Workbench, quoted
from scimsync.workbench.expressions import Expression
from scimsync.workbench.values import list_text


def spoiled_in(bench: Workbench) -> frozenset[int]:
    """The attributes of which some value is bad."""
    return frozenset(int(str(index)) for (index,) in bench.rows("SELECT DISTINCT i FROM spoiled"))


def fill(
    bench: Workbench,
    attributes: Sequence[Mapped],
    expressions: Mapping[str, Expression],
    key: str,
    spoiled: frozenset[int],
) -> None:
    """Make the table `desired`; what is in `spoiled`, which are these attributes, is not computed."""
    given, columns, joins, looked, days = [], [], [], [], list[int]()
    for index, mapped in enumerate(attributes):
        expression = expressions[mapped.path]
        value, finished = _part(mapped, attributes, expressions), f"d{index}"
        if index in spoiled:  # apart and first, because a look-up inside of an expression is made for all rows
            rows = f"records WHERE {N} NOT IN (SELECT n FROM spoiled WHERE i = {index})"
            bench.sql.execute(_apart(index, N, value, rows))
            joins.append(f"LEFT JOIN good{index} ON good{index}.{_K} = {N}")
            value = f"good{index}.{_V}"
        elif mapped.place.kind is Kind.LIST and (column := _repeating(bench, expression)):
            bench.sql.execute(_apart(index, column, value, f"(SELECT DISTINCT {column} FROM records)"))
            joins.append(f"LEFT JOIN good{index} ON good{index}.{_K} IS NOT DISTINCT FROM records.{column}")
            value = f"good{index}.{_V}"
        elif value == desired(mapped.place, expression.sql):
            # in two steps, because what the second looks at more than once is computed once so
            value, finished = f"({expression.sql})", f"{desired(mapped.place, f'd{index}')} AS d{index}"
            if mapped.place.kind is Kind.DATE:
                days.append(index)
                finished = f"nullif(tidy(d{index}), '') AS d{index}"
            if expression.phones:
                looked.append(f"{value} AS {_V}{index}")
                value = f"looked.{_V}{index}"
        given.append(f"{value} AS d{index}")
        columns.append(finished)
    if looked:  # apart, because a look-up carries along every column that is read beside it
        bench.sql.execute(
            f"CREATE OR REPLACE TEMP TABLE looked AS SELECT {N} AS {_K}, {', '.join(looked)} FROM records"
        )
        joins.append(f"LEFT JOIN looked ON looked.{_K} = {N}")
    rows = (
        f"SELECT n, place, key, {', '.join(columns)} FROM (SELECT {N} AS n, "
        f"{PLACE} AS place, tidy({quoted(key)}) AS key, {', '.join(given)} FROM records {' '.join(joins)})"
    )
    if days:
        read = ", ".join(f"{_day(f'd{index}')} AS d{index}" for index in days)
        rows = f"SELECT * REPLACE ({read}) FROM ({rows})"
    bench.sql.execute(f"CREATE OR REPLACE TABLE desired AS {rows}")
    if looked:
        bench.sql.execute("DROP TABLE looked")


#: names that no column of a source has
_K, _V = "scimsync_key", "scimsync_value"


def _apart(index: int, key: str, value: str, rows: str) -> str:
    """The statement that computes one value apart from the others."""
    return f"CREATE OR REPLACE TEMP TABLE good{index} AS SELECT {key} AS {_K}, {value} AS {_V} FROM {rows}"


def _repeating(bench: Workbench, expression: Expression) -> str:
    """The one column that an expression reads, quoted, where so few different texts are in it that each is mapped once.

    Lists cost more than all else, and the same few sets of skills stand in many records.
    """
    names = {column.name.lower(): quoted(column.name) for column in bench.columns if column.type == "VARCHAR"}
    read = [names.get(name.lower(), "") for name in expression.columns]
    if len(read) != 1 or not read[0] or expression.phones:
        return ""
    few = bench.sql.execute(f"SELECT approx_count_distinct({read[0]}) * 8 < count(*) FROM records").fetchone()
    return read[0] if few is not None and few[0] else ""


def desired(place: Place, expression: str) -> str:
    """The SQL that turns the value of an expression into the text of a value column."""
    match place.kind:
        case Kind.LIST:
            return list_text(place, f"({expression})", of_text=True)
        case Kind.DECIMAL:
            return f"CAST(CAST(({expression}) AS DOUBLE) AS VARCHAR)"
        case Kind.DATE:
            return _day(f"nullif(tidy(({expression})), '')")
        case _:
            return f"nullif(tidy(({expression})), '')"


def _day(written: str) -> str:
    """The SQL of a tidy text as a day, where it is one."""
    return f"coalesce(day_in({written})::VARCHAR, {written})"


def _part(mapped: Mapped, attributes: Sequence[Mapped], expressions: Mapping[str, Expression]) -> str:
    """A desired value; that of a part of an element is none where the element has no `value`."""
    wanted = desired(mapped.place, expressions[mapped.path].sql)
    for other in attributes:
        if is_main(other, mapped):
            return f"CASE WHEN {desired(other.place, expressions[other.path].sql)} IS NOT NULL THEN {wanted} END"
    return wanted
