"""The init command."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import replace

from scimsync.cli import probing
from scimsync.cli.sample import ATTRIBUTES, COLUMNS, rows, write_database
from scimsync.cli.skeletons import SKELETONS
from scimsync.errors import ConfigError
from scimsync.scim.regions import GENESYS_REGIONS, nearest_region, region_of
from scimsync.services import configuring
from scimsync.services.probing import Probed
from scimsync.simulator.people import Person, people, person

#: where the dialect of a provider is put that was probed
DIALECT_FILE = "dialect.toml"
#: where `init --simulator` expects the simulator, and whom it lets in
PORT, CLIENT, SECRET = 8080, "rehearsal", "rehearsal-only-not-a-secret"
_SIMULATED = f"""\
dialect       = "genesys"
api_url       = "http://127.0.0.1:{PORT}"         # the simulator of step 1
login_url     = "http://127.0.0.1:{PORT}"
client_id     = "env:GENESYS_CLIENT_ID"
client_secret = "env:GENESYS_CLIENT_SECRET"    # secrets by reference only: env:NAME or file:PATH
"""
_REAL = """\
dialect       = "genesys"
region        = "{region}"
client_id     = "env:GENESYS_CLIENT_ID"        # an OAuth client (client credentials), role SCIM Integration
client_secret = "env:GENESYS_CLIENT_SECRET"    # secrets by reference only: env:NAME or file:PATH
"""
_PROBED = """\
dialect = "file:dialect.toml"                  # what the probe found, each entry with what was seen
api_url = {url}
token   = {token:<36} # secrets by reference only: env:NAME or file:PATH
"""
_MAPPED = "[attributes]                                   # SCIM path = SQL expression over one record"
_SHARE = '"20%"'
_SAMPLE_LIMIT = "50                           # enough for the sample; take a share once HR is connected"
_MATCH = '["externalId", "enterprise:employeeNumber", "userName"]'
CONFIG = """\
#:schema ./scimsync.schema.json
# scimsync: keeps a directory equal to what HR says. Every key is explained in docs/configuration.md.

[source]                                       # where the HR records are
{source}
[target]                                       # the directory
{target}
[correlation]                                  # whose account it is: by the first path that finds exactly one which
                                               # carries nobody else's values on the paths before it
match = {match}

{attributes}
[policy]
authority = "ask"                              # who wins where the directory says something else: local_wins,
                                               # cloud_wins, merge, ask. With ask nothing there is overwritten
leavers   = "disable"                          # or keep, or delete after a while
protected = ["admin@example.com"]              # keys or user names that are never changed

[limits]                                       # a plan beyond a limit is refused: a number or a share
disable          = "5%"
enable           = "5%"
create           = {create}
update           = "50%"
clear            = "5%"                        # of the values of one attribute
source_rows_drop = "10%"
group_loss       = "30%"                       # beyond it a group is left as it is
group_gain       = "50%"                       # likewise
window           = "1d"                        # runs within it count together

# [groups]                                     # who is a member of which group; see docs/configuration.md
# path   = "membership.csv"                    # pairs: key, group; for a database: query; or column = "group_list"
# nested = "refuse"                            # groups in groups: keep, flatten or refuse
# others = "keep"                              # members that others added: keep or remove
# protected = ["Admins"]                       # groups that are never changed

[state]                                        # what is remembered from run to run; keep it private
url       = "sqlite:///.scimsync/state.db"     # or PostgreSQL
artifacts = ".scimsync/artifacts"              # plans and bases
"""
_NEXT_SIMULATOR = """\
Next:
  1. In another terminal: scimsync simulate --port {port} --client-id {client} --client-secret {secret}
  2. export GENESYS_CLIENT_ID={client} GENESYS_CLIENT_SECRET={secret}
  3. scimsync doctor --config {config}
  4. scimsync plan --config {config}      two people joined HR, one left
  5. scimsync apply --config {config}"""
_NEXT = """\
Next:
  1. Look through {config}; the comments say what each line does.
  2. export {variables}
  3. scimsync doctor --config {config}
  4. scimsync plan --config {config}      writes nothing, shows everything
  5. scimsync apply --config {config}
