"""Options that several commands share, and how a group lists its commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar

import click

from scimsync.cli import interrupting
from scimsync.cli.interrupting import Interrupted
from scimsync.errors import ConfigError

#: what `init --source` takes; each has its skeleton in `cli.skeletons`
SOURCES = tuple("csv sql postgres mysql mssql oracle jsonl parquet excel ods sftp s3 https rest scim ldap ad".split())
Command = TypeVar("Command", bound=Callable[..., object])


class Group(click.Group):
    """Commands in the order of a first day, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands as they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        """As click does; a signal ends any command with its own exit code and one line."""
        try:
            with interrupting.heard():
                return super().invoke(ctx)
        except Interrupted as stopped:
            said, code = str(stopped), stopped.exit_code
        click.echo(f"Stopped ({said}).", err=True)
        return ctx.exit(code)


class _Named(click.Path):
    """A path that was given a name: an empty text is none."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """As click does; an empty text is refused."""
        if value == "":
            self.fail("it is empty; give a name", param, ctx)
        return super().convert(value, param, ctx)


FILE = _Named(dir_okay=False, path_type=Path)
THERE = _Named(exists=True, dir_okay=False, path_type=Path)
FOLDER = _Named(file_okay=False, path_type=Path)
#: the configuration of whoever names none
DEFAULT = Path("scimsync.toml")


def with_config(command: Command) -> Command:
    """Add --config, and hand the path over as `config`."""
    option = click.option(
        "--config",
        type=FILE,
        default=DEFAULT,
        show_default=True,
        help="The configuration file.",
    )
    return option(command)


def with_same_config(command: Command) -> Command:
    """Add --config to a command of a group that has it, so that it may stand in either place."""
    option = click.option(
        "--config",
        type=FILE,
        callback=lambda ctx, _, given: given or ctx.obj,
        help="The configuration file.",
    )
    return option(command)


def with_depth(command: Command) -> Command:
    """Add --depth, and hand it over as `depth`."""
    option = click.option(
        "--depth",
        type=click.Choice(["full", "versions", "source"]),
        help="How deep to look at the directory: all of it, who moved by version, or not at all.",
    )
    return option(command)


def with_rings(command: Command) -> Command:
    """Add --rings, and hand it over as `rings`."""
    option = click.option(
        "--rings",
        default="",
        metavar="SHARES",
        help="Write to these shares of the people one after the other, and stop where one goes wrong; or off.",
    )
    return option(command)


def with_overrides(command: Command) -> Command:
    """Add --override and --reason, and hand them over as `overrides`, rule by rule."""

    @wraps(command)
    def wrapped(*args: object, override: tuple[str, ...], reason: str, **kwargs: object) -> object:
        if override and not reason.strip():
            raise ConfigError("--override needs --reason TEXT. The reason is kept in the plan.")
        return command(*args, overrides=dict.fromkeys(override, reason), **kwargs)

    reasons = click.option("--reason", default="", help="Why the rule is overridden; kept with the plan.")
    rules = click.option("--override", multiple=True, metavar="RULE", help="Override a rule for this run.")
    return reasons(rules(wrapped))  # type: ignore[return-value]


def with_log(command: Command) -> Command:
    """Add --log, and hand it over as `log`."""
    option = click.option(
        "--log",
        type=click.Choice(["json", "console", "off"]),
        help="What to log to stderr; instead of [log] format.",
    )
    return option(command)
