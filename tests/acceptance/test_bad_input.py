"""Bad input by the installed command: where, what, what next; the right exit code; nothing written; nothing told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.runs import CLIENT, SECRET, SOURCE_CSV, SOURCE_SQL, House, Said, house

from scimsync.cli.sample import ATTRIBUTES


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("bad"), users=30) as found:
        found.settle()
        yield found


@pytest.fixture
def home(shared: House) -> Iterator[House]:
    """The house in good order; a title is new, so that there would be something to write."""
    shared.configure()
    shared.write_hr(shared.people)
    shared.set(shared.active(1)[0], job_title="Moved")
    shared.reset()
    yield shared
    assert shared.writes() == 0


def attributes(**changed: str) -> str:
    lines = [line for line in ATTRIBUTES.splitlines() if line.partition("=")[0].strip() not in changed]
    return "\n".join([*lines, *(f"{name} = {value}" for name, value in changed.items())])


def refused(home: House, code: int, *words: str, faults: int = 1, command: str = "sync") -> Said:
    """Play the command; it must refuse in so many paragraphs, name these words, and tell nothing private."""
    said = home.command(command)
    assert said.code == code, (said.out, said.err)
    assert len(said.faults) == faults, said.err
    for word in words:
        assert word in said.err, (word, said.err)
    for person in home.people:
        assert person.email not in said.err
        assert person.last_name not in said.err
    assert said.out == ""
    return said


# --- mapping ----------------------------------------------------------------------------------


def test_a_missing_column_is_named_with_a_near_one_before_the_target_is_asked(home: House) -> None:
    home.configure(attributes=attributes(title='"job_titel"'))
    refused(home, 2, "title", "job_titel", "job_title")
    assert home.stats()["requests"] == 0


def test_an_unknown_path_is_named_with_a_near_one(home: House) -> None:
    home.configure(attributes=attributes(titel='"job_title"'))
    refused(home, 2, "[attributes]", "titel", "title")


@pytest.mark.parametrize("path", ["id", "groups", "password", "meta"])
def test_a_path_that_cannot_be_written_is_refused(home: House, path: str) -> None:
    home.configure(attributes=attributes(**{path: '"email"'}))
    refused(home, 2, "[attributes]", "cannot be mapped")


@pytest.mark.parametrize("bad", ["lower(", "job_title ||", "read_text('/etc/passwd')", "1; DROP"])
def test_a_bad_expression_is_refused_before_the_target_is_asked(home: House, bad: str) -> None:
    home.configure(attributes=attributes(title=f'"{bad}"'))
    refused(home, 2, "title")
    assert home.stats()["requests"] == 0


def test_all_faults_of_the_configuration_come_at_once(home: House) -> None:
    home.configure(
        source=SOURCE_SQL + 'colour = "blue"\n',
        attributes=attributes(titel='"job_title"', id='"employee_id"'),
        authority="whoever",
        limits={"disable": "many", "creat": 5},
    )
    refused(home, 2, "colour", "titel", "id", "whoever", "many", "creat", "create", faults=6)


def test_all_faults_of_the_expressions_come_at_once(home: House) -> None:
    home.configure(attributes=attributes(title='"lower("', displayName='"nobody"', active='"job_title"'))
    refused(home, 2, "title", "displayName", "active", faults=3)


# --- source -----------------------------------------------------------------------------------


def test_doubled_keys_and_two_records_for_one_account_hold_these_people_and_say_so(home: House) -> None:
    doubled, shared_ = home.active(4)[2:]
    home.hire(replace(doubled, title="Another"), home.newcomer(1, email=shared_.email))
    said = home.command("plan")
    assert said.code == 0
    assert "record.duplicate-key" in said.out
    assert doubled.employee_id in said.out
    assert home.newcomer(1).employee_id in said.out
    assert "+ 0 create" in said.out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["hr.csv", "empty"]),
        (b"employee_id,email\nE1,a@b.c,more\n", ["hr.csv", "line 2"]),
        (b"employee_id,email\nE1\n", ["hr.csv", "line 2"]),
        (b'employee_id,email\nE1,"a@b.c\n', ["hr.csv", "line"]),
        (b"employee_id,email,email\nE1,a@b.c,x\n", ["hr.csv", "email"]),
        (b"number,email\nE1,a@b.c\n", ["hr.csv", "employee_id"]),
        ("employee_id,email\nE1,jürgen@b.c\n".encode("latin-1"), ["hr.csv", "line 2", "encoding"]),
        (b"employee_id,email\nE1,a\x00b\n", ["hr.csv", "line 2"]),
    ],
    ids=["empty", "ragged-long", "ragged-short", "open-quote", "doubled-column", "no-key", "encoding", "nul"],
)
def test_a_csv_that_is_none_is_refused_with_its_place(home: House, content: bytes, words: list[str]) -> None:
    home.configure(source=SOURCE_CSV)
    (home.folder / "hr.csv").write_bytes(content)
    refused(home, 3, *words)
    assert home.stats()["requests"] == 0


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("SELECT * FROM employee", "SELECT * FROM emploee", 3, ["emploee"]),
        ("ORDER BY employee_id", "WHERE 1 = 0", 3, ["source"]),
        ("SELECT *", "DELETE", 3, ["SELECT"]),
        ('key   = "employee_id"', 'key = "badge"', 3, ["badge"]),
        ("sqlite:///hr.db", "sqlite:///nowhere/hr.db", 3, ["nowhere"]),
        ("sqlite:///hr.db", "nosuchdb://x", 3, ["nosuchdb"]),
        ('"sqlite:///hr.db"', '"env:NO_SUCH_VARIABLE"', 2, ["NO_SUCH_VARIABLE", "export"]),
    ],
)
def test_a_database_that_cannot_be_read_is_refused_with_the_next_step(
    home: House, old: str, new: str, code: int, words: list[str]
) -> None:
    home.configure(source=SOURCE_SQL.replace(old, new))
    refused(home, code, *words)
    assert home.stats()["requests"] == 0


def test_a_source_file_that_is_not_there_is_named(home: House) -> None:
    home.configure(source=SOURCE_CSV.replace("hr.csv", "nobody.csv"))
    refused(home, 3, "nobody.csv")


# --- target -----------------------------------------------------------------------------------


def test_a_wrong_secret_is_said_with_the_client_but_not_the_secret(home: House) -> None:
    wrong = home.folder / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("canary-wrong-secret")
    home.configure(target=home.target.replace("file:client_secret", "file:wrong"))
    said = refused(home, 5, CLIENT)
    assert "canary-wrong-secret" not in said.err
    assert home.stats()["token"] == 1


@pytest.mark.parametrize("which", ["api_url", "login_url"])
def test_a_host_that_cannot_be_reached_is_named(home: House, which: str) -> None:
    port = 1  # nobody listens there
    lines = [
        f'{which} = "http://127.0.0.1:{port}"' if line.startswith(which) else line for line in home.target.splitlines()
    ]
    shutil.rmtree(home.folder / ".scimsync", ignore_errors=True)  # what it remembers is of another directory
    home.configure(target="\n".join(lines) + "\n")
    refused(home, 5, "127.0.0.1:1")


def test_a_region_that_does_not_exist_is_refused_with_a_near_one(home: House) -> None:
    lines = [line for line in home.target.splitlines() if "_url" not in line]
    home.configure(target="\n".join([*lines, 'region = "us-eats-1"']) + "\n")
    refused(home, 2, "us-eats-1", "us-east-1")


def test_an_address_without_https_is_refused(home: House) -> None:
    home.configure(target=home.target.replace(home.simulator.api_url, "http://api.example.com"))
    refused(home, 2, "https", faults=2)


# --- secrets and configuration ----------------------------------------------------------------


def test_a_secret_in_the_file_is_refused_and_not_repeated(home: House) -> None:
    home.configure(target=home.target.replace("file:client_secret", SECRET))
    refused(home, 2, "client_secret", "env:")


def test_a_secret_file_that_others_can_read_is_refused(home: House) -> None:
    loose = home.folder / "loose"
    loose.write_text(SECRET)
    loose.chmod(0o644)
    home.configure(target=home.target.replace("file:client_secret", "file:loose"))
    refused(home, 2, "loose", "chmod 600")


def test_a_missing_variable_is_named(home: House) -> None:
    home.configure(target=home.target.replace("file:client_secret", "env:NO_SUCH_VARIABLE"))
    refused(home, 2, "NO_SUCH_VARIABLE", "export")


@pytest.mark.parametrize("command", ["plan", "apply", "sync", "runs"])
def test_without_a_configuration_the_next_step_is_init(home: House, tmp_path: Path, command: str) -> None:
    from tests.runs import command as play  # noqa: PLC0415

    said = play(command, folder=tmp_path)
    assert said.code == 2
    assert len(said.faults) == 1
    assert "scimsync.toml" in said.err
    assert "scimsync init" in said.err


@pytest.mark.parametrize("content", [b"[source\n", b"\xff\xfe", b"source = 5\n"])
def test_a_configuration_that_is_none_is_refused(home: House, content: bytes) -> None:
    home.file.write_bytes(content)
    said = home.command("plan")
    assert said.code == 2, said.err
    assert said.faults


@pytest.mark.parametrize("state", ['url = "nosuchdb://x"', 'memory = "plenty"', 'url = "sqlite:////proc/x/state.db"'])
def test_a_state_that_cannot_be_is_refused(home: House, state: str) -> None:
    home.configure(more=f"[state]\n{state}\n")
    said = home.command("plan")
    assert said.code in {2, 6}, (said.code, said.err)
    assert len(said.faults) == 1


def test_a_damaged_state_is_refused(home: House, tmp_path: Path) -> None:
    state = home.folder / "damaged.db"
    state.touch(mode=0o600)
    state.write_bytes(b"this is no database" * 500)
    home.configure(more='[state]\nurl = "sqlite:///damaged.db"\n')
    refused(home, 6, "damaged.db")


def test_a_plan_that_does_not_exist_is_said(home: House) -> None:
    said = home.command("apply", "tuesday.ndjson")
    assert said.code in {2, 4}
    assert "tuesday.ndjson" in said.err


def test_a_person_whom_nobody_knows_is_said(home: House) -> None:
    said = home.command("plan", "--user", "E9999999")
    assert said.code == 2
    assert "E9999999" in said.err


@pytest.mark.parametrize("trouble", ["a wrong secret", "an empty source", "a missing column", "none"])
def test_a_command_in_a_process_of_its_own_says_one_line_about_trouble_and_no_library_adds_to_it(
    tmp_path: Path, trouble: str
) -> None:
    with house(tmp_path, users=10) as home:
        home.configure(source=SOURCE_CSV)
        home.write_csv([] if trouble == "an empty source" else home.people)
        if trouble == "a wrong secret":
            (home.folder / "client_secret").write_text("wrong")
        if trouble == "a missing column":
            extract = home.folder / "hr.csv"
            extract.write_text(
                extract.read_text(encoding="utf-8").replace("job_title", "jobtitle", 1), encoding="utf-8"
            )
        said = subprocess.run(
            [sys.executable, "-m", "scimsync", "plan"],
            cwd=home.folder,
            env={**os.environ, **home.environ},
            capture_output=True,
            text=True,
            check=False,
        )
    assert said.returncode == {"a wrong secret": 5, "an empty source": 3, "a missing column": 2, "none": 0}[trouble]
    assert len(said.stderr.splitlines()) == (trouble != "none")
