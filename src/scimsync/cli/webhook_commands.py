"""The commands `scimsync webhooks ...`: parse, call, exit code; what they do stands in `webhooks`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scimsync.cli.options import with_config, with_same_config


@click.group(invoke_without_command=True, short_help="List webhooks; ping, deliver, redrive.")
@with_config
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def webhooks(ctx: click.Context, config: Path, as_json: bool) -> None:  # noqa: FBT001
    """List the webhooks with counts of pending, delivered and dead events, and the last error of each.

    Example: scimsync webhooks --config prod.toml
    """
    ctx.obj = config
    if ctx.invoked_subcommand is None:
        from scimsync.cli import webhooks as work  # noqa: PLC0415

        sys.exit(work.show(config, as_json=as_json))


@webhooks.command(short_help="Send a ping and show the result.")
@click.argument("webhook", default="")
@with_same_config
def ping(config: Path, webhook: str) -> None:
    """Send a ping to WEBHOOK (its number or its URL) or to all, and show the result.

    Example: scimsync webhooks ping 1
    """
    from scimsync.cli import webhooks as work  # noqa: PLC0415

    sys.exit(work.ping(config, webhook))


@webhooks.command(short_help="Deliver the events that are due.")
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C.")
@with_same_config
def deliver(config: Path, watch: bool) -> None:  # noqa: FBT001
    """Deliver the events that are due, each of them once; with --watch go on until Ctrl-C.

    Example: scimsync webhooks deliver
    """
    from scimsync.cli import webhooks as work  # noqa: PLC0415

    sys.exit(work.deliver(config, watch=watch))


@webhooks.command(short_help="Make dead events pending again.")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead events.")
@with_same_config
def redrive(config: Path, ids: tuple[str, ...], everything: bool) -> None:  # noqa: FBT001
    """Make dead events pending again, named by their ids or all of them.

    Example: scimsync webhooks redrive --all
    """
    from scimsync.cli import webhooks as work  # noqa: PLC0415

    sys.exit(work.redrive(config, ids, everything=everything))
