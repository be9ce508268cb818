"""Link a record with an account, or part them."""

from __future__ import annotations

from scimsync.bootstrap import actor
from scimsync.bootstrap_sources import make_source
from scimsync.config import Settings
from scimsync.engine import linking
from scimsync.engine.linking import LinkRequest, LinkResult, Records
from scimsync.engine.ports import Observer, Store
from scimsync.model.audit import Kind
from scimsync.services.applying import settle
from scimsync.services.auditing import note
from scimsync.services.reaching import reached

__all__ = ["LinkRequest", "LinkResult", "link"]


async def link(settings: Settings, store: Store, request: LinkRequest, reason: str, observer: Observer) -> LinkResult:
    """Link a record with an account, or part them, and record it. The caller holds the lease.

    What a run that was cut short had done is taken note of before.
    """
    await settle(settings, store, observer)
    async with reached(settings) as target:
        records = Records(make_source(settings), settings.source.key, settings.source.identity)
        result = await linking.decide(request, records, store, target, actor())
    decision = result.decision
    action, detail = ("linked" if decision.same else "parted"), f"from {result.former}" if result.former else ""
    note(
        settings, store, Kind.LINK, action=action, reason=reason, person=decision.key, account=decision.account,
        detail=detail,
    )  # fmt: skip
    return result
