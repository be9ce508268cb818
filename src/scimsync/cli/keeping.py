"""The state commands: remove what retention no longer keeps, go on with a state that lost something."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from scimsync.config import load
from scimsync.errors import ConfigError
from scimsync.services import renewing, retention, state
from scimsync.services.retention import Collected, size_text

#: how names of files begin, and what they are
_KINDS = {
    "plan": "plans",
    "agreed": "what plans found agreed",
    "base": "bases",
    "members": "memberships",
    "groups": "groups",
    "mirror": "former readings of the directory",
}


def collect(config: Path, *, dry: bool, as_json: bool) -> int:
    """The gc command; returns the exit code. It never talks to the target, and needs no credentials."""
    settings = load(config, secrets=False)
    found = retention.collect(settings, dry=dry)
    if as_json:
        click.echo(json.dumps(_document(found, dry=dry), indent=2))
        return 0
    keep = settings.state.keep
    kept = f"the {keep.runs:,} newest applied runs and those of {keep.days:,} days are kept"
    if not (found.runs or found.files or found.lines):
        click.echo(f"Nothing to remove: {kept}.")
        return 0
    number = len(found.runs)
    runs = f"{number:,} {'run' if number == 1 else 'runs'}"
    lines = f", {found.lines:,} lines of the journal" if found.lines else ""
    verb = "Would remove" if dry else "Removed"
    click.echo(f"{verb} {len(found.files):,} files ({size_text(found.size)}){lines} of {runs}; {kept}.")
    counts, bytes_of = Counter[str](), Counter[str]()
    for name, size in found.files.items():
        kind = name.partition("-")[0]
        counts[kind] += 1
        bytes_of[kind] += size
    for kind, words in _KINDS.items():
        if counts[kind]:
            click.echo(f"  {counts[kind]:,} {words}, {size_text(bytes_of[kind])}")
    return 0


def renew(config: Path, reason: str, *, as_json: bool) -> int:
    """The renew command; returns the exit code. It never talks to the target, and needs no credentials."""
    if not reason.strip():
        raise ConfigError("state renew needs --reason TEXT: it stands in the audit chain for ever. Name nobody in it.")
    settings = load(config, secrets=False)
    with state.held(settings) as store:
        found = renewing.renew(settings, store, reason, lambda text: click.echo(text, err=True))
    if as_json:
        document = {"breaks": list(found.breaks), "closed": found.closed, "forgot": found.forgot}
        click.echo(json.dumps(document, indent=2))
        return 0
    for one in found.breaks:
        click.echo(f"Accepted: {one}.")
    if found.closed:
        click.echo(f"Run {found.closed}, which was cut short, is closed.")
    forgot = "What was agreed is forgotten. " if found.forgot else "Nothing was agreed. "
    click.echo(f"{forgot}The next plan reads the directory as on a first run: scimsync plan")
    return 0


def _document(found: Collected, *, dry: bool) -> dict[str, object]:
    return {
        "dry_run": dry,
        "runs": list(found.runs),
        "files": [{"name": name, "bytes": size} for name, size in found.files.items()],
        "bytes": found.size,
        "journal_lines": found.lines,
    }