To rehearse first: scimsync init rehearsal --simulator"""
_NEXT_PROBED = """\
Next:
  1. Look through {config}; the comments say what each line does. Its [source] holds
     invented people: put your own source in its place before you apply.
  2. scimsync doctor --config {config}
  3. scimsync plan --config {config}      writes nothing, shows everything"""


class Options(Struct, frozen=True, kw_only=True):
    """What stands on the command line."""

    simulator: bool = False
    #: a region, its domain, or an address in it; "" for the first region
    region: str = ""
    source: str = "csv"
    #: the address of a provider that is probed; "" for none
    probe: str = ""
    token: str = ""
    write: bool = False
    yes: bool = False


def init(folder: Path, options: Options) -> int:
    """Write a configuration, its schema for editors, and a sample source; give the exit code.

    Raises:
        ConfigError: Something of that name is there already, the folder cannot be written, or there is no
            such region.
        TargetError: The target that shall be probed cannot be read.
    """
    config, dialect = folder / "scimsync.toml", folder / DIALECT_FILE if options.probe else None
    skeleton = SKELETONS[options.source]
    sample = folder / skeleton.sample if skeleton.sample else None
    described, found = folder / configuring.SCHEMA_FILE, _people()
    try:
        taken = next((file for file in (config, described, sample, dialect) if file and file.exists()), None)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}). Choose a folder of yours.") from error
    if taken is not None:
        raise ConfigError(f"{taken} is there already, and nothing is overwritten. Choose another folder.")
    stray = next((name for name in ("token", "write", "yes") if getattr(options, name) and not options.probe), "")
    if stray:
        raise ConfigError(f"init: --{stray} goes with --probe URL, which says whom it is for")
    probed = _probe(options) if options.probe else None
    text = _configuration(options, probed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if options.source == "csv" and sample is not None:
            sample.write_text(_csv(found), encoding="utf-8")
        elif sample is not None:
            write_database(sample, found)
        described.write_text(json.dumps(configuring.schema(), indent=2) + "\n", encoding="utf-8")
        config.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written ({error.strerror}). Choose a folder of yours.") from error
    click.echo(f"Wrote {config}" + (f" and {sample} ({len(found)} invented people)." if sample else "."))
    click.echo(f"Wrote {described}, by which editors complete and explain its keys.")
    if probed is not None and dialect is not None:
        probing.write_dialect(dialect, probed)
        click.echo(f"Wrote {dialect}: {len(probed.findings.found)} entries, each with what was seen.")
        for remark in probed.findings.remarks:
            click.echo(f"note: {remark}", err=True)
        for what in probed.left:
            click.echo(f"LEFT BEHIND: {what}", err=True)
        click.echo(_NEXT_PROBED.format(config=config))
        return probing.code(probed)
    variables = ["GENESYS_CLIENT_ID=...", "GENESYS_CLIENT_SECRET=..."]
    variables += [f"{name}=..." for name in skeleton.variables]
    steps = _NEXT_SIMULATOR if options.simulator else _NEXT
    click.echo(steps.format(config=config, port=PORT, client=CLIENT, secret=SECRET, variables=" ".join(variables)))
    return 0


def _probe(options: Options) -> Probed:
    if options.simulator or options.region:
        raise ConfigError("init: give either --probe, or --simulator or --region")
    subject = probing.subject_of(options.probe, options.token)
    return probing.run(subject, writes=options.write, yes=options.yes)


def _configuration(options: Options, probed: Probed | None) -> str:
    skeleton = SKELETONS[options.source]
    source = skeleton.text
    if probed is None:
        return CONFIG.format(
            source=source,
            target=_target(options),
            match=_MATCH,
            create=_SHARE,
            attributes=_attributes(skeleton.mapping(ATTRIBUTES)),
        )
    match, lines = probing.first_mapping(probed)
    target = _PROBED.format(url=json.dumps(probed.url), token=json.dumps(_reference(options.token)))
    attributes = f"{_MAPPED}\n{lines}\n"
    return CONFIG.format(source=source, target=target, match=match, create=_SAMPLE_LIMIT, attributes=attributes)


def _reference(token: str) -> str:
    """A reference to a secret, whose file is found from any folder."""
    kind, _, name = token.partition(":")
    return f"file:{Path(name).expanduser().absolute()}" if kind == "file" else token


def _target(options: Options) -> str:
    if options.simulator and options.region:
        raise ConfigError("init: give either --simulator or --region, not both")
    if options.simulator:
        return _SIMULATED
    region = region_of(options.region, GENESYS_REGIONS) if options.region else next(iter(GENESYS_REGIONS))
    if not region:
        known = ", ".join(f"{name} ({domain})" for name, domain in GENESYS_REGIONS.items())
        near = nearest_region(options.region, GENESYS_REGIONS)
        meant = f"; did you mean {near}?" if near else "."
        raise ConfigError(f"init: --region {options.region} is no region of Genesys Cloud{meant} Regions: {known}")
    return _REAL.format(region=region)


def _attributes(mapping: str) -> str:
    """A mapping, in which HR alone decides who has access: a leaver does not wait for an answer."""
    return re.sub(r'(?m)^(active\s+= )("[^"]*")', r'\1{ value = \2, authority = "local_wins" }', mapping)


def _people() -> list[Person]:
    """The first people of the simulator by default, of whom one left, and two who joined since."""
    *stayed, last = people(1, 25)
    joined = [replace(person(1, 1000 + n), active=True, manager_id=stayed[0].employee_id) for n in (0, 1)]
    return [*stayed, replace(last, active=False), *joined]


def _csv(people: Sequence[Person]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(people))
    return text.getvalue()
