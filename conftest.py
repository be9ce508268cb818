"""What holds for all tests: where they write, what the collector leaves alone, and that in CI a skip is a failure."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

#: one `test id: reason` a line
LISTED = Path(__file__).parent / "tests" / "allowed-skips.txt"
#: where files wait for no disk, and what must be free there; what a test wrote goes with it, unless it failed
MEMORY, ROOM = Path("/dev/shm"), 2 << 30  # noqa: S108 - what is made there has names of its own


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Write to memory: a state is synced to disk with each step of a run, and no test takes the power away."""
    if _in_memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _in_memory() -> bool:
    if not os.access(MEMORY, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(MEMORY)
    return not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize >= ROOM


def pytest_collection_finish() -> None:
    """Let the garbage collector look at what comes: all modules and thousands of tests stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure() -> None:
    """Give it everything back, for the end."""
    gc.unfreeze()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run that skipped a test without leave."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None:
        return
    allowed = {line.partition(": ")[0] for line in LISTED.read_text(encoding="utf-8").splitlines() if ": " in line}
    skipped = {report.nodeid for report in reporter.stats.get("skipped", [])} - allowed
    for name in sorted(skipped):
        reporter.write_line(f"\nskipped without leave: {name}. List it in {LISTED.name} with a reason, or make it run.")
    if skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
