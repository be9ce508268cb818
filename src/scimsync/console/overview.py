"""The first page: is all well?"""

from __future__ import annotations

from msgspec.structs import replace
from starlette.responses import Response

from scimsync.console.approvals import standing_of
from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Right
from scimsync.services import overview
from scimsync.services.overview import Overview
from scimsync.showing import charts
from scimsync.showing.figures import Column


def _overview(asked: Asked) -> Response:
    found = standing(asked)
    columns = [Column(label=f"{day:%d %b}", number=number) for day, number in found.days]
    chart = (
        charts.chart(columns, lambda column: f"{column.label}: {column.number:,.0f}")
        if any(number for _, number in found.days)
        else None
    )
    codes: list[tuple[str, int]] = []
    if found.plan is not None and found.plan.plan:
        codes = asked.console.reviews.opened(asked.store, found.plan.id).index.finding_codes()
    return asked.page(
        "overview.html.j2",
        unapproved={one.run for one in found.waiting if one.kind == "plan" and waits(asked, one.run)},
        found=found,
        chart=chart,
        codes=codes,
        target=asked.settings.target.address,
        source=asked.settings.source.identity,
    )


def standing(asked: Asked) -> Overview:
    """How everything stands now; of conflicts those that nobody decided since the plan was made."""
    found = overview.overview(asked.settings, asked.store)
    if not any(one.kind == "conflicts" for one in found.waiting):
        return found
    open_ = len(asked.console.inbox.listed(asked.store).open)
    return replace(found, waiting=tuple(overview.counted_anew(found.waiting, "conflicts", open_)))


def waits(asked: Asked, run: str) -> bool:
    """Whether a plan waits for somebody who approves it, before it is applied."""
    return standing_of(asked, run).standing.waits


PAGES = (Page(path="/", handler=_overview, right=Right.SEE),)
