"""The language of rules: one SELECT over the two views `before` and `after`, behind an allow-list.

As with the mapping language, DuckDB parses it, its tree is checked node by node, and only the text that DuckDB prints
back from the checked tree is ever run. Whatever is not listed is refused: other tables, files, settings, table
functions, WITH.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

import _duckdb as duckdb  # the compiled half alone: the other half takes longer to load than a plan to compute
from msgspec import Struct, field

from scimsync.workbench import widths
from scimsync.workbench.bench import quoted
from scimsync.workbench.expressions import CLASSES, OPERATOR_TYPES, OPERATORS, PLAIN_FUNCTIONS, TYPES, Fault, children
from scimsync.workbench.helped import Connection
from scimsync.workbench.statuses import Tree
from scimsync.workbench.trees import parsed

#: the two views
VIEWS = ("before", "after")
#: Functions over the rows of a group, and `unnest`, which makes rows of a list.
AGGREGATES = frozenset(
    """
    count count_star count_if sum avg min max median mode bool_and bool_or any_value string_agg list array_agg unnest
    """.split()
)
_CLASSES = CLASSES | {"SUBQUERY", "STAR"}
_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE"})
_TABLES = frozenset({"BASE_TABLE", "JOIN", "SUBQUERY", "EMPTY"})
_REST = frozenset("ORDER_MODIFIER LIMIT_MODIFIER DISTINCT_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING".split())
_JOINS = frozenset({"INNER", "LEFT", "RIGHT", "OUTER", "SEMI", "ANTI"})
_WAYS = frozenset({"REGULAR", "CROSS", "NATURAL"})
_WORDS = {
    "TABLE_FUNCTION": "a table function",
    "EXPRESSION_LIST": "VALUES",
    "WINDOW": "a window function",
    "PARAMETER": "a parameter",
    "COLLATE": "COLLATE",
    "RECURSIVE_CTE_NODE": "WITH RECURSIVE",
    "PIVOT": "PIVOT",
    "SHOW_REF": "SHOW or DESCRIBE",
}


def check(text: str, connection: Connection, columns: Sequence[str]) -> str | tuple[Fault, ...]:
    """Check one query against the allow-list, and its columns against the views.

    Args:
        text: The query.
        connection: Has the views, so that names and types can be looked up.
        columns: The columns of the views.

    Returns:
        The text that is safe to run, or all faults.
    """
    if not text.strip() or "\0" in text:
        return (Fault("the query is empty, or holds a character that is no text"),)
    answer = parsed(_ask(connection, "SELECT json_serialize_sql(?)", text))
    if answer.get("error"):
        place = answer.get("position")
        reason = str(answer.get("error_message", "not understood")).split("\n")[0]
        return (Fault(reason, int(str(place)) + 1 if str(place or "").isdigit() else None),)
    if len(answer["statements"]) != 1:
        return (Fault("a rule is one SELECT, and this is several statements"),)
    walk = _Walk(text)
    walk.node(answer["statements"][0])
    if walk.faults:
        return tuple(dict.fromkeys(walk.faults))
    sql = _ask(connection, "SELECT json_deserialize_sql(?::JSON)", json.dumps(answer)).removesuffix(";")
    try:
        connection.execute(f"DESCRIBE {sql}").fetchall()
    except duckdb.Error as error:
        return (_unbound(str(error), text, columns),)
    return sql


def _ask(connection: Connection, query: str, argument: str) -> str:
    row = connection.execute(query, [argument]).fetchone()
    return str(row[0]) if row else ""


class _Walk(Struct):
    """One walk over one tree."""

    text: str
    faults: list[Fault] = field(default_factory=list)

    def fault(self, node: Tree, reason: str) -> None:
        place = node.get("query_location")
        inside = isinstance(place, int) and 0 <= place < len(self.text)
        self.faults.append(Fault(reason, place + 1 if inside else None))  # type: ignore[operator]

    def node(self, node: object) -> None:
        """Look at a part of the tree, and at all below it."""
        if isinstance(node, list):
            for each in node:
                self.node(each)
        if not isinstance(node, dict):
            return
        given = node.get("type")
        kind = given if isinstance(given, str) else None
        if "class" in node:
            self.expression(node)
        elif kind in _NODES:
            self.query(node)
        elif kind in _TABLES:
            self.table(node)
        elif kind is not None and kind not in _REST:
            self.fault(node, _refused(kind))
            return
        for below in node.values():
            self.node(below)

    def query(self, node: Tree) -> None:
        with_ = node.get("cte_map")
        if isinstance(with_, dict) and with_.get("map"):
            self.fault(node, "WITH is not allowed in a rule; write the query in brackets behind FROM")
        if node.get("sample"):
            self.fault(node, "a sample is not allowed in a rule: it gives another answer each time")

    def table(self, node: Tree) -> None:
        if node.get("sample"):
            self.fault(node, "a sample is not allowed in a rule: it gives another answer each time")
        if node.get("type") == "JOIN":
            for kind, allowed in ((node.get("join_type"), _JOINS), (node.get("ref_type"), _WAYS)):
                if kind not in allowed:
                    self.fault(node, f"a join of the kind {kind} is not allowed in a rule")
        if node.get("type") != "BASE_TABLE":
            return
        named = node.get("qualified_name")
        path = named.get("path") if isinstance(named, dict) else None
        name = str(node.get("table_name", ""))
        qualified = bool(node.get("schema_name") or node.get("catalog_name")) or path != [name]
        if name.lower() in VIEWS and (qualified or node.get("at_clause")):
            self.fault(node, f"a table is called by its bare name, as {name.lower()}")
        elif name.lower() not in VIEWS or qualified:
            near = get_close_matches(name.lower(), VIEWS, n=1, cutoff=0.5)
            meant = f"; did you mean {near[0]}?" if near else ""
            self.fault(node, f"{name} is not one of the tables of a rule, before and after{meant}")

    def expression(self, node: Tree) -> None:
        kind = str(node.get("class"))
        if kind not in _CLASSES:
            self.fault(node, _refused(kind))
        elif kind == "FUNCTION":
            self.function(node)
        elif kind == "LAMBDA" and node.get("syntax_type") != "LAMBDA_KEYWORD":
            self.fault(node, "an arrow is not allowed in a rule; a lambda is written lambda x: ...")
        elif kind == "OPERATOR" and node.get("type") not in OPERATOR_TYPES:
            self.fault(node, f"{str(node.get('type')).lower()} is not allowed in a rule")
        elif kind == "TYPE" and (str(node.get("type_name", "")).lower() not in TYPES or _is_qualified(node)):
            self.fault(node, f"the type {node.get('type_name')} is not allowed in a rule")
        elif kind == "STAR" and node.get("columns"):
            self.fault(node, "COLUMNS is not allowed in a rule")

    def function(self, node: Tree) -> None:
        name = str(node.get("function_name", "")).lower()
        if _is_qualified(node):
            self.fault(node, f"a function is called by its bare name, as {name}(...)")
        elif reason := widths.fault(name, list(children(node))):
            self.fault(node, reason)
        elif name not in PLAIN_FUNCTIONS | AGGREGATES | OPERATORS:
            near = get_close_matches(name, PLAIN_FUNCTIONS | AGGREGATES, n=1, cutoff=0.6)
            meant = f"; did you mean {near[0]}?" if near else ""
            self.fault(node, f"the function {name} is not allowed in a rule{meant}")


def _is_qualified(node: Tree) -> bool:
    name = node.get("qualified_name")
    path = name.get("path") if isinstance(name, dict) else None
    long = isinstance(path, list) and len([part for part in path if part]) > 1
    return long or bool(node.get("schema") or node.get("catalog"))


def _refused(kind: str) -> str:
    return f"{_WORDS.get(kind, kind.lower().removesuffix('_node'))} is not allowed in a rule"


#: how DuckDB says that there is no such column
_NO_COLUMN = re.compile(r'Referenced column "([^"]*)"|does not have a column named "([^"]*)"')


def _unbound(said: str, text: str, columns: Sequence[str]) -> Fault:
    found = _NO_COLUMN.search(said)
    if found is None:
        return Fault(said.split("\n", maxsplit=1)[0].removeprefix("Binder Error: "))
    name = found[1] or found[2]
    near = list(_near(name, columns))
    meant = f"; did you mean {_written(near[0])}?" if near else f"; there are {', '.join(map(_written, columns))}"
    place = text.lower().find(name.lower())
    return Fault(f"before and after have no column {name}{meant}", place + 1 if place >= 0 else None)


def _near(name: str, columns: Iterable[str]) -> Iterator[str]:
    known = {column.lower(): column for column in columns}
    for found in get_close_matches(name.lower(), known, n=1, cutoff=0.6):
        yield known[found]


def _written(column: str) -> str:
    return column if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", column) else quoted(column)
