"""Delivery on a virtual clock, with receivers that play a part."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from scimsync.core import notifications, signing
from scimsync.engine.delivering import GRACE_S, DeliveryPorts, Endpoint, Rounds, beside, ping
from scimsync.errors import StoreError
from scimsync.model.events import Message, MessageState, Receipt
from scimsync.testing import MemoryOutbox, VirtualClock

KEY = b"k" * 32
HOUR = 3600.0
OK = Receipt(status=204)
NO = Receipt(status=500, detail="answered 500")
NOBODY = Receipt(detail="cannot connect")


class Receiver:
    """A sender and the receiver behind it in one: answers by `part(now in seconds, message id)`."""

    def __init__(self, clock: VirtualClock, part: Callable[[float, str], Receipt]) -> None:
        self.clock, self.part = clock, part
        self.seen: list[tuple[float, str, Receipt]] = []
        self.bodies: dict[str, set[bytes]] = defaultdict(set)

    async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:
        name = headers["webhook-id"]
        assert signing.verify([KEY], headers, body, self.clock.now()) == name
        await asyncio.sleep(0)
        receipt = self.part(self.clock.monotonic(), name)
        self.seen.append((self.clock.monotonic(), name, receipt))
        self.bodies[name].add(body)
        return receipt

    async def close(self) -> None: ...

    @property
    def arrived(self) -> list[str]:
        return [name for _, name, receipt in self.seen if 200 <= receipt.status < 300]


class World:
    """An outbox, a clock, and receivers by name."""

    def __init__(self, **parts: Callable[[float, str], Receipt]) -> None:
        self.clock, self.store = VirtualClock(), MemoryOutbox()
        self.receivers = {name: Receiver(self.clock, part) for name, part in parts.items()}
        self.said: list[str] = []
        self.ports = DeliveryPorts(
            outbox=self.store,
            endpoints=[
                Endpoint(name=name, shown=name, sender=receiver, keys=[KEY])
                for name, receiver in self.receivers.items()
            ],
            clock=self.clock,
            chance=lambda: 0.5,
            say=self.said.append,
        )

    def write(self, *names: str, endpoint: str = "a") -> None:
        """Messages named PERSON.NUMBER."""
        now = self.clock.now()
        self.store.enqueue(
            [
                Message(
                    id=name,
                    endpoint=endpoint,
                    person=name.partition(".")[0],
                    type="t",
                    body=name.encode(),
                    created=now,
                    due=now,
                )
                for name in names
            ]
        )

    def deliver(self, until_s: float) -> None:
        """Go on until a moment of the virtual clock."""

        async def main() -> None:
            rounds = Rounds(self.ports)

            async def end() -> None:
                await self.clock.sleep(until_s - self.clock.monotonic())
                rounds.halt()

            await asyncio.gather(rounds.on(look_s=1e9), end())

        asyncio.run(main())

    def once(self) -> int:
        return asyncio.run(Rounds(self.ports).once())

    def count(self, state: MessageState, endpoint: str = "a") -> int:
        return self.store.outbox().get(endpoint, {}).get(state, 0)


def people(number: int, each: int) -> list[str]:
    return [f"E{n}.{k}" for k in range(each) for n in range(number)]


def assert_in_order(receiver: Receiver) -> None:
    """Nothing of a person was even tried before what came before it had arrived."""
    done: dict[str, int] = defaultdict(int)
    for _, name, receipt in receiver.seen:
        person, _, number = name.partition(".")
        assert int(number) <= done[person]
        if receipt is OK:
            done[person] = max(done[person], int(number) + 1)


def test_everything_arrives_once_signed_and_in_order_where_all_is_well() -> None:
    world = World(a=lambda now, name: OK)
    world.write(*people(20, 3))
    assert world.once() == 60
    assert sorted(world.receivers["a"].arrived) == sorted(people(20, 3))
    assert_in_order(world.receivers["a"])
    assert world.count(MessageState.DELIVERED) == 60
    assert world.once() == 0


def test_a_receiver_that_is_down_for_two_days_then_slow_then_moody_gets_everything_in_order() -> None:
    moods = iter(range(10**9))

    def part(now: float, name: str) -> Receipt:
        if now < 48 * HOUR:
            return NOBODY
        if now < 50 * HOUR:
            return Receipt(detail="no complete answer within 15 s") if next(moods) % 2 else OK
        return NO if next(moods) % 3 == 0 else OK

    world = World(a=part)
    world.write(*people(40, 3))
    world.deliver(200 * HOUR)
    receiver = world.receivers["a"]
    assert set(receiver.arrived) == set(people(40, 3))
    assert_in_order(receiver)
    assert world.count(MessageState.DELIVERED) == 120
    assert all(bodies == {name.encode()} for name, bodies in receiver.bodies.items())
    down = [at for at, _, _ in receiver.seen if at < 48 * HOUR]
    assert len(down) < 48 * 12 + 30  # it is looked after, not hammered


def test_a_letter_that_is_always_refused_holds_up_nobody_else_and_is_dead_in_the_end() -> None:
    world = World(a=lambda now, name: Receipt(status=400, detail="answered 400") if name == "E1.0" else OK)
    world.write("E1.0", "E1.1", "E2.0", "E2.1")
    world.deliver(1)
    assert sorted(world.receivers["a"].arrived) == ["E2.0", "E2.1"]
    world.deliver(80 * HOUR)
    (dead,) = world.store.messages("a", MessageState.DEAD)
    assert (dead.id, dead.attempts, dead.detail) == ("E1.0", 10, "answered 400")
    assert world.receivers["a"].arrived[-1] == "E1.1"
    assert world.store.redrive(["E1.0"], world.clock.now()) == 1
    assert world.count(MessageState.PENDING) == 1


def test_410_switches_an_endpoint_off_and_leaves_the_others_alone() -> None:
    world = World(a=lambda now, name: Receipt(status=410, detail="answered 410"), b=lambda now, name: OK)
    world.write("E1.0", "E1.1", "E2.0")
    world.write("E1.0", endpoint="b")
    world.once()
    assert world.count(MessageState.DEAD) == 3
    assert world.count(MessageState.DELIVERED, "b") == 1
    assert world.said == ["a answered 410: it is switched off, and its events are dead."]
    assert len(world.receivers["a"].seen) <= 2


@pytest.mark.parametrize(
    "receipt", [Receipt(status=429, retry_after_s=600.0), Receipt(status=503, retry_after_s=600.0)]
)
def test_a_receiver_that_asks_for_a_pause_gets_it(receipt: Receipt) -> None:
    world = World(a=lambda now, name: receipt if now < 1 else OK)
    world.write(*people(30, 1))
    world.deliver(599)
    assert len(world.receivers["a"].seen) <= 8
    world.deliver(HOUR)
    assert len(world.receivers["a"].arrived) == 30


def test_a_dead_endpoint_delays_no_other() -> None:
    world = World(a=lambda now, name: NOBODY, b=lambda now, name: OK)
    world.write(*people(30, 1))
    world.write(*people(30, 1), endpoint="b")
    assert world.once() == 30
    assert len(world.receivers["a"].seen) <= 24  # three batches, then it rests
    assert world.count(MessageState.PENDING) == 30
    assert world.said == ["a: cannot connect. Events wait in the outbox."]


def test_what_nobody_takes_for_two_weeks_is_given_up() -> None:
    world = World(a=lambda now, name: NOBODY)
    world.write(*people(30, 1))
    world.clock.advance(13 * 24 * HOUR)
    world.once()
    assert world.count(MessageState.DEAD) == 0
    world.clock.advance(2 * 24 * HOUR)
    world.once()
    assert world.count(MessageState.DEAD) == 30
    assert world.store.messages("a", MessageState.DEAD, 1)[0].detail == "too old; last: cannot connect"


def test_a_process_that_dies_between_delivery_and_note_delivers_again_with_the_same_bytes() -> None:
    world = World(a=lambda now, name: OK)
    world.write("E1.0", "E1.1")
    now = world.clock.now()
    assert len(world.store.claim("a", now, now + timedelta(seconds=60), 10)) == 1  # and then it died
    assert world.once() == 0
    world.deliver(61)
    assert world.receivers["a"].arrived == ["E1.0", "E1.1"]


class Asked(MemoryOutbox):
    """An outbox that counts how often it is asked what is due, which takes long where a hundred thousand wait."""

    asked = 0

    def claim(self, endpoint: str, now: datetime, until: datetime, limit: int) -> Sequence[Message]:
        self.asked += 1
        return super().claim(endpoint, now, until, limit)

    def next_due(self, endpoint: str) -> datetime | None:
        self.asked += 1
        return super().next_due(endpoint)


def test_while_an_endpoint_is_left_alone_its_backlog_is_not_looked_through() -> None:
    world = World(a=lambda now, name: NOBODY)
    outbox = world.store = Asked()
    world.ports = replace(world.ports, outbox=outbox)
    world.write(*people(20, 2))

    async def main() -> None:
        rounds = Rounds(world.ports)

        async def end() -> None:
            await world.clock.sleep(HOUR)
            rounds.halt()

        await asyncio.gather(rounds.on(look_s=1.0), end())

    asyncio.run(main())
    assert outbox.asked <= 3 * len(world.receivers["a"].seen) + 3
    assert len(world.receivers["a"].seen) < 60


def test_letters_that_arrived_a_month_ago_are_forgotten() -> None:
    world = World(a=lambda now, name: OK)
    world.write("E1.0")
    world.once()
    world.clock.advance(31 * 24 * HOUR)
    world.once()
    assert world.store.outbox() == {}


# Beside a run


def run_beside(world: World, work_s: float = 0.0) -> float:
    """Virtual seconds that the end of a run is put off."""

    async def main() -> float:
        await world.clock.sleep(0.001)  # from here on the clock sees threads
        begun = world.clock.monotonic()
        async with beside(world.ports):
            await world.clock.sleep(work_s)
        return world.clock.monotonic() - begun - work_s

    return asyncio.run(main())


def test_what_is_written_while_a_run_goes_on_is_out_at_its_end() -> None:
    world = World(a=lambda now, name: OK)
    world.write(*people(50, 2))
    assert run_beside(world, 10.0) < GRACE_S
    assert world.count(MessageState.DELIVERED) == 100


def test_a_run_does_not_wait_for_a_receiver_that_does_not_answer() -> None:
    world = World(a=lambda now, name: NOBODY)
    world.write(*people(50, 2))
    assert run_beside(world) < 0.1
    assert world.count(MessageState.PENDING) == 100


class Hanging:
    """A sender who never comes back."""

    async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:
        await asyncio.Event().wait()
        return OK

    async def close(self) -> None: ...


def test_a_receiver_that_hangs_is_left_after_half_a_second_and_its_letter_stays() -> None:
    world = World()
    hanging = Endpoint(name="a", shown="a", sender=Hanging(), keys=[KEY])
    world.ports = replace(world.ports, endpoints=[hanging])
    world.write("E1.0")
    assert run_beside(world) <= 0.6
    assert world.count(MessageState.PENDING) == 1
    due = world.store.next_due("a")
    assert due is not None
    assert due <= world.clock.now()  # the next process need not wait for what nobody carries any more


class Slow(MemoryOutbox):
    """An outbox whose answer to "is something due?" comes late: when what was written last has just been taken."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.taken = threading.Event(), threading.Event()

    def claim(self, endpoint: str, now: datetime, until: datetime, limit: int) -> Sequence[Message]:
        found = super().claim(endpoint, now, until, limit)
        if found:
            self.taken.set()
        return found

    def next_due(self, endpoint: str) -> datetime | None:
        if self.written.is_set():
            assert self.taken.wait(30)
        return super().next_due(endpoint)


