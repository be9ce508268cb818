"""The end of a run: learn what one that was cut short had done, take into the base what really happened, close it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from scimsync.core import leaving, notifications
from scimsync.engine import binding, deciding, ending, limiting, undone, unshown
from scimsync.engine.account_maker import AccountMaker
from scimsync.engine.attempts import Attempt, Means
from scimsync.engine.membership import remember
from scimsync.engine.preconditions import ApplyPorts, ApplyState
from scimsync.engine.standing import Standing
from scimsync.model.events import Subscription
from scimsync.model.outcomes import Link, Outcome, Run, RunState, Status
from scimsync.model.plans import Action, Change, Plan
from scimsync.model.policy import Mapped
from scimsync.model.reports import Report
from scimsync.workbench import layers
from scimsync.workbench.agreed import lay_outcomes, unremembered
from scimsync.workbench.bench import Workbench
from scimsync.workbench.mirror import MIRROR, Mirror
from scimsync.workbench.owning import own
from scimsync.workbench.past import stage_links


async def looked_after(change: Change, part: int, standing: Standing, means: Means, maker: AccountMaker) -> Outcome:
    """What came of a write that was left open, by reading the account; nothing is sent."""
    attempt = Attempt(means, change.key, part, change.account or "")
    written, left_out = standing.written(change)
    deltas = [d for d in written if d.path in means.attributes] if part == change.part else []
    if change.account is None and part == change.part:
        held = await maker.find_again(attempt, deltas)
        if held is not None:
            return replace(held, deferred=left_out)
    if not attempt.account or not deltas:
        return attempt.outcome(Status.DEFERRED, "run.unfinished", "the run was cut short")
    looked = await attempt.look(deltas)
    if isinstance(looked, Outcome):
        return replace(looked, deferred=left_out)
    return attempt.outcome(Status.DEFERRED, "run.unfinished", "the run was cut short before this was written")


def finish(
    standing: Standing,
    run: Run,
    ports: ApplyPorts,
    subscriptions: Sequence[Subscription],
    attributes: Mapping[str, Mapped],
    *,
    state: RunState | None = None,
) -> Report:
    """Take into the base what really happened, remember the links, close the run.

    Args:
        standing: How it stands.
        run: The run as it is kept.
        ports: The ports.
        subscriptions: Who is told of its end.
        attributes: Everything that its plan could write.
        state: What it is from now on; by its outcomes where None.
    """
    plan, store, report = standing.plan, ports.store, standing.report()
    groups = {group.key: group.group for group in plan.groups}
    people = {key: parts for key, parts in report.outcomes.items() if key not in groups}
    grouped = [(groups[k], o) for k, parts in report.outcomes.items() if k in groups for o in parts]
    remember(store, run.id, grouped)
    base, refused = _lay_base(plan, run, store, people)
    report = _contradicted(report, refused)
    settled = undone.Settled(plan=plan, run=run, people=people, groups=grouped, former=plan.seal.base, base=base)
    undone.remember(store, settled, attributes)
    store.save_deferred(*standing.waiting())
    unshown.remember(store, run, plan, people, attributes)
    if state is None:
        state = RunState.DONE if report.clean else RunState.PARTIAL
        state = RunState.INTERRUPTED if report.stopped or report.left else state
    now = ports.clock.now()
    ending.remember(store, plan, people, now)
    deciding.remember(store, plan, people, now)
    did = limiting.done(plan, people)
    ended = replace(run, state=state, base=base, finished=now, statuses=report.statuses, done=did)
    unbegun = [key for key, why in report.kept.items() if why == leaving.UNBEGUN]
    told = [notifications.of_kept(key, leaving.UNBEGUN, run.id, now) for key in unbegun]
    told.append(notifications.of_run(ended, now, report.stopped, len(report.kept)))
    store.save_run(ended, [message for one in subscriptions for message in notifications.messages_to(told, one)])
    return report


def _lay_base(
    plan: Plan, run: Run, store: ApplyState, people: Mapping[str, Sequence[Outcome]]
) -> tuple[str, Sequence[Link]]:
    """Write the next base, remember the links and what was written; its name, and the links that were not taken in.

    Where nothing is agreed that was not, the base stays what it is.
    """
    values = {  # the last word on each: a login may be written twice
        (outcome.key, path): value
        for parts in people.values()
        for outcome in parts
        for path, value in outcome.written.items()
    }
    found = (o for parts in people.values() for o in parts)
    accounts = {o.key: o.account for o in found if o.account and o.code != "account.gone"}
    for taken in run.takes:
        store.take_links(taken, run.source)
    if run.agreed == plan.seal.base and not values and not accounts:
        return plan.seal.base, ()
    last = store.last_applied()
    number = int(last.base.split("-")[1]) + 1 if last else 1
    base = store.artifact(f"base-{number:08d}-{run.id}.parquet")
    former = binding.proven(store, plan.seal.base) if plan.seal.base else None
    agreed = binding.proven(store, run.agreed)
    with Workbench(base.parent) as bench:
        lay_outcomes(bench, agreed, ((*who, value) for who, value in values.items()), accounts, base, former)
        binding.bind(store, base.name, layers.needed(bench, base))
        _learn(bench, plan, store, people)
        stage_links(bench, store.links())
        own(bench, [run.source])
        fresh = (Link(key, account, run.source) for key, account in unremembered(bench, base))
        return base.name, store.save_links(fresh, frozenset(plan.moved.values()))


def _learn(bench: Workbench, plan: Plan, store: ApplyState, people: Mapping[str, Sequence[Outcome]]) -> None:
    """Lay what was written over what is remembered of the directory."""
    ended = {change.key for change in plan.changes if change.action is Action.DELETE}
    gone = [o.account for key in ended for o in people.get(key, ()) if o.account and o.status is Status.DONE]
    outcomes = (outcome for parts in people.values() for outcome in parts)
    Mirror(bench, store.artifact(MIRROR), (), plan.seal.target).learn(outcomes, gone)


def _contradicted(report: Report, refused: Iterable[Link]) -> Report:
    """Hold whoever cannot be linked, because another key has the account by now."""
    words = "the account is linked to another key by now; the link stays"
    held = {
        link.key: Outcome(key=link.key, status=Status.HELD, code="correlation.taken", detail=f"{link.account}: {words}")
        for link in refused
    }
    outcomes = {key: (*report.outcomes.get(key, ()), outcome) for key, outcome in held.items()}
    return replace(report, outcomes={**report.outcomes, **outcomes})
