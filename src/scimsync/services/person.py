"""Synchronise single people of one organisation: one target, one token and one memory for as long as somebody wants."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

import msgspec

from scimsync import files
from scimsync.bootstrap import make_clock, make_phones, make_target, open_store, owner
from scimsync.config import Settings
from scimsync.core import drifting, notifications, planner, sealing
from scimsync.core.drifting import Baseline
from scimsync.engine import applying, planning
from scimsync.engine.person import Names, PersonPlan, PersonPorts, PersonRequest, plan_person
from scimsync.engine.ports import Store, Target
from scimsync.engine.preconditions import ApplyPorts
from scimsync.errors import ConfigError, SchemaDrifted
from scimsync.model.audit import Record
from scimsync.model.events import Message
from scimsync.model.outcomes import Description, JournalLine, Link, Outcome, Run, RunState, Status
from scimsync.model.plans import Finding, Plan, Seal
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Value
from scimsync.services.applying import apply_to, options_of, settle
from scimsync.services.auditing import checkpoint
from scimsync.services.delivery import notifying
from scimsync.services.observing import Silent, Telemetry
from scimsync.services.planning import Choices, read_plan
from scimsync.testing import MemoryStore
from scimsync.workbench.agreed import agreement_of, write_agreed_with
from scimsync.workbench.bench import Workbench
from scimsync.workbench.past import agreed_with

_GOOD = frozenset({Status.DONE, Status.ALREADY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Synchronised:
    """One person after a call: the account as it is now, what was planned, and what came of it."""

    account: Mapping[str, object]
    plan: Plan
    #: the first that is not good, else the last; None where nothing was written
    outcome: Outcome | None


class Memory(Protocol):
    """What is remembered from one call to the next, and how a plan is carried out on it."""

    def turn(self, account: str) -> AbstractAsyncContextManager[None]:
        """Wait until nobody else is at work with the same memory."""
        ...

    def agreed(self, account: str, attributes: Sequence[Mapped]) -> Mapping[str, Value]:
        """What both sides agreed on about a person, by path. Asked within a turn."""
        ...

    async def settle(self, settings: Settings, made: PersonPlan, target: Target) -> Synchronised:
        """Carry out the plan of one person, and remember what both sides agree on. Within a turn."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class PeopleSync:
    """Synchronises people one by one. Lives in one event loop at a time.

    Args:
        settings: Where the organisation is, and who is told. Its policy is that of each call.
        baseline: What the target's schema is compared with; None for what the dialect assumes.
        durable: Whether what was agreed, the journal and the audit chain are kept in the state of the settings;
            else what was agreed is remembered while this object lives, and calls for different people go side by side.
    """

    def __init__(self, settings: Settings, *, baseline: Baseline | None, durable: bool) -> None:
        self._settings, self._baseline = settings, baseline
        self._memory: Memory = _Kept(settings) if durable else _Remembered()
        self._clock = make_clock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ports: PersonPorts | None = None
        self._described: asyncio.Future[Description] | None = None
        #: mappings that were compared with the schema
        self._compared: set[frozenset[str]] = set()

    async def synchronise(self, account: str, attributes: Sequence[Mapped], given: Sequence[object]) -> Synchronised:
        """Make one account hold what HR says.

        Args:
            account: The id of the account.
            attributes: The mapping of this call.
            given: A value for each of them.

        Raises:
            TargetError: There is no such account, the directory cannot be reached, or its schema drifted where this
                call writes.
            StoreError: The state cannot be read or written, or somebody else is at work with it.
        """
        ports = self._connected()
        settings = replace(self._settings, policy=replace(self._settings.policy, attributes=tuple(attributes)))
        drifted = await self._compare_schema(settings, ports.target)
        async with self._memory.turn(account):
            request = PersonRequest(
                account=account,
                policy=settings.policy,
                dialect=settings.target.dialect,
                given=given,
                base=self._memory.agreed(account, attributes),
                seal=Seal(target="", configuration=settings.digest, source=_fingerprint(attributes, given), base=""),
            )
            made = await plan_person(ports, request)
            plan = replace(made.plan, findings=(*drifted, *made.plan.findings))
            return await self._memory.settle(settings, replace(made, plan=plan), ports.target)

    async def close(self) -> None:
        """Let go of connections and files. The object can be used again; it then begins anew."""
        ports, self._ports = self._ports, None
        if ports is not None and self._loop is asyncio.get_running_loop():
            await ports.target.close()
        self._loop = self._described = None
        self._memory.close()

    def _connected(self) -> PersonPorts:
        """The ports of this event loop, which all calls share: one target, one token."""
        loop = asyncio.get_running_loop()
        if self._ports is None or self._loop is not loop:
            self._loop, self._described = loop, None
            target = make_target(self._settings, lambda _: None)
            names = Names(target, self._clock)
            self._ports = PersonPorts(
                target=target, names=names, clock=self._clock, phones=make_phones(), fresh=lambda: secrets.token_hex(2)
            )
        return self._ports

    async def _compare_schema(self, settings: Settings, target: Target) -> tuple[Finding, ...]:
        """What became of the schema where this call writes, told once; the target is asked once.

        Raises:
            SchemaDrifted: What the call writes is not what it was.
        """
        mapped = frozenset(settings.policy.by_path)
        if mapped in self._compared:
            return ()
        found = await self._description(target)
        catalog = settings.target.dialect.users
        baseline = self._baseline or Baseline.of(None, catalog)
        rulings = drifting.judge(baseline, found, settings.policy, catalog, whole=self._baseline is not None)
        if blocking := tuple(f"{ruling.drift} ({ruling.hint})" for ruling in rulings if ruling.blocks):
            raise SchemaDrifted(baseline.name, blocking)
        self._compared.add(mapped)
        return tuple(drifting.findings(rulings)) if self._baseline is None else ()

    async def _description(self, target: Target) -> Description:
        if self._described is None or (self._described.done() and self._described.exception() is not None):
            self._described = asyncio.ensure_future(target.describe())
        return await asyncio.shield(self._described)


