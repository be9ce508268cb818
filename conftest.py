"""What holds for all tests: in CI a skipped test is a failure, unless it is listed with a reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

#: one `test id: reason` a line
LISTED = Path(__file__).parent / "tests" / "allowed-skips.txt"


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
