"""The commands `scimsync plan ...` below `plan` itself: parse, call, exit code; what they do stands in `plans`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.core import ParameterSource

from scimsync.cli.options import THERE, with_same_config


def alone(ctx: click.Context) -> bool:
    """Whether a group itself is meant, as `plan` is, and not a command below it.

    Raises:
        click.UsageError: A command below it is, and options of the group stand before it, which it would pass over.
    """
    if ctx.invoked_subcommand is None:
        return True
    ctx.obj = ctx.params["config"]
    given = [
        parameter.opts[0]
        for parameter in ctx.command.params
        if parameter.name != "config" and ctx.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    ]
    if given:
        name, below = ctx.info_name, ctx.invoked_subcommand
        raise click.UsageError(f"{', '.join(given)} goes with `{name}` alone, not with `{name} {below}`.")
    return False


@click.command("verify", short_help="Say whether a plan file is as it was sealed, and may still be applied.")
@with_same_config
@click.argument("file", type=THERE)
@click.option(
    "--public-key",
    default="",
    metavar="TEXT",
    help="Public key of the signer: the text or a file. Default: the key of this state.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def plan_verify(config: Path, file: Path, public_key: str, as_json: bool) -> None:  # noqa: FBT001
    """Look at a plan FILE: digest, signature, expiry, state, target, configuration and base; one line each.

    Neither HR nor the target is asked. Without a configuration the file alone is looked at. Exit with 4 where it would
    not be applied.

    Example: scimsync plan verify monday.ndjson
    """
    from scimsync.cli import plans  # noqa: PLC0415

    sys.exit(plans.verify(config, file, public_key, as_json=as_json))


@click.command("diff", short_help="Say in what two plans differ.")
@with_same_config
@click.argument("before")
@click.argument("after")
@click.option("--all", "everybody", is_flag=True, help="Show every person, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 where the plans differ.")
def plan_diff(config: Path, before: str, after: str, **given: bool) -> None:
    """Compare what two plans would do: BEFORE and AFTER are plan files, or ids of runs.

    Example: scimsync plan diff monday.ndjson 20261123-213355-efe6
    """
    from scimsync.cli import plans  # noqa: PLC0415

    sys.exit(plans.diff(config, before, after, plans.Options(**given)))


@click.command("leave-out", short_help="Make a plan of a stored one, without some people, actions or attributes.")
@with_same_config
@click.argument("plan", default="")
@click.option("--user", "users", multiple=True, metavar="KEY", help="This person; may be repeated.")
@click.option("--action", "actions", multiple=True, metavar="ACTION", help="disable, create, ... or members.")
@click.option("--attribute", "attributes", multiple=True, metavar="PATH", help="This attribute alone, or groups.")
@click.option("--department", "departments", multiple=True, metavar="NAME", help="Who is in it, was, or comes into it.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="What changes in this group, and nothing else.")
@click.option("--reason", default="", help="Why; kept in the plan and in the audit chain.")
@click.option("--all", "everybody", is_flag=True, help="Show every person, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def plan_leave_out(config: Path, **given: object) -> None:
    """Make a new sealed plan of PLAN (the latest where it is not named) that leaves out what meets all that is said.

    It says who left what out. PLAN stays as it is. Nothing is sent, and neither HR nor the target is asked.

    Example: scimsync plan leave-out --action disable --department Sales --reason "HR looks at these again"
    """
    from scimsync.cli import leaving_out  # noqa: PLC0415

    sys.exit(leaving_out.leave_out(config, leaving_out.Options(**given)))  # type: ignore[arg-type]
