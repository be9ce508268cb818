"""One allowance in the state: shared by processes, kept from run to run, and never needed."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from scimsync.adapters.store_allowance import Allowances
from scimsync.adapters.store_sql import SqlStore
from scimsync.adapters.target_allowance import BELIEVED_S
from scimsync.adapters.target_ledger import StoredLedger, client_of
from scimsync.adapters.target_limits import Announced
from scimsync.adapters.target_pace import Pace
from scimsync.adapters.target_wire import TargetSettings
from scimsync.scim.genesys import GENESYS
from scimsync.testing import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def url(tmp_path: Path, clock: VirtualClock) -> str:
    url = f"sqlite:///{tmp_path}/state.db"
    SqlStore(url, tmp_path / "artifacts", clock).close()
    return url


def process(url: str, clock: VirtualClock, client: str = "a", said: list[str] | None = None) -> Pace:
    """A pace as another process has it."""
    ledger = StoredLedger(Allowances(url, clock), client, "api.test", clock)
    heard = said if said is not None else []
    return Pace(clock, None, 300, ledger=ledger, notice=heard.append, name="api.test")


def sends(clock: VirtualClock, paces: list[Pace], seconds: float) -> list[int]:
    """How many requests each sends meanwhile, with four workers."""
    sent = [0] * len(paces)

    async def work(number: int) -> None:
        while clock.monotonic() < end:
            at = await paces[number].take()
            sent[number] += at < end
            await clock.sleep(0.1)
            paces[number].served()
            paces[number].observe(Announced(300, 10, 30))

    async def run() -> None:
        await asyncio.gather(*(work(n) for n in range(len(paces)) for _ in range(4)))
        for pace in paces:
            await pace.close()

    end = clock.monotonic() + seconds
    asyncio.run(run())
    return sent


def test_two_processes_share_the_allowance_of_one_client(clock: VirtualClock, url: str) -> None:
    sent = sends(clock, [process(url, clock), process(url, clock)], 60)
    assert 270 <= sum(sent) <= 300
    assert min(sent) > 50


def test_two_clients_never_share(clock: VirtualClock, url: str) -> None:
    sent = sends(clock, [process(url, clock, "a"), process(url, clock, "b")], 20)
    assert min(sent) > 95


def test_a_refusal_of_one_process_pauses_the_other_within_a_second(clock: VirtualClock, url: str) -> None:
    one, other = process(url, clock), process(url, clock)
    times: list[float] = []

    async def work() -> None:
        while clock.monotonic() < 60:
            times.append(await other.take())

    async def run() -> None:
        working = [asyncio.create_task(work()) for _ in range(4)]
        await one.take()
        await clock.sleep(10)
        await one.penalise(30.0, 9.9, 30.0)
        await asyncio.gather(*working)

    asyncio.run(run())
    assert not [at for at in times if 11.0 < at < 40.0]
    assert [at for at in times if at > 40.0]


def test_what_was_learned_outlives_the_process_and_is_forgotten_with_age(clock: VirtualClock, url: str) -> None:
    said: list[str] = []

    async def learn(pace: Pace) -> None:
        for _ in range(100):
            await pace.take()
            pace.served()
        await clock.sleep(60 - clock.monotonic())
        for _ in range(120):
            await pace.take()
            pace.served()
        await pace.penalise(30.0, clock.monotonic(), 60 - clock.monotonic() % 60)
        await pace.close()

    async def first(pace: Pace) -> float:
        await pace.take()
        await pace.close()
        return pace.rate

    asyncio.run(learn(process(url, clock, said=said)))
    assert "serves about" in said[0]
    learned = asyncio.run(first(process(url, clock)))
    assert learned < 280
    clock.advance(BELIEVED_S + 100)
    assert asyncio.run(first(process(url, clock))) == pytest.approx(291)


def test_a_clock_that_was_set_back_holds_nobody_up(clock: VirtualClock, url: str) -> None:
    clock.advance(7200)
    sends(clock, [process(url, clock)], 5)
    earlier = VirtualClock()
    assert sends(earlier, [process(url, earlier)], 10)[0] > 45


def test_without_a_state_or_with_an_older_one_everybody_goes_alone(clock: VirtualClock, tmp_path: Path) -> None:
    assert sends(clock, [process(f"sqlite:///{tmp_path}/none.db", clock)], 10)[0] > 45
    assert not (tmp_path / "none.db").exists()
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.execute("CREATE TABLE run (id TEXT)")
    assert sends(clock, [process(f"sqlite:///{tmp_path}/old.db", clock)], 10)[0] > 45


def test_a_state_that_cannot_be_used_is_told_once_and_stops_nobody(clock: VirtualClock, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("this is no database, whatever it is called" * 100)
    said: list[str] = []
    assert sends(clock, [process(f"sqlite:///{tmp_path}/state.db", clock, said=said)], 50)[0] > 200
    assert len(said) == 1
    assert "not shared" in said[0]


def test_a_client_is_known_by_service_and_id_and_by_no_secret() -> None:
    given = TargetSettings(
        api_url="https://api.test", dialect=GENESYS, login_url="https://login.test", client_id="a", client_secret="s1"
    )
    assert client_of(given) == client_of(replace(given, client_secret="s2", workers=3, requests_per_minute=9))
    others = [replace(given, client_id="b"), replace(given, api_url="https://api.other")]
    assert len({client_of(given), client_of(given, "logins"), *map(client_of, others)}) == 4
