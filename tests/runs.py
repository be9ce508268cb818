"""A house to play whole runs in: a simulator on a real socket, HR beside it, configuration and state in a folder."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.forking import forker

from scimsync import bootstrap
from scimsync.cli.sample import ATTRIBUTES, COLUMNS, record
from scimsync.config import Settings, load
from scimsync.model.outcomes import Outcome, Run, Status
from scimsync.model.plans import BESIDES, Change, Plan, Verdict
from scimsync.model.reports import Report
from scimsync.services import applying, planning
from scimsync.services.planning import Choices
from scimsync.simulator.people import Person, people, person
from scimsync.simulator.server import Running, running
from scimsync.simulator.server import Settings as Simulated

SEED = 7
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GENESYS = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User"
SKILLS = f"{GENESYS}:routingSkills"
#: canaries: they must never show in what the product says
SECRET = "canary-secret-5up3r"
CLIENT = "canary-client"

SOURCE_SQL = """\
kind  = "sql"
url   = "sqlite:///hr.db"
query = "SELECT * FROM employee ORDER BY employee_id"
key   = "employee_id"
"""
SOURCE_CSV = """\
kind = "csv"
path = "hr.csv"
key  = "employee_id"
"""
WIDE_LIMITS = dict.fromkeys(("disable", "enable", "create", "update", "clear", "source_rows_drop"), "100%")
MATCH = '["externalId", "enterprise:employeeNumber", "userName"]'


class Quiet:
    """An observer who keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, name: str, total: int | None = None) -> None:
        pass

    def advance(self, steps: int = 1) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait no minutes for a search that may lag: that of the simulator does not."""
    given = applying.options_of
    options = lambda *asked: replace(given(*asked), search_lag_s=(0.1,))  # noqa: E731 - it stands in for a function
    monkeypatch.setattr(applying, "options_of", options)


@dataclass
class House:
    """One organisation: directory, HR, and a folder with configuration and state."""

    folder: Path
    simulator: Running
    users: int
    environ: dict[str, str] = field(default_factory=dict)

    # --- configuration ------------------------------------------------------------------------

    @property
    def file(self) -> Path:
        return self.folder / "scimsync.toml"

    def configure(
        self,
        *,
        source: str = SOURCE_SQL,
        target: str = "",
        attributes: str = ATTRIBUTES,
        authority: str = "local_wins",
        policy: str = "",
        limits: Mapping[str, object] = WIDE_LIMITS,
        match: str = MATCH,
        more: str = "",
    ) -> None:
        """Write the configuration."""
        listed = "".join(f"{name} = {json.dumps(limit)}\n" for name, limit in limits.items())
        self.file.write_text(
            f"[source]\n{source}\n[target]\n{target or self.target}\n[correlation]\nmatch = {match}\n\n{attributes}\n"
            f'[policy]\nauthority = "{authority}"\n{policy}\n[limits]\n{listed}\n{more}',
            encoding="utf-8",
        )

    @property
    def target(self) -> str:
        secret = self.folder / "client_secret"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(self.simulator.client_secret, encoding="utf-8")
        return (
            f'dialect = "genesys"\napi_url = "{self.simulator.api_url}"\nlogin_url = "{self.simulator.login_url}"\n'
            f'client_id = "{self.simulator.client_id}"\nclient_secret = "file:client_secret"\n'
            "requests_per_minute = 0\n"
        )

    def settings(self) -> Settings:
        return load(self.file)

    # --- HR -----------------------------------------------------------------------------------

    def write_hr(self, persons: Iterable[Person]) -> None:
        """Make the HR database anew."""
        with contextlib.closing(sqlite3.connect(self.folder / "hr.db")) as database, database:
            database.execute("DROP TABLE IF EXISTS employee")
            database.execute(f"CREATE TABLE employee ({', '.join(f'{c} TEXT' for c in COLUMNS)})")
            marks = ", ".join("?" for _ in COLUMNS)
            database.executemany(f"INSERT INTO employee VALUES ({marks})", map(row, persons))

    def hr(self, statement: str, *values: object) -> None:
        """Change the HR database."""
        with contextlib.closing(sqlite3.connect(self.folder / "hr.db")) as database, database:
            database.execute(statement, values)

    def set(self, who: Person, **columns: str | None) -> None:
        """Change one HR record."""
        for column, value in columns.items():
            self.hr(f"UPDATE employee SET {column} = ? WHERE employee_id = ?", value, who.employee_id)

    def hire(self, *persons: Person) -> None:
        """Add records."""
        for someone in persons:
            self.hr(f"INSERT INTO employee VALUES ({', '.join('?' for _ in COLUMNS)})", *row(someone))

    def dismiss(self, *persons: Person) -> None:
        """Take records out of the table."""
        for someone in persons:
            self.hr("DELETE FROM employee WHERE employee_id = ?", someone.employee_id)

    def write_csv(self, persons: Iterable[Person]) -> bytes:
        """Write the HR extract as CSV."""
        content = csv_of(persons)
        (self.folder / "hr.csv").write_bytes(content)
        return content

    # --- people -------------------------------------------------------------------------------

    @property
    def people(self) -> list[Person]:
        """Everybody whom the simulator began with."""
        return list(people(SEED, self.users))

    def active(self, number: int, start: int = 5) -> list[Person]:
        """Some active people, far enough from the top to have no reports of weight."""
        return [p for p in self.people if p.active][start : start + number]

    def newcomer(self, index: int, **changes: Any) -> Person:
        """Somebody whom the directory does not know."""
        return replace(person(SEED, self.users + 1000 + index), **{"active": True, "manager_id": None, **changes})

    # --- runs in this process -----------------------------------------------------------------

    def plan(self, *only: str, **overrides: str) -> Plan:
        rules = {name.replace("__", "."): reason for name, reason in overrides.items()}
        settings = self.settings()
        with bootstrap.open_store(settings) as store:
            return asyncio.run(planning.plan(settings, store, Quiet(), Choices(only=only, overrides=rules)))

    def apply(self, named: str | Path = "", **overrides: str) -> Report:
        rules = {name.replace("__", "."): reason for name, reason in overrides.items()}
        settings = self.settings()
        with bootstrap.open_store(settings) as store, store.lease(bootstrap.owner()):
            found = planning.find_plan(store, str(named))
            return asyncio.run(applying.apply(settings, store, Quiet(), found, Choices(overrides=rules)))

    def sync(self) -> tuple[Plan, Report]:
        """Plan and apply."""
        made = self.plan()
        return made, self.apply(made.id)

    def settle(self) -> None:
        """A first run that is expected to go through, so that there is a base; counters start anew after it."""
        made, report = self.sync()
        assert report.clean, (report.statuses, report.stopped)
        assert not made.refusals
        self.reset()

    def quiet(self) -> None:
        """Assert that a further run finds nothing to do and writes nothing."""
        before = self.writes()
        made, report = self.sync()
        assert [(c.key, [d.path for d in c.deltas]) for c in made.changes] == []
        assert report.clean
        assert self.writes() == before

    def runs(self) -> list[Run]:
        with bootstrap.open_store(self.settings()) as store:
            return list(store.runs())

    def unsettled(self) -> set[tuple[str, str, int]]:
        """(run, key, part) of intents without outcome."""
        settings = self.settings()
        with bootstrap.open_store(settings) as store:
            open_ = set()
            for run in store.runs(1000):
                for line in store.journal(run.id):
                    part = (run.id, line.key, line.part)
                    open_.add(part) if line.outcome is None else open_.discard(part)
        return open_

    # --- the directory ------------------------------------------------------------------------

    def call(self, path: str, body: object = None, method: str | None = None) -> Any:
        return call(self.simulator.api_url + "/_simulator/" + path, body, method)

    def edit(self, who: Person | str, path: str, value: object = None, op: str = "") -> None:
        """A foreign edit."""
        op = op or ("remove" if value is None else "replace")
        key = {"userName": who.email} if isinstance(who, Person) else {"id": who}
        self.call("edit", {**key, "operations": [{"op": op, "path": path, "value": value}]})

    def delete(self, who: Person) -> None:
        self.call("edit", {"userName": who.email, "delete": True})

    def fault(self, *recipes: Mapping[str, object]) -> None:
        self.call("faults", list(recipes), "POST")

    def option(self, **options: object) -> None:
        self.call("options", options)

    def stats(self) -> Counter[str]:
        return Counter(self.call("stats"))

    def counted(self, kind: str) -> int:
        """One number of `stats`, for who waits: read in this process, where asking again and again keeps nobody busy."""
        simulator = self.simulator.simulator
        return simulator.directory.effective_writes if kind == "effective_writes" else simulator.counters[kind]

    def reset(self) -> None:
        self.call("stats/reset", {})

    def writes(self) -> int:
        """Requests that could have written."""
        stats = self.stats()
        return stats["patch"] + stats["post"] + stats["put"] + stats["delete"]

    def history(self, who: str = "client") -> list[dict[str, Any]]:
        """Effects, by the product (`client`) or by others (`edit`)."""
        return [entry for entry in self.call("history") if entry["who"] == who]

    def effects(self) -> Counter[str]:
        """How many effective writes of ours each account saw."""
        return Counter(entry["id"] for entry in self.history())

    def account(self, who: Person | str) -> dict[str, Any]:
        """An account as the directory holds it."""
        name = who.email if isinstance(who, Person) else who
        found = self.accounts(name)
        assert len(found) == 1, (name, len(found))
        return found[0]

    def accounts(self, name: str) -> list[dict[str, Any]]:
        return [entity.resource for entity in self.simulator.directory.indexed("userName", name)]

    def manager(self, who: Person) -> str | None:
        return self.account(who).get(ENTERPRISE, {}).get("manager", {}).get("value")

    def skills(self, who: Person) -> set[str]:
        return {s["name"] for s in self.account(who).get(GENESYS, {}).get("routingSkills", [])}

    # --- the installed command ----------------------------------------------------------------

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Begin a command."""
        return start(*words, folder=self.folder, environ=self.environ, **more)

    def command(self, *words: str, timeout: float = 60) -> Said:
        """Play a command to its end."""
        return command(*words, folder=self.folder, environ=self.environ, timeout=timeout)


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def faults(self) -> list[str]:
        """The paragraphs of the message."""
        return [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]


