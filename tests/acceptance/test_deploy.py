"""examples/deploy: the command line of each file is played as it stands, on a house in place of the paths it names.

Not played here: the images themselves (no registry of images is reached), systemd as process 1, a Kubernetes cluster.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml
from tests.postgres import free_port
from tests.runs import House, house
from tests.soak import WHOLE

DEPLOY = Path(__file__).parents[2] / "examples/deploy"
OURS = "/opt/scimsync/bin/scimsync"
SCHEDULE = '[[schedule]]\nname = "yearly"\ncron = "0 3 1 1 *"\n'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("deploy"), users=20) as found:
        found.configure(more=SCHEDULE)
        found.write_hr(found.people)
        (found.folder / "credentials").write_text("GENESYS_CLIENT_SECRET=unused\n")
        yield found


def here(text: str, home: House) -> str:
    """The paths of a server, as those of this house; our command as it is installed here."""
    text = text.replace(OURS, f"{sys.executable} -m scimsync").replace("/opt/scimsync/bin/python", sys.executable)
    return re.sub(r"/etc/scimsync|/var/lib/scimsync|/srv/scimsync", str(home.folder), text)


def unit(name: str) -> dict[str, dict[str, str]]:
    read = ConfigParser(strict=False, interpolation=None, delimiters="=", comment_prefixes="#")
    read.optionxform = str  # type: ignore[method-assign, assignment] - as systemd does, names keep their capitals
    read.read(DEPLOY / name)
    return {section: dict(read[section]) for section in read.sections()}


def cron_line() -> list[str]:
    [line] = [line for line in (DEPLOY / "scimsync.cron").read_text().splitlines() if line[:1].isdigit()]
    return line.split(maxsplit=6)


def cronjob() -> dict[str, dict[str, object]]:
    _, job = yaml.safe_load_all((DEPLOY / "cronjob.yaml").read_text())
    return job["spec"]["jobTemplate"]["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def in_last_stage(word: str) -> str:
    lines = instructions()
    last = max(at for at, (name, _) in enumerate(lines) if name == "FROM")
    [found] = [rest for name, rest in lines[last:] if name == word]
    return found


def runs_once(name: str) -> str:
    """The command line with which a file runs it once, for a shell."""
    if name == "scimsync-sync.service":
        return unit(name)["Service"]["ExecStart"]
    if name == "scimsync.cron":
        return cron_line()[6]
    [container] = cronjob()["containers"]
    return shlex.join([*json.loads(in_last_stage("ENTRYPOINT")), *container["args"]])  # type: ignore[index]


@pytest.mark.parametrize("name", ["scimsync.cron", "cronjob.yaml", *(["scimsync-sync.service"] if WHOLE else [])])
def test_what_runs_once_plans_and_applies(name: str, home: House) -> None:
    before = len(home.runs())
    played = subprocess.run(
        ["/bin/sh", "-c", here(runs_once(name), home)], cwd=home.folder, capture_output=True, text=True, check=False
    )
    assert played.returncode == 0, played.stderr
    assert len(home.runs()) == before + 1


@pytest.mark.parametrize("name", ["Containerfile", *(["scimsync-serve.service"] if WHOLE else [])])
def test_what_serves_lives_and_ends_where_it_is_told_to(name: str, home: House) -> None:
    port = free_port()
    if name == "Containerfile":
        words = [*json.loads(in_last_stage("ENTRYPOINT")), *json.loads(in_last_stage("CMD"))]
        line = f"{shlex.join(words)} --port {port}"
    else:
        line = f"{unit(name)['Service']['ExecStart']} --port {port}"
    with subprocess.Popen(
        ["/bin/sh", "-c", "exec " + here(line, home)], cwd=home.folder, stderr=subprocess.PIPE, text=True
    ) as served:
        try:
            assert is_healthy(port)
        finally:
            served.send_signal(signal.SIGTERM)
            said = served.communicate(timeout=30)[1]
    assert served.returncode == 0, said


def is_healthy(port: int) -> bool:
    """What the image asks itself, once somebody listens."""
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.05)
    words = json.loads(in_last_stage("HEALTHCHECK").partition("CMD ")[2])
    words = [sys.executable, *(word.replace("8787", str(port)) for word in words[1:])]
    return subprocess.run(words, check=False).returncode == 0


def test_the_image_needs_no_shell_and_no_root() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", in_last_stage("USER"))
    for word in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(in_last_stage(word)), list)
    assert json.loads(in_last_stage("HEALTHCHECK").partition("CMD ")[2])
    lines = instructions()
    last = max(at for at, (name, _) in enumerate(lines) if name == "FROM")
    assert "RUN" not in {name for name, _ in lines[last:]}
    copied = [rest.split()[:-1] for name, rest in lines if name == "COPY" and "--from" not in rest]
    assert all((DEPLOY.parents[1] / name).exists() for names in copied for name in names)


def test_the_job_of_kubernetes_is_alone_not_root_and_writes_only_where_it_must() -> None:
    claim, job = yaml.safe_load_all((DEPLOY / "cronjob.yaml").read_text())
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    pod = cronjob()
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {  # type: ignore[index]
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    mounted = {each["name"] for each in container["volumeMounts"]}  # type: ignore[index]
    assert mounted == {each["name"] for each in pod["volumes"]}
    assert claim["metadata"]["name"] in str(pod["volumes"])


def test_the_units_say_nothing_that_systemd_does_not_know(tmp_path: Path) -> None:
    names = ["scimsync-sync.service", "scimsync-sync.timer", "scimsync-serve.service"]
    for name in names:
        text = (DEPLOY / name).read_text().replace(OURS, "/bin/true")
        (tmp_path / name).write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))
    assert unit(names[0])["Service"]["User"] == "scimsync"
    if shutil.which("systemd-analyze"):
        words = ["systemd-analyze", "verify", *(str(tmp_path / name) for name in names)]
        told = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (told.returncode, told.stderr) == (0, "")
