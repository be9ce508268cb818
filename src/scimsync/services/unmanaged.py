"""List the accounts that HR does not know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from scimsync.config import Settings
from scimsync.core import protecting
from scimsync.engine.state import Artifacts, Links
from scimsync.errors import PlanStale
from scimsync.model.accounts import Stranger


class UnmanagedState(Links, Artifacts, Protocol):
    """Of the state: whose accounts are whose, and what was kept of the directory."""


class Unmanaged(Struct, frozen=True, kw_only=True):
    """The accounts that HR does not know, by login."""

    #: the plan that found them, and when the directory was read for it
    plan: str
    read: datetime
    accounts: Sequence[Stranger]


def listed(settings: Settings, store: UnmanagedState) -> Unmanaged:
    """The accounts that nobody in HR had by the latest plan about everybody, and that nobody was given since.

    Raises:
        PlanStale: No plan has kept them.
    """
    found = of_plan(settings, store)
    if found is None:
        raise PlanStale(
            "this state does not know which accounts HR does not know: no plan about everybody has kept them. "
            "Make one with: scimsync plan"
        )
    given = {link.account for link in store.links()}
    return replace(found, accounts=[one for one in found.accounts if one.account not in given])


def of_plan(settings: Settings, store: Artifacts, plan: str = "") -> Unmanaged | None:
    """The accounts that nobody in HR had by a plan, where they are still kept; by the latest where none is named."""
    from scimsync.workbench import unmanaged  # noqa: PLC0415 - loads DuckDB
    from scimsync.workbench.bench import Workbench  # noqa: PLC0415

    path = store.artifact(unmanaged.UNMANAGED)
    with Workbench(path.parent) as bench:
        kept = unmanaged.kept(bench, path)
        if kept is None or plan not in {"", kept.plan}:
            return None
        guarded = settings.policy
        found = [
            replace(one, protected=protecting.is_protected("", one.login, guarded))
            for one in unmanaged.accounts(bench, path)
        ]
    return Unmanaged(plan=kept.plan, read=kept.read, accounts=found)
