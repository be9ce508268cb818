"""The JSON API: what pages show and do, for machines that prove themselves by a token, and for sessions."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.responses import Response

from scimsync.console.asking import Asked, Console, Handler, Page
from scimsync.console.openapi import (
    ANY,
    FLAG,
    NUMBER,
    ROOT,
    TEXT,
    Operation,
    a_list,
    an_object,
    document,
    maybe,
    ref,
)
from scimsync.console.overview import standing
from scimsync.console.roles import RIGHTS, Right, Role, Visitor
from scimsync.console.runs import SIZE, filter_of
from scimsync.core import sealing
from scimsync.errors import PlanStale
from scimsync.model.outcomes import Run
from scimsync.model.plans import Change, GroupChange
from scimsync.scim.kept import value_to_json
from scimsync.services import evidence, explaining, runs, visiting
from scimsync.services.evidence import Proof
from scimsync.services.explaining import Question, Story
from scimsync.services.observing import Silent
from scimsync.services.planning import Choices
from scimsync.services.reviewing import Review, Row
from scimsync.services.working import Work

#: rows that one answer holds at most
MOST = 500


def bearer(console: Console, secret: str) -> Visitor | None:
    """Whose token it is; None where it is none, or not any more."""
    token = visiting.token_of(console.store, secret)
    if token is None:
        return None
    rights = frozenset(Right(scope) for scope in token.scopes if scope in {right.value for right in Right})
    maker = next((user for user in console.store.users() if user.name == token.actor), None)
    # it does no more than who made it may do today; who came by the link of `serve` approves nothing
    rights &= RIGHTS[Role(maker.role)] if maker is not None else RIGHTS[Role.ADMIN] - {Right.APPROVE}
    return Visitor(name=f"{token.name} [{token.id}]", rights=rights, role="token", proof="token", maker=token.actor)


def json_of(told: object, status: int = 200) -> Response:
    """An answer in JSON."""
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), status, media_type="application/json")


def _description(asked: Asked) -> Response:
    return json_of(document(asked.console.served))


def _overview(asked: Asked) -> Response:
    found = standing(asked)
    return json_of(
        {
            "is_well": found.is_well,
            "age_of_last_success_s": found.age_s,
            "last_run": _run(found.last) if found.last is not None else None,
            "last_plan": _run(found.plan) if found.plan is not None else None,
            "waiting": [{"kind": w.kind, "number": w.number, "run": w.run} for w in found.waiting],
        }
    )


def _runs(asked: Asked) -> Response:
    limit = max(1, asked.number("limit", 50, MOST))
    return json_of({"runs": [_run(run) for run in runs.listed(asked.store, limit)]})


def _run(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "state": run.state.value,
        "created": run.created.isoformat(),
        "finished": run.finished.isoformat() if run.finished is not None else None,
        "target": run.target,
        "partial": run.partial,
        "undoes": run.undoes,
        "tally": dict(run.tally),
        "statuses": dict(run.statuses),
    }


def _review(asked: Asked) -> Response:
    review, values = _opened(asked), asked.may(Right.VALUES)
    return json_of(
        {
            **_run(review.run),
            "digest": review.index.digest,
            "writes": review.writes,
            "can_be_applied": review.can_be_applied,
            "refusals": [
                sealing.finding_to_json(one if values else replace(one, detail="")) for one in review.plan.refusals
            ],
            "limits": [{"rule": one.rule, "told": one.told, "share": one.share} for one in review.nearness],
            "findings": dict(review.index.finding_codes()),
            "counts": {kind: dict(found) for kind, found in review.index.counts.items() if values or kind != "group"},
        }
    )


def _opened(asked: Asked) -> Review:
    return asked.console.reviews.opened(asked.store, known_run(asked))


def known_run(asked: Asked) -> str:
    """The id of the run of the address.

    Raises:
        HTTPException: There is none.
    """
    run = asked.store.run(asked.given["run"])
    if run is None:
        raise HTTPException(404, f"there is no run {asked.given['run']!r}")
    return run.id


def _changes(asked: Asked) -> Response:
    review = _opened(asked)
    wanted, _ = filter_of(asked)
    limit = max(1, asked.number("limit", SIZE, MOST))
    page = review.index.page(wanted, asked.number("offset"), limit)
    return json_of({"total": page.total, "changes": [_row(asked, row) for row in page.rows]})


def _row(asked: Asked, row: Row) -> dict[str, object]:
    told: dict[str, object] = {"n": row.n, "kind": row.kind, "group": row.group if asked.may(Right.VALUES) else ""}
    told["status"] = row.status.value if row.status is not None else None
    if isinstance(row.change, GroupChange):
        return {**told, "change": sealing.group_to_json(row.change)}
    return {**told, "change": _change(row.change, values=asked.may(Right.VALUES))}


def _change(change: Change, *, values: bool) -> dict[str, object]:
    """A change as plan files have it; without names and values for whom they are not."""
    whole = sealing.change_to_json(change)
    if values:
        return whole
    deltas = [{"path": d.path, "verdict": d.verdict.value, "reason": d.reason.name.lower()} for d in change.deltas]
    return {"key": change.key, "action": change.action.value, "lifecycle": change.lifecycle.value, "deltas": deltas}


def _findings(asked: Asked) -> Response:
    review, code, values = _opened(asked), asked.query["code"], asked.may(Right.VALUES)
    limit = max(1, asked.number("limit", SIZE, MOST))
    found = review.index.findings(code, asked.number("offset"), limit)
    told = [
        {
            "code": code,
            "subject": one["subject"],
            "path": one["path"],
            "summary": one["summary"],
            "detail": one["detail"] if values else "",
            "hint": one["hint"],
        }
        for one in found
    ]
    return json_of({"total": dict(review.index.finding_codes()).get(code, 0), "findings": told})


def _apply(asked: Asked) -> Response:
    review = _opened(asked)
    if asked.form.get("digest", "") != review.index.digest:
        raise PlanStale("the digest is not that of the plan: read it anew (GET), and send its digest")
    return json_of(work_json(asked.console.works.apply(asked.visitor.person, review.run.id)), 202)


def _undo(asked: Asked) -> Response:
    run = known_run(asked)
    return json_of(work_json(asked.console.works.undo(asked.visitor.person, run)), 202)


def _plan(asked: Asked) -> Response:
    only = tuple(filter(None, asked.fields.get("only", ())))
    return json_of(work_json(asked.console.works.plan(asked.visitor.person, Choices(only=only))), 202)


def _show_work(asked: Asked) -> Response:
    return json_of(work_json(_known(asked)))


def _stop(asked: Asked) -> Response:
    work = _known(asked)
    asked.console.works.stop(work.id)
    return json_of(work_json(work), 202)


def _known(asked: Asked) -> Work:
    work = asked.console.works.work(asked.given["work"])
    if work is None:
        raise HTTPException(404, "nobody remembers this work: the service was started anew since. See the runs.")
    return work


def work_json(work: Work) -> dict[str, object]:
    """How far a piece of work is."""
    return {
        "id": work.id,
        "kind": work.kind,
        "actor": work.actor,
        "run": work.run,
        "stage": work.stage,
        "done": work.done,
        "total": work.total,
        "seconds": round(work.seconds, 3),
        "has_ended": work.has_ended,
        "error": work.error,
        "exit_code": work.exit_code,
    }


def _people(asked: Asked) -> Response:
    limit = max(1, asked.number("limit", SIZE, MOST))
    found, number = asked.console.reviews.people(asked.store, asked.query.get("q", "")[:200], limit)
    people = [{"key": one.key, "login": one.login, "name": one.name, "active": one.active} for one in found]
    return json_of({"known": number, "people": people})


def _story(asked: Asked) -> Response:
    question = Question(who=asked.query["key"], path=asked.query.get("path", ""))
    offline = asked.query.get("offline", "") == "1"
    story = asyncio.run(explaining.explain(asked.settings, asked.store, Silent(), question, offline=offline))
    return json_of(_told(story))


def _told(story: Story) -> dict[str, object]:
    return {
        "key": story.key,
        "name": story.name,
        "account": story.account,
        "active": story.active,
        "standing": story.standing.value,
        "told": list(story.told),
        "advice": story.advice,
        "paths": [
            {
                "path": one.path,
                "becomes": one.becomes.value,
                "verdict": one.verdict,
                "desired": value_to_json(one.desired),
                "current": value_to_json(one.current),
                "base": value_to_json(one.base),
            }
            for one in story.paths
        ],
    }


def _audit(asked: Asked) -> Response:
    limit = max(1, asked.number("limit", SIZE, MOST))
    user, run, kind = (asked.query.get(name, "") for name in ("user", "run", "kind"))
    found = evidence.latest(asked.store, user, run, limit, kind=kind)
    values = asked.may(Right.VALUES)
    records = [{"seq": r.entry.seq, **(r.document if values else r.bare)} for r in found]
    return json_of({"size": asked.store.head().size, "records": records})


def _record(asked: Asked) -> Response:
    number = asked.given["seq"]
    seq = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else 0
    found = evidence.record(asked.store, seq)
    if found is None:
        raise HTTPException(404, f"the chain has {asked.store.head().size} records")
    proof = evidence.prove(asked.settings, asked.store, seq) if asked.query.get("proof") == "1" else None
    told = {"seq": found.entry.seq, **(found.document if asked.may(Right.VALUES) else found.bare)}
    return json_of({"record": told, "proof": _proof(proof) if proof is not None else None})


def _proof(proof: Proof) -> dict[str, object]:
    return {
        "size": proof.size,
        "siblings": [one.hex() for one in proof.siblings],
        "checkpoint": proof.checkpoint,
        "public_key": proof.public_key,
    }


def _verify(asked: Asked) -> Response:
    found = evidence.verify_state(asked.settings, None, "")
    told = {"size": found.chain.size, "checkpoints": found.chain.checkpoints, "covered": found.chain.covered}
    return json_of({**told, "signatures": found.signatures})


def machine(path: str, handler: Handler, right: Right, told: Operation, method: str = "GET") -> Page:
    """An address for machines."""
    return Page(path=ROOT + path, handler=handler, right=right, method=method, machine=True, told=told)


# --- what each address takes ------------------------------------------------------------------------

Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]


class _Runs(msgspec.Struct, forbid_unknown_fields=True):
    limit: Limit = 50


class _Filters(msgspec.Struct, forbid_unknown_fields=True):
    action: str = ""
    group: str = ""
    path: str = ""
    rule: str = ""
    outcome: str = ""
    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    limit: Limit = SIZE
    offset: Offset = 0


class _Code(msgspec.Struct, forbid_unknown_fields=True):
    code: str
    limit: Limit = SIZE
    offset: Offset = 0


class _Read(msgspec.Struct, forbid_unknown_fields=True):
    digest: str


class _Only(msgspec.Struct, forbid_unknown_fields=True):
    only: list[str] = []


class _Search(msgspec.Struct, forbid_unknown_fields=True):
    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    limit: Limit = SIZE


class _About(msgspec.Struct, forbid_unknown_fields=True):
    key: Annotated[str, msgspec.Meta(min_length=1)]
    path: str = ""
    offline: Literal["0", "1"] = "0"


class _Records(msgspec.Struct, forbid_unknown_fields=True):
    user: str = ""
    run: str = ""
    kind: str = ""
    limit: Limit = SIZE


class _Proof(msgspec.Struct, forbid_unknown_fields=True):
    proof: Literal["0", "1"] = "0"


_OVERVIEW = an_object(
    is_well=FLAG,
    age_of_last_success_s=maybe({"type": "number"}),
    last_run=maybe(ref("Run")),
    last_plan=maybe(ref("Run")),
    waiting=a_list(an_object(kind=TEXT, number=NUMBER, run=TEXT)),
)
_CHANGES = an_object(total=NUMBER, changes=a_list(ref("Change")))
_FINDINGS = an_object(total=NUMBER, findings=a_list(ref("Finding")))
_PEOPLE = an_object(known=NUMBER, people=a_list(ref("Person")))
_AUDIT = an_object(size=NUMBER, records=a_list(ANY))
_RECORD = an_object(record=ANY, proof=maybe(ref("Proof")))
_VERIFIED = an_object(size=NUMBER, checkpoints=NUMBER, covered=NUMBER, signatures=FLAG)
WORK = ref("Work")

PAGES: tuple[Page, ...] = (
    Page(path="/api/openapi.json", handler=_description, right=None, machine=True),
    machine("/overview", _overview, Right.SEE, Operation(what="Whether all is well, and what waits", answer=_OVERVIEW)),
    machine("/runs", _runs, Right.SEE,
            Operation(what="The latest runs, newest first", query=_Runs, answer=an_object(runs=a_list(ref("Run"))))),
    machine("/runs/{run}", _review, Right.SEE,
            Operation(what="One plan with its digest, limits and counts", answer=ref("Plan"))),
    machine("/runs/{run}/changes", _changes, Right.SEE,
            Operation(what="Changes of a plan, filtered, and what came of them", query=_Filters, answer=_CHANGES)),
    machine("/runs/{run}/findings", _findings, Right.SEE,
            Operation(what="Findings of one code", query=_Code, answer=_FINDINGS)),
    machine("/runs/{run}/apply", _apply, Right.WRITE,
            Operation(what="Carry out a plan exactly, by its digest", body=_Read, answer=WORK, good=202), "POST"),
    machine("/runs/{run}/undo", _undo, Right.WRITE,
            Operation(what="Plan to take a run back", answer=WORK, good=202), "POST"),
    machine("/plans", _plan, Right.WRITE,
            Operation(what="Make a plan, for everybody or for some keys", body=_Only, answer=WORK, good=202), "POST"),
    machine("/works/{work}", _show_work, Right.SEE, Operation(what="How far a piece of work is", answer=WORK)),
    machine("/works/{work}/stop", _stop, Right.WRITE,
            Operation(what="Stop it after the writes in progress", answer=WORK, good=202), "POST"),
    machine("/people", _people, Right.VALUES,
            Operation(what="People by the beginnings of words of key, login, name", query=_Search, answer=_PEOPLE)),
    machine("/people/story", _story, Right.VALUES,
            Operation(what="Why everything about a person is as it is", query=_About, answer=ANY)),
    machine("/audit", _audit, Right.AUDIT,
            Operation(what="Records of the audit chain, oldest first", query=_Records, answer=_AUDIT)),
    machine("/audit/{seq}", _record, Right.AUDIT,
            Operation(what="One record, with its proof where that is asked for", query=_Proof, answer=_RECORD)),
    machine("/audit/verify", _verify, Right.AUDIT,
            Operation(what="Prove the whole chain", answer=_VERIFIED), "POST"),
)  # fmt: skip
