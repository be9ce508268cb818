"""Applying many changes: beside bare PATCH requests, with a journal in memory, and with no HTTP at all."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import world
from benchmarks.harness import BenchmarkError, Report, Row, Size, Spent, measured, part, served, tell
from scimsync.simulator.people import account_id, people

#: changes; the directory holds a few people more, because one in fifty is inactive
USUAL = 2_000
WORKERS = 8
NOTES = (
    "scimsync: `apply_plan` of changes of one attribute each, 8 workers, SQLite store: intent and outcome of every "
    "change journalled, PATCH under If-Match, the answer compared, then the base written. Planning, start and "
    "imports are left out.",
    "bare: 8 tasks send the same PATCHes with httpx2, and do nothing else.",
    "journal in memory: the same apply with scimsync.testing.MemoryStore.",
    "no HTTP: the same apply with SQLite and a target in the process that answers at once.",
    "The simulator is another process; its CPU is in none of the figures, but it shares the cores and bounds the rate.",
)


def measure(size: Size) -> Report:
    """Play the rounds; every part moves all titles, so nothing has to be put back."""
    people_needed = size.people + size.people // 20 + 20
    with tempfile.TemporaryDirectory(prefix="scimsync-bench-") as made:
        folder = Path(made)
        arguments = ("--users", str(people_needed), "--seed", str(world.SEED), "--option", "rate_limit=0")
        with served(*arguments) as announced:
            world.furnish(folder, people_needed)
            (folder / "announced.json").write_text(json.dumps(announced), encoding="utf-8")
            who = [p for p in people(world.SEED, people_needed) if p.active][: size.people]
            order = ["bare", "disk", "memory", "nowhere"]
            rounds: list[dict[str, Spent]] = []
            for turn in range(size.pairs):
                found = {}
                for what in reversed(order) if turn % 2 else order:
                    title = f"Title {turn} {what}"
                    world.promote(folder, who, title)
                    world.home(folder, f"{what}-{turn}", announced)
                    found[what] = part("apply", what, folder, f"{what}-{turn}", title)
                    if found[what].out != str(size.people):
                        raise BenchmarkError(f"{what}: {found[what].out} of {size.people} changes were made")
                rounds.append(found)
    return _report(size, rounds)


def _report(size: Size, rounds: list[dict[str, Spent]]) -> Report:
    number = size.people

    def wall(left: str, right: str) -> list[float]:
        return [found[left].wall / found[right].wall for found in rounds]

    def cpu(left: str, right: str) -> list[float]:
        return [found[left].cpu / found[right].cpu for found in rounds]

    return Report(
        name="apply",
        size=size,
        notes=NOTES,
        rows=[
            Row(work="apply / bare PATCHes: wall", values=wall("disk", "bare"), bar="<= 4.5"),
            Row(work="apply / bare PATCHes: CPU", values=cpu("disk", "bare"), bar="<= 4"),
            Row(work="journal on disk / in memory: wall", values=wall("disk", "memory"), bar="<= 2.5"),
            Row(work="journal on disk / in memory: CPU", values=cpu("disk", "memory"), bar="<= 2.5"),
            Row(work="CPU outside HTTP / all CPU", values=cpu("nowhere", "disk"), bar="<= 0.6"),
            Row(work="apply: changes a second", values=[number / f["disk"].wall for f in rounds], unit="/s"),
            Row(work="bare: PATCHes a second", values=[number / f["bare"].wall for f in rounds], unit="/s"),
            Row(work="apply: CPU a change", values=[1e3 * f["disk"].cpu / number for f in rounds], unit="ms"),
            Row(
                work="apply: CPU a change outside HTTP",
                values=[1e3 * f["nowhere"].cpu / number for f in rounds],
                unit="ms",
            ),
            Row(work="apply: peak memory", values=[f["disk"].memory / 2**20 for f in rounds], unit="MiB"),
        ],
    )


# --- the parts, each a process ------------------------------------------------------------------


def _bare(folder: Path, title: str) -> tuple[Spent, int]:
    import sqlite3  # noqa: PLC0415

    import httpx2  # noqa: PLC0415 - heavy, and the parent of all parts stays small

    announced = json.loads((folder / "announced.json").read_text(encoding="utf-8"))
    with sqlite3.connect(folder / "hr.db") as database:
        keys = [row[0] for row in database.execute("SELECT employee_id FROM employee WHERE job_title = ?", [title])]
    database.close()
    ids = [account_id(world.SEED, int(key[1:])) for key in keys]
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": title}],
    }

    async def work() -> int:
        queue = iter(ids)
        done = 0
        async with httpx2.AsyncClient(base_url=announced["api_url"], trust_env=False) as client:
            grant = await client.post(
                announced["login_url"] + "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(announced["client_id"], announced["client_secret"]),
            )
            client.headers["Authorization"] = f"Bearer {grant.raise_for_status().json()['access_token']}"

            async def worker() -> None:
                nonlocal done
                for account in queue:
                    answer = await client.patch(f"/api/v2/scim/v2/Users/{account}", json=body)
                    done += answer.raise_for_status().status_code == 200

            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(worker())
        return done

    return measured(lambda: asyncio.run(work()))


def _apply(what: str, folder: Path, name: str) -> tuple[Spent, int]:
    from benchmarks import inside  # noqa: PLC0415
    from scimsync.bootstrap import open_store  # noqa: PLC0415
    from scimsync.testing import MemoryStore  # noqa: PLC0415

    settings = inside.settings_in(folder / name)

    async def plan() -> inside.Plan:
        target = inside.real_target(settings)
        try:
            return await inside.make_plan(settings, store, target)
        finally:
            await target.close()

    async def apply() -> inside.Report:
        target = inside.real_target(settings) if what != "nowhere" else inside.ready_target(settings, made)
        try:
            return await inside.apply_plan(settings, store, target, made)
        finally:
            await target.close()

    with open_store(settings) as kept:
        store = MemoryStore(folder / name / "artifacts") if what == "memory" else kept
        made = asyncio.run(plan())
        spent, report = measured(lambda: asyncio.run(apply()))
    if not report.clean:
        raise BenchmarkError(f"{what}: {report.statuses}")
    return spent, len(report.outcomes)


def main(arguments: Sequence[str]) -> None:
    """One part."""
    what, folder, name, title = arguments[0], Path(arguments[1]), arguments[2], arguments[3]
    tell(*(_bare(folder, title) if what == "bare" else _apply(what, folder, name)))


if __name__ == "__main__":
    main(sys.argv[1:])
