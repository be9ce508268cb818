"""docs/first-day.md is played: its files and its commands, as they stand there, on the simulator it names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, Said, house

PAGE = (Path(__file__).parents[2] / "docs/first-day.md").read_text(encoding="utf-8")


def block(kind: str, number: int = 0) -> str:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[number]


def told(*words: str) -> str:
    """A command line of the page; one that it does not have is not played."""
    found = [line for line in PAGE.splitlines() if line.startswith(" ".join(("scimsync", *words)))]
    assert found, words
    return found[0]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, users=200) as found:
        found.environ = {
            "GENESYS_CLIENT_ID": found.simulator.client_id,
            "GENESYS_CLIENT_SECRET": found.simulator.client_secret,
        }
        (tmp_path / "people.csv").write_text(block("text"), encoding="utf-8")
        found.file.write_text(block("toml").replace("http://127.0.0.1:8391", found.simulator.api_url))
        yield found


def play(home: House, line: str, *more: str) -> Said:
    said = home.command(*line.split()[1:], *more)
    assert said.code == 0, (line, said.err)
    return said


def test_a_plan_on_a_csv_of_ones_own_a_value_restored_and_a_run_that_somebody_else_approves(home: House) -> None:
    play(home, told("config check"))
    play(home, told("doctor"))
    made = play(home, told("plan"))
    assert "+ 2 create" in made.out
    assert "the account of 1001" in made.out
    assert "source.absence" in made.out
    play(home, told("apply"), "--yes")

    people = home.folder / "people.csv"
    people.write_text(people.read_text(encoding="utf-8").replace("Wei;Agent", "Wei;Senior Agent"), encoding="utf-8")
    play(home, told("sync"))
    assert home.account("li.wei@example.com")["title"] == "Senior Agent"
    latest = json.loads(play(home, "scimsync runs --json").out)[0]["id"]
    line = re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", latest, told("undo"))
    play(home, line, "--yes")
    assert home.account("li.wei@example.com")["title"] == "Agent"
    assert "undo.held" in play(home, told("plan")).out

    home.file.write_text(home.file.read_text(encoding="utf-8") + block("toml", 1), encoding="utf-8")
    play(home, told("config check"))
    people.write_text(
        people.read_text(encoding="utf-8").replace("Ada;Berg;Team Lead", "Ada;Berg;Head"), encoding="utf-8"
    )
    waits = play(home, told("plan"))
    plan = re.findall(r"\d{8}-\d{6}-[0-9a-f]{4}", waits.out)[0]
    assert plan in play(home, told("approvals")).out
    mine = home.command(*re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", plan, told("approve")).split()[1:3], "--reason", "mine")
    assert mine.code != 0
    assert "somebody else approves" in mine.err
    assert home.command("apply", plan, "--yes").code != 0
