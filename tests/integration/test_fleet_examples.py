"""The examples under examples/fleet: what they start is started here, as processes, and does what they say."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.postgres import free_port, postgres_url
from tests.soak import WHOLE

from scimsync.cli.fleet_commands import worker
from scimsync.config import load_fleet
from scimsync.services import workers

pytest.importorskip("dbos")
EXAMPLES = Path(__file__).parents[2] / "examples/fleet"
COMPOSE: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: Mapping[str, Any] = COMPOSE["services"]


@contextmanager
def started(service: str, folder: Path, environ: Mapping[str, str], ports: Mapping[str, str]) -> Iterator[Any]:
    """The command of a service, in a process of this machine; ports that compose fixes are free ones here."""
    words = [ports.get(word, word).replace("/tmp/", f"{folder.parent}/") for word in SERVICES[service]["command"]]
    with (folder.parent / f"{service}.log").open("wb") as log:
        made = subprocess.Popen(
            [sys.executable, "-m", "scimsync", *words],
            cwd=folder,
            env={**os.environ, **environ},
            stdout=log,
            stderr=log,
        )
    try:
        yield made
        made.send_signal(signal.SIGTERM)
        code = made.wait(90)
        assert code in {0, 143}, (folder.parent / f"{service}.log").read_text(encoding="utf-8")
    finally:
        made.kill()
        made.wait()


def until(what: Any, folder: Path) -> None:
    end = time.monotonic() + 120
    while not what():
        said = {log.name: log.read_text(encoding="utf-8") for log in folder.parent.glob("*.log")}
        assert time.monotonic() < end, said
        time.sleep(0.1)


def test_the_commands_of_the_compose_file_synchronise_a_demo_fleet(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    folder.mkdir()
    port = free_port()
    ports = {"9001": str(port), "8787": str(free_port()), "20": "2" if WHOLE else "1"}
    with postgres_url() as url:
        environ = {"FLEET_DATABASE_URL": url}
        with started("simulators", folder, environ, ports):
            until((folder / "fleet.toml").exists, folder)
            with started("worker-1", folder, environ, ports), ExitStack() as more:
                known = load_with(folder / "fleet.toml", environ)
                until(lambda: settled(known) == {one.name for one in known.members}, folder)
                assert (folder.parent / "alive").exists()
                if not WHOLE:
                    return
                more.enter_context(started("console", folder, environ, ports))
                health = f"http://127.0.0.1:{ports['8787']}/healthz"
                until(lambda: answers(health), folder)


def load_with(file: Path, environ: Mapping[str, str]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        return load_fleet(file)


def settled(known: Any) -> set[str]:
    """Organisations of which a run is over, and well."""
    board = workers.make_board(known)
    try:
        return {name for name, one in board.noted().items() if not one.goes_on and one.line["code"] == 0}
    finally:
        board.close()


def answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_every_service_is_guarded_and_waits_for_what_it_needs() -> None:
    for name, service in SERVICES.items():
        assert service["healthcheck"], name
        if name != "db":
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["image"] == "scimsync", name


def test_the_manifest_and_the_unit_start_a_worker_with_options_that_there_are() -> None:
    known = {name for parameter in worker.params for name in parameter.opts}
    documents = list(yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text(encoding="utf-8")))
    container = documents[1]["spec"]["template"]["spec"]["containers"][0]
    unit = (EXAMPLES / "scimsync-worker@.service").read_text(encoding="utf-8")
    started = re.search(r"^ExecStart=\S+/scimsync (.*)$", unit, re.MULTILINE)
    assert started
    for words in (container["args"], started.group(1).split()):
        assert words[0] == "worker"
        assert {word for word in words if word.startswith("--")} <= known
    config = documents[0]["data"]
    assert tomllib.loads(config["fleet.toml"])["organisation"][0]["extends"] in config
