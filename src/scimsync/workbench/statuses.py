"""Status words are a closed list: what a mapping of `active` may conclude from a word, and what it may not.

HR writes `active` today, `Active` or `on leave` tomorrow. A bare `status = 'active'` would take the access of
whoever has a word that nobody thought of. So a word is compared without case and outer space, and has three
answers: one that the mapping names is taken for what the mapping says; one of the list of ends below has left;
any other word decides nothing, and the person stays as is until somebody says what the word means.

In the tree of an expression (as DuckDB parses it), with x any expression and 'w' a text:

    one_of(x, 'w', 'v', ['e'])      true for w and v, false for e (without a list: for ENDED), else NULL
    x = 'w', x IN ('w', 'v')        true for w and v, false for ENDED, else NULL
    x = 'e', where e is in ENDED    true for e, NULL for the others in ENDED, else false; so does `x <> 'e'`, the
                                    other way round
    CASE WHEN ... ELSE b END        NULL instead of b where a condition above is NULL

Only where it is about a status, by the words or by the name of the column: `country = 'DE'` stays what it is in SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

Tree: TypeAlias = Mapping[str, object]

#: words by which HR systems say that somebody is not there any more, without case
ENDED = frozenset(
    """
    inactive left leaver terminated dismissed resigned retired former ended closed disabled deactivated departed
    deceased expired separated discharged cancelled canceled deleted archived suspended offboarded gone quit
    inaktiv ausgeschieden beendet gekündigt ehemalig verstorben pensioniert ausgetreten gesperrt
    inactif inactive parti sorti démissionné licencié retraité terminé
    inactivo baja cesado jubilado despedido
    inattivo cessato uscito dimesso
    false no n 0 f off i t x
    """.split()
)
#: words by which HR systems say that somebody is there
STARTED = frozenset(
    """
    active employed current enabled activated working hired present live onboarded
    aktiv beschäftigt angestellt actif active activo attivo
    true yes y 1 on a
    """.split()
)
#: names of columns that hold a status, whatever the words in it are
_STATUS = re.compile(r"stat(us|e$|ut|o$)|activ|aktiv|enabled|employed|estado|zustand|terminat", re.IGNORECASE)
#: white space of Unicode, and what is as invisible
SPACE = (
    "\t\n\v\f\r \x1c\x1d\x1e\x1f\x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200E)))
    + ("\u2028\u2029\u202f\u205f\u2060\u3000\ufeff")
)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _list(words: frozenset[str]) -> str:
    return f"[{', '.join(_text(word) for word in sorted(words))}]"


#: `status_word` is the form in which words compare; `status_is` and `status_ended` are the two tables above
MACROS = f"""
CREATE MACRO status_word(given) AS nullif(lower(trim(given::VARCHAR, {_text(SPACE)})), '');
CREATE MACRO status_is(given, words, ends) AS
  CASE WHEN list_contains(words, status_word(given)) THEN true
       WHEN list_contains(ends, status_word(given)) THEN false END;
CREATE MACRO status_ended(given, words) AS
  CASE WHEN list_contains(words, status_word(given)) THEN true
       WHEN list_contains({_list(ENDED)}, status_word(given)) THEN NULL
       WHEN status_word(given) IS NOT NULL THEN false END;
