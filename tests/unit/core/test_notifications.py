"""What is told of an outcome, to whom, and what is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from tests.factories import make_change, make_delta, mapped

from scimsync.core import notifications
from scimsync.model.events import Event, EventKind, Subscription
from scimsync.model.outcomes import Outcome, Run, RunState, Status
from scimsync.model.plans import Action, Change, Lifecycle, Verdict
from scimsync.scim.schema import Value

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROV = "urn:ietf:params:scim:event:prov:"
ATTRIBUTES = {m.path: m for m in map(mapped, ("userName", "title", "active", "enterprise:manager", "displayName"))}


def outcome(status: Status = Status.DONE, written: Mapping[str, Value] | None = None, **more: Any) -> Outcome:
    given = {"title": "Lead"} if written is None else written
    return Outcome(key="E1", status=status, account="u1", version="8", written=given, **more)


def change(action: Action = Action.UPDATE, *paths: str, **more: Any) -> Change:
    deltas = tuple(make_delta(path, desired="new", current="old") for path in paths or ("title",))
    return make_change(action=action, deltas=deltas, **more)


def told(what: Change, came: Outcome, *, values: bool = False) -> list[Event]:
    return list(notifications.of_outcome(what, came, "run-1", NOW, ATTRIBUTES, values=values))


def payload(event: Event) -> Any:
    return json.loads(notifications.encode(event))["events"][event.type]


def test_an_update_is_a_patch_notice_about_the_account_without_values() -> None:
    (event,) = told(change(), outcome())
    assert event.type == PROV + "patch:notice"
    assert event.person == "E1"
    body = json.loads(notifications.encode(event))
    assert body["sub_id"] == {"format": "scim", "uri": "/Users/u1", "externalId": "E1"}
    assert body["events"][event.type] == {"attributes": ["title"], "lifecycle": "mover", "version": "8"}
    assert (body["type"], body["jti"], body["txn"], body["iss"]) == (event.type, event.id, "run-1/E1", "scimsync")
    assert body["timestamp"] == "2026-01-01T00:00:00+00:00"
    assert "Lead" not in json.dumps(body)


def test_with_values_the_patch_is_told_in_full_with_before_and_after() -> None:
    (event,) = told(change(), outcome(), values=True)
    assert event.type == PROV + "patch:full"
    found = payload(event)
    assert found["changes"] == [{"path": "title", "before": "old", "after": "Lead"}]
    assert found["data"]["Operations"] == [{"op": "replace", "path": "title", "value": "Lead"}]


def test_a_new_account_is_created_with_or_without_its_resource() -> None:
    what = change(Action.CREATE, "userName", "title", account=None, lifecycle=Lifecycle.JOINER)
    came = outcome(written={"userName": "ada@example.com", "title": "Lead"})
    (short,), (full,) = told(what, came), told(what, came, values=True)
    assert (short.type, payload(short)["attributes"]) == (PROV + "create:notice", ["title", "userName"])
    assert full.type == PROV + "create:full"
    assert payload(full)["data"]["userName"] == "ada@example.com"


@pytest.mark.parametrize("verdict", [Verdict.DEFER, Verdict.AWAIT])
def test_the_second_pass_of_a_joiner_is_a_patch_and_no_second_creation(verdict: Verdict) -> None:
    deferred = make_delta("enterprise:manager", verdict=verdict, awaits="E2", desired=None)
    what = make_change(action=Action.CREATE, account=None, deltas=(make_delta("userName"), deferred))
    (event,) = told(what, outcome(written={"enterprise:manager": "u2"}), values=True)
    assert event.type == PROV + "patch:full"
    assert payload(event)["data"]["Operations"][0]["value"] == {"value": "u2"}


def test_an_account_that_was_adopted_was_not_created() -> None:
    what = change(Action.CREATE, "title", account=None)
    (event,) = told(what, outcome(code="account.adopted"))
    assert event.type == PROV + "patch:notice"


@pytest.mark.parametrize(("action", "kind"), [(Action.DISABLE, "deactivate"), (Action.ENABLE, "activate")])
def test_a_leaver_is_deactivated_and_a_rehire_activated_and_what_else_moved_is_told_beside(
    action: Action, kind: str
) -> None:
    (one,) = told(change(action, "active"), outcome(written={"active": action is Action.ENABLE}))
    assert one.type == PROV + kind
    first, second = told(change(action, "active", "title"), outcome(written={"active": True, "title": "Lead"}))
    assert (first.type, second.type) == (PROV + kind, PROV + "patch:notice")
    assert payload(second)["attributes"] == ["title"]


@pytest.mark.parametrize("status", [Status.HELD, Status.FAILED])
def test_a_person_who_is_held_is_told_by_code_and_never_by_detail(status: Status) -> None:
    (event,) = told(change(), outcome(status, {}, code="write.races", detail="canary@example.com"))
    assert event.type == "scimsync.person.held"
    assert payload(event) == {
        "code": "write.races",
        "status": status.value,
        "action": "update",
        "lifecycle": "mover",
    }
    assert b"canary" not in notifications.encode(event)


def test_a_person_without_account_is_no_subject_of_the_profile() -> None:
    came = replace(outcome(Status.HELD, {}, code="account.name-taken"), account=None)
    (event,) = told(change(Action.CREATE, account=None), came)
    assert json.loads(notifications.encode(event))["sub_id"] == {"format": "opaque", "id": "E1", "externalId": "E1"}


@pytest.mark.parametrize("status", [Status.ALREADY, Status.DEFERRED, Status.OPEN])
def test_where_nothing_was_written_nothing_is_told(status: Status) -> None:
    assert told(change(), outcome(status)) == []
    assert told(change(), outcome(Status.DONE, {})) == []


def test_a_body_beyond_20_kb_goes_without_its_values() -> None:
    (event,) = told(change(), outcome(written={"title": "x" * 30_000}), values=True)
    assert event.type == PROV + "patch:notice"
    assert len(notifications.encode(event)) < 1000


def test_the_end_of_a_run_is_numbers_and_no_names() -> None:
    run = Run(
        id="run-1", created=NOW, state=RunState.PARTIAL, target="https://api", tally={"held": 2}, statuses={"done": 3}
    )
    event = notifications.of_run(run, NOW, "stopped: canary@example.com")
    assert payload(event) == {
        "run": "run-1",
        "state": "partial",
        "changes": {"done": 3},
        "tally": {"held": 2},
        "stopped": True,
        "leavers_kept": 0,
    }


def test_the_same_outcome_has_the_same_id_and_another_has_another() -> None:
    assert told(change(), outcome())[0].id == told(change(), outcome())[0].id
    assert told(change(), outcome())[0].id != told(change(), outcome(written={"active": True}))[0].id
    assert told(change(), outcome())[0].id.startswith("msg_")


def test_an_endpoint_gets_what_it_wants_and_no_more() -> None:
    events = [*told(change(), outcome()), notifications.ping(NOW)]
    everything = list(notifications.messages_to(events, Subscription(endpoint="a")))
    some = list(notifications.messages_to(events, Subscription(endpoint="b", kinds=frozenset({EventKind.PING}))))
    assert [message.type for message in everything] == [PROV + "patch:notice", "scimsync.ping"]
    assert [(message.type, message.endpoint) for message in some] == [("scimsync.ping", "b")]
    assert everything[0].body == notifications.encode(events[0])


def test_a_deletion_is_told_as_such_and_one_that_was_not_needed_is_not() -> None:
    what = make_change(action=Action.DELETE, deltas=())
    (event,) = told(what, outcome(written={}))
    assert (event.type, payload(event)) == (PROV + "delete", {})
    assert told(what, outcome(Status.ALREADY, written={})) == []


def test_an_account_that_is_brought_back_is_activated_and_patched() -> None:
    what = change(Action.RESTORE, "active", "title", account="u1", lifecycle=Lifecycle.JOINER)
    events = told(what, outcome(written={"active": True, "title": "Lead"}, code="account.restored"))
    assert [event.type for event in events] == [PROV + "activate", PROV + "patch:notice"]
