"""Every exported event is valid against the class definitions that OCSF publishes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from scimsync.core import ocsf
from scimsync.model.audit import Kind

BODY = {
    "v": 1, "seq": 7, "at": "2026-03-01T12:00:00.123456+00:00", "kind": "outcome", "actor": "ann@host", "run": "r1",
    "plan": "ab" * 32, "target": "https://api", "status": "done", "person": "0" * 32, "part": 1,
    "version_before": "3", "version_after": "4", "correlation_id": "c-1", "commitment": "cd" * 32,
    "paths": [{"path": "title", "reason": "source_moved", "authority": "local_wins"}],
}  # fmt: skip
CLEAR = {
    "person": "E1",
    "name": "jane@example.com",
    "account": "0000-1",
    "values": {"title": {"before": None, "after": "Lead"}, "genesys:routingSkills": {"before": [{"name": "x"}]}},
}


@cache
def validator(class_uid: int) -> Any:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=ocsf.VERSION))
    return jsonschema_rs.validator_for(schema.get_class_schema(schema.lookup_class_name_from_uid(class_uid)))


def events(clear: Mapping[str, object] = CLEAR, **body: object) -> list[dict[str, Any]]:
    told = ocsf.AuditedRecord(body={**BODY, **body}, clear=clear, origin="scimsync/ab", product="0.1.0")
    found = json.loads(json.dumps(list(ocsf.events(told))))
    for event in found:
        wrong = [f"{list(e.instance_path)}: {e.message}" for e in validator(event["class_uid"]).iter_errors(event)]
        assert wrong == [], event
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    return found


@pytest.mark.parametrize(
    ("action", "class_uid", "activity"),
    [("create", 3001, 1), ("enable", 3001, 2), ("disable", 3001, 5), ("delete", 3001, 6), ("update", 3004, 3)],
)
def test_what_was_done_to_an_account_has_its_class(action: str, class_uid: int, activity: int) -> None:
    (event,) = events(action=action)
    assert (event["class_uid"], event["activity_id"]) == (class_uid, activity)
    assert event["metadata"]["sequence"] == 7


def test_an_update_tells_before_and_after() -> None:
    (event,) = events(action="update")
    assert event["entity"]["data"]["title"] is None
    assert event["entity_result"]["data"]["title"] == "Lead"
    assert event["entity"]["uid"] == "0000-1"


def test_each_member_that_moved_has_an_event_of_its_own() -> None:
    values = {"members": {"before": [{"value": "a"}, {"value": "b"}], "after": [{"value": "b"}, {"value": "c"}]}}
    found = events({"account": "group-1", "values": values}, action="members")
    assert [(e["class_uid"], e["activity_id"], e["user"]["uid"], e["group"]["uid"]) for e in found] == [
        (3006, 4, "a", "group-1"),
        (3006, 3, "c", "group-1"),
    ]
    assert len({e["metadata"]["uid"] for e in found}) == 2


@pytest.mark.parametrize("action", ["create", "enable", "disable", "delete", "update", "members"])
@pytest.mark.parametrize("status", ["done", "already", "held", "failed", "deferred", "open"])
def test_an_outcome_of_an_erased_person_is_still_an_event(action: str, status: str) -> None:
    (event,) = events({}, action=action, status=status, code="write.races")
    assert event["status_id"] == {"done": 1, "already": 1, "failed": 2, "open": 0}.get(status, 99)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in {Kind.INTENT, Kind.OUTCOME}])
@pytest.mark.parametrize("clear", [{}, CLEAR])
def test_every_decision_is_an_event(kind: Kind, clear: Mapping[str, object]) -> None:
    for person in ("", "0" * 32):
        (event,) = events(clear, kind=kind.value, person=person, action="", rule="limits.disable", reason="asked")
        assert event["class_uid"] == 3004
        assert event["message"] == "asked"


def test_an_intent_is_no_event() -> None:
    assert events(kind="intent") == []
