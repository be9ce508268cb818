"""What is known to be wrong before the first write, and that what is right goes through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.factories import (
    MANAGER,
    SKILLS,
    USERS,
    WORK_EMAIL,
    WORK_PHONE,
    make_change,
    make_delta,
    mapped,
    skill,
    skills,
)

from scimsync.adapters.phones_library import read_phone
from scimsync.core.operations import validate_operations
from scimsync.core.planner import operations_of
from scimsync.core.validation import Known, Validated, name_kinds, validate
from scimsync.model.plans import BESIDES, Action, Change, Reason, Verdict
from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS, GENESYS_USER
from scimsync.scim.messages import Operation
from scimsync.scim.schema import Value

PATHS = (
    "userName", "displayName", "active", "externalId", "title", "enterprise:division", "enterprise:dateHire", MANAGER,
    WORK_PHONE, WORK_EMAIL, SKILLS, "genesys:routingLanguages", "genesys:externalIds", "roles",
)  # fmt: skip
ATTRIBUTES = [mapped(path) for path in PATHS]
NAMES = {
    "role": frozenset({"employee", "admin"}),
    "division": frozenset({"Home"}),
    "skill": frozenset({"Billing", "Sales"}),
    "language": frozenset({"German"}),
}
KNOWN = Known(names=NAMES)
DIALECT = replace(GENESYS, characters=255)


def changed(key: str = "E1", action: Action = Action.UPDATE, held: Any = None, **values: Any) -> Change:
    """A change that writes values; paths by their names in `PATHS`, or with two lines for what a name cannot hold."""
    paths = {path.rpartition(":")[2]: path for path in PATHS} | {"phone": WORK_PHONE, "mail": WORK_EMAIL}
    deltas = [make_delta(paths[name], value, held) for name, value in values.items()]
    account = None if action is Action.CREATE else f"u-{key}"
    return make_change(
        key, action, deltas=tuple(deltas), operations=operations_of(deltas, ATTRIBUTES), account=account, row=3
    )


def checked(*changes: Change, known: Known = KNOWN, dialect: Any = DIALECT, **more: Any) -> Validated:
    return validate(changes, ATTRIBUTES, USERS, dialect, known, **more)


def codes(*changes: Change, **more: Any) -> list[str]:
    return [finding.code for finding in checked(*changes, **more).findings]


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "email",
    ["a@b.co", "ada.berg@example.com", "ada+hr@mail.example.com", "o'neil_x-1@example.org", "jürgen@bücher.example"],
)
def test_addresses_that_are_some(email: str) -> None:
    assert codes(changed(userName=email)) == codes(changed(mail=email)) == []


@pytest.mark.parametrize(
    "email",
    [
        "ada", "@example.com", "ada@", "ada@example", "ada@@example.com", "a@b@example.com", "ada @example.com",
        "ada@example.com ", "<ada@example.com>", "ada@.example.com", "ada@example..com", "ada.@example.com",
        ".ada@example.com", "ada@-example.com", "ada@example-.com", "ada@example.c", "a,b@example.com",
        f"{'a' * 65}@example.com",
    ],
)  # fmt: skip
def test_addresses_that_are_none(email: str) -> None:
    assert codes(changed(userName=email)) == codes(changed(mail=email)) == ["record.bad-email"]


@pytest.mark.parametrize(
    ("phone", "right"),
    [
        ("+13175550100", True), ("tel:+1-317-555-0100;ext=42", True), ("+1 (317) 555-0100 x42", True),
        ("13175550100", False), ("+0317555010", False), ("+12", False), ("+13175550100123456", False), ("+1 call", False),
    ],
)  # fmt: skip
def test_phones_are_e164(phone: str, right: bool) -> None:
    assert codes(changed(phone=phone)) == ([] if right else ["record.bad-phone"])


@pytest.mark.parametrize(
    ("phone", "code"),
    [
        ("+13175550142", ""), ("+1 (317) 555-0142 x42", ""), ("+4402079460100", ""), ("+4930000000", ""),
        ("+15550100", "record.bad-phone"), ("+1317555010000", "record.bad-phone"), ("+4930111", ""),
        ("+447946", "record.bad-phone"), ("+99912345678", "record.phone-country"),
    ],
)  # fmt: skip
def test_a_number_that_its_country_cannot_have_is_refused_and_one_that_nobody_has_is_not(phone: str, code: str) -> None:
    known = Known(names=NAMES, phones=read_phone)
    assert codes(changed(phone=phone), known=known) == ([code] if code else [])


@pytest.mark.parametrize("text", ["#N/A", "#REF!", "#n/a", " #DIV/0! ", "#BEZUG!"])
def test_what_a_spreadsheet_writes_where_a_formula_failed_is_no_value(text: str) -> None:
    assert codes(changed(title=text)) == ["record.failed-formula"]


@pytest.mark.parametrize("text", ["#1 Agent", "C# Developer", "N/A", "Null", "#"])
def test_a_text_that_only_resembles_it_is_a_value(text: str) -> None:
    assert codes(changed(title=text)) == []


@pytest.mark.parametrize(
    ("date", "right"),
    [
        ("2024-02-29", True), ("1900-01-01", True), ("2999-12-31", True), ("2024-01-01T08:30:00Z", True),
        ("2023-02-29", False), ("2024-2-1", False), ("01/02/2024", False), ("2024-01-01 08:30:00", False),
        ("2024-01-01T24:00:00Z", False), ("soon", False), ("0000-01-01", False),
    ],
)  # fmt: skip
def test_dates_exist(date: str, right: bool) -> None:
    assert codes(changed(dateHire=date)) == ([] if right else ["record.bad-date"])


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), min_size=1, max_size=255))
def test_any_text_without_control_characters_may_be_a_title(text: str) -> None:
    assert codes(changed(title=text)) == []


@pytest.mark.parametrize("sign", ["\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\xad", "\u200b", "\u2028"])
def test_control_characters_never_leave(sign: str) -> None:
    assert codes(changed(title=f"a{sign}b")) == ["record.control-characters"]


def test_a_text_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert codes(changed(title="x" * 255)) == []
    assert codes(changed(title="x" * 256)) == ["record.too-long"]
    assert codes(changed(title="x" * 256), dialect=GENESYS) == []


def test_a_required_value_is_never_cleared() -> None:
    assert codes(changed(held="Ada", displayName=None)) == ["record.incomplete"]


def test_lists_are_counted_as_they_would_be() -> None:
    fifty = tuple(skill("Billing", n / 10) for n in range(50))
    assert "record.too-many" not in codes(changed(routingSkills=fifty))
    assert codes(changed(routingSkills=(*fifty, skill("Sales")))) == ["record.too-many"]


@pytest.mark.parametrize(
    ("element", "code"),
    [
        ((("name", "Billing"), ("proficiency", 5.5)), "record.bad-level"),
        ((("name", ""), ("proficiency", 1.0)), "record.incomplete"),
        ((("name", "Bill\ning"), ("proficiency", 1.0)), "record.control-characters"),
        ((("name", "billing"), ("proficiency", 1.0)), "skill.unknown"),
    ],
)
def test_elements_are_looked_at_one_by_one(element: Any, code: str) -> None:
    assert codes(changed(routingSkills=(element,))) == [code]
    assert codes(changed(routingSkills=(element,), held=(element,))) in ([], [code])


def test_what_others_put_into_a_list_is_not_ours_to_judge() -> None:
    odd = skill("Juggling", 9.0)
    assert codes(changed(held=(odd,), routingSkills=(odd, skill("Sales")))) == []


# --- names --------------------------------------------------------------------------------------


def test_names_must_exist_in_their_own_case() -> None:
    (found,) = checked(changed(routingSkills=skills(billing=1))).findings
    assert (found.code, found.detail, found.hint) == (
        "skill.unknown", "genesys:routingSkills: billing", "write Billing: case counts",
    )  # fmt: skip
    assert codes(changed(roles=((("value", "Admin"),),))) == ["role.unknown"]
    assert codes(changed(division="Moon")) == ["division.unknown"]
    assert codes(changed(routingLanguages=skills(English=1))) == ["language.unknown"]


def test_names_that_cannot_be_known_hold_nobody() -> None:
    for names in ({}, {"skill": None}):
        assert codes(changed(routingSkills=skills(Juggling=1)), known=Known(names=names)) == []


def test_only_names_that_are_written_are_asked_for() -> None:
    assert name_kinds([changed(title="Lead")], ATTRIBUTES, GENESYS) == []
    changes = [changed(routingSkills=skills(Sales=1)), changed(division="Home")]
    assert name_kinds(changes, ATTRIBUTES, GENESYS) == ["division", "skill"]
    assert name_kinds(changes, ATTRIBUTES, GENERIC) == []


# --- people among each other --------------------------------------------------------------------


def test_two_people_of_a_plan_never_get_the_same_login_or_external_id() -> None:
    two = (changed("E1", Action.CREATE, userName="ada@example.com"), changed("E2", userName="ADA@example.com"))
    assert codes(*two) == ["record.duplicate-login"] * 2
    assert checked(*two).changes == ()
    assert codes(changed("E1", externalId="x"), changed("E2", externalId="X")) == []  # its case counts
    assert codes(changed("E1", externalId="x"), changed("E2", externalId="x")) == ["record.duplicate-external-id"] * 2


@pytest.mark.parametrize("verdict", [Verdict.AWAIT, Verdict.DEFER])
def test_nobody_is_their_own_manager(verdict: Verdict) -> None:
    waits = make_delta(MANAGER, None, verdict=verdict, reason=Reason.AWAITS, awaits="E1")
    assert codes(make_change("E1", Action.CREATE, account=None, deltas=(waits,))) == ["reference.self"]
    assert codes(make_change("E2", Action.CREATE, account=None, deltas=(waits,))) == []
    assert codes(changed(manager="u-E1")) == ["reference.self"]
    assert codes(changed(manager="u-E2")) == []


# --- who is left out ----------------------------------------------------------------------------


def test_who_has_an_error_is_left_out_with_all_that_is_wrong_and_the_rest_goes_on() -> None:
    bad, good = changed("E1", userName="ada", title="a\tb", division="Moon"), changed("E2", title="Lead")
    found = checked(bad, good)
    assert found.changes == (good,)
    assert [f.code for f in found.findings] == ["record.bad-email", "record.control-characters", "division.unknown"]
    assert {(f.subject, f.row, f.holds) for f in found.findings} == {("E1", 3, True)}


def test_a_bad_value_is_left_out_alone_and_named() -> None:
    found = checked(changed("E1", title="a\tb", displayName="Ada", division="Home"))
    (kept,) = found.changes
    assert [delta.path for delta in kept.deltas] == ["displayName", "enterprise:division"]
    assert [str(operation.path).rpartition(":")[2] for operation in kept.operations] == ["displayName", "division"]
    assert [(f.code, f.path, f.holds) for f in found.findings] == [("record.control-characters", "title", True)]


def test_with_nothing_left_nothing_is_changed() -> None:
    found = checked(changed("E1", title="a\tb"))
    assert (found.changes, [f.path for f in found.findings]) == ((), ["title"])


def test_without_its_value_the_other_parts_of_an_element_go_too() -> None:
    primary = mapped('emails[type eq "work"].primary')
    bad = changed("E1", mail="nobody", title="Lead")
    found = validate(
        [replace(bad, deltas=(*bad.deltas, make_delta(primary.path, True, None)))],
        [*ATTRIBUTES, primary], USERS, DIALECT, KNOWN,
    )  # fmt: skip
    assert [[delta.path for delta in change.deltas] for change in found.changes] == [["title"]]


def test_policy_may_leave_out_the_person() -> None:
    found = checked(changed("E1", title="a\tb", displayName="Ada"), whole=True)
    assert (found.changes, [f.path for f in found.findings]) == ((), [""])


@pytest.mark.parametrize("bad", [{"externalId": "x" * 300}, {"displayName": "a\tb"}, {"userName": "ada"}])
def test_a_joiner_is_not_made_without_what_every_account_needs_or_is_found_by(bad: dict[str, Any]) -> None:
    given = {"userName": "ada@example.com", "displayName": "Ada", "externalId": "E1", "title": "a\tb", **bad}
    found = checked(changed("E1", Action.CREATE, **given), marks=frozenset({"externalId"}))
    assert found.changes == ()
    assert {f.path for f in found.findings} == {""}
    found = checked(changed("E1", Action.CREATE, **{**given, **dict.fromkeys(bad, "E1@example.com")}))
    assert [d.path for change in found.changes for d in change.deltas] == ["userName", "displayName", "externalId"]


def test_what_else_hr_says_about_a_leaver_waits_apart() -> None:
    access = changed("E1", Action.DISABLE, active=False)
    besides = replace(changed("E1", userName="ada", title="Lead"), part=BESIDES)
    found = checked(access, besides)
    assert found.changes == (access,)
    assert [(f.code, f.path) for f in found.findings] == [("record.bad-email", "userName")]


def test_one_text_that_no_request_can_hold_is_named() -> None:
    small = replace(GENESYS, request_bytes=500)
    (found,) = checked(changed(title="x" * 600, displayName="Ada"), dialect=small).findings
    assert found.code == "operation.too-large"
    assert found.detail.startswith("title: ")
    many = changed(routingSkills=tuple(skill("Sales", n / 10) for n in range(40)))
    assert "operation.too-large" not in codes(many, dialect=small)  # it is sent in parts


# --- operations alone ---------------------------------------------------------------------------


def wrong(*operations: Operation, **more: Any) -> list[tuple[str, str]]:
    return [(f.code, f.detail) for f in validate_operations(operations, USERS, **{"dialect": DIALECT, **more})]


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (Operation("move", "title", "x"), "none of add, replace, remove"),
        (Operation("remove", None), "needs a path"),
        (Operation("replace", "titel", "x"), "did you mean title?"),
        (Operation("replace", "emails[type eq", "x"), ""),
        (Operation("replace", "id", "x"), "the directory gives ids"),
        (Operation("add", "groups", [{"value": "g"}]), "membership is changed on the group"),
        (Operation("replace", 'emails[type eq "other"].value', "a@example.com"), "it mirrors the login"),
        (Operation("replace", 'phoneNumbers[type eq "fax"].value', "+13175550100"), "fax is no type"),
        (Operation("replace", "active", "yes"), "it takes a boolean"),
        (Operation("replace", None, "x"), "it takes an object"),
    ],
)
def test_what_cannot_be_an_operation(operation: Operation, words: str) -> None:
    ((code, detail),) = wrong(operation)
    assert code == "operation.invalid"
    assert words in detail


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (Operation("remove", "displayName"), "record.incomplete"),
        (Operation("replace", None, {"userName": "ada", "title": "Lead"}), "record.bad-email"),
        (Operation("add", "phoneNumbers", [{"type": "fax", "value": "+13175550100"}]), "record.not-canonical"),
        (Operation("add", f"{GENESYS_USER}:externalIds", [{"value": "1"}]), "record.incomplete"),
        (Operation("replace", f'{GENESYS_USER}:routingSkills[name eq "Sales"].proficiency', 6), "record.bad-level"),
        (Operation("replace", f"{GENESYS_USER}", {"routingSkills": [{"name": "a", "proficiency": -1}]}), "record.bad-level"),
    ],
)  # fmt: skip
def test_values_of_operations_are_looked_at(operation: Operation, code: str) -> None:
    assert [found for found, _ in wrong(operation)] == [code]


def test_limits_of_a_request_are_those_of_the_dialect() -> None:
    fine = [Operation("replace", "title", "x")] * 51
    assert wrong(*fine) == []
    assert wrong(*fine, dialect=GENERIC) == [("operation.too-large", "PATCH: 51 operations, at most 50")]
    assert [code for code, _ in wrong(*fine, dialect=replace(GENESYS, request_bytes=100))] == ["operation.too-large"]


def plausible() -> Iterable[tuple[str, Value]]:
    yield from {
        "title": "Lead",
        "active": True,
        WORK_PHONE: "+13175550100",
        MANAGER: "u2",
        SKILLS: skills(Sales=1),
    }.items()


def test_what_we_plan_ourselves_is_always_valid() -> None:
    deltas = [make_delta(path, value, None) for path, value in plausible()]
    assert validate_operations(operations_of(deltas, ATTRIBUTES), USERS, dialect=GENESYS) == ()
