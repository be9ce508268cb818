"""What tests of several folders share."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from itertools import count, groupby
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from tests.soak import WHOLE, covering

#: programs that run where the SDKs are, and the servers of other people
collect_ignore = ["sdks", "providers"]

_NAMES = count()

# A test run that a closed terminal does not end (nohup) would hand that on to every command that it plays.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# No test is timed: a shared machine may stall. CI must find the same thing twice.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

#: whose tests play whole runs, a second each
WHOLE_RUNS = ("tests/integration/", "tests/acceptance/", "tests/conformance/", "tests/laws/", "tests/unit/engine/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Play whole runs with each value of each parameter; with every combination of them in a soak."""
    if WHOLE or any("[" in word for word in config.args):
        return
    kept: list[pytest.Item] = []
    for name, group in groupby(items, lambda item: item.nodeid.partition("[")[0]):
        cases = [*group]
        if name.startswith(WHOLE_RUNS):
            cases = [cases[at] for at in covering([*map(_values, cases)])]
        kept += cases
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in {*kept}])
    items[:] = kept


def _values(case: pytest.Item) -> dict[str, object]:
    """Parameters that are given together -> which of their values a test is played with."""
    spec = getattr(case, "callspec", None)
    left: dict[str, object] = {name: id(value) for name, value in spec.params.items()} if spec else {"": id(case)}
    for mark in case.iter_markers("parametrize"):
        names = mark.args[0].replace(" ", "").split(",") if isinstance(mark.args[0], str) else mark.args[0]
        left[",".join(names)] = tuple(left.pop(name, None) for name in names)
    return left


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a throw-away PostgreSQL server, one for the session (for each worker of xdist)."""
    path = Path(__file__).parent / "postgres.py"
    spec = importlib.util.spec_from_file_location("scimsync_tests_postgres", path)
    assert spec is not None
    assert spec.loader is not None
    helper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helper)
    with helper.postgres_url() as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url: str) -> str:
    """The URL of a new, empty database on that server."""
    name = f"empty_{next(_NAMES)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres_url.rpartition("/")[0] + "/" + name
