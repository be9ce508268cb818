"""What paths name, how values are read, and when two of them are one."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import MANAGER, SKILLS, USERS, WORK_EMAIL, WORK_PHONE, place, rfc_place, skills
from tests.strategies import PLACES, any_texts, phone_texts, skill_lists, values_of

from scimsync.errors import InvalidPath, ProtocolError
from scimsync.scim.forms import phone_form
from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS, GENESYS_USER
from scimsync.scim.kept import value_from_json, value_to_json
from scimsync.scim.published import schema_from_json
from scimsync.scim.schema import ENTERPRISE_USER, Kind, Place, Value


@pytest.mark.parametrize(
    ("text", "short", "path", "kind"),
    [
        ("title", "title", "title", Kind.TEXT),
        ("TITLE", "title", "title", Kind.TEXT),
        ("urn:ietf:params:scim:schemas:core:2.0:User:title", "title", "title", Kind.TEXT),
        ("active", "active", "active", Kind.BOOLEAN),
        ("Enterprise:Department", "enterprise:department", f"{ENTERPRISE_USER}:department", Kind.TEXT),
        (f"{ENTERPRISE_USER.upper()}:department", "enterprise:department", f"{ENTERPRISE_USER}:department", Kind.TEXT),
        ("enterprise:manager", MANAGER, f"{ENTERPRISE_USER}:manager", Kind.REFERENCE),
        ("enterprise:manager.value", MANAGER, f"{ENTERPRISE_USER}:manager", Kind.REFERENCE),
        ("enterprise:dateHire", "enterprise:dateHire", f"{ENTERPRISE_USER}:dateHire", Kind.DATE),
        (WORK_PHONE, WORK_PHONE, WORK_PHONE, Kind.PHONE),
        ('PHONENUMBERS[type eq "work"].VALUE', WORK_PHONE, WORK_PHONE, Kind.PHONE),
        (WORK_EMAIL, WORK_EMAIL, WORK_EMAIL, Kind.TEXT),
        (SKILLS, SKILLS, f"{GENESYS_USER}:routingSkills", Kind.LIST),
        ("roles", "roles", "roles", Kind.LIST),
    ],
)
def test_a_path_is_found_however_it_is_spelled(text: str, short: str, path: str, kind: Kind) -> None:
    found = USERS.resolve(text)
    assert (found.short, str(found.path), found.kind) == (short, path, kind)
    assert USERS.resolve(found.short) == found
    assert USERS.resolve(str(found.path)) == found


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("titel", "did you mean title?"),
        ("department", "did you mean enterprise:department?"),
        ("enterprise:departmnt", "did you mean enterprise:department?"),
        ("genesys:skills", "did you mean genesys:routingSkills?"),
        ('emails[type eq "work"].valu', "did you mean value?"),
        ("enterprise:manager.name", "manager has no sub-attribute name"),
        ('title[type eq "x"]', "takes no [filter]"),
        ("urn:x:y:User:title", "the target has no such schema"),
        (ENTERPRISE_USER, "a whole extension cannot be mapped"),
        ("zzz", "the target has no attribute zzz"),
        ("groups[].value", "is not a SCIM path"),
        ("", "it is empty"),
    ],
)
def test_a_path_that_names_nothing_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        USERS.resolve(text)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("path", "key"),
    [("emails", "type"), ("phoneNumbers", "type"), (SKILLS, "name"), ("genesys:routingLanguages", "name"),
     ("genesys:externalIds", "authority"), ("roles", "value")],
)  # fmt: skip
def test_each_list_has_its_key(path: str, key: str) -> None:
    assert place(path).key == key


def test_a_place_knows_its_root_its_selector_and_whether_it_may_be_written() -> None:
    assert place("enterprise:department").root == f"{ENTERPRISE_USER}:department"
    assert place(WORK_PHONE).root == "phoneNumbers"
    assert place('phoneNumbers[TYPE eq "work"].value').selector == {"type": "work"}
    assert [place(path).read_only for path in ("id", "meta.version", "groups", "title")] == [True, True, True, False]


ADA: dict[str, Any] = {
    "userName": "ada",
    "TITLE": "Lead",
    "displayName": "",
    "active": False,
    "emails": [{"type": "Work", "value": "ada@x"}, {"type": "other", "value": "o@x"}],
    "phoneNumbers": [],
    "roles": [{"value": "b"}, {"value": "a"}, {"value": "a"}],
    ENTERPRISE_USER: {"department": None, "manager": {"value": "u2", "$ref": "x"}, "dateHire": "2020-01-02T00:00:00Z"},
    GENESYS_USER.upper(): {"routingSkills": [{"name": "a", "proficiency": 4}]},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("userName", "ada"),
        ("title", "Lead"),
        ("displayName", None),
        ("active", False),
        (WORK_EMAIL, "ada@x"),
        ('emails[type eq "home"].value', None),
        (WORK_PHONE, None),
        ("phoneNumbers", None),
        ("enterprise:department", None),
        (MANAGER, "u2"),
        ("enterprise:dateHire", "2020-01-02T00:00:00Z"),
        (SKILLS, skills(a=4)),
        ("roles", ((("value", "a"),), (("value", "b"),))),
    ],
)
def test_a_value_is_read_out_of_a_resource(path: str, value: Value) -> None:
    assert place(path).read(ADA) == value


@pytest.mark.parametrize("body", [{}, {"emails": "x"}, {"emails": [1, None]}, {"emails": {}}, {"emails": None}])
def test_a_resource_of_another_shape_holds_no_value(body: dict[str, Any]) -> None:
    assert place(WORK_EMAIL).read(body) is None
    assert place(SKILLS).read({GENESYS_USER: "x"}) is None


def test_what_the_provider_derives_is_no_part_of_a_list() -> None:
    held = {"roles": [{"value": "a", "display": "A", "primary": True, "type": "t"}]}
    assert rfc_place("roles").read(held) == ((("type", "t"), ("value", "a")),)


@pytest.mark.parametrize(
    ("path", "left", "right", "same"),
    [
        ("title", None, "", True),
        ("title", "Lead", "LEAD", False),
        ("title", "Straße", "STRASSE", False),
        ("title", "e\u0301", "é", True),
        ("title", "Ϊ\u0301", "\u0390", False),
        ("title", "Lead", "Lead\u00a0", True),
        ("title", "İ", "i", False),
        ("userName", "Ada@x", "ada@X", True),
        ("externalId", "a", "A", False),
        ("externalId", "e\u0301", "é", True),
        (MANAGER, "u1", "U1", False),
        ("active", True, "TRUE", True),
        ("active", False, None, False),
        ("enterprise:dateHire", "2020-01-02", "2020-01-02T23:59:59+02:00", True),
        ("enterprise:dateHire", "2020-01-02", "2020-01-03", False),
        (WORK_PHONE, "tel:+1-317-555-0100", "+13175550100", True),
        (WORK_PHONE, "+13175550100;ext=42", "+1 317 555 0100 x42", True),
        (WORK_PHONE, "+13175550100;ext=42", "+13175550100", False),
        (SKILLS, (), None, True),
        (SKILLS, ((("name", "a"), ("proficiency", 4)),), skills(a=4.0), True),
        (SKILLS, ((("proficiency", 4), ("name", "a")),), skills(a=4.0), True),
        (SKILLS, ((("name", "a"), ("proficiency", None)),), ((("name", "a"),),), True),
        (SKILLS, skills(a=4), skills(A=4), False),
        ("emails", ((("type", "work"), ("value", "A@x")),), ((("type", "Work"), ("value", "a@X")),), True),
    ],
)
def test_nothing_is_written_where_values_are_the_same(*, path: str, left: Value, right: Value, same: bool) -> None:
    assert place(path).same(left, right) is same
    assert place(path).same(right, left) is same


@pytest.mark.parametrize(
    ("path", "left", "right", "alike"),
    [
        ("title", "Lead", "LEAD", True),
        ("title", "Straße", "STRASSE", True),
        ("title", "e\u0301", "É", True),
        ("title", "Ϊ\u0301", "\u0390", True),
        ("title", "İ", "i", False),
        ("externalId", "a", "A", False),
        ("enterprise:employeeNumber", "ab1", "AB1", True),
    ],
)
def test_people_are_found_by_the_equality_of_scim(*, path: str, left: Value, right: Value, alike: bool) -> None:
    assert place(path).alike(left, right) is alike
    assert place(path).alike(right, left) is alike


def test_lists_compare_without_order() -> None:
    listed = skills(a=1, b=2, c=3)
    assert isinstance(listed, tuple)
    assert place(SKILLS).same(listed, listed[::-1])


drawn = st.sampled_from(PLACES).flatmap(lambda p: st.tuples(st.just(p), values_of(p)))


@given(drawn)
def test_a_normal_form_is_its_own(found: tuple[Place, Value]) -> None:
    where, value = found
    assert where.normal(where.normal(value)) == where.normal(value)


@given(any_texts)
def test_neither_case_nor_composition_makes_a_difference(text: str) -> None:
    title = place("title")
    for other in (
        unicodedata.normalize("NFD", text).casefold(),
        unicodedata.normalize("NFC", text),
        unicodedata.normalize("NFD", text),
    ):
        assert title.alike(text, other)
    assert title.same(text, unicodedata.normalize("NFD", text))


@given(phone_texts)
def test_a_phone_form_is_stable(text: str) -> None:
    assert phone_form(phone_form(text)) == phone_form(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("+1 (317) 555-0100", "+13175550100"),
        (" tel:+1.317.555.0100 ", "+13175550100"),
        ("TEL:+13175550100;EXT=42", "+13175550100;ext=42"),
        ("+13175550100 ext. 42", "+13175550100;ext=42"),
        ("+13175550100, ext 42", "+13175550100;ext=42"),
        ("+13175550100 x 42", "+13175550100;ext=42"),
        ("+13175550100x42", "+13175550100;ext=42"),
        ("", ""),
    ],
)
def test_phone_forms(text: str, form: str) -> None:
    assert phone_form(text) == form


@given(st.one_of(st.none(), st.booleans(), any_texts, st.floats(0, 5), skill_lists))
def test_a_value_survives_json(value: Value) -> None:
    assert value_from_json(value_to_json(value)) == value


@pytest.mark.parametrize("found", [{}, [1], [{"a": [1]}], [{"a": {}}]])
def test_what_is_no_value_is_refused(found: object) -> None:
    with pytest.raises(ProtocolError):
        value_from_json(found)


@pytest.mark.parametrize("schema", [*GENESYS.users.published.schemas, *GENERIC.users.schemas], ids=lambda s: s.name)
def test_a_schema_survives_json(schema: Any) -> None:
    assert schema_from_json(schema.to_json()) == schema


def test_a_schema_is_read_without_case_in_its_words() -> None:
    found = schema_from_json(
        {"id": "x", "attributes": [{"name": "a", "type": "DATETIME", "mutability": "readonly"}, 7]}
    )
    assert [(a.name, a.type, a.mutability) for a in found.attributes] == [("a", "dateTime", "readOnly")]
