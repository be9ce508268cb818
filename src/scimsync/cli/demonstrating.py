"""The demo command: the main job on a simulator and a sample HR database, all on this machine.

One evening both sides agree. Overnight HR changes in every way that matters, and somebody edits the
directory by hand. In the morning: plan, apply, plan again.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from msgspec.structs import replace

from scimsync import files
from scimsync.cli import interrupting, render
from scimsync.cli.progress import Bar
from scimsync.cli.sample import ATTRIBUTES, insert, write_database
from scimsync.config import Settings, load
from scimsync.errors import ConfigError
from scimsync.model.plans import Plan
from scimsync.services import applying, planning, state
from scimsync.services.planning import Choices
from scimsync.services.state import Store
from scimsync.showing.words import counted
from scimsync.simulator.options import Options
from scimsync.simulator.people import SKILLS, Person, people, person
from scimsync.simulator.server import Running, running
from scimsync.simulator.server import Settings as SimulatorSettings

SEED = 7
#: requests a minute that the demo's simulator grants, so that nobody has to wait
RATE = 60_000
#: fewer, and the limits refuse its leavers
LEAST = 150

_CONFIG = """\
[source]
kind  = "sql"
url   = "sqlite:///hr.db"
query = "SELECT * FROM employee"
key   = "employee_id"

[target]
dialect       = "genesys"
api_url       = "{api_url}"
login_url     = "{login_url}"
client_id     = "{client_id}"
client_secret = "file:client_secret"

[correlation]
match = ["externalId", "enterprise:employeeNumber", "userName"]

{attributes}
[policy]
authority = "local_wins"
leavers   = "disable"

[state]
url       = "sqlite:///.scimsync/state.db"
artifacts = ".scimsync/artifacts"
"""


def demo(*, users: int, keep: Path | None, switches: Mapping[str, object], console: bool = False) -> int:
    """Play the demo; return the exit code.

    Args:
        users: How many accounts the simulator holds.
        keep: Where everything is kept; a temporary folder where None.
        switches: How the simulator shall behave otherwise than by default.
        console: Whether the console is opened on the organisation then, where a plan of the next day waits.

    Raises:
        ConfigError: Too few users to show anything, the folder is not empty, or there is no such switch.
    """
    if users < LEAST:
        raise ConfigError(f"demo: --users {users} is too few to show everything; take at least {LEAST}")
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scimsync-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"demo: {folder} is not empty; choose another folder")
        _step(f"Starting the Genesys Cloud simulator with {users:,} invented people")
        simulator = stack.enter_context(_simulator(users, {"rate_limit": RATE, **switches}))
        _write_folder(folder, simulator, users)
        settings = load(folder / "scimsync.toml")
        with state.held(settings) as store:
            code = _play(settings, store, simulator, users)
            if console and not code:
                _next_day(settings, store)
        if not console or code:
            _end(keep, simulator, users)
            return code
        from scimsync.cli import serving  # noqa: PLC0415 - loads uvicorn

        _step("The console: open the link below; end with Ctrl-C")
        return serving.serve(serving.Options(config=settings.file, port=0))


def _simulator(users: int, options: Mapping[str, object]) -> contextlib.AbstractContextManager[Running]:
    try:
        Options().change(options)
    except ValueError as error:
        raise ConfigError(f"demo: {error}") from error
    return running(SimulatorSettings(users=users, seed=SEED, options=options))


def _play(settings: Settings, store: Store, simulator: Running, users: int) -> int:
    _step("Evening: HR and the directory agree; a first run records that")
    first = _plan(settings, store)
    _apply(settings, store, first)
    click.echo(f"  {len(first.changes)} changes, {first.tally.linked:,} people linked to their accounts")

    _step("Night: HR hires, promotes, moves and lets go; somebody edits the directory by hand")
    for line in _change_hr(settings.file.parent / "hr.db", users):
        click.echo(f"  HR          {line}")
    for line in _edit_directory(simulator):
        click.echo(f"  directory   {line}")

    _step("Morning: scimsync plan")
    made = _plan(settings, store)
    _show(render.plan_lines(made))

    _step("scimsync apply")
    before = _stats(simulator)
    _show(_apply(settings, store, made))
    after = _stats(simulator)

    _step("scimsync plan, once more")
    second = _plan(settings, store)
    _show(render.plan_lines(second))

    _step("What the simulator counted")
    writes = sum(after.get(kind, 0) - before.get(kind, 0) for kind in ("post", "patch"))
    needed = made.requests
    click.echo(f"  {writes:,} writes for {len(made.changes):,} changed accounts; the plan said {needed:,}")
    most = counted(after["writes_by_user"], "write")
    click.echo(f"  at most {most} to one account (2 where new people lead each other in a circle)")
    return 0 if not second.changes and writes <= needed else 1


def _next_day(settings: Settings, store: Store) -> None:
    """What HR changes on the day after, planned and not applied."""
    _step("The day after: HR changes some more, and a plan waits")
    active = [p for p in people(SEED, 200) if p.active]
    with contextlib.closing(sqlite3.connect(settings.file.parent / "hr.db")) as database, database:
        _set(database, "job_title", "Trainer", active[50:58])
        _set(database, "department", "Back Office", active[58:61])
        _set(database, "status", "inactive", active[61:63])
        _set(database, "phone", "the second door on the left", active[63:64])
    made = _plan(settings, store)
    click.echo(f"  {counted(len(made.changes), 'change')} planned")


def _step(title: str) -> None:
    click.echo()
    click.echo(click.style(f"== {title}", fg="blue", bold=True))


def _show(lines: Iterator[str]) -> None:
    for line in lines:
        click.echo(f"  {line}" if line else "")


def _plan(settings: Settings, store: Store) -> Plan:
    with Bar() as bar:
        return interrupting.run(planning.plan(settings, store, bar, Choices()))


def _apply(settings: Settings, store: Store, made: Plan) -> Iterator[str]:
    with Bar() as bar:
        report = interrupting.run(applying.apply(settings, store, bar, (made, store.run(made.id)), Choices()))
    return render.report_lines(report)


def _write_folder(folder: Path, simulator: Running, users: int) -> None:
    files.write(folder / "client_secret", [simulator.client_secret.encode()])
    config = _CONFIG.format(
        api_url=simulator.api_url,
        login_url=simulator.login_url,
        client_id=simulator.client_id,
        attributes=ATTRIBUTES,
    )
    files.write(folder / "scimsync.toml", [config.encode()], files.READABLE)
    write_database(folder / "hr.db", people(SEED, users))


def _change_hr(file: Path, users: int) -> Iterator[str]:
    """HR's night: each statement is one of the ways in which people change."""
    active = [p for p in people(SEED, users) if p.active]
    inactive = [p for p in people(SEED, users) if not p.active]
    new = [replace(person(SEED, users + i), active=True) for i in range(6)]
    # The first joiner leads the next two: their manager exists only once the joiner has an account.
    new = [replace(p, manager_id=new[0].employee_id if 0 < i < 3 else active[i].employee_id) for i, p in enumerate(new)]
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        insert(database, new)
        yield f"{len(new)} joiners, two of them led by a third, who is new as well"
        _set(database, "job_title", "Team Lead", active[10:20])
        _set(database, "department", "Field Service", active[20:26])
        _set(database, "manager_id", new[0].employee_id, active[26:28])
        yield "18 movers: titles, departments, and two who now report to the first joiner"
        _set(database, "status", "inactive", active[30:34])
        database.execute("DELETE FROM employee WHERE employee_id IN (?, ?)", [p.employee_id for p in active[34:36]])
        yield "6 leavers: four marked inactive, two gone from the table"
        _set(database, "status", "active", inactive[:2])
        yield f"{len(inactive[:2])} rehires"
        _set(database, "phone", "ask at reception", active[36:37])
        yield "one record with a phone number that is none"


