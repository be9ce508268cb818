"""Before accounts are created: whether a login belonged to a deleted account, which the creation would bring back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from scimsync.core import reviving as rules
from scimsync.engine.ports import Target
from scimsync.engine.state import Links
from scimsync.model.plans import Change, Finding
from scimsync.model.policy import Deleted, Policy


async def plan_revivals(
    changes: Sequence[Change], cleared: Mapping[str, Collection[str]], target: Target, links: Links, policy: Policy
) -> tuple[list[Change], list[Finding]]:
    """Hold, or bring back, whoever's login a deleted account had. Asks once, and only where somebody joins.

    Args:
        changes: The changes of the plan.
        cleared: Key of a joiner -> the paths of which HR says that there is nothing.
        target: Is asked for deleted accounts.
        links: Whose accounts they were.
        policy: What becomes of such joiners.

    Returns:
        The changes after that question, and what is told.

    Raises:
        TargetError: The target cannot be reached, or refuses our credentials.
    """
    wanted = rules.logins_of(changes)
    if not wanted:
        return [*changes], []
    found = await target.deleted(frozenset(wanted))
    if found is None:
        return [*changes], [rules.of_unseen([*wanted])]
    instead: dict[str, Change | None] = {}
    findings = []
    for login, accounts in sorted(found.items()):
        change = wanted[login]
        owners = {account.id: key for account in accounts if (key := links.owner_of(account.id)) is not None}
        if policy.deleted is Deleted.HOLD and [owners.get(account.id) for account in accounts] == [change.key]:
            continue  # their own account, which somebody deleted: `account.gone` tells of it
        made = rules.revival(change, cleared.get(change.key, ()), accounts, owners, policy)
        instead[change.key] = made.change
        findings.append(made.finding)
    kept = [instead.get(change.key, change) for change in changes]
    return [change for change in kept if change is not None], findings
