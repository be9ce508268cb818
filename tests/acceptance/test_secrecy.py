"""Must show 4: marked secrets and marked people, every command played, every output searched (docs/privacy.md)."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
from tests.runs import SECRET, House, Said, house

#: stands in every value of the marked people, in any case, and nowhere else
MARK = "zzcanary"
PHONE = "3175550199"
PASSWORD = "canary-database-pa55word"
WEBHOOK = "canary-webhook-k3y"
LOG = '[log]\nformat = "json"\nlevel = "debug"\n[metrics]\ntextfile = "out/scimsync.prom"\n'
HOOK = '[[webhook]]\nurl = "https://hr.example.com/hook"\nsecret = "env:WEBHOOK_SECRET"\n'
#: what docs/privacy.md says: these may show people
SHOWS_PEOPLE = {"plan", "apply", "sync", "runs RUN", "explain"}
HOLDS_PEOPLE = (
    "phones-",
    "mirror-",
    "plan-",
    "agreed-",
    "base-",
    "hr.",
    "report.html",
    "plan.html",
    "plan.ndjson",
    "accounts.ndjson",
)
#: of the health: what at least ten records have in a column of few values, as the page says; all of these are marked
PEOPLE_IN_STORE = {("journal", "outcome"), ("run", "health")}


@dataclass
class Gathered:
    """Everything that was said and left behind."""

    home: House
    said: list[tuple[str, Said]] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)

    def play(self, kind: str, *words: str) -> Said:
        said = self.home.command(*words)
        self.said.append((kind, said))
        return said

    def watch(self, kind: str, *words: str) -> None:
        """Play a command and look at its process, and at those it may have started, while it runs."""
        with self.home.start(*words) as process:
            while process.poll() is None:
                self.processes += [*_seen(process.pid)]
                time.sleep(0.02)
            out, err = process.communicate()
        self.said.append((kind, Said(process.returncode, out, err)))

    @property
    def secrets(self) -> list[str]:
        return [SECRET, PASSWORD, WEBHOOK, *self.home.simulator.simulator.tokens.held]


def _seen(pid: int) -> Iterator[str]:
    """Arguments and environment of a process and of its children."""
    family = [pid]
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            family += map(int, listed.read_text(encoding="ascii").split())
        except OSError:
            continue
    for member in family:
        for name in ("cmdline", "environ"):
            try:
                yield f"{name} " + Path(f"/proc/{member}/{name}").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue


def marked(text: str) -> bool:
    return MARK in text.lower() or PHONE in text


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gathered]:
    """Two days with all kinds of trouble."""
    with house(tmp_path_factory.mktemp("secrecy")) as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBHOOK_SECRET", WEBHOOK)
        (home.folder / "out").mkdir()
        home.environ = {"WEBHOOK_SECRET": WEBHOOK}
        home.configure(more=LOG + HOOK)
        everything = Gathered(home)
        everything.play("doctor", "doctor")
        everything.play("sync", "sync")
        _trouble(home)
        everything.play(
            "plan", "plan", "--html", "plan.html", "--out", "plan.ndjson", "--keep-accounts", "accounts.ndjson"
        )
        everything.play("plan", "plan", "--json")
        home.fault(*_faults())
        everything.watch("sync", "sync", "--all")
        everything.play("apply", "apply", "--json", "--yes")
        everything.play("sync", "sync", "--log", "console")
        run = home.runs()[0].id
        everything.play("runs RUN", "runs", run, "--html", "report.html")
        everything.play("runs RUN", "runs", run, "--json")
        for kind, *words in (["runs"], ["runs", "--json"], ["metrics"], ["metrics", "--json"], ["doctor", "--json"]):
            everything.play(kind, kind, *words)
        for words in (["check"], ["check", "--json"], ["show"], ["show", "--json"], ["schema"]):
            everything.play("config", "config", *words)
        everything.play("plan", "plan", "--user", f"{MARK}-nobody")
        (who,) = home.active(1)
        for more in ((), ("title",), ("--offline",), ("--json",)):
            everything.play("explain", "explain", who.employee_id, *more)
        everything.play("explain", "explain", "zzcanary.doubl@example.com")
        _broken(everything)
        yield everything


def _trouble(home: House) -> None:
    """What HR and others do to marked people in the night."""
    mover, edited, odd, lost, taken, refused, *more = home.active(16)
    for who in (mover, lost, refused, *more):
        home.set(who, job_title=f"Zzcanary Title {who.employee_id}", department="Zzcanary Department")
    home.edit(edited, "title", "Zzcanary Chief")
    home.set(odd, phone="zzcanary at reception")
    home.set(taken, email="zzcanary.double@example.com")
    double = home.newcomer(0, email="zzcanary.double@example.com", first_name="Zzcanary")
    home.hire(double, home.newcomer(1, email="zzcanary.new@example.com", last_name="Zzcanary", phone=PHONE))


def _faults() -> list[Mapping[str, object]]:
    """Refusals that quote values, lost answers, refusals for the rate, and a value that comes back changed."""
    quoted = "the value 'Zzcanary Title' of zzcanary.person@example.com cannot be taken"
    return [
        {"on": "patch", "kind": "status", "status": 400, "message": quoted, "scim_type": "invalidValue", "times": 2},
        {"on": "patch", "kind": "reset", "when": "after", "skip": 2, "times": 1},
        {"on": "patch", "kind": "status", "status": 429, "headers": {"Retry-After": "0"}, "skip": 3, "times": 1},
        {"on": "patch", "kind": "status", "status": 503, "skip": 5, "times": 1},
        {"on": "patch", "kind": "foreign_edit", "path": "title", "value": "Zzcanary Raced", "skip": 6, "times": 1},
        {"on": "patch", "kind": "partial_apply", "areas": ["directory"], "status": 200, "skip": 7, "times": 1},
        {"on": "post", "kind": "reset", "when": "after", "times": 1},
        {"on": "list", "kind": "status", "status": 500, "message": quoted, "times": 1},
    ]


def _broken(gathered: Gathered) -> None:
    """Commands that end with an error."""
    home = gathered.home
    settings = home.file.read_text(encoding="utf-8")
    url = f"postgresql://hr:{PASSWORD}@127.0.0.1:1/hr"
    home.environ["HR_URL"] = url
    broken = settings.replace('url   = "sqlite:///hr.db"', 'url   = "env:HR_URL"')
    assert broken != settings
    home.file.write_text(broken, encoding="utf-8")
    gathered.play("doctor", "doctor")
    gathered.play("config", "config", "show")
    gathered.play("sync", "sync")
    home.file.write_text(settings.replace("[state]", "[stat]") + f'[state]\nurl = "{url}"\n', encoding="utf-8")
    gathered.play("runs", "runs")
    home.file.write_text(settings, encoding="utf-8")
    home.option(expires_in=1)
    home.fault({"on": "token", "kind": "status", "status": 401, "message": f"no {SECRET}", "times": 0})
    gathered.play("sync", "sync")
    home.fault()


def test_the_trouble_took_place(gathered: Gathered) -> None:
    """Else the search would prove nothing."""
    events = {
        json.loads(line)["event"] for _, said in gathered.said for line in said.err.splitlines() if line[:1] == "{"
    }
    assert {"change_held", "change_failed", "request_retried", "request_throttled", "run_failed", "plan_made"} <= events
    assert {said.code for _, said in gathered.said} >= {0, 2, 3, 5, 11}
    assert sum(marked(said.out) for kind, said in gathered.said if kind in SHOWS_PEOPLE) >= 5
    assert gathered.processes


def test_no_secret_is_said(gathered: Gathered) -> None:
    for kind, said in gathered.said:
        assert not [s for s in gathered.secrets if s in said.out or s in said.err], kind


def test_people_are_shown_on_stdout_of_plans_and_runs_only(gathered: Gathered) -> None:
    assert {kind for kind, said in gathered.said if marked(said.out)} <= SHOWS_PEOPLE


def test_talk_errors_and_log_name_people_by_their_key_only(gathered: Gathered) -> None:
    for kind, said in gathered.said:
        shown = [line for line in said.err.splitlines() if marked(line) and f"{MARK}-nobody" not in line]
        assert not shown, (kind, shown)


def test_summaries_of_plans_are_constant_words(gathered: Gathered) -> None:
    for kind, said in gathered.said:
        if kind == "plan" and said.out.startswith("{"):
            document = json.loads(said.out)
            assert not any(marked(finding["summary"]) for finding in document["findings"])
            assert not marked(json.dumps([document["tally"], document["actions"]]))


def test_metrics_hold_neither(gathered: Gathered) -> None:
    text = (gathered.home.folder / "out/scimsync.prom").read_text(encoding="utf-8")
    assert "scimsync_changes_total" in text
    assert not marked(text)
    assert not [s for s in gathered.secrets if s in text]
    assert all(who.employee_id not in text for who in gathered.home.people)


def test_the_process_list_holds_neither(gathered: Gathered) -> None:
    """The environment holds what the user put there: the secret of a webhook that the configuration refers to."""
    for line in gathered.processes:
        mine = line.replace(f"WEBHOOK_SECRET={WEBHOOK}", "")
        assert not marked(mine)
        assert not [s for s in gathered.secrets if s in mine]


def test_the_store_holds_people_where_the_page_says_and_secrets_nowhere(gathered: Gathered) -> None:
    where = set()
    with closing(sqlite3.connect(gathered.home.folder / ".scimsync/state.db")) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = store.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in rows.description]
            for row in rows:
                for column, value in zip(columns, row, strict=True):
                    assert not [s for s in gathered.secrets if s in str(value)], (table, column)
                    if marked(str(value)):
                        where.add((table, column))
    assert where == PEOPLE_IN_STORE


def contents(path: Path) -> str:
    """What a file holds; a Parquet file unpacked."""
    if path.suffix == ".parquet":
        return repr(duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall())
    return path.read_bytes().decode("utf-8", "replace")


def test_files_hold_people_where_the_page_says_and_secrets_nowhere(gathered: Gathered) -> None:
    found = [path for path in gathered.home.folder.rglob("*") if path.is_file()]
    kept = {path.name for path in found if "state.db" not in path.name and marked(contents(path))}
    assert {name for name in kept if not name.startswith(HOLDS_PEOPLE)} == set()
    assert {name.partition("-")[0] for name in kept} >= {"plan", "agreed", "base", "report.html"}
    mine = {"client_secret"}
    for path in found:
        if path.name not in mine:
            assert not [s for s in gathered.secrets if s in contents(path)], path


def test_files_with_people_can_be_read_by_their_owner_only(gathered: Gathered) -> None:
    for path in gathered.home.folder.rglob("*"):
        if path.is_file() and path.name.startswith(HOLDS_PEOPLE) and not path.name.startswith("hr."):
            assert path.stat().st_mode & 0o077 == 0, path


def test_the_page_names_every_place(gathered: Gathered) -> None:
    page = (Path(__file__).parents[2] / "docs/privacy.md").read_text(encoding="utf-8")
    for word in ("`journal`, column `outcome`", "`plan-*.ndjson`", "`agreed-*.parquet`", "`base-*.parquet`", "--html"):
        assert word in page
    with closing(sqlite3.connect(gathered.home.folder / ".scimsync/state.db")) as store:
        tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert not {t for t in tables - {"scimsync_version", "sqlite_sequence"} if f"`{t}`" not in page}
