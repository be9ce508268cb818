"""The commands: parse, call, exit code. Whatever is heavy is imported inside the command that needs it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar

import click

from scimsync.cli import interrupting
from scimsync.cli.interrupting import Interrupted
from scimsync.errors import ConfigError, ScimsyncError

Command = TypeVar("Command", bound=Callable[..., object])


class _Group(click.Group):
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
            click.echo(f"Stopped ({stopped}).", err=True)
            ctx.exit(stopped.exit_code)


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

_ABOUT = """Keep the people in a Genesys Cloud organisation equal to what HR says about them.

\b
A first look, with no account anywhere:
  scimsync demo
A first sync:
  scimsync init, edit scimsync.toml, scimsync doctor, scimsync plan, scimsync apply

\b
Exit codes:
  0   done, or nothing to do          5   target refused or unreachable
  1   internal error                  6   state locked or damaged
  2   usage or configuration          10  plan has changes (with --detailed-exitcode)
  3   source refused                  11  finished with some changes held or failed
  4   plan refused or stale           130, 143, 129  stopped by Ctrl-C, SIGTERM, SIGHUP
"""


@click.group(
    cls=_Group,
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


def with_config(command: Command) -> Command:
    """Add --config, and hand the path over as `config`."""
    option = click.option(
        "--config",
        type=FILE,
        default=Path("scimsync.toml"),
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


def with_overrides(command: Command) -> Command:
    """Add --override and --reason, and hand them over as `overrides`, rule by rule."""

    @wraps(command)
    def wrapped(*args: object, override: tuple[str, ...], reason: str, **kwargs: object) -> object:
        if override and not reason.strip():
            raise ConfigError("--override needs --reason TEXT: it stands in the plan for whoever reads it later.")
        return command(*args, overrides=dict.fromkeys(override, reason), **kwargs)

    reasons = click.option("--reason", default="", help="Why the rule is set aside; kept with the plan.")
    rules = click.option("--override", multiple=True, metavar="RULE", help="Set a rule aside for this run.")
    return reasons(rules(wrapped))  # type: ignore[return-value]


def with_log(command: Command) -> Command:
    """Add --log, and hand it over as `log`."""
    option = click.option(
        "--log",
        type=click.Choice(["json", "console", "off"]),
        help="What to log to stderr; instead of [log] format.",
    )
    return option(command)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def main() -> None:
    """The installed command: our own exceptions become a paragraph and an exit code."""
    gc.set_threshold(200_000, 5)  # loading makes objects that stay; by default a tenth of a plan is looking at them
    try:
        cli()
    except (ScimsyncError, BaseExceptionGroup) as raised:
        error = _first(raised)
        if not isinstance(error, ScimsyncError):
            raise
        for paragraph in str(error).splitlines() or [""]:
            click.echo(click.style("error: ", fg="red", bold=True) + paragraph, err=True, color=_colours())
        sys.exit(error.exit_code)
    finally:
        interrupting.deafen()
        gc.freeze()  # what is left goes with the process, and need not be looked through for it


@cli.command(short_help="Write a commented scimsync.toml and a small sample source.")
@click.argument("folder", type=FOLDER, default=Path())
@click.option("--simulator", is_flag=True, help="For the simulator on this machine instead of Genesys Cloud.")
@click.option("--region", default="", help="The region, or its domain as in the address bar (mypurecloud.de).")
@click.option(
    "--source",
    type=click.Choice(["csv", "sql", "postgres"]),
    default="csv",
    show_default=True,
    help="Where HR is: a file, an SQLite database (both with a sample), or PostgreSQL.",
)
def init(folder: Path, simulator: bool, region: str, source: str) -> None:  # noqa: FBT001
    """Write a commented scimsync.toml and a small sample source into FOLDER. Nothing is overwritten.

    Example: scimsync init rehearsal --simulator
    """
    from scimsync.cli import starting  # noqa: PLC0415

    starting.init(folder, starting.Wish(simulator=simulator, region=region, source=source))


@cli.command(short_help="Check config, source, credentials, clock, schema, limits and state.")
@with_config
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def doctor(config: Path, as_json: bool) -> None:  # noqa: FBT001
    """Check everything a run needs, one line each, with the next step. Nothing is changed.

    Example: scimsync doctor --config prod.toml
    """
    from scimsync.cli import checking  # noqa: PLC0415

    sys.exit(checking.doctor(config, as_json=as_json))


@cli.command(short_help="Compute, seal and store a plan; show it. Writes nothing to the target.")
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
@click.option("--user", "users", multiple=True, metavar="KEY", help="Look at this person only; may be repeated.")
@click.option("--all", "everybody", is_flag=True, help="Show every person, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 where the plan has changes.")
def plan(**given: object) -> None:
    """Compute, seal and store a plan, and show it. Nothing is written to the target.

    Example: scimsync plan --out monday.ndjson
    """
    from scimsync.cli import running  # noqa: PLC0415

    sys.exit(running.plan(running.Given.of(given)))


@cli.command(short_help="Carry out a plan exactly; go on with it where a crash left it.")
@with_config
@with_overrides
@with_log
@click.argument("plan", default="")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--all", "everybody", is_flag=True, help="Show every person, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def apply(**given: object) -> None:
    """Carry out PLAN: a file, the id of a run, or (without argument) the latest plan.

    A plan that was begun is continued: what is done stays done. A plan older than 24 hours is refused.

    Example: scimsync apply monday.ndjson
    """
    from scimsync.cli import running  # noqa: PLC0415

    sys.exit(running.apply(running.Given.of(given)))


@cli.command(short_help="Plan, check the limits, apply: the scheduled form.")
@with_config
@with_overrides
@with_log
@click.option("--user", "users", multiple=True, metavar="KEY", help="Look at this person only; may be repeated.")
@click.option("--all", "everybody", is_flag=True, help="Show every person, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def sync(**given: object) -> None:
    """Plan, check the limits, and apply, without asking.

    Example: scimsync sync --config prod.toml
    """
    from scimsync.cli import running  # noqa: PLC0415

    sys.exit(running.sync(running.Given.of(given)))


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

    sys.exit(running.runs(running.Given.of(given)))


@cli.command(short_help="Say that a record and an account are one person, or are not.")
@with_config
@click.argument("key")
@click.argument("account", default="")
@click.option("--unlink", is_flag=True, help="Say that KEY and its account are not one person.")
@click.option("--from", "former", default="", metavar="KEY", help="The key that has the account now, and gives it up.")
@click.option("--reason", default="", help="Why; kept in the audit chain.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def link(**given: object) -> None:
    """Say that the record KEY and ACCOUNT (an id or a login) are one person; the next plan goes by it.

    Example: scimsync link 1009 ada.berg@example.com --from 1001 --reason "rehired under a new number"
    """
    from scimsync.cli import linking  # noqa: PLC0415

    sys.exit(linking.link(linking.Given(**given)))  # type: ignore[arg-type]


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
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def pin(config: Path, source: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Record what the target says about itself as the baseline of all later runs. Pins before it are kept.

    Example: scimsync schema pin --config prod.toml
    """
    from scimsync.cli import schemas  # noqa: PLC0415

    sys.exit(schemas.pin(config, source, as_json=as_json))


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


