"""Events told of whole runs, to a receiver on a real socket that is down, slow, moody, or gone."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from tests.runs import House, house

from scimsync import bootstrap
from scimsync.adapters.webhook_http import HttpSender
from scimsync.core.signing import verify
from scimsync.engine.delivering import DeliveryPorts, Endpoint, Rounds
from scimsync.errors import PlanRefused
from scimsync.model.events import MessageState, Receipt
from scimsync.testing import VirtualClock

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
HOUR = 3600.0
DEADLINE_S = 0.15


def private(home: House, name: str, text: str) -> str:
    path = home.folder / name
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return f"file:{name}"


def webhook(home: House, port: int, more: str = "") -> str:
    secret = private(home, "webhook_secret", SECRET)
    return f'[[webhook]]\nurl = "http://127.0.0.1:{port}/hook"\nsecret = "{secret}"\nallow_private = true\n{more}\n'


@contextlib.contextmanager
def closed_door() -> Iterator[socket.socket]:
    """A port on which nobody listens yet, and nobody else can."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        yield door


def port_of(door: socket.socket) -> int:
    return int(door.getsockname()[1])


@dataclass
class Receiver:
    """A real server; `part` says how it behaves now: "well", "hang" or "500"."""

    clock: VirtualClock | None = None
    port: int = 0
    part: str = "well"
    seen: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    _busy: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def open(self, door: socket.socket) -> None:
        self._server = await asyncio.start_server(self._serve, sock=door.dup())
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head.split("\r\n")[1:])}
        body = await reader.readexactly(int(headers["content-length"]))
        now = datetime.now(UTC) if self.clock is None else self.clock.now()
        assert verify([KEY], headers, body, now) == headers["webhook-id"]
        if self.clock is None:
            Webhook(SECRET).verify(body, headers)
        part = self.part
        self.seen.append((headers["webhook-id"], json.loads(body), part))
        if part == "hang":
            await asyncio.sleep(DEADLINE_S * 3)
        status = b"500 No" if part == "500" else b"204 No Content"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return True


def key(body: Mapping[str, Any]) -> str:
    """The person whom an event is about."""
    return str(body["sub_id"]["externalId"]) if "sub_id" in body else ""


def kind(body: Mapping[str, Any]) -> str:
    return str(body["type"]).removeprefix("urn:ietf:params:scim:event:")


def outbox(home: House, *states: MessageState) -> list[tuple[str, str]]:
    """(id, person) of the messages in these states, in the order in which they were written."""
    with bootstrap.open_store(home.settings()) as store:
        (webhook,) = home.settings().webhooks
        found = [message for state in states for message in store.messages(webhook.name, state, 100_000)]
    return [(message.id, message.person) for message in sorted(found, key=lambda message: message.seq)]


# Must show 3


def test_a_receiver_down_for_two_days_then_slow_then_moody_gets_every_event_signed_and_in_order(
    tmp_path: Path,
) -> None:
    with house(tmp_path) as home, closed_door() as door:
        home.settle()
        home.configure(more=webhook(home, port_of(door)))
        people = home.active(12)
        for title in ("Lead", "Chief"):
            for who in people:
                home.set(who, job_title=title)
            home.sync()
        home.dismiss(people[0])
        home.sync()
        written = outbox(home, *MessageState)
        assert written == outbox(home, MessageState.PENDING)
        assert len(written) == 12 + 12 + 1 + 3  # two titles, one leaver, three runs that ended
        receiver = asyncio.run(_days_later(home, door))
        seen_in = defaultdict(list)
        for identity, body, part in receiver.seen:
            if part == "well" and identity not in seen_in[key(body)]:
                seen_in[key(body)].append(identity)
        wanted = defaultdict(list)
        for identity, person in written:
            wanted[person].append(identity)
        assert seen_in == wanted
        assert_nobody_was_overtaken(receiver, wanted)
        assert {part for _, _, part in receiver.seen} == {"well", "hang", "500"}
        assert len(outbox(home, MessageState.DELIVERED)) == len(written)


def assert_nobody_was_overtaken(receiver: Receiver, wanted: Mapping[str, list[str]]) -> None:
    """No event of a person was tried before the one before had arrived."""
    arrived: set[str] = set()
    for identity, body, part in receiver.seen:
        before = wanted[key(body)][: wanted[key(body)].index(identity)]
        assert set(before) <= arrived
        if part == "well":
            arrived.add(identity)


async def _days_later(home: House, door: socket.socket) -> Receiver:
    """Deliver on a virtual clock: two days nobody listens, then each second hangs, then each third is a 500."""
    clock = VirtualClock(datetime.now(UTC))
    settings = home.settings()
    (given,) = settings.webhooks
    receiver = Receiver(clock=clock)
    real = HttpSender(given.url, clock, allow_private=True, deadline_s=DEADLINE_S)
    tries = 0

    class Weather:
        """Sets the part that the receiver plays, then carries for real."""

        async def send(self, headers: Mapping[str, str], body: bytes) -> Receipt:
            nonlocal tries
            now = clock.monotonic()
            if now >= 48 * HOUR and not receiver.port:
                await receiver.open(door)
            tries += receiver.port > 0
            receiver.part = "well"
            if 0 < tries <= 12 and tries % 2:
                receiver.part = "hang"
            elif tries > 12 and tries % 3 == 0:
                receiver.part = "500"
            return await real.send(headers, body)

        async def close(self) -> None:
            await real.close()

    with bootstrap.open_store(settings) as store:
        endpoint = Endpoint(name=given.name, shown=given.shown, sender=Weather(), keys=given.keys)
        rounds = Rounds(DeliveryPorts(outbox=store, endpoints=[endpoint], clock=clock, chance=lambda: 0.5))

        while (due := store.next_due(given.name)) is not None:
            await rounds.once()
            await clock.sleep(max((due - clock.now()).total_seconds(), 300.0))
    await receiver.close()
    await real.close()
    assert clock.monotonic() > 48 * HOUR
    return receiver


