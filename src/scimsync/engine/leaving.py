"""After everything is decided: who left, and whose access the plan does not take away though policy wants it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from scimsync.core import leaving, protecting
from scimsync.core.lifecycle import ACTIVE
from scimsync.core.renaming import SUSPECTED
from scimsync.model.plans import Action, Change, Finding
from scimsync.model.policy import Leavers, Policy
from scimsync.workbench import renaming, staying
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison


class Decided(Struct, frozen=True, kw_only=True):
    """What planning came to."""

    changes: Sequence[Change]
    notices: Sequence[Change]
    findings: Sequence[Finding]
    #: paths that are left alone in this run
    frozen: frozenset[str]
    #: whether who is missing from the source left
    believed: bool
    #: whether the directory was read whole
    complete: bool
    #: the rule by which what the source says about access is not believed
    untrusted: str = leaving.UNTRUSTED


def kept(bench: Workbench, comparison: Comparison, policy: Policy, decided: Decided) -> Iterator[Finding]:
    """A finding for each leaver whose account stays active, but for those whom policy keeps."""
    if policy.leavers is Leavers.KEEP:
        return
    reasons = leaving.reasons(decided.findings, decided.notices)
    heirs = renaming.held(bench)
    reasons |= dict.fromkeys(heirs, SUSPECTED)
    taken = {change.account for change in decided.changes if change.action is Action.DISABLE}
    found = dict(_by_status(bench, policy, decided))
    if decided.believed:
        found |= dict.fromkeys(staying.by_absence(bench, policy.attributes, comparison), leaving.SPOKEN_FOR)
        absent = (notice for notice in decided.notices if notice.action is Action.DISABLE)
        found |= {staying.StillActive(n.key, n.name, str(n.account)): leaving.EDITED for n in absent}
    for one, why in found.items():
        if one.account not in taken and not protecting.is_protected(one.key, one.name, policy):
            yield leaving.finding(one.key, reasons.get(one.key, why), one.row, heirs.get(one.key, ""))


def _by_status(bench: Workbench, policy: Policy, decided: Decided) -> Iterator[tuple[staying.StillActive, str]]:
    lagging = {finding.subject for finding in decided.findings if finding.code == "target.lagging"}
    for one in staying.by_status(bench, policy.attributes, policy.match):
        if one.seen or not decided.complete or one.key in lagging:
            yield one, decided.untrusted if ACTIVE in decided.frozen else leaving.UNREAD


def unplanned(bench: Workbench, policy: Policy) -> dict[str, str]:
    """Who left since the last run, where no plan comes about: nobody looked at the accounts. By key, with why."""
    if policy.leavers is Leavers.KEEP:
        return {}
    return dict.fromkeys(staying.lately(bench, policy.attributes), leaving.UNPLANNED)
