"""Proving an audit chain: `scimsync audit verify` beside plain hashing of the same bytes."""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path

from benchmarks import world
from benchmarks.harness import BenchmarkError, Report, Row, Size, Spent, measured, part, scimsync, tell
from scimsync import bootstrap
from scimsync.config import load
from scimsync.core import chain
from scimsync.model.audit import Edit, Kind, Record
from scimsync.services import auditing

#: records; an intent and an outcome for every two of them
USUAL = 1_000_000
_BATCH = 5_000
_MEGABYTE = 1024 * 1024
NOTES = (
    "audit verify: the real command on SQLite, from start to end: every record read, its hash, its place, its columns "
    "and the tree checked, and the root held against the signed checkpoint.",
    "plain hashing: the same table read with sqlite3, and each body given to SHA-256 once, in a process of its own; "
    "its start and imports are left out.",
    "check: `core.chain.check` on records that are in memory already.",
    "append: records encrypted, chained and written to SQLite, 5,000 in a commit; journal lines are left out.",
)


def measure(size: Size) -> Report:
    """Make one chain, and walk it in pairs."""
    with tempfile.TemporaryDirectory(prefix="scimsync-bench-") as made:
        folder = Path(made)
        world.home(folder, "home", world.NOWHERE)
        appended = part("audit", "append", folder, size.people)
        rounds: list[dict[str, Spent]] = []
        for turn in range(size.pairs):
            found = {}
            for what in ("plain", "verify") if turn % 2 else ("verify", "plain"):
                found[what] = _verify(folder, size) if what == "verify" else part("audit", "plain", folder, size.people)
            found["check"] = part("audit", "check", folder, min(size.people, 100_000))
            rounds.append(found)
    return _report(size, rounds, appended)


def _verify(folder: Path, size: Size) -> Spent:
    spent = scimsync("audit", "verify", "--json", "--config", "scimsync.toml", folder=folder / "home")
    told = json.loads(spent.out)
    if told["size"] != size.people or told["covered"] != size.people:
        raise BenchmarkError(f"{told['size']} of {size.people} records were proven")
    return spent


def _report(size: Size, rounds: list[dict[str, Spent]], appended: Spent) -> Report:
    number, some = size.people, min(size.people, 100_000)
    return Report(
        name="audit",
        size=size,
        notes=NOTES,
        rows=[
            Row(
                work="audit verify / plain hashing: CPU",
                values=[f["verify"].cpu / f["plain"].cpu for f in rounds],
                bar="<= 10",
            ),
            Row(work="audit verify: wall", values=[f["verify"].wall for f in rounds], unit="s"),
            Row(work="audit verify: peak memory", values=[f["verify"].memory / _MEGABYTE for f in rounds], unit="MB"),
            Row(work="audit verify: CPU", values=[f["verify"].cpu for f in rounds], unit="s"),
            Row(work="check: records a second of CPU", values=[some / f["check"].cpu for f in rounds], unit="/s"),
            Row(work="append: records a second of CPU", values=[number / appended.cpu], unit="/s"),
        ],
    )


def records(number: int) -> Iterator[Record]:
    """Intent and outcome of updates of one attribute each."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for n in range(number):
        kind = Kind.OUTCOME if n % 2 else Kind.INTENT
        person = f"E{n // 2 % 50_000:06}"
        yield Record(
            kind=kind,
            at=start + timedelta(seconds=n),
            actor="schedule@bench",
            run=f"20260101-000000-{n // 20_000:04x}",
            plan="ab" * 32,
            person=person,
            name=f"{person}@example.com",
            target="https://api.example.com/api/v2/scim/v2",
            account=f"00000000-0000-4000-8000-{n // 2 % 50_000:012}",
            action="update",
            edits=(Edit(path="title", before="Agent", after="Lead", reason="source_moved", authority="local_wins"),),
            version_before="3",
            status="done" if n % 2 else "",
            part=1,
            method="" if n % 2 else "PATCH",
        )


def append(folder: Path, number: int) -> int:
    """Make the chain, and sign it."""
    settings = load(folder / "home" / "scimsync.toml")
    with bootstrap.open_store(settings) as store:
        walk = records(number)
        while chunk := list(islice(walk, _BATCH)):
            store.append((), chunk)
        auditing.checkpoint(settings, store, print)
        return store.head().size


def plain(folder: Path, _: int) -> int:
    """Read every body and hash it, and nothing else."""
    settings = load(folder / "home" / "scimsync.toml")
    path = settings.state.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT body FROM audit ORDER BY seq")
        return sum(1 for (body,) in rows if sha256(body).digest())


def check(folder: Path, number: int) -> None:
    """Check records that are in memory."""
    settings = load(folder / "home" / "scimsync.toml")
    with bootstrap.open_store(settings) as store:
        entries = list(islice(store.entries(), number))
        start = chain.start_of(store.head().origin)
    spent, found = measured(lambda: chain.check(entries, start))
    tell(spent, found.head.size if found.broken is None else 0)


def main(what: str, folder: str, number: str) -> None:
    """One part, in a process of its own."""
    if what == "check":
        check(Path(folder), int(number))
        return
    work = append if what == "append" else plain
    spent, result = measured(lambda: work(Path(folder), int(number)))
    tell(spent, result)


if __name__ == "__main__":
    main(*sys.argv[1:])
