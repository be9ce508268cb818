"""The two sides of a benchmark: an HR database of invented people, and a directory of the same people."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from scimsync.cli.sample import ATTRIBUTES, COLUMNS, rows
from scimsync.simulator.people import Person, people

SEED = 7

_CONFIG = """\
[source]
kind  = "sql"
url   = "sqlite:///../hr.db"
query = "SELECT * FROM employee"
key   = "employee_id"

[target]
dialect       = "genesys"
api_url       = "{api_url}"
login_url     = "{login_url}"
client_id     = "{client_id}"
client_secret = "file:../client_secret"
requests_per_minute = 0

[correlation]
match = ["externalId", "enterprise:employeeNumber", "userName"]

{attributes}
[limits]
update = "100%"

[state]
url       = "sqlite:///state.db"
artifacts = "artifacts"
"""

#: where nothing is listening: the configuration of a benchmark without network
NOWHERE = {
    "api_url": "http://127.0.0.1:9",
    "login_url": "http://127.0.0.1:9",
    "client_id": "nobody",
    "client_secret": "nothing",
}


def furnish(folder: Path, count: int) -> None:
    """An HR database with the first `count` people of the simulator."""
    with closing(sqlite3.connect(folder / "hr.db")) as database, database:
        database.execute(f"CREATE TABLE employee ({', '.join(f'{c} TEXT' for c in COLUMNS)})")
        marks = ", ".join("?" for _ in COLUMNS)
        database.executemany(f"INSERT INTO employee VALUES ({marks})", rows(people(SEED, count)))


def home(folder: Path, name: str, announced: Mapping[str, str]) -> Path:
    """A folder with a configuration and a state of its own, over the common HR database."""
    secret = folder / "client_secret"
    secret.touch(mode=0o600)
    secret.write_text(announced["client_secret"], encoding="utf-8")
    place = folder / name
    place.mkdir()
    config = _CONFIG.format(attributes=ATTRIBUTES, **announced)
    (place / "scimsync.toml").write_text(config, encoding="utf-8")
    return place


def chosen(count: int, share: float, turn: int) -> list[Person]:
    """Some active people, spread over all; others in every turn."""
    step = max(1, round(1 / share))
    return [p for i, p in enumerate(people(SEED, count)) if p.active and i % step == turn % step]


def promote(folder: Path, who: Iterable[Person], title: str) -> None:
    """HR gives people another title."""
    with closing(sqlite3.connect(folder / "hr.db")) as database, database:
        database.execute("CREATE TEMP TABLE promoted (id TEXT PRIMARY KEY)")
        database.executemany("INSERT INTO promoted VALUES (?)", [(p.employee_id,) for p in who])
        database.execute("UPDATE employee SET job_title = ? WHERE employee_id IN (SELECT id FROM promoted)", (title,))


def hire(folder: Path, who: Iterable[Person]) -> None:
    """HR has more people."""
    with closing(sqlite3.connect(folder / "hr.db")) as database, database:
        marks = ", ".join("?" for _ in COLUMNS)
        database.executemany(f"INSERT INTO employee VALUES ({marks})", rows(who))


def put_back(api_url: str, who: Iterable[Person]) -> None:
    """Give people in the directory the title that they had before `promote`, by foreign edits."""
    for member in who:
        call(api_url, "edit", {"userName": member.email, "path": "title", "value": member.title})


def stats(api_url: str) -> Mapping[str, int]:
    """What the simulator counted so far."""
    return call(api_url, "stats")


def call(api_url: str, what: str, body: object = None) -> dict[str, int]:
    """Ask the simulator's control endpoint."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{api_url}/_simulator/{what}", data=data, headers={"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        found: dict[str, int] = json.load(answer)
    return found
