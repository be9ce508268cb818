"""Work that goes on: how far it is, as it comes (server-sent events), and a button that stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from scimsync.console.asking import Asked, Page
from scimsync.console.roles import Right
from scimsync.console.runs import STATUSES
from scimsync.errors import ScimsyncError
from scimsync.services.working import Work

#: seconds between two looks, and between two signs of life
LOOK_S, LIFE_S = 0.4, 15.0
MANY = "Too many pages watch already, so this one does not move by itself. Load it again to see how far it is."


def _work(asked: Asked) -> Response:
    work = _found(asked)
    if work is None:
        return _gone(asked)
    return asked.page("work.html.j2", _told(asked, work), work=work, trouble="")


def _found(asked: Asked) -> Work | None:
    return asked.console.works.work(asked.given["work"])


def _gone(asked: Asked) -> Response:
    return asked.sorry(404, "Nobody remembers this work", "The service was started anew since. See the runs.")


def _told(asked: Asked, work: Work) -> dict[str, object]:
    """What came of it by now, where it writes."""
    statuses: dict[str, int] = {}
    if work.kind == "apply" and work.run:
        try:
            statuses = asked.console.reviews.opened(asked.store, work.run).index.statuses()
        except ScimsyncError:  # the page of the run says why
            statuses = {}
    return {"statuses": statuses, "status_words": STATUSES}


def _fragment(asked: Asked, work: Work, trouble: str = "") -> str:
    told = bytes(asked.page("progress.html.j2", _told(asked, work), work=work, trouble=trouble).body).decode()
    return "".join(f"data: {line}\n" for line in told.splitlines())


def _events(asked: Asked) -> Response:
    work = _found(asked)
    if work is None:
        return _gone(asked)

    async def told() -> AsyncIterator[str]:
        who = asked.visitor.name
        if not asked.console.watching.enter(who):
            text = await run_in_threadpool(_fragment, asked, work, MANY)
            yield f"event: progress\n{text}\nevent: ended\ndata: .\n\n"
            return
        try:
            async for one in _as_it_goes(asked, work):
                yield one
        finally:
            asked.console.watching.leave(who)

    return StreamingResponse(told(), media_type="text/event-stream")


async def _as_it_goes(asked: Asked, work: Work) -> AsyncIterator[str]:
    shown, silent = "", 0.0
    while True:
        ended = work.has_ended
        text = await run_in_threadpool(_fragment, asked, work)
        if text != shown:
            yield f"event: progress\n{text}\n"
            shown, silent = text, 0.0
        elif silent >= LIFE_S:
            yield ": still here\n\n"
            silent = 0.0
        if ended:
            yield "event: ended\ndata: .\n\n"
            return
        await asyncio.sleep(LOOK_S)
        silent += LOOK_S


def _stop(asked: Asked) -> Response:
    work = _found(asked)
    if work is None:
        return _gone(asked)
    asked.console.works.stop(work.id)
    return asked.go(f"/works/{work.id}")


PAGES = (
    Page(path="/works/{work}", handler=_work, right=Right.SEE),
    Page(path="/works/{work}/events", handler=_events, right=Right.SEE),
    Page(path="/works/{work}/stop", handler=_stop, right=Right.WRITE, method="POST"),
)
