"""A connection that has the helpers of the mapping language: each is made when a statement first names it.

To make them all takes longer than most plans compute, for DuckDB looks into each as into a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TypeAlias

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute

_STATEMENT = re.compile(r";\n")
_MADE = re.compile(r"CREATE (?:MACRO|TABLE) (\w+)")


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
        statements, names = _read(self._helpers)
        wanted: dict[str, str] = {}
        for name in names.findall(query):
            self._want(name.lower(), statements, wanted)
        if wanted:
            self._connection.cursor().execute(";\n".join(wanted.values()))  # a result that is being read stays
            self._made.update(wanted)

    def _want(self, name: str, statements: _Statements, wanted: dict[str, str]) -> None:
        if name in self._made or name in wanted:
            return
        statement, needed = statements[name]
        for other in needed:
            self._want(other, statements, wanted)
        wanted[name] = statement


#: what has the helpers, or none of its own
Connection: TypeAlias = duckdb.DuckDBPyConnection | Helped


#: name -> its statement, and the helpers that this names
_Statements: TypeAlias = Mapping[str, tuple[str, tuple[str, ...]]]


@cache
def _read(helpers: str) -> tuple[_Statements, re.Pattern[str]]:
    """The statements, and what finds their names in a query."""
    made = {found[1]: statement for statement, found in _named(helpers)}
    names = re.compile(rf"\b({'|'.join(made)})\b", re.IGNORECASE)
    found = {name: tuple(dict.fromkeys(names.findall(statement))) for name, statement in made.items()}
    return {name: (made[name], tuple(one for one in needed if one != name)) for name, needed in found.items()}, names


def _named(helpers: str) -> Iterator[tuple[str, re.Match[str]]]:
    for statement in _STATEMENT.split(helpers):
        if found := _MADE.search(statement):
            yield statement, found
