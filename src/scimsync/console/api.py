"""The JSON API: what pages show and do, for machines that prove themselves by a token, and for sessions."""

from __future__ import annotations

import asyncio
import json

from msgspec.structs import replace
from starlette.responses import Response

from scimsync.console import openapi
from scimsync.console.asking import Asked, Console, Handler, Page
from scimsync.console.roles import Right, Visitor
from scimsync.console.runs import SIZE, filter_of
from scimsync.core import sealing
from scimsync.errors import ConfigError, PlanStale
from scimsync.model.outcomes import Run
from scimsync.model.plans import Change, GroupChange
from scimsync.scim.kept import value_to_json
from scimsync.services import evidence, explaining, overview, runs, visiting
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
    return Visitor(name=f"{token.name} [{token.id}]", rights=rights, role="token", proof="token", maker=token.actor)


def _json(document: object, status: int = 200) -> Response:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), status, media_type="application/json")


def _description(_: Asked) -> Response:
    return _json(openapi.document())


def _overview(asked: Asked) -> Response:
    found = overview.overview(asked.settings, asked.store)
    return _json(
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
    return _json({"runs": [_run(run) for run in runs.listed(asked.store, limit)]})


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
    return _json(
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
    return asked.console.reviews.opened(asked.store, asked.given["run"])


def _changes(asked: Asked) -> Response:
    review = _opened(asked)
    wanted, _ = filter_of(asked)
    limit = max(1, asked.number("limit", SIZE, MOST))
    page = review.index.page(wanted, asked.number("offset"), limit)
    return _json({"total": page.total, "changes": [_row(asked, row) for row in page.rows]})


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


def _apply(asked: Asked) -> Response:
    review = _opened(asked)
    if asked.form.get("digest", "") != review.index.digest:
        raise PlanStale("the digest is not that of the plan: read it anew (GET), and send its digest")
    return _json(_work(asked.console.works.apply(asked.visitor.person, review.run.id)), 202)


def _undo(asked: Asked) -> Response:
    run = runs.known(asked.store, asked.given["run"])
    return _json(_work(asked.console.works.undo(asked.visitor.person, run.id)), 202)


def _plan(asked: Asked) -> Response:
    only = tuple(filter(None, asked.fields.get("only", ())))
    return _json(_work(asked.console.works.plan(asked.visitor.person, Choices(only=only))), 202)


def _show_work(asked: Asked) -> Response:
    return _json(_work(_known(asked)))


def _stop(asked: Asked) -> Response:
    work = _known(asked)
    asked.console.works.stop(work.id)
    return _json(_work(work), 202)


def _known(asked: Asked) -> Work:
    work = asked.console.works.work(asked.given["work"])
    if work is None:
        raise PlanStale("nobody remembers this work: the service was started anew since. See the runs.")
    return work


def _work(work: Work) -> dict[str, object]:
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
    return _json({"known": number, "people": people})


def _story(asked: Asked) -> Response:
    if not asked.query.get("key", ""):
        raise ConfigError("say whom: key=KEY")
    question = Question(who=asked.query["key"], path=asked.query.get("path", ""))
    offline = asked.query.get("offline", "") == "1"
    story = asyncio.run(explaining.explain(asked.settings, asked.store, Silent(), question, offline=offline))
    return _json(_told(story))


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
    return _json({"size": asked.store.head().size, "records": records})


def _machine(path: str, handler: Handler, right: Right, method: str = "GET") -> Page:
    return Page(path=f"/api/v1{path}", handler=handler, right=right, method=method, machine=True)


PAGES: tuple[Page, ...] = (
    Page(path="/api/openapi.json", handler=_description, right=None, machine=True),
    _machine("/overview", _overview, Right.SEE),
    _machine("/runs", _runs, Right.SEE),
    _machine("/runs/{run}", _review, Right.SEE),
    _machine("/runs/{run}/changes", _changes, Right.SEE),
    _machine("/runs/{run}/apply", _apply, Right.WRITE, "POST"),
    _machine("/runs/{run}/undo", _undo, Right.WRITE, "POST"),
    _machine("/plans", _plan, Right.WRITE, "POST"),
    _machine("/works/{work}", _show_work, Right.SEE),
    _machine("/works/{work}/stop", _stop, Right.WRITE, "POST"),
    _machine("/people", _people, Right.VALUES),
    _machine("/people/story", _story, Right.VALUES),
    _machine("/audit", _audit, Right.AUDIT),
)
