"""Operations in the form that one provider takes."""

from __future__ import annotations

from msgspec.structs import replace

from scimsync.scim.dressing import dressed
from scimsync.scim.generic import GENERIC
from scimsync.scim.messages import Operation

PATHLESS = replace(GENERIC, pathless=True)


def test_without_paths_the_elements_that_several_operations_add_to_one_list_all_travel() -> None:
    work, home = {"type": "work", "value": "w@x.org"}, {"type": "home", "value": "h@x.org"}
    said = dressed([Operation("add", "emails", [work]), Operation("add", "emails", [home])], PATHLESS)
    assert said["Operations"] == [{"op": "add", "value": {"emails": [work, home]}}]


def test_without_paths_what_needs_one_keeps_it_and_goes_first() -> None:
    moves = [
        Operation("replace", "name.givenName", "Ann"),
        Operation("replace", "title", "Lead"),
        Operation("remove", 'emails[type eq "home"]'),
    ]
    assert dressed(moves, PATHLESS)["Operations"] == [
        {"op": "remove", "path": 'emails[type eq "home"]'},
        {"op": "replace", "value": {"name": {"givenName": "Ann"}, "title": "Lead"}},
    ]
