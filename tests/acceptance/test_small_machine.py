"""A small machine: 512 MB and 64 open files. A run goes through, or ends in a sentence; nobody is hurt by it."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from tests.runs import house

#: bytes of memory, open files, and whether a run must go through there
MACHINES = [(512 << 20, 64, False), (1 << 30, 64, True), (2 << 30, 16, False)]


@pytest.mark.parametrize(("memory", "files", "enough"), MACHINES)
def test_a_run_on_a_small_machine_goes_through_or_ends_in_a_sentence(
    tmp_path: Path, memory: int, files: int, *, enough: bool
) -> None:
    def narrow() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with house(tmp_path, users=40) as home:
        home.settle()
        movers = home.active(30)
        home.hr("UPDATE employee SET job_title = 'Lead'")
        with home.start("sync", preexec_fn=narrow) as process:
            out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        assert process.returncode == 0 or not enough, (process.returncode, out, err)
        assert process.returncode == 0 or err.startswith("error: "), err
        home.command("sync")
        assert {home.account(who)["title"] for who in movers} == {"Lead"}
        assert set(home.effects().values()) == {1}
        home.quiet()
