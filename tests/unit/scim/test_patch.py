"""PATCH on plain objects: RFC 7644 §3.5.2, and what it leaves open."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import EnterpriseUser, PatchOp, ScimPolicy, User
from scim2_models.exceptions import SCIMException
from tests.soak import examples

from scimsync.errors import InvalidPath, PatchRefused, ProtocolError
from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS, GENESYS_GROUP, GENESYS_USER
from scimsync.scim.messages import Operation, patch_body
from scimsync.scim.patch import apply
from scimsync.scim.schema import CORE_USER, ENTERPRISE_USER, Attribute, Catalog, Schema

USERS = GENESYS.users
GROUPS = Catalog(GENESYS_GROUP)


def make_user(**more: Any) -> dict[str, Any]:
    return {
        "schemas": [CORE_USER, ENTERPRISE_USER],
        "id": "u1",
        "userName": "ada@example.com",
        "displayName": "Ada Berg",
        "title": "Clerk",
        "emails": [{"type": "work", "value": "ada@example.com"}],
        "phoneNumbers": [
            {"type": "work", "value": "+13175550100", "primary": True},
            {"type": "mobile", "value": "+13175550101"},
        ],
        ENTERPRISE_USER: {"department": "Care", "manager": {"value": "m1", "$ref": "/Users/m1"}},
        **more,
    }


def patched(*operations: tuple[str, str | None, Any], **keywords: Any) -> Any:
    return apply(make_user(), [Operation(*operation) for operation in operations], USERS, **keywords)


def refused(*operations: tuple[str, str | None, Any], **keywords: Any) -> str:
    with pytest.raises(ProtocolError) as caught:
        patched(*operations, **keywords)
    return caught.value.scim_type


def test_the_resource_given_stays_as_it_is() -> None:
    user = make_user()
    before = copy.deepcopy(user)
    apply(
        user,
        [
            Operation("replace", "title", "Lead"),
            Operation("add", "phoneNumbers", [{"type": "home", "value": "+1"}]),
        ],
        USERS,
    )
    assert user == before


def test_operations_take_effect_in_order() -> None:
    assert patched(("replace", "title", "A"), ("replace", "title", "B"))["title"] == "B"


@pytest.mark.parametrize("op", ["Replace", "REPLACE", "Add", "add"])
def test_the_case_of_op_does_not_count(op: str) -> None:
    assert patched((op, "title", "Lead"))["title"] == "Lead"


@pytest.mark.parametrize("path", ["title", "TITLE", f"{CORE_USER}:title"])
def test_attribute_names_have_no_case_and_may_carry_the_core_urn(path: str) -> None:
    user = patched(("replace", path, "Lead"))
    assert user["title"] == "Lead"
    assert "TITLE" not in user


def test_a_value_filter_reaches_one_element() -> None:
    phones = patched(("replace", 'phoneNumbers[type eq "mobile"].value', "+15"))["phoneNumbers"]
    assert [p["value"] for p in phones] == ["+13175550100", "+15"]


def test_add_on_a_filter_that_selects_nothing_makes_the_element() -> None:
    phones = patched(("add", 'phoneNumbers[type eq "home"].value', "+15"))["phoneNumbers"]
    assert phones[-1] == {"type": "home", "value": "+15"}


def test_replace_on_a_filter_that_selects_nothing_has_no_target() -> None:
    operation = ("replace", 'phoneNumbers[type eq "home"].value', "+15")
    assert refused(operation) == "noTarget"
    assert patched(operation, create_on_replace=True)["phoneNumbers"][-1]["value"] == "+15"


def test_add_appends_without_doubling() -> None:
    twice = {"type": "work", "value": "ada@example.com"}
    assert patched(("add", "emails", [twice, {"type": "other", "value": "x@example.com"}]))["emails"] == [
        twice,
        {"type": "other", "value": "x@example.com"},
    ]


def test_replace_of_a_list_puts_the_new_one_in_its_place() -> None:
    assert patched(("replace", "phoneNumbers", [{"type": "home", "value": "+1"}]))["phoneNumbers"] == [
        {"type": "home", "value": "+1"}
    ]


def test_an_extension_attribute_is_reached_by_its_urn() -> None:
    user = patched(("replace", f"{ENTERPRISE_USER}:department", "Sales"))
    assert user[ENTERPRISE_USER]["department"] == "Sales"


def test_a_new_extension_is_declared_in_schemas() -> None:
    skills = [{"name": "Sales", "proficiency": 3.5}]
    user = patched(("add", f"{GENESYS_USER}:routingSkills", skills))
    assert user[GENESYS_USER] == {"routingSkills": skills}
    assert GENESYS_USER in user["schemas"]


def test_a_bare_extension_urn_takes_an_object() -> None:
    user = patched(("replace", ENTERPRISE_USER, {"department": "Sales", "division": "North"}))
    assert user[ENTERPRISE_USER]["department"] == "Sales"
    assert user[ENTERPRISE_USER]["division"] == "North"


def test_an_extension_that_lost_everything_is_absent() -> None:
    user = patched(("remove", f"{ENTERPRISE_USER}:department", None), ("remove", f"{ENTERPRISE_USER}:manager", None))
    assert ENTERPRISE_USER not in user
    assert ENTERPRISE_USER not in patched(("remove", ENTERPRISE_USER, None))


def test_an_operation_without_path_takes_an_object_with_nested_extensions() -> None:
    user = patched(
        (
            "replace",
            None,
            {"title": "Lead", "active": False, ENTERPRISE_USER: {"department": "Sales"}, "schemas": []},
        )
    )
    assert (user["title"], user["active"], user[ENTERPRISE_USER]["department"]) == ("Lead", False, "Sales")
    assert user["schemas"] == [CORE_USER, ENTERPRISE_USER]


def test_an_operation_without_path_takes_dotted_keys_as_entra_sends_them() -> None:
    user = patched(("replace", None, {f"{ENTERPRISE_USER}:department": "Sales"}))
    assert user[ENTERPRISE_USER]["department"] == "Sales"


@pytest.mark.parametrize("value", ["m2", {"value": "m2"}])
def test_a_manager_may_be_a_bare_text(value: object) -> None:
    user = patched(("replace", f"{ENTERPRISE_USER}:manager", value))
    assert user[ENTERPRISE_USER]["manager"] == {"value": "m2"}  # the $ref of the old one is gone


def test_a_manager_is_reached_by_its_value_too() -> None:
    user = patched(("replace", f"{ENTERPRISE_USER}:manager.value", "m2"))
    assert user[ENTERPRISE_USER]["manager"]["value"] == "m2"


@pytest.mark.parametrize(
    ("op", "path", "value", "scim_type"),
    [
        ("replace", "id", "u2", "mutability"),
        ("add", "groups", [{"value": "g1"}], "mutability"),
        ("remove", "meta", None, "mutability"),
        ("remove", "userName", None, "mutability"),
        ("replace", "userName", None, "mutability"),
        ("replace", "nickName", "A", "invalidPath"),
        ("replace", "emails.nothing", "A", "invalidPath"),
        ("replace", "urn:example:2.0:User:title", "A", "invalidPath"),
        ("replace", "emails[type eq", "A", "invalidPath"),
        ("replace", 'title[type eq "a"]', "A", "invalidPath"),
        ("remove", None, None, "noTarget"),
        ("replace", 'emails[type eq "other"].value', "x", "noTarget"),
        ("add", 'emails[type ne "work"].value', "x", "noTarget"),
        ("replace", "title", 7, "invalidValue"),
        ("replace", "active", "yes", "invalidValue"),
        ("replace", "emails", [7], "invalidValue"),
        ("replace", 'emails[type eq "work"]', "x", "invalidValue"),
        ("add", f"{GENESYS_USER}:routingSkills", [{"name": "A", "proficiency": "5"}], "invalidValue"),
        ("replace", None, "x", "invalidValue"),
        ("replace", ENTERPRISE_USER, "x", "invalidValue"),
        ("move", "title", "x", "invalidSyntax"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name(op: str, path: str | None, value: object, scim_type: str) -> None:
    assert refused((op, path, value)) == scim_type


def test_a_moment_is_one_of_iso_8601() -> None:
    catalog = Catalog(Schema(id="urn:example", name="Visit", attributes=(Attribute(name="at", type="dateTime"),)))
    with pytest.raises(ProtocolError, match="dateTime"):
        apply({}, [Operation("replace", "at", "yesterday")], catalog)
    for moment in ("2024-02-03", "2024-02-03T10:00:00Z"):
        assert apply({}, [Operation("replace", "at", moment)], catalog) == {"at": moment}


def test_one_bad_operation_undoes_the_good_ones() -> None:
    user = make_user()
    with pytest.raises(PatchRefused):
        apply(user, [Operation("replace", "title", "Lead"), Operation("replace", "id", "x")], USERS)
    assert user["title"] == "Clerk"


def test_read_only_targets_can_be_passed_over() -> None:
    assert patched(("replace", "id", "u2"), ("remove", "meta", None), ignore_read_only=True)["id"] == "u1"


def test_a_read_only_attribute_may_be_sent_as_it_is() -> None:
    assert patched(("replace", None, {"id": "u1", "title": "Lead"}))["title"] == "Lead"


def test_null_and_an_empty_list_unassign() -> None:
    user = patched(("replace", "title", None), ("replace", "phoneNumbers", []))
    assert not {"title", "phoneNumbers"} & user.keys()


def test_remove_takes_the_selected_elements() -> None:
    assert patched(("remove", 'phoneNumbers[type eq "work"]', None))["phoneNumbers"] == [
        {"type": "mobile", "value": "+13175550101"}
    ]
    assert "emails" not in patched(("remove", 'emails[type eq "work"]', None))
    assert "primary" not in patched(("remove", "phoneNumbers.primary", None))["phoneNumbers"][0]


def test_remove_of_nothing_is_silent_unless_asked() -> None:
    for path in ("externalId", 'emails[type eq "other"]', f"{GENESYS_USER}:routingSkills", GENESYS_USER):
        assert patched(("remove", path, None)) == make_user()
        assert refused(("remove", path, None), strict_remove=True) == "noTarget"


def test_remove_with_elements_as_value_takes_only_those() -> None:
    group = {"id": "g", "displayName": "G", "members": [{"value": "a", "type": "User"}, {"value": "b"}]}
    smaller = apply(group, [Operation("remove", "members", [{"value": "a"}])], GROUPS)
    assert smaller["members"] == [{"value": "b"}]


def test_members_are_added_and_removed_one_by_one() -> None:
    group = {"id": "g", "displayName": "G", "members": [{"value": "a"}]}
    operations = [
        Operation("add", "members", [{"value": "b"}, {"value": "a"}]),
        Operation("remove", 'members[value eq "a"]', None),
    ]
    assert apply(group, operations, GROUPS)["members"] == [{"value": "b"}]


def test_a_new_primary_takes_the_mark_from_the_old_one() -> None:
    phones = patched(("replace", 'phoneNumbers[type eq "mobile"].primary', True))["phoneNumbers"]
    assert [p.get("primary") for p in phones] == [False, True]
    phones = patched(("add", "phoneNumbers", [{"type": "home", "value": "+1", "primary": True}]))["phoneNumbers"]
    assert [p.get("primary") for p in phones] == [False, None, True]


def test_adding_the_primary_that_is_there_changes_nothing() -> None:
    assert patched(("add", "phoneNumbers", make_user()["phoneNumbers"])) == make_user()


def test_two_primaries_at_once_are_refused() -> None:
    two = [{"type": t, "value": t, "primary": True} for t in ("work", "home")]
    assert refused(("replace", "phoneNumbers", two)) == "invalidValue"


def test_skill_names_compare_with_case() -> None:
    user = patched(("add", f"{GENESYS_USER}:routingSkills", [{"name": "Sales", "proficiency": 1}]))
    with pytest.raises(PatchRefused):
        apply(
            user,
            [Operation("replace", f'{GENESYS_USER}:routingSkills[name eq "sales"].proficiency', 2)],
            USERS,
        )


def test_a_manager_without_value_is_no_manager() -> None:
    assert patched(("remove", f"{ENTERPRISE_USER}:manager.value", None))[ENTERPRISE_USER] == {"department": "Care"}


def test_an_unknown_path_says_what_is_unknown() -> None:
    with pytest.raises(InvalidPath, match=re.escape("no attribute nickName")):
        patched(("add", "nickName", "x"))


_TYPES = ("work", "home", "mobile")
_TEXTS = st.sampled_from(["a", "b", "c"])
_PHONE = st.fixed_dictionaries({"type": st.sampled_from(_TYPES), "value": _TEXTS})
_DELTAS = st.one_of(
    st.builds(Operation, st.sampled_from(["add", "replace"]), st.sampled_from(["title", "displayName"]), _TEXTS),
    st.builds(Operation, st.just("remove"), st.sampled_from(["title", "phoneNumbers", "externalId"])),
    st.builds(Operation, st.sampled_from(["add", "replace"]), st.just("phoneNumbers"), st.lists(_PHONE, max_size=3)),
    st.builds(
        Operation,
        st.sampled_from(["add", "replace"]),
        st.sampled_from([f'phoneNumbers[type eq "{t}"].value' for t in _TYPES]),
        _TEXTS,
    ),
    st.builds(Operation, st.just("remove"), st.sampled_from([f'phoneNumbers[type eq "{t}"]' for t in _TYPES])),
    st.builds(
        Operation,
        st.sampled_from(["add", "replace"]),
        st.just(f"{ENTERPRISE_USER}:department"),
        _TEXTS,
    ),
    st.builds(Operation, st.just("remove"), st.just(f"{ENTERPRISE_USER}:department")),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_DELTAS, min_size=1, max_size=6))
def test_applying_one_by_one_equals_applying_at_once(operations: list[Operation]) -> None:
    def run(parts: list[list[Operation]]) -> Any:
        user: Any = make_user()
        try:
            for part in parts:
                user = apply(user, part, USERS)
        except ProtocolError as error:
            return error.scim_type
        return user

    assert run([operations]) == run([[operation] for operation in operations])


@settings(max_examples=150, deadline=None)
@given(st.lists(_DELTAS, min_size=1, max_size=5))
def test_a_successful_patch_of_replaces_and_removes_is_idempotent(operations: list[Operation]) -> None:
    kept = [o for o in operations if o.op != "add"]
    try:
        once = apply(make_user(), kept, USERS, create_on_replace=True)
    except ProtocolError:
        return
    assert apply(once, kept[-1:], USERS, create_on_replace=True) == once


# -- against scim2-models --------------------------------------------------------------------------
#
# Known differences, kept out of the generated operations:
# - `remove` with the elements as value (Entra): here only those go, there all;
# - the same element twice in one value: here it is kept once, there twice;
# - `remove manager.value`: here the manager is gone, there it is required;
# - a bare text for a complex attribute (Entra's manager): here accepted, there refused;
# - a filter that selects nothing: here `add` always makes the element and a keyword lets `replace` do so,
#   there one policy decides for both.
_CREATE = ScimPolicy(unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create)
_RFC = GENERIC.users
_RFC_TYPES = ("work", "home", "other")
_ROLE = st.fixed_dictionaries({"type": st.sampled_from(_RFC_TYPES), "value": _TEXTS})
_PATHS = st.sampled_from(
    [
        "title",
        "TITLE",
        "nickName",
        "name.givenName",
        "name.familyName",
        f"{ENTERPRISE_USER}:department",
        f"{ENTERPRISE_USER}:manager.value",
        'roles[type eq "work"].display',
        'roles[type eq "home"].display',
        'roles[type eq "work" and value eq "a"].display',
        'roles[value sw "a"].display',
    ]
)
_BOTH = st.one_of(
    st.builds(Operation, st.sampled_from(["add", "replace"]), _PATHS, _TEXTS),
    st.builds(Operation, st.just("remove"), _PATHS.filter(lambda path: "manager" not in path)),
    st.builds(
        Operation,
        st.sampled_from(["add", "replace"]),
        st.just("roles"),
        st.lists(_ROLE, max_size=3, unique_by=lambda role: (role["type"], role["value"])),
    ),
    st.builds(
        Operation,
        st.just("remove"),
        st.sampled_from(["roles", "name", 'roles[type eq "work"]', 'roles[value eq "b"]']),
    ),
    st.builds(
        Operation,
        st.sampled_from(["add", "replace"]),
        st.just("name"),
        st.dictionaries(st.sampled_from(["givenName", "familyName"]), _TEXTS, min_size=1),
    ),
    st.builds(
        Operation,
        st.sampled_from(["add", "replace"]),
        st.none(),
        st.fixed_dictionaries(
            {},
            optional={"title": _TEXTS, "nickName": _TEXTS, ENTERPRISE_USER: st.just({"department": "X"})},
        ).filter(bool),
    ),
)


def _oracle(user: dict[str, Any], operations: list[Operation]) -> Any:
    resource = User[EnterpriseUser].model_validate(user)
    body = PatchOp[User[EnterpriseUser]].model_validate(patch_body(operations))
    try:
        body.patch(resource, scim_policy=_CREATE)
    except SCIMException as error:
        return error.scim_type
    return resource.model_dump()


def _ours(user: dict[str, Any], operations: list[Operation]) -> Any:
    try:
        return apply(user, operations, _RFC, create_on_replace=True)
    except ProtocolError as error:
        return error.scim_type


def _comparable(result: Any) -> Any:
    if not isinstance(result, dict):
        return result
    return {name: value for name, value in result.items() if name != "schemas" and value not in ({}, [])}


@settings(max_examples=examples(300, 150), deadline=None)
@given(st.lists(_BOTH, min_size=1, max_size=4))
def test_patch_agrees_with_scim2_models(operations: list[Operation]) -> None:
    user = {
        "schemas": [CORE_USER, ENTERPRISE_USER],
        "userName": "ada",
        "title": "Clerk",
        "roles": [{"type": "work", "value": "a"}, {"type": "other", "value": "b"}],
        ENTERPRISE_USER: {"department": "Care"},
    }
    assert _comparable(_ours(user, operations)) == _comparable(_oracle(user, operations))
