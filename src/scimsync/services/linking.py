"""Link a record with an account, or part them."""

from __future__ import annotations

from scimsync.bootstrap import actor, make_source, make_target
from scimsync.config import Settings
from scimsync.engine import linking
from scimsync.engine.linking import LinkRequest, LinkResult, Records
from scimsync.engine.ports import Store
from scimsync.model.audit import Kind
from scimsync.services.auditing import note


async def link(settings: Settings, store: Store, request: LinkRequest, reason: str) -> LinkResult:
    """Link a record with an account, or part them, and record it. The caller holds the lease."""
    target = make_target(settings, lambda _: None)
    try:
        records = Records(make_source(settings), settings.source.key, settings.source.identity)
        result = await linking.decide(request, records, store, target, actor())
    finally:
        await target.close()
    decision = result.decision
    action, detail = ("linked" if decision.same else "parted"), f"from {result.former}" if result.former else ""
    note(
        settings, store, Kind.LINK, action=action, reason=reason, person=decision.key, account=decision.account,
        detail=detail,
    )  # fmt: skip
    return result
