"""Which type an expression gives over the table `records`, asked of DuckDB without a record being read."""

from __future__ import annotations

from collections.abc import Sequence

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute

from scimsync.workbench.bench import Workbench

#: columns and expressions -> types: a process that plans again asks the same
_KNOWN: dict[tuple[object, ...], list[str]] = {}
_MOST_KNOWN = 500


def described(bench: Workbench, expressions: Sequence[str]) -> list[str]:
    """The type that each expression gives.

    Raises:
        duckdb.Error: One of them does not fit the columns.
    """
    asked = (bench.columns, *bench.texts.items(), *expressions)
    if asked not in _KNOWN:
        columns = ", ".join(f"{sql} AS v{n}" for n, sql in enumerate(expressions)) or "0"
        found = [str(row[1]) for row in bench.sql.execute(f"DESCRIBE SELECT {columns} FROM records").fetchall()]
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[asked] = found
    return [*_KNOWN[asked]]


def type_of(bench: Workbench, sql: str, where: str, faults: list[str]) -> str:
    """The type of one expression; "" where it does not fit the columns, which is then one more fault.

    Args:
        bench: Has the table `records`.
        sql: The expression, checked.
        where: Its place in the configuration.
        faults: Takes the fault.
    """
    try:
        (found,) = described(bench, [sql])
    except duckdb.Error as error:
        faults.append(f"{where}: {str(error).split(chr(10))[0].removeprefix('Binder Error: ')}")
        return ""
    return found
