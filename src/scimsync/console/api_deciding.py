"""The JSON API of what people decide: approvals, conflicts, whom to leave out, who is left out; and of the clock."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec
from starlette.responses import Response

from scimsync.console.api import MOST, WORK, Limit, Offset, json_of, known_run, machine, work_json
from scimsync.console.approvals import left_out, read_run, standing_of
from scimsync.console.asking import Asked, Page
from scimsync.console.conflicts import chosen, decide
from scimsync.console.openapi import NUMBER, TEXT, Operation, a_list, an_object, maybe, ref
from scimsync.console.roles import Right
from scimsync.console.runs import SIZE
from scimsync.model.decisions import Decision
from scimsync.scim.kept import value_to_json
from scimsync.services import alarming, approving, deciding, quarantine, scheduling
from scimsync.services.approving import Reviewed
from scimsync.services.deciding import Conflict


def _standing(asked: Asked) -> Response:
    return json_of(_standing_json(standing_of(asked, known_run(asked))))


def _standing_json(told: Reviewed) -> dict[str, object]:
    void = {(one.actor, one.proof, one.at): why for one, why in told.standing.void}
    return {
        "run": told.run.id,
        "digest": told.digest,
        "authors": list(told.plan.authors),
        "waits": told.standing.waits,
        "why": approving.words(told),
        "needs": [
            {"rule": need.rule.name, "why": need.why, "by": list(need.rule.by), "missing": missing}
            for need, _, missing in told.standing.needs
        ],
        "approvals": [
            {
                "actor": one.actor,
                "proof": one.proof,
                "approves": one.approves,
                "reason": one.reason,
                "at": one.at.isoformat(),
                "until": one.until.isoformat(),
                "void": void.get((one.actor, one.proof, one.at), ""),
            }
            for one in told.approvals
        ],
    }


def _approve(asked: Asked) -> Response:
    known_run(asked)
    run, reason = read_run(asked), asked.form.get("reason", "")
    return json_of(_standing_json(approving.approve(asked.settings, asked.store, run, asked.visitor.person, reason)))


def _reject(asked: Asked) -> Response:
    known_run(asked)
    run, reason = read_run(asked), asked.form.get("reason", "")
    return json_of(_standing_json(approving.reject(asked.settings, asked.store, run, asked.visitor.person, reason)))


def _leave_out(asked: Asked) -> Response:
    known_run(asked)
    return json_of({"run": left_out(asked)}, 201)


def _conflicts(asked: Asked) -> Response:
    told = asked.console.inbox.listed(asked.store)
    key, path = asked.query.get("key", "").strip(), asked.query.get("path", "")
    found = chosen(told, key, path, everything=asked.query.get("all", "") == "1")
    start, size = asked.number("offset"), asked.number("limit", SIZE, MOST)
    return json_of(
        {
            "plan": told.plan.id,
            "total": len(found),
            "shown": deciding.shown(found),
            "conflicts": [_conflict(one) for one in found[start : start + size]],
        }
    )


def _conflict(one: Conflict) -> dict[str, object]:
    sides = one.delta.sides
    return {
        "key": one.key,
        "name": one.name,
        "path": one.path,
        "plan": one.plan,
        "because": one.delta.reason.value,
        "authority": one.delta.authority.value,
        "desired": value_to_json(sides.desired),
        "current": value_to_json(sides.current),
        "base": value_to_json(sides.base) if sides.known else None,
        "base_is_known": sides.known,
        "decision": one.decision.id if one.decision is not None else None,
    }


def _decide(asked: Asked) -> Response:
    made, work = decide(asked)
    told = {"decisions": [_decision(one) for one in made], "work": work_json(work) if work is not None else None}
    return json_of(told)


def _decision(one: Decision) -> dict[str, object]:
    return {
        "id": one.id,
        "path": one.path,
        "key": one.key,
        "wins": one.wins.value,
        "scope": one.scope.value,
        "actor": one.actor,
        "reason": one.reason,
        "at": one.at.isoformat(),
        "until": one.until.isoformat() if one.until is not None else None,
    }


def _decisions(asked: Asked) -> Response:
    return json_of({"decisions": [_decision(one) for one in deciding.held(asked.settings, asked.store)]})


def _withdraw(asked: Asked) -> Response:
    named, reason = asked.given["id"], asked.form.get("reason", "")
    ended = deciding.withdraw(asked.settings, asked.store, named, asked.visitor.person, reason)
    return json_of(_decision(ended))


def _quarantine(asked: Asked) -> Response:
    found = quarantine.listed(asked.store)
    start, size = asked.number("offset"), asked.number("limit", SIZE, MOST)
    told = [
        {
            "key": one.key,
            "code": one.code,
            "since": one.since.isoformat(),
            "run": one.run,
            "why": one.why,
            "what_to_do": one.what_to_do,
            "ask": one.ask,
        }
        for one in found[start : start + size]
    ]
    return json_of({"total": len(found), "left_out": told})


def _again(asked: Asked) -> Response:
    return json_of(work_json(asked.console.works.try_again(asked.visitor.person, asked.form["key"])), 202)


def _schedules(asked: Asked) -> Response:
    told = [
        {
            "name": one.schedule.name,
            "cron": one.schedule.cron,
            "zone": one.schedule.zone,
            "next": one.next.isoformat(),
            "ended": one.progress.ended.value if one.progress is not None else "",
            "at": one.progress.at.isoformat() if one.progress is not None and one.progress.at is not None else None,
            "run": one.progress.run if one.progress is not None else "",
            "is_well": scheduling.is_well(one),
        }
        for one in scheduling.standing_now(asked.settings, asked.store)
    ]
    alarms = [
        {"kind": one.kind.value, "subject": one.subject, "since": one.since.isoformat()}
        for one in alarming.standing(asked.settings, asked.store)
    ]
    return json_of({"schedules": told, "alarms": alarms})


# --- what each address takes ------------------------------------------------------------------------

_Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    digest: str
    reason: _Reason


class _LeaveOut(msgspec.Struct, forbid_unknown_fields=True):
    digest: str
    reason: _Reason
    user: list[str] = []
    action: list[str] = []
    path: list[str] = []
    group: list[str] = []


class _Which(msgspec.Struct, forbid_unknown_fields=True):
    key: str = ""
    path: str = ""
    all: Literal["0", "1"] = "0"
    limit: Limit = SIZE
    offset: Offset = 0


class _Deciding(msgspec.Struct, forbid_unknown_fields=True):
    wins: Literal["hr", "directory"]
    #: what the list of conflicts of the same `key` and `path` said that was shown
    shown: str
    scope: Literal["once", "person", "attribute"] = "once"
    key: str = ""
    path: str = ""
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    until: date | None = None


class _Why(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    limit: Limit = SIZE
    offset: Offset = 0


class _Whom(msgspec.Struct, forbid_unknown_fields=True):
    key: Annotated[str, msgspec.Meta(min_length=1)]


_CONFLICTS = an_object(plan=TEXT, total=NUMBER, shown=TEXT, conflicts=a_list(ref("Conflict")))
_DECIDED = an_object(decisions=a_list(ref("Decision")), work=maybe(WORK))
_LEFT_OUT = an_object(total=NUMBER, left_out=a_list(ref("LeftOut")))
_CLOCK = an_object(schedules=a_list(ref("Schedule")), alarms=a_list(ref("Alarm")))
_STANDS = ref("Standing")

PAGES: tuple[Page, ...] = (
    machine("/runs/{run}/approvals", _standing, Right.VALUES,
            Operation(what="How a plan stands with those who must approve it", answer=_STANDS)),
    machine("/runs/{run}/approve", _approve, Right.APPROVE,
            Operation(what="Approve a plan that somebody else proposed", body=_Said, answer=_STANDS), "POST"),
    machine("/runs/{run}/reject", _reject, Right.APPROVE,
            Operation(what="Reject a plan for good", body=_Said, answer=_STANDS), "POST"),
    machine("/runs/{run}/leave-out", _leave_out, Right.WRITE,
            Operation(what="Make a plan of a plan without some of it", body=_LeaveOut, answer=an_object(run=TEXT),
                      good=201), "POST"),
    machine("/conflicts", _conflicts, Right.VALUES,
            Operation(what="What waits for a decision, with its three sides", query=_Which, answer=_CONFLICTS)),
    machine("/conflicts/decide", _decide, Right.WRITE,
            Operation(what="Decide what was shown", body=_Deciding, answer=_DECIDED), "POST"),
    machine("/decisions", _decisions, Right.VALUES,
            Operation(what="Decisions that hold", answer=an_object(decisions=a_list(ref("Decision"))))),
    machine("/decisions/{id}/withdraw", _withdraw, Right.WRITE,
            Operation(what="Take a decision back", body=_Why, answer=ref("Decision")), "POST"),
    machine("/quarantine", _quarantine, Right.VALUES,
            Operation(what="Who is left out, and why", query=_Part, answer=_LEFT_OUT)),
    machine("/quarantine/again", _again, Right.WRITE,
            Operation(what="Plan for one who is left out", body=_Whom, answer=WORK, good=202), "POST"),
    machine("/schedules", _schedules, Right.SEE,
            Operation(what="How schedules and alarms stand", answer=_CLOCK)),
)  # fmt: skip
