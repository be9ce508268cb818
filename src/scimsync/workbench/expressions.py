"""The mapping language: SQL expressions over one record, behind an allow-list.

An expression is parsed by DuckDB, its tree is checked node by node against the lists below, and only the text that
DuckDB prints back from the checked tree is ever run. Whatever is not listed is refused: no tables, no subqueries, no
files, no settings, no aggregates, no parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial

from msgspec import Struct, field

from scimsync.workbench import days, statuses, trees, widths
from scimsync.workbench.helped import Connection
from scimsync.workbench.sources import ONE, Sources, bare
from scimsync.workbench.statuses import Tree

#: Functions that read nothing but their arguments and give the same answer each time.
PLAIN_FUNCTIONS = frozenset(
    """
    lower upper trim ltrim rtrim left right substr substring replace translate reverse lpad rpad
    length strlen concat concat_ws split_part string_split str_split regexp_replace regexp_matches regexp_extract
    regexp_full_match starts_with ends_with contains prefix suffix position strpos instr strip_accents nfc_normalize
    format printf chr ascii
    coalesce nullif ifnull greatest least
    abs round floor ceil ceiling trunc sign mod
    date_trunc date_part date_diff datediff date_add date_sub year month day strftime try_strptime
    make_date to_days to_months to_years today now timezone
    list_value list_transform list_filter list_distinct list_sort list_concat list_contains list_has list_extract
    list_append array_to_string len struct_pack struct_extract
    """.split()
)
#: Operators that the parser writes as functions.
OPERATORS = frozenset({"||", "+", "-", "*", "/", "%", "//", "~~", "!~~", "~~*", "!~~*", "~~~", "!~~~", "^@"})
#: Our own helpers: how many arguments they take, and how people call them.
HELPERS: Mapping[str, tuple[int, int, str]] = {
    "e164": (1, 2, "e164(phone, country)"),
    "ref": (1, 1, "ref(manager_id)"),
    "account": (1, 1, "account('boss@example.com')"),
    "skills": (1, 3, "skills(text, ';', ':')"),
    "names": (1, 2, "names(text, ';')"),
    "blank": (1, 1, "blank(column)"),
    "title_case": (1, 1, "title_case(column)"),
    "one_of": (2, 100, "one_of(status, 'active', 'on leave')"),
    "as_date": (1, 1, "as_date(hire_date)"),
    "excel_date": (1, 1, "excel_date(hire_date)"),
}
CLASSES = frozenset(
    "COLUMN_REF CONSTANT FUNCTION CASE CAST COMPARISON CONJUNCTION OPERATOR BETWEEN LAMBDA TYPE".split()
)
OPERATOR_TYPES = frozenset(
    """
    OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL OPERATOR_COALESCE OPERATOR_NULLIF OPERATOR_TRY
    COMPARE_IN COMPARE_NOT_IN ARRAY_EXTRACT ARRAY_SLICE STRUCT_EXTRACT ARRAY_CONSTRUCTOR
    """.split()
)
TYPES = frozenset(
    """
    varchar text string char bpchar boolean bool logical tinyint smallint integer int bigint hugeint utinyint usmallint
    uinteger ubigint int1 int2 int4 int8 short long signed float float4 float8 real double decimal dec numeric
    date time timestamp datetime interval list array struct
    """.split()
)
_HIDDEN = ("node", "subquery")
#: names that mean a table or a schema before they mean the parameter of a lambda
_RESERVED = frozenset("records main memory system temp workbench pg_catalog information_schema".split())
_WORDS = frozenset({"current_date"})  # the parser takes it for a column

#: A value that begins with this character is a fault of the record, not a value; the rest is its code.
FAULT_MARK = "\x01"
PHONE_MARK = f"{FAULT_MARK}phone"  #: what is known to be wrong with the number follows behind a colon
#: A reference that begins with this character names a login or the id of an account, not a source key.
ACCOUNT_MARK = "\x02"

#: The helpers as SQL. `e164` looks up a table that the library filled beforehand, so that each distinct number is
#: parsed once. The columns of that table have names that no source has: the arguments are looked up beside them.
MACROS = f"""{statuses.MACROS}
{widths.MACROS}
{days.MACROS}
CREATE TABLE phone_memo (scimsync_raw VARCHAR, scimsync_region VARCHAR, scimsync_e164 VARCHAR);
CREATE MACRO phone_of(phone, country) AS
  CASE WHEN tidy(phone) IS NULL OR tidy(phone) = '' THEN NULL
       WHEN regexp_full_match(tidy(phone), '\\+[1-9][0-9]{{6,14}}') THEN tidy(phone)
       ELSE coalesce((SELECT scimsync_e164 FROM phone_memo WHERE scimsync_raw = tidy(phone)
                      AND scimsync_region = coalesce(upper(tidy(country)), '')), '{PHONE_MARK}') END;
