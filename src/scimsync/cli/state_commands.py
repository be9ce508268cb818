"""The commands `scimsync state ...`: parse, call, exit code; what they do stands in `keeping`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scimsync.cli.options import with_config


@click.group(short_help="Remove what retention no longer keeps; go on with a state that lost something.")
def state() -> None:
    """See to what is remembered from run to run.

    Example: scimsync state gc --dry-run
    """


@state.command("gc", short_help="Remove what retention no longer keeps.")
@with_config
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def collect(config: Path, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    """Remove plans, bases and journal lines of runs that `[state] keep` no longer keeps.

    What the next run, a run that was cut short, an answer that is awaited or a kept run needs stays, and so does the
    audit chain. Each run stays in the list, with its numbers.

    Example: scimsync state gc --dry-run
    """
    from scimsync.cli import keeping  # noqa: PLC0415

    sys.exit(keeping.collect(config, dry=dry_run, as_json=as_json))


@state.command("renew", short_help="Go on with a state that was emptied, put back, or lost what was agreed.")
@with_config
@click.option("--reason", required=True, help="Why; kept in the audit chain.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def renew(config: Path, reason: str, as_json: bool) -> None:  # noqa: FBT001
    """Forget what both sides agreed on, and go on with the state as it is: the last resort where no backup is left.

    The next plan reads the directory as on a first run, and removes nothing for want of what was agreed. A run that
    was cut short is closed. Links, runs, journal and audit chain stay, and the chain tells of it for ever.

    Example: scimsync state renew --reason "the disk with the artifacts is lost, ticket 4711"
    """
    from scimsync.cli import keeping  # noqa: PLC0415

    sys.exit(keeping.renew(config, reason, as_json=as_json))
