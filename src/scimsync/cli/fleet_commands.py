"""The commands `scimsync fleet ...`: parse, call, exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from scimsync.cli.options import FILE, FOLDER, Group

_Command = TypeVar("_Command", bound=Callable[..., object])
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
_FLEET = click.option(
    "--fleet", "file", type=FILE, default=Path("fleet.toml"), show_default=True, help="The fleet file."
)


def _with_fleet(command: _Command) -> _Command:
    """Add --fleet, --select and --json."""
    select = click.option(
        "--select",
        "selected",
        multiple=True,
        metavar="LABEL=VALUE",
        help="Only organisations with this label, or name=NAME; all that are given must hold.",
    )
    return _FLEET(select(_JSON(command)))


@click.group(cls=Group, short_help="Plan, synchronise, approve and look at many organisations.")
def fleet() -> None:
    """Plan, synchronise, approve and look at many organisations, which a fleet file names.

    One table for all, and one exit code: the worst, in the order 0, 10, 11, 4, 3, 5, 6, 2, 1. An organisation that is
    broken holds up no other.

    Example: scimsync fleet status --select region=eu
    """


@fleet.command("status", short_help="Say how each organisation stands, from its state.")
@_with_fleet
def fleet_status(file: Path, selected: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001
    """Say how each organisation stands, from its state alone: no target is asked, and no credentials are needed.

    Example: scimsync fleet status
    """
    from scimsync.cli import fleeting  # noqa: PLC0415

    sys.exit(fleeting.status(file, selected, as_json=as_json))


@fleet.command("plan", short_help="Make a plan for each organisation. Writes nothing to any target.")
@_with_fleet
def fleet_plan(file: Path, selected: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001
    """Make, seal and store a plan for each organisation, so many at a time as the fleet file says.

    Example: scimsync fleet plan --select region=eu --select tier=gold
    """
    from scimsync.cli import fleeting  # noqa: PLC0415

    sys.exit(fleeting.plan(file, selected, as_json=as_json))


@fleet.command("sync", short_help="Plan, check the limits and apply, for each organisation.")
@_with_fleet
@click.option("--workers", is_flag=True, help="Let the workers do it, and wait for them.")
def fleet_sync(file: Path, selected: tuple[str, ...], workers: bool, as_json: bool) -> None:  # noqa: FBT001
    """Plan, check the limits and apply, without asking, for each organisation.

    Example: scimsync fleet sync --select region=eu
    """
    from scimsync.cli import fleeting  # noqa: PLC0415

    sys.exit((fleeting.ask if workers else fleeting.sync)(file, selected, as_json=as_json))


@fleet.command("approve", short_help="Approve the plan of each organisation that waits for it.")
@_with_fleet
@click.option("--reason", default="", help="What you looked at; kept in each audit chain.")
def fleet_approve(file: Path, selected: tuple[str, ...], reason: str, as_json: bool) -> None:  # noqa: FBT001
    """Approve the latest plan of each organisation that waits for approvals; who proposed one may not.

    Example: scimsync fleet approve --select name=berlin --reason "the leavers are on HR's list"
    """
    from scimsync.cli import fleeting  # noqa: PLC0415

    sys.exit(fleeting.approve(file, selected, reason, as_json=as_json))


@fleet.command("add", short_help="Take an organisation in: check it, and make a first plan.")
@_FLEET
@click.argument("name")
@click.option("--config", default="", metavar="FILE", help="Its own configuration file.")
@click.option("--extends", default="", metavar="FILE", help="The configuration file that it shares.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="With --extends: section.key=value.")
@click.option("--label", "labels", multiple=True, metavar="LABEL=VALUE", help="A label; may be repeated.")
@click.option("--schedule", default="", help="When workers synchronise it: five fields of cron, UTC.")
def fleet_add(**given: object) -> None:
    """Take the organisation NAME into the fleet file, check what a run needs, and make a first plan.

    The file is made where there is none. Nothing is written to the target. Where the check fails, the organisation
    stays in the file, and the exit code is that of the check.

    Example: scimsync fleet add berlin --extends base.toml --set target.client_id=env:BERLIN_ID --label region=eu
    """
    from scimsync.cli import fleeting  # noqa: PLC0415

    sys.exit(fleeting.add(fleeting.Added(**given)))  # type: ignore[arg-type]


@fleet.command("schema", short_help="Print the JSON Schema of the fleet file.")
def fleet_schema() -> None:
    """Print the JSON Schema of the fleet file (draft 2020-12), for editors and checkers.

    Example: scimsync fleet schema > fleet.schema.json
    """
    from scimsync.cli import fleeting  # noqa: PLC0415

    sys.exit(fleeting.schema())


@fleet.command("demo", short_help="See a fleet work: a simulator and an HR database for each organisation.")
@click.argument("folder", type=FOLDER)
@click.option("--organisations", type=click.IntRange(1, 200), default=20, show_default=True, help="How many.")
@click.option("--users", default=60, show_default=True, help="How many accounts each holds.")
@click.option("--port", default=0, help="The port of the first simulator, the others follow; 0 takes free ones.")
@click.option("--url", default="", help="The PostgreSQL database of states and workers, or env:NAME; else files.")
@click.option("--serve", is_flag=True, help="Synchronise nothing here: run the simulators for workers, until Ctrl-C.")
def fleet_demo(folder: Path, **given: object) -> None:
    """Make a fleet in FOLDER, with invented people, and synchronise it. Everything happens on this machine.

    Example: scimsync fleet demo demo-fleet
    """
    from scimsync.cli import fleet_demo as play  # noqa: PLC0415

    sys.exit(play.demo(folder, **given))  # type: ignore[arg-type]


@click.command(short_help="Work on a fleet beside other workers: any number of processes, one PostgreSQL.")
@_FLEET
@click.option("--slots", type=click.IntRange(0), default=0, help="Organisations at a time; default [fleet] at_once.")
@click.option("--alive", type=FILE, help="Touch this file every few seconds, for health checks.")
def worker(file: Path, slots: int, alive: Path | None) -> None:
    """Take work for the organisations of a fleet until SIGTERM or Ctrl-C: runs that are due, asked for or approved.

    Any number of workers may run, on any number of machines, with one PostgreSQL and one folder of artifacts. What a
    dead one leaves is gone on with by another.

    Example: scimsync worker --fleet fleet.toml --slots 4
    """
    from scimsync.cli import laboring  # noqa: PLC0415

    sys.exit(laboring.worker(file, slots, alive))
