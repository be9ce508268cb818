"""The commands `scimsync findings ...`: parse, call, exit code; what they do stands in `finding`."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from scimsync.cli.options import Group, with_config, with_same_config


@click.group(cls=Group, invoke_without_command=True, short_help="List findings; accept one until a day.")
@with_config
@click.option("--all", "everybody", is_flag=True, help="Show each finding, however many are equal.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def findings(ctx: click.Context, config: Path, everybody: bool, as_json: bool) -> None:  # noqa: FBT001
    """List the findings of the latest plan about everybody, and those that were accepted.

    Example: scimsync findings --all
    """
    from scimsync.cli.plan_commands import alone  # noqa: PLC0415

    if alone(ctx):
        from scimsync.cli import finding  # noqa: PLC0415

        sys.exit(finding.findings(config, everybody=everybody, as_json=as_json))


@findings.command("accept", short_help="Let a finding be until a day.")
@with_same_config
@click.argument("key")
@click.argument("code")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The last day on which it is accepted.")
@click.option("--reason", default="", help="Why; kept in the audit chain.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def accept(config: Path, key: str, code: str, until: datetime, reason: str, as_json: bool) -> None:  # noqa: FBT001
    """Say that you know of the finding CODE of KEY: until that day it lets no run end with 11.

    What is about access, or about who somebody is, cannot be accepted; of somebody who left and keeps access nothing.

    Example: scimsync findings accept 1006 record.bad-phone --until 2026-12-31 --reason "HR asks for the number"
    """
    from scimsync.cli import finding  # noqa: PLC0415

    sys.exit(finding.accept(config, key, code, until.date(), reason, as_json=as_json))


@findings.command("forget", short_help="Accept a finding no more.")
@with_same_config
@click.argument("key")
@click.argument("code", default="")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def forget(config: Path, key: str, code: str, as_json: bool) -> None:  # noqa: FBT001
    """Accept the finding CODE of KEY no more, or without CODE all that was accepted of KEY.

    Example: scimsync findings forget 1006
    """
    from scimsync.cli import finding  # noqa: PLC0415

    sys.exit(finding.forget(config, key, code, as_json=as_json))


@findings.command("quarantine", short_help="List who is left out, since when, why, and what to do.")
@with_same_config
@click.option("--user", "users", multiple=True, metavar="KEY", help="This person only; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def quarantine(config: Path, users: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001
    """List the people who are left out of plans: since when, why, what to do, and whom to ask; the longest first.

    Try again with: scimsync plan --user KEY

    Example: scimsync findings quarantine
    """
    from scimsync.cli import finding  # noqa: PLC0415

    sys.exit(finding.left_out(config, users, as_json=as_json))