@cli.command(short_help="Show what was measured: Prometheus text, or JSON.")
@with_config
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def metrics(**given: object) -> None:
    """Show the metrics of all runs so far, as Prometheus text. It never talks to the target.

    Example: scimsync metrics --json
    """
    from scimsync.cli import running  # noqa: PLC0415

    sys.exit(running.metrics(running.Given.of(given)))


@cli.group(cls=_Group, short_help="Prove, read and export the audit chain.")
def audit() -> None:
    """Prove, read and export what was written, decided and by whom."""


@audit.command("verify", short_help="Prove the chain, or name the first broken record.")
@with_config
@click.argument("file", required=False, type=FILE)
@click.option("--against", type=FILE, help="Checkpoints that were kept elsewhere.")
@click.option("--public-key", default="", metavar="TEXT", help="Of who signed; the text or a file. Default: our own.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def audit_verify(config: Path, file: Path | None, against: Path | None, public_key: str, as_json: bool) -> None:  # noqa: FBT001
    """Prove FILE (an export), or the state: no record was changed, removed, swapped or added, none is cut off.

    Example: scimsync audit verify --against /mnt/elsewhere/checkpoints
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.verify(config, file, against, public_key, as_json=as_json))


@audit.command("show", short_help="Show the latest records.")
@with_config
@click.option("--user", default="", metavar="KEY", help="Only those about this person, by source key.")
@click.option("--run", default="", help="Only those of this run.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="How many, the latest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def audit_show(config: Path, user: str, run: str, limit: int, as_json: bool) -> None:  # noqa: FBT001
    """Show the latest records of the audit chain.

    Example: scimsync audit show --user E00011
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.show_records(config, user, run, limit, as_json=as_json))


