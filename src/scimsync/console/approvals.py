"""Approve and reject plans; leave something out of one; who is left out of plans, and try again now."""

from __future__ import annotations

from starlette.responses import Response

from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Right
from scimsync.errors import ConfigError, PlanStale
from scimsync.services import approving, quarantine, trimming
from scimsync.services.approving import Reviewed
from scimsync.services.trimming import Chosen


def _approvals(asked: Asked) -> Response:
    """How a plan stands with those who must approve it; also a part of the page of the plan."""
    told = standing_of(asked, asked.given["run"])
    values = {"told": told, "run": told.run, "is_open": not told.run.begun}
    return asked.page("approvals_part.html.j2" if asked.is_partial else "approvals.html.j2", values)


def standing_of(asked: Asked, named: str) -> Reviewed:
    """How a plan stands, to be shown."""
    review = asked.console.reviews.opened(asked.store, named)
    index = review.index
    return approving.glance(asked.settings, asked.store, index.plan, review.run, index.digest, review.doing)


def _approve(asked: Asked) -> Response:
    run = read_run(asked)
    approving.approve(asked.settings, asked.store, run, asked.visitor.person, asked.form.get("reason", ""))
    return asked.go(f"/runs/{run}")


def _reject(asked: Asked) -> Response:
    run = read_run(asked)
    approving.reject(asked.settings, asked.store, run, asked.visitor.person, asked.form.get("reason", ""))
    return asked.go(f"/runs/{run}")


def read_run(asked: Asked) -> str:
    """The run of the plan that was read.

    Raises:
        PlanStale: It is another by now.
    """
    review = asked.console.reviews.opened(asked.store, asked.given["run"])
    if asked.form.get("digest", "") != review.index.digest:
        raise PlanStale("The plan is not the one that you read. Load its page again, and read it again.")
    return review.run.id


def _leave_out(asked: Asked) -> Response:
    return asked.go(f"/runs/{left_out(asked)}")


def left_out(asked: Asked) -> str:
    """The run of a new plan without what was chosen."""

    def chosen(name: str) -> tuple[str, ...]:
        return tuple(filter(None, asked.fields.get(name, ())))

    wanted = Chosen(
        users=chosen("user"), actions=chosen("action"), attributes=chosen("path"), departments=chosen("group")
    )
    run, reason = read_run(asked), asked.form.get("reason", "")
    return trimming.leave_out(asked.settings, asked.store, run, wanted, asked.visitor.person, reason).id


def _quarantine(asked: Asked) -> Response:
    return asked.page("quarantine.html.j2", left_out=quarantine.listed(asked.store))


def _again(asked: Asked) -> Response:
    key = asked.form.get("key", "")
    if not key:
        raise ConfigError("Say whom: give a key.")
    return asked.go(f"/works/{asked.console.works.try_again(asked.visitor.person, key).id}")


PAGES = (
    Page(path="/runs/{run}/approvals", handler=_approvals, right=Right.VALUES),
    Page(path="/runs/{run}/approve", handler=_approve, right=Right.APPROVE, method="POST"),
    Page(path="/runs/{run}/reject", handler=_reject, right=Right.APPROVE, method="POST"),
    Page(path="/runs/{run}/leave-out", handler=_leave_out, right=Right.WRITE, method="POST"),
    Page(path="/quarantine", handler=_quarantine, right=Right.VALUES),
    Page(path="/quarantine/again", handler=_again, right=Right.WRITE, method="POST"),
)
