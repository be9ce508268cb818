"""The manual page, in roff, of the texts that --help shows."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib.metadata import version

import click

_END = """\
.SH FILES
.TP
.I scimsync.toml
The configuration: which source, which target, how columns become attributes. `scimsync init` writes one.
.TP
.I .scimsync
The state beside it, unless [state] says otherwise: runs, links, journal and audit chain; plans and bases.
.SH ENVIRONMENT
.TP
.B NO_COLOR
No colours.
.P
Whatever the configuration names as env:NAME, and the variables of OpenTelemetry and of proxies.
"""


def page(cli: click.Group) -> str:
    """The whole page."""
    about = inspect.cleandoc(cli.help or "")
    summary = about.partition("\n")[0]
    lines = [
        f'.TH SCIMSYNC 1 "" "scimsync {version("scimsync")}" "scimsync"',
        ".SH NAME",
        f"scimsync \\- {_text(_lower(summary.rstrip('.')))}",
        ".SH SYNOPSIS",
        ".B scimsync",
        r"COMMAND [OPTIONS] [ARGUMENTS]",
        ".SH DESCRIPTION",
        *_paragraphs(about),
        ".SH COMMANDS",
    ]
    for name, command in _commands(cli):
        lines += _command(name, command)
    return "\n".join(lines) + "\n" + _END


def _commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.commands:
        command = group.commands[name]
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{before}{name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{before}{name} ")


def _command(name: str, command: click.Command) -> Iterator[str]:
    ctx = click.Context(command, info_name=name)
    yield f".SS {_text(name)}"
    yield f".B scimsync {_text(name)}"
    yield _text(" ".join(command.collect_usage_pieces(ctx)))
    yield from _paragraphs(inspect.cleandoc(command.help or ""))
    for param in command.params:
        if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
            yield ".TP"
            yield f".B {_text(record[0])}"
            yield _text(record[1]) or r"\&"


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        lines = paragraph.splitlines()
        plain = lines[:1] == ["\b"]
        yield ".P"
        if plain:
            yield from (".nf", *map(_text, lines[1:]), ".fi")
        else:
            yield _text(" ".join(lines))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _text(text: str) -> str:
    """A text that roff shows as it stands."""
    shown = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    return rf"\&{shown}" if shown.startswith(".") else shown
