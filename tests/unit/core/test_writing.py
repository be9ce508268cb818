"""Operations do what they are for, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import MANAGER, RFC_USERS, SKILLS, USERS, WORK_EMAIL, WORK_PHONE, place, rfc_place, skill, skills
from tests.strategies import LIST_PATHS, LOOSE_LISTS, PLACES, SINGLE_PATHS, loose_lists, values_of

from scimsync.core.writing import Move, body_bytes, resource, split
from scimsync.core.writing import operations as operations_of_moves
from scimsync.scim.genesys import GENESYS_USER
from scimsync.scim.messages import Operation
from scimsync.scim.patch import apply
from scimsync.scim.schema import CORE_USER, ENTERPRISE_USER, Catalog, Kind, Place, Value

OTHERS: dict[str, Any] = {
    "id": "u1",
    "nickName": "kept",
    "emails": [{"type": "other", "value": "login@example.com"}],
    "phoneNumbers": [{"type": "mobile", "value": "+13175550199", "primary": True}],
    ENTERPRISE_USER: {"division": "Home"},
}


def operations(where: Place, current: Value, wanted: Value) -> list[Operation]:
    return list(operations_of_moves([Move(where, current, wanted)]))


def written(held: dict[str, Any], where: Place, current: Value, wanted: Value, catalog: Catalog = USERS) -> Any:
    """The resource after the operations, under the strictest reading of the RFC."""
    if where.same(current, wanted):  # the merge asks for nothing then
        return held
    return apply(held, list(operations(where, current, wanted)), catalog, strict_remove=True)


def holding(where: Place, value: Value) -> dict[str, Any]:
    """A resource that holds a value at a place, among things of others."""
    held: dict[str, Any] = {**OTHERS, "emails": list(OTHERS["emails"]), ENTERPRISE_USER: dict(OTHERS[ENTERPRISE_USER])}
    for name, made in resource([(where, value)]).items():
        if isinstance(made, list) and name != "schemas" and where.path.filter is not None:
            held[name] = [*held.get(name, []), *made]
        elif name == ENTERPRISE_USER:
            held[name] |= made
        else:
            held[name] = made
    return held


drawn_moves = st.sampled_from(PLACES).flatmap(lambda p: st.tuples(st.just(p), values_of(p), values_of(p)))


@given(drawn_moves)
def test_operations_turn_what_is_held_into_what_is_wanted(drawn: tuple[Place, Value, Value]) -> None:
    where, current, wanted = drawn
    if wanted is None and where.attribute.required:
        return
    held = holding(where, current)
    after = written(held, where, where.read(held), wanted)
    assert where.same(where.read(after), wanted)


@given(drawn_moves)
def test_a_second_look_finds_nothing_to_send(drawn: tuple[Place, Value, Value]) -> None:
    where, current, wanted = drawn
    if where.kind is Kind.LIST:
        after = written(holding(where, current), where, current, wanted)
        assert list(operations(where, where.read(after), wanted)) == []


@given(drawn_moves)
def test_operations_leave_the_rest_of_the_account_alone(drawn: tuple[Place, Value, Value]) -> None:
    where, current, wanted = drawn
    if wanted is None and where.attribute.required:
        return
    held = holding(where, current)
    after = written(held, where, where.read(held), wanted)
    for name, value in OTHERS.items():
        if name == ENTERPRISE_USER:
            assert after[name]["division"] == "Home"
        elif isinstance(value, list):
            assert [e for e in after[name] if e in value] == value
        else:
            assert after[name] == value


@given(st.sampled_from([place(path) for path in LIST_PATHS]).flatmap(
    lambda p: st.tuples(st.just(p), values_of(p), values_of(p))
))  # fmt: skip
def test_lists_are_never_replaced_whole(drawn: tuple[Place, Value, Value]) -> None:
    where, current, wanted = drawn
    for operation in operations(where, current, wanted):
        assert operation.op == "add" or "[" in str(operation.path)


@given(st.sampled_from(LOOSE_LISTS).flatmap(lambda p: st.tuples(st.just(p), loose_lists(p), loose_lists(p))))
def test_lists_without_a_clear_key_become_what_is_wanted(drawn: tuple[Place, Value, Value]) -> None:
    where, current, wanted = drawn
    catalog = USERS if where in (place("emails"), place("phoneNumbers")) else RFC_USERS
    held = (
        {"id": "u1", where.attribute.name: [dict(e) for e in current]} if isinstance(current, tuple) else {"id": "u1"}
    )
    after = written(held, where, where.read(held), wanted, catalog)
    assert where.same(where.read(after), wanted)


@pytest.mark.parametrize("path", SINGLE_PATHS)
def test_a_single_value_makes_one_operation(path: str) -> None:
    where = place(path)
    value: Value = True if path == "active" else "x"
    assert len(list(operations(where, None, value))) == 1
    assert len(list(operations(where, value, None))) == 1


@pytest.mark.parametrize(
    ("path", "current", "wanted", "operation"),
    [
        ("title", "A", "B", Operation("replace", "title", "B")),
        ("title", "A", None, Operation("remove", "title")),
        ("active", True, False, Operation("replace", "active", False)),
        (WORK_PHONE, None, "+1", Operation("add", "phoneNumbers", [{"type": "work", "value": "+1"}])),
        (WORK_PHONE, "+2", "+1", Operation("replace", WORK_PHONE, "+1")),
        (WORK_EMAIL, "a@x", None, Operation("remove", 'emails[type eq "work"]')),
        (MANAGER, None, "u2", Operation("replace", f"{ENTERPRISE_USER}:manager", {"value": "u2"})),
        (MANAGER, "u2", None, Operation("remove", f"{ENTERPRISE_USER}:manager")),
        ("enterprise:department", None, "D", Operation("replace", f"{ENTERPRISE_USER}:department", "D")),
    ],
)
def test_the_shape_of_operations(path: str, current: Value, wanted: Value, operation: Operation) -> None:
    assert list(operations(place(path), current, wanted)) == [operation]


def test_the_shape_of_list_operations() -> None:
    root = f"{GENESYS_USER}:routingSkills"
    assert list(operations(place(SKILLS), skills(a=1, b=2), skills(b=3, c=4))) == [
        Operation("remove", f'{root}[name eq "a"]'),
        Operation("replace", f'{root}[name eq "b"].proficiency', 3.0),
        Operation("add", root, [{"name": "c", "proficiency": 4.0}]),
    ]


def test_an_odd_name_is_quoted_in_the_filter() -> None:
    name = 'say "hi"\\\n'
    (gone,) = operations(place(SKILLS), (skill(name),), None)
    held = {GENESYS_USER: {"routingSkills": [{"name": name, "proficiency": 1.0}]}}
    assert place(SKILLS).read(apply(held, [gone], USERS)) is None


def test_a_part_that_hr_does_not_want_any_more_is_removed() -> None:
    held: Value = ((("name", "a"), ("proficiency", 3.0)),)
    (gone,) = operations(place(SKILLS), held, ((("name", "a"),),))
    assert gone == Operation("remove", f'{GENESYS_USER}:routingSkills[name eq "a"].proficiency')


def test_clearing_a_part_of_an_element_leaves_the_element() -> None:
    primary = place('phoneNumbers[type eq "work"].primary')
    held = {"phoneNumbers": [{"type": "work", "value": "+1", "primary": True}]}
    assert written(held, primary, True, None)["phoneNumbers"] == [{"type": "work", "value": "+1"}]


@given(st.lists(st.sampled_from(PLACES), unique_by=lambda p: p.short).flatmap(
    lambda places: st.tuples(*(st.tuples(st.just(p), values_of(p)) for p in places))
))  # fmt: skip
def test_a_new_account_reads_back_as_it_was_meant(values: tuple[tuple[Place, Value], ...]) -> None:
    body = resource(values)
    for where, value in values:
        assert where.same(where.read(body), value)


def test_a_new_account_names_the_schemas_it_uses() -> None:
    body = resource([(place("userName"), "a"), (place("enterprise:department"), "D"), (place(SKILLS), None)])
    assert body == {"schemas": [CORE_USER, ENTERPRISE_USER], "userName": "a", ENTERPRISE_USER: {"department": "D"}}


def test_two_parts_of_one_element_make_one_element() -> None:
    primary = place('phoneNumbers[type eq "work"].primary')
    body = resource([(place(WORK_PHONE), "+1"), (primary, True)])
    assert body["phoneNumbers"] == [{"type": "work", "value": "+1", "primary": True}]


def test_parts_of_a_single_complex_attribute_stand_together() -> None:
    body = resource([(rfc_place("name.givenName"), "Ada"), (rfc_place("name.familyName"), "Berg")])
    assert body["name"] == {"givenName": "Ada", "familyName": "Berg"}


# --- several parts of one element, several parts of one change ----------------------------------------

PRIMARY = 'phoneNumbers[type eq "work"].primary'


def moved(*moves: tuple[str, Value, Value]) -> list[Operation]:
    return list(operations_of_moves(Move(place(path), current, wanted) for path, current, wanted in moves))


def test_an_absent_element_is_added_once_with_all_its_parts() -> None:
    assert moved((PRIMARY, None, True), ("title", "A", "B"), (WORK_PHONE, None, "+1")) == [
        Operation("add", "phoneNumbers", [{"type": "work", "primary": True, "value": "+1"}]),
        Operation("replace", "title", "B"),
    ]


def test_a_part_that_is_new_to_an_element_is_put_into_it() -> None:
    assert moved((PRIMARY, None, True)) == [Operation("replace", PRIMARY, True)]
    assert moved((WORK_PHONE, "+1", "+2"), (PRIMARY, None, True)) == [
        Operation("replace", WORK_PHONE, "+2"),
        Operation("replace", PRIMARY, True),
    ]


def test_an_element_goes_with_its_value_and_all_its_parts() -> None:
    assert moved((WORK_PHONE, "+1", None), (PRIMARY, True, None)) == [
        Operation("remove", 'phoneNumbers[type eq "work"]')
    ]


def test_an_element_without_a_value_of_its_own_is_added_by_the_part_it_has() -> None:
    level = 'genesys:routingSkills[name eq "Sales"].proficiency'
    assert moved((level, None, 3.0)) == [
        Operation("add", f"{GENESYS_USER}:routingSkills", [{"name": "Sales", "proficiency": 3.0}])
    ]


MANY = [Operation("replace", f"a{n}", n) for n in range(7)]


def test_nothing_is_split_where_no_limit_demands_it() -> None:
    assert split(MANY) == [tuple(MANY)]
    assert split(MANY, most=7, size=10_000) == [tuple(MANY)]
    assert split([]) == []


def test_a_change_is_split_into_as_few_parts_as_the_number_of_operations_allows() -> None:
    parts = split(MANY, most=3)
    assert [len(part) for part in parts] == [3, 3, 1]
    assert [operation for part in parts for operation in part] == MANY


def test_a_change_is_split_so_that_no_body_is_too_large() -> None:
    size = body_bytes(MANY[:3])
    assert [body_bytes(part) <= size for part in split(MANY, size=size)] == [True] * 3


def test_a_long_addition_is_split_into_several() -> None:
    elements = [{"name": f"Skill {n}"} for n in range(20)]
    parts = split([Operation("add", "skills", elements)], size=200)
    assert len(parts) > 1
    assert max(body_bytes(part) for part in parts) <= 200
    added = [element for part in parts for operation in part for element in operation.value]  # type: ignore[attr-defined]
    assert added == elements


def test_access_goes_with_the_first_part_and_comes_with_the_last() -> None:
    leave, back = Operation("replace", "active", False), Operation("replace", "active", True)
    assert split([*MANY, leave], most=2)[0][0] == leave
    assert split([back, *MANY], most=2)[-1][-1] == back


def test_a_mark_is_given_up_before_another_element_takes_it() -> None:
    take = Operation("replace", 'emails[type eq "work"].primary', True)
    give = Operation("remove", 'emails[type eq "home"].primary')
    assert split([take, give], most=1) == [(give,), (take,)]
    make = Operation("add", "emails", [{"type": "work", "value": "a@example.com", "primary": True}])
    assert split([make, give], most=1) == [(give,), (make,)]
