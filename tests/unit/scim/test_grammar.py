"""Filters and paths of RFC 7644: the 68 cases of the reference, and what the trees do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync.errors import InvalidFilter, InvalidPath
from scimsync.scim.grammar import (
    AttributePath,
    Comparison,
    Filter,
    Logical,
    Not,
    Present,
    ValueFilter,
    equality,
    matches,
    parse_filter,
    parse_path,
    render_filter,
)

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GOOD = r"""
userName eq "bjensen"
name.familyName co "O'Malley"
userName sw "J"
urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"
title pr
meta.lastModified gt "2011-05-13T04:42:34Z"
meta.lastModified ge "2011-05-13T04:42:34.123+02:00"
title pr and userType eq "Employee"
title pr or userType eq "Intern"
schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")
userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")
userType eq "Employee" and (emails.type eq "work")
userType eq "Employee" and emails[type eq "work" and value co "@example.com"]
emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]
emails[not (type eq "work")]
emails[(type eq "work" or type eq "home") and not (primary eq true)]
not (userName eq "x")
not(userName eq "x")
NOT (userName EQ "x") AND title PR
userName Eq "x"
displayName eq "a \"quoted\" name"
displayName eq "back\\slash"
displayName eq "uni\u00e9"
displayName eq "brackets ] and ) and and"
displayName eq ""
active eq true
active eq false
title eq null
loginCount gt 10
score le -1.5e3
urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "Sales"
urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "x"
urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User:routingSkills[name eq "Billing" and proficiency ge 3]
members.$ref eq "https://x/y"
android eq "x"
order eq "x"
notes eq "x"
premium eq "x"
trueish eq "x"
never ne "x"
a-b_c eq "x"
(((userName eq "x")))
a eq "1" and b eq "2" or c eq "3" and d eq "4"
not (not (a eq "1"))
""".strip().split("\n")
BAD = r"""
userName eq bjensen
id eq 5f4bc742-a019-4e38-8e2a-d39d5bc0b0f3
userName eq 'bjensen'
userName = "x"
userName eq
eq "x"
userName eq "x" and
(userName eq "x"
userName eq "x")
emails[type eq "work"
emails[]
emails[emails[type eq "work"]]
not userName eq "x"
userName eq "un"terminated"
userName eq "bad \q escape"
a.b.c eq "x"
userName eq 01
1abc eq "x"
userName pr "x"
userName xx "y"

userName eq "x" userName eq "y"
active eq TRUEX
""".strip("\n").split("\n")


def test_the_reference_has_68_cases() -> None:
    assert len(GOOD) + len(BAD) == 68


@pytest.mark.parametrize("text", GOOD)
def test_a_filter_of_the_rfc_is_read_and_written_back(text: str) -> None:
    tree = parse_filter(text)
    assert parse_filter(render_filter(tree)) == tree


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_filter_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(text)
    assert caught.value.reason
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize(
    "text",
    [
        "title",
        "name.familyName",
        'emails[type eq "work"]',
        'emails[type eq "work"].value',
        'emails[TYPE EQ "WORK"].VALUE',
        'emails[type eq "w]ork"].value',
        f"{ENTERPRISE}:department",
        f"{ENTERPRISE}:manager.value",
        f"{ENTERPRISE.upper()}:MANAGER",
        'urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User:routingSkills[name eq "a\\"b"]',
    ],
)
def test_a_path_is_read_and_written_back(text: str) -> None:
    path = parse_path(text)
    assert parse_path(str(path)) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "groups[].value",
        "emails[]",
        "emails[type eq work].value",
        "emails[type eq 'work'].value",
        'emails[type eq "work".value',
        "a.b.c",
        'emails[type eq "work"].value.foo',
        'emails[ims[type eq "x"]]',
        'title eq "x"',
        "title pr",
    ],
)
def test_what_is_no_path_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        parse_path(text)
    assert caught.value.reason


def test_a_path_has_its_parts() -> None:
    path = parse_path(f'{ENTERPRISE}:emails[type eq "work"].value')
    assert path.attribute == AttributePath(ENTERPRISE, "emails")
    assert path.filter == Comparison(AttributePath(None, "type"), "eq", "work")
    assert path.sub == "value"


names = st.sampled_from(["userName", "emails", "value", "a-b", "premium"])
attributes = st.builds(AttributePath, st.sampled_from([None, ENTERPRISE]), names, st.none() | names)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.text(st.characters(codec="utf-8"), max_size=6),
    st.floats(-1e6, 1e6, allow_nan=False),
)  # fmt: skip
comparisons = st.builds(Comparison, attributes, st.sampled_from("eq ne co sw ew".split()), scalars)
leaves = comparisons | st.builds(Present, attributes)


def deeper(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    return st.builds(Not, inner) | st.builds(
        Logical, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)
    )


plain_leaves = st.builds(Comparison, st.builds(AttributePath, st.none(), names), st.just("eq"), scalars)
selections = st.builds(ValueFilter, st.builds(AttributePath, st.none(), names), plain_leaves)
trees = st.recursive(leaves | selections, deeper, max_leaves=5)


@given(trees)
def test_a_written_filter_selects_what_the_tree_does(tree: Filter) -> None:
    text = render_filter(tree)
    again = parse_filter(text)
    assert render_filter(again) == render_filter(parse_filter(render_filter(again)))
    element = {"userName": "Ada", "emails": [{"value": "a"}], "a-b": 1, "premium": True}
    assert matches(again, element) == matches(tree, element)


@pytest.mark.parametrize("number", [1234567, 1234567.5, 0.1, -1.5e3, 3])
def test_a_number_keeps_all_its_digits(number: float) -> None:
    tree = Comparison(AttributePath(None, "loginCount"), "eq", number)
    assert parse_filter(render_filter(tree)) == tree


ADA: dict[str, Any] = {
    "userName": "Ada@Example.com",
    "title": "",
    "active": True,
    "loginCount": 10,
    "tags": ["x", "y"],
    "name": {"familyName": "Berg"},
    "emails": [
        {"type": "work", "value": "ada@work.example"},
        {"type": "home", "value": "ada@home.example", "primary": True},
    ],
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('userName eq "ada@example.com"', True),
        ('USERNAME eq "ada@example.com"', True),
        ('userName sw "ada"', True),
        ('userName ew ".COM"', True),
        ('userName co "nobody"', False),
        ('userName ne "bob"', True),
        ("title pr", False),
        ("nickName pr", False),
        ("emails pr", True),
        ("nickName eq null", True),
        ('nickName ne "x"', True),
        ("active eq true", True),
        ("active ne true", False),
        ('active eq "true"', False),
        ("loginCount gt 9", True),
        ("loginCount ge 10.0", True),
        ("loginCount lt 10", False),
        ('loginCount eq "10"', False),
        ('tags eq "y"', True),
        ('name.familyName eq "BERG"', True),
        ('emails eq "ada@home.example"', True),
        ('emails.type eq "home"', True),
        ('emails[type eq "work" and value co "home"]', False),
        ('emails[type eq "home" and primary eq true]', True),
        ('not (emails[type eq "other"])', True),
        ('userName eq "bob" or active eq true', True),
        ('userName eq "bob" or active eq true and loginCount gt 50', False),
    ],
)
def test_matches(*, text: str, wanted: bool) -> None:
    assert matches(parse_filter(text), ADA) is wanted


def test_case_counts_where_the_schema_says_so() -> None:
    tree = parse_filter('userName eq "ada@example.com"')
    assert not matches(tree, ADA, exact=frozenset({"username"}))


def test_only_equalities_say_how_a_missing_element_would_look() -> None:
    assert equality(parse_filter('TYPE eq "work" and primary eq true')) == {"type": "work", "primary": True}
    for text in ('type ne "work"', 'type eq "a" or type eq "b"', "type pr", 'a.b eq "x"', 'not (type eq "work")'):
        assert equality(parse_filter(text)) is None
    assert equality(None) is None