def _fingerprint(attributes: Sequence[Mapped], given: Sequence[object]) -> str:
    said = [[mapped.path, str(value)] for mapped, value in zip(attributes, given, strict=True)]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:16]


def _of(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The first that is not good, else the last."""
    trouble = (outcome for outcome in outcomes if outcome.status not in _GOOD)
    return next(trouble, outcomes[-1] if outcomes else None)


def _messages(settings: Settings, plan: Plan) -> list[Message]:
    """What the endpoints are told of a plan before it is carried out."""
    events = [*notifications.of_plan(plan)]
    return [each for webhook in settings.webhooks for each in notifications.messages_to(events, webhook.subscription)]


# --- without a state --------------------------------------------------------------------------------


class _Passing(MemoryStore):
    """A state that keeps messages only: a journal and a chain that end with the process prove nothing after it."""

    def append(
        self,
        lines: Sequence[JournalLine],  # noqa: ARG002
        records: Sequence[Record] = (),  # noqa: ARG002
        messages: Sequence[Message] = (),
    ) -> None:
        """Keep the messages."""
        if messages:
            self.enqueue(messages)


class _Remembered:
    """What was agreed while this object lives."""

    def __init__(self) -> None:
        self._agreed: dict[str, dict[str, Value]] = {}
        self._store = _Passing()
        #: calls for one person wait for each other
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, account: str) -> AsyncIterator[None]:
        lock = self._turns.setdefault(account, asyncio.Lock())
        async with lock:
            yield

    def agreed(self, account: str, attributes: Sequence[Mapped]) -> Mapping[str, Value]:
        held = self._agreed.get(account, {})
        return {mapped.path: held[mapped.path] for mapped in attributes if mapped.path in held}

    async def settle(self, settings: Settings, made: PersonPlan, target: Target) -> Synchronised:
        account, plan = str(made.account["id"]), made.plan
        seen = [made.account]
        held = self._agreed.setdefault(account, {})
        held |= made.concluded.agreed
        if messages := _messages(settings, plan):
            self._store.enqueue(messages)
        outcomes: Sequence[Outcome] = ()
        if plan.changes:
            ports = ApplyPorts(
                target=target, store=self._store, clock=make_clock(), observer=Silent(), shown=seen.append
            )
            run = Run(id=plan.id, created=plan.created, state=RunState.PLANNED, target=target.name, plan="", agreed="")
            async with notifying(settings, self._store, Silent(), Choices()):
                report = await applying.write_plan(plan, run, ports, options_of(settings, Choices()))
            self._store.forget_messages(make_clock().now())
            outcomes = report.outcomes.get(account, ())
            held |= _written(outcomes, made, settings.policy.by_path)
        elif messages:
            async with notifying(settings, self._store, Silent(), Choices()):
                pass
        return Synchronised(account=seen[-1], plan=plan, outcome=_of(outcomes))

    def close(self) -> None:
        """Nothing is open."""


def _written(outcomes: Sequence[Outcome], made: PersonPlan, mapped: Mapping[str, Mapped]) -> dict[str, Value]:
    """What is agreed after a write. Of a shared list that is what HR wants, not what others have in it."""
    wanted = made.desired.values
    return {
        path: wanted[path] if path in mapped and mapped[path].is_shared else value
        for outcome in outcomes
        for path, value in outcome.written.items()
    }


# --- with a state -----------------------------------------------------------------------------------


class _Kept:
    """What was agreed in a state on disk: a plan that says anything is stored, and carried out as a run."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()
        self._open = ExitStack()
        self._held: tuple[Store, Workbench] | None = None
        self._linked: set[str] = set()

    @asynccontextmanager
    async def turn(self, account: str) -> AsyncIterator[None]:
        async with self._turn:
            store, _ = self._state()
            with store.lease(owner()):
                await self._settle_interrupted(store)
                self._link(store, account)
                yield

    def agreed(self, account: str, attributes: Sequence[Mapped]) -> Mapping[str, Value]:
        store, bench = self._state()
        base = self._base(store)
        return agreed_with(bench, base, account, attributes) if base is not None else {}

    async def settle(self, settings: Settings, made: PersonPlan, target: Target) -> Synchronised:
        account, plan, seen = str(made.account["id"]), made.plan, [made.account]
        if not (plan.changes or plan.notices or plan.findings):
            return Synchronised(account=made.account, plan=plan, outcome=None)
        store, _ = self._state()
        run = self._stored(settings, store, made)
        outcomes: Sequence[Outcome] = ()
        if plan.changes:
            telemetry = Telemetry(Silent())
            async with notifying(settings, store, Silent(), Choices()):
                report = await apply_to(
                    settings, store, telemetry, (run[0], run[1]), Choices(), target=target, shown=seen.append
                )
            outcomes = report.outcomes.get(account, ())
            checkpoint(settings, store, lambda _: None)
        return Synchronised(account=seen[-1], plan=run[0], outcome=_of(outcomes))

    def _stored(self, settings: Settings, store: Store, made: PersonPlan) -> tuple[Plan, Run]:
        """The plan and its run, in the state."""
        last, account = store.last_applied(), str(made.account["id"])
        plan = replace(made.plan, seal=replace(made.plan.seal, base=last.base if last is not None else ""))
        agreed, name = f"agreed-{plan.id}.parquet", f"plan-{plan.id}.ndjson"
        row = agreement_of(settings.policy.attributes, made.concluded.agreed, made.desired.values)
        _, bench = self._state()
        write_agreed_with(bench, (account, account), row, store.artifact(agreed), self._base(store))
        files.write(store.artifact(name), sealing.encode(plan))
        run = Run(
            id=plan.id,
            created=plan.created,
            state=RunState.PLANNED,
            target=plan.seal.target,
            plan=name,
            agreed=agreed,
            tally=planner.numbers(plan),
            partial=True,
        )
        store.save_run(run, _messages(settings, plan))
        return plan, store.run(plan.id) or run

    def _base(self, store: Store) -> Path | None:
        last = store.last_applied()
        return store.artifact(last.base) if last is not None else None

    async def _settle_interrupted(self, store: Store) -> None:
        """Record what a call had done whose process ended in the middle. Its mapping is that of its plan."""
        run = planning.unfinished(store)
        if run is None:
            return
        given, users = self._settings, self._settings.target.dialect.users
        written = {d.path: d.authority for c in read_plan(store.artifact(run.plan)).changes for d in c.deltas}
        mapped = (Mapped(place=users.resolve(p), expression="", authority=who) for p, who in written.items())
        await settle(replace(given, policy=replace(given.policy, attributes=tuple(mapped))), store, Silent())

    def _link(self, store: Store, account: str) -> None:
        """Let the person go by the id of the account.

        Raises:
            ConfigError: The state knows the account under a key of HR.
        """
        if account in self._linked:
            return
        if taken := store.save_links([Link(account, account)]):
            raise ConfigError(
                f"the state links account {taken[0].account} to a key of HR: give the library a state of its own"
            )
        self._linked.add(account)

    def _state(self) -> tuple[Store, Workbench]:
        if self._held is None:
            store = self._open.enter_context(open_store(self._settings))
            bench = self._open.enter_context(Workbench(store.artifact("plan").parent, helpers=False))
            self._held = store, bench
        return self._held

    def close(self) -> None:
        self._held = None
        self._open.close()
