"""Each missing permission is named by what in the mapping needs it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from scimsync.core.rights import missing
from scimsync.model.policy import Authority, Grouping, Mapped, Policy
from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS

PATHS = (
    "title", "roles", "genesys:routingSkills", "genesys:routingLanguages", 'phoneNumbers[type eq "work"].value',
    "enterprise:division",
)  # fmt: skip
ALL = frozenset(permission.name for permission in GENESYS.permissions)


def policy(*paths: str) -> Policy:
    places = map(GENESYS.users.resolve, paths)
    mapped = tuple(Mapped(place=place, expression="x", authority=Authority.ASK) for place in places)
    return Policy(attributes=mapped, match=())


@pytest.mark.parametrize(
    ("permission", "path"),
    [
        ("authorization:grant:add", "roles"),
        ("authorization:grant:delete", "roles"),
        ("authorization:role:view", "roles"),
        ("routing:skill:assign", "genesys:routingSkills"),
        ("routing:skill:view", "genesys:routingSkills"),
        ("routing:language:assign", "genesys:routingLanguages"),
        ("telephony:extension:assign", 'phoneNumbers[type eq "work"].value'),
        ("authorization:division:view", "enterprise:division"),
    ],
)
def test_a_permission_is_missed_for_the_path_that_needs_it_and_for_no_other(permission: str, path: str) -> None:
    [found] = missing(policy(*PATHS), GENESYS, {"Home": ALL - {permission}})
    assert (found.permission, found.needed_by) == (permission, (path,))
    rest = policy(*(other for other in PATHS if other != path))
    assert [*missing(rest, GENESYS, {"Home": ALL - {permission}})] == []


def test_what_is_needed_for_some_values_or_to_look_up_only_can_be_borne() -> None:
    found = {each.permission: each.bearable for each in missing(policy(*PATHS), GENESYS, {"Home": frozenset()})}
    assert {name for name, bearable in found.items() if bearable} == {
        "telephony:extension:assign", "authorization:role:view", "authorization:division:view", "routing:skill:view",
        "routing:language:view", "directory:user:view",
    }  # fmt: skip


def test_groups_are_asked_for_where_they_are_managed_only() -> None:
    held = {"Home": ALL - {"directory:group:edit"}}
    assert [*missing(policy("title"), GENESYS, held)] == []
    managed = replace(policy("title"), groups=Grouping(match="displayName", column="teams"))
    assert [each.needed_by for each in missing(managed, GENESYS, held)] == [("[groups]",)]


def test_any_word_may_be_a_star_and_no_other_sign_stands_for_more() -> None:
    assert [*missing(policy(*PATHS), GENESYS, {"Home": {"*:*:*"}})] == []
    assert [*missing(policy("title"), GENESYS, {"Home": {"directory:user:*"}})] == []
    for held in ("directory:*", "directory:user:ad?", "*", "", "directory:user:add:more"):
        assert len([*missing(policy("title"), GENESYS, {"Home": {held}})]) == 3


def test_a_right_to_write_people_that_holds_in_some_divisions_is_told_with_them() -> None:
    held = {"Home": ALL, "Care": ALL - {"directory:user:edit", "routing:skill:assign"}}
    [found] = missing(policy(*PATHS), GENESYS, held)
    assert (found.permission, found.only_in) == ("directory:user:edit", ("Home",))


def test_without_any_grant_everything_is_missing_and_another_provider_asks_for_nothing() -> None:
    assert len([*missing(policy("title"), GENESYS, {})]) == 3
    assert [*missing(policy("title"), GENERIC, {})] == []
