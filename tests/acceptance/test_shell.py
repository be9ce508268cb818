"""Completion in real shells, the manual page in a real man, the version: what a terminal asks of the command."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
from tests.runs import House, command, house

from scimsync.adapters.store_sql import REVISIONS
from scimsync.cli.main import cli

ROOT = Path(__file__).parents[2]
PHONE = 'phoneNumbers[type eq "work"].value'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("shell"), users=30) as found:
        found.configure()
        found.write_hr(found.people)
        found.settle()
        wrapper = found.folder / "bin/scimsync"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -m scimsync "$@"\n')
        wrapper.chmod(0o755)
        yield found


def environ(home: House) -> dict[str, str]:
    return {**os.environ, "PATH": f"{home.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(home.folder)}


def bash(home: House, *words: str) -> list[str]:
    """What a real bash offers for the last word."""
    script = (
        'source <(scimsync completion bash) || exit 9; COMP_WORDS=(scimsync "$@"); COMP_CWORD=$#; COMPREPLY=()\n'
        "_scimsync_completion scimsync; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words],
        cwd=home.folder, env=environ(home), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def asked(home: House, *words: str) -> list[str]:
    """What we answer where a shell asks; without the shell."""
    more = {"_SCIMSYNC_COMPLETE": "fish_complete", "COMP_WORDS": " ".join(words[:-1]), "COMP_CWORD": words[-1]}
    said = command(folder=home.folder, environ=more)
    return [line.partition(",")[2].partition("\t")[0] for line in said.out.splitlines() if line]


def test_bash_completes_commands_and_paths_quoted_where_it_must(home: House) -> None:
    assert bash(home, "expl") == ["explain"]
    assert bash(home, "explain", "E00001", "'phoneNumbers[type eq \"w") == [f"'{PHONE}'"]


def test_keys_runs_paths_and_rules_are_known(home: House) -> None:
    [run] = home.runs()
    someone = home.people[0].employee_id
    assert asked(home, "scimsync", "explain", someone) == [someone]
    assert asked(home, "scimsync", "undo", run.id[:8]) == [run.id]
    assert asked(home, "scimsync", "plan", "--user", someone[:-1])[0].startswith(someone[:-1])
    assert PHONE in asked(home, "scimsync", "conflicts", "--attribute", "phone")
    assert asked(home, "scimsync", "apply", "--override", "limits.di") == ["limits.disable"]
    assert asked(home, "scimsync", "plan", "--us") == ["--user"]


def test_a_configuration_that_is_named_is_asked(home: House, tmp_path: Path) -> None:
    assert asked(home, "scimsync", "explain", "--config", str(tmp_path / "other.toml"), "") == []


def test_completing_makes_no_state_and_says_nothing_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "scimsync.toml").write_text("[state")
    more = {"_SCIMSYNC_COMPLETE": "fish_complete", "COMP_WORDS": "scimsync undo", "COMP_CWORD": "2026"}
    said = command(folder=tmp_path, environ=more)
    assert (said.code, said.out.strip(), said.err) == (0, "", "")
    assert [each.name for each in tmp_path.iterdir()] == ["scimsync.toml"]


def test_other_shells_that_are_here_complete_a_key(home: House) -> None:
    someone = home.people[0].employee_id
    if shutil.which("fish"):
        done = subprocess.run(
            ["fish", "-c", f'scimsync completion fish | source; complete -C "scimsync explain {someone}"'],
            cwd=home.folder, env=environ(home), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.split() == [someone]
    if shutil.which("zsh"):
        assert someone in typed_into_zsh(home, f"scimsync explain {someone[:-1]}", someone)


def typed_into_zsh(home: House, line: str, awaited: str) -> str:
    """What zsh shows where somebody types a line and asks for its end."""
    (home.folder / ".zshrc").write_text(
        "PROMPT='> '; autoload -U compinit; compinit -u -D; source <(scimsync completion zsh)\n"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-i"], cwd=home.folder, env={**environ(home), "ZDOTDIR": str(home.folder), "TERM": "vt100"}, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    ) as shell:  # fmt: skip
        seen, typed = "", 0
        os.close(theirs)
        with suppress(OSError):
            while awaited not in seen and select.select([ours], [], [], 20)[0]:
                seen += os.read(ours, 4096).decode(errors="replace")
                if "> " in seen and not typed:
                    typed = os.write(ours, f"{line}\t\t".encode())
        shell.kill()
        os.close(ours)
    return seen


def test_the_manual_page_is_made_of_the_texts_of_help(home: House) -> None:
    said = command("man", folder=home.folder)
    assert said.out == (ROOT / "docs/man/scimsync.1").read_text(encoding="utf-8"), "scimsync man > docs/man/scimsync.1"
    shown = said.out
    if shutil.which("man"):
        read = subprocess.run(
            ["man", "--warnings", "-l", "-"], input=said.out, capture_output=True, text=True, check=True,
            env={**os.environ, "MANWIDTH": "500", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"},
        )  # fmt: skip
        assert read.stderr == ""
        shown = re.sub(r"\x1b\[[\d;]*m|.\x08", "", read.stdout)
    for name, each in cli.commands.items():
        assert f"scimsync {name}" in shown
        if not isinstance(each, click.Group):
            assert " ".join(str(each.help).split("\n\n")[0].split()) in " ".join(shown.replace("\\", "").split())


def test_version_says_what_runs_here(home: House, tmp_path: Path) -> None:
    told = json.loads(home.command("version", "--json").out)
    assert told["state"] == {"knows": REVISIONS[-1], "holds": REVISIONS[-1]}
    assert re.fullmatch(r"[0-9a-f]{64}", told["build"])
    assert {"click", "duckdb", "sqlalchemy"} <= set(told["libraries"])
    elsewhere = json.loads(command("version", "--json", folder=tmp_path).out)
    assert elsewhere == told | {"state": {"knows": REVISIONS[-1], "holds": None}}
    assert [*tmp_path.iterdir()] == []
