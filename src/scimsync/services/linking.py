"""Link a record with an account, or part them."""

from __future__ import annotations

from scimsync.bootstrap import actor, make_source, make_target
from scimsync.config import Settings
from scimsync.engine import linking
from scimsync.engine.linking import Records, Said, Wish
from scimsync.engine.ports import Store
from scimsync.model.audit import Kind
from scimsync.services.auditing import note


async def link(settings: Settings, store: Store, wish: Wish, reason: str) -> Said:
    """Link a record with an account, or part them, and record it. The caller holds the lease."""
    target = make_target(settings, lambda _: None)
    try:
        records = Records(make_source(settings), settings.source.key, settings.source.identity)
        said = await linking.decide(wish, records, store, target, actor())
    finally:
        await target.close()
    decision = said.decision
    action, detail = ("linked" if decision.same else "parted"), f"from {said.former}" if said.former else ""
    note(
        settings, store, Kind.LINK, action=action, reason=reason, person=decision.key, account=decision.account,
        detail=detail,
    )  # fmt: skip
    return said
