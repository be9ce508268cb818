"""Make a new sealed plan of one that was made, without what a person leaves out of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from scimsync.core import limits, planner, trimming
from scimsync.core.findings import in_order
from scimsync.core.trimming import LeaveOut, Trimmed
from scimsync.engine import binding, limiting
from scimsync.engine.signatures import write as write_plan
from scimsync.engine.state import Artifacts, Journal, Refusals, Runs
from scimsync.errors import ConfigError
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Finding, Plan
from scimsync.model.policy import Mapped, Policy

#: files that a plan leaves beside it under its own name, for the run that applies it
_BESIDE = ("members-{}.ndjson", "groups-{}.json", "delivered-{}.json")


class TrimmedState(Runs, Refusals, Journal, Artifacts, Protocol):
    """Of the state: plans, their files, and what counts with them."""


class By(Struct, frozen=True, kw_only=True):
    """Who leaves something out, when, under which name, and what it is signed with."""

    author: str
    reason: str
    at: datetime
    name: str
    key: bytes | None


def make_plan(  # noqa: PLR0913, PLR0917 - a plan, what of it, by whom, under which policy
    store: TrimmedState,
    plan: Plan,
    run: Run,
    chosen: LeaveOut,
    by: By,
    policy: Policy,
    attributes: Sequence[Mapped],
    told: Sequence[Finding] = (),
) -> tuple[Plan, str]:
    """Make, seal and store it; it and the digest that closes it. It ends when the first plan ends.

    Raises:
        ConfigError: Nothing of the plan is meant, or a new account could not be made without what is left out.
        StoreError: The state cannot be read or written.
    """
    found = trimming.leave_out(plan, chosen, attributes, f"{by.author}: {by.reason}")
    _check(plan, found)
    findings = tuple(in_order([*plan.findings, *told, *found.findings]))
    numbers = {
        name: getattr(plan.tally, name)
        for name in ("records", "accounts", "linked", "absent", "unmanaged", "equal", "compared")
    }
    counted = planner.tally(numbers, found.changes, plan.notices, findings, found.groups)
    past = limiting.past(store, by.at, policy.limits, (run.source, *run.takes))
    demanded = [
        *limits.demands(counted, policy.limits),
        *limits.clearing(found.changes, policy.limits, counted.linked + counted.absent),
    ]
    others = tuple(one for one in plan.refusals if one.code not in limits.RULES)
    made = replace(
        plan,
        id=by.name,
        created=by.at,
        tally=counted,
        changes=tuple(found.changes),
        groups=tuple(found.groups),
        findings=findings,
        refusals=(*others, *limits.refusals(demanded, plan.overrides, past, partial=run.partial)),
        estimate=None,
        expires=plan.expires,
        authors=tuple(dict.fromkeys((*plan.authors, by.author))),
        trimmed=plan.id,
    )
    return made, _store(store, made, run, by)


def _check(plan: Plan, found: Trimmed) -> None:
    if found.needed:
        key, paths = next(iter(found.needed.items()))
        raise ConfigError(f"{key} is new, and no account is made without {', '.join(paths)}: leave out the person.")
    for key in dict.fromkeys(c.key for c in plan.changes if c.key in plan.moved):
        if key not in {change.key for change in found.changes}:
            raise ConfigError(
                f"{key} takes over the account of {plan.moved[key]}, and would be linked to it although nothing is "
                f"written: say that they are two people (scimsync link {key} ACCOUNT --unlink), and make a new plan."
            )
    before = sum(len(group.add) + len(group.remove) for group in plan.groups)
    after = sum(len(group.add) + len(group.remove) for group in found.groups)
    if not found.findings and before == after:
        raise ConfigError(f"plan {plan.id} has nothing of that kind, so nothing is left out.")


def _store(store: TrimmedState, made: Plan, run: Run, by: By) -> str:
    for pattern in _BESIDE:
        former, name = store.artifact(pattern.format(run.id)), pattern.format(made.id)
        if former.is_file():
            shutil.copyfile(binding.proven(store, former.name), store.artifact(name))
            store.artifact(name).chmod(0o600)
            binding.bind(store, name)
    name = f"plan-{made.id}.ndjson"
    digest = write_plan(store.artifact(name), made, by.key)
    store.save_run(
        replace(
            run,
            id=made.id,
            created=made.created,
            state=RunState.REFUSED if made.refusals else RunState.PLANNED,
            plan=name,
            base="",
            finished=None,
            tally=planner.numbers(made),
            statuses={},
            began=None,
            done={},
            answered=(),
            digest=digest,
            spent={},
            seq=0,
            begun=0,
        )
    )
    return digest
