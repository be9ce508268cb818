"""The commands `scimsync approve`, `reject` and `approvals`: parse, call, exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scimsync.cli.options import with_config

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.command(short_help="Approve a plan that somebody else proposed.")
@with_config
@click.argument("plan")
@click.option("--reason", default="", help="What you looked at; kept in the audit chain.")
@_JSON
def approve(config: Path, plan: str, reason: str, as_json: bool) -> None:  # noqa: FBT001
    """Approve PLAN (the id of a run, its beginning, or a plan file). Who proposed it, or changed it since, may not.

    The approval is bound to this very plan, and ends with it. Nothing is applied.

    Example: scimsync approve 20261123-213355-efe6 --reason "the twelve leavers are on HR's list"
    """
    from scimsync.cli import approving  # noqa: PLC0415

    sys.exit(approving.approve(config, plan, reason, as_json=as_json))


@click.command(short_help="Reject a plan for good.")
@with_config
@click.argument("plan")
@click.option("--reason", default="", help="Why; kept in the audit chain.")
@_JSON
def reject(config: Path, plan: str, reason: str, as_json: bool) -> None:  # noqa: FBT001
    """Reject PLAN: it is never applied. A new plan is made instead.

    Example: scimsync reject 20261123-213355-efe6 --reason "Ada has not left"
    """
    from scimsync.cli import approving  # noqa: PLC0415

    sys.exit(approving.reject(config, plan, reason, as_json=as_json))


@click.command(short_help="List plans that wait for approvals, or show how one stands.")
@with_config
@click.argument("plan", default="")
@_JSON
def approvals(config: Path, plan: str, as_json: bool) -> None:  # noqa: FBT001
    """List the plans that wait for approvals; or say of PLAN what it needs, who approved it, and what does not count.

    Example: scimsync approvals
    """
    from scimsync.cli import approving  # noqa: PLC0415

    sys.exit(approving.approvals(config, plan, as_json=as_json))
