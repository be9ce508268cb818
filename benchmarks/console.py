"""The console on a plan and a base as large as they come: opened, filtered, paged; somebody searched; memory."""

from __future__ import annotations

import contextlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import httpx2

from benchmarks.harness import BenchmarkError, Report, Row, Size
from scimsync import bootstrap
from scimsync.config import load
from scimsync.core import sealing
from scimsync.model.outcomes import Run, RunState
from scimsync.model.plans import Action, Change, Delta, Lifecycle, Plan, Reason, Seal, Sides, Tally, Verdict
from scimsync.model.policy import Authority

#: changes of the plan; the base has ten times as many people
USUAL = 100_000
TIMES = 10
#: questions of each kind
ASKED = 120
NOTES = (
    "A plan file is sealed and a base is written as a run leaves them; `scimsync serve` shows both in a process of its "
    "own, and is asked over HTTP on this machine, page after page as a browser asks. A page is 50 changes as HTML.",
    "Opened the first time is the making of the index: the file is read and proven once. Everything else is p95.",
    "Memory is that of the server after all questions of a kind, less what it was after the first of them.",
)
_CONFIG = """\
[source]
kind = "csv"
path = "hr.csv"
key  = "id"
[target]
dialect = "genesys"
api_url = "http://127.0.0.1:9/"
login_url = "http://127.0.0.1:9/"
client_id = "x"
client_secret = "file:secret"
[correlation]
match = ["externalId"]
[attributes]
userName = "id"
displayName = "id"
externalId = "id"
title = "id"
active = "true"
"enterprise:department" = "id"
"""
_WORDS = ("lead", "department 7", "person.12", "e0001", "sales clerk", "trainer 9", "nothing fits", "care")


def measure(size: Size) -> Report:
    """Ask a console about a plan of so many changes, and a base of ten times as many people."""
    with tempfile.TemporaryDirectory(prefix="scimsync-bench-") as made:
        folder = Path(made)
        run = _furnish(folder, size.people)
        with _serving(folder) as (client, pid):
            return _report(size, run, client, pid)


def _furnish(folder: Path, count: int) -> str:
    (folder / "scimsync.toml").write_text(_CONFIG, encoding="utf-8")
    (folder / "hr.csv").write_text("id\n1\n", encoding="utf-8")
    (folder / "secret").touch(mode=0o600)
    (folder / "secret").write_text("secret", encoding="utf-8")
    settings = load(folder / "scimsync.toml")
    at = datetime.now(UTC)
    with bootstrap.open_store(settings) as store:
        identity, name, base = (
            "20261128-000000-bench",
            "plan-20261128-000000-bench.ndjson",
            "base-00000001-bench.parquet",
        )
        with store.artifact(name).open("wb") as file:
            closing = b""
            for line in sealing.encode(_plan(identity, at, count)):
                file.write(line)
                closing = line
        _base(store.artifact(base), count * TIMES)
        digest = sealing.closing_of(closing).sha256
        tally = {"changes": count, "records": count * TIMES, "accounts": count * TIMES}
        known = {"created": at, "target": "http://127.0.0.1:9/", "source": settings.source.identity, "tally": tally}
        store.save_run(Run(id=identity, state=RunState.PLANNED, plan=name, digest=digest, **known))
        store.save_run(Run(id="20261127-000000-bench", state=RunState.DONE, base=base, finished=at, began=at, **known))
    return identity


def _plan(identity: str, at: datetime, count: int) -> Plan:
    actions = (Action.UPDATE, Action.UPDATE, Action.UPDATE, Action.CREATE, Action.DISABLE)

    def delta(path: str, before: str, after: str) -> Delta:
        sides = Sides(desired=after, current=before, base=before, known=True)
        return Delta(path=path, sides=sides, verdict=Verdict.WRITE, reason=Reason.SOURCE_MOVED, authority=Authority.ASK)

    def change(n: int) -> Change:
        deltas = (
            delta("title", f"Clerk {n % 31}", f"{('Lead', 'Trainer', 'Sales clerk')[n % 3]} {n % 17}"),
            delta("enterprise:department", "Care", f"Department {n % 40}"),
        )
        return Change(
            key=f"E{n:07}",
            name=f"person.{n}@example.com",
            action=actions[n % 5],
            lifecycle=Lifecycle.MOVER,
            deltas=deltas,
            account=f"account-{n}",
            version="1",
            operations=(),
            row=n + 2,
        )

    return Plan(
        id=identity,
        created=at,
        seal=Seal(target="http://127.0.0.1:9/", configuration="c", source="s", base="b"),
        tally=Tally(records=count * TIMES, accounts=count * TIMES, linked=count * TIMES),
        changes=tuple(map(change, range(count))),
        findings=(),
    )


