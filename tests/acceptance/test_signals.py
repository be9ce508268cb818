"""Ctrl-C, SIGTERM and SIGHUP at any moment of the installed command: one line, one code, nothing half done."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.runs import House, house

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
#: long enough for any machine; nobody waits for it, since the process is told to stop
FOREVER = 60.0
HANG = {"on": "list", "kind": "hang", "seconds": FOREVER, "times": 0}


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[House]:
    """A house whose directory never answers a listing."""
    with house(tmp_path) as home:
        home.fault(HANG)
        yield home


def until(process: subprocess.Popen[str], ready: Callable[[], object]) -> None:
    """Wait for something, or for the end of the process."""
    while not ready() and process.poll() is None:
        time.sleep(0.01)


def planning(home: House, process: subprocess.Popen[str]) -> None:
    until(process, lambda: home.counted("list"))


@pytest.mark.parametrize("number", NAMES)
@pytest.mark.parametrize("command", ["plan", "sync", "doctor"])
def test_a_signal_while_the_directory_is_asked_ends_with_its_code_and_one_line(
    tmp_path: Path, command: str, number: signal.Signals
) -> None:
    on = "schema" if command == "doctor" else "list"
    with house(tmp_path) as home:
        home.fault({**HANG, "on": on})
        with home.start(command) as process:
            until(process, lambda: home.counted(on))
            process.send_signal(number)
            _, err = process.communicate(timeout=FOREVER / 2)
        assert process.returncode == 128 + number, err
        assert err.splitlines()[-1] == f"Stopped ({NAMES[number]})."
        assert "Traceback" not in err
        home.fault()
        assert list((home.folder / ".scimsync/artifacts").glob("workbench-*")) == []
        assert home.command("sync").code == 0  # nobody holds the lease any more


def test_signals_on_signals_end_it_without_a_traceback(hanging: House) -> None:
    with hanging.start("plan") as process:
        planning(hanging, process)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        _, err = process.communicate()
    assert "Traceback" not in err, err
    assert process.returncode in {130, -signal.SIGINT}


def test_a_command_that_was_started_deaf_to_ctrl_c_hears_it_and_nohup_is_respected(hanging: House) -> None:
    deaf = (
        "import os, signal, sys\n"
        "for number in (signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'scimsync', 'plan'])"
    )
    environ = {"PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        [sys.executable, "-c", deaf], cwd=hanging.folder, env=environ, stderr=subprocess.PIPE, text=True
    ) as process:
        planning(hanging, process)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=FOREVER / 2)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "Stopped (Ctrl-C)."
