"""Our reading of generated paths and filters against scim2-models, tree by tree and refusal by refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scim2_models import Path as OraclePath
from scim2_models import ScimFilter
from scim2_models.exceptions import SCIMException
from scim2_models.path import expressions as nodes
from tests.soak import examples

from scimsync.errors import InvalidFilter, InvalidPath
from scimsync.scim import grammar
from scimsync.scim.grammar import AttributePath, Comparison, Filter, Logical, Not, Path, Present, ValueFilter

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def ours(tree: Filter | AttributePath | Path) -> Any:
    """One of our trees as plain tuples."""
    match tree:
        case AttributePath():
            return ("path", tree.urn, tree.attribute, tree.sub)
        case Path(attribute, None, _):
            return ours(attribute)
        case Path(attribute, inner, sub):
            return ("value", ours(attribute), ours(inner), sub)
        case ValueFilter(attribute, inner):
            return ("value", ours(attribute), ours(inner), None)
        case Comparison(attribute, operator, value):
            return (operator, ours(attribute), type(value), value)
        case Present(attribute):
            return ("pr", ours(attribute))
        case Not(term):
            return ("not", ours(term))
        case Logical(operator, terms):
            return (operator, *map(ours, terms))


def theirs(tree: Any) -> Any:
    """One of the oracle's trees as plain tuples."""
    match tree:
        case nodes.AttrPath():
            return ("path", tree.uri, tree.attr, tree.sub_attr)
        case nodes.ValuePath():
            return ("value", theirs(tree.attr_path), theirs(tree.val_filter), tree.sub_attr)
        case nodes.Comparison():
            return (tree.op.value, theirs(tree.attr_path), type(tree.value), tree.value)
        case nodes.Present():
            return ("pr", theirs(tree.attr_path))
        case nodes.Not():
            return ("not", theirs(tree.expr))
        case nodes.LogicalExpr():
            return (tree.op.value, *map(theirs, tree.terms))
    raise AssertionError(tree)


def oracle_path(text: str) -> Any:
    """The oracle's tree; None where it refuses, or reads a filter, which names no place to write to."""
    try:
        tree = OraclePath(text).ast
    except (ValueError, SCIMException):
        return None
    return theirs(tree) if isinstance(tree, nodes.AttrPath | nodes.ValuePath) else None


def oracle_filter(text: str) -> Any:
    try:
        tree = ScimFilter(text).ast
    except (ValueError, SCIMException):
        return None
    return theirs(tree)


def our_path(text: str) -> Any:
    try:
        return ours(grammar.parse_path.__wrapped__(text))
    except InvalidPath:
        return None


def our_filter(text: str) -> Any:
    try:
        return ours(grammar.parse_filter.__wrapped__(text))
    except InvalidFilter:
        return None


# Generated texts: grammatical ones, and the same with a few characters taken out, put in or turned

names = st.sampled_from(["userName", "emails", "value", "type", "$ref", "a-b_c", "not", "and", "order", "pr", "x1"])
urns = st.sampled_from(["", f"{ENTERPRISE}:", f"{ENTERPRISE.upper()}:", "urn:x:y:"])
attributes = st.builds(lambda urn, name, sub: urn + name + sub, urns, names, st.just("") | names.map(".{}".format))
words = st.text(st.sampled_from("ab ])(.ü1-"), max_size=5).map('"{}"'.format)
values = words | st.sampled_from(
    ['"a\\"b"', '"\\\\"', '"\\u00e9"', "true", "false", "null", "0", "-1.5e3", "10.0", "TRUE", "01", "x"]
)
operators = st.sampled_from("eq ne co sw ew gt ge lt le Eq PR xx".split())
comparisons = st.builds("{} {} {}".format, attributes, operators, values) | attributes.map("{} pr".format)


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map("({})".format),
        st.builds("{}({})".format, st.sampled_from(["not ", "not", "NOT "]), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or", "AND"]), inner),
        st.builds("{}[{}]".format, attributes, inner),
    )


filters = st.recursive(comparisons, deeper, max_leaves=5)
paths = st.one_of(
    attributes,
    st.builds("{}[{}]{}".format, attributes, filters, st.just("") | names.map(".{}".format)),
    filters,
)


@st.composite
def broken(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    text = draw(texts)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + draw(st.sampled_from(["", " ", "[", "]", "(", ".", '"', "\\", ":", "é"]))
            + text[at + draw(st.integers(0, 1)) :]
        )
    return text


@settings(max_examples=examples(1500, 500))
@example("groups[].value")
@example('emails[TYPE EQ "WORK"].VALUE')
@example('emails[type eq "w]ork"].value')
@example('emails.type eq "work"')  # a filter by erratum 7122, and no place to write to
@example(ENTERPRISE)
@example(f"{ENTERPRISE}:manager.value")
@example('urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User:routingSkills[name eq "a\\"b"]')
@example(f"{ENTERPRISE.upper()}:manager")
@example("emails[]")
@example("emails[type eq work].value")
@example("emails[type eq 'work'].value")
@example('emails[type eq "work".value')
@example("a.b.c")
@example('emails[type eq "work"].value.foo')
@example('emails[ims[type eq "x"]]')
@given(broken(paths))
def test_a_path_is_accepted_and_read_as_the_oracle_does(text: str) -> None:
    assert our_path(text) == oracle_path(text)


@settings(max_examples=examples(1500, 500))
@given(broken(filters))
def test_a_filter_is_accepted_and_read_as_the_oracle_does(text: str) -> None:
    found = oracle_filter(text)
    assert our_filter(text) == (None if found is not None and found[0] == "path" else found)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("groups[].value", "groups.value"), ("emails[]", "emails"), (f"{ENTERPRISE}:x[].y", f"{ENTERPRISE}:x.y")],
)
def test_empty_brackets_are_refused_with_what_was_probably_meant(text: str, meant: str) -> None:
    with pytest.raises(InvalidPath, match=rf"did you mean {meant}\?$"):
        grammar.parse_path(text)
