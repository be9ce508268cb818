"""Synchronise single people of one organisation: one target, one token and one memory for as long as somebody wants."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import warnings
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from scimsync.bootstrap import make_clock, make_phones, make_target
from scimsync.config import Settings
from scimsync.core import drifting
from scimsync.core.drifting import Baseline
from scimsync.engine.person import Names, PersonPorts, PersonRequest, plan_person
from scimsync.engine.ports import Target
from scimsync.errors import ConfigError, SchemaDrifted, UndeliveredEvents
from scimsync.model.outcomes import Description
from scimsync.model.plans import Finding, Seal
from scimsync.model.policy import Mapped
from scimsync.services.delivery import Background
from scimsync.services.person_memory import Kept, Memory, Remembered, Synchronised

__all__ = ["PeopleSync", "Synchronised"]
#: seconds that `close` waits for calls that are at work
CLOSE_S = 30.0


class PeopleSync:
    """Synchronises people one by one. Lives in one event loop at a time, and begins anew in a process that was forked.

    Args:
        settings: Where the organisation is, and who is told. Its policy is that of each call.
        baseline: What the target's schema is compared with; None for what the dialect assumes.
        durable: Whether what was agreed, the journal and the audit chain are kept in the state of the settings;
            else what was agreed is remembered while this object lives, and calls for different people go side by side.
    """

    def __init__(self, settings: Settings, *, baseline: Baseline | None, durable: bool) -> None:
        self._settings, self._baseline, self._durable = settings, baseline, durable
        self._clock = make_clock()
        #: what a forked process got from its parent: not ours to close
        self._inherited: list[object] = []
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._memory: Memory = Kept(self._settings) if self._durable else Remembered()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ports: PersonPorts | None = None
        self._delivery: Background | None = None
        self._described: asyncio.Future[Description] | None = None
        #: mappings that were compared with the schema
        self._compared: set[frozenset[str]] = set()
        self._calls: set[asyncio.Task[object] | None] = set()

    async def synchronise(self, account: object, attributes: Sequence[Mapped], given: Sequence[object]) -> Synchronised:
        """Make one account hold what HR says.

        Args:
            account: The id of the account.
            attributes: The mapping of this call.
            given: A value for each of them.

        Raises:
            ConfigError: The id is no text.
            TargetError: There is no such account, the directory cannot be reached, or its schema drifted where this
                call writes.
            StoreError: The state cannot be read or written, or somebody else is at work with it.
        """
        if not isinstance(account, str) or not account.strip():
            raise ConfigError(f"user_id is the id of an account, a text, not {account!r}")
        ports = self._connected()
        call = asyncio.current_task()
        self._calls.add(call)
        try:
            return await self._synchronise(ports, account, attributes, given)
        finally:
            self._calls.discard(call)

    async def _synchronise(
        self, ports: PersonPorts, account: str, attributes: Sequence[Mapped], given: Sequence[object]
    ) -> Synchronised:
        settings = replace(self._settings, policy=replace(self._settings.policy, attributes=tuple(attributes)))
        drifted = await self._compare_schema(settings, ports.target)
        async with self._memory.turn(account):
            request = PersonRequest(
                account=account,
                policy=settings.policy,
                dialect=settings.target.dialect,
                given=given,
                base=self._memory.agreed(account, attributes),
                unsure=self._memory.unsure(account),
                seal=Seal(target="", configuration=settings.digest, source=_fingerprint(attributes, given), base=""),
            )
            made = await plan_person(ports, request)
            plan = replace(made.plan, findings=(*drifted, *made.plan.findings))
            try:
                return await self._memory.settle(settings, replace(made, plan=plan), ports.target)
            finally:  # what was done before the trouble is told as well
                if self._settings.webhooks:
                    self._deliver()

    async def close(self) -> None:
        """Wait for calls that are at work and for events that are getting out; let go of connections and files.

        The object can be used again; it then begins anew.
        """
        if self._pid != os.getpid():
            return
        end = self._clock.monotonic() + CLOSE_S
        while others := [call for call in self._calls if call is not None and call is not asyncio.current_task()]:
            if not (await asyncio.wait(others, timeout=max(0.0, end - self._clock.monotonic())))[0]:
                break
        delivery, self._delivery = self._delivery, None
        if delivery is not None and self._loop is asyncio.get_running_loop():
            await delivery.end()
        ports, self._ports = self._ports, None
        if ports is not None and self._loop is asyncio.get_running_loop():
            await ports.target.close()
        self._loop = self._described = None
        lost = self._memory.lost
        self._memory.close()
        if lost:
            warnings.warn(
                f"Events were not delivered and are lost: {lost}. Give the syncer a `state` to keep them, and look at "
                "the endpoint of webhook_url.",
                UndeliveredEvents,
                stacklevel=2,
            )

    def _connected(self) -> PersonPorts:
        """The ports of this event loop, which all calls share: one target, one token."""
        if self._pid != os.getpid():
            self._inherited += [self._memory, self._ports, self._delivery]
            self._begin()
        loop = asyncio.get_running_loop()
        if self._ports is None or self._loop is not loop:
            self._loop, self._described, self._delivery = loop, None, None
            self._calls.clear()
            target = make_target(self._settings, lambda _: None)
            names = Names(target, self._clock)
            self._ports = PersonPorts(
                target=target, names=names, clock=self._clock, phones=make_phones(), fresh=lambda: secrets.token_hex(4)
            )
        return self._ports

    def _deliver(self) -> None:
        """Let what waits in the outbox go out, beside the calls."""
        if self._delivery is None:
            self._delivery = Background(self._settings, self._memory.outbox)
        self._delivery.wake()

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
        baseline = self._baseline or Baseline.of(None, settings.target.dialect)
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