def start(*words: str, folder: Path, environ: Mapping[str, str] | None = None, **more: Any) -> subprocess.Popen[str]:
    """Begin a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "scimsync", *words],
        cwd=folder,
        env=_environ(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def _environ(more: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GENESYS", "NO_COLOR"))}
    return {**kept, **(more or {})}


def command(*words: str, folder: Path, environ: Mapping[str, str] | None = None, timeout: float = 60) -> Said:
    """Play a command to its end; whatever it says must be fit to be read."""
    said = Said(*forker().command(words, folder, _environ(environ), timeout))
    assert "Traceback" not in said.err, said.err
    assert SECRET not in said.out + said.err
    assert "\x1b" not in said.out + said.err
    return said


@contextlib.contextmanager
def house(
    folder: Path, *faults: Mapping[str, object], users: int = 60, configure: bool = True, **options: object
) -> Iterator[House]:
    """A house whose HR and directory agree, but for what a first run always has to add."""
    wanted = Simulated(
        users=users,
        seed=SEED,
        client_id=CLIENT,
        client_secret=SECRET,
        options={"rate_limit": 0, "login_limit": 0, **switched(), **options},
        faults=faults,
    )
    folder.mkdir(parents=True, exist_ok=True)
    with running(wanted) as simulator:
        found = House(folder, simulator, users)
        if configure:
            found.configure()
            found.write_hr(found.people)
        yield found


def switched() -> dict[str, object]:
    """The switch that a whole round of tests is played under, where `tools/switch-matrix` sets one."""
    name, _, value = os.environ.get("SCIMSYNC_SWITCH", "").partition("=")
    return {name: value} if name else {}


def row(someone: Person) -> Sequence[str | None]:
    found = record(someone)
    return [found[column] for column in COLUMNS]


def csv_of(persons: Iterable[Person]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(row, persons))
    return text.getvalue().encode()


def call(url: str, body: object = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error


def actions(made: Plan) -> dict[str, str]:
    """key -> action; of leavers, what takes their access away."""
    return {change.key: change.action.value for change in made.changes if change.part != BESIDES}


def change_of(made: Plan, who: Person) -> Change:
    return next(change for change in made.changes if change.key == who.employee_id)


def paths(made: Plan, who: Person) -> set[str]:
    """What would be written for one person."""
    written = {Verdict.WRITE, Verdict.AWAIT, Verdict.DEFER}
    return {d.path for c in made.changes if c.key == who.employee_id for d in c.deltas if d.verdict in written}


def codes(made: Plan) -> set[str]:
    return {finding.code for finding in made.findings}


def outcome(report: Report, who: Person) -> Outcome:
    """The last word on one person."""
    return report.outcomes[who.employee_id][-1]


def status(report: Report, who: Person) -> Status:
    return outcome(report, who).status
