"""One idea of a day: a DATE, a moment, a text of HR, whatever a source gives, is the same day wherever it is read.

A moment with a zone is the day that it is in the zone of the workbench; one without is the day that is written. What
is compared with a day (`hire_date <= today()`) is read as one, so that a column of texts compares like a DATE.

A text that is no day decides nothing. In an expression that says who has access, AND, OR and NOT are read part by part
as they are with status words (`statuses`): a part that asks for such a day is unknown, whatever stands around the
comparison (CASE, COALESCE), so that nobody gets or loses access by a typing mistake, and another ground decides where
it can. Elsewhere the value is bad (record.bad-date).

A filler is a day that systems write where there is none: 1899-12-30, 1900-01-01, 0001-01-01, the first day of Unix. It
takes nobody's access: where it alone would, the status is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from scimsync.workbench.statuses import Tree, arguments_of, constant, every, function

_ISO = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
#: `ahead` holds the keys of people whose account is made before their first day (`presence`).
#: `day_in` is the day that a tidy text says, and null where it is none; `as_date` that of any value; `excel_date` that
#: of a value or of a serial number of Excel (from 1 March 1900, before which Excel counts a day that never was), and
#: `no_date` tells that something stands there that is no day
MACROS = f"""
CREATE TABLE ahead (key VARCHAR);
CREATE MACRO day_in(written) AS
  CASE WHEN regexp_full_match(written, '{_ISO}') THEN TRY_CAST(written AS DATE)
       WHEN regexp_full_match(written, '[0-9]{{8}}') THEN try_strptime(written, '%Y%m%d')::DATE
       WHEN regexp_full_match(written, '{_ISO}[ T][0-9:.,]+ ?(Z|[+-][0-9:]+)')
            THEN TRY_CAST(written AS TIMESTAMPTZ)::DATE
       WHEN regexp_full_match(written, '{_ISO}[ T][0-9:.,]+') THEN TRY_CAST(left(written, 10) AS DATE) END;
CREATE MACRO as_date(given) AS day_in(nullif(tidy(given), ''));
CREATE MACRO serial_day(number) AS
  CASE WHEN number >= 61 AND number < 2958466 THEN DATE '1899-12-30' + floor(number)::INTEGER END;
