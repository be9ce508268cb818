"""Real processes on one state keep within the allowance of one client together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.postgres import postgres_url

from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.store_sql import SqlStore

RATE, SECONDS = 1200, 3.0
_WORK = """
import asyncio, json, sys, time
from scimsync.adapters.clock_system import SystemClock
from scimsync.adapters.store_allowance import Allowances
from scimsync.adapters.target_ledger import StoredLedger
from scimsync.adapters.target_pace import Pace

async def main(url, rate, seconds):
    clock = SystemClock()
    pace = Pace(clock, rate, 300, ledger=StoredLedger(Allowances(url, clock), "client", "api.test", clock))
    times = []
    async def work():
        while not times or time.time() < begun + seconds:
            await pace.take()
            times.append(time.time())
            pace.served()
    await pace._settle(0)  # all are ready before anybody begins
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.time()
    await asyncio.gather(*(work() for _ in range(6)))
    await pace.close()
    print(json.dumps(times))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_processes_keep_within_the_allowance_together(kind: str, tmp_path: Path) -> None:
    if kind == "postgresql":
        with postgres_url() as url:
            together(url, tmp_path)
    else:
        together(f"sqlite:///{tmp_path}/state.db", tmp_path)


def together(url: str, folder: Path) -> None:
    SqlStore(url, folder / "artifacts", SystemClock()).close()
    command = [sys.executable, "-c", _WORK, url, str(RATE), str(SECONDS)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        told: list[list[float]] = [json.loads(child.communicate(timeout=60)[0]) for child in children]
    finally:
        for child in children:
            child.kill()
    times = sorted(at for one in told for at in one)
    assert all(told)
    for first in range(len(times)):  # in any second, and the burst of those who begin
        inside = sum(times[first] <= at < times[first] + 1.0 for at in times[first:])
        assert inside <= RATE / 60 * 2.0
    lasted = times[-1] - times[0]
    assert len(times) <= RATE / 60 * lasted + 5 + RATE / 60 * 0.25
    assert len(times) >= 0.9 * RATE / 60 * SECONDS
