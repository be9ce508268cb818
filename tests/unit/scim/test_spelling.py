"""Names on the wire have no case; what is well spelled is left as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS
from scimsync.scim.schema import ENTERPRISE_USER
from scimsync.scim.spelling import Spelling, document

GOOD: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "id": "u1",
    "externalId": "1",
    "userName": "ada@example.com",
    "active": True,
    "emails": [{"value": "ada@example.com", "type": "work", "primary": True}],
    "nickName": None,
    ENTERPRISE_USER: {"employeeNumber": "1", "manager": {"value": "u2", "$ref": "https://x/u2"}},
    "meta": {"resourceType": "User", "version": 'W/"1"', "location": "https://x/u1"},
    "members": [{"value": "u1", "type": "User"}],
}


def respell(found: Any, word: Any) -> Any:
    """The same with other names."""
    if isinstance(found, list):
        return [respell(element, word) for element in found]
    return {word(name): respell(held, word) for name, held in found.items()} if isinstance(found, dict) else found


@pytest.mark.parametrize("word", [str.lower, str.upper, str.swapcase, str.capitalize])
def test_a_resource_comes_back_in_the_spelling_of_the_catalog(word: Any) -> None:
    spelling, odd = Spelling(GENERIC.users), respell(GOOD, word)
    assert spelling.is_odd(json.dumps(odd).encode())
    assert spelling.resource(odd) == GOOD
    listing = {word("totalResults"): 1, word("Resources"): [odd]}
    assert spelling.listing(listing) == {"totalResults": 1, "Resources": [GOOD]}


def test_what_is_well_spelled_is_not_odd_and_stays() -> None:
    spelling = Spelling(GENERIC.users)
    assert not spelling.is_odd(json.dumps(GOOD).encode())
    assert not spelling.is_odd(json.dumps(GOOD, indent=2).encode())
    assert spelling.resource(GOOD) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        r'{"user\u004eame": "x"}',
        '{"a": "\\"", "username": "x"}',
        '{"username" : "x"}',
        '{"a":":","username":"x"}',
        '{"emails":[{"VALUE":"x"}]}',
    ],
)
def test_an_odd_name_is_found_wherever_it_stands(text: str) -> None:
    assert Spelling(GENERIC.users).is_odd(text.encode())


def test_values_and_names_that_nobody_knows_are_nobodys_business() -> None:
    spelling = Spelling(GENESYS.users)
    found = {"userName": 'TITLE "title": x', "badge": {"COLOUR": "red"}, "urn:x:y:2.0:User": {"Kühl": 1}}
    assert not spelling.is_odd(json.dumps(found, ensure_ascii=False).encode())
    assert spelling.resource(found) == found


def test_where_both_spellings_stand_the_right_one_counts() -> None:
    spelling = Spelling(GENERIC.users)
    for found in ({"username": "a", "userName": "b"}, {"userName": "b", "username": "a"}):
        assert spelling.resource(found) == {"userName": "b"}
    assert spelling.resource({"userName": None, "username": "a"})["userName"] == "a"  # type: ignore[index]


@given(st.recursive(st.none() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=20))
def test_nothing_that_travels_breaks_it(found: object) -> None:
    spelling = Spelling(GENERIC.users)
    spelling.is_odd(json.dumps(found).encode())
    assert spelling.resource(spelling.resource(found)) == spelling.resource(found)


def test_documents_are_read_so_too_and_a_bare_array_is_a_list() -> None:
    odd = [{"ID": "urn:x", "Attributes": [{"NAME": "title", "MultiValued": False, "subattributes": []}]}]
    good = {"id": "urn:x", "attributes": [{"name": "title", "multiValued": False, "subAttributes": []}]}
    assert document(odd) == {"Resources": [good]}
    assert document({"ETag": {"Supported": True}}) == {"etag": {"supported": True}}
