"""The official SDKs of Genesys Cloud against the simulator: as clients, and as models of every answer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from scimsync.scim.genesys import GENESYS
from scimsync.simulator.options import SWITCHES
from scimsync.simulator.server import Running, Settings, running
from scimsync.simulator.statements import STANDINGS, STATEMENTS

ROOT = Path(__file__).parents[2]
HERE = ROOT / "tests" / "sdks"
#: where `make test` installs them
SDKS = Path(os.environ.get("SCIMSYNC_SDKS") or Path(sys.prefix) / "sdks")
needs_sdks = pytest.mark.skipif(not SDKS.is_dir(), reason="install the SDKs: tools/sdks PYTHON FOLDER")
#: what is sent beyond the models, with the reason in the table of statements
BEYOND = "schemas: not in ScimV2SchemaDefinition"

Told = list[dict[str, Any]]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Running]:
    with running(Settings(users=60, seed=7, options={"rate_limit": 0})) as found:
        yield found


def told_by(command: Sequence[str], home: Path, **environment: str) -> Told:
    """What a client says of each answer, one JSON object a line."""
    found = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environment},
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def python_told(simulator: Running, tmp_path_factory: pytest.TempPathFactory) -> Told:
    command = [sys.executable, str(HERE / "python_client.py")]
    login = [simulator.api_url, simulator.client_id, simulator.client_secret]
    return told_by([*command, *login], tmp_path_factory.mktemp("home"), PYTHONPATH=str(SDKS / "python"))


@pytest.fixture(scope="module")
def node_told(simulator: Running, tmp_path_factory: pytest.TempPathFactory) -> Told:
    command = ["node", str(HERE / "node_client.cjs"), str(SDKS / "node")]
    login = [simulator.api_url, simulator.client_id, simulator.client_secret]
    return told_by([*command, *login], tmp_path_factory.mktemp("home"))


@needs_sdks
def test_the_python_sdk_reads_every_answer(python_told: Told) -> None:
    assert len(python_told) >= 90
    assert [t for t in python_told if t["outdated"]] == [], "a word that the models do not know"
    unread = {place for t in python_told for place in t["unread"]}
    assert {place for place in unread if not place.endswith(BEYOND)} == set()
    assert any(place.endswith(BEYOND) for place in unread), "an exception that is none any more stays listed"


@needs_sdks
def test_the_python_sdk_gets_what_it_asks_for(python_told: Told) -> None:
    done, provoked = {200, 201, 204}, {("post", 409), ("patch", 400), ("patch", 409), ("get", 404)}
    refused = {(t["operation"].partition("_")[0], t["status"]) for t in python_told if t["status"] not in done}
    assert refused == provoked, "a taken name, a stale version, and ids that are not there (any more)"
    kinds = {(t["operation"], t["status"]): t["model"] for t in python_told if t["status"] != 200}
    assert kinds["post_scim_v2_users", 409] == kinds["patch_scim_v2_user", 400] == "ScimError"
    assert kinds["get_scim_v2_user", 404] == kinds["patch_user", 409] == "ErrorBody"


@needs_sdks
def test_every_scim_operation_of_the_sdk_is_called(python_told: Told) -> None:
    source = (SDKS / "python" / "PureCloudPlatformClientV2" / "apis" / "scim_api.py").read_text(encoding="utf-8")
    offered = set(re.findall(r"    def (\w+_scim_\w+)\(", source))
    assert len(offered) == 30
    assert offered - {t["operation"] for t in python_told} == set()


# --- JavaScript ---------------------------------------------------------------------------------------


class Types:
    """The interfaces of index.d.ts: members with their types; which are required is said of requests."""

    plain: ClassVar[Mapping[str, Any]] = {"string": str, "boolean": bool, "number": int | float}

    def __init__(self, text: str) -> None:
        self.interfaces = {
            name: dict(re.findall(r'"([^"]+)"\??: ([^\n]+);', body))
            for name, body in re.findall(r"export interface (\w+) \{(.*?)\n\t\}", text, re.DOTALL)
        }
        self.results = dict(re.findall(r"^\s+(\w+)\([^\n]*\): Promise<([^\n]+)>;", text, re.MULTILINE))

    def unread(self, type_: str, value: Any, where: str) -> Iterator[str]:
        """Where a value departs from a type."""
        type_ = type_.removeprefix("Models.").strip()
        if listed := re.fullmatch(r"Array<(.*)>", type_):
            for item in value:
                yield from self.unread(listed[1], item, f"{where}[]")
        elif type_ in self.interfaces:
            members = self.interfaces[type_]
            yield from (f"{where}.{name}: not in {type_}" for name in value.keys() - members.keys())
            for name in value.keys() & members.keys():
                yield from self.unread(members[name], value[name], f"{where}.{name}")
        elif not isinstance(value, self.plain.get(type_, object)):
            yield f"{where}: no {type_}"


@needs_sdks
def test_the_javascript_sdk_reads_every_answer(node_told: Told) -> None:
    folder = SDKS / "node" / "node_modules" / "purecloud-platform-client-v2"
    types = Types((folder / "index.d.ts").read_text(encoding="utf-8"))
    answered = [t for t in node_told if t["status"] == 200]
    assert len(answered) >= 70
    read = [t for t in answered if t["operation"] in types.results and t["answer"]]
    assert len(read) >= 60
    unread = {p for t in read for p in types.unread(types.results[t["operation"]], t["answer"], t["operation"])}
    assert {place for place in unread if not place.endswith(BEYOND)} == set()


@needs_sdks
def test_the_javascript_sdk_gets_what_it_asks_for(node_told: Told) -> None:
    refused = {(t["operation"], t["status"]) for t in node_told if t["status"] != 200}
    assert refused == {(f"{verb}{family}User{end}", status) for family in ("Scim", "ScimV2")
                       for verb, end, status in (("post", "s", 409), ("patch", "", 400))}  # fmt: skip


# --- the table of statements ----------------------------------------------------------------------------


def test_every_row_of_the_table_is_honest() -> None:
    schemas = (*GENESYS.users.schemas,)
    attributes = {a.name for schema in schemas for a in schema.attributes}
    for row in STATEMENTS:
        file, _, name = row.test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), row
        assert row.stands in STANDINGS, row
        assert (row.switch in SWITCHES) if row.switch else row.stands != "open", row
        assert not row.dialect or hasattr(GENESYS, row.dialect) or row.dialect in attributes, row
    assert {row.stands for row in STATEMENTS} == set(STANDINGS)


@needs_sdks
def test_every_member_of_a_model_and_every_operation_has_its_row() -> None:
    told = [(of, name) for row in STATEMENTS for of in row.of for name in row.names]
    package = SDKS / "python" / "PureCloudPlatformClientV2"
    offered = set()
    for file in (*package.glob("models/scim_*.py"), package / "models" / "manager.py"):
        source = file.read_text(encoding="utf-8")
        model = re.search(r"^class (\w+)\(", source, re.MULTILINE)
        members = re.search(r"attribute_map = \{(.*?)\}", source, re.DOTALL)
        assert model, file
        assert members, file
        offered |= {(model[1], name) for name in re.findall(r": '([^']+)'", members[1])}
    operations = (package / "apis" / "scim_api.py").read_text(encoding="utf-8")
    named = {(verb, noun) for verb, noun in re.findall(r"    def (\w+)_scim_v2_(\w+)\(", operations)}
    offered |= {(f"{verb}_{noun}", "") for verb, noun in named}
    assert offered - set(told) == set(), "said by the SDK, and not in the table"
    assert {(of, name) for of, name in told if of[0].isupper()} - offered == set(), "in the table, and not in the SDK"
