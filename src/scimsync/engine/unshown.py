"""Remember what a directory took and never showed, so that no run sends it again; and forget it when anything moves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from scimsync.core import unshown as rules
from scimsync.engine.plan_request import PlanRequest
from scimsync.engine.state import Artifacts, NeverShown
from scimsync.model.outcomes import Outcome, Run, Unshown
from scimsync.model.plans import MAKING, Change, Finding, Plan, Verdict
from scimsync.model.policy import Mapped
from scimsync.scim.dialect import among
from scimsync.scim.schema import Value
from scimsync.workbench import unshown as tables
from scimsync.workbench.agreed import wished
from scimsync.workbench.bench import Workbench
from scimsync.workbench.comparing import Comparison
from scimsync.workbench.values import text_of


class UnshownState(NeverShown, Artifacts, Protocol):
    """Of the state: what is remembered, and what was agreed when a plan was made."""


def look(
    bench: Workbench, comparison: Comparison, request: PlanRequest, store: NeverShown, schema: str
) -> list[Finding]:
    """Leave alone what was sent and taken and is never shown, as long as nothing about it moved; one finding a path.

    Args:
        bench: The tables of the run.
        comparison: The comparison of the run, after `resolve`.
        request: The mapping, and whether a person wants everything to be sent once more.
        store: What is remembered.
        schema: Mark of the target's schemas; "" where nobody looked.
    """
    if not tables.stage_unshown(bench, store.unshown()):
        return []
    marks = {mapped.path: mark_of(mapped) for mapped in comparison.attributes}
    again = rules.CODE in request.overrides
    standings, over, fresh = tables.judge(bench, comparison, marks, schema, again=again)
    if over or fresh:
        store.change_unshown(fresh, over)
    told = (one for one in standings if not among(one.path, request.dialect.normalised))
    return [rules.finding(one.path, one.people, one.of) for one in told]


def mark_of(mapped: Mapped) -> str:
    """What tells one mapping of a path from another."""
    return hashlib.sha256(mapped.expression.encode()).hexdigest()[:16]


def known(store: NeverShown, changes: Sequence[Change]) -> Callable[[str, str, Value], bool]:
    """Says of key, path and value whether the account shows there what it showed when a value was taken and not shown.

    What a plan presumes there is then no edit of the directory.
    """
    keys = {change.key for change in changes}
    shown = {(one.key, one.path): one.shown for one in store.unshown(keys)} if keys else {}
    return lambda key, path, held: shown.get((key, path)) == text_of(held)


def remember(
    store: UnshownState, run: Run, plan: Plan, people: Mapping[str, Sequence[Outcome]], attributes: Mapping[str, Mapped]
) -> None:
    """Take into the state what was taken and not shown in this run, and out of it what is shown, or given up, by now.

    Args:
        store: The state.
        run: The run.
        plan: Its plan.
        people: What came of the people of the plan.
        attributes: Everything that the plan could write.
    """
    found: dict[tuple[str, str], tuple[str, Value]] = {}
    over: set[tuple[str, str]] = set()
    for key, parts in people.items():
        for outcome in parts:
            over |= {(key, path) for path in outcome.written}
            if outcome.account and outcome.code != "write.harmed":
                found |= {(key, path): (outcome.account, held) for path, held in outcome.unshown.items()}
    over -= found.keys()
    over &= {(one.key, one.path) for one in store.unshown(people)} if over else set()
    sent = _sent(store, run, plan, found.keys(), attributes)
    fresh = [
        Unshown(
            key=key,
            path=path,
            account=account,
            sent=text_of(sent[key, path]),
            shown=text_of(held),
            mapping=mark_of(attributes[path]),
            run=run.id,
        )
        for (key, path), (account, held) in found.items()
        if (key, path) in sent
    ]
    if fresh or over:
        store.change_unshown(fresh, over)


def _sent(
    store: UnshownState, run: Run, plan: Plan, pairs: Collection[tuple[str, str]], attributes: Mapping[str, Mapped]
) -> dict[tuple[str, str], Value]:
    """What HR said of some (key, path); of a shared list that is another than what was sent."""
    found: dict[tuple[str, str], Value] = {}
    shared: dict[str, list[str]] = {}
    for change in plan.changes:
        for delta in change.deltas:
            if delta.verdict is not Verdict.WRITE or (change.key, delta.path) not in pairs:
                continue
            found[change.key, delta.path] = delta.sides.desired
            if attributes[delta.path].is_shared and change.action not in MAKING:
                shared.setdefault(delta.path, []).append(change.key)
    if shared:
        agreed = store.artifact(run.agreed)
        with Workbench(agreed.parent) as bench:
            for path, keys in shared.items():
                wishes = wished(bench, agreed, attributes[path].place, keys)
                found |= {(key, path): wish for key, wish in wishes.items()}
    return found