"""


def closed(node: Tree, *, negated: bool = False) -> Tree:
    """The tree with every comparison of something with a text read as a comparison with status words."""
    match node.get("class"), node.get("type"):
        case ("CONJUNCTION", _):
            return {**node, "children": [closed(child, negated=negated) for child in _trees(node.get("children"))]}
        case ("OPERATOR", "OPERATOR_NOT"):
            return {**node, "children": [closed(child, negated=not negated) for child in _trees(node.get("children"))]}
        case ("CASE", _):
            return _case(node, negated=negated)
        case ("FUNCTION", _) if node.get("function_name") == "one_of":
            return _one_of(node)
        case ("COMPARISON", "COMPARE_EQUAL" | "COMPARE_NOT_DISTINCT_FROM"):
            return _compared(node, negated=negated) or node
        case ("COMPARISON", "COMPARE_NOTEQUAL" | "COMPARE_DISTINCT_FROM"):
            found = _compared(node, negated=not negated)
            return _not(found) if found is not None else node
        case ("OPERATOR", "COMPARE_IN"):
            given, *listed = _trees(node.get("children"))
            words = [_constant(one) for one in listed]
            known = frozenset(word for word in words if word is not None)
            plain = None not in words and _is_status(given, known)
            return _is(given, known, negated=negated) if plain else node
    return node


def named(node: Tree) -> Tree:
    """The tree with its calls of `one_of` carried out, and nothing else."""
    if _is_named(node):
        return _one_of(node)
    return {name: _each(member) for name, member in node.items()}


def _each(member: object) -> object:
    if isinstance(member, dict):
        return named(member)
    return [_each(one) for one in member] if isinstance(member, list) else member


def given(node: Tree) -> Iterator[Tree]:
    """What is compared with status words in a tree of `closed`."""
    if node.get("class") == "FUNCTION" and node.get("function_name") in {"status_is", "status_ended"}:
        yield _arguments(node)[0]
        return
    for member in node.values():
        for child in _trees(member if isinstance(member, list) else [member]):
            yield from given(child)


def bare(node: Tree) -> bool:
    """Whether a tree that was not closed compares something with a text, and leaves open what other words mean."""
    changed = closed(node)
    return changed != node and not any(_is_named(child) for child in _everything(node))


def _is_named(node: Tree) -> bool:
    return node.get("class") == "FUNCTION" and node.get("function_name") == "one_of"


def _everything(node: Tree) -> Iterator[Tree]:
    yield node
    for member in node.values():
        for child in _trees(member if isinstance(member, list) else [member]):
            yield from _everything(child)


def _trees(found: object) -> list[Tree]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _arguments(node: Tree) -> list[Tree]:
    wrapped = (one.get("expression", one) for one in _trees(node.get("arguments")))
    return [one for one in wrapped if isinstance(one, dict)]


def _constant(node: Tree) -> str | None:
    literal = node.get("literal")
    if node.get("class") != "CONSTANT" or not isinstance(literal, dict) or literal.get("kind") != "STRING":
        return None
    return str(literal.get("text", "")).strip(SPACE).lower()


def _compared(node: Tree, *, negated: bool) -> Tree | None:
    left, right = node.get("left"), node.get("right")
    if not isinstance(left, dict) or not isinstance(right, dict):
        return None
    for one, other in ((left, right), (right, left)):
        word = _constant(other)
        if word and _constant(one) is None and _is_status(one, frozenset({word})):
            return _is(one, frozenset({word}), negated=negated)
    return None


def _is_status(what: Tree, words: frozenset[str]) -> bool:
    """Whether a comparison is about a status: the words are known for it, or the column is called so."""
    names = (str(name) for node in _everything(what) for name in _names(node))
    return bool(words & (STARTED | ENDED)) or any(_STATUS.search(name) for name in names)


def _names(node: Tree) -> list[object]:
    found = node.get("column_names")
    return found if isinstance(found, list) else []


def _is(what: Tree, words: frozenset[str], *, negated: bool) -> Tree:
    """Whether something is one of these words: of words that let in, or (negated, or all known as ends) shut out."""
    if negated or words <= ENDED:
        return _call("status_ended", what, words)
    return _call("status_is", what, words, ENDED - words)


def _one_of(node: Tree) -> Tree:
    what, *rest = _arguments(node)
    words = frozenset(word for one in rest if (word := _constant(one)))
    lists = [one for one in rest if one.get("function_name") == "list_value"]
    ends = frozenset(word for one in lists for inner in _arguments(one) if (word := _constant(inner)))
    return _call("status_is", what, words, (ends if lists else ENDED) - words)


def one_of_fault(arguments: list[Tree]) -> str:
    """Why a call of one_of cannot be read; "" where it can."""
    _, *rest = arguments
    texts = [one for one in rest if _constant(one) is not None]
    lists = [one for one in rest if one.get("function_name") == "list_value"]
    inner = [word for one in lists for word in _arguments(one)]
    good = texts and len(lists) <= 1 and len(texts) + len(lists) == len(rest)
    good = good and all(_constant(word) is not None for word in inner)
    return "" if good else "one_of is called as one_of(status, 'active', 'on leave', ['left', 'retired'])"


def _case(node: Tree, *, negated: bool) -> Tree:
    """A CASE whose conditions are three-valued: where one of them is open, so is the ELSE."""
    checks, opened = [], []
    for check in _trees(node.get("case_checks")):
        when, then = check.get("when_expr"), check.get("then_expr")
        if isinstance(when, dict) and isinstance(then, dict):
            read = closed(when)
            opened += [read] if read != when else []
            checks.append({**check, "when_expr": read, "then_expr": closed(then, negated=negated)})
    otherwise = node.get("else_expr")
    for read in opened:
        is_open = {"class": "OPERATOR", "type": "OPERATOR_IS_NULL", "alias": "", "children": [read]}
        checks.append({"when_expr": {**_PLACE, **is_open}, "then_expr": {**_PLACE, **_NULL}})
    otherwise = closed(otherwise, negated=negated) if isinstance(otherwise, dict) else otherwise
    return {**node, "case_checks": checks, "else_expr": otherwise}


_PLACE = {"query_location": 18446744073709551615, "query_location_length": 0}
_NULL = {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "literal": {"kind": "NULL_LITERAL"}}


def _call(name: str, what: Tree, *lists: frozenset[str]) -> Tree:
    return _function(name, [what, *(_function("list_value", [_word(w) for w in sorted(one)]) for one in lists)])


def _function(name: str, arguments: list[Tree]) -> Tree:
    return {
        **_PLACE,
        "class": "FUNCTION",
        "type": "FUNCTION",
        "alias": "",
        "function_name": name,
        "schema": "",
        "catalog": "",
        "filter": None,
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
        "distinct": False,
        "is_operator": False,
        "export_state": False,
        "arguments": [{"name": "", "expression": argument} for argument in arguments],
    }


def _word(word: str) -> Tree:
    literal = {"kind": "STRING", "text": word}
    return {**_PLACE, "class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "literal": literal}


def _not(node: Tree) -> Tree:
    return {**_PLACE, "class": "OPERATOR", "type": "OPERATOR_NOT", "alias": "", "children": [node]}
