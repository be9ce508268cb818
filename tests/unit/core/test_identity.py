"""Marks, and what tells of another person."""

from __future__ import annotations

from typing import Any

import pytest
from tests.factories import mapped

from scimsync.core import identity
from scimsync.core.identity import Mark, brought_back, keys_changed, marks, parted, said
from scimsync.core.planner import plan_pair
from scimsync.model.accounts import Pair
from scimsync.model.outcomes import LinkDecision
from scimsync.model.plans import Finding
from scimsync.model.policy import Limits, Policy


def test_addresses_count_as_the_login_and_numbers_of_one_expression_once() -> None:
    found = marks(
        [
            mapped("userName", "email"),
            mapped('emails[type eq "work"].value', "email"),
            mapped("displayName", "name"),
            mapped("externalId", "id"),
            mapped("enterprise:employeeNumber", "id"),
            mapped("title", "job"),
        ]
    )
    assert found == (
        Mark("login", (("userName",), ('emails[type eq "work"].value',))),
        Mark("name", (("displayName",),)),
        Mark("externalId", (("externalId",), ("enterprise:employeeNumber",))),
    )


# --- another person under one key -------------------------------------------------------------------------

ATTRIBUTES = tuple(mapped(path, "x") for path in ("userName", "displayName", "title"))


def warned(**moved: str) -> Finding | None:
    current = {"userName": "ann@x", "displayName": "Ann Au", "title": "Agent"}
    pair = Pair(key="E1", name="ann@x", row=2, account="u", version="1", desired={**current, **moved}, current=current)
    change = plan_pair(pair, Policy(attributes=ATTRIBUTES, match=())).change
    return identity.other_person(pair, change) if change else None


def test_login_and_name_that_change_at_once_are_told_with_both_paths() -> None:
    found = warned(userName="bo@x", displayName="Bo Berg")
    assert found is not None
    assert (found.subject, found.detail, found.row, found.holds) == ("E1", "userName and displayName", 2, False)


@pytest.mark.parametrize(
    "moved", [{"userName": "bo@x"}, {"displayName": "Bo"}, {"userName": "bo@x", "displayName": "ANN  au"}]
)
def test_one_of_the_two_says_nothing_and_capitals_are_no_other_name(moved: dict[str, str]) -> None:
    assert warned(**moved) is None


def test_the_rest_of_many_is_counted() -> None:
    one = warned(userName="bo@x", displayName="Bo Berg")
    assert one is not None
    assert [finding.detail for finding in identity.named([one] * 107)][-2:] == [one.detail, "7 more"]
    assert identity.named([one]) == (one,)


# --- what was said ------------------------------------------------------------------------------------------


def test_the_last_word_counts_and_a_run_says_nothing_that_makes_a_plan_stale() -> None:
    spoken = [
        LinkDecision("1", "a", same=False, actor="ada"),
        LinkDecision("2", "b", same=False),
        LinkDecision("1", "a", same=True, actor="ada"),
    ]
    assert (parted(spoken), said(spoken), said([])) == ([("2", "b")], "2", "")


def test_a_source_whose_keys_all_changed_is_refused_unless_a_person_says_so() -> None:
    assert [finding.code for finding in keys_changed(40, 40, Limits())] == ["source.keys-changed"]
    assert keys_changed(40, 40, Limits(), ["source.keys-changed"]) == ()
    assert keys_changed(3, 5, Limits()) == ()


# --- what a creation answers --------------------------------------------------------------------------------

GENESYS = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"
SENT = {"userName": "jo@x", "displayName": "Jo", "externalId": "7", "phoneNumbers": [{"type": "work", "value": "+1"}]}


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ({}, []),
        ({"roles": [{"value": "employee"}]}, []),
        ({"roles": [{"value": "employee"}, {"value": "admin"}]}, ["roles"]),
        ({"entitlements": ["licence"]}, ["entitlements"]),
        ({"title": "Chief"}, ["title"]),
        ({"nickName": "JO"}, []),
        ({"emails": [{"type": "other", "value": "jo@x"}], "locale": "en", "groups": [{"value": "everybody"}]}, []),
        ({"phoneNumbers": [{"type": "work", "value": "tel:+1"}]}, []),
        ({"phoneNumbers": [{"type": "work", "value": "+1"}, {"type": "home", "value": "+2"}]}, ["phoneNumbers"]),
        ({GENESYS: {"routingSkills": [{"name": "Billing", "proficiency": 3.0}]}}, ["routingSkills"]),
        ({GENESYS: {"externalIds": [{"authority": "scim", "value": "7"}]}}, []),
        ({"meta": {"created": "2026-01-01T10:00:00Z", "lastModified": "2026-01-01T10:00:01Z"}}, []),
        ({"meta": {"created": "2020-01-01T10:00:00Z", "lastModified": "2026-01-01T10:00:01Z"}}, ["meta.created"]),
        ({"meta": {"created": "long ago", "lastModified": "2026-01-01T10:00:01Z"}}, []),
    ],
)
def test_what_nobody_sent_tells_that_an_account_was_somebodys(shown: dict[str, Any], told: list[str]) -> None:
    assert brought_back(SENT, {"id": "u", **SENT, **shown}, {"employee"}) == told
