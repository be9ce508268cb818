"""The command `scimsync accounts`: parse, call, exit code; what it does stands in `unmanaged`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from scimsync.cli.options import FILE, with_config


@click.command(short_help="List the accounts that HR does not know.")
@with_config
@click.option("--unmanaged", is_flag=True, help="Those that no record of HR has.")
@click.option("--csv", "csv_file", type=FILE, help="Write them to this file as CSV.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def accounts(config: Path, unmanaged: bool, csv_file: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """List the accounts that HR does not know, as the directory was read for the latest plan about everybody.

    The target is not asked. Those that [policy] protected names are marked.

    Example: scimsync accounts --unmanaged --csv unmanaged.csv
    """
    from scimsync.cli import unmanaged as listing  # noqa: PLC0415

    if not unmanaged:
        raise click.UsageError("say which accounts: --unmanaged lists those that HR does not know.")
    sys.exit(listing.unmanaged(config, csv_file, as_json=as_json))
