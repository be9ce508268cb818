"""accounts --unmanaged: the accounts that HR does not know."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import click

from scimsync import files
from scimsync.cli.finding_text import printable
from scimsync.cli.running import show, show_json
from scimsync.config import load
from scimsync.errors import ConfigError
from scimsync.model.accounts import Stranger
from scimsync.services import state
from scimsync.services import unmanaged as listing
from scimsync.services.unmanaged import Unmanaged
from scimsync.showing.words import counted

#: how a spreadsheet takes a cell for a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def unmanaged(config: Path, csv_file: Path | None, *, as_json: bool) -> int:
    """The accounts command; returns the exit code. It never talks to the target, and needs no credentials."""
    settings = load(config, secrets=False)
    with state.open_store(settings) as store:
        found = listing.listed(settings, store)
    if csv_file is not None:
        _write(found, csv_file)
    if as_json:
        show_json(
            {
                "plan": found.plan,
                "read": found.read.isoformat(),
                "accounts": [_document(one) for one in found.accounts],
            }
        )
    else:
        show(_lines(found, csv_file))
    return 0


def _lines(found: Unmanaged, csv_file: Path | None) -> Iterator[str]:
    number = counted(len(found.accounts), "account")
    yield click.style(f"{number} that HR does not know", bold=True) + (
        f", as the directory was read on {found.read:%Y-%m-%d %H:%M} UTC (plan {found.plan})"
    )
    if csv_file is not None:
        yield f"Written to {csv_file}."
        return
    width = max((len(one.login) for one in found.accounts), default=0)
    for one in found.accounts:
        words = [f"  {printable(one.login or '(no login)'):<{width}}", one.account, printable(one.name), *_marks(one)]
        yield "  ".join(filter(None, words))


def _marks(one: Stranger) -> Iterator[str]:
    if one.active is not True:
        yield "inactive" if one.active is False else "active?"
    if one.protected:
        yield click.style("protected", fg="cyan")


def _document(one: Stranger) -> dict[str, object]:
    return {
        "account": one.account,
        "login": one.login,
        "name": one.name,
        "active": one.active,
        "protected": one.protected,
    }


def _write(found: Unmanaged, path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("account", "login", "name", "active", "protected"))
    for one in found.accounts:
        active = "" if one.active is None else str(one.active).lower()
        writer.writerow((one.account, _cell(one.login), _cell(one.name), active, str(one.protected).lower()))
    try:
        files.write(path, [text.getvalue().encode()])
    except OSError as error:
        raise ConfigError(
            f"--csv {path}: cannot be written ({error.strerror}). Name a file in a folder that is there and yours."
        ) from error


def _cell(text: str) -> str:
    """A text that no spreadsheet carries out: names stand in it as somebody typed them."""
    return f"'{text}" if text.startswith(_FORMULA) else text
