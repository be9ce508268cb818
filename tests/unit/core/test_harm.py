"""What is not ours stays: what a write is blamed for, and what it is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import rfc_place

from scimsync.core.harm import Kind, at_stake, edited, kinds, lost
from scimsync.core.writing import Move, operations
from scimsync.scim.generic import GENERIC
from scimsync.scim.messages import Operation
from scimsync.scim.patch import apply
from scimsync.scim.schema import ENTERPRISE_USER

WORK, HOME = {"type": "work", "value": "+15550000"}, {"type": "home", "value": "+16660000"}
ADA: dict[str, Any] = {
    "id": "u1",
    "userName": "ada@example.com",
    "displayName": "Ada",
    "title": "Clerk",
    "nickName": "Dada",
    "active": True,
    "name": {"givenName": "Ada", "familyName": "King"},
    "phoneNumbers": [WORK, HOME],
    ENTERPRISE_USER: {"department": "R", "costCenter": "7", "manager": {"value": "u2"}},
    "meta": {"version": "1"},
}
PHONE = Operation("replace", 'phoneNumbers[type eq "work"].value', "+17770000")
TITLE = Operation("replace", "title", "Lead")


def after(**values: object) -> dict[str, Any]:
    return {name: held for name, held in {**ADA, **values}.items() if held is not None}


def test_the_element_that_was_replaced_is_ours_and_the_others_are_not() -> None:
    ours = {"type": "work", "value": "+17770000"}
    assert lost(ADA, after(phoneNumbers=[HOME, ours]), [PHONE]) == []
    assert lost(ADA, after(phoneNumbers=[ours]), [PHONE]) == ["phoneNumbers"]
    assert lost(ADA, after(phoneNumbers=[ours, {**HOME, "value": "+17770000"}]), [PHONE]) == ["phoneNumbers"]
    assert lost(ADA, after(phoneNumbers=[ours, {**HOME, "primary": False, "display": "x"}]), [PHONE]) == []


def test_an_addition_leaves_everything_that_was_there() -> None:
    add = Operation("add", "phoneNumbers", [{"type": "mobile", "value": "+18880000"}])
    assert lost(ADA, after(phoneNumbers=[WORK, HOME, {"type": "mobile", "value": "+18880000"}]), [add]) == []
    assert lost(ADA, after(phoneNumbers=[{"type": "mobile", "value": "+18880000"}]), [add]) == ["phoneNumbers"]


@pytest.mark.parametrize(
    ("now", "path"),
    [
        ({"nickName": None}, "nickName"),
        ({"nickName": ""}, "nickName"),
        ({"phoneNumbers": None}, "phoneNumbers"),
        ({"name": {"givenName": "Ada"}}, "name.familyName"),
        ({ENTERPRISE_USER: {"department": "R", "manager": {"value": "u2"}}}, f"{ENTERPRISE_USER}:costCenter"),
        ({ENTERPRISE_USER: {"department": "R", "costCenter": "7"}}, f"{ENTERPRISE_USER}:manager.value"),
    ],
)
def test_whatever_else_vanishes_is_named(now: dict[str, object], path: str) -> None:
    assert lost(ADA, after(**now), [TITLE]) == [path]


@pytest.mark.parametrize(
    ("operation", "now"),
    [
        (Operation("remove", "nickName"), {"nickName": None}),
        (Operation("remove", 'phoneNumbers[type eq "home"]'), {"phoneNumbers": [WORK]}),
        (Operation("replace", "name.givenName", "Augusta"), {"name": {"givenName": "Augusta", "familyName": "King"}}),
        (Operation("remove", f"{ENTERPRISE_USER}:manager"), {ENTERPRISE_USER: {"department": "R", "costCenter": "7"}}),
        (TITLE, {"meta": {}, "displayName": "Ada K", "title": "Lead"}),
    ],
)
def test_what_was_asked_for_and_what_only_changed_is_no_loss(operation: Operation, now: dict[str, object]) -> None:
    assert lost(ADA, after(**now), [operation]) == []


def test_an_address_that_mirrors_the_login_follows_it() -> None:
    held = {**ADA, "emails": [{"type": "other", "value": "ADA@example.com"}]}
    now = {**held, "userName": "ada@new.org", "emails": [{"type": "other", "value": "ada@new.org"}]}
    assert lost(held, now, [Operation("replace", "userName", "ada@new.org")]) == []
    assert lost(held, now, [TITLE]) == ["emails"]


def test_kinds_are_the_same_for_everybody_and_access_is_none() -> None:
    other = Operation("replace", 'phoneNumbers[type eq "home"].value', "+1")
    assert kinds([PHONE, other]) == {Kind("replace", "phonenumbers", "type.value")}
    assert kinds([Operation("replace", "active", False)]) == frozenset()


def test_a_list_is_at_stake_only_where_others_have_something_in_it() -> None:
    assert at_stake(ADA, [PHONE]) == kinds([PHONE])
    assert at_stake({**ADA, "phoneNumbers": [WORK]}, [PHONE]) == frozenset()
    assert at_stake(ADA, [TITLE]) == kinds([TITLE])


def test_an_edit_of_somebody_else_is_one_of_what_hr_decides_about() -> None:
    managed = ["title", "nickName", "displayName", f"{ENTERPRISE_USER}:department"]
    there = after(title="Lead", nickName="Lady", displayName="A. King", costCenter="8", visits=7)
    assert edited(ADA, there, [TITLE], managed) == ["nickName"]
    assert edited({**ADA, "visits": 6}, there, [TITLE], ["title"]) == []


PLACES = [rfc_place(path) for path in ('phoneNumbers[type eq "work"].value', 'emails[type eq "work"].value', "title")]
ELEMENTS = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["work", "home", "mobile"]), "value": st.text("ab1", min_size=1)}),
    unique_by=lambda element: element["type"],
)
TEXTS = st.none() | st.text("abc", min_size=1)


@given(ELEMENTS, ELEMENTS, TEXTS, st.tuples(TEXTS, TEXTS, TEXTS))
def test_a_server_that_does_what_the_rfc_says_is_never_blamed(
    phones: list[object], emails: list[object], title: str | None, wanted: tuple[str | None, ...]
) -> None:
    held = {"userName": "a", "phoneNumbers": phones, "emails": emails, "title": title, "nickName": "n"}
    moves = [
        Move(place, place.read(held), value)
        for place, value in zip(PLACES, wanted, strict=True)
        if not place.same(place.read(held), value)
    ]
    sent = list(operations(moves))
    now = apply(held, sent, GENERIC.users)
    assert lost(held, now, sent) == []
    assert edited(held, now, sent, ["nickName", "title"]) == []
