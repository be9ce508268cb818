"""Real workers of a fleet in processes of their own, killed and paused at random, and a judge over what came of it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fleets import BASE, Fleet, fleet
from tests.servers import Answer, Provider

#: the worker as it is, but less patient: what takes it twenty seconds takes two here
_WORKER = """
import os
import sys
from pathlib import Path
from scimsync.services import labour, workers
workers.BEAT_S, workers.SILENT_S, workers.LOOK_S, workers._CALM_S = 0.5, 3.0, 2.0, 2.0
labour.BUSY_S, labour.AWAY_S = 0.5, 0.5
import signal
def told(name, text): print(f"{name}: {text}", file=sys.stderr, flush=True)
file = Path("fleet.toml")
made = workers.Worker(file, told)
made._labour = labour.Labour(file, told, made.stop, chunk=int(sys.argv[1]), chunk_s=0.0, bears_s=3)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: made.halt())
code = made.run()
if code == 6:  # as a unit with Restart=on-failure
    os.execv(sys.executable, sys.orig_argv)
sys.exit(code)
"""


class Counting(Provider):
    """A provider that takes its time for a write, and counts those that had an effect."""

    #: seconds that a write takes
    slow_s = 0.02

    def __init__(self, *users: dict[str, object]) -> None:
        self.effects: Counter[str] = Counter()
        super().__init__(*users)

    def patch(self, resource: dict[str, object], body: dict[str, object], if_match: str) -> Answer:
        """As it is, and counted where it changed something."""
        before = dict(resource)
        answer = super().patch(resource, body, if_match)
        self.effects[str(before["id"])] += dict(resource) != before
        return answer

    def post(self, body: dict[str, object], table: dict[str, dict[str, object]]) -> Answer:
        """As it is, and counted."""
        answer = super().post(body, table)
        self.effects[str(body.get("userName"))] += answer.status == 201
        return answer

    def answer(self, method: str, path: str, query: object, body: object, if_match: str) -> Answer:
        """As it is; a write takes its time outside the lock of nobody else's provider."""
        if method != "GET":
            time.sleep(self.slow_s)
        return super().answer(method, path, query, body, if_match)  # type: ignore[arg-type]


@dataclass
class Crew:
    """Workers, by their processes."""

    folder: Path
    chunk: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def hire(self) -> subprocess.Popen[bytes]:
        """One more worker."""
        with (self.folder / "workers.log").open("ab") as log:
            made = subprocess.Popen(
                [sys.executable, "-c", _WORKER, str(self.chunk)], cwd=self.folder, stdout=log, stderr=log
            )
        self.processes.append(made)
        return made

    def kill(self, one: subprocess.Popen[bytes]) -> None:
        """As power does."""
        one.kill()
        one.wait()
        self.processes.remove(one)

    def said(self) -> str:
        """Everything that workers told."""
        return (self.folder / "workers.log").read_text(encoding="utf-8")


@contextlib.contextmanager
def crew(folder: Path, number: int, chunk: int) -> Iterator[Crew]:
    """Workers; whoever is left is ended."""
    found = Crew(folder, chunk)
    try:
        for _ in range(number):
            found.hire()
        yield found
    finally:
        for one in found.processes:
            one.send_signal(signal.SIGCONT)
            one.kill()
            one.wait()


@contextlib.contextmanager
def many(folder: Path, url: str, names: Sequence[str], people: int) -> Iterator[Fleet]:
    """Organisations in one database; in each everybody gets a title, the first one left, and one joins."""
    with fleet(folder, names, people, kind=Counting) as found:
        found.write(head=f'url = "{url}"', base=f'{BASE}\n[state]\nurl = "{url}"\n')
        for name in names:
            records = [{"id": f"{name}{number}", "title": "New"} for number in range(people)]
            records[0]["status"] = "left"
            found.hr(name, *records, {"id": f"{name}joiner", "title": "New"})
        yield found


def until(what: Callable[[], bool], crew: Crew, patience_s: float = 240.0) -> None:
    """Wait for something that the workers bring about."""
    end = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end, crew.said()[-4000:]
        time.sleep(0.05)


def storm(found: Fleet, crew: Crew, rng: random.Random, blows: int, expected: int) -> None:
    """Kill or pause a worker at random moments of the work; whoever is killed is replaced, who is paused wakes up.

    A single blow kills one of several, who is not replaced.
    """

    def done() -> int:
        return sum(sum(one.effects.values()) for one in found.providers.values())  # type: ignore[attr-defined]

    paused: list[subprocess.Popen[bytes]] = []
    for blow in range(1, blows + 1):
        until(lambda at=blow: done() >= expected * at / (blows + 2), crew)  # type: ignore[misc]
        awake = [one for one in crew.processes if one not in paused and one.poll() is None]
        victim = rng.choice(awake)
        if blows == 1:  # the other one takes over
            crew.kill(victim)
        elif rng.random() < 0.5 or len(awake) == 1:
            crew.kill(victim)
            crew.hire()
        else:
            os.kill(victim.pid, signal.SIGSTOP)
            paused.append(victim)
            crew.hire()
        if len(paused) > 1:
            os.kill(paused.pop(0).pid, signal.SIGCONT)
    for one in paused:
        os.kill(one.pid, signal.SIGCONT)


def judge(found: Fleet) -> None:
    """Over the histories of all directories: nothing is lost, nothing is doubled."""
    for name, provider in found.providers.items():
        assert isinstance(provider, Counting)
        doubled = {who: number for who, number in provider.effects.items() if number > 1}
        # a leaver loses access first, and what else HR says about them comes after
        leaver = next(one["id"] for one in provider.users.values() if one["externalId"] == f"{name}0")
        assert doubled.keys() <= {leaver}, (name, doubled)
        assert provider.effects[leaver] <= 2
        for user in provider.users.values():
            assert user["title"] == "New", (name, user["externalId"])
            assert user["active"] is (user["externalId"] != f"{name}0")
        assert len({user["userName"] for user in provider.users.values()}) == len(provider.users)
