"""Whether a plan has the approvals that it needs: looked at wherever a plan is about to be applied."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import approving as rules
from scimsync.core.approving import Doing, Need, Standing
from scimsync.engine import ledger, limiting
from scimsync.engine.recording import digest_of
from scimsync.engine.state import Approvals, Artifacts, Audit, Journal, Refusals, Runs
from scimsync.errors import PlanRefused, PlanWaits
from scimsync.model.approvals import Approval, ApprovalRule, Made
from scimsync.model.audit import Kind
from scimsync.model.decisions import Actor
from scimsync.model.outcomes import Run
from scimsync.model.plans import Plan
from scimsync.model.policy import Limits

#: how long what runs did counts with a rule
DAY = timedelta(days=1)
APPROVED, REJECTED = "approved", "rejected"
#: what records call it that somebody can come in as a user from now on
USERS = ("user made", "user changed")


class ApprovalsState(Runs, Refusals, Approvals, Journal, Audit, Artifacts, Protocol):
    """Of the state: plans, what people said about them, and what was done before."""


class Asked(Struct, frozen=True, kw_only=True):
    """By what a plan is judged."""

    #: the rules of the configuration
    rules: Sequence[ApprovalRule]
    #: the public key of who signs approvals; None where there is no key
    public: Callable[[], bytes | None]
    now: datetime


def standing(plan: Plan, run: Run, store: ApprovalsState, asked: Asked, doing: Doing | None = None) -> Standing:
    """How a plan stands with those who must approve it; a run that was begun as it stood then.

    Args:
        plan: The plan; its head is enough where `doing` is given.
        run: Its run.
        store: The state.
        asked: By what it is judged.
        doing: What the plan does, where that was counted.
    """
    remembered = [rules.rule_of(name, kept) for name, kept in store.approval_rules().items()]
    wanted = (
        []
        if plan.as_of is not None or plan.offline is not None
        else needed(doing or Doing.of(plan), run, store, asked, remembered)
    )
    given = store.approvals(run.id)
    if not wanted and not given:
        return Standing()
    digest = digest_of(store.artifact(run.plan)) if run.plan else ""
    moment = run.began if run.begun and run.began is not None else asked.now
    proven = _unproven(given, run, store, asked.public) if given else {}
    made = _made(store, wanted, given) if wanted and given else ()
    return rules.judge(plan, digest, wanted, given, proven=proven, now=moment, made=made)


def _made(store: Audit, wanted: Sequence[Need], given: Sequence[Approval]) -> Sequence[Made]:
    """Who made whom a user, as far as it counts for these approvals."""
    longest = max(need.rule.settled for need in wanted)
    return made_users(store, min(one.at for one in given) - longest) if longest else ()


def made_users(store: Audit, since: datetime) -> list[Made]:
    """Who made whom a user of the console, as the audit chain tells: a user who is gone counts, too."""
    found = []
    for entry in store.entries(kind=Kind.CONSOLE.value):
        if (at := datetime.fromisoformat(entry.at)) < since:
            continue
        told = ledger.document_of(entry)
        if told.get("action") in USERS:
            name, maker = str(told.get("detail", "")).partition(":")[0], str(told.get("actor", ""))
            # a record of an earlier version does not say how its author was proven: in doubt two are one
            proof = str(told.get("status", "")) or "os"
            found.append(Made(user=Actor(name, "password"), maker=Actor(maker, proof), at=at))
    return found


def needed(
    doing: Doing, run: Run, store: ApprovalsState, asked: Asked, remembered: Sequence[ApprovalRule]
) -> list[Need]:
    """The rules that a plan meets."""
    if not asked.rules and not remembered:
        return []
    return [*rules.needs(doing, asked.rules, remembered, _done(run, store, asked.now, asked.public))]


def _is_approved(run: Run, store: ApprovalsState, public: Callable[[], bytes | None]) -> bool:
    """Whether a person approved a run, as far as that is proven."""
    given = store.approvals(run.id)
    unproven = _unproven(given, run, store, public) if given else {}
    return any(one.approves and index not in unproven for index, one in enumerate(given))


def _done(run: Run, store: ApprovalsState, now: datetime, public: Callable[[], bytes | None]) -> Mapping[str, int]:
    """What runs of the last day did that nobody approved."""
    day = Limits(window=DAY, leavers_window=DAY)
    approved = {one.id for one in store.worked(now - DAY) if _is_approved(one, store, public)}
    sources = (run.source, *run.takes)
    return limiting.past(store, now, day, sources, besides=run.id, approved=approved, answered=True).done


def _unproven(
    given: Sequence[Approval], run: Run, store: ApprovalsState, public: Callable[[], bytes | None]
) -> dict[int, str]:
    """Index of an approval -> why nothing proves it: it is not signed by our key, or not in the audit chain."""
    key = public()
    told = [ledger.document_of(entry) for entry in store.entries(run=run.id, kind=Kind.APPROVAL.value)]
    records = {(one.get("plan"), one.get("actor"), one.get("status"), one.get("action")) for one in told}
    found = {}
    for index, one in enumerate(given):
        if key is None or not is_signed(one, key):
            found[index] = "it is not signed with the key of this state"
        elif (one.digest, one.actor, one.proof, APPROVED) not in records and one.approves:
            found[index] = "the audit chain does not tell of it"
    return found


def is_signed(approval: Approval, public: bytes) -> bool:
    """Whether an approval was signed with the key of this public one."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - 20 ms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        signature = base64.b64decode(approval.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(signature, rules.message(approval))
    except (ValueError, InvalidSignature):
        return False
    return True


def signed(approval: Approval, seed: bytes) -> Approval:
    """An approval with its signature."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - 20 ms

    made = Ed25519PrivateKey.from_private_bytes(seed).sign(rules.message(approval))
    return replace(approval, signature=base64.b64encode(made).decode())


def check(plan: Plan, run: Run, store: ApprovalsState, asked: Asked, overrides: Mapping[str, str]) -> None:
    """Whether a plan may be applied as far as people must approve it.

    Raises:
        PlanWaits: It lacks approvals.
        PlanRefused: Somebody rejected it, or a rule is set aside that nobody approved.
    """
    found = standing(plan, run, store, asked)
    if found.rejected is not None:
        raise PlanRefused(rules.words(plan.id, found))
    if found.waits:
        raise PlanWaits(rules.words(plan.id, found))
    remembered = [rules.rule_of(name, kept) for name, kept in store.approval_rules().items()]
    if aside := rules.unsealed(plan, [*asked.rules, *remembered], overrides):
        named = " ".join(f"--override {rule}" for rule in aside)
        raise PlanRefused(
            f"plan {plan.id}: setting aside {', '.join(aside)} needs an approval, and who approved this plan did not "
            f'see that. Nothing was sent. Make the plan so, and have it approved: scimsync plan {named} --reason "..."'
        )


def remember(store: Approvals, given: Sequence[ApprovalRule]) -> None:
    """Remember the rules that a plan is applied under, so that the next configuration cannot drop them in silence."""
    documents = {rule.name: rules.document(rule) for rule in given}
    if documents != store.approval_rules():
        store.keep_approval_rules(documents)
