"""Services that grant so many requests a minute and do not say how many, and who asks them.

`python -m benchmarks.limited KIND CLIENT SECONDS SEED` plays one run on a virtual clock.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
from collections.abc import Awaitable, Callable, Sequence

import httpx2
from tests.limited import Counted

from benchmarks import world
from scimsync.adapters.target_scim import ScimTarget
from scimsync.adapters.target_wire import TargetSettings
from scimsync.scim.generic import GENERIC
from scimsync.scim.genesys import GENESYS
from scimsync.simulator.app import Simulator
from scimsync.simulator.directory import Directory
from scimsync.simulator.options import Options
from scimsync.simulator.people import account_id
from scimsync.simulator.tokens import Tokens
from scimsync.testing import VirtualClock

URL = "https://simulator"
#: requests a minute, one after the other
LIMITS = (300, 120, 600)
WORKERS = 8
#: seconds that an answer takes, from and to
TAKES = (0.05, 0.15)


class Silent(httpx2.AsyncBaseTransport):
    """A service that says nothing of its limit but how long to wait, and takes its time; counts what it served.

    Args:
        clock: Says when.
        rng: Draws how long an answer takes.
        counted: The limit; None where `behind` has one.
        behind: What answers; an account of its own where None.
    """

    def __init__(
        self, clock: VirtualClock, rng: random.Random, counted: Counted | None, behind: Simulator | None = None
    ) -> None:
        self.served = self.refused = 0
        self._clock, self._rng, self._counted = clock, rng, counted
        self._behind = httpx2.ASGITransport(behind) if behind is not None else None
        self.is_simulated = behind is not None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Take a while, and answer."""
        await self._clock.sleep(self._rng.uniform(*TAKES) / 2)
        answer = await self._answer(request)
        if not request.url.path.endswith("/token"):
            self.served += answer.status_code < 400
            self.refused += answer.status_code == 429
        await self._clock.sleep(self._rng.uniform(*TAKES) / 2)
        return answer

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if self._behind is not None:
            answer = await self._behind.handle_async_request(request)
            kept = [(name, text) for name, text in answer.headers.items() if not name.startswith("inin-ratelimit")]
            return httpx2.Response(
                answer.status_code, headers=kept, stream=httpx2.ByteStream(await answer.aread()), request=request
            )
        wait = self._counted.ask(self._clock.monotonic()) if self._counted is not None else 0.0
        if wait:
            headers = {"retry-after": str(max(1, math.ceil(wait)))}
            return httpx2.Response(429, headers=headers, stream=httpx2.ByteStream(b""), request=request)
        body = json.dumps({"schemas": [], "id": request.url.path.rpartition("/")[2], "userName": "ada"}).encode()
        headers = {"etag": '"1"', "content-type": "application/json"}
        return httpx2.Response(200, headers=headers, stream=httpx2.ByteStream(body), request=request)


async def ours(target: ScimTarget, account: str, until: Callable[[], bool]) -> None:
    """As many requests as the product sends by itself."""

    async def work() -> None:
        while not until():
            await target.get(account)

    await asyncio.gather(*(work() for _ in range(WORKERS)))


async def plain(clock: VirtualClock, ask: Callable[[], Awaitable[httpx2.Response]], until: Callable[[], bool]) -> None:
    """A client that sends what it has, and obeys `Retry-After`."""

    async def work() -> None:
        while not until():
            answer = await ask()
            if answer.status_code == 429:
                await clock.sleep(float(answer.headers["retry-after"]))

    await asyncio.gather(*(work() for _ in range(WORKERS)))


def play(kind: str, client: str, seconds: float, seed: int = 1, limits: Sequence[int] = LIMITS) -> dict[str, float]:
    """One run; the share that was used of what was allowed, and the share of requests that was refused."""
    clock, rng = VirtualClock(), random.Random(seed)
    counted, simulator, account = Counted(kind, limits[0]), None, "a1"
    options = Options(rate_limit=limits[0])
    if kind == "simulator":
        directory = Directory(options, lambda: clock.now().timestamp())
        directory.fill(world.SEED, 10)
        simulator = Simulator(directory, Tokens("bench", "bench-secret", options, directory.clock))
        account = account_id(world.SEED, 1)
    silent = Silent(clock, rng, counted if simulator is None else None, simulator)

    async def change() -> None:
        for limit in limits:
            counted.limit = options.rate_limit = limit
            await clock.sleep(seconds)

    asyncio.run(_run(clock, silent, client, account, seconds * len(limits), change()))
    allowed = sum(limits) * seconds / 60.0
    return {
        "used": 100 * silent.served / allowed,
        "refused": 100 * silent.refused / (silent.served + silent.refused),
        "requests": silent.served + silent.refused,
    }


async def _run(
    clock: VirtualClock, silent: Silent, client: str, account: str, until: float, change: Awaitable[None]
) -> None:
    def over() -> bool:
        return clock.monotonic() >= until

    dialect = GENESYS if silent.is_simulated else GENERIC
    given = {"login_url": URL, "client_id": "bench", "client_secret": "bench-secret"}
    settings = TargetSettings(
        api_url=URL, dialect=dialect, exchange_s=3600.0, **(given if silent.is_simulated else {"token": "t"})
    )
    changing = asyncio.ensure_future(change)
    if client == "ours":
        target = ScimTarget(settings, clock=clock, rng=random.Random(1), transport=silent)
        await ours(target, account, over)
        await target.close()
    else:
        async with httpx2.AsyncClient(transport=silent) as http:
            if silent.is_simulated:
                form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": "bench-secret"}
                token = (await http.post(f"{URL}/oauth/token", data=form)).json()["access_token"]
                http.headers["authorization"] = f"Bearer {token}"
            await plain(clock, lambda: http.get(f"{URL}{dialect.base_path}/Users/{account}"), over)
    await changing


if __name__ == "__main__":
    print(json.dumps(play(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))))
