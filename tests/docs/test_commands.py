"""docs/commands.md, and the command lines in all documents, against the click group."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from scimsync import errors
from scimsync.cli import codes
from scimsync.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(group: click.Group, before: str = "") -> dict[str, click.Command]:
    """All commands by name; those of a group by both words."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        words = f"{before}{name}"
        if not isinstance(command, click.Group) or command.invoke_without_command:
            found[words] = command
        else:
            found |= commands(command, f"{words} ")
    return found


COMMANDS = commands(cli)


def section(name: str) -> str:
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(name)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/commands.md has no section {name}"
    return found.group(1)


def options(command: click.Command) -> set[str]:
    """The options of a command, and of the commands below it."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return {name for each in below for name in options(each)} | {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    }


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_a_section_with_all_its_options_and_an_example(name: str) -> None:
    text, wanted = section(name), options(COMMANDS[name])
    shown = set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE))
    assert shown == wanted
    assert re.search(rf"^scimsync {name}\b", text, re.MULTILINE), f"{name} has no example"


def test_the_options_of_the_group_are_described() -> None:
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert "--version" in text
    assert "--help" in text


@pytest.mark.parametrize("page", ["README.md", "docs/commands.md", "docs/errors/README.md"])
def test_every_exit_code_stands_in_the_table(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    raised = {e.exit_code for e in vars(errors).values() if isinstance(e, type) and hasattr(e, "exit_code")}
    wanted = {0, 1, codes.HAS_CHANGES, codes.NOT_ALL_DONE} | raised
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == wanted


def command_lines() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                for piece in re.split(r"&&|\||;|\$\(|&\s*$|\s#\s", line):
                    words = piece.strip()
                    if words.startswith("scimsync "):
                        yield page.name, words


@pytest.mark.parametrize(("page", "line"), sorted(set(command_lines())))
def test_a_command_line_in_the_documents_names_what_there_is(page: str, line: str) -> None:
    name, *rest = words = shlex.split(re.split(r"\s\d?>", line)[0])[1:]
    if name.startswith("-"):
        assert name in {"--help", "--version"}
        return
    if name not in COMMANDS:
        name = " ".join(words[:2])
    assert name in COMMANDS
    given = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert given <= options(COMMANDS[name]) | {"--help"}


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^make |`make )([a-z-]+)", text, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets
