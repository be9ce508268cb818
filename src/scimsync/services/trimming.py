"""Leave people, actions or attributes out of a stored plan: a new sealed plan, which says who left what out."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.bootstrap import now
from scimsync.config import Settings
from scimsync.core import ruling
from scimsync.core.lifecycle import active_of
from scimsync.core.trimming import MEMBERS, MEMBERSHIPS, LeaveOut
from scimsync.engine import seals, signatures, trimming
from scimsync.engine.ports import Store
from scimsync.engine.seals import UNKNOWN, World
from scimsync.errors import ConfigError, InvalidPath, PlanStale
from scimsync.model.audit import Kind
from scimsync.model.decisions import Actor
from scimsync.model.outcomes import Run
from scimsync.model.plans import Action, Finding, Plan
from scimsync.services import awaiting
from scimsync.services.applying import given_back
from scimsync.services.auditing import audit_public, record, signing_key
from scimsync.services.planning import chart_groups, find_file

#: words of actions that may be left out
ACTIONS = (*(action.value for action in Action), MEMBERS)


class Chosen(Struct, frozen=True, kw_only=True):
    """What a person leaves out, as they name it. What meets all kinds that are named is left out."""

    users: Sequence[str] = ()
    actions: Sequence[str] = ()
    #: paths, `groups` for memberships: of the people who are meant, these alone
    attributes: Sequence[str] = ()
    #: departments, or whatever the first of department, division, organization and cost centre that is mapped holds
    departments: Sequence[str] = ()
    #: names or ids of groups: what changes in them, and nothing else
    groups: Sequence[str] = ()


def leave_out(settings: Settings, store: Store, named: str, chosen: Chosen, who: Actor, reason: str) -> Plan:
    """Make a plan of a stored one without what is chosen; the stored one stays as it is.

    What waits for somebody who is left out is left out too. Nothing is asked of HR or the directory, so the new plan
    rests on what the stored one rests on, and ends when that ends. Whoever leaves something out proposes the new plan
    together with those who proposed the first.

    Args:
        settings: The configuration.
        store: The state.
        named: The plan: an id, its beginning, a file, "" for the latest.
        chosen: What is left out.
        who: Who does so.
        reason: Why; kept in the plan and in the audit chain.

    Raises:
        ConfigError: Nothing is chosen, no reason is given, the plan has nothing of that kind, or a path is none.
        PlanStale: There is no such plan, it was begun, or what it rests on has moved.
        PlanDamaged: It is not the plan that was stored.
    """
    if not reason.strip():
        raise ConfigError("leave-out: --reason TEXT says why; it is kept in the plan.")
    found, run = find_file(store, named)
    if run is None:
        raise PlanStale(UNKNOWN.sentence(found.plan.id))
    plan = found.plan
    public = audit_public(settings)
    if public is not None:
        signatures.check(found, public, "this state")
    _check_open(settings, store, plan, run)
    meant = _meant(settings, store, plan, run, chosen)
    at = now()
    by = trimming.By(
        author=who.text,
        reason=reason.strip(),
        at=at,
        name=_name(store, f"{at:%Y%m%d-%H%M%S}"),
        key=signing_key(settings, lambda _: None),
    )
    policy = settings.policy
    attributes = [
        *policy.attributes,
        *(one for one in (active_of(policy, settings.target.dialect.users),) if one.path not in policy.by_path),
        *given_back(settings),
    ]
    made, digest = trimming.make_plan(store, plan, run, meant, by, policy, attributes, _unruled(settings))
    told = record(settings, Kind.APPROVAL, action="left out", who=who)
    detail = f"of plan {plan.id}: {plan.writes - made.writes:,} changes fewer; {_words(chosen)}"
    store.append((), (replace(told, run=made.id, plan=digest, reason=by.reason, status=who.proof, detail=detail),))
    awaiting.tell(settings, store, made)
    return made


def _check_open(settings: Settings, store: Store, plan: Plan, run: Run) -> None:
    """Whether the plan is still one that could be applied, but for its size.

    Raises:
        PlanStale: It was begun, or what it rests on has moved.
    """
    if run.begun:
        raise PlanStale(f"plan {plan.id} was begun ({run.state.value}): nothing can be left out of it any more.")
    world = World(
        store=store,
        target=settings.target.api_url.rstrip("/") + settings.target.dialect.base_path,
        configuration=settings.digest,
        parts=settings.parts,
        now=now(),
    )
    for point in seals.looked_at(plan, run, world):
        if point.moved:
            raise PlanStale(point.sentence(plan.id))


def _meant(settings: Settings, store: Store, plan: Plan, run: Run, chosen: Chosen) -> LeaveOut:
    """What is chosen, resolved."""
    if unknown := sorted({*chosen.actions} - {*ACTIONS}):
        raise ConfigError(f"--action {unknown[0]}: there is no such action. Actions: {', '.join(ACTIONS)}")
    users = frozenset(chosen.users)
    keys = {c.key for c in plan.changes} | {m.key for g in plan.groups for m in (*g.add, *g.remove)}
    if strange := sorted(users - keys):
        raise ConfigError(f"--user {strange[0]}: plan {plan.id} does nothing about this person.")
    if chosen.departments:
        inside = _inside(settings, store, run, plan, chosen.departments)
        users = users & inside if users else inside
        if not users:
            raise ConfigError(f"plan {plan.id} changes nobody in {', '.join(chosen.departments)}.")
    meant = LeaveOut(
        users=users,
        actions=frozenset(chosen.actions),
        attributes=frozenset(_path(settings, path) for path in chosen.attributes),
        groups=frozenset(chosen.groups),
    )
    if meant.is_empty:
        raise ConfigError("leave-out: say what, with --user, --action, --attribute, --department or --group.")
    return meant


def _inside(settings: Settings, store: Store, run: Run, plan: Plan, wanted: Collection[str]) -> frozenset[str]:
    """The people of a plan who are in a department, were in it, or come into it."""
    path, agreed = chart_groups(settings, store, run, plan)
    if not path:
        raise ConfigError("--department: the mapping has no department, division, organization or cost centre.")
    names = {name.casefold() for name in wanted}
    inside = {key for key, name in agreed.items() if name.casefold() in names}
    for change in plan.changes:
        values = (v for d in change.deltas if d.path == path for v in (d.sides.desired, d.sides.current))
        if any(str(value).casefold() in names for value in values):
            inside.add(change.key)
    return frozenset(inside)


def _path(settings: Settings, path: str) -> str:
    if path == MEMBERSHIPS:
        return path
    try:
        return settings.target.dialect.users.resolve(path).short
    except InvalidPath as error:
        raise ConfigError(f"--attribute {path}: {error}") from error


def _unruled(settings: Settings) -> list[Finding]:
    """That the rules on the result were asked of the whole plan, and not of this one."""
    rules = settings.contract.rules
    return [ruling.unchecked(rules, "something was left out of the plan after they were asked")] if rules else []


def _words(chosen: Chosen) -> str:
    kinds = {
        "people": f"{len(chosen.users)} by key" if chosen.users else "",
        "actions": ", ".join(chosen.actions),
        "attributes": ", ".join(chosen.attributes),
        "departments": ", ".join(chosen.departments),
        "groups": ", ".join(chosen.groups),
    }
    return "; ".join(f"{kind}: {said}" for kind, said in kinds.items() if said)


def _name(store: Store, second: str) -> str:
    """A name that no run has yet."""
    while store.run(name := f"{second}-{secrets.token_hex(2)}") is not None:
        pass
    return name
