"""Plan one person: read the account, decide, ask which names exist where the change writes some."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from scimsync.core import person, validation
from scimsync.core.desired import Desired, read_desired
from scimsync.core.person import Concluded, Seen
from scimsync.engine.ports import Clock, Target
from scimsync.errors import TargetDenied, TargetUnavailable
from scimsync.model.outcomes import Reply
from scimsync.model.phones import PhoneReader
from scimsync.model.plans import Plan, Seal
from scimsync.model.policy import Policy
from scimsync.scim.dialect import Dialect
from scimsync.scim.schema import Kind, Value

#: path -> what the account shows where a write arrived, and what both sides agreed on then
Unsure: TypeAlias = Mapping[str, tuple[Value, Value]]
#: seconds for which a list of names of the directory is good enough
NAMES_GOOD_S = 60.0


class Names:
    """The names that exist in a directory, asked for when somebody needs them and kept for a minute."""

    def __init__(self, target: Target, clock: Clock) -> None:
        self._target, self._clock = target, clock
        self._known: dict[str, tuple[float, frozenset[str] | None]] = {}

    async def of(self, kinds: Iterable[str]) -> validation.Known:
        """The names of these kinds.

        Raises:
            TargetError: The target cannot be reached, or refuses our credentials.
        """
        found = {}
        for kind in kinds:
            at, names = self._known.get(kind, (-NAMES_GOOD_S, None))
            now = self._clock.monotonic()
            if kind not in self._known or now - at >= NAMES_GOOD_S:
                names = await self._target.names(kind)
                self._known[kind] = now, names
            found[kind] = names
        return validation.Known(names=found)


class PersonPorts(Struct, frozen=True, kw_only=True):
    """What planning one person needs from outside."""

    target: Target
    names: Names
    clock: Clock
    phones: PhoneReader
    #: makes the tail of a plan id, so that two plans in one second differ
    fresh: Callable[[], str]


class PersonRequest(Struct, frozen=True, kw_only=True):
    """Who shall be planned, and what HR says."""

    account: str
    policy: Policy
    dialect: Dialect
    #: a value for each attribute of the mapping, as a program gives it
    given: Sequence[object]
    #: path -> value on which both sides agreed
    base: Mapping[str, Value] = field(default_factory=dict)
    #: what an earlier call wrote, where nobody knows whether it arrived
    unsure: Unsure = field(default_factory=dict)
    #: what the plan rests on besides the target
    seal: Seal
    #: whether nothing is written where anything of it cannot be, as a call for one person promises
    whole: bool = True


class PersonPlan(Struct, frozen=True, kw_only=True):
    """A plan of one person, with the account as it was read for it."""

    plan: Plan
    concluded: Concluded
    desired: Desired
    #: what was agreed before, with what turned out to have arrived
    base: Mapping[str, Value]
    account: Mapping[str, object]


async def plan_person(ports: PersonPorts, request: PersonRequest) -> PersonPlan:
    """Plan one person, who has an account. Reads it, and the accounts that new references name; writes nothing.

    Raises:
        TargetError: There is no such account, or the directory refuses or cannot be reached.
    """
    target, policy = ports.target, request.policy
    target.manage(mapped.place for mapped in policy.attributes)
    reply = await _read(target, request.account)
    if reply.body is None:
        raise TargetDenied(
            f"{target.name}: there is no account {request.account}. Give the id of an account that is there."
        )
    desired = read_desired(policy.attributes, request.given, ports.phones)
    base = {**request.base, **_arrived(request, reply.body)}
    seen = Seen(
        key=request.account,
        account=str(reply.body["id"]),
        version=reply.version,
        resource=reply.body,
        base=base,
        unresolved=await _unresolved(target, desired, reply.body, policy),
        unread={
            mapped.path: target.unread.get(mapped.path, "the Platform API does not show it now")
            for mapped in policy.attributes
            if not mapped.place.is_told(reply.body)
        },
    )
    decided = person.decide(desired, seen, policy)
    asked = validation.name_kinds(decided.changes, policy.attributes, request.dialect)
    known = replace(await ports.names.of(asked), phones=ports.phones)
    concluded = person.conclude(decided, policy, request.dialect, known)
    concluded = person.all_or_nothing(concluded) if request.whole else concluded
    now = ports.clock.now()
    plan = Plan(
        id=f"{now:%Y%m%d-%H%M%S}-{ports.fresh()}",
        created=now,
        seal=replace(request.seal, target=target.name),
        tally=concluded.tally,
        changes=concluded.changes,
        notices=concluded.notices,
        findings=concluded.findings,
        rate=target.rate,
    )
    return PersonPlan(plan=plan, concluded=concluded, desired=desired, base=base, account=reply.body)


def _arrived(request: PersonRequest, resource: Mapping[str, object]) -> dict[str, Value]:
    """What is agreed because the account shows that a write arrived of which nobody knew."""
    users = request.dialect.users
    return {
        path: agreed
        for path, (shown, agreed) in request.unsure.items()
        if (place := users.resolve(path)).same(place.read(resource), shown)
    }


async def _read(target: Target, account: str) -> Reply:
    reply = await target.get(account)
    if reply.body is None and (reply.ok or not reply.tries):
        raise TargetDenied(f"{target.name}: {account!r} is not the id of an account: {reply.detail}")
    if reply.body is None and reply.status != 404:
        raise TargetUnavailable(f"{target.name}: account {account} cannot be read: {reply.detail}")
    return reply


async def _unresolved(
    target: Target, desired: Desired, resource: Mapping[str, object], policy: Policy
) -> frozenset[str]:
    """The paths whose reference names an account that is not there. What the account refers to already is there."""
    wanted = {
        mapped.path: str(desired.values[mapped.path])
        for mapped in policy.attributes
        if mapped.place.kind is Kind.REFERENCE
        and desired.values[mapped.path] not in {None, resource.get("id"), mapped.place.read(resource)}
    }
    replies = await asyncio.gather(*(_read(target, account) for account in wanted.values()))
    return frozenset(path for path, reply in zip(wanted, replies, strict=True) if reply.body is None)
