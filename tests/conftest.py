"""What tests of several folders share."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

#: programs that run where the SDKs are, and the servers of other people
collect_ignore = ["sdks", "providers"]

_NAMES = count()

# A test run that a closed terminal does not end (nohup) would hand that on to every command that it plays.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# No test is timed: a shared machine may stall. CI must find the same thing twice.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


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
