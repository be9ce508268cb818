"""Deliver what is in the outbox: endpoint by endpoint, in order for each person, at least once.

Delivery stands beside the work and is never in its way: nothing here raises into a run, and what does
not get out now gets out later. A message is taken for a minute before it is carried; a process that dies
with it in the hand leaves it to the next one, with the same id and the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from msgspec import Struct

from scimsync.core import delivery, notifications, signing
from scimsync.engine.ports import Clock, Sender
from scimsync.engine.state import Outbox
from scimsync.errors import StoreError
from scimsync.model.events import Event, Message, MessageState, Receipt
from scimsync.values import Secretive

T = TypeVar("T")

#: for how long a taken message is nobody else's: longer than any try
TAKEN = timedelta(seconds=60)
#: messages under way to one endpoint at a time, each of another person: fewer than the shortest queues hold (5)
ABREAST = 4
#: a message that is older and cannot be delivered is given up, however seldom it was tried
LONGEST_LIFE = timedelta(days=14)
#: for how long messages that were delivered are remembered
MEMORY = timedelta(days=30)
#: seconds between two looks into an outbox in which nothing is due
LOOK_S = 1.0
#: seconds that a run waits at its end for messages that are getting out
GRACE_S = 2.0
#: seconds without an arrival after which it waits no longer
IDLE_S = 0.5


class Endpoint(Secretive, frozen=True, kw_only=True):
    """One receiver: how it is named in the outbox, how it is reached, and what it is signed with."""

    name: str
    #: what people read: number and host, without path
    shown: str
    sender: Sender
    keys: Sequence[bytes]


class DeliveryPorts(Struct, frozen=True, kw_only=True):
    """What delivering needs."""

    outbox: Outbox
    endpoints: Sequence[Endpoint]
    clock: Clock
    #: from 0 to 1, for the jitter
    chance: Callable[[], float]
    #: told of trouble with an endpoint, once each time it begins
    say: Callable[[str], None] = lambda _: None


async def ping(ports: DeliveryPorts, event: Event) -> list[Receipt]:
    """Carry one event to every endpoint at once, past the outbox, to learn whether they answer."""
    return await try_all(ports, event.id, notifications.encode(event))


async def try_all(ports: DeliveryPorts, name: str, body: bytes) -> list[Receipt]:
    """Carry one message to every endpoint at once, past the outbox, to learn whether they answer."""
    now = ports.clock.now()
    return await asyncio.gather(
        *(each.sender.send(signing.sign(each.keys, name, now, body), body) for each in ports.endpoints)
    )


class Rounds:
    """Delivery to all endpoints, each on a route of its own, so that none waits for another."""

    def __init__(self, ports: DeliveryPorts) -> None:
        self._ports = ports
        self._routes = [_Route(ports, endpoint) for endpoint in ports.endpoints]

    async def once(self) -> int:
        """Try everything that is due now; how many messages arrived.

        Raises:
            StoreError: The outbox cannot be read or written.
        """
        await asyncio.gather(*(route.until_idle() for route in self._routes))
        return self.arrived

    @property
    def arrived(self) -> int:
        """How many messages arrived so far."""
        return sum(route.moved for route in self._routes)

    async def on(self, *, look_s: float = LOOK_S) -> None:
        """Deliver until halted. Trouble with the store is waited out.

        Args:
            look_s: The longest sleep, in seconds, after which the outbox is looked into again.
        """
        await asyncio.gather(*(route.on(look_s) for route in self._routes))

    async def settle_down(self, *, within_s: float = GRACE_S, idle_s: float = IDLE_S) -> None:
        """Wait while messages are getting out: no longer than `within_s`, and while one arrives each `idle_s`."""
        clock = self._ports.clock
        self.wake()
        end = clock.monotonic() + within_s
        last, seen = clock.monotonic(), -1
        while (now := clock.monotonic()) < end:
            if self.arrived != seen:
                last, seen = now, self.arrived
            try:
                busy = [route for route in self._routes if await route.has_more()]
            except StoreError:
                return
            if not busy or now - last >= idle_s:
                return
            await clock.sleep(0.02)

    def wake(self) -> None:
        """Look into the outbox now."""
        for route in self._routes:
            route.wake()

    def halt(self) -> None:
        """Come to an end: what is under way is let go of, and stays in the outbox."""
        for route in self._routes:
            route.halt()


@asynccontextmanager
async def beside(ports: DeliveryPorts) -> AsyncIterator[None]:
    """Deliver while something else runs, and a moment longer. Whatever happens here, the run does not hear of it."""
    rounds = Rounds(ports)
    task = asyncio.create_task(rounds.on())
    try:
        yield
    finally:
        await rounds.settle_down()
        rounds.halt()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            ports.say(f"Delivering events came to an end ({type(error).__name__}); they stay in the outbox.")


class _Route:
    """The way to one endpoint: a batch, then the next; rests while the endpoint is in trouble."""

    def __init__(self, ports: DeliveryPorts, endpoint: Endpoint) -> None:
        self._ports, self._endpoint = ports, endpoint
        self._health = delivery.Health()
        self._rest = ports.clock.now()
        self._tidied = self._rest - timedelta(days=1)
        self._halted = False
        self._open: set[asyncio.Future[Any]] = set()
        self._busy = self._dozing = self._woken = False
        #: messages that arrived
        self.moved = 0

    async def until_idle(self) -> None:
        """Batches until nothing is due, or the endpoint must be left alone."""
        while await self._step():
            pass
        await self._tidy()

    async def on(self, look_s: float) -> None:
        """Batches until halted."""
        while not self._halted:
            try:
                wait = 0.0 if await self._step() else await self._until_due(look_s)
            except StoreError:  # of the store, or of a lease that went to somebody else: nothing is lost
                wait = look_s
            if wait and not self._woken:
                self._dozing = True
                await self._abandonable(self._ports.clock.sleep(min(wait, look_s)))
                self._dozing = False
            self._woken = False

    async def has_more(self) -> bool:
        """Whether something is under way, or could be at once."""
        if self._has_some():
            return True
        if self._rests():
            return False
        due = await asyncio.to_thread(self._ports.outbox.next_due, self._endpoint.name)
        now = self._ports.clock.now()
        # what was taken while we looked is not due any more
        return self._has_some() or (due is not None and due <= now and self._rest <= now)

    def _has_some(self) -> bool:
        return self._busy

    def _rests(self) -> float:
        """For how many seconds the endpoint is left alone; the outbox is not even asked: a backlog makes that dear."""
        return max((self._rest - self._ports.clock.now()).total_seconds(), 0.0)

    def wake(self) -> None:
        """Look into the outbox now."""
        self._woken = True
        if self._dozing:
            for dozing in self._open:
                dozing.cancel()

    def halt(self) -> None:
        """Let go of what is under way."""
        self._halted = True
        for waiting in self._open:
            waiting.cancel()

    async def _tidy(self) -> None:
        """Forget, once a day, what was delivered long ago."""
        now = self._ports.clock.now()
        if now >= self._tidied + timedelta(days=1):
            self._tidied = now
            await asyncio.to_thread(self._ports.outbox.forget_messages, now - MEMORY)

    async def _until_due(self, look_s: float) -> float:
        await self._tidy()
        if rest := self._rests():
            return rest
        due = await asyncio.to_thread(self._ports.outbox.next_due, self._endpoint.name)
        if due is None:
            return look_s
        return max((due - self._ports.clock.now()).total_seconds(), 0.001)

    async def _step(self) -> bool:
        """Take, carry and settle one batch; False where nothing was to be done."""
        outbox, now = self._ports.outbox, self._ports.clock.now()
        if self._halted or now < self._rest:
            return False
        abreast = 1 if self._health.sick else ABREAST
        self._busy = True
        try:
            messages = await asyncio.to_thread(outbox.claim, self._endpoint.name, now, now + TAKEN, abreast)
            receipts = await asyncio.gather(*map(self._send, messages))
            now = self._ports.clock.now()
            told = [(message, receipt) for message, receipt in zip(messages, receipts, strict=True) if receipt]
            settled = [delivery.settle(message, receipt, now, self._ports.chance()) for message, receipt in told]
            back = [message for message, receipt in zip(messages, receipts, strict=True) if receipt is None]
            await asyncio.to_thread(outbox.settle, [*settled, *back])  # what was let go of is due as it was
        finally:
            self._busy = False
        self.moved += sum(message.state is MessageState.DELIVERED for message in settled)
        if told:
            await self._learn([receipt for _, receipt in told], now)
        return bool(messages)

    async def _send(self, message: Message) -> Receipt | None:
        headers = signing.sign(self._endpoint.keys, message.id, self._ports.clock.now(), message.body)
        return await self._abandonable(self._endpoint.sender.send(headers, message.body))

    async def _learn(self, receipts: Sequence[Receipt], now: datetime) -> None:
        """What the answers of one batch say of the endpoint, together."""
        outbox, name = self._ports.outbox, self._endpoint.name
        receipt = delivery.decisive(receipts)
        before, self._health = self._health, self._health.after(receipt)
        if delivery.is_gone(receipt):
            await asyncio.to_thread(outbox.dead_letter, name, "the endpoint answered 410: it is switched off")
            self._ports.say(f"{self._endpoint.shown} answered 410: it is switched off, and its events are dead.")
        elif delivery.is_taken(receipt) and before.down:
            await asyncio.to_thread(outbox.retry_now, name, now)
        elif self._health.sick:
            if not before.sick:
                self._ports.say(f"{self._endpoint.shown}: {receipt.detail}. Events wait in the outbox.")
            await asyncio.to_thread(outbox.dead_letter, name, f"too old; last: {receipt.detail}", now - LONGEST_LIFE)
        rest = max(*map(delivery.pause, receipts), self._health.rest_s)
        self._rest = max(self._rest, now + timedelta(seconds=rest))

    async def _abandonable(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Wait for work that `halt` may cut short; None where it did."""
        if self._halted:
            work.close()
            return None
        task = asyncio.ensure_future(work)
        self._open.add(task)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._open.discard(task)
        return None if task.cancelled() else task.result()
