"""The commands: parse, call, exit code. Whatever is heavy is imported inside the command that needs it.

The commands of a large group stand in a file beside this one, `GROUP_commands`; what several share in `options`.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import click

from scimsync.cli import interrupting
from scimsync.cli.account_commands import accounts
from scimsync.cli.alarm_commands import alarms
from scimsync.cli.approval_commands import approvals, approve, reject
from scimsync.cli.audit_commands import audit
from scimsync.cli.conflict_commands import conflicts
from scimsync.cli.finding_commands import findings
from scimsync.cli.fleet_commands import fleet, worker
from scimsync.cli.hardening import harden, told
from scimsync.cli.options import (
    FILE,
    FOLDER,
    SOURCES,
    THERE,
    Group,
    with_config,
    with_depth,
    with_log,
    with_overrides,
    with_rings,
)
from scimsync.cli.plan_commands import alone, plan_diff, plan_leave_out, plan_verify
from scimsync.cli.shipping_commands import COMPLETE, attach, completion, man, support_bundle, version
from scimsync.cli.state_commands import state
from scimsync.cli.undo_commands import restore, undo
from scimsync.cli.webhook_commands import webhooks

_ABOUT = """Keep the people in a Genesys Cloud organisation, or at another SCIM provider, equal to what HR says.

\b
A first look, with no account anywhere:
  scimsync demo
A first sync:
  scimsync init, edit scimsync.toml, scimsync doctor, scimsync plan, scimsync apply
A first sync with another SCIM provider:
  scimsync init FOLDER --probe URL --token env:NAME, then the same

\b
Exit codes:
  0   done, or nothing to do          5   target refused or unreachable
  1   internal error                  6   state locked or damaged
  2   usage or configuration          10  plan has changes (with --detailed-exitcode)
  3   source refused                  11  finished with some changes held or failed
  4   plan refused or stale           130, 143, 129  stopped by Ctrl-C, SIGTERM, SIGHUP
