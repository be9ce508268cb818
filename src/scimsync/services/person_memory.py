"""What single people's calls remember: while an object lives, or in a state on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

from msgspec import Struct
from msgspec.structs import replace

from scimsync.bootstrap import make_clock, open_store, owner
from scimsync.config import Settings
from scimsync.core import notifications, planner
from scimsync.engine import applying, binding, preceding, signatures
from scimsync.engine.person import PersonPlan, Unsure
from scimsync.engine.ports import Store, Target
from scimsync.engine.preconditions import ApplyPorts
from scimsync.engine.state import Outbox
from scimsync.errors import ConfigError
from scimsync.model.audit import Record
from scimsync.model.events import Message, MessageState
from scimsync.model.outcomes import JournalLine, Link, Outcome, Run, RunState, Status
from scimsync.model.plans import Plan
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Value
from scimsync.services import continuity
from scimsync.services.applying import apply_to, options_of, settle
from scimsync.services.auditing import checkpoint
from scimsync.services.observing import Silent, Telemetry
from scimsync.services.planning import Choices, stored_plan
from scimsync.testing import MemoryStore
from scimsync.workbench import layers
from scimsync.workbench.agreed import agreement_of, write_agreed_with
from scimsync.workbench.bench import Workbench
from scimsync.workbench.past import agreed_with
from scimsync.workbench.values import text_of

_GOOD = frozenset({Status.DONE, Status.ALREADY})
#: messages that wait in memory for an endpoint; beyond it the newest are dropped, and counted as lost
MOST_WAITING = 10_000


class Synchronised(Struct, frozen=True, kw_only=True):
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

    def unsure(self, account: str) -> Unsure:
        """What an earlier call wrote of a person, where nobody knows whether it arrived. Asked within a turn."""
        ...

    async def settle(self, settings: Settings, made: PersonPlan, target: Target) -> Synchronised:
        """Carry out the plan of one person, and remember what both sides agree on. Within a turn."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Where the messages to endpoints wait."""
        ...

    @property
    def lost(self) -> int:
        """Messages that go with this object if it ends now."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


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

    lost = 0

    def append(
        self,
        lines: Sequence[JournalLine],  # noqa: ARG002
        records: Sequence[Record] = (),  # noqa: ARG002
        messages: Sequence[Message] = (),
    ) -> None:
        """Keep the messages."""
        if messages:
            self.enqueue(messages)

    def enqueue(self, messages: Sequence[Message]) -> None:
        """Keep messages, as long as there are not too many."""
        if len(self._messages) >= MOST_WAITING:
            self.forget_messages(make_clock().now())
        room = max(0, MOST_WAITING - len(self._messages))
        self.lost += len(messages[room:])
        super().enqueue(messages[:room])


class Remembered:
    """What was agreed while this object lives; calls for different people go side by side."""

    def __init__(self) -> None:
        self._agreed: dict[str, dict[str, Value]] = {}
        self._unsure: dict[str, dict[str, tuple[Value, Value]]] = {}
        self._store = _Passing()
        #: calls for one person wait for each other
        self._turns: WeakValueDictionary[tuple[object, str], asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, account: str) -> AsyncIterator[None]:
        """Wait for our turn."""
        lock = self._turns.setdefault((asyncio.get_running_loop(), account), asyncio.Lock())
        async with lock:
            yield

    def agreed(self, account: str, attributes: Sequence[Mapped]) -> Mapping[str, Value]:
        """What both sides agreed on about a person, by path."""
        held = self._agreed.get(account, {})
        return {mapped.path: held[mapped.path] for mapped in attributes if mapped.path in held}

    def unsure(self, account: str) -> Unsure:
        """What an earlier call wrote of a person, where nobody knows whether it arrived."""
        return self._unsure.get(account, {})

    async def settle(self, settings: Settings, made: PersonPlan, target: Target) -> Synchronised:
        """Carry out the plan of one person, and remember what both sides agree on."""
        account, plan, seen = str(made.account["id"]), made.plan, [made.account]
        held = self._agreed.setdefault(account, {})
        held |= {**made.base, **made.concluded.agreed}
        self._unsure.pop(account, None)
        if messages := _messages(settings, plan):
            self._store.enqueue(messages)
        outcomes: Sequence[Outcome] = ()
        if plan.changes:
            ports = ApplyPorts(
                target=target, store=self._store, clock=make_clock(), observer=Silent(), shown=seen.append
            )
            run = Run(id=plan.id, created=plan.created, state=RunState.PLANNED, target=target.name, plan="", agreed="")
            self._unsure[account] = _sent(made, settings.policy.by_path)
            report = await applying.write_plan(plan, run, ports, options_of(settings, Choices()))
            outcomes = report.outcomes.get(account, ())
            held |= _written(outcomes, made, settings.policy.by_path)
            if outcomes and all(outcome.status is not Status.DEFERRED for outcome in outcomes):
                del self._unsure[account]
        return Synchronised(account=seen[-1], plan=plan, outcome=_of(outcomes))

    @property
    def outbox(self) -> Outbox:
        """Where the messages to endpoints wait."""
        return self._store

    @property
    def lost(self) -> int:
        """Messages that go with this object if it ends now."""
        waiting = self._store.outbox().values()
        return self._store.lost + sum(states.get(MessageState.PENDING, 0) for states in waiting)

    def close(self) -> None:
        """Nothing is open."""


def _sent(made: PersonPlan, mapped: Mapping[str, Mapped]) -> dict[str, tuple[Value, Value]]:
    """Path -> what the account shows where the write arrived, and what is agreed then."""
    sent = [delta for change in made.plan.changes for delta in change.deltas if delta.verdict in planner.SENT]
    values = {delta.path: delta.sides.desired for delta in sent}
    return {path: (value, _wish(path, value, made, mapped)) for path, value in values.items()}


def _written(outcomes: Sequence[Outcome], made: PersonPlan, mapped: Mapping[str, Mapped]) -> dict[str, Value]:
    """What is agreed after a write."""
    written = {path: value for outcome in outcomes for path, value in outcome.written.items()}
    return {path: _wish(path, value, made, mapped) for path, value in written.items()}


def _wish(path: str, value: Value, made: PersonPlan, mapped: Mapping[str, Mapped]) -> Value:
    """Of a shared list what HR wants is agreed, not what others have in it."""
    return made.desired.values[path] if path in mapped and mapped[path].is_shared else value


# --- with a state -----------------------------------------------------------------------------------


class Kept:
    """What was agreed in a state on disk: a call that has anything to tell is stored, and carried out as a run."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: one for each event loop: calls wait for each other, because one holds the lease
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._open = ExitStack()
        self._held: tuple[Store, Workbench] | None = None

    @asynccontextmanager
    async def turn(self, account: str) -> AsyncIterator[None]:  # noqa: ARG002 - as the port
        """Wait for our turn."""
        async with self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            store, _ = self._state()
            with store.lease(owner()):
                await self._settle_interrupted(store)
                yield

    def agreed(self, account: str, attributes: Sequence[Mapped]) -> Mapping[str, Value]:
        """What both sides agreed on about a person, by path."""
        store, bench = self._state()
        base = self._base(store)
        return agreed_with(bench, base, account, attributes) if base is not None else {}

    def unsure(self, account: str) -> Unsure:  # noqa: ARG002 - as the port
        """Nothing: the journal knows, and `turn` has settled it."""
        return {}

    async def settle(self, settings: Settings, made: PersonPlan, target: Target) -> Synchronised:
        """Carry out the plan of one person, and remember what both sides agree on."""
        plan, seen = made.plan, [made.account]
        is_new = any(
            p not in made.base or text_of(made.base[p]) != text_of(v) for p, v in made.concluded.agreed.items()
        )
        if not (plan.changes or plan.notices or plan.findings or is_new):
            return Synchronised(account=made.account, plan=plan, outcome=None)
        store, _ = self._state()
        preceding.check_target(store.last_applied(), target.name)
        self._link(store, str(made.account["id"]))
        stored = self._stored(settings, store, made)
        outcomes: Sequence[Outcome] = ()
        if plan.changes or is_new:
            report = await apply_to(
                settings, store, Telemetry(Silent()), stored, Choices(), target=target, shown=seen.append
            )
            outcomes = report.outcomes.get(str(made.account["id"]), ())
            checkpoint(settings, store, lambda _: None)
        return Synchronised(account=seen[-1], plan=stored[0], outcome=_of(outcomes))

    def _stored(self, settings: Settings, store: Store, made: PersonPlan) -> tuple[Plan, Run]:
        """The plan and its run, in the state."""
        last, account = store.last_applied(), str(made.account["id"])
        plan = replace(made.plan, seal=replace(made.plan.seal, base=last.base if last is not None else ""))
        agreed, name = f"agreed-{plan.id}.parquet", f"plan-{plan.id}.ndjson"
        row = agreement_of(settings.policy.attributes, made.concluded.agreed, made.desired.values)
        _, bench = self._state()
        write_agreed_with(bench, (account, account), row, store.artifact(agreed), self._base(store))
        binding.bind(store, agreed, layers.needed(bench, store.artifact(agreed)))
        digest = signatures.write(store.artifact(name), plan, None)
        run = Run(
            id=plan.id,
            created=plan.created,
            state=RunState.PLANNED,
            target=plan.seal.target,
            plan=name,
            agreed=agreed,
            tally=planner.numbers(plan),
            partial=True,
            digest=digest,
        )
        store.save_run(run, _messages(settings, plan))
        return plan, store.run(plan.id) or run

    def _base(self, store: Store) -> Path | None:
        last = store.last_applied()
        return binding.proven(store, last.base) if last is not None else None

    async def _settle_interrupted(self, store: Store) -> None:
        """Record what a call had done that was cut off in the middle. Its mapping is that of its plan."""
        run = preceding.unfinished(store)
        if run is None:
            return
        given, users = self._settings, self._settings.target.dialect.users
        written = {d.path: d.authority for c in stored_plan(store, run).plan.changes for d in c.deltas}
        mapped = (Mapped(place=users.resolve(p), expression="", authority=who) for p, who in written.items())
        await settle(replace(given, policy=replace(given.policy, attributes=tuple(mapped))), store, Silent())

    def _link(self, store: Store, account: str) -> None:
        """Let the person go by the id of the account.

        Raises:
            ConfigError: The state knows the account under a key of HR.
        """
        if store.owner_of(account) != account and (taken := store.save_links([Link(account, account)])):
            raise ConfigError(
                f"the state links account {taken[0].account} to a key of HR: give the library a state of its own"
            )

    def _state(self) -> tuple[Store, Workbench]:
        if self._held is None:
            store = self._open.enter_context(open_store(self._settings))
            bench = self._open.enter_context(Workbench(store.artifact("plan").parent))
            continuity.check(self._settings, store)
            self._held = store, bench
        return self._held

    @property
    def outbox(self) -> Outbox:
        """Where the messages to endpoints wait."""
        return self._state()[0]

    @property
    def lost(self) -> int:
        """None: what was not delivered stays in the state."""
        return 0

    def close(self) -> None:
        """Let go of files and connections."""
        self._held = None
        self._open.close()