def _set(database: sqlite3.Connection, column: str, value: str, chosen: list[Person]) -> None:
    database.executemany(
        f"UPDATE employee SET {column} = ? WHERE employee_id = ?",  # noqa: S608 - column names of ours
        [(value, p.employee_id) for p in chosen],
    )


def _edit_directory(simulator: Running) -> Iterator[str]:
    active = [p for p in people(SEED, 200) if p.active]
    _edit(simulator, active[40], "title", "Chief of Everything")
    yield "a title edited by hand (HR owns titles: it will be put back, and reported)"
    _edit(simulator, active[41], 'phoneNumbers[type eq "mobile"].value', "+14635559999")
    yield "a mobile number edited by hand (the directory owns those: it stays)"
    skills = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User:routingSkills"
    unknown = next(s for s in SKILLS if s not in {name for name, _ in active[42].skills})
    _edit(simulator, active[42], skills, [{"name": unknown, "proficiency": 3.0}], op="add")
    yield "a skill added by a supervisor (skills are merged: it stays)"


def _edit(simulator: Running, who: Person, path: str, value: object, op: str = "replace") -> None:
    operation = {"op": op, "path": path, "value": value}
    if "[" in path and who.mobile is None:
        operation = {"op": "add", "path": "phoneNumbers", "value": [{"type": "mobile", "value": value}]}
    _call(simulator, "/_simulator/edit", {"userName": who.email, "operations": [operation]})


def _stats(simulator: Running) -> dict[str, int]:
    found = _call(simulator, "/_simulator/stats")
    return {name: number for name, number in found.items() if isinstance(number, int)}


def _call(simulator: Running, path: str, body: object = None) -> dict[str, object]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - the simulator of this process
        simulator.api_url + path, data=data, headers={"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        found: dict[str, object] = json.load(answer)
    return found


def _end(kept: Path | None, simulator: Running, users: int) -> None:
    _step("What to type next")
    command = Path(sys.argv[0]).name
    command = "python -m scimsync" if command in {"", "__main__.py"} else command
    if kept is None:
        click.echo(f"  {command} demo --console     the same, then look at it in a browser: review, apply, undo")
        click.echo(f"  {command} demo --keep demo   the same, and keep config, HR database and plans")
        click.echo(f"  {command} init my-org        a commented configuration for your own organisation")
        click.echo(f"  {command} simulate           a directory to rehearse on")
        return
    port = simulator.api_url.rpartition(":")[2]
    click.echo(
        f"  Everything is in {kept}. The simulator has ended; to play on, start it again. It begins\n"
        "  as on the evening and knows nothing of the night, so the plan shows those changes once more:"
    )
    click.echo(
        f"  {command} simulate --port {port} --users {users} --seed {SEED} --option rate_limit={RATE} "
        f"--client-id {simulator.client_id} --client-secret $(cat {kept}/client_secret)"
    )
    click.echo(f"  {command} plan --config {kept}/scimsync.toml")