"""


@click.group(
    cls=Group,
    help=_ABOUT,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="scimsync")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """The group of all commands; its help text stands above."""
    ctx.color = _colours()


def _colours() -> bool | None:
    """False where NO_COLOR asks for none (no-color.org); None lets the terminal decide."""
    return False if os.environ.get("NO_COLOR") else None


def main() -> None:
    """The installed command: our own exceptions become a paragraph and an exit code."""
    harden()
    if COMPLETE in os.environ:
        attach(cli)
    gc.set_threshold(200_000, 5)  # loading makes objects that stay; by default a tenth of a plan is looking at them
    try:
        cli(complete_var=COMPLETE)
    except SystemExit as end:
        interrupting.deafen()
        if isinstance(end.code, int) and end.code > 128:
            gc.collect()  # what a signal found in the middle of its work holds what libraries want back
        else:
            gc.freeze()  # what is left goes with the process; after an error, too, it holds what they want back
        raise
    except (Exception, BaseExceptionGroup) as raised:
        error = told(raised)
        if error is None:
            raise
        for paragraph in str(error).splitlines() or [""]:
            click.echo(click.style("error: ", fg="red", bold=True) + paragraph, err=True, color=_colours())
        sys.exit(error.exit_code)
    finally:
        interrupting.deafen()


@cli.command(short_help="Write a commented scimsync.toml and a small sample source.")
@click.argument("folder", type=FOLDER, default=Path())
@click.option("--simulator", is_flag=True, help="For the simulator on this machine instead of Genesys Cloud.")
@click.option("--region", default="", help="The region, or its domain as in the address bar (mypurecloud.de).")
@click.option(
    "--source",
    type=click.Choice(SOURCES),
    default="csv",
    show_default=True,
    help="Where HR is. With a sample of invented people: csv, and sql (SQLite).",
)
@click.option("--probe", default="", metavar="URL", help="For the provider at URL, by what a probe of it finds.")
@click.option("--token", default="", help="With --probe: the token, env:NAME or file:PATH.")
@click.option("--write", is_flag=True, help="With --probe: also make a throw-away account, and remove it.")
@click.option("--yes", is_flag=True, help="With --write: do not ask.")
def init(folder: Path, **given: object) -> None:
    """Write a commented scimsync.toml and a small sample source into FOLDER. Nothing is overwritten.

    Example: scimsync init rehearsal --simulator
    """
    from scimsync.cli import starting  # noqa: PLC0415

    sys.exit(starting.init(folder, starting.Options(**given)))  # type: ignore[arg-type]


@cli.group(cls=Group, short_help="Check and show the configuration; print its JSON Schema.")
def config() -> None:
    """Check the configuration, show what holds, and print the JSON Schema that editors read.

    Example: scimsync config check
    """


@config.command("check", short_help="Say everything that is wrong with the configuration.")
@with_config
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def config_check(config: Path, as_json: bool) -> None:  # noqa: FBT001
    """Read the configuration and every secret that it refers to, and say all that is wrong at once.

    Neither HR nor the target is asked: that does doctor. Exit with 2 where something is wrong.

    Example: scimsync config check --config prod.toml
    """
    from scimsync.cli import configuring  # noqa: PLC0415

    sys.exit(configuring.check(config, as_json=as_json))


@config.command("show", short_help="Show every value that holds, and where it comes from.")
@with_config
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def config_show(config: Path, as_json: bool) -> None:  # noqa: FBT001
    """Show every value that holds, as TOML, and where it comes from. Secrets are masked.

    Example: scimsync config show --config prod.toml
    """
    from scimsync.cli import configuring  # noqa: PLC0415

    sys.exit(configuring.show(config, as_json=as_json))


@config.command("schema", short_help="Print the JSON Schema of the configuration.")
def config_schema() -> None:
    """Print the JSON Schema of the configuration (draft 2020-12), for editors and checkers.

    Example: scimsync config schema > scimsync.schema.json
    """
    from scimsync.cli import configuring  # noqa: PLC0415

    sys.exit(configuring.schema())


@cli.command(short_help="Check config, source, credentials, clock, schema, limits and state.")
@with_config
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def doctor(config: Path, as_json: bool) -> None:  # noqa: FBT001
    """Check everything a run needs, one line each, with the next step. Nothing is changed.

    Example: scimsync doctor --config prod.toml
    """
    from scimsync.cli import checking  # noqa: PLC0415

    sys.exit(checking.doctor(config, as_json=as_json))


@cli.command(short_help="Find out by experiment how a provider behaves; write its dialect.")
@click.argument("url", default="")
@click.option("--token", default="", help="The token: env:NAME or file:PATH.")
@click.option("--config", type=FILE, help="Probe the target of this configuration instead of URL.")
@click.option("--write", is_flag=True, help="Also make a throw-away account and group, try them, and remove them.")
@click.option("--yes", is_flag=True, help="Do not ask whether they may be made.")
@click.option("--out", type=FILE, help="Write the dialect to this file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def probe(**given: object) -> None:
    """Find out by experiment how the provider at URL behaves, and what is dangerous there.

    It reads. With --write it also makes an account and a group of its own, and removes them. Nobody else is written.

    Example: scimsync probe https://scim.example.com/v2 --token env:SCIM_TOKEN --out example.toml
    """
    from scimsync.cli import probing  # noqa: PLC0415

    sys.exit(probing.probe(probing.Options(**given)))  # type: ignore[arg-type]


@cli.group(
    cls=Group,
    invoke_without_command=True,
    short_help="Compute, seal and store a plan; show it. Writes nothing to the target.",
)
@with_config
@with_overrides
@with_log
@click.option("--out", type=FILE, help="Also write the plan to this file.")
@click.option(
    "--keep-accounts",
    type=FILE,
    help="Also keep the accounts as they were read, for: simulate --from FILE.",
)
@click.option("--html", type=FILE, help="Also write a report to this file.")
@with_depth
@click.option("--user", "users", multiple=True, metavar="KEY", help="Look at this person only; may be repeated.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Plan for this day; such a plan is never applied.")
@click.option("--all", "everybody", is_flag=True, help="Show every person, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 where the plan has changes.")
@click.option("--offline", is_flag=True, help="From the last whole reading, without the target; cannot be applied.")
@click.option(
    "--compare-config",
    default="",
    metavar="FILE|git:REV",
    help="Show what --config changes by itself against FILE, or itself at a git revision.",
)
@click.option("--markdown", is_flag=True, help="With --compare-config: as a comment for a pull request.")
@click.option(
    "--examples",
    type=click.Choice(["none", "keys", "values"]),
    help="With --compare-config: whom to name; of --markdown nobody, where it is not said.",
)
@click.pass_context
def plan(ctx: click.Context, /, **given: object) -> None:
    """Compute, seal and store a plan, and show it. Nothing is written to the target.

    Example: scimsync plan --out monday.ndjson
    """
    if alone(ctx):
        from scimsync.cli import running  # noqa: PLC0415

        options = running.Options.of(given)
        if options.compare_config:
            from scimsync.cli import comparing  # noqa: PLC0415

            sys.exit(comparing.compare(options))
        sys.exit(running.plan(options))


plan.add_command(plan_verify)
plan.add_command(plan_diff)
plan.add_command(plan_leave_out)


@cli.command(short_help="Apply a plan exactly; continue it after a crash.")
@with_config
@with_overrides
@with_log
@with_rings
@click.argument("plan", default="")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--resume", is_flag=True, help="Go on where a ring stopped the run: you looked at what went wrong.")
@click.option("--all", "everybody", is_flag=True, help="Show every person, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def apply(**given: object) -> None:
    """Apply PLAN: a file, the id of a run, or (without argument) the latest plan.

    If the plan was already begun, apply the rest of it. A plan that expired is refused: after 24 hours, or
    what `[policy] plan_expires` says.

    Example: scimsync apply monday.ndjson
    """
    from scimsync.cli import running  # noqa: PLC0415

    sys.exit(running.apply(running.Options.of(given)))


@cli.command(short_help="Plan, check the limits and apply, without asking; for schedules.")
@with_config
@with_overrides
@with_log
@with_depth
@with_rings
@click.option("--user", "users", multiple=True, metavar="KEY", help="Look at this person only; may be repeated.")
@click.option("--all", "everybody", is_flag=True, help="Show every person, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def sync(**given: object) -> None:
    """Plan, check the limits, and apply, without asking.

    Example: scimsync sync --config prod.toml
    """
    from scimsync.cli import running  # noqa: PLC0415

    sys.exit(running.sync(running.Options.of(given)))


@cli.command(short_help="Say of one person why everything is as it is.")
@with_config
@click.argument("key")
@click.argument("path", default="")
@click.option("--offline", is_flag=True, help="Do not ask the directory: tell from the source and the state alone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def explain(**given: object) -> None:
    """Say of KEY (a source key, the id of an account, or a login) why everything is as it is.

    From the cell of the source through mapping, authority and journal to the answer of the directory; why somebody is
    left out, and what would have to change. With PATH everything about that attribute. Nothing is written anywhere.

    Example: scimsync explain 1001 title
    """
    from scimsync.cli import explaining  # noqa: PLC0415

    sys.exit(explaining.explain(explaining.Options(**given)))  # type: ignore[arg-type]


@cli.command(short_help="List runs, or show one.")
@with_config
@click.argument("run", default="")
@click.option("--html", type=FILE, help="With RUN: also write a report to this file.")
@click.option("--all", "everybody", is_flag=True, help="Show every person, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def runs(**given: object) -> None:
    """List runs, newest first, or show RUN (an id or its beginning) with what came of it.

    Example: scimsync runs 20261123
    """
    from scimsync.cli import running  # noqa: PLC0415

    sys.exit(running.runs(running.Options.of(given)))


@cli.command(short_help="Say that a record and an account are one person, or are not.")
@with_config
@click.argument("key")
@click.argument("account", default="")
@click.option("--unlink", is_flag=True, help="KEY and its account are not one person: remove the link.")
@click.option("--different", is_flag=True, help="KEY and ACCOUNT are two people, whatever they have in common.")
@click.option("--from", "former", default="", metavar="KEY", help="The key that has the account now and loses it.")
@click.option("--reason", default="", help="Why; kept in the audit chain.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def link(**given: object) -> None:
    """Say that the record KEY and ACCOUNT (an id or a login) are one person. The next plan uses this link.

    Example: scimsync link 1009 ada.berg@example.com --from 1001 --reason "rehired under a new number"
    """
    from scimsync.cli import linking  # noqa: PLC0415

    sys.exit(linking.link(linking.Options(**given)))  # type: ignore[arg-type]


@cli.group(short_help="Record the target's schema as baseline; report drift.")
def schema() -> None:
    """Record the target's schema as baseline, and report what drifted since."""


