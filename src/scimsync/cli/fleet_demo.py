"""fleet demo: organisations with a simulator and an HR database each, all on this machine."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import click
from msgspec.structs import replace

from scimsync import files
from scimsync.cli import fleeting, interrupting
from scimsync.cli.demonstrating import RATE
from scimsync.cli.sample import ATTRIBUTES, insert, write_database
from scimsync.errors import ConfigError
from scimsync.showing.words import counted
from scimsync.simulator.people import people, person
from scimsync.simulator.server import Running, Settings, running

#: accounts of each organisation, so that limits by share have something to count
LEAST = 40

_BASE = """\
# What all organisations of this fleet share. What is different stands in fleet.toml.
[source]
kind  = "sql"
query = "SELECT * FROM employee"
key   = "employee_id"

[target]
dialect = "genesys"

[correlation]
match = ["externalId", "enterprise:employeeNumber", "userName"]

{attributes}
[policy]
authority = "local_wins"
leavers   = "disable"
{state}"""

_STATE = """
[state]                                        # one database; each organisation gets a schema of its own
url = "{url}"
"""

_ORGANISATION = """
[[organisation]]
name     = "{name}"
extends  = "base.toml"
schedule = "*/5 * * * *"
labels   = {{ region = "{region}" }}
[organisation.overrides.source]
url = "sqlite:///{name}/hr.db"
[organisation.overrides.target]
api_url       = "{api_url}"
login_url     = "{login_url}"
client_id     = "{client_id}"
client_secret = "file:{name}/client_secret"
"""
_REGIONS = ("eu", "us", "ap")


def demo(folder: Path, *, organisations: int, users: int, port: int, url: str, serve: bool) -> int:
    """Make a fleet, and synchronise it; or keep its simulators running for workers. Returns the exit code.

    Args:
        folder: Where everything is kept.
        organisations: How many.
        users: How many accounts each has.
        port: The port of the first simulator, the others follow; 0 for free ones.
        url: The PostgreSQL database of states and workers, or a reference to it; "" for files.
        serve: Whether the simulators run until a signal, and nothing is synchronised here.

    Raises:
        ConfigError: The folder holds something else, a port is taken, or the numbers make no sense.
    """
    if users < LEAST:
        raise ConfigError(f"fleet demo: --users {users} is too few; take at least {LEAST}")
    file = folder / "fleet.toml"
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (serve and port and file.exists()):
        raise ConfigError(f"fleet demo: {folder} is not empty; choose another folder")
    names = [f"org-{number:02d}" for number in range(1, organisations + 1)]
    with contextlib.ExitStack() as stack:
        click.echo(f"Starting {counted(len(names), 'simulator')} with {users} invented people each", err=True)
        found = [stack.enter_context(_simulator(folder, name, at, port, users)) for at, name in enumerate(names)]
        if not file.exists():
            _write(folder, names, found, users, url)
        if serve:
            click.echo(f"ready: {file}")
            _wait()
            return 0
        code = fleeting.sync(file, (), as_json=False)
    click.echo(f"\nLook again: scimsync fleet status --fleet {file}", err=True)
    return code


@contextlib.contextmanager
def _simulator(folder: Path, name: str, at: int, port: int, users: int) -> Iterator[Running]:
    kept = folder / name / "client_secret"
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    secret = files.read_secret(kept).decode() if kept.exists() else secrets.token_urlsafe(24)
    wanted = Settings(
        port=port + at if port else 0,
        users=users,
        seed=at + 1,
        client_id=f"demo-{name}",
        client_secret=secret,
        options={"rate_limit": RATE},
    )
    try:
        with running(wanted) as simulator:
            files.write(kept, [secret.encode()])
            yield simulator
    except OSError as error:
        raise ConfigError(f"fleet demo: {error}. Name other ports: --port") from error


def _write(folder: Path, names: list[str], found: list[Running], users: int, url: str) -> None:
    state = _STATE.format(url=url) if url else ""
    base = _BASE.format(attributes=ATTRIBUTES, state=state)
    text = "# A fleet to play with; see docs/fleet.md\n[fleet]\nat_once = 2\n"
    text += f'url     = "{url}"\n' if url else ""
    for at, (name, simulator) in enumerate(zip(names, found, strict=True)):
        _hr(folder / name / "hr.db", at + 1, users)
        text += _ORGANISATION.format(
            name=name,
            region=_REGIONS[at % len(_REGIONS)],
            api_url=simulator.api_url,
            login_url=simulator.login_url,
            client_id=simulator.client_id,
        )
    files.write(folder / "base.toml", [base.encode()], files.READABLE)
    files.write(folder / "fleet.toml", [text.encode()], files.READABLE)


def _hr(file: Path, seed: int, users: int) -> None:
    """HR as the directory is, but for somebody who joined, some who moved, and somebody who left."""
    everybody = list(people(seed, users))
    write_database(file, everybody)
    active = [one for one in everybody if one.active]
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        insert(database, [replace(person(seed, users + 1), active=True, manager_id=None)])
        moved = [(one.employee_id,) for one in active[5:10]]
        database.executemany("UPDATE employee SET job_title = 'Team Lead' WHERE employee_id = ?", moved)
        database.execute("UPDATE employee SET status = 'left' WHERE employee_id = ?", (active[12].employee_id,))


def _wait() -> None:
    """Until somebody ends it."""
    with contextlib.suppress(interrupting.Interrupted):
        threading.Event().wait()
