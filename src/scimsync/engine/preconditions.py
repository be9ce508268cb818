"""What applying is handed, and whether a plan may be applied here and now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core import leaving, limits
from scimsync.engine import approving, binding, limiting
from scimsync.engine.metrics import Unmeasured
from scimsync.engine.ports import Clock, Metrics, Observer, Target
from scimsync.engine.seals import UNKNOWN, World, looked_at
from scimsync.engine.state import (
    Approvals,
    Artifacts,
    Audit,
    Decided,
    Deferrals,
    Endings,
    Journal,
    Links,
    Memberships,
    NeverShown,
    Pins,
    Refusals,
    Runs,
    TakenBack,
)
from scimsync.errors import PlanRefused, PlanStale
from scimsync.model.events import Subscription
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Finding, Plan
from scimsync.model.policy import Mapped, Policy
from scimsync.scim.dialect import Dialect
from scimsync.scim.schema import Place

#: the rules that may be set aside when a plan is applied, besides those about its size
RULES = frozenset({"plan.age"})


class ApplyState(
    Runs,
    Refusals,
    Links,
    Deferrals,
    Endings,
    NeverShown,
    TakenBack,
    Decided,
    Approvals,
    Memberships,
    Journal,
    Audit,
    Artifacts,
    Pins,
    Protocol,
):
    """Of the state: what applying reads and writes."""


class ApplyPorts(Struct, frozen=True, kw_only=True):
    """The ports that applying needs."""

    target: Target
    store: ApplyState
    clock: Clock
    observer: Observer
    metrics: Metrics = field(default_factory=Unmeasured)
    #: told of the account as the target shows it after each look and each write
    shown: Callable[[Mapping[str, object]], None] = lambda _: None


class ApplyOptions(Struct, frozen=True, kw_only=True):
    """How a plan shall be applied."""

    policy: Policy
    configuration: str
    #: the same part by part, to tell what of it moved
    parts: Mapping[str, str] = field(default_factory=dict)
    workers: int = 8
    #: what one PATCH may hold; 0 for no limit
    operations_per_patch: int = 0
    request_bytes: int = 0
    overrides: Mapping[str, str] = field(default_factory=dict)
    #: a second account of one login is refused, so that a creation may be sent twice
    unique_logins: bool = False
    #: seconds after which a search for a new account is asked again; () where the target's search does not lag
    search_lag_s: tuple[float, ...] = ()
    #: paths that the dialect says are never shown, and those whose values the target writes in a form of its own
    withheld: frozenset[str] = frozenset()
    reworded: frozenset[str] = frozenset()
    #: an account that is not active is not found any more (`accounts.disabled = "gone"`)
    vanishes: bool = False
    #: a PATCH leaves alone what no operation names, so that no account is read before to see whether it does
    keeps_others: bool = False
    #: on whose behalf, for the audit chain
    actor: str = "scimsync"
    #: attributes that a plan may write though the mapping does not manage them
    beyond: tuple[Mapped, ...] = ()
    #: who is told of what comes of it
    subscriptions: tuple[Subscription, ...] = ()
    #: roles and entitlements that every new account gets by itself
    default_roles: frozenset[str] = frozenset()
    #: the highest version of an account whose creation is just answered; 0: versions do not tell
    newborn_version: int = 0
    #: the target is asked for deleted accounts where somebody joins (`dialect.deleted`)
    lists_deleted: bool = False
    #: what the target takes from inactive people and the mapping does not give back
    dropped: tuple[Place, ...] = ()
    #: the public key that approvals are signed with; None where there is none
    public: Callable[[], bytes | None] = lambda: None
    #: whose schemas are compared with what the target says where it refuses many alike; None: they are not
    dialect: Dialect | None = None
    #: a person looked at what stopped a ring: what came of it before does not count
    resume: bool = False
    #: stop by itself after so many changes, but not before so many seconds; 0 for never
    chunk: int = 0
    chunk_s: float = 0.0

    @property
    def attributes(self) -> Mapping[str, Mapped]:
        """Everything that a plan may write, by short path."""
        return {mapped.path: mapped for mapped in self.beyond} | dict(self.policy.by_path)


def check_plan(plan: Plan, run: Run | None, ports: ApplyPorts, options: ApplyOptions) -> Run:
    """Whether a plan may be applied here and now.

    Raises:
        PlanStale: It is for reading, was made elsewhere, for another target or configuration, is too old, or another
            run was applied since.
        PlanRefused: It passes a limit that nobody overrode, or somebody rejected it.
        PlanWaits: It lacks approvals.
    """
    if run is None:
        raise PlanStale(UNKNOWN.sentence(plan.id))
    world = World(
        store=ports.store,
        target=ports.target.name,
        configuration=options.configuration,
        parts=options.parts,
        now=ports.clock.now(),
    )
    for point in looked_at(plan, run, world):
        if point.moved and not (point.name == "expiry" and "plan.age" in options.overrides):
            raise PlanStale(point.sentence(plan.id))
    if run.state is RunState.DONE:
        return run
    for name in {run.agreed, plan.seal.base} - {""}:  # what its outcomes are laid over
        binding.proven(ports.store, name)
    refused = _refusals(plan, run, ports, options)
    if refused:
        words = [f"plan {plan.id}: {f.summary} ({f.rule}: {f.detail}); {f.hint}" for f in refused]
        kept = leaving.by_plan(replace(plan, refusals=tuple(refused)))
        raise PlanRefused("\n".join([leaving.sentence(kept), *words] if kept else words))
    asked = approving.Asked(rules=options.policy.approvals, public=options.public, now=ports.clock.now())
    approving.check(plan, run, ports.store, asked, options.overrides)
    return run


def _refusals(plan: Plan, run: Run, ports: ApplyPorts, options: ApplyOptions) -> list[Finding]:
    """What forbids the plan now: another may have been applied since it was made, or refused."""
    given = options.policy.limits
    sources = (run.source, *run.takes)
    before = limiting.past(ports.store, ports.clock.now(), given, sources, besides=run.id)
    demanded = [
        *limits.demands(plan.tally, given),
        *limits.clearing(plan.changes, given, plan.tally.linked + plan.tally.absent),
    ]
    overrides = {*run.answered, *plan.overrides, *options.overrides}
    others = [f for f in plan.refusals if f.code not in limits.RULES and f.rule not in overrides]
    return [*others, *limits.refusals(demanded, overrides, before, partial=run.partial)]
