"""Death and interruption of the installed command: nothing happens twice, nothing is forgotten."""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.runs import House, house

from scimsync import bootstrap
from scimsync.config import load
from scimsync.model.events import MessageState
from scimsync.model.outcomes import Status

#: seconds that each write takes, so that there is a middle to be killed in
SLOW = {"on": "patch", "kind": "hang", "seconds": 0.15, "times": 0}


@contextmanager
def busy(tmp_path: Path, when: str = "after", number: int = 140) -> Iterator[House]:
    """A house with many changes planned, some of them joiners who lead each other, and a slow target."""
    with house(tmp_path, users=200) as home:
        home.settle()
        for who in home.active(number):
            home.set(who, job_title="Moved")
        boss = home.newcomer(0)
        home.hire(boss, *(home.newcomer(i, manager_id=boss.employee_id) for i in range(1, 10)))
        home.plan()
        home.fault({**SLOW, "when": when}, {**SLOW, "on": "post", "when": when})
        yield home


def wait_for_effects(home: House, number: int, process: subprocess.Popen[str]) -> None:
    started = time.monotonic()
    while home.counted("effective_writes") < number and process.poll() is None:
        assert time.monotonic() - started < 300
        time.sleep(0.005)


@pytest.mark.parametrize(("when", "seed"), [("after", 1), ("before", 2)])
def test_apply_killed_again_and_again_writes_every_change_exactly_once(tmp_path: Path, when: str, seed: int) -> None:
    draw = random.Random(seed)
    with busy(tmp_path, when) as home:
        deaths = 0
        for number in (0, 8, 40, 90, 125):
            process = home.start("apply", "--yes")
            with process:
                wait_for_effects(home, number + draw.randint(1, 5), process)
                time.sleep(draw.random() * 0.05)
                process.kill()
            deaths += process.returncode == -signal.SIGKILL
        home.fault()
        said = home.command("apply", "--yes")
        assert deaths >= 4
        assert said.code == 0, said.out + said.err
        joiners = {entry["id"] for entry in home.history() if entry["method"] == "POST"}
        assert len(joiners) == 10
        many = {id_: n for id_, n in home.effects().items() if n > (2 if id_ in joiners else 1)}
        assert many == {}
        assert len(home.effects()) == 150
        assert home.unsettled() == set()
        home.quiet()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_brings_running_writes_to_their_end_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    with busy(tmp_path) as home:
        home.fault({**SLOW, "seconds": 2.0, "skip": 20, "when": "after"})
        process = home.start("apply", "--yes")
        wait_for_effects(home, 20, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 11, out + err
        assert "Traceback" not in err
        assert "scimsync apply" in out + err
        assert home.unsettled() == set()
        assert 20 <= len(home.history()) < 150
        home.fault()
        assert home.command("apply", "--yes").code == 0
        assert len(home.effects()) == 150
        home.quiet()


def test_ctrl_c_twice_ends_at_once_without_a_traceback_and_apply_settles_the_rest(tmp_path: Path) -> None:
    with busy(tmp_path) as home:
        home.fault({**SLOW, "seconds": 600.0, "skip": 20, "when": "after"})
        with home.start("apply", "--yes") as process:  # 10 joiners and 20 movers pass, the rest hang
            wait_for_effects(home, 10 + 20 + 4, process)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert "again to stop at once" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        assert process.returncode == 11
        assert "scimsync apply" in out + err
        home.fault()
        assert home.command("apply", "--yes").code == 0
        assert set(home.effects().values()) <= {1, 2}
        assert home.unsettled() == set()
        home.quiet()


def stop_between_commits(process: subprocess.Popen[str], home: House) -> None:
    """Stop a process where it does not hold the database itself."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        with closing(sqlite3.connect(home.folder / ".scimsync/state.db", timeout=0)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                continue
            database.rollback()
            return


def test_a_second_apply_beside_a_running_one_names_process_and_host_and_writes_nothing(tmp_path: Path) -> None:
    with busy(tmp_path) as home, home.start("apply", "--yes") as process:
        wait_for_effects(home, 5, process)
        stop_between_commits(process, home)  # however slow the machine is, it is not done before the second comes
        said = home.command("apply", "--yes")
        process.send_signal(signal.SIGCONT)
        assert said.code == 6
        assert len(said.faults) == 1
        assert str(process.pid) in said.err
        assert socket.gethostname() in said.err
        assert str(os.getpid()) not in said.err
        assert process.wait(timeout=60) == 0
        assert len(home.effects()) == 150
        home.quiet()


def test_every_outcome_that_is_durable_has_its_event_in_the_outbox_and_no_other(tmp_path: Path) -> None:
    with busy(tmp_path, number=40) as home, socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        home.environ["HOOK"] = "x" * 32
        address = f"http://127.0.0.1:{door.getsockname()[1]}/"
        home.configure(more=f'[[webhook]]\nurl = "{address}"\nsecret = "env:HOOK"\nallow_private = true\n')
        for number in (2, 10, 20):
            with home.start("apply", "--yes") as process:
                wait_for_effects(home, number, process)
                process.kill()
        home.fault()
        assert home.command("apply", "--yes").code == 0
        settings = load(home.file, secrets=False)
        with bootstrap.open_store(settings) as store:
            (webhook,), run = settings.webhooks, store.runs()[0]
            lines = [line.outcome for line in store.journal(run.id)]
            written = [
                outcome.key for outcome in lines if outcome and outcome.written and outcome.status is Status.DONE
            ]
            messages = store.messages(webhook.name, MessageState.PENDING, 10_000)
        assert sorted(message.person for message in messages if message.person) == sorted(written)
        assert len({message.id for message in messages}) == len(messages)
