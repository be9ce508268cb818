"""Workers of a fleet on a real PostgreSQL: killed and paused, and nothing is lost or doubled."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests import postgres as postgres_server
from tests.fleets import Fleet
from tests.postgres import postgres_url
from tests.soak import WHOLE, examples
from tests.workers import Counting, Crew, crew, judge, many, storm, until

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


if WHOLE:  # two minutes of waiting

    def test_a_database_that_goes_away_for_a_while_costs_no_outcome(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with tempfile.TemporaryDirectory(prefix="scimsync-pg-", ignore_cleanup_errors=True) as name:
            folder, names = Path(name), ["a", "b", "c"]
            postgres_server._initialise(folder)
            server, url = postgres_server._start(folder)
            monkeypatch.setattr(postgres_server, "free_port", lambda: urlsplit(url).port)
            monkeypatch.setattr(Counting, "slow_s", 0.05)
            with many(tmp_path, url, names, 150) as found, crew(tmp_path, 2, 20) as hired:
                begin(found, hired)
                until(lambda: effects(found) > 100, hired)
                postgres_server._stop(server)
                before = effects(found)
                time.sleep(20)
                assert effects(found) <= before + 2 * 2 * 8  # what was on its way: no write without its intent
                server, _ = postgres_server._start(folder)
                until(lambda: effects(found) > before + 50, hired)
                assert {line.word for line in over(found).values()} <= {"quiet", "done"}
                judge(found)
                assert {line.word for line in over(found).values()} == {"quiet"}
            postgres_server._stop(server)


def effects(found: Fleet) -> int:
    return sum(sum(one.effects.values()) for one in found.providers.values())  # type: ignore[attr-defined]


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
