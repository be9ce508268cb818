"""Plans without the directory, by the installed command: from what the last whole reading showed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runs import House, house

TITLE = 'title                                = "job_title"'


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that was synchronised once."""
    with house(tmp_path_factory.mktemp("offline")) as found:
        found.settle()
        yield found


@pytest.fixture
def home(settled: House) -> House:
    settled.configure()
    settled.write_hr(settled.people)
    settled.reset()
    return settled


def unreachable(home: House) -> None:
    """No target, no credential."""
    text = home.file.read_text(encoding="utf-8")
    home.file.write_text(text.replace('"file:client_secret"', '"env:NO_SUCH_SECRET"'), encoding="utf-8")


def test_after_a_sync_nothing_is_to_be_done_offline_either(home: House) -> None:
    unreachable(home)
    said = home.command("plan", "--offline", "--detailed-exitcode")
    assert said.code == 0, said.out + said.err
    assert "plan.offline" in said.out
    assert sum(home.stats().values()) == 0


def test_a_changed_line_of_the_mapping_is_previewed_without_asking_anybody(home: House) -> None:
    assert TITLE in home.file.read_text()
    home.file.write_text(home.file.read_text().replace(TITLE, "title = \"job_title || '!'\""))
    unreachable(home)
    said = home.command("plan", "--offline", "--json", "--detailed-exitcode")
    assert said.code == 10, said.err
    assert sum(home.stats().values()) == 0
    told = json.loads(said.out)
    assert told["offline"]
    assert {d["path"] for c in told["changes"] for d in c["deltas"]} == {"title"}


def test_an_offline_plan_is_read_and_never_applied(home: House) -> None:
    home.set(home.active(1)[0], job_title="Moved")
    file = home.folder / "offline.ndjson"
    assert home.command("plan", "--offline", "--out", str(file)).code == 0
    run = home.runs()[0]
    assert run.state.value == "offline"
    assert "made offline" in home.command("runs", run.id).out
    for named in (run.id, str(file), ""):
        said = home.command("apply", "--yes", *([named] if named else []))
        assert said.code == 4
        assert "offline" in said.err
    assert home.writes() == 0
    home.sync()
    home.write_hr(home.people)
    home.sync()


def test_the_state_hears_nothing_of_it(home: House) -> None:
    home.set(home.active(1)[0], job_title="Moved")
    before = {path.name: path.read_bytes() for path in (home.folder / ".scimsync/artifacts").iterdir()}
    assert home.command("plan", "--offline").code == 0
    after = {path.name: path.read_bytes() for path in (home.folder / ".scimsync/artifacts").iterdir()}
    new = {name for name in after if before.get(name) != after[name]}
    assert {name.split("-")[0] for name in new} == {"plan"}


def test_without_a_reading_the_error_says_what_to_do(home: House, tmp_path: Path) -> None:
    text = home.file.read_text() + '\n[state]\nartifacts = "elsewhere"\nurl = "sqlite:///elsewhere.db"\n'
    home.file.write_text(text)
    said = home.command("plan", "--offline")
    assert said.code == 4
    assert "scimsync plan" in said.err


def test_a_path_that_was_never_read_is_left_alone_and_told(home: House) -> None:
    home.file.write_text(home.file.read_text().replace(TITLE, f'{TITLE}\n\'emails[type eq "work"].value\' = "email"'))
    said = home.command("plan", "--offline", "--detailed-exitcode")
    assert said.code == 0, said.out + said.err
    assert "plan.offline-unread" in said.out


# --- what a change of configuration does by itself ------------------------------------------------


def compared(home: House, other: str, *words: str) -> dict[str, object]:
    said = home.command("plan", "--compare-config", other, "--json", "--detailed-exitcode", *words)
    assert said.code in {0, 10}, said.err
    told = json.loads(said.out)
    assert said.code == (10 if told["effects"] else 0)
    return told


def before(home: House) -> str:
    """The configuration as it is now, under another name."""
    (home.folder / "before.toml").write_bytes(home.file.read_bytes())
    return "before.toml"


def test_a_configuration_against_itself_has_no_effect(home: House) -> None:
    unreachable(home)
    told = compared(home, before(home))
    assert (told["rules"], told["effects"]) == ([], [])
    assert "No effect" in home.command("plan", "--compare-config", "before.toml").out
    assert sum(home.stats().values()) == 0