@audit.command("export", short_help="Write records as JSON lines or OCSF events.")
@with_config
@click.option("--format", "form", type=click.Choice(["jsonl", "ocsf"]), default="jsonl", show_default=True, help="How.")
@click.option("--out", type=FILE, help="To this file (mode 0600), not stdout.")
@click.option("--run", default="", help="Only this run.")
@click.option("--since", type=click.DateTime(), help="Only from this moment (UTC) on.")
@click.option("--no-values", is_flag=True, help="Without the personal part.")
def audit_export(config: Path, no_values: bool, **given: object) -> None:  # noqa: FBT001
    """Write records as JSON lines that `audit verify FILE` can prove, or as OCSF events.

    Example: scimsync audit export --format ocsf --since 2026-11-01 --out november.ndjson
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.export(config, auditing.Wish(values=not no_values, **given)))  # type: ignore[arg-type]


@audit.command("prove", short_help="Prove one record to somebody who has nothing else.")
@with_config
@click.argument("seq", type=click.IntRange(1))
@click.option("--out", type=FILE, help="To this file (mode 0600), not stdout.")
def audit_prove(config: Path, seq: int, out: Path | None) -> None:
    """Write the proof that record SEQ is in the chain; examples/check_proof.py checks it.

    Example: scimsync audit prove 17 --out proof.json
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.prove(config, seq, out))


@audit.command("erase", short_help="Make the values of one person unreadable for ever.")
@with_config
@click.argument("person")
@click.option("--reason", required=True, help="Why; kept in the chain.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def audit_erase(config: Path, person: str, reason: str, yes: bool) -> None:  # noqa: FBT001
    """Destroy the key under which the values of PERSON (a source key) are encrypted. It cannot be taken back.

    Example: scimsync audit erase E00011 --reason "request 4711 of 2 March"
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.erase(config, person, reason, yes=yes))


@audit.command("checkpoint", short_help="Sign the chain as it is now.")
@with_config
def audit_checkpoint(config: Path) -> None:
    """Sign the chain as it is now, keep the checkpoint, and print it.

    Example: scimsync audit checkpoint
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.checkpoint(config))


@audit.command("key", short_help="Make the key that signs checkpoints; print the public key.")
@with_config
def audit_key(config: Path) -> None:
    """Make the key that signs checkpoints where there is none, and print the public key.

    Example: scimsync audit key
    """
    from scimsync.cli import auditing  # noqa: PLC0415

    sys.exit(auditing.key(config))


@cli.group(invoke_without_command=True, short_help="List webhooks; ping, deliver, redrive.")
@with_config
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def webhooks(ctx: click.Context, config: Path, as_json: bool) -> None:  # noqa: FBT001
    """List the webhooks with what is pending, delivered and dead, and the last trouble of each.

    Example: scimsync webhooks --config prod.toml
    """
    ctx.obj = config
    if ctx.invoked_subcommand is None:
        from scimsync.cli import webhooks as work  # noqa: PLC0415

        sys.exit(work.show(config, as_json=as_json))


@webhooks.command(short_help="Send a ping, and say what came of it.")
@click.argument("webhook", default="")
@with_same_config
def ping(config: Path, webhook: str) -> None:
    """Send a ping to WEBHOOK (its number or its URL) or to all, and say what came of it.

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


@cli.command(short_help="Take signed events, synchronise those people, deliver webhooks.")
@with_config
@click.option("--events", is_flag=True, help="Take signed events at POST /events.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8787, show_default=True, help="The port; 0 takes a free one.")
def serve(config: Path, events: bool, host: str, port: int) -> None:  # noqa: FBT001
    """Take signed events that say who changed, synchronise exactly these people, and deliver the outbox.

    It goes on until Ctrl-C or SIGTERM.

    Example: scimsync serve --events
    """
    from scimsync.cli import serving  # noqa: PLC0415

    sys.exit(serving.serve(config, events=events, host=host, port=port))


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

    simulating.simulate(simulating.Wish.of(given))


@cli.command(short_help="See it work: simulator, sample HR database, plan, apply, second run.")
@click.option("--users", default=2000, show_default=True, help="How many accounts the simulator holds.")
@click.option("--keep", type=FOLDER, help="Keep everything in this folder.")
@click.option("--option", "options", multiple=True, metavar="SWITCH=VALUE", help="Change a switch of the simulator.")
def demo(users: int, keep: Path | None, options: tuple[str, ...]) -> None:
    """Start a simulator, make an HR database that differs from it, plan, apply, and plan again.

    Everything happens on this machine, in a folder of its own.

    Example: scimsync demo --keep demo
    """
    from scimsync.cli import demonstrating, simulating  # noqa: PLC0415

    sys.exit(demonstrating.demo(users=users, keep=keep, switches=simulating.read_switches(options)))
