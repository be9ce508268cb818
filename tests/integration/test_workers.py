"""Workers of a fleet on a real PostgreSQL: killed and paused, and nothing is lost or doubled."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fleets import Fleet
from tests.postgres import postgres_url
from tests.soak import WHOLE, examples
from tests.workers import Crew, crew, judge, many, storm

from scimsync.config import load_fleet
from scimsync.services import fleet as services
from scimsync.services import workers

pytest.importorskip("dbos")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_url() as url:
        yield url


def over(found: Fleet) -> dict[str, services.Line]:
    """Let the workers do everything; organisation -> what came of it."""
    known = load_fleet(found.folder / "fleet.toml")
    names = [member.name for member in known.members]
    cause = workers.asked(known, names)
    return {line.name: line for line in workers.watched(known, cause, names)}


@pytest.mark.parametrize("seed", range(examples(1, 1)))
def test_workers_that_are_killed_and_paused_lose_nothing_and_double_nothing(
    seed: int, postgres: str, tmp_path: Path
) -> None:
    organisations, people, hands, blows = (20, 200, 3, 12) if WHOLE else (3, 12, 2, 1)
    names = [f"s{seed}-{number}" for number in range(organisations)]
    with many(tmp_path, postgres, names, people) as found, crew(tmp_path, hands, 50 if WHOLE else 4) as hired:
        begin(found, hired)
        storm(found, hired, random.Random(seed), blows, expected=organisations * (people + 1))
        lines = over(found)  # after whatever is under way
        assert {line.word for line in lines.values()} <= {"quiet", "done"}, (lines, hired.said()[-3000:])
        judge(found)
        quiet = over(found)
        assert {line.word for line in quiet.values()} == {"quiet"}, quiet


def begin(found: Fleet, hired: Crew) -> None:
    """Ask for everything as soon as a worker has made the queue."""
    known = load_fleet(found.folder / "fleet.toml")
    while not any(one.silent_s < 3 for one in board(known)):
        assert all(one.poll() is None for one in hired.processes), hired.said()
    while True:
        try:
            workers.asked(known, [member.name for member in known.members])
        except Exception:  # noqa: BLE001 - the worker makes the tables of the queue just now
            continue
        return


def board(known: object) -> object:
    made = workers.make_board(known)
    try:
        return made.workers()
    finally:
        made.close()