def _base(file: Path, count: int) -> None:
    duckdb.execute(
        "COPY (SELECT 'E' || lpad(i::VARCHAR, 7, '0') AS key, 'person.' || i || '@example.com' AS userName, "
        "(['Ada','Bo','Clea','Dan','Eve','Finn','Gül','Hana'])[1 + i % 8] || ' ' || "
        "(['Berg','Müller','Okafor','Silva','Tanaka'])[1 + (i // 8) % 5] || ' ' || i AS displayName, 'true' AS active "
        f"FROM range({count}) t(i)) TO '{file}' (FORMAT parquet)"
    )


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[tuple[httpx2.Client, int]]:
    command = [sys.executable, "-m", "scimsync", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            link = process.stdout.readline().split()[-1]
            address, _, token = link.partition("/enter?token=")
            with httpx2.Client(base_url=address, trust_env=False, timeout=300) as client:
                client.post("/enter", data={"token": token}, headers={"origin": address})
                yield client, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _report(size: Size, run: str, client: httpx2.Client, pid: int) -> Report:
    first_plan = _asked(client, f"/runs/{run}")
    pages = -(-size.people // 50)
    idle = _memory(pid)
    opened = [_asked(client, f"/runs/{run}") for _ in range(ASKED)]
    paged = [_asked(client, f"/runs/{run}?page={1 + n * pages // ASKED}") for n in range(ASKED)]
    filters = [f"action={('update', 'create', 'disable')[n % 3]}&q={_WORDS[n % len(_WORDS)]}" for n in range(ASKED)]
    filtered = [_asked(client, f"/runs/{run}?{one}", partial=True) for one in filters]
    grown = _memory(pid) - idle
    first_people = _asked(client, "/people?q=ada")
    idle = _memory(pid)
    words = [f"{('ber', 'mul', 'e0', 'person', 'gul')[n % 5]} {n}" for n in range(ASKED)]
    searched = [_asked(client, f"/people?q={one}", partial=True) for one in words]
    grown_people = _memory(pid) - idle
    return Report(
        name="console",
        size=size,
        notes=NOTES,
        rows=[
            Row(work="plan opened the first time", values=[first_plan], unit="s"),
            _p95("plan opened, p95", opened),
            _p95("paged, p95", paged),
            _p95("filtered by action and words, p95", filtered),
            Row(work=f"people ({size.people * TIMES:,}) searched the first time", values=[first_people], unit="s"),
            _p95("somebody searched, p95", searched),
            Row(work="memory grown by all these pages", values=[max(grown, 0.1)], unit="MB", bar="<= 40"),
            Row(work="memory grown by all these searches", values=[max(grown_people, 0.1)], unit="MB", bar="<= 40"),
        ],
    )


def _p95(work: str, seconds: list[float]) -> Row:
    """p95 of each third, so that there is a range."""
    parts = [seconds[n::3] for n in range(3)]
    return Row(
        work=work, values=[1000 * statistics.quantiles(part, n=20)[-1] for part in parts], unit="ms", bar="<= 200"
    )


def _asked(client: httpx2.Client, path: str, *, partial: bool = False) -> float:
    began = time.perf_counter()
    answer = client.get(path, headers={"hx-request": "true"} if partial else {})
    taken = time.perf_counter() - began
    if answer.status_code != 200:
        raise BenchmarkError(f"{path}: {answer.status_code}")
    return taken


def _memory(pid: int) -> float:
    """Resident megabytes of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    return int(found[1]) / 1000 if found else 0.0
