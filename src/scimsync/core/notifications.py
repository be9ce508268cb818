"""From what came of a change or a run to events, and from events to messages. Pure.

The body of an event holds the claims of a security event token (RFC 8417 §2.2) under the names and the
subject of the SCIM event profile (RFC 9967), with `type` and `timestamp` beside them, as Standard
Webhooks has it:

    {"type": "urn:ietf:params:scim:event:prov:patch:notice", "timestamp": "2026-11-25T02:00:00+00:00",
     "iss": "scimsync", "jti": "msg_...", "iat": 1795572000, "txn": "RUN/E42",
     "sub_id": {"format": "scim", "uri": "/Users/ID", "externalId": "E42"},
     "events": {"urn:ietf:params:scim:event:prov:patch:notice": {"attributes": ["title"], "version": "8"}}}

It is not a signed JWT: the message is signed as a whole (`core.signing`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from scimsync.core import grouping, leaving, planner
from scimsync.core.approving import Standing
from scimsync.core.writing import resource
from scimsync.model.events import PROFILE, Event, EventKind, Message, Subscription
from scimsync.model.outcomes import STRIPPED, Outcome, Run, Status
from scimsync.model.plans import MAKING, Action, Change, GroupChange, Plan, Verdict
from scimsync.model.policy import Mapped
from scimsync.scim.kept import value_to_json
from scimsync.scim.messages import patch_body

#: a longer body goes without its values (Standard Webhooks asks for less than 20 kB)
LONGEST_BODY = 20_000
ISSUER = "scimsync"
_ACTIVE = "active"


def of_outcome(
    change: Change, outcome: Outcome, run: str, at: datetime, attributes: Mapping[str, Mapped], *, values: bool
) -> Iterator[Event]:
    """What a settled change is to others: nothing where nothing was written and nobody need look.

    Args:
        change: What was planned.
        outcome: What came of it, or of its second pass.
        run: Id of the run.
        at: When.
        attributes: Everything that a plan may write, by short path.
        values: Whether values travel.
    """
    about = _Subject(change, outcome, run, at)
    if outcome.code == leaving.KEPT:
        yield about.event(EventKind.LEAVER_KEPT, {"code": leaving.KEPT, "reason": outcome.detail.partition(": ")[0]})
    if outcome.status in {Status.HELD, Status.FAILED}:
        held = {"code": outcome.code, "status": outcome.status.value, "action": change.action.value}
        yield about.event(EventKind.PERSON_HELD, {**held, "lifecycle": change.lifecycle.value})
    if outcome.status is not Status.DONE:
        return
    written = sorted(outcome.written)
    is_taken_over = outcome.code in {"account.adopted", STRIPPED}
    if change.action is Action.DELETE:
        yield about.event(EventKind.DELETE, {})
    elif change.action in MAKING and change.account is None and not is_taken_over:
        if _is_first(change, outcome):
            yield about.notice(EventKind.CREATE, written, _created(outcome, attributes) if values else None)
            return
    elif _ACTIVE in written:
        kinds = {
            Action.DISABLE: EventKind.DEACTIVATE,
            Action.ENABLE: EventKind.ACTIVATE,
            Action.RESTORE: EventKind.ACTIVATE,
        }
        if change.action in kinds:
            yield about.event(kinds[change.action], {"version": outcome.version} if outcome.version else {})
            written.remove(_ACTIVE)
    if written:
        yield about.notice(EventKind.PATCH, written, _patched(change, outcome, written, attributes) if values else None)


def of_group(group: GroupChange, outcome: Outcome, run: str, at: datetime, *, values: bool) -> Iterator[Event]:
    """What a settled change of a group is to others: a PATCH of that group, where members came or went.

    The order of events is kept for each group, as for each person.
    """
    if outcome.written.keys().isdisjoint(_MOVED.values()):
        return
    moved = {word: list(grouping.read_written(outcome.written, path)) for word, path in _MOVED.items()}
    payload: dict[str, object] = {"attributes": ["members"], **{word: len(ids) for word, ids in moved.items()}}
    if outcome.version:
        payload["version"] = outcome.version
    about = {"txn": f"{run}/{group.key}", "sub_id": {"format": "scim", "uri": f"/Groups/{group.group}"}}
    full = make(EventKind.PATCH, group.key, at, {**payload, "members": moved}, about, ":full")
    if values and len(encode(full)) <= LONGEST_BODY:
        yield full
    else:
        yield make(EventKind.PATCH, group.key, at, payload, about, ":notice")


#: how events name who joined and who left
_MOVED = {"added": grouping.ADDED, "removed": grouping.REMOVED}


def _is_first(change: Change, outcome: Outcome) -> bool:
    """Whether this is the creation itself and not its second pass, which sets references only."""
    references = {delta.path for delta in (*change.awaiting, *change.deferred)}
    return not outcome.written or not outcome.written.keys() <= references


def _created(outcome: Outcome, attributes: Mapping[str, Mapped]) -> dict[str, object]:
    known = ((attributes[path].place, value) for path, value in outcome.written.items() if path in attributes)
    return {"data": resource(known)}


def _patched(
    change: Change, outcome: Outcome, written: Sequence[str], attributes: Mapping[str, Mapped]
) -> dict[str, object]:
    deltas = [
        replace(d, verdict=Verdict.WRITE, sides=replace(d.sides, desired=outcome.written[d.path]))
        for d in change.deltas
        if d.path in written and d.path in attributes
    ]
    operations = planner.operations_of(deltas, [*attributes.values()])
    changes = [
        {
            "path": delta.path,
            "before": value_to_json(delta.sides.current),
            "after": value_to_json(delta.sides.desired),
        }
        for delta in deltas
    ]
    return {"data": patch_body(operations), "changes": changes}


class _Subject:
    """The members that all events of one outcome share."""

    def __init__(self, change: Change, outcome: Outcome, run: str, at: datetime) -> None:
        self._key, self._account = change.key, outcome.account or change.account
        self._lifecycle = change.lifecycle.value
        self._run, self._at, self._version = run, at, outcome.version

    def notice(self, kind: EventKind, written: Sequence[str], full: dict[str, object] | None) -> Event:
        """One that has a long form and a short one."""
        short: dict[str, object] = {"attributes": list(written), "lifecycle": self._lifecycle}
        if self._version:
            short["version"] = self._version
        if full is not None:
            event = self.event(kind, {**short, **full}, ":full")
            if len(encode(event)) <= LONGEST_BODY:
                return event
        return self.event(kind, short, ":notice")

    def event(self, kind: EventKind, payload: Mapping[str, object], form: str = "") -> Event:
        """One event about the person."""
        subject: dict[str, object] = {"externalId": self._key}
        if self._account:
            subject = {"format": "scim", "uri": f"/Users/{self._account}", **subject}
        else:  # not a subject of the profile, which needs the resource
            subject = {"format": "opaque", "id": self._key, **subject}
        return make(kind, self._key, self._at, payload, {"txn": f"{self._run}/{self._key}", "sub_id": subject}, form)


def of_plan(plan: Plan) -> Iterator[Event]:
    """Who keeps access though they left; and that a plan may not be applied: the rules that say so, and the numbers."""
    kept = leaving.by_plan(plan)
    for key, why in kept.items():
        yield of_kept(key, why, plan.id, plan.created)
    if plan.refusals:
        payload = {
            "plan": plan.id,
            "rules": [f.rule for f in plan.refusals],
            "changes": dict(plan.tally.actions),
            "leavers_kept": len(kept),
        }
        yield make(EventKind.PLAN_REFUSED, "", plan.created, payload, {"txn": plan.id})


def of_waiting(plan: Plan, standing: Standing) -> Event:
    """That a plan waits until people approve it: how many more, and by which rules."""
    waits = [(need.rule.name, missing) for need, _, missing in standing.needs if missing]
    payload = {
        "plan": plan.id,
        "rules": [name for name, _ in waits],
        "approvals": standing.missing,
        "changes": dict(plan.tally.actions),
    }
    return make(EventKind.PLAN_WAITS, "", plan.created, payload, {"txn": plan.id})


def of_kept(key: str, why: str, run: str, at: datetime) -> Event:
    """That somebody left and keeps access: by the plan, or because the run ended before it came to them."""
    about = {"txn": f"{run}/{key}", "sub_id": {"format": "opaque", "id": key, "externalId": key}}
    return make(EventKind.LEAVER_KEPT, key, at, {"code": leaving.KEPT, "reason": why.partition(": ")[0]}, about)


def of_run(run: Run, at: datetime, stopped: str = "", kept: int = 0) -> Event:
    """That a run came to its end: its state and its numbers, and nobody's name."""
    payload = {
        "run": run.id,
        "state": run.state.value,
        "changes": dict(run.statuses),
        "tally": dict(run.tally),
        "stopped": bool(stopped),
        "leavers_kept": kept,
    }
    return make(EventKind.RUN_FINISHED, "", at, payload, {"txn": run.id})


