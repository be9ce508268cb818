"""The parts that judge what somebody else wrote take whatever they are given, and answer in findings."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.soak import examples

from scimsync import check_schema_drift, validate_operations
from scimsync.model.plans import Finding
from scimsync.scim.drift import Drift, Kind
from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS
from scimsync.scim.messages import Operation

CORE = GENESYS.users.core.id
PATHS = st.sampled_from(
    [
        "title", "titel", "emails", 'emails[type eq "work"].value', "emails[].value", "groups[].value", "manager",
        "enterprise:manager", "genesys:routingSkills", "genesys:externalIds[authority eq 1]", "meta.version", "active",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", CORE, f"{CORE}:title", "a" + "[(" * 5000, "", " ",
        "emails[" + "not (" * 2000 + "type pr" + ")" * 2000 + "]", "tomorrow", "enterprise:tomorrow.value", "\ud800",
    ]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), PATHS, st.binary(max_size=3),
    st.sampled_from(["add", "Replace", "remove", "string", "complex", "readOnly", 2**70, date(2026, 1, 1), 1j]),
)  # fmt: skip
MEMBERS = st.one_of(
    SCALARS,
    st.sampled_from(
        "op path value Operations schemas id name attributes Resources type multiValued subAttributes mutability status "
        "canonicalValues returned uniqueness required detail message code scimType proficiency".split()
    ),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.dictionaries(MEMBERS, inner, max_size=5)
    ),
    max_leaves=20,
)
OPERATIONS = st.one_of(
    st.fixed_dictionaries({}, optional={"op": SCALARS, "path": SCALARS, "value": ANYTHING}),
    st.builds(Operation, SCALARS, SCALARS, ANYTHING),
    ANYTHING,
)
ATTRIBUTES = st.deferred(
    lambda: st.one_of(
        SCALARS,
        st.fixed_dictionaries(
            {"name": st.sampled_from(["title", "Title", "emails", "tomorrow"]) | SCALARS},
            optional={
                "type": SCALARS, "subAttributes": st.lists(ATTRIBUTES, max_size=3) | SCALARS, "multiValued": SCALARS,
                "canonicalValues": ANYTHING, "mutability": SCALARS, "returned": SCALARS, "required": SCALARS,
            },
        ),
    )
)  # fmt: skip
SCHEMAS = st.fixed_dictionaries(
    {"id": st.sampled_from([CORE, CORE.upper(), "urn:tomorrow"]) | SCALARS},
    optional={"attributes": st.lists(ATTRIBUTES, max_size=4) | SCALARS, "name": SCALARS},
)
DOCUMENTS = st.one_of(
    st.fixed_dictionaries({"Resources": st.lists(SCHEMAS | SCALARS, max_size=3) | ANYTHING}),
    SCHEMAS,
    st.dictionaries(PATHS | SCALARS, SCALARS, max_size=4),
    ANYTHING,
)


def itself(shape: type[list[Any]] | type[dict[str, Any]]) -> Any:
    """A value that holds itself."""
    found: Any = shape()
    if isinstance(found, list):
        found.append(found)
    else:
        found.update(name="title", subAttributes=[found, found, found], attributes=[found], Resources=[found])
    return found


def deep(levels: int = 100_000) -> Any:
    found: Any = "end"
    for _ in range(levels):
        found = [found]
    return found


@given(st.lists(OPERATIONS, max_size=4) | OPERATIONS)
@settings(max_examples=examples(300, 80), deadline=None)
@example(None)
@example("replace title")
@example([None, 5, "x", b"y", [], {}])
@example([{"op": "replace", "path": "title", "value": itself(list)}])
@example([{"op": "add", "value": {"title": deep()}}])
@example([{"op": "add", "value": {5: 6, None: 7}}])
@example([Operation("add", "genesys:routingSkills", [{"name": "Billing", "proficiency": math.inf}])])
@example([{"op": "add", "path": "title", "value": "\ud800"}, {"op": "add", "path": "\ud800", "value": "x"}])
def test_operations_of_any_shape_are_answered_in_findings(given_: Any) -> None:
    for dialect in (GENESYS, GENERIC):
        found = validate_operations(given_, dialect=dialect)
        assert all(isinstance(each, Finding) and each.code and each.detail for each in found)
        if found == ():  # then it can be sent
            assert all(isinstance(each, Operation | dict) for each in given_)


@given(DOCUMENTS, DOCUMENTS)
@settings(max_examples=examples(300, 80), deadline=None)
@example(None, None)
@example({"title": "string"}, itself(dict))
@example(itself(dict), itself(dict))
@example({"title": deep()}, {"Resources": []})
def test_schemas_of_any_shape_are_answered_in_drifts(baseline: Any, published: Any) -> None:
    for dialect in (GENESYS, GENERIC):
        found = check_schema_drift(baseline, published, dialect=dialect)
        assert all(isinstance(each, Drift) and str(each) for each in found)


@given(DOCUMENTS)
@settings(max_examples=examples(200, 80), deadline=None)
def test_a_document_has_not_drifted_from_itself(document: Any) -> None:
    assume(not isinstance(document, dict) or not isinstance(document.get("attributes"), str))  # that is a path
    assert [each for each in check_schema_drift(document, document) if each.kind is not Kind.UNREADABLE] == []


UNSENDABLE = {
    "nan": math.nan, "inf": math.inf, "set": {1, 2}, "bytes": b"x", "complex": 1j, "deep": deep(), "itself": itself(list),
    "huge": 10**5000,
}  # fmt: skip


@pytest.mark.parametrize("value", UNSENDABLE.values(), ids=UNSENDABLE)
def test_a_value_that_no_json_holds_is_told_with_the_place_of_its_operation(value: object) -> None:
    good = {"op": "replace", "path": "title", "value": "Lead"}
    [found] = validate_operations([good, {"op": "replace", "path": "displayName", "value": value}])
    assert (found.code, "operation 2" in found.detail) == ("operation.invalid", True)


def test_the_answer_of_an_error_is_no_schema_from_which_everything_is_gone() -> None:
    for body in (
        {"status": "403", "detail": "filter on schemas"},
        {"message": "gone", "code": "not.found"},
        {},
        "",
        [],
    ):
        [drift] = check_schema_drift({"title": "string", "active": "boolean"}, body)  # type: ignore[arg-type]
        assert (drift.path, drift.kind) == ("Schemas", Kind.UNREADABLE)


def test_attributes_that_appear_tomorrow_are_compared_as_they_are_published() -> None:
    tomorrow = {"name": "station", "type": "complex", "subAttributes": [{"name": "id", "type": "integer"}]}
    now = {"Resources": [{"id": CORE, "attributes": [{"name": "title", "type": "string"}, tomorrow]}]}
    baseline = {"title": "string", "station.id": "integer", "station": "complex"}
    assert check_schema_drift(baseline, now) == ()
    found = check_schema_drift({**baseline, "station.id": "string", "station.name": "string"}, now)
    assert [str(each) for each in found] == ["station.name: removed (string)", "station.id: type string -> integer"]
