"""The commands `scimsync conflicts ...`: parse, call, exit code; what they do stands in `deciding`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from scimsync.cli.options import Group, with_config, with_same_config

Command = TypeVar("Command", bound=Callable[..., object])
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


def _with_filters(command: Command) -> Command:
    """Add whom and what."""
    options = (
        click.option("--user", "users", multiple=True, metavar="KEY", help="Of this person only; may be repeated."),
        click.option(
            "--attribute", "attributes", multiple=True, metavar="PATH", help="About this only; may be repeated."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Group, invoke_without_command=True, short_help="List and decide held conflicts.")
@with_config
@_with_filters
@click.option("--all", "everything", is_flag=True, help="Also those that were decided.")
@_JSON
@click.pass_context
def conflicts(ctx: click.Context, /, **given: object) -> None:
    """List the conflicts that wait for a person: HR and the directory both say something, and `ask` is the authority.

    They are told by the latest plan; neither HR nor the directory is asked.

    Example: scimsync conflicts --attribute title
    """
    from scimsync.cli.plan_commands import alone  # noqa: PLC0415

    if alone(ctx):
        from scimsync.cli import deciding  # noqa: PLC0415

        sys.exit(deciding.conflicts(deciding.Options(**given)))  # type: ignore[arg-type]


@conflicts.command("show", short_help="Show one conflict: three sides, and who edited it when.")
@with_same_config
@click.argument("key")
@click.argument("path")
@click.option("--offline", is_flag=True, help="Do not ask the directory when the account was changed last.")
@_JSON
def show(**given: object) -> None:
    """Show what HR says of PATH of KEY, what the directory holds, and what was agreed; and what may be decided.

    Example: scimsync conflicts show 1001 title
    """
    from scimsync.cli import deciding  # noqa: PLC0415

    sys.exit(deciding.show_one(deciding.Options(**given)))  # type: ignore[arg-type]


@conflicts.command("decide", short_help="Decide one conflict, or all that filters name.")
@with_same_config
@click.argument("key", default="")
@click.argument("path", default="")
@click.option("--wins", type=click.Choice(["hr", "directory"]), required=True, help="Whose value it ends with.")
@click.option(
    "--for",
    "scope",
    type=click.Choice(["once", "person", "attribute"]),
    default="once",
    show_default=True,
    help="For these values, for this person, or for this attribute of everybody.",
)
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day of a decision that lasts.")
@click.option("--reason", default="", help="Why; kept with the decision and in the audit chain.")
@_with_filters
@click.option("--all", "everything", is_flag=True, help="All open conflicts, where no filter is given.")
@click.option("--seen", default="", metavar="PLAN", help="Decide only where it is as this plan showed it.")
@click.option("--no-plan", is_flag=True, help="Do not plan for these people at once.")
@click.option("--apply", is_flag=True, help="Apply that plan at once, after asking.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_JSON
def decide(**given: object) -> None:
    """Decide the conflict about PATH of KEY; or without them all open ones that --user and --attribute name.

    Afterwards these people are planned for at once, and the plan is shown; with --apply it is carried out.

    Example: scimsync conflicts decide 1001 title --wins directory --for person --reason "agreed with her lead"
    """
    from scimsync.cli import deciding  # noqa: PLC0415

    sys.exit(deciding.decide(deciding.Options(**given)))  # type: ignore[arg-type]


@conflicts.command("decisions", short_help="List what was decided and holds.")
@with_same_config
@click.option("--all", "everything", is_flag=True, help="Also what ended, with when and by whom.")
@_JSON
def decisions(**given: object) -> None:
    """List the decisions that plans obey.

    Example: scimsync conflicts decisions --all
    """
    from scimsync.cli import deciding  # noqa: PLC0415

    sys.exit(deciding.decisions(deciding.Options(**given)))  # type: ignore[arg-type]


@conflicts.command("withdraw", short_help="Take a decision back.")
@with_same_config
@click.argument("decision")
@click.option("--reason", default="", help="Why; kept in the audit chain.")
@_JSON
def withdraw(config: Path, decision: str, reason: str, as_json: bool) -> None:  # noqa: FBT001
    """Take DECISION (an id or its beginning) back: the next plan asks again. What it wrote stays.

    Example: scimsync conflicts withdraw 3f2a
    """
    from scimsync.cli import deciding  # noqa: PLC0415

    sys.exit(deciding.withdraw(config, decision, reason, as_json=as_json))


@conflicts.command("export", short_help="Show decisions as lines of the configuration.")
@with_same_config
def export(config: Path) -> None:
    """Show the decisions that hold as lines of the configuration, whose place is under version control.

    Example: scimsync conflicts export > decided.toml
    """
    from scimsync.cli import deciding  # noqa: PLC0415

    sys.exit(deciding.export(config))