def ping(at: datetime) -> Event:
    """That somebody tries whether an endpoint answers."""
    return make(EventKind.PING, "", at, {}, {})


def make(
    kind: EventKind,
    person: str,
    at: datetime,
    payload: Mapping[str, object],
    about: Mapping[str, object],
    form: str = "",
) -> Event:
    """An event with the claims around its payload. Its id is a digest of what it says, so no chance is needed.

    Args:
        kind: What happened.
        person: To whom; "" where to nobody.
        at: When.
        payload: What the profile puts below the name of the event.
        about: The claims `txn` and `sub_id`, where there are any.
        form: `:notice` or `:full`, for the kinds that have both.
    """
    name = f"{PROFILE}{kind.value}{form}" if kind.value.startswith("prov:") else kind.value
    seen = msgspec.json.encode([kind.value, person, at.isoformat(), about, payload])
    identity = f"msg_{hashlib.sha256(seen).hexdigest()[:32]}"
    body: dict[str, object] = {
        "type": name,
        "timestamp": at.isoformat(),
        "iss": ISSUER,
        "jti": identity,
        "iat": int(at.timestamp()),
        **about,
        "events": {name: payload},
    }
    return Event(id=identity, kind=kind, type=name, person=person, at=at, body=body)


def encode(event: Event) -> bytes:
    """The bytes that are sent, signed and kept."""
    return msgspec.json.encode(event.body)


def messages_to(events: Iterable[Event], subscription: Subscription) -> Iterator[Message]:
    """Messages to one endpoint, for the events that it wants."""
    for event in events:
        if not subscription.kinds or event.kind in subscription.kinds:
            yield Message(
                id=event.id,
                endpoint=subscription.endpoint,
                person=event.person,
                type=event.type,
                body=encode(event),
                created=event.at,
                due=event.at,
            )
