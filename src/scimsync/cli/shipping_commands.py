"""What helps whoever installs it: `support-bundle`, `version`, `completion`, `man`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scimsync.cli.options import FILE, with_config

#: the variable by which a shell asks, as click has it
COMPLETE = "_SCIMSYNC_COMPLETE"
_COMPLETION = """Print what a shell needs to complete commands, options, keys of people, runs and attribute paths.

\b
bash:  scimsync completion bash > ~/.local/share/bash-completion/completions/scimsync
zsh:   scimsync completion zsh > "${fpath[1]}/_scimsync"
fish:  scimsync completion fish > ~/.config/fish/completions/scimsync.fish

Example: scimsync completion bash
"""
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.command("support-bundle", short_help="Write what helps to find a fault, without secrets and people.")
@with_config
@click.option("--out", type=FILE, help="The file; by default scimsync-support-TIME.zip here.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--list", "only_list", is_flag=True, help="Say what would be in it, and write nothing.")
def support_bundle(config: Path, out: Path | None, yes: bool, only_list: bool) -> None:  # noqa: FBT001
    """Write one ZIP file for whoever helps you: versions, configuration, the last runs and their findings.

    Secrets, addresses and whatever may be a value of a person are masked; findings come as codes and counts. What is
    in it is listed before it is written. Nothing is sent anywhere.

    Example: scimsync support-bundle --config prod.toml
    """
    from scimsync.cli import supporting  # noqa: PLC0415

    sys.exit(supporting.bundle(config, out=out, yes=yes, only_list=only_list))


@click.command(short_help="Show the version, the build, libraries and the revision of the state.")
@with_config
@_JSON
def version(config: Path, as_json: bool) -> None:  # noqa: FBT001
    """Show which version this is, of which build, on which Python and libraries, and which states it knows.

    Example: scimsync version --json
    """
    from scimsync.cli import supporting  # noqa: PLC0415

    sys.exit(supporting.version(config, as_json=as_json))


@click.command(help=_COMPLETION, short_help="Print what bash, zsh or fish needs to complete commands.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script; its help text stands above."""
    from scimsync.cli import completing  # noqa: PLC0415

    click.echo(completing.script(ctx.find_root().command, shell, COMPLETE))


@click.command(short_help="Print the manual page.")
@click.pass_context
def man(ctx: click.Context) -> None:
    """Print the manual page, made of the same texts as --help. An installed wheel brings it along for man.

    Example: scimsync man | man -l -
    """
    from scimsync.cli import manual  # noqa: PLC0415

    root = ctx.find_root().command
    assert isinstance(root, click.Group)  # noqa: S101 - it has this command
    click.echo(manual.page(root), nl=False)


def attach(cli: click.Group) -> None:
    """Let each parameter know what it may be; only where a shell asks."""
    from scimsync.cli import completing  # noqa: PLC0415

    completing.attach(cli)
