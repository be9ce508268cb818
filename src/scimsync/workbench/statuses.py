"""Status words are a closed list: what a mapping of `active` may conclude from a word, and what it may not.

HR writes `active` today, `Active` or `on leave` tomorrow. A bare `status = 'active'` would take the access of
whoever has a word that nobody thought of. So words compare without case and outer space, and a word counts only where

- the expression names it, anywhere: the expression then decides; or
- it is one of ENDED and the expression takes access, or one of STARTED and it gives access.

Any other word decides nothing (NULL), and the person stays as is until somebody says what it means. So does a blank,
unless the expression speaks of blanks (COALESCE, IS NULL, ''). AND, OR and NOT are read part by part, so that another
ground decides where it can: who has an unknown word and a last day that is over has left. What else stands around a
comparison (CASE, COALESCE, LIKE, a list) is judged as one part, whatever it is.

Which comparisons are about a status: those whose words or whose column are called like one, and where there are none
of these, every comparison with a text. The others (`country = 'DE'`) stay what they are but for case and outer space.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from scimsync.core.desired import SPACE

Tree: TypeAlias = Mapping[str, object]

TRUES = frozenset("true t yes y 1 on ja j oui si sí verdadero vero".split())
FALSES = frozenset("false f no n 0 off nein non falso".split())
#: words by which HR systems say that somebody is not there any more, without case
ENDED = FALSES | frozenset(
    word.replace("_", " ")
    for word in """
    inactive left leaver terminated dismissed resigned retired former ended closed disabled deactivated departed
    deceased expired separated discharged offboarded gone quit retiree ex-employee
    inaktiv ausgeschieden ausgetreten beendet entlassen ehemalig ehemalige ehemaliger verstorben pensioniert deaktiviert
    inactif parti partie sorti sortie démissionné démissionnaire licencié licenciée retraité retraitée terminé
    inactivo inactiva cesado cesada jubilado jubilada despedido despedida terminado finalizado
    inattivo cessato uscito dimesso inactief vertrokken
    not_active has_left no_longer_employed not_employed former_employee im_ruhestand uit_dienst
    """.split()
)
#: words by which HR systems say that somebody is there
STARTED = TRUES | frozenset(
    """
    active employed current enabled activated working hired present live onboarded
    aktiv beschäftigt angestellt actif activo activa attivo actief
    """.split()
)
#: codes of one letter that end, where the mapping says that A is active
_LETTERS = frozenset("it")
#: names of columns that hold a status, whatever the words in it are
_STATUS = re.compile(r"stat(us|e$|ut|o$)|activ|aktiv|enabled|employed|estado|zustand|terminat", re.IGNORECASE)
_DAY = re.compile(r"\s*(\d{4}-\d\d?-\d\d?|\d\d?[./]\d\d?[./]\d{2,4})")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _list(words: Iterable[str]) -> str:
    return f"[{', '.join(_text(word) for word in sorted(words))}]"


#: `tidy` is a text without blanks around it (most begin and end with a plain letter, and are looked at no further), as
#: is `bare`, which reads what is given once. `status_text` is the form in which words compare, `status_word` the same
#: and null where nothing is left. `status_if` lets what an expression gives for a word pass where the word is named (a
#: blank: where it may), or where a list agrees with it.
MACROS = f"""
CREATE MACRO bare(given) AS regexp_replace(given::VARCHAR, {_text(f"^[{SPACE}]+|[{SPACE}]+$")}, '', 'g');
CREATE MACRO tidy(given) AS
  CASE WHEN given::VARCHAR >= '!' AND given::VARCHAR < '\x7f' AND (given::VARCHAR)[-1] BETWEEN '!' AND '~'
       THEN given::VARCHAR
       ELSE bare(given) END;
CREATE MACRO status_text(given) AS lower(bare(given));
CREATE MACRO status_word(given) AS nullif(status_text(given), '');
CREATE MACRO status_is(given, words, ends) AS
  CASE WHEN list_contains(words, status_word(given)) THEN true
       WHEN list_contains(ends, status_word(given)) THEN false END;
CREATE MACRO status_if(found, given, blanks, named, lets_in, shuts_out) AS
  CASE WHEN status_word(given) IS NULL THEN CASE WHEN blanks THEN found END
       WHEN named THEN found
       WHEN found THEN CASE WHEN list_contains(lets_in, status_word(given)) THEN true END
       WHEN NOT found THEN CASE WHEN list_contains(shuts_out, status_word(given)) THEN false END END;
