"""A fleet: workers against one plain process on the same work; a death; one rate for one client."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import psycopg
from tests.fleets import BASE, Fleet, fleet
from tests.postgres import postgres_url
from tests.servers import Answer, Provider

from benchmarks.harness import BenchmarkError, Report, Row, Size
from scimsync.config import load_fleet
from scimsync.errors import StoreError
from scimsync.services import workers

USUAL = 1200
ORGANISATIONS = 6
#: requests a minute that the client of the last row is allowed
RATE = 600
#: seconds that a write takes at the service, as over a network
SLOW_S = 0.05
NOTES = (
    f"{ORGANISATIONS} organisations in one PostgreSQL (no fsync), each with a provider of its own in the process that "
    f"measures; everybody gets a new title: one PATCH each, which takes {SLOW_S * 1000:.0f} ms at the service.",
    "Inside: reading HR and directory, plan, journal, writes, base. Outside: starting the processes (`plain`, which "
    "ends with its work, pays 1 to 2 s for it).",
    "plain: `scimsync fleet sync` with at_once = 2. workers: `scimsync worker --slots 2`, asked by the queue.",
    "CPU: of the processes that work, without database and provider.",
    "death: from kill -9 of the only worker at work to the next write of its run, by another that waits; silence is "
    "borne for 20 s.",
    f"rate: one client, allowed {RATE} a minute, 2 workers: share of what is allowed in the time between "
    "first and last request; and the most within any minute, of what is allowed.",
)


class Slow(Provider):
    """A provider that takes its time for a write, and says when it was asked."""

    def __init__(self, *users: dict[str, object]) -> None:
        self.times: list[tuple[float, str]] = []
        super().__init__(*users)

    def take(self, handler: object) -> Answer:
        """As it is; waits outside the lock, so that writes go side by side."""
        method = handler.command  # type: ignore[attr-defined]
        self.times.append((time.monotonic(), method))
        if method != "GET":
            time.sleep(SLOW_S)
        return super().take(handler)  # type: ignore[arg-type]


def measure(size: Size) -> Report:
    """Play it all."""
    people = max(10, size.people // ORGANISATIONS)
    rows = []
    with postgres_url() as url:
        plain = [_plain(url, people, f"p{turn}") for turn in range(size.pairs)]
        rows.append(_row("plain process: changes a second", [one[0] for one in plain], "/s"))
        rows.append(_row("plain process: CPU a change", [one[1] for one in plain], "ms"))
        for hands in (1, 2, 4):
            played = [_workers(url, people, hands, f"w{hands}{turn}") for turn in range(size.pairs)]
            named = f"{hands} worker{'s' * (hands > 1)}"
            rows.append(_row(f"{named}: changes a second", [one[0] for one in played], "/s"))
            rows.append(_row(f"{named}: CPU a change", [one[1] for one in played], "ms"))
            ratios = [ours[0] / theirs[0] for ours, theirs in zip(played, plain, strict=True)]
            rows.append(Row(work=f"{named} against the plain process", values=ratios))
        rows.append(Row(work="from a death to the next write", values=[_death(url, people)], unit="s", bar="<= 60"))
        used, most = _rate(url, max(100, people))
        rows.append(Row(work="rate of one client: used", values=[used], unit="%", bar=">= 90"))
        rows.append(Row(work="rate of one client: most in a minute", values=[most], unit="%", bar="<= 100"))
    return Report(name="fleet", size=size, rows=rows, notes=NOTES)


def _row(work: str, values: Sequence[float], unit: str) -> Row:
    return Row(work=work, values=values, unit=unit)


@contextmanager
def _fleet(url: str, people: int, mark: str, organisations: int = ORGANISATIONS, more: str = "") -> Iterator[Fleet]:
    names = [f"{mark}-{number}" for number in range(organisations)]
    schema = f"bench-{mark}"
    with tempfile.TemporaryDirectory() as folder, fleet(Path(folder), names, people, kind=Slow) as found:
        base = BASE.replace("requests_per_minute = 0", more or "requests_per_minute = 0")
        head = f'url = "{url}"\ndb_schema = "{schema}"\nat_once = 2'
        found.write(head=head, base=f'{base}\n[state]\nurl = "{url}"\n')
        yield found


def _cpu() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _done(found: Fleet) -> int:
    return sum(user.get("title") == "New" for one in found.providers.values() for user in one.users.values())


def _check(found: Fleet, people: int) -> None:
    if _done(found) != people * len(found.providers):
        raise BenchmarkError(f"{_done(found)} of {people * len(found.providers)} people were written")


def _plain(url: str, people: int, mark: str) -> tuple[float, float]:
    with _fleet(url, people, mark) as found:
        before, began = _cpu(), time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "scimsync", "fleet", "sync"], cwd=found.folder, check=True, stdout=subprocess.DEVNULL
        )
        lasted = time.monotonic() - began
        _check(found, people)
        number = people * len(found.providers)
        return number / lasted, (_cpu() - before) * 1000 / number


def _workers(url: str, people: int, hands: int, mark: str) -> tuple[float, float]:
    with _fleet(url, people, mark) as found:
        before = _cpu()
        crew = _crew(found, hands)
        began = time.monotonic()
        _ask(found)
        lasted = time.monotonic() - began
        for one in crew:
            one.terminate()
        for one in crew:
            one.wait()
        _check(found, people)
        number = people * len(found.providers)
        return number / lasted, (_cpu() - before) * 1000 / number


def _crew(found: Fleet, hands: int) -> list[subprocess.Popen[bytes]]:
    """Workers that take work."""
    crew = [
        subprocess.Popen(
            [sys.executable, "-m", "scimsync", "worker", "--slots", "2"],
            cwd=found.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(hands)
    ]
    for one in crew:
        assert one.stdout is not None
        one.stdout.readline()
    return crew


def _ask(found: Fleet, *, wait: bool = True) -> None:
    known = load_fleet(found.folder / "fleet.toml")
    names = [member.name for member in known.members]
    while True:
        try:
            cause = workers.asked(known, names)
        except StoreError:  # the first worker makes the tables just now
            time.sleep(0.05)
        else:
            break
    if wait:
        for _ in workers.watched(known, cause, names):
            pass


def _death(url: str, people: int) -> float:
    """Seconds from the death of the worker that is at work to the next write, by the other one."""
    with _fleet(url, max(600, people), "death", 1) as found:
        crew = _crew(found, 2)
        (provider,) = found.providers.values()
        assert isinstance(provider, Slow)
        try:
            _ask(found, wait=False)
            while _done(found) < 20:
                time.sleep(0.01)
            with psycopg.connect(url) as connection:
                row = connection.execute('SELECT pid FROM "death-0".lease').fetchone()
            victim = next(one for one in crew if row is not None and one.pid == row[0])
            victim.kill()
            victim.wait()
            died = time.monotonic()
            while True:
                writes = [at for at, method in list(provider.times) if method == "PATCH" and at > died + 0.5]
                if writes:
                    return writes[0] - died
                if time.monotonic() > died + 120:
                    raise BenchmarkError("nobody went on")
                time.sleep(0.02)
        finally:
            for one in crew:
                one.kill()
                one.wait()


def _rate(url: str, people: int) -> tuple[float, float]:
    with _fleet(url, people * 6, "rate", 1, f"requests_per_minute = {RATE}") as found:
        crew = _crew(found, 2)
        (provider,) = found.providers.values()
        assert isinstance(provider, Slow)
        try:
            _ask(found)
        finally:
            for one in crew:
                one.kill()
                one.wait()
        _check(found, people * 6)
        times = sorted(at for at, _ in provider.times)
        most = max(sum(start <= at < start + 60 for at in times) for start in times)
        lasted = times[-1] - times[0]
        return 100 * len(times) / (RATE / 60 * lasted), 100 * most / RATE
