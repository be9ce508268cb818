"""version, support-bundle."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import click

from scimsync import files
from scimsync.errors import ConfigError
from scimsync.services import building, support


def version(config: Path, *, as_json: bool) -> int:
    """The version command; returns the exit code."""
    found = building.build(config)
    document = {
        "version": found.version,
        "build": found.build,
        "python": found.python,
        "system": found.system,
        "libraries": found.libraries,
        "state": {"knows": found.knows, "holds": found.holds or None},
    }
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return 0
    click.echo(f"scimsync {found.version}, build {found.build[:12]}")
    click.echo(f"  Python     {found.python}, {found.system}")
    click.echo(f"  state      makes revision {found.knows}" + (f"; here is {found.holds}" if found.holds else ""))
    click.echo("  libraries  " + ", ".join(f"{name} {number}" for name, number in found.libraries.items()))
    return 0


def bundle(config: Path, *, out: Path | None, yes: bool, only_list: bool) -> int:
    """The support-bundle command; returns the exit code.

    Raises:
        ConfigError: The file cannot be written there.
    """
    parts = [*support.parts(config)]
    at = support.taken_at()
    out = out or Path(f"scimsync-support-{at:%Y%m%d-%H%M%S}.zip")
    click.echo(f"{out} will hold:")
    for part in parts:
        click.echo(f"  {part.name:<20} {len(part.content):>7,} bytes  {part.about}")
    click.echo("Secrets, addresses and values of people are not in it. Nothing is sent anywhere.")
    if only_list:
        return 0
    if not yes and sys.stdin.isatty() and not click.confirm("Write it?", err=True):
        return 0
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in parts:
            archive.writestr(part.name, part.content)
    try:
        files.write(out, [packed.getvalue()])
    except OSError as error:
        raise ConfigError(
            f"--out {out}: cannot be written ({error.strerror}). Name a file in a folder of yours."
        ) from error
    click.echo(f"Written: {out}. Look into it before you hand it on: unzip -p {out} | less")
    return 0