@pytest.mark.parametrize("trouble", ["nobody", "hang"])
def test_a_run_takes_no_longer_and_asks_the_target_no_more_where_the_receiver_is_in_trouble(
    tmp_path: Path, trouble: str
) -> None:
    with house(tmp_path) as home, closed_door() as closed, socket.create_server(("127.0.0.1", 0)) as silent:
        home.settle()
        people = home.active(20)
        taken, asked = [], []
        door = closed if trouble == "nobody" else silent
        for number, more in enumerate(["", webhook(home, port_of(door))]):
            home.configure(more=more)
            for who in people:
                home.set(who, job_title=f"Title {number}")
            made = home.plan()
            home.reset()
            begun = time.monotonic()
            assert home.apply(made.id).clean
            taken.append(time.monotonic() - begun)
            asked.append(home.stats()["requests"])
        assert asked[0] == asked[1]
        assert taken[1] < 1.5 * taken[0] + 1.5  # at the most half a second of grace, and this machine's mood
        assert len(outbox(home, MessageState.PENDING)) == 21


# Beside a run


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    with closed_door() as door:
        await receiver.open(door)
        try:
            yield receiver
        finally:
            await receiver.close()


def sync_with_a_receiver(home: House, more: str = "") -> Receiver:
    """One sync while a receiver listens in another thread's loop."""

    async def main() -> Receiver:
        async with receiving() as receiver:
            home.configure(more=webhook(home, receiver.port, more))
            await asyncio.to_thread(home.sync)
            if outbox(home, MessageState.PENDING):  # a run waits half a second for the last message, and no longer
                await asyncio.to_thread(home.command, "webhooks", "deliver")
            return receiver

    return asyncio.run(main())


def test_joiners_movers_and_leavers_are_told_of_while_the_run_goes_on_without_values(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        mover, leaver = home.active(2)
        joiner = home.newcomer(0)
        home.set(mover, job_title="Canary Title")
        home.dismiss(leaver)
        home.hire(joiner)
        receiver = sync_with_a_receiver(home)
        told = {(key(body), kind(body)) for _, body, _ in receiver.seen}
        assert told == {
            (mover.employee_id, "prov:patch:notice"),
            (leaver.employee_id, "prov:deactivate"),
            (joiner.employee_id, "prov:create:notice"),
            ("", "scimsync.run.finished"),
        }
        everything = json.dumps([body for _, body, _ in receiver.seen])
        for private_word in ("Canary Title", mover.email, joiner.email, leaver.email, joiner.last_name, "canary"):
            assert private_word not in everything
        account = home.account(mover)["id"]
        assert any(body.get("sub_id", {}).get("uri") == f"/Users/{account}" for _, body, _ in receiver.seen)
        assert outbox(home, MessageState.PENDING, MessageState.DEAD) == []


def test_values_travel_only_where_they_are_asked_for(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        (mover,) = home.active(1)
        home.set(mover, job_title="Canary Title")
        receiver = sync_with_a_receiver(home, 'values = true\nevents = ["prov:patch"]')
        ((_, body, _),) = receiver.seen
        assert kind(body) == "prov:patch:full"
        (change,) = body["events"][body["type"]]["changes"]
        assert (change["path"], change["after"]) == ("title", "Canary Title")


def test_a_second_run_with_nothing_to_do_tells_only_that_it_ended(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        receiver = sync_with_a_receiver(home)
        assert [kind(body) for _, body, _ in receiver.seen] == ["scimsync.run.finished"]


def test_a_plan_that_a_limit_refuses_is_told_by_its_rules(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        for who in home.active(3):
            home.set(who, job_title="Lead")

        async def main() -> Receiver:
            async with receiving() as receiver:
                home.configure(more=webhook(home, receiver.port), limits={"update": 2})
                with pytest.raises(PlanRefused):
                    await asyncio.to_thread(home.sync)
                return receiver

        ((_, body, _),) = asyncio.run(main()).seen
        assert kind(body) == "scimsync.plan.refused"
        assert body["events"][kind(body)]["rules"] == ["limits.update"]


def test_letters_of_a_run_wait_for_the_next_and_go_out_beside_it(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.settle()
        (mover,) = home.active(1)
        door = socket.socket()
        door.bind(("127.0.0.1", 0))
        home.configure(more=webhook(home, port_of(door)))
        home.set(mover, job_title="Lead")
        home.sync()
        before = outbox(home, MessageState.PENDING)
        assert len(before) == 2

        async def main() -> Receiver:
            receiver = Receiver()
            await receiver.open(door)
            door.close()
            with bootstrap.open_store(home.settings()) as store:
                store.retry_now(home.settings().webhooks[0].name, datetime.now(UTC) - timedelta(seconds=1))
            await asyncio.to_thread(home.sync)
            await receiver.close()
            return receiver

        receiver = asyncio.run(main())
        assert {identity for identity, _ in before} <= {identity for identity, _, _ in receiver.seen}