CREATE MACRO e164(phone) AS phone_of(phone, NULL), (phone, country) AS phone_of(phone, country);
CREATE MACRO ref(key) AS nullif(tidy(key), '');
CREATE MACRO account(name) AS '{ACCOUNT_MARK}' || nullif(tidy(name), '');
CREATE MACRO blank(text) AS nullif(tidy(text), '');
CREATE MACRO title_case(text) AS
  array_to_string(list_transform(string_split(text, ' '),
    lambda word: upper(left(word, 1)) || lower(substr(word, 2))), ' ');
CREATE MACRO names_of(text, separator) AS
  list_distinct(list_filter(list_transform(string_split(text, separator), lambda part: tidy(part)),
    lambda part: part <> ''));
CREATE MACRO names(text) AS names_of(text, ';'), (text, separator) AS names_of(text, separator);
CREATE MACRO level_of(text) AS
  coalesce(TRY_CAST(text AS DOUBLE), CASE WHEN coalesce(tidy(text), '') = '' THEN 0.0
    ELSE coalesce(TRY_CAST(tidy(text) AS DOUBLE), -1.0) END);
CREATE MACRO skills_of(text, separator, sign) AS
  list_transform(list_transform(list_filter(string_split(text, separator), lambda part: tidy(part) <> ''),
    lambda part: string_split(part, sign)),
    lambda pair: {{'name': tidy(pair[1]), 'proficiency': level_of(pair[2])}});
CREATE MACRO skills(text) AS skills_of(text, ';', ':'), (text, separator) AS skills_of(text, separator, ':'),
  (text, separator, sign) AS skills_of(text, separator, sign);