"""

#: what compares a text with a text, and with which argument the text is
_LIKE = frozenset({"~~", "~~*", "!~~", "!~~*", "~~~"})
_PARTS = frozenset({"starts_with", "ends_with", "prefix", "suffix", "^@", "regexp_matches", "regexp_full_match"})
_LISTS = frozenset({"list_contains", "list_has", "contains"})
_EQUAL = frozenset({"COMPARE_EQUAL", "COMPARE_NOT_DISTINCT_FROM"})
_UNEQUAL = frozenset({"COMPARE_NOTEQUAL", "COMPARE_DISTINCT_FROM"})
_BLANKS = frozenset({"OPERATOR_COALESCE", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "OPERATOR_NULLIF"})


class _Test(Struct, frozen=True):
    """One place where something is compared with a text."""

    what: Tree
    words: frozenset[str]
    #: the same test without case and outer space
    plain: Tree
    #: the words are a pattern, and this says whether a word fits it
    fits: Tree | None = None
    is_named: bool = False

    @property
    def columns(self) -> frozenset[str]:
        return _columns(self.what)

    @property
    def is_status(self) -> bool:
        known = bool(self.words & (STARTED | ENDED)) or any(_STATUS.search(name) for name in self.columns)
        return self.is_named or known


class Reading:
    """How the expression of `active` is read."""

    def __init__(self, tree: Tree) -> None:
        tests = [test for node in every(tree) if (test := _test(node)) is not None]
        about = [test for test in tests if test.is_status] or [test for test in tests if test.fits is None]
        self._tests = about
        self._known = {_shape(test.plain) for test in about}
        self._blanks = {
            columns
            for test in about
            for columns in [test.columns]
            if "" in test.words or any(_speaks_of_blanks(node, columns) for node in every(tree))
        }
        #: whether the mapping leaves open what other words mean
        self.is_bare = any(not test.is_named for test in about)
        self.tree = self._closed(tree, lets_in=True)

    @property
    def given(self) -> Iterator[tuple[Tree, tuple[str, ...]]]:
        """What is compared with status words, and the words that are named for it."""
        for test in {_shape(test.what): test for test in self._tests}.values():
            yield test.what, tuple(sorted(self._named(test.columns)[0]))

    def _about(self, node: Tree) -> list[_Test]:
        found = (test for inner in every(node) if (test := _test(inner)) is not None)
        return [test for test in found if _shape(test.plain) in self._known]

    def _closed(self, node: Tree, *, lets_in: bool) -> Tree:
        """The tree with open answers for open words; `lets_in` tells whether true gives access here."""
        about = self._about(node)
        alone = _test(node)
        if not about or (alone is not None and alone.is_named):
            return _plain(node)
        match node.get("class"), node.get("type"):
            case ("CONJUNCTION", _):
                return {**node, "children": [self._closed(c, lets_in=lets_in) for c in _trees(node.get("children"))]}
            case ("OPERATOR", "OPERATOR_NOT"):
                return {**node, "children": [self._closed(c, lets_in=not lets_in) for c in _trees(node["children"])]}
            case ("CASE", _):
                return self._case(node, lets_in=lets_in)
        return self._guarded(node, about, lets_in=lets_in)

    def _case(self, node: Tree, *, lets_in: bool) -> Tree:
        """A CASE: what its first conditions decide without a look at a status, they decide."""
        checks = _trees(node.get("case_checks"))
        first = next((n for n, check in enumerate(checks) if self._about(_tree(check["when_expr"]))), len(checks))
        ahead = [
            {
                **check,
                "when_expr": _plain(_tree(check["when_expr"])),
                "then_expr": self._closed(_tree(check["then_expr"]), lets_in=lets_in),
            }
            for check in checks[:first]
        ]
        rest: Tree = {**node, "case_checks": checks[first:]}
        if first == len(checks):
            return {**node, "case_checks": ahead, "else_expr": self._closed(_tree(node["else_expr"]), lets_in=lets_in)}
        rest = self._guarded(rest, self._about(rest), lets_in=lets_in)
        return {**node, "case_checks": ahead, "else_expr": rest} if ahead else rest

    def _guarded(self, node: Tree, about: Sequence[_Test], *, lets_in: bool) -> Tree:
        """What a part gives, where the words in it are named or a list agrees."""
        read = _plain(node)
        for test in {_shape(test.what): test for test in about}.values():
            named, fits = self._named(test.columns)
            is_named = function("list_contains", [_words(named), function("status_word", [test.what])])
            started, ended = STARTED - named, (ENDED | (_LETTERS if "a" in named else frozenset())) - named
            lists = (started, ended) if lets_in else (ended, started)
            blanks = constant("BOOLEAN", str(test.columns in self._blanks).lower())
            arguments = [read, test.what, blanks, _any([is_named, *fits]), *map(_words, lists)]
            read = function("status_if", arguments)
        return read

    def _named(self, columns: frozenset[str]) -> tuple[frozenset[str], list[Tree]]:
        """The words that the expression names for these columns, and the patterns that words may fit."""
        tests = [test for test in self._tests if test.columns == columns]
        words = frozenset(word for test in tests for word in test.words if test.fits is None)
        if words & TRUES:
            words |= FALSES
        elif words & FALSES:
            words |= TRUES
        return words, [test.fits for test in tests if test.fits is not None]


def named(node: Tree) -> Tree:
    """The tree with its calls of `one_of` carried out, and nothing else."""
    return _replaced(node, lambda inner: _one_of(inner).plain if _is_call(inner, "one_of") else None)


def compares(node: Tree) -> bool:
    """Whether something in a tree is compared with a text, so that it may be about a status."""
    return any(_test(inner) is not None for inner in every(node))


def one_of_fault(arguments: Sequence[Tree]) -> str:
    """Why a call of one_of cannot be read; "" where it can."""
    usage = (
        "one_of is called as one_of(status, 'active', 'on leave'), or with lists: one_of(status, ['active'], ['left'])"
    )
    words, ends = _called(arguments)
    if not words or ends is _UNREADABLE:
        return usage
    if twice := sorted(words & (ends or frozenset())):
        return f"one_of: {twice[0]!r} cannot mean both; name it once"
    return ""


_UNREADABLE: frozenset[str] = frozenset({"\0"})


def _called(arguments: Sequence[Tree]) -> tuple[frozenset[str], frozenset[str] | None]:
    """The words of a call of one_of, and the words that end (None where the call names none)."""
    rest = [_strings(one) for one in arguments[1:]]
    if any(words is None or not all(words) for words in rest):
        return frozenset(), _UNREADABLE
    is_list = [_is_call(one, "list_value") for one in arguments[1:]]
    heads = 1 if is_list[:1] == [True] else is_list.index(True) if True in is_list else len(rest)
    if len(rest) > heads + 1 or (len(rest) > heads and not is_list[heads]):
        return frozenset(), _UNREADABLE
    words = frozenset(word for one in rest[:heads] for word in one or ())
    return words, frozenset(rest[heads] or ()) if len(rest) > heads else None


def _strings(node: Tree) -> list[str] | None:
    """The words of a text, or of a list of texts; None where it is something else."""
    listed = arguments_of(node) if _is_call(node, "list_value") else [node]
    words = [_word_of(one) for one in listed]
    return None if None in words or not words else [word for word in words if word is not None]


# --- the tests of a tree ------------------------------------------------------------------------


def _test(node: Tree) -> _Test | None:
    """The node as a comparison of something with a text; None where it is none."""
    kind, name = str(node.get("type")), str(node.get("function_name", "")).lower()
    if node.get("class") == "COMPARISON" and kind in _EQUAL | _UNEQUAL:
        return _compared(node)
    if kind == "COMPARE_IN":
        what, *listed = _trees(node.get("children"))
        return _listed(what, [_word_of(one) for one in listed])
    if node.get("class") != "FUNCTION":
        return None
    arguments = arguments_of(node)
    if name == "one_of":
        return _one_of(node)
    if name in _LISTS and len(arguments) == 2 and _is_call(arguments[0], "list_value"):
        return _listed(arguments[1], [_word_of(one) for one in arguments_of(arguments[0])])
    if name in _LIKE | _PARTS or name == "contains":
        return _fitting(node, name, arguments)
    return None


def _compared(node: Tree) -> _Test | None:
    left, right = _tree(node.get("left")), _tree(node.get("right"))
    for what, other in ((left, right), (right, left)):
        word = _word_of(other)
        if word and _columns(what):
            form = function("status_word", [_bare(what)])
            return _Test(_bare(what), frozenset({word}), {**node, "left": form, "right": _word(word)})
    return None


def _listed(what: Tree, words: Sequence[str | None]) -> _Test | None:
    listed = frozenset(word for word in words if word is not None)
    if None in words or not any(listed) or not _columns(what):
        return None
    form = function("status_text" if "" in listed else "status_word", [_bare(what)])
    return _Test(_bare(what), listed, function("list_contains", [_words(listed), form]))


def _fitting(node: Tree, name: str, arguments: Sequence[Tree]) -> _Test | None:
    """A comparison with a pattern, or with a part of a text."""
    pattern = _literal(arguments[1]) if len(arguments) > 1 else None
    if not pattern or not _columns(arguments[0]):
        return None
    what = _bare(arguments[0])
    if name.startswith("regexp"):  # a pattern in small letters may be another one
        return _Test(what, frozenset({pattern.strip("^$.*").lower()}), node, fits=node)
    form = function("status_word", [what])
    positive = name.removeprefix("!").removesuffix("*") if name in _LIKE - {"~~~"} else name
    fits = function(positive, [form, _word(pattern.lower())])
    stripped = pattern.strip("%_*? ").lower()
    return _Test(what, frozenset({stripped}), _not(fits) if name.startswith("!") else fits, fits=fits)


def _one_of(node: Tree) -> _Test:
    what = _bare(arguments_of(node)[0])
    words, ends = _called(arguments_of(node))
    shut = (ENDED if ends is None else ends) - words
    return _Test(what, words | shut, function("status_is", [what, _words(words), _words(shut)]), is_named=True)


def _plain(node: Tree) -> Tree:
    """The tree with every comparison with a text made without case and outer space; patterns of a status alone."""

    def read(inner: Tree) -> Tree | None:
        test = _test(inner)
        return test.plain if test is not None and (test.fits is None or test.is_status) else None

    return _replaced(node, read)


def _speaks_of_blanks(node: Tree, columns: frozenset[str]) -> bool:
    is_such = node.get("type") in _BLANKS or node.get("type") in {"COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM"}
    return is_such and columns <= _columns(node)


# --- trees --------------------------------------------------------------------------------------


def _replaced(node: Tree, read: Callable[[Tree], Tree | None]) -> Tree:
    """The tree with some of its nodes in another form, the outer before the inner."""
    found = read(node)
    if found is not None and found is not node:
        inner = _test(node)
        return _inside(found, inner.what, read) if inner is not None else found
    return {name: _each(member, read) for name, member in node.items()}


def _inside(node: Tree, what: Tree, read: Callable[[Tree], Tree | None]) -> Tree:
    """What is compared may hold comparisons itself."""
    if node is what:
        return _replaced(node, read)

    def each(member: object) -> object:
        if isinstance(member, dict):
            return _inside(member, what, read)
        return [each(one) for one in member] if isinstance(member, list) else member

    return {name: each(member) for name, member in node.items()}


def _each(member: object, read: Callable[[Tree], Tree | None]) -> object:
    if isinstance(member, dict):
        return _replaced(member, read)
    return [_each(one, read) for one in member] if isinstance(member, list) else member


def every(node: Tree) -> Iterator[Tree]:
    """A node and everything below it."""
    yield node
    for member in node.values():
        for child in _trees(member if isinstance(member, list) else [member]):
            yield from every(child)


def _trees(found: object) -> list[Tree]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _tree(found: object) -> Tree:
    return found if isinstance(found, dict) else {}


def arguments_of(node: Tree) -> list[Tree]:
    """What a function is called with."""
    return [_tree(one.get("expression", one)) for one in _trees(node.get("arguments"))]


def _is_call(node: Tree, *names: str) -> bool:
    return node.get("class") == "FUNCTION" and str(node.get("function_name", "")).lower() in names


def _columns(node: Tree) -> frozenset[str]:
    names = (one.get("column_names") for one in every(node))
    return frozenset(str(name).lower() for found in names if isinstance(found, list) for name in found)


def _shape(node: object) -> str:
    """The node as text, wherever it stood."""

    def bare(member: object) -> object:
        if isinstance(member, dict):
            return {name: bare(one) for name, one in member.items() if not name.startswith("query_location")}
        return [bare(one) for one in member] if isinstance(member, list) else member

    return json.dumps(bare(node), sort_keys=True)


def _bare(node: Tree) -> Tree:
    """The node without what words are compared without: case, outer space, a cast to text."""
    arguments = arguments_of(node)
    if _is_call(node, "lower", "upper", "trim") and len(arguments) == 1:
        return _bare(arguments[0])
    is_text = str(_tree(node.get("type_expr")).get("type_name", "")).lower() in {"varchar", "text", "string"}
    return _bare(_tree(node.get("child"))) if node.get("class") == "CAST" and is_text else node


def _literal(node: Tree) -> str | None:
    """The text that a node is; None where it is something else, or a day."""
    literal = _tree(_bare(node).get("literal"))
    found = str(literal.get("text", "")) if literal.get("kind") == "STRING" else None
    return None if found is None or _DAY.match(found) else found


def _word_of(node: Tree) -> str | None:
    found = _literal(node)
    return None if found is None else found.strip(SPACE).lower()


def _words(words: Iterable[str]) -> Tree:
    return function("list_value", [_word(word) for word in sorted(words)])


def _any(nodes: Sequence[Tree]) -> Tree:
    if len(nodes) == 1:
        return nodes[0]
    return {**_PLACE, "class": "CONJUNCTION", "type": "CONJUNCTION_OR", "alias": "", "children": list(nodes)}


_PLACE = {"query_location": 18446744073709551615, "query_location_length": 0}


def function(name: str, arguments: list[Tree]) -> Tree:
    """The call of a function."""
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


def constant(kind: str, text: str) -> Tree:
    """A constant."""
    literal = {"kind": kind, "text": text}
    return {**_PLACE, "class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "literal": literal}


def _word(word: str) -> Tree:
    return constant("STRING", word)


def _not(node: Tree) -> Tree:
    return {**_PLACE, "class": "OPERATOR", "type": "OPERATOR_NOT", "alias": "", "children": [node]}
