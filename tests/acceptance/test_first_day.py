"""The first day with the installed command: help, init, simulate, doctor, a first plan."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import CLIENT, SECRET, House, command, house, start

COMMANDS = ["init", "config", "doctor", "plan", "apply", "sync", "runs", "metrics", "simulate", "demo"]
HEAVY = ["duckdb", "sqlalchemy", "httpx2", "scim2_models", "pydantic", "rich", "msgspec", "uvicorn", "phonenumbers",
         "jinja2", "structlog", "prometheus_client"]  # fmt: skip


@pytest.mark.parametrize("words", [["--help"], ["plan", "--help"], ["config", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    """Must show 7."""
    script = (
        "import sys\n"
        f"sys.argv = ['scimsync', *{words!r}]\n"
        "from scimsync.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('LOADED', sorted(set(sys.modules) & set({HEAVY!r})))\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert said.stdout.splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, tmp_path: Path) -> None:
    said = command(name, "--help", folder=tmp_path)
    assert said.code == 0
    assert re.search(rf"scimsync {name}\b", said.out.partition("Usage:")[2].partition("\n")[2]), said.out


def test_a_command_or_option_that_does_not_exist_exits_with_2(tmp_path: Path) -> None:
    assert command("paln", folder=tmp_path).code == 2
    assert command("plan", "--jsno", folder=tmp_path).code == 2


def test_from_an_empty_folder_to_a_first_plan_in_three_commands(tmp_path: Path) -> None:
    said = command("init", folder=tmp_path)
    assert said.code == 0
    assert "scimsync plan" in said.out
    config = tmp_path / "scimsync.toml"
    with start(
        "simulate", "--users", "30", "--option", "rate_limit=0", "--client-id", CLIENT, "--client-secret", SECRET,
        folder=tmp_path,
    ) as simulator:  # fmt: skip
        try:
            printed = []
            assert simulator.stdout is not None
            for line in simulator.stdout:
                printed.append(line)
                if line.startswith("export GENESYS_CLIENT_SECRET"):
                    break
            table = "".join(line for line in printed if not line.startswith("export "))
            text = config.read_text()
            before, after = text.index("[target]"), text.index("[correlation]")
            config.write_text(text[:before] + table + text[after:])
            environ = {
                name: value
                for name, _, value in (
                    line.removeprefix("export ").strip().partition("=")
                    for line in printed
                    if line.startswith("export ")
                )
            }
            assert command("doctor", folder=tmp_path, environ=environ).code == 0
            assert command("plan", folder=tmp_path, environ=environ).code == 0
            assert command("apply", "--yes", folder=tmp_path, environ=environ).code == 0
            assert command("plan", "--detailed-exitcode", folder=tmp_path, environ=environ).code == 0
        finally:
            simulator.send_signal(signal.SIGINT)
            simulator.communicate(timeout=10)
    assert simulator.returncode == 0


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    assert command("init", "org", folder=tmp_path).code == 0
    before = (tmp_path / "org/scimsync.toml").read_bytes()
    said = command("init", "org", folder=tmp_path)
    assert said.code == 2
    assert "overwritten" in said.err
    assert (tmp_path / "org/scimsync.toml").read_bytes() == before


def test_simulate_announces_itself_as_one_line_of_json(tmp_path: Path) -> None:
    with start("simulate", "--json", "--users", "5", folder=tmp_path) as simulator:
        assert simulator.stdout is not None
        said = json.loads(simulator.stdout.readline())
        simulator.send_signal(signal.SIGINT)
        simulator.communicate(timeout=10)
    assert {"api_url", "login_url", "client_id", "client_secret"} <= set(said)


# --- doctor -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("doctor"), users=20) as found:
        yield found


@pytest.fixture
def home(shared: House) -> House:
    shared.configure()
    shared.write_hr(shared.people)
    return shared


def checks(home: House) -> dict[str, tuple[str, str]]:
    said = home.command("doctor", "--json")
    return {check["check"]: (check["result"], check["detail"]) for check in json.loads(said.out)}


def test_doctor_finds_a_good_set_up_good(home: House) -> None:
    said = home.command("doctor")
    assert said.code == 0
    assert {line.split()[0] for line in said.out.splitlines()} == {"ok"}
    assert home.writes() == 0


def test_doctor_names_a_wrong_secret_and_looks_at_the_rest_all_the_same(home: House) -> None:
    wrong = home.folder / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("canary-wrong-secret")
    home.configure(target=home.target.replace("file:client_secret", "file:wrong"))
    found = checks(home)
    assert found["target"][0] == "fail"
    assert CLIENT in found["target"][1]
    assert "canary" not in found["target"][1].replace(CLIENT, "")
    assert found["source"][0] == found["state"][0] == "ok"
    assert home.command("doctor").code == 5


def test_doctor_names_a_source_that_cannot_be_read_and_looks_at_the_target_all_the_same(home: House) -> None:
    home.hr("DROP TABLE employee")
    found = checks(home)
    assert found["source"][0] == "fail"
    assert found["target"][0] == "ok"
    assert home.command("doctor").code == 3


def test_doctor_names_every_fault_of_the_configuration(home: House) -> None:
    home.configure(authority="whoever", limits={"disable": "many"})
    said = home.command("doctor")
    assert said.code == 2
    assert "whoever" in said.out
    assert "many" in said.out


def test_doctor_names_a_state_that_is_damaged(home: House) -> None:
    state = home.folder / "damaged.db"
    state.touch(mode=0o600)
    state.write_bytes(b"this is no database" * 500)
    home.configure(more='[state]\nurl = "sqlite:///damaged.db"\n')
    found = checks(home)
    assert found["state"][0] == "fail"
    assert home.command("doctor").code == 6
