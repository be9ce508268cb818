"""A connection that has the helpers of the mapping language: each is made when a statement first names it.

To make them all takes longer than most plans compute, for DuckDB looks into each as into a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TypeAlias

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
from msgspec import Struct

_STATEMENT = re.compile(r";\n")
_MADE = re.compile(r"CREATE (?:MACRO|TABLE) (\w+)")
#: what may be a function that is called, and what may be a table
_NAME = re.compile(r"""(\w+)"?\s*\(|(?:from|into|join|update|table)\s+"?(\w+)""")


class Helped:
    """A connection to DuckDB, and statements that it runs when what they make is first named.

    Args:
        connection: The connection.
        helpers: `CREATE MACRO` and `CREATE TABLE` statements, each in front of those that need it.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, helpers: str, made: set[str] | None = None) -> None:
        self._connection, self._helpers = connection, helpers
        self._made: set[str] = set() if made is None else made

    def execute(self, query: str, parameters: object = None) -> duckdb.DuckDBPyConnection:
        """Run statements, of which the last may have parameters."""
        self._help(query)
        return self._connection.execute(query, parameters)

    def executemany(self, query: str, parameters: object = None) -> duckdb.DuckDBPyConnection:
        """Run a statement for each of many rows of parameters."""
        self._help(query)
        return self._connection.executemany(query, parameters)

    def cursor(self) -> Helped:
        """Another connection to the same tables."""
        return Helped(self._connection.cursor(), self._helpers, self._made)

    def interrupt(self) -> None:
        """Stop what another thread runs."""
        self._connection.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _help(self, query: str) -> None:
        statements, lowered = _read(self._helpers), query.lower()
        if not any(name in lowered for name in statements if name not in self._made):
            return
        wanted: dict[str, str] = {}
        for name in _names(lowered):
            self._want(name, statements, wanted)
        if wanted:
            self._connection.cursor().execute(";\n".join(wanted.values()))  # a result that is being read stays
            self._made.update(wanted)

    def _want(self, name: str, statements: Mapping[str, _Helper], wanted: dict[str, str]) -> None:
        if name not in statements or name in self._made or name in wanted:
            return
        for other in statements[name].needs:
            self._want(other, statements, wanted)
        wanted[name] = statements[name].statement


#: what has the helpers, or none of its own
Connection: TypeAlias = duckdb.DuckDBPyConnection | Helped


class _Helper(Struct, frozen=True):
    """The statement that makes one, and what may be others in it."""

    statement: str
    needs: tuple[str, ...]


@cache
def _read(helpers: str) -> Mapping[str, _Helper]:
    """The helpers by name."""
    return {
        name: _Helper(statement, tuple(other for other in _names(statement.lower()) if other != name))
        for name, statement in _named(helpers)
    }


def _names(query: str) -> Iterator[str]:
    """What a query in small letters may name."""
    for call, table in _NAME.findall(query):
        yield call or table


def _named(helpers: str) -> Iterator[tuple[str, str]]:
    for statement in _STATEMENT.split(helpers):
        if found := _MADE.search(statement):
            yield found[1], statement
