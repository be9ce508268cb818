"""Runs, and the review of one plan: what it would do or did, page by page, and what may be done with it."""

from __future__ import annotations

from urllib.parse import urlencode

from msgspec import Struct
from starlette.responses import Response

from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Right
from scimsync.model.outcomes import RunState, Status
from scimsync.model.plans import Action, Reason
from scimsync.services import runs
from scimsync.services.planning import Choices
from scimsync.services.reviewing import Filter, Review
from scimsync.showing.words import SYMBOLS

#: changes and findings on a page, and runs in the list
SIZE, RUNS = 50, 200
#: what access is taken from, or given to, comes first in every list
_ACTIONS = (*(action.value for action in Action), "members", "notice")


class Pager(Struct, frozen=True):
    """Which part of a list a page shows, and the addresses of the others."""

    address: str
    given: dict[str, str]
    page: int
    size: int
    total: int

    @property
    def last(self) -> int:
        """The number of the last page, from 1."""
        return max(1, -(-self.total // self.size))

    @property
    def first_shown(self) -> int:
        """The number of the first one that is shown, from 1; 0 where there are none."""
        return (self.page - 1) * self.size + 1 if self.total else 0

    @property
    def last_shown(self) -> int:
        """The number of the last one that is shown."""
        return min(self.page * self.size, self.total)

    def to(self, page: int) -> str:
        """The address of another page."""
        return f"{self.address}?{urlencode({**self.given, 'page': page})}"


def _runs(asked: Asked) -> Response:
    found = runs.listed(asked.store, RUNS)
    return asked.page("runs.html.j2", runs=found)


def filter_of(asked: Asked) -> tuple[Filter, dict[str, str]]:
    """What the query wants to see, and the same as it goes into addresses."""
    given = {name: asked.query.get(name, "") for name in ("action", "group", "path", "rule", "outcome", "q")}
    wanted = Filter(
        action=given["action"],
        group=given["group"] if asked.may(Right.VALUES) else "",
        path=given["path"],
        rule=given["rule"],
        outcome=given["outcome"],
        text=given["q"][:200],
        values=asked.may(Right.VALUES),
    )
    return wanted, {name: value for name, value in given.items() if value}


def _review(asked: Asked) -> Response:
    review = asked.console.reviews.opened(asked.store, asked.given["run"])
    wanted, given = filter_of(asked)
    number = max(1, asked.number("page", 1))
    page = review.index.page(wanted, (number - 1) * SIZE, SIZE)
    pager = Pager(f"/runs/{review.run.id}", given, number, SIZE, page.total)
    common = {"review": review, "run": review.run, "page": page, "pager": pager, "given": given, **_words()}
    if asked.is_partial:
        return asked.page("changes.html.j2", common)
    return asked.page(
        "review.html.j2",
        common,
        plan=review.plan,
        counts=_choices(review, values=asked.may(Right.VALUES)),
        codes=review.index.finding_codes(),
        statuses=review.index.statuses() if _is_begun(review) else {},
        work=asked.console.works.about(review.run.id),
    )


def _words() -> dict[str, object]:
    return {
        "symbols": {action.value: mark for action, (mark, _) in SYMBOLS.items()},
        "reasons": {reason.name.lower(): reason.value for reason in Reason},
        "status_words": STATUSES,
    }


STATUSES = {
    Status.DONE.value: "done",
    Status.ALREADY.value: "was so already",
    Status.HELD.value: "held",
    Status.FAILED.value: "failed",
    Status.DEFERRED.value: "deferred",
    Status.OPEN.value: "not done",
    "": "not done",
}


def _choices(review: Review, *, values: bool) -> dict[str, list[tuple[str, int]]]:
    """What each filter offers; of groups of people (a department) nothing to whom values are not shown."""
    counts = {kind: found for kind, found in review.index.counts.items() if values or kind != "group"}
    found = {kind: sorted(counts.get(kind, {}).items(), key=lambda one: (-one[1], one[0])) for kind in
             ("group", "path", "rule")}  # fmt: skip
    actions = counts.get("action", {})
    return {**found, "action": [(action, actions[action]) for action in _ACTIONS if action in actions]}


def _is_begun(review: Review) -> bool:
    return review.run.state not in {RunState.PLANNED, RunState.REFUSED, RunState.OFFLINE}


def _change(asked: Asked) -> Response:
    """One change with its three sides: a drawer beside the list, or a page of its own."""
    review = asked.console.reviews.opened(asked.store, asked.given["run"])
    number = asked.given["n"]
    row = review.index.row(int(number)) if number.isascii() and number.isdigit() and len(number) < 12 else None
    if row is None:
        return asked.sorry(404, "There is no such change", "The plan has no change of this number.")
    beside = [one for one in review.index.of_person(row.change.key) if one.n != row.n]
    findings = review.index.findings_of(row.change.key)
    return asked.page(
        "drawer.html.j2" if asked.is_partial else "change.html.j2",
        _words(),
        review=review,
        run=review.run,
        row=row,
        beside=beside,
        findings=findings,
    )


def _findings(asked: Asked) -> Response:
    review = asked.console.reviews.opened(asked.store, asked.given["run"])
    code = asked.given["code"]
    total = dict(review.index.finding_codes()).get(code, 0)
    number = max(1, asked.number("page", 1))
    found = review.index.findings(code, (number - 1) * SIZE, SIZE)
    if not found:
        return asked.sorry(404, "There is no such finding", f"Plan {review.run.id} has none of the code {code}.")
    pager = Pager(f"/runs/{review.run.id}/findings/{code}", {}, number, SIZE, total)
    return asked.page("findings.html.j2", review=review, run=review.run, code=code, findings=found, pager=pager)


# --- what is done -------------------------------------------------------------------------------


def _plan(asked: Asked) -> Response:
    return asked.go(f"/works/{asked.console.works.plan(asked.visitor.person, Choices()).id}")


def _apply(asked: Asked) -> Response:
    """Carry out the plan that was read: one that is no longer what was shown is refused by its digest."""
    review = asked.console.reviews.opened(asked.store, asked.given["run"])
    if asked.form.get("digest", "") != review.index.digest:
        return asked.sorry(409, "The plan is not the one that you read", "Load its page again, and read it again.")
    work = asked.console.works.apply(asked.visitor.person, review.run.id, resume=asked.form.get("resume") == "yes")
    return asked.go(f"/works/{work.id}")


def _undo(asked: Asked) -> Response:
    run = runs.known(asked.store, asked.given["run"])
    return asked.go(f"/works/{asked.console.works.undo(asked.visitor.person, run.id).id}")


PAGES = (
    Page(path="/runs", handler=_runs, right=Right.SEE),
    Page(path="/runs/{run}", handler=_review, right=Right.SEE),
    Page(path="/runs/{run}/changes/{n}", handler=_change, right=Right.SEE),
    Page(path="/runs/{run}/findings/{code}", handler=_findings, right=Right.SEE),
    Page(path="/plans", handler=_plan, right=Right.WRITE, method="POST"),
    Page(path="/runs/{run}/apply", handler=_apply, right=Right.WRITE, method="POST"),
    Page(path="/runs/{run}/undo", handler=_undo, right=Right.WRITE, method="POST"),
)