def test_a_run_does_not_end_over_a_letter_that_was_just_taken() -> None:
    world = World(a=lambda now, name: OK)
    slow = world.store = Slow()
    (endpoint,) = world.ports.endpoints

    class Leisurely:
        """A sender whose letters are a while on their way."""

        async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:
            await world.clock.sleep(0.2)
            return await endpoint.sender.send(headers, body)

        async def close(self) -> None: ...

    world.ports = replace(world.ports, outbox=slow, endpoints=[replace(endpoint, sender=Leisurely())])

    async def main() -> None:
        await world.clock.sleep(0.001)
        async with beside(world.ports):
            await world.clock.sleep(0.1)  # it looked, and found nothing
            world.write("E1.0")
            slow.written.set()

    asyncio.run(main())
    assert world.receivers["a"].arrived == ["E1.0"]
    assert world.count(MessageState.DELIVERED) == 1


class Broken(MemoryOutbox):
    """An outbox that cannot be read."""

    def claim(self, endpoint: str, now: datetime, until: datetime, limit: int) -> Sequence[Message]:
        raise StoreError("the disk is full")

    def next_due(self, endpoint: str) -> datetime | None:
        raise StoreError("the disk is full")


def test_trouble_with_the_outbox_is_none_of_the_run() -> None:
    world = World(a=lambda now, name: OK)
    world.ports = replace(world.ports, outbox=Broken())
    assert run_beside(world, 5.0) < 0.1