def test_each_rule_is_told_with_what_it_does_and_access_comes_first(home: House) -> None:
    home.configure(limits={"create": 7})
    unreachable(home)
    other = before(home)
    text = home.file.read_text()
    text = text.replace(TITLE, 'title = "upper(job_title)"').replace(
        "['active'], ['inactive', 'left']", "['inactive', 'left'], ['active']"
    )
    home.file.write_text(text.replace("create = 7", "create = 8"))
    told = compared(home, other)
    effects = told["effects"]
    assert isinstance(effects, list)
    assert [rule["rule"] for rule in told["rules"]] == ["[attributes] active", "[attributes] title", "[limits] create"]  # type: ignore[attr-defined]
    assert told["without_effect"] == ["[limits] create"]
    by = {(e["rule"], e["kind"], e["what"]): e["number"] for e in effects}
    active = sum(person.active for person in home.people)
    assert by["[attributes] active", "access", "disable"] == active
    assert by["[attributes] title", "value", "title"] > 50
    assert effects[0]["what"] == "disable"
    assert effects[0]["text"] == f"{active} people would now be disabled"
    assert sum(home.stats().values()) == 0


def test_a_comment_for_a_pull_request_names_nobody_unless_it_is_asked(home: House) -> None:
    unreachable(home)
    other = before(home)
    home.file.write_text(home.file.read_text().replace(TITLE, 'title = "upper(job_title)"'))
    someone = home.active(1)[0]
    said = home.command("plan", "--compare-config", other, "--markdown", "--all").out
    assert "| 60 people would have another title | `[attributes] title` |" in said
    keys = home.command("plan", "--compare-config", other, "--markdown", "--all", "--examples", "keys").out
    values = home.command("plan", "--compare-config", other, "--all").out
    assert someone.employee_id not in said
    assert someone.employee_id in keys
    for told in (said, keys):
        assert not any(who.email in told or who.title in told for who in home.people)
    assert f'"{someone.title}" -> "{someone.title.upper()}"' in values


def test_the_same_file_at_a_git_revision_is_compared_and_errors_are_clear(home: House) -> None:
    unreachable(home)
    said = home.command("plan", "--compare-config", "git:HEAD")
    assert said.code == 2
    assert "git:HEAD" in said.err
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x.org"]
    for words in (["init", "-q"], ["add", "scimsync.toml"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], cwd=home.folder, check=True)
    home.file.write_text(home.file.read_text().replace(TITLE, 'title = "upper(job_title)"'))
    told = compared(home, "git:HEAD")
    assert told["before"] == "scimsync.toml at HEAD"
    assert [e["text"] for e in told["effects"]] == ["60 people would have another title"]  # type: ignore[attr-defined]
    for revision, why in (("nowhere", "no scimsync.toml"), ("--version", "no revision"), ("", "needs a revision")):
        said = home.command("plan", "--compare-config", f"git:{revision}")
        assert said.code == 2
        assert why in said.err
    shutil.rmtree(home.folder / ".git")


def test_faults_of_both_files_are_told_with_their_file(home: House) -> None:
    unreachable(home)
    (home.folder / "before.toml").write_text(home.file.read_text().replace("title   ", "titel   "))
    home.file.write_text(home.file.read_text().replace('employeeNumber" ', 'employeeNumbr" '))
    said = home.command("plan", "--compare-config", "before.toml")
    assert said.code == 2
    assert {fault.split(":")[0] for fault in said.faults} == {"before.toml", "scimsync.toml"}
    home.configure()
    unreachable(home)
    before(home)
    home.file.write_text(home.file.read_text().replace(TITLE, 'title = "no_such_column"'))
    said = home.command("plan", "--compare-config", "before.toml")
    assert said.code == 2
    assert said.faults[0].startswith("scimsync.toml: ")
    assert "no_such_column" in said.err


def test_two_directories_are_not_compared(home: House) -> None:
    unreachable(home)
    (home.folder / "before.toml").write_text(
        home.file.read_text().replace('api_url = "http://', 'api_url = "http://localhost.localhost/')
    )
    said = home.command("plan", "--compare-config", "before.toml")
    assert said.code == 2


def test_nothing_is_kept_of_a_comparison(home: House) -> None:
    unreachable(home)
    other = before(home)
    runs, files = home.command("runs").out, set((home.folder / ".scimsync/artifacts").iterdir())
    home.file.write_text(home.file.read_text().replace(TITLE, 'title = "upper(job_title)"'))
    compared(home, other)
    assert home.command("runs").out == runs
    assert set((home.folder / ".scimsync/artifacts").iterdir()) == files
