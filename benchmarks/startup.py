"""How long a command takes that has little to do: `--help` beside `python -c pass`, a `plan` beside an earlier one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import ROOT, Report, Row, Size, Spent, run, served

#: the people of a plan are always as many
USUAL = 0
PEOPLE = 25
#: the commit that plans are compared with: the one before they were made fast
BEFORE = "81ffb48"
NOTES = (
    "wall time of the whole process, the two in turns, after a warm-up of each; bytecode is compiled.",
    "`python -m scimsync --help` against `python -c pass`, the same interpreter.",
    f"`plan` of {PEOPLE} accounts at a simulator that does not limit the rate, of a CSV and of an SQLite database: two "
    "people joined, one left. The state is there, nothing was applied. The simulator is another process.",
)
_CONFIG = """\
[source]
{source}
key = "employee_id"
[target]
dialect = "genesys"
api_url = "{api_url}"
login_url = "{login_url}"
client_id = "env:BENCH_CLIENT_ID"
client_secret = "env:BENCH_CLIENT_SECRET"
[correlation]
match = ["externalId", "enterprise:employeeNumber", "userName"]
[attributes]
userName = "lower(trim(email))"
displayName = "first_name || ' ' || last_name"
active = {{ value = "status = 'active'", authority = "local_wins" }}
externalId = "employee_id"
title = "job_title"
"enterprise:employeeNumber" = "employee_id"
"enterprise:department" = "department"
"enterprise:division" = "division"
"enterprise:dateHire" = "hire_date"
"enterprise:manager" = "ref(manager_id)"
'phoneNumbers[type eq "work"].value' = "e164(phone, country)"
'phoneNumbers[type eq "mobile"].value' = {{ value = "e164(mobile, country)", authority = "cloud_wins" }}
"genesys:routingSkills" = {{ value = "skills(skill_list)", authority = "merge" }}
[policy]
authority = "ask"
"""
_SOURCES = {
    "csv": 'kind = "csv"\npath = "hr.csv"',
    "sql": 'kind = "sql"\nurl = "sqlite:///hr.db"\nquery = "SELECT * FROM employee"',
}


def measure(size: Size) -> Report:
    """Take alternating pairs; more than elsewhere, because a start is short."""
    rows = [*_help(size.pairs * 5)]
    notes = [*NOTES]
    with tempfile.TemporaryDirectory(prefix="scimsync-bench-") as made, _simulator() as announced:
        older = _checkout(Path(made)) if size.pairs > 1 else None
        if older is None:
            notes.append(f"not compared with {BEFORE}: that commit is not in this clone, or this is a quick look.")
        for kind in _SOURCES:
            rows += _plans(Path(made), kind, announced, older, size.pairs * 3 if size.pairs > 1 else 1)
    return Report(name="startup", size=Size(people=0, usual=0, pairs=size.pairs), notes=notes, rows=rows)


def _help(pairs: int) -> Iterator[Row]:
    ours, nothing = (sys.executable, "-m", "scimsync", "--help"), (sys.executable, "-c", "pass")
    run(*ours)
    run(*nothing)
    taken = [(run(*ours).wall, run(*nothing).wall) for _ in range(pairs)]
    yield Row(work="scimsync --help / python -c pass", values=[o / n for o, n in taken], bar="<= 8", always=True)
    yield Row(work="scimsync --help", values=[o for o, _ in taken], unit="s", bar="<= 0.25", always=True)
    yield Row(work="python -c pass", values=[n for _, n in taken], unit="s")


def _plans(made: Path, kind: str, announced: dict[str, str], older: Path | None, pairs: int) -> Iterator[Row]:
    """Plans of one kind of source; the CSV is what the bars are about."""
    now = _furnished(made / f"{kind}-now", kind, announced)
    before = _furnished(made / f"{kind}-before", kind, announced)
    _plan(now, ROOT / "src")
    if older is not None:
        _plan(before, older)
    ours, theirs = [], []
    for _ in range(pairs):
        ours.append(_plan(now, ROOT / "src"))
        if older is not None:
            theirs.append(_plan(before, older))
    what, judged = f"plan of {PEOPLE}, {kind}", kind == "csv"
    yield Row(work=what, values=[o.wall for o in ours], unit="s", bar="<= 0.9" if judged else "", always=True)
    yield Row(work=f"{what}: CPU", values=[o.cpu for o in ours], unit="s")
    if theirs:
        walls = [o.wall / t.wall for o, t in zip(ours, theirs, strict=True)]
        yield Row(work=f"{what}, of {BEFORE}", values=walls, bar="<= 0.75" if judged else "", always=True)
        cpus = [o.cpu / t.cpu for o, t in zip(ours, theirs, strict=True)]
        yield Row(work=f"{what}, of {BEFORE}: CPU", values=cpus)


def _plan(folder: Path, source: Path) -> Spent:
    return run(sys.executable, "-m", "scimsync", "plan", folder=folder, source=source)


def _furnished(folder: Path, kind: str, announced: dict[str, str]) -> Path:
    """A folder with the sample that `init` writes, and a configuration that both commits can read."""
    run(sys.executable, "-m", "scimsync", "init", str(folder), "--simulator", "--source", kind)
    (folder / "scimsync.toml").write_text(_CONFIG.format(source=_SOURCES[kind], **announced), encoding="utf-8")
    return folder


@contextmanager
def _simulator() -> Iterator[dict[str, str]]:
    with served("--users", str(PEOPLE), "--option", "rate_limit=0") as announced:
        named = {"BENCH_CLIENT_ID": announced["client_id"], "BENCH_CLIENT_SECRET": announced["client_secret"]}
        os.environ.update(named)
        try:
            yield announced
        finally:
            for name in named:
                del os.environ[name]


def _checkout(made: Path) -> Path | None:
    """The sources of the commit that is compared with; None where this clone does not have it, or is none."""
    try:
        command = ("git", "-C", str(ROOT), "archive", "--format=tar", BEFORE, "src")
        packed = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(made / "older", filter="data")
    return made / "older" / "src"