class Raising:
    """A sender with a mistake in it."""

    async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:
        raise ZeroDivisionError

    async def close(self) -> None: ...


def test_a_mistake_in_the_delivery_is_told_and_does_not_reach_the_run() -> None:
    world = World()
    raising = Endpoint(name="a", shown="a", sender=Raising(), keys=[KEY])
    world.ports = replace(world.ports, endpoints=[raising])
    world.write("E1.0")
    run_beside(world, 5.0)
    assert world.said == ["Delivering events came to an end (ZeroDivisionError); they stay in the outbox."]


def test_the_error_of_a_run_comes_through() -> None:
    world = World(a=lambda now, name: OK)

    async def main() -> None:
        await world.clock.sleep(0.001)
        async with beside(world.ports):
            world.write("E1.0")
            raise StoreError("the run's own")

    with pytest.raises(StoreError, match="the run's own"):
        asyncio.run(main())
    assert world.count(MessageState.DELIVERED) == 1


def test_a_ping_goes_past_the_outbox_to_everyone() -> None:
    world = World(a=lambda now, name: OK, b=lambda now, name: NOBODY)
    event = notifications.ping(datetime(2026, 1, 1, tzinfo=UTC))
    assert asyncio.run(ping(world.ports, event)) == [OK, NOBODY]
    assert world.store.outbox() == {}
