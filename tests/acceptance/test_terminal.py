"""What a person at a terminal meets, and what happens where there is none."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runs import House, command, house, start

from scimsync.cli.starting import CLIENT, PORT, SECRET


@pytest.fixture
def home(tmp_path: Path) -> House:
    with house(tmp_path / "org", users=40) as found:
        found.settle()
        one = found.active(1)[0]
        found.set(one, job_title="Team Lead")
        yield found


def test_apply_without_a_terminal_refuses_and_says_how_to_agree(home: House) -> None:
    assert home.command("plan").code == 0
    run = home.runs()[0].id
    for words in (["apply"], ["apply", run]):
        said = home.command(*words)
        assert said.code == 2
        assert "--yes" in said.err
        assert run in said.err
        assert home.writes() == 0
    assert home.command("apply", "--yes").code == 0
    assert home.writes() == 1


def test_apply_without_a_terminal_has_nothing_to_ask_where_nothing_is_to_be_written(home: House) -> None:
    assert home.command("sync").code == 0
    assert home.command("plan").code == 0
    assert home.command("apply").code == 0


def test_an_overridden_refusal_still_needs_somebody_to_agree(home: House) -> None:
    home.configure(limits={"update": 0})
    assert home.command("plan").code == 4
    assert home.command("apply", "--override", "limits.update", "--reason", "ticket 17").code == 2
    assert home.writes() == 0


def test_erasing_without_a_terminal_refuses_and_erases_nobody(home: House) -> None:
    assert home.command("sync").code == 0
    who = home.active(1)[0].employee_id
    said = home.command("audit", "erase", who, "--reason", "request 4711")
    assert said.code == 2
    assert "--yes" in said.err
    assert who in home.command("audit", "show", "--user", who).out
    assert home.command("audit", "erase", who, "--reason", "request 4711", "--yes").code == 0


def on_a_terminal(folder: Path, *words: str, **environ: str) -> bytes:
    """What a command prints on a terminal of its own."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "scimsync", *words], cwd=folder, env={**os.environ, "TERM": "xterm", **environ},
        stdin=theirs, stdout=theirs, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # the terminal closes with its last program
                break
            if not chunk:
                break
            shown += chunk
        process.wait(timeout=60)
    os.close(ours)
    return shown


def test_no_color_holds_on_a_terminal_for_data_and_for_errors(home: House) -> None:
    assert b"\x1b[3" in on_a_terminal(home.folder, "doctor", NO_COLOR="")
    for words in (["doctor"], ["plan", "--user", "nobody"], ["runs"]):
        shown = on_a_terminal(home.folder, *words, NO_COLOR="1")
        assert b"\x1b[3" not in shown, words
        assert b"\x1b[1m" not in shown, words


@pytest.mark.parametrize("option", ["--html", "--out", "--keep-accounts"])
def test_an_empty_name_of_a_file_is_refused(home: House, option: str) -> None:
    said = home.command("plan", option, "")
    assert said.code == 2
    assert option in said.err


@pytest.mark.parametrize("place", ["/proc/forbidden", "x" * 300])
def test_init_says_that_a_folder_cannot_be_written(tmp_path: Path, place: str) -> None:
    said = command("init", place, folder=tmp_path)
    assert said.code == 2
    assert "cannot be written" in said.err


def test_apply_of_a_file_that_cannot_be_read_is_one_paragraph(home: House) -> None:
    (home.folder / "monday.ndjson").mkdir()
    for name in ("monday.ndjson", f"{'y' * 300}.ndjson"):
        said = home.command("apply", name, "--yes")
        assert said.code in {2, 4}, said.err
        assert len(said.faults) == 1


@pytest.mark.parametrize("given", ["eu-central-1", "mypurecloud.de", "https://apps.mypurecloud.de/directory/#/admin"])
def test_init_understands_a_region_as_the_address_bar_shows_it(tmp_path: Path, given: str) -> None:
    assert command("init", "--region", given, folder=tmp_path).code == 0
    assert 'region        = "eu-central-1"' in (tmp_path / "scimsync.toml").read_text()


def test_init_names_the_regions_where_one_does_not_exist(tmp_path: Path) -> None:
    said = command("init", "--region", "mypurecloud.xx", folder=tmp_path)
    assert said.code == 2
    assert "eu-central-1 (mypurecloud.de)" in said.err
    assert not (tmp_path / "scimsync.toml").exists()


@pytest.mark.parametrize("source", ["csv", "sql"])
def test_the_five_steps_of_init_show_changes_on_the_simulator(tmp_path: Path, source: str) -> None:
    said = command("init", "--simulator", "--source", source, folder=tmp_path)
    assert said.code == 0
    assert f"--client-id {CLIENT} --client-secret {SECRET}" in said.out
    config = tmp_path / "scimsync.toml"
    assert 'authority = "ask"' in config.read_text()
    environ = {"GENESYS_CLIENT_ID": CLIENT, "GENESYS_CLIENT_SECRET": SECRET}
    with start("simulate", "--json", "--client-id", CLIENT, "--client-secret", SECRET, folder=tmp_path) as simulator:
        try:
            assert simulator.stdout is not None
            port = simulator.stdout.readline().partition("127.0.0.1:")[2].partition('"')[0]
            config.write_text(config.read_text().replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{port}"))
            assert command("doctor", folder=tmp_path, environ=environ).code == 0
            planned = command("plan", folder=tmp_path, environ=environ)
            assert planned.code == 0
            assert "+ 2 create" in planned.out
            assert "- 1 disable" in planned.out
            assert command("apply", "--yes", folder=tmp_path, environ=environ).code == 0
            assert command("plan", "--detailed-exitcode", folder=tmp_path, environ=environ).code == 0
        finally:
            simulator.send_signal(signal.SIGINT)
            simulator.communicate(timeout=10)


def test_init_for_postgres_refers_to_the_address_by_name(tmp_path: Path) -> None:
    said = command("init", "--source", "postgres", folder=tmp_path)
    assert said.code == 0
    assert "HR_DATABASE_URL" in said.out
    assert 'url   = "env:HR_DATABASE_URL"' in (tmp_path / "scimsync.toml").read_text()
