"""Approve and reject plans; say which plans wait for that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from scimsync.bootstrap import now
from scimsync.config import Settings
from scimsync.core import approving as rules
from scimsync.core.approving import Doing, Standing
from scimsync.core.sealing import Opened
from scimsync.engine import approving, checkpoints, seals, signatures
from scimsync.engine.approving import APPROVED, REJECTED, ApprovalsState
from scimsync.engine.recording import digest_of
from scimsync.engine.seals import UNKNOWN
from scimsync.errors import ConfigError, PlanRefused, PlanStale, ScimsyncError
from scimsync.model.approvals import Approval
from scimsync.model.audit import Kind
from scimsync.model.decisions import Actor
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Plan
from scimsync.services.auditing import audit_key, record
from scimsync.services.awaiting import asked
from scimsync.services.planning import find_file, stored_plan

#: runs that are looked through for plans that wait
_RUNS = 50
#: states in which nothing was written yet
_OPEN = frozenset({RunState.PLANNED})


class Reviewed(Struct, frozen=True, kw_only=True):
    """A plan, and how it stands with those who must approve it."""

    plan: Plan
    run: Run
    digest: str
    standing: Standing
    approvals: tuple[Approval, ...]


def review(settings: Settings, store: ApprovalsState, named: str) -> Reviewed:
    """How a plan stands; the latest where no name is given.

    Raises:
        PlanStale: There is none, or this state does not know it.
        PlanDamaged: It is not the plan that was stored.
    """
    found, run = _found(store, named)
    return _reviewed(settings, store, found, run)


def waiting(settings: Settings, store: ApprovalsState) -> Iterator[Reviewed]:
    """The plans that wait for approvals and may still be applied, the newest first.

    A plan whose file is damaged or gone is left out: whoever names it is told.
    """
    for run in store.runs(_RUNS):
        if run.state not in _OPEN or run.begun or not run.plan:
            continue
        try:
            found = stored_plan(store, run)
        except ScimsyncError:
            continue
        if seals.age(found.plan, now()).moved:
            continue
        one = _reviewed(settings, store, found, run)
        if one.standing.needs and one.standing.waits and one.standing.rejected is None:
            yield one


def ready(settings: Settings, store: ApprovalsState) -> Reviewed | None:
    """The latest plan, where it needed approvals, has them, and may still be applied."""
    latest = next(iter(store.runs(1)), None)
    if latest is None or latest.state not in _OPEN or latest.begun or not latest.plan:
        return None
    try:
        found = stored_plan(store, latest)
    except ScimsyncError:
        return None
    one = _reviewed(settings, store, found, latest)
    waits = one.standing.waits or one.standing.rejected is not None or seals.age(found.plan, now()).moved
    return one if one.standing.needs and not waits else None


def approve(settings: Settings, store: ApprovalsState, named: str, who: Actor, reason: str) -> Reviewed:
    """Approve a plan: it is bound to the digest that closes it, signed, and a record of the audit chain.

    Args:
        settings: The configuration.
        store: The state.
        named: The id of the plan, its beginning, or its file.
        who: Who approves.
        reason: Why, or what was looked at.

    Raises:
        ConfigError: No reason is given.
        PlanRefused: This person proposed it or approved it before, somebody rejected it, or it is refused anyway.
        PlanStale: There is no such plan, it was begun, or is too old.
        PlanDamaged: It is not the plan that was stored.
    """
    if not reason.strip():
        raise ConfigError("approve: --reason TEXT says what you looked at; it is kept in the audit chain.")
    found, run = _found(store, named)
    plan, seed = found.plan, audit_key(settings)
    signatures.check(found, checkpoints.public_of(seed[0]), seed[1])
    before = _reviewed(settings, store, found, run)
    _check_open(plan, run, before)
    if plan.refusals:
        told = "; ".join(f"{one.rule}: {one.summary}" for one in plan.refusals)
        raise PlanRefused(
            f"plan {plan.id} is refused ({told}), so there is nothing to approve. If that is right: make it again with "
            "--override, and have that approved."
        )
    if not plan.authors:
        raise PlanRefused(f"plan {plan.id} does not say who proposed it; it is of an earlier version. Make a new plan.")
    if author := next((text for text in plan.authors if Actor.read(text).is_same(who)), ""):
        raise PlanRefused(
            f"plan {plan.id} was proposed by {Actor.read(author).name}, and you are {who.name}: somebody else approves."
        )
    if any(one.approves and one.who.is_same(who) and one.digest == before.digest for one in before.approvals):
        raise PlanRefused(f"plan {plan.id}: you approved it before. It takes another person.")
    _check_kin(store, before, who)
    _say(settings, store, before, who, reason, approves=True)
    return _reviewed(settings, store, found, run)


def reject(settings: Settings, store: ApprovalsState, named: str, who: Actor, reason: str) -> Reviewed:
    """Reject a plan for good; whoever proposed it may do so too.

    Raises:
        ConfigError: No reason is given.
        PlanRefused: It was rejected before.
        PlanStale: There is no such plan, it was begun, or is too old.
    """
    if not reason.strip():
        raise ConfigError("reject: --reason TEXT says why; who proposed the plan reads it.")
    found, run = _found(store, named)
    before = _reviewed(settings, store, found, run)
    _check_open(found.plan, run, before)
    _say(settings, store, before, who, reason, approves=False)
    return _reviewed(settings, store, found, run)


def words(told: Reviewed) -> str:
    """Why a plan waits, and what to do; "" where it does not."""
    return rules.words(told.plan.id, told.standing)


def wait(settings: Settings, store: ApprovalsState, plan: Plan) -> str:
    """As `words`, of a plan at hand; "" where it was not stored. Its file is not read."""
    run = store.run(plan.id)
    if run is None or not run.plan:
        return ""
    return rules.words(plan.id, approving.standing(plan, run, store, asked(settings)))


def glance(settings: Settings, store: ApprovalsState, head: Plan, run: Run, digest: str, doing: Doing) -> Reviewed:
    """As `review`, of a plan whose head and numbers are known, so that its file is not read; to be shown alone."""
    stands = approving.standing(head, run, store, asked(settings), doing)
    return Reviewed(plan=head, run=run, digest=digest, standing=stands, approvals=tuple(store.approvals(run.id)))


def _check_open(plan: Plan, run: Run, before: Reviewed) -> None:
    if run.begun:
        raise PlanStale(f"plan {plan.id} was begun ({run.state.value}): nothing is left to approve or reject.")
    for point in (*seals.for_reading(plan), seals.age(plan, now())):
        if point.moved:
            raise PlanStale(point.sentence(plan.id))
    if before.standing.rejected is not None:
        raise PlanRefused(rules.words(plan.id, before.standing))


def _check_kin(store: ApprovalsState, about: Reviewed, who: Actor) -> None:
    """Refuse whoever may be the author by another name, where no rule would take their word."""
    needs, at = [need.rule for need, _, _ in about.standing.needs], now()
    if not needs:
        return
    made = approving.made_users(store, at - max(rule.settled for rule in needs))
    authors = [Actor.read(text) for text in about.plan.authors]
    why = [next(filter(None, (rules.kin(who, one, made, at, rule) for one in authors)), "") for rule in needs]
    if all(why):
        raise PlanRefused(
            f"plan {about.plan.id} was proposed by {authors[0].shown}, and {why[0]}. Somebody else approves."
        )


def _say(
    settings: Settings, store: ApprovalsState, about: Reviewed, who: Actor, reason: str, *, approves: bool
) -> None:
    action = APPROVED if approves else REJECTED
    told = record(settings, Kind.APPROVAL, action=action, who=who)
    given = Approval(
        run=about.run.id,
        digest=about.digest,
        actor=who.name,
        proof=who.proof,
        approves=approves,
        reason=reason.strip(),
        at=told.at,
        until=about.plan.expires or about.plan.created + timedelta(days=1),
    )
    kept = approving.signed(given, audit_key(settings)[0])
    store.approve(
        kept,
        replace(told, run=about.run.id, plan=about.digest, reason=kept.reason, status=who.proof, rule=_rules(about)),
    )


def _rules(about: Reviewed) -> str:
    return ", ".join(need.rule.name for need, _, _ in about.standing.needs)


def _found(store: ApprovalsState, named: str) -> tuple[Opened, Run]:
    found, run = find_file(store, named)
    if run is None:
        raise PlanStale(UNKNOWN.sentence(found.plan.id))
    return found, run


def _reviewed(settings: Settings, store: ApprovalsState, found: Opened, run: Run) -> Reviewed:
    return Reviewed(
        plan=found.plan,
        run=run,
        digest=digest_of(store.artifact(run.plan)),
        standing=approving.standing(found.plan, run, store, asked(settings)),
        approvals=tuple(store.approvals(run.id)),
    )