"""


class Fault(Struct, frozen=True):
    """Why an expression was refused: the sentence, and the character where it is (from 1), if known."""

    reason: str
    column: int | None = None

    def __str__(self) -> str:
        """The reason with its place."""
        return f"{self.reason} (at character {self.column})" if self.column else self.reason


class Expression(Struct, frozen=True, kw_only=True):
    """A checked expression: the text that is safe to run, and what it needs."""

    sql: str
    columns: frozenset[str]
    #: the arguments of each `e164` call as SQL: what the phone library must be asked beforehand
    phones: tuple[tuple[str, str], ...] = ()
    is_reference: bool = False
    #: what is compared with status words, as SQL, with the words that are named for it
    statuses: tuple[tuple[str, tuple[str, ...]], ...] = ()
    #: the mapping leaves open what other words mean
    is_bare: bool = False
    #: the test, as SQL, whether a text that is read as a day is none; "" where no text is
    undated: str = ""


class _Check(Struct):
    """One walk over one tree."""

    text: str
    known: Mapping[str, str] | None
    sources: Sources = ONE
    faults: list[Fault] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)
    phones: list[tuple[Tree, Tree | None]] = field(default_factory=list)

    def fault(self, node: Tree, reason: str) -> None:
        place = node.get("query_location")
        inside = isinstance(place, int) and len(_SELECT) <= place < len(_SELECT) + len(self.text)
        self.faults.append(Fault(reason, place - len(_SELECT) + 1 if inside else None))  # type: ignore[operator]

    def walk(self, node: Tree, bound: frozenset[str]) -> None:
        kind = node.get("class")
        if kind not in CLASSES:
            self.fault(node, _refusal(str(kind)))
            return
        match kind:
            case "COLUMN_REF":
                self.column(node, bound)
                return
            case "FUNCTION":
                self.function(node, bound)
            case "LAMBDA":
                bound = bound | self.parameters(node)
            case "OPERATOR" if node.get("type") not in OPERATOR_TYPES:
                self.fault(node, f"{str(node.get('type')).lower()} is not allowed in a mapping")
            case "TYPE" if str(node.get("type_name", "")).lower() not in TYPES or _is_qualified(node):
                self.fault(node, f"the type {node.get('type_name')} is not allowed in a mapping")
        for child in children(node):
            self.walk(child, bound)

    def parameters(self, node: Tree) -> frozenset[str]:
        """The names that a lambda binds; anything else on its left side would go unchecked."""
        names = _parameters(node)
        if names is None or node.get("syntax_type") != "LAMBDA_KEYWORD":
            self.fault(node, "an arrow is not allowed in a mapping; a lambda is written lambda x: ...")
            return frozenset()
        for name in sorted(names & (_RESERVED | self.sources.names)):
            self.fault(node, f"the parameter of a lambda cannot be called {name}")
        return names

    def column(self, node: Tree, bound: frozenset[str]) -> None:
        names = node.get("column_names")
        if not isinstance(names, list):
            return
        if names and str(names[0]).lower() in bound | _WORDS:
            return
        if len(names) != 1:
            self.fault(node, f"{'.'.join(map(str, names))} is not a column of the source")
            return
        name = str(names[0])
        if self.known is not None and name.lower() not in self.known and not self.sources.is_absent(name):
            near = get_close_matches(name.lower(), self.known, n=1, cutoff=0.5)
            hint = f"; did you mean {self.known[near[0]]}?" if near else ""
            self.fault(node, f"the source has no column {name}{hint}")
        self.columns.add(name)

    def function(self, node: Tree, bound: frozenset[str]) -> None:
        name = str(node.get("function_name", "")).lower()
        arguments = list(children(node))
        if _is_qualified(node):
            self.fault(node, f"a function is called by its bare name, as {name}(...)")
        elif name != "struct_pack" and _has_names(node):
            self.fault(node, f"the arguments of {name} have no names in a mapping")
        elif name in HELPERS:
            self.helper(node, name, arguments, bound)
        elif reason := widths.fault(name, arguments):
            self.fault(node, reason)
        elif name not in PLAIN_FUNCTIONS and name not in OPERATORS:
            near = get_close_matches(name, [*PLAIN_FUNCTIONS, *HELPERS], n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.fault(node, f"the function {name} is not allowed in a mapping{hint}")
        orders = node.get("order_bys")
        if node.get("filter") or node.get("distinct") or (isinstance(orders, dict) and orders.get("orders")):
            self.fault(node, "aggregates are not allowed in a mapping")

    def helper(self, node: Tree, name: str, arguments: Sequence[Tree], bound: frozenset[str]) -> None:
        least, most, usage = HELPERS[name]
        if not least <= len(arguments) <= most:
            self.fault(node, f"{name} is called as {usage}")
        elif name == "e164":
            if bound:
                self.fault(node, "e164 cannot stand inside a lambda")
            self.phones.append((arguments[0], arguments[1] if len(arguments) > 1 else None))
        elif name == "one_of" and (reason := statuses.one_of_fault(arguments)):
            self.fault(node, reason)


_SELECT, _PARSE = "SELECT ", "SELECT json_serialize_sql(?)"


def check(  # noqa: PLR0913 - what is known of the columns, and what is asked for
    text: str,
    connection: Connection,
    columns: Sequence[str] | None = None,
    *,
    is_status: bool = False,
    texts: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
    is_test: bool = False,
    sources: Sources = ONE,
) -> Expression | tuple[Fault, ...]:
    """Check one expression against the allow-list, and its columns against the source where known.

    Args:
        text: The expression.
        connection: A connection that parses.
        columns: The columns of the source; only the grammar is checked where None.
        is_status: It says whether somebody is active, so texts in it are status words (`statuses`).
        texts: Column of numbers, in small letters -> the column that holds them as they were written.
        kinds: Column, in small letters -> its type, as far as it is known.
        is_test: It says of a person what is so or not, and is null where a day that it asks for is none (`days`).
        sources: How the sources are called of which columns may be named.

    Returns:
        The checked expression, or all its faults.
    """
    tree = tree_of(text, connection)
    if isinstance(tree, Fault):
        return (tree,)
    tree = bare(tree, sources)
    known = None if columns is None else {name.lower(): name for name in columns}
    walk = _Check(text, known, sources)
    walk.walk(tree, frozenset())
    named = [node for node in everything(tree) if _is_reference(node)]
    results = list(_results(tree))
    reference = bool(named) and all(_is_reference(node) or _is_null(node) for node in results)
    if named and (not reference or len(named) > sum(map(_is_reference, results))):
        name = str(named[0].get("function_name", "")).lower()
        walk.fault(tree, f"{name}(...) must be the whole expression, or all that CASE or coalesce may give")
    if walk.faults:
        return tuple(dict.fromkeys(walk.faults))
    phones = tuple(
        (printed(raw, connection), printed(country, connection) if country else "NULL") for raw, country in walk.phones
    )
    dated = days.Days(tree, kinds or {})
    tests = days.bad(dated.readings)
    tree = dated.doubt() if is_status or is_test else dated.tree
    reading = statuses.Reading(tree) if is_status else None
    read = as_written(reading.tree if reading else statuses.named(tree), texts or {})
    show = partial(printed, connection=connection)
    sql, fillers = days.spared(read, kinds or {}, show) if is_status else (show(read), "")
    return Expression(
        sql=sql,
        columns=frozenset(walk.columns),
        phones=phones,
        is_reference=reference,
        statuses=tuple((show(given), named) for given, named in reading.given) if reading else (),
        is_bare=reading is not None and reading.is_bare,
        undated=" OR ".join(filter(None, [show(as_written(tests, texts or {})) if tests else "", fillers])),
    )


def tree_of(text: str, connection: Connection) -> Tree | Fault:
    """The tree of one value, or why it is none."""
    if not text.strip():
        return Fault("the expression is empty")
    if "\0" in text:
        return Fault("the expression holds a character that is no text", text.index("\0") + 1)
    answer = trees.parsed(_ask(connection, _PARSE, _SELECT + text))
    if answer.get("error"):
        place = int(answer.get("position") or 0) - len(_SELECT) + 1
        return Fault(str(answer.get("error_message", "not understood")), place if place > 0 else None)
    statements = answer["statements"]
    node = statements[0]["node"]
    plain = (
        len(statements) == 1
        and node.get("type") == "SELECT_NODE"
        and node["from_table"]["type"] == "EMPTY"
        and not node.get("where_clause")
        and not node.get("having")
        and not node.get("qualify")
        and not node.get("sample")
        and not node.get("modifiers")
        and not node["cte_map"]["map"]
        and not node.get("group_expressions")
    )
    if not plain:
        return Fault(_NOT_PLAIN)
    if len(node["select_list"]) != 1:
        return Fault("an expression is one value, and this is several; a comma too many?")
    tree: Tree = node["select_list"][0]
    if tree.get("alias"):
        return Fault(f"what shall {tree['alias']} do behind the value? Texts are joined with ||")
    # in brackets only a value parses: no `;`, no GROUP BY ALL, no WINDOW
    inside = trees.parsed(_ask(connection, _PARSE, _bracketed(text)))
    return Fault(_NOT_PLAIN) if inside.get("error") else tree


#: where a number is wanted as a text: as the whole value, or as an argument of these
_OF_TEXTS = PLAIN_FUNCTIONS & frozenset(
    """
    lower upper trim ltrim rtrim left right substr substring replace translate reverse lpad rpad length strlen concat
    concat_ws split_part string_split str_split regexp_replace regexp_matches regexp_extract regexp_full_match
    starts_with ends_with contains prefix suffix position strpos instr strip_accents nfc_normalize
    """.split()
) | HELPERS.keys() | {"||"}  # fmt: skip


def as_written(node: Tree, texts: Mapping[str, str], *, wanted: bool = True) -> Tree:
    """The tree with the texts of numbers in the place of columns whose text is wanted: 4711 is not 4711.0."""
    names = node.get("column_names")
    if node.get("class") == "COLUMN_REF" and isinstance(names, list) and len(names) == 1:
        return {**node, "column_names": [texts.get(str(names[0]).lower(), names[0]) if wanted else names[0]]}
    if not texts:
        return node
    kind, name = node.get("class"), str(node.get("function_name", "")).lower()
    type_ = node.get("type_expr")
    to = str(type_.get("type_name", "")).lower() if isinstance(type_, dict) else ""
    below = (kind == "FUNCTION" and name in _OF_TEXTS) or (kind == "CAST" and to in {"varchar", "text", "string"})
    return {key: _each_as_written(member, texts, wanted=below) for key, member in node.items()}


def _each_as_written(member: object, texts: Mapping[str, str], *, wanted: bool) -> object:
    if isinstance(member, list):
        return [_each_as_written(one, texts, wanted=wanted) for one in member]
    if not isinstance(member, dict):
        return member
    if "class" in member:
        return as_written(member, texts, wanted=wanted)
    return {name: _each_as_written(one, texts, wanted=wanted) for name, one in member.items()}


_NOT_PLAIN = "an expression is one value; SELECT, FROM, WHERE, semicolons and the like have no place in it"


def printed(tree: Tree, connection: Connection) -> str:
    """A tree as SQL."""
    answer = json.loads(_ask(connection, _PARSE, "SELECT 1"))
    answer["statements"][0]["node"]["select_list"] = [{**tree, "alias": ""}]
    printed = _ask(connection, "SELECT json_deserialize_sql(?::JSON)", json.dumps(answer))
    return printed.removeprefix(_SELECT).removesuffix(";")


#: what the parser answered; it answers the same each time, and a service asks for each call
_ANSWERS: dict[tuple[str, str], str] = {}
_MOST_ANSWERS = 2000


def foresee(connection: Connection, expressions: Iterable[str]) -> None:
    """Have many expressions parsed at once that will be checked one by one."""
    texts = [text for text in expressions if text.strip() and "\0" not in text]
    wanted = [
        words for text in texts for words in (_SELECT + text, _bracketed(text)) if (_PARSE, words) not in _ANSWERS
    ]
    if wanted and len(_ANSWERS) + len(wanted) <= _MOST_ANSWERS:
        found = connection.execute("SELECT w, json_serialize_sql(w) FROM (SELECT unnest(?::VARCHAR[]) AS w)", [wanted])
        _ANSWERS.update({(_PARSE, words): str(tree) for words, tree in found.fetchall()})


def _bracketed(text: str) -> str:
    return f"{_SELECT}({text}\n)"


def _ask(connection: Connection, query: str, argument: str) -> str:
    answer = _ANSWERS.get((query, argument))
    if answer is None:
        row = connection.execute(query, [argument]).fetchone()
        answer = str(row[0]) if row else ""
        if len(_ANSWERS) >= _MOST_ANSWERS:
            _ANSWERS.clear()
        _ANSWERS[query, argument] = answer
    return answer


def children(node: Tree) -> Iterator[Tree]:
    """The sub-expressions of a node: whatever has a class, however deep it is wrapped."""
    for name, member in node.items():
        if name == "lhs" and node.get("class") == "LAMBDA":
            continue
        yield from _expressions(member)


def _expressions(member: object) -> Iterator[Tree]:
    if isinstance(member, list):
        for item in member:
            yield from _expressions(item)
    elif isinstance(member, dict):
        if "class" in member:
            yield member
        elif any(name in member for name in _HIDDEN):
            yield {"class": "SUBQUERY"}
        else:
            for inner in member.values():
                yield from _expressions(inner)


def everything(node: Tree) -> Iterator[Tree]:
    """A node and all sub-expressions below it."""
    yield node
    for child in children(node):
        yield from everything(child)


def _is_call(node: Tree, name: str) -> bool:
    return node.get("class") == "FUNCTION" and str(node.get("function_name", "")).lower() == name


def _is_reference(node: Tree) -> bool:
    return _is_call(node, "ref") or _is_call(node, "account")


def _is_null(node: Tree) -> bool:
    literal = node.get("literal")
    return node.get("class") == "CONSTANT" and isinstance(literal, dict) and literal.get("kind") == "NULL_LITERAL"


def _results(node: Tree) -> Iterator[Tree]:
    """What an expression may give: the branches of CASE and coalesce, however deep, or the whole of it."""
    checks, given = node.get("case_checks"), node.get("children")
    if node.get("class") == "CASE" and isinstance(checks, list):
        branches = [check["then_expr"] for check in checks] + [node["else_expr"]]
    elif node.get("type") == "OPERATOR_COALESCE" and isinstance(given, list):
        branches = given
    else:
        yield node
        return
    for branch in branches:
        if isinstance(branch, dict):
            yield from _results(branch)


def _parameters(node: Tree) -> frozenset[str] | None:
    """The parameters on the left of a lambda: one name or a row of names; None for anything else."""
    left = node.get("lhs")
    if not isinstance(left, dict):
        return None
    parts = list(children(left)) if _is_call(left, "row") else [left]
    names = [part.get("column_names") for part in parts]
    if any(part.get("class") != "COLUMN_REF" for part in parts):
        return None
    return frozenset(str(name[0]).lower() for name in names if isinstance(name, list) and len(name) == 1)


def _is_qualified(node: Tree) -> bool:
    name = node.get("qualified_name")
    path = name.get("path") if isinstance(name, dict) else None
    long = isinstance(path, list) and len([part for part in path if part]) > 1
    return long or bool(node.get("schema") or node.get("catalog"))


def _has_names(node: Tree) -> bool:
    arguments = node.get("arguments")
    listed = arguments if isinstance(arguments, list) else []
    return any(isinstance(argument, dict) and argument.get("name") for argument in listed)


def _refusal(kind: str) -> str:
    words = {"SUBQUERY": "a subquery", "WINDOW": "a window function", "STAR": "*", "PARAMETER": "a parameter"}
    return f"{words.get(kind, kind if kind == 'COLLATE' else kind.lower())} is not allowed in a mapping"