@schema.command(short_help="Record the target's schema as baseline.")
@with_config
@click.option(
    "--from",
    "source",
    type=THERE,
    help="Record this file instead: Schema documents, or {path: type}.",
)
@click.option(
    "--write",
    "written",
    multiple=True,
    metavar="PATH",
    help="Write this mapped path though the schema does not have it; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def pin(config: Path, source: Path | None, written: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001
    """Record the schema that the target publishes, as baseline for later runs. Earlier pins are kept.

    What the mapping writes and that schema does not have is left out of plans from then on.

    Example: scimsync schema pin --config prod.toml
    """
    from scimsync.cli import schemas  # noqa: PLC0415

    sys.exit(schemas.pin(config, source, written=written, as_json=as_json))


@schema.command(short_help="Report what drifted since the pin.")
@with_config
@click.option(
    "--baseline",
    type=THERE,
    help="Compare with this file instead of the pin: Schema documents, or {path: type}.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 where something drifted and nothing blocks.")
def diff(config: Path, baseline: Path | None, as_json: bool, detailed_exitcode: bool) -> None:  # noqa: FBT001
    """Compare the target's schema with the pin, or without a pin with what the dialect assumes.

    Exit with 5 where the mapping writes what drifted, so that a run would stop.

    Example: scimsync schema diff --baseline schemas.json
    """
    from scimsync.cli import schemas  # noqa: PLC0415

    sys.exit(schemas.diff(config, baseline, as_json=as_json, detailed=detailed_exitcode))


@cli.command(short_help="Show the metrics: Prometheus text, or JSON.")
@with_config
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def metrics(**given: object) -> None:
    """Show the metrics of all runs so far, as Prometheus text. It never talks to the target.

    Example: scimsync metrics --json
    """
    from scimsync.cli import running  # noqa: PLC0415

    sys.exit(running.metrics(running.Options.of(given)))


for _added in (approvals, approve, reject, undo, restore, conflicts, findings, accounts, audit, webhooks, alarms):
    cli.add_command(_added)


@cli.command(short_help="Show the console; run by the clock and by events; send webhooks and alarms.")
@with_config
@click.option("--events", is_flag=True, help="Receive signed events at POST /events.")
@click.option("--schedule", is_flag=True, help="Plan and apply when a [[schedule]] is due; send alarms.")
@click.option("--console/--no-console", default=None, help="The console; by default for this machine alone.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8787, show_default=True, help="The port; 0 takes a free one.")
@click.option("--behind", default="", metavar="URL", help="Where a proxy with TLS passes the console on.")
def serve(**given: object) -> None:
    """Show the console, run by the clock and for the people that signed events name, send webhooks and alarms.

    Runs until Ctrl-C or SIGTERM.

    Example: scimsync serve --schedule
    """
    from scimsync.cli import serving  # noqa: PLC0415

    sys.exit(serving.serve(serving.Options(**given)))  # type: ignore[arg-type]


@cli.command(short_help="Run the Genesys Cloud simulator.")
@click.option("--port", default=0, help="Port of the API; 0 takes a free one.")
@click.option("--login-port", type=int, help="A port of its own for tokens.")
@click.option("--users", default=200, show_default=True, help="How many accounts it holds.")
@click.option("--seed", default=1, show_default=True, help="Which people are invented.")
@click.option("--option", "options", multiple=True, metavar="SWITCH=VALUE", help="Change a switch; may be repeated.")
@click.option("--faults", type=THERE, help="Faults to play (TOML).")
@click.option("--options-file", type=THERE, help="Switches (TOML).")
@click.option("--options", "show_options", is_flag=True, help="Show every switch, and end.")
@click.option(
    "--from", "source", type=click.Path(exists=True, path_type=Path), help="Accounts from NDJSON: a file or folder."
)
@click.option("--snapshots", type=FOLDER, help="Folder for snapshots.")
@click.option("--tls", is_flag=True, help="Serve https with an authority of its own, for this run only.")
@click.option("--ca-file", type=FILE, help="Where to put that authority.")
@click.option("--client-id", default="", help="Fix the client id.")
@click.option("--client-secret", default="", help="Fix the client secret.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON when it is ready.")
def simulate(**given: object) -> None:
    """Run the Genesys Cloud simulator in the foreground until Ctrl-C.

    Example: scimsync simulate --port 8080 --users 2000 --option rate_limit=3000
    """
    from scimsync.cli import simulating  # noqa: PLC0415

    simulating.simulate(simulating.Options.of(given))


@cli.command(short_help="See it work: simulator, sample HR database, plan, apply, second run.")
@click.option("--users", default=2000, show_default=True, help="How many accounts the simulator holds.")
@click.option("--keep", type=FOLDER, help="Keep everything in this folder.")
@click.option("--console", is_flag=True, help="Then open the console on it, until Ctrl-C.")
@click.option("--option", "options", multiple=True, metavar="SWITCH=VALUE", help="Change a switch of the simulator.")
def demo(users: int, keep: Path | None, console: bool, options: tuple[str, ...]) -> None:  # noqa: FBT001
    """Start a simulator, make an HR database that differs from it, plan, apply, and plan again.

    Everything happens on this machine, in a folder of its own.

    Example: scimsync demo --keep demo
    """
    from scimsync.cli import demonstrating, simulating  # noqa: PLC0415

    switches = simulating.read_switches(options)
    sys.exit(demonstrating.demo(users=users, keep=keep, switches=switches, console=console))


for _added in (state, fleet, worker, support_bundle, version, completion, man):
    cli.add_command(_added)
