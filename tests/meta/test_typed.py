"""The library as a type checker sees it: what `__init__.pyi` says is what the module gives, and a program of a user
that takes every public name passes `mypy --strict`."""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import scimsync
from scimsync import errors, library

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/scimsync"
PROGRAM = '''\
"""Every public name, as a program uses it."""
import asyncio
from collections.abc import Mapping
from typing import assert_type

import scimsync
from scimsync import (
    AsyncGenesysScimSyncer,
    BlockingSyncer,
    ConflictResolution,
    GenesysScimSyncer,
    ScimsyncError,
    Synchronised,
    Syncer,
    UndeliveredEvents,
    UnsignedWebhook,
    build_delta_matrix,
    check_schema_drift,
    find_cycles,
    patch_operations,
    validate_operations,
)

wanted: Mapping[str, object] = {"title": "Lead", "genesys:routingSkills": [{"name": "Billing", "proficiency": 3.5}]}
with GenesysScimSyncer("id", "secret", "us-east-1", baseline_schema={"title": "string"}) as ours:
    assert_type(ours, GenesysScimSyncer)
    assert_type(ours.sync_user_attributes("x", wanted, ConflictResolution.MERGE), dict[str, object])
    done = ours.synchronise("x", wanted)
    assert_type(done, Synchronised)
    print(done.account["id"], done.plan.id, done.outcome.status.value if done.outcome else "")


async def side_by_side() -> None:
    async with AsyncGenesysScimSyncer("id", "secret", api_url="https://a", login_url="https://b", state=".") as ours:
        assert_type(await ours.sync_user_attributes("x", wanted), dict[str, object])
    plan, report = await Syncer("scimsync.toml").sync("E1", overrides={"limits.disable": "asked for"})
    print(plan.tally.conflicts, report.clean)


front: BlockingSyncer = Syncer("scimsync.toml").blocking
try:
    asyncio.run(side_by_side())
    print(front.sync()[1].statuses)
except ScimsyncError as error:
    print(error.exit_code)

deltas = build_delta_matrix(wanted, {"title": "Clerk"}, {"title": "Clerk"}, resolution=ConflictResolution.CLOUD_WINS)
print([(delta.path, delta.sides.desired, delta.verdict.value) for delta in deltas])
operations = patch_operations(deltas)
print([finding.code for finding in validate_operations(operations)], validate_operations([{"op": "add"}]))
print([drift.path for drift in check_schema_drift({"title": "string"}, {"Resources": []})])
print([sorted(loop) for loop in find_cycles({"A": ["B"], "B": ["A"]})])
warnings: tuple[type[Warning], ...] = (UndeliveredEvents, UnsignedWebhook)
assert_type(scimsync.ConflictResolution("merge"), ConflictResolution)
'''
WRONG = """\
from scimsync import ConflictResolution, GenesysScimSyncer, nonsense
ours = GenesysScimSyncer("id", "secret", org="us-east-1")
ours.sync_user_attributes("x", {"title": "Lead"}, "local_wins")
ours.sync_user("x")
"""


def test_the_stub_lists_the_names_that_the_module_gives() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imported = {
        alias.name: f"{node.module}" for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    [listed] = [ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign)]
    assert sorted(listed) == sorted(scimsync.__all__) == sorted(imported)
    for name, home in imported.items():
        assert getattr(scimsync, name) is getattr(sys.modules[home], name)
    assert {name for name, home in imported.items() if home == library.__name__} == {*library.__all__}
    assert set(imported.values()) == {library.__name__, errors.__name__}


def test_a_type_checker_may_rest_on_the_types() -> None:
    assert (PACKAGE / "py.typed").is_file()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python in which scimsync is installed: a checker takes its types only where `py.typed` allows it."""
    home = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    python = home / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    lines = [str(ROOT / "src"), sysconfig.get_path("purelib")]
    (packages / "user.pth").write_text("\n".join(lines), encoding="utf-8")
    return python


def checked(python: Path, folder: Path, program: str) -> tuple[int, str]:
    (folder / "program.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-color-output", "--cache-dir", python.parent / "cache"]
    done = subprocess.run(
        [*command, "--config-file=", "--python-executable", python, "program.py"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_program_that_takes_every_public_name_passes_strict_checks(installed: Path, tmp_path: Path) -> None:
    assert all(name in PROGRAM for name in scimsync.__all__)
    code, said = checked(installed, tmp_path, PROGRAM)
    assert (code, said.startswith("Success")) == (0, True), said


def test_a_program_that_errs_is_told_where(installed: Path, tmp_path: Path) -> None:
    code, said = checked(installed, tmp_path, WRONG)
    assert code == 1
    assert {line.split(":")[1] for line in said.splitlines() if ": error:" in line} == {"1", "2", "3", "4"}
