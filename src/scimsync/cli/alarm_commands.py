"""The commands `scimsync alarms ...`: parse, call, exit code; what they do stands in `alarms`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scimsync.cli.options import with_config, with_same_config


@click.group(invoke_without_command=True, short_help="List who is told of what; send a test alarm.")
@with_config
@click.pass_context
def alarms(ctx: click.Context, config: Path) -> None:
    """List who is told of what, which alarms are on, and who could not be told.

    Example: scimsync alarms --config prod.toml
    """
    ctx.obj = config
    if ctx.invoked_subcommand is None:
        from scimsync.cli import alarms as work  # noqa: PLC0415

        sys.exit(work.show(config))


@alarms.command(short_help="Send a test alarm and show the result.")
@click.argument("number", type=int, default=0)
@with_same_config
def ping(config: Path, number: int) -> None:
    """Send a test alarm to the NUMBERth [[alarm]] or to all, and show the result.

    Example: scimsync alarms ping 1
    """
    from scimsync.cli import alarms as work  # noqa: PLC0415

    sys.exit(work.ping(config, number))
