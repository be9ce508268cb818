"""The doctor command: one line for each thing a run needs, with the next step."""

from __future__ import annotations

import json
from pathlib import Path

import click

from scimsync.cli import interrupting
from scimsync.services import diagnosis
from scimsync.services.diagnosis import Check


def doctor(config: Path, *, as_json: bool) -> int:
    """Check everything; return the exit code of the first failure."""
    checks: list[Check] = []
    for check in diagnosis.checks(config, interrupting.run):
        checks.append(check)
        if not as_json:
            colour = {"ok": "green", "warn": "yellow", "fail": "red"}[check.mark]
            click.echo(f"{click.style(f'{check.mark:<4}', fg=colour)}  {check.name:<12} {check.words}")
    if as_json:
        click.echo(json.dumps([{"check": c.name, "result": c.mark, "detail": c.words} for c in checks], indent=2))
    return next((check.code for check in checks if check.code), 0)
