"""Completion in bash, zsh and fish: commands and options by click; names out of the state by what is asked for."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from scimsync.cli.options import DEFAULT
from scimsync.services import completing

_Look = Callable[[Path, str], Iterable[str]]
#: what a parameter is called, or says that it takes -> who knows what it may be
_KNOWN: dict[str, _Look] = {
    "KEY": completing.keys,
    "PATH": completing.paths,
    "RULE": completing.rules,
    "key": completing.keys,
    "person": completing.keys,
    "path": completing.paths,
    "run": completing.runs,
    "plan": completing.runs,
    "before": completing.runs,
    "after": completing.runs,
}


class _Known(click.types.StringParamType):
    """A text of which the state or the configuration knows what it may be."""

    def __init__(self, look: _Look) -> None:
        self.look = look

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """What begins so."""
        named = ctx.find_root().params.get("config")
        at: click.Context | None = ctx
        while at is not None and named is None:
            named, at = at.params.get("config"), at.parent
        return [CompletionItem(name) for name in self.look(Path(named or DEFAULT), incomplete)]


class _Bash(BashComplete):
    """Bash takes what it is told as it stands: words that hold spaces or quotes come quoted."""

    source_template = BashComplete.source_template.replace("COMPREPLY+=($value)", 'COMPREPLY+=("$value")')

    def format_completion(self, item: CompletionItem) -> str:
        """As click does, quoted."""
        return f"{item.type},{shlex.quote(item.value)}"


_SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}
SHELLS = tuple(_SHELLS)


def script(cli: click.Command, shell: str, variable: str) -> str:
    """What a shell reads so that it completes our command; it asks by this variable."""
    asked = _SHELLS[shell](cli, {}, "scimsync", variable)
    return asked.source_template % asked.source_vars()


def attach(cli: click.Group) -> None:
    """Let each parameter of each command know what it may be. Done only where a shell asks."""
    add_completion_class(_Bash)
    for command in _all(cli):
        for param in command.params:
            look = _KNOWN.get(getattr(param, "metavar", None) or "") or _KNOWN.get(param.name or "")
            if look and isinstance(param.type, click.types.StringParamType):
                param.type = _Known(look)


def _all(group: click.Group) -> Iterator[click.Command]:
    yield group
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from _all(command)
        else:
            yield command
