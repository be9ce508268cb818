"""The init command."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import click

from scimsync.cli.sample import ATTRIBUTES, COLUMNS, rows
from scimsync.errors import ConfigError
from scimsync.simulator.people import people

CONFIG = f"""\
# scimsync: keeps a directory equal to what HR says. Every key is explained in docs/configuration.md.

[source]                                       # where the HR records are
kind     = "csv"                               # csv, sql, parquet or jsonl
path     = "hr.csv"                            # the sample; for a database: kind = "sql", url, query
key      = "employee_id"                       # the column that identifies a person, for ever
complete = "unproven"                          # a text file proves nothing by absence; see the docs

[target]                                       # the directory
dialect       = "genesys"
region        = "us-east-1"                    # or api_url and login_url, for the simulator for instance
client_id     = "env:GENESYS_CLIENT_ID"        # an OAuth client (client credentials), role SCIM Integration
client_secret = "env:GENESYS_CLIENT_SECRET"    # secrets by reference only: env:NAME or file:PATH

[correlation]                                  # the first path on which exactly one account is found wins
match = ["externalId", "enterprise:employeeNumber", "userName"]

{ATTRIBUTES}
[policy]
authority = "local_wins"                       # who wins where the directory was edited by hand:
                                               # local_wins, cloud_wins, merge, ask
leavers   = "disable"                          # or keep
protected = ["admin@example.com"]              # keys or user names that are never changed

[limits]                                       # a plan beyond a limit is refused: a number or a share
disable          = "5%"
create           = "20%"
update           = "50%"
source_rows_drop = "10%"
group_loss       = "30%"                       # beyond it a group is left as it is

# [groups]                                     # who is a member of which group; see docs/configuration.md
# path   = "membership.csv"                    # pairs: key, group; for a database: query; or column = "group_list"
# nested = "refuse"                            # groups in groups: keep, flatten or refuse
# others = "keep"                              # members that others added: keep or remove

[state]                                        # what is remembered from run to run; keep it private
url       = "sqlite:///.scimsync/state.db"     # or PostgreSQL
artifacts = ".scimsync/artifacts"              # plans and bases
"""

_NEXT = """\
Next:
  1. Look through {config}; the comments say what each line does.
  2. export GENESYS_CLIENT_ID=... GENESYS_CLIENT_SECRET=...
  3. scimsync doctor --config {config}
  4. scimsync plan --config {config}      writes nothing, shows everything
  5. scimsync apply --config {config}
To rehearse first, run "scimsync simulate" and put the lines it prints in place of [target]."""


def init(folder: Path) -> None:
    """Write a configuration and a sample source.

    Raises:
        ConfigError: Something of that name is there already, or the folder cannot be written.
    """
    config, source = folder / "scimsync.toml", folder / "hr.csv"
    for file in (config, source):
        if file.exists():
            raise ConfigError(f"{file} is there already, and nothing is overwritten. Choose another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(CONFIG, encoding="utf-8")
        source.write_text(_sample(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}).") from error
    click.echo(f"Wrote {config} and {source} (25 invented people).")
    click.echo(_NEXT.format(config=config))


def _sample() -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(people(1, 25)))
    return text.getvalue()