CREATE MACRO excel_date(given) AS coalesce(as_date(given), serial_day(TRY_CAST(tidy(given) AS DOUBLE)));
CREATE MACRO is_filler(day) AS coalesce(day < DATE '1902-01-01' OR day = DATE '1970-01-01', false);
CREATE MACRO unfilled(day) AS CASE WHEN NOT is_filler(day) THEN day END;
CREATE MACRO no_date(given, found) AS nullif(tidy(given), '') IS NOT NULL AND found IS NULL;
"""
#: our own helpers that give a day
READERS = frozenset({"as_date", "excel_date"})
_DAYS = READERS | {"today", "make_date"}
#: what gives one of its arguments
_CHOICES = frozenset({"coalesce", "ifnull", "greatest", "least"})
#: functions of a moment, and which of their arguments it is; a text there is read as a day
_OF_MOMENTS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("year", "month", "day", "strftime", "date_add"), (0,)),
    **dict.fromkeys(("date_trunc", "date_part"), (1,)),
    **dict.fromkeys(("date_diff", "datediff", "date_sub"), (1, 2)),
}
_TEXTS = frozenset(
    {"trim", "ltrim", "rtrim", "left", "substr", "substring", "blank", "replace", "nullif", "split_part"}
)


class Days(Struct):
    """One expression, in which days are read as days.

    Args:
        tree: The expression.
        kinds: Column in small letters -> its SQL type, as far as it is known.
    """

    tree: Tree
    kinds: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tree = self._read(self.tree)

    @property
    def readings(self) -> list[Tree]:
        """The calls that read a day out of something that may be none; those inside of a lambda left out."""
        return [node for node in _outside(self.tree) if _name(node) in READERS]

    def doubt(self) -> Tree:
        """The tree that is null, part by part, where a day that is asked for is none."""
        return _doubted(self.tree)

    def _read(self, node: Tree) -> Tree:
        found = {name: self._each(member) for name, member in node.items()}
        kind, name = node.get("class"), _name(node)
        if kind == "COMPARISON" and any(self._is_day(found[side]) for side in ("left", "right")):
            return {**found, "left": self._day(found["left"]), "right": self._day(found["right"])}
        sides = ("input", "lower", "upper")
        if kind == "BETWEEN" and any(self._is_day(found[side]) for side in sides):
            return {**found, **{side: self._day(found[side]) for side in sides}}
        listed = found.get("children")
        is_list = node.get("type") in {"COMPARE_IN", "COMPARE_NOT_IN"}
        if isinstance(listed, list) and is_list and any(map(self._is_day, listed)):
            return {**found, "children": [*map(self._day, listed)]}
        if kind == "FUNCTION" and name in _OF_MOMENTS:
            return self._with(found, _OF_MOMENTS[name])
        return found

    def _each(self, member: object) -> object:
        if isinstance(member, list):
            return [self._each(one) for one in member]
        if not isinstance(member, dict):
            return member
        return self._read(member)

    def _with(self, node: Tree, which: Sequence[int]) -> Tree:
        """A function of moments, with columns of text read as days."""
        given = node.get("arguments")
        if not isinstance(given, list):
            return node
        read = [
            {**one, "expression": function("as_date", [one["expression"]])}
            if number in which and self._kind(one["expression"]) == "VARCHAR"
            else one
            for number, one in enumerate(given)
        ]
        return {**node, "arguments": read}

    def _kind(self, node: Tree) -> str:
        """The type of a column; "" where it is none, or is not known."""
        names = node.get("column_names")
        if node.get("class") != "COLUMN_REF" or not isinstance(names, list) or len(names) != 1:
            return ""
        return self.kinds.get(str(names[0]).lower(), "")

    def _is_day(self, node: object) -> bool:
        if not isinstance(node, dict):
            return False
        names, kind, name = node.get("column_names"), node.get("class"), _name(node)
        if kind == "COLUMN_REF":
            return names == ["current_date"] or self._kind(node) == "DATE"
        if kind == "CAST":
            return str(node.get("type_expr", {}).get("type_name", "")).lower() == "date"
        if name in _DAYS:
            return True
        if name in {"+", "-", "date_add"}:
            given = arguments_of(node)
            return bool(given) and self._is_day(given[0]) and not (len(given) > 1 and self._is_day(given[1]))
        return any(self._is_day(one) for one in _given(node))

    def _day(self, node: object) -> object:
        """What stands beside a day, read as one."""
        if not isinstance(node, dict):
            return node
        kind, name = node.get("class"), _name(node)
        if kind == "COLUMN_REF":
            known = node.get("column_names") == ["current_date"] or self._kind(node) in {"DATE", "BOOLEAN"}
            return node if known else function("as_date", [node])
        cast = str(node.get("type_expr", {}).get("type_name", "")).lower() if kind == "CAST" else ""
        if name in _TEXTS or cast in {"varchar", "text", "string", "timestamp", "datetime"}:
            return function("as_date", [node])
        if name in {"+", "-", "date_add"}:
            first, *rest = node["arguments"]
            return {**node, "arguments": [{**first, "expression": self._day(first["expression"])}, *rest]}
        if kind == "CASE":
            checks = [{**check, "then_expr": self._day(check["then_expr"])} for check in node["case_checks"]]
            return {**node, "case_checks": checks, "else_expr": self._day(node["else_expr"])}
        if node.get("type") in {"OPERATOR_COALESCE", "OPERATOR_NULLIF", "OPERATOR_TRY"}:
            return {**node, "children": [self._day(one) for one in node["children"]]}
        if name in _CHOICES:
            given = [{**one, "expression": self._day(one["expression"])} for one in node["arguments"]]
            return {**node, "arguments": given}
        return node


def bad(readings: Sequence[Tree]) -> Tree | None:
    """The test whether one of the days that are read is none; None where none is read."""
    tests = {str(_args(node)): function("no_date", [*_args(node), node]) for node in readings}
    if not tests:
        return None
    made = [*tests.values()]
    return made[0] if len(made) == 1 else _joined(made)


def spared(read: Tree, kinds: Mapping[str, str], printed: Callable[[Tree], str]) -> tuple[str, str]:
    """A status as SQL, unknown where a filler alone makes it false; and the test whether there is one, "" for none.

    Args:
        read: The status, as it is read.
        kinds: Column in small letters -> its SQL type.
        printed: Gives a tree as SQL.
    """
    sql = printed(read)
    asked = {printed(node): node for node in _outside(read) if _gives_day(node, kinds)}
    if not asked:
        return sql, ""
    tests = " OR ".join(f"is_filler({one})" for one in asked)
    without = printed(_unfilled(read, kinds))
    return f"CASE WHEN ({sql}) IS FALSE AND ({without}) IS NOT FALSE THEN NULL ELSE ({sql}) END", tests


def _gives_day(node: Tree, kinds: Mapping[str, str]) -> bool:
    names = node.get("column_names")
    is_column = node.get("class") == "COLUMN_REF" and isinstance(names, list) and len(names) == 1
    return _name(node) in READERS or (is_column and kinds.get(str(names[0]).lower()) == "DATE")  # type: ignore[index]


def _unfilled(node: Tree, kinds: Mapping[str, str]) -> Tree:
    """A tree in which a filler is no day."""
    if node.get("class") == "LAMBDA":
        return node
    if _gives_day(node, kinds):
        return function("unfilled", [node])
    return {
        name: [_unfilled(one, kinds) if isinstance(one, dict) else one for one in member]
        if isinstance(member, list)
        else _unfilled(member, kinds)
        if isinstance(member, dict)
        else member
        for name, member in node.items()
    }


def _joined(nodes: list[Tree]) -> Tree:
    return {
        "class": "CONJUNCTION",
        "type": "CONJUNCTION_OR",
        "alias": "",
        "query_location": 18446744073709551615,
        "query_location_length": 0,
        "children": nodes,
    }


def _args(node: Tree) -> list[Tree]:
    return arguments_of(node)[:1]


def _doubted(node: Tree) -> Tree:
    if not any(_name(one) in READERS for one in _outside(node)):
        return node
    listed = node.get("children")
    parts = node.get("class") == "CONJUNCTION" or node.get("type") == "OPERATOR_NOT"
    if parts and isinstance(listed, list):
        return {**node, "children": [_doubted(one) for one in listed]}
    checks = node.get("case_checks")
    if node.get("class") == "CASE" and isinstance(checks, list):
        return _doubted_case(node, checks)
    return _unknown(node, _outside(node))


def _doubted_case(node: Tree, checks: list[Tree]) -> Tree:
    """A CASE: what its first conditions decide without a look at a day, they decide."""
    first = next(
        (n for n, check in enumerate(checks) if any(_name(one) in READERS for one in every(_tree(check["when_expr"])))),
        len(checks),
    )
    ahead = [{**check, "then_expr": _doubted(_tree(check["then_expr"]))} for check in checks[:first]]
    if first == len(checks):
        return {**node, "case_checks": ahead, "else_expr": _doubted(_tree(node["else_expr"]))}
    after: Tree = {**node, "case_checks": checks[first:]}
    rest = _unknown(after, _outside(after))
    return {**node, "case_checks": ahead, "else_expr": rest} if ahead else rest


def _unknown(node: Tree, within: Iterator[Tree]) -> Tree:
    """A part, null where a day in it is none."""
    test = bad([one for one in within if _name(one) in READERS])
    if test is None:
        return node
    return {
        "class": "CASE",
        "type": "CASE_EXPR",
        "alias": "",
        "query_location": 18446744073709551615,
        "query_location_length": 0,
        "case_checks": [{"when_expr": test, "then_expr": constant("NULL_LITERAL", "")}],
        "else_expr": node,
    }


def _outside(node: Tree) -> Iterator[Tree]:
    """A node and everything below it, but for the inside of lambdas, whose names mean nothing elsewhere."""
    if node.get("class") == "LAMBDA":
        return
    yield node
    for member in node.values():
        for child in member if isinstance(member, list) else [member]:
            if isinstance(child, dict):
                yield from _outside(child)


def _given(node: Tree) -> list[Tree]:
    """What a choice may give: the results of CASE, the arguments of COALESCE and its like."""
    checks, listed = node.get("case_checks"), node.get("children")
    if node.get("class") == "CASE" and isinstance(checks, list):
        return [*(_tree(check["then_expr"]) for check in checks), _tree(node.get("else_expr"))]
    if node.get("type") in {"OPERATOR_COALESCE", "OPERATOR_NULLIF", "OPERATOR_TRY"} and isinstance(listed, list):
        return listed
    return arguments_of(node) if _name(node) in _CHOICES else []


def _name(node: Tree) -> str:
    return str(node.get("function_name", "")).lower() if node.get("class") == "FUNCTION" else ""


def _tree(found: object) -> Tree:
    return found if isinstance(found, dict) else {}
