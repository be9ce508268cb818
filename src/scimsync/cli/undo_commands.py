"""The commands `scimsync undo` and `scimsync restore`: parse, call, exit code; what they do stands in `undoing`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from scimsync.cli.options import FILE, with_config, with_log, with_overrides

Command = TypeVar("Command", bound=Callable[..., object])
_TIMES = [
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M%z",
]


def _with_plan_options(command: Command) -> Command:
    """Add what both commands have: whom and what, and how the plan is shown, kept and applied."""
    options = (
        click.option("--user", "users", multiple=True, metavar="KEY", help="This person only; may be repeated."),
        click.option(
            "--attribute",
            "attributes",
            multiple=True,
            metavar="PATH",
            help="This attribute only, `groups` for memberships; may be repeated.",
        ),
        click.option("--apply", is_flag=True, help="Apply the plan at once, after asking."),
        click.option("--yes", is_flag=True, help="With --apply: do not ask."),
        click.option("--out", type=FILE, help="Also write the plan to this file."),
        click.option("--all", "everybody", is_flag=True, help="Show every person, however many there are."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
        click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 where the plan has changes."),
    )
    for option in reversed(options):
        command = option(command)
    return with_config(with_overrides(with_log(command)))


@click.command(short_help="Plan the inverse of a run; leave out what others changed since.")
@click.argument("run")
@_with_plan_options
def undo(**given: object) -> None:
    """Plan to take RUN back: values, access, memberships. Nothing is written to the target, but with --apply.

    What others, or later runs, changed since stays and is named. Accounts that the run made are disabled, not deleted.
    The plan is stored: apply it like any other. An undo is a run, and can be taken back.

    Example: scimsync undo 20261123-213355-efe6 --user E42
    """
    from scimsync.cli import undoing  # noqa: PLC0415

    sys.exit(undoing.undo(undoing.Options.of(given)))


@click.command(short_help="Plan one person back to what was agreed at an earlier time.")
@click.option(
    "--as-of",
    type=click.DateTime(_TIMES),
    required=True,
    metavar="TIME",
    help="2026-11-23, 2026-11-23T18:00; in the time zone of [source], a day from its beginning.",
)
@_with_plan_options
def restore(**given: object) -> None:
    """Plan to bring a person back to what was agreed after the last run before TIME: values, access, memberships.

    Whoever changed what since: --user names the people, and all of it is shown before it is applied.

    Example: scimsync restore --user E42 --as-of 2026-11-23T18:00
    """
    from scimsync.cli import undoing  # noqa: PLC0415

    sys.exit(undoing.restore(undoing.Options.of(given)))
