"""config schema, config check, config show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import click

from scimsync.errors import ConfigError
from scimsync.services import configuring
from scimsync.services.configuring import Effective


def schema() -> int:
    """The config schema command; returns the exit code."""
    _show(configuring.schema())
    return 0


def check(config: Path, *, as_json: bool) -> int:
    """The config check command; returns the exit code."""
    try:
        settings = configuring.check(config)
    except ConfigError as error:
        if not as_json:
            raise
        _show({"config": str(config), "faults": list(error.faults)})
        return error.exit_code
    if as_json:
        _show({"config": str(config), "faults": []})
    else:
        number, dialect = len(settings.policy.attributes), settings.target.dialect.name
        click.echo(f"{config}: good. Attributes mapped: {number}; dialect: {dialect}")
    return 0


def show(config: Path, *, as_json: bool) -> int:
    """The config show command; returns the exit code."""
    found = configuring.effective(config)
    if as_json:
        _show([_document(each) for each in found])
    else:
        for line in _lines(found):
            click.echo(line)
    return 0


def _show(document: object) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _document(found: Effective) -> dict[str, object]:
    origin = found.origin
    return {
        "section": found.section,
        "number": found.number or None,
        "key": found.key,
        "value": found.value,
        "from": origin.kind,
        "line": origin.line or None,
        "name": origin.name or None,
        "found": not origin.lost,
    }


def _lines(found: Sequence[Effective]) -> Iterator[str]:
    """As TOML, with what each value comes from as a comment."""
    for (section, number), members in groupby(found, key=lambda each: (each.section, each.number)):
        pairs = [(f"{_key(each.key)} = {toml(each.value)}", each.origin) for each in members]
        width = min(60, max(len(text) for text, _ in pairs))
        yield click.style(f"[[{section}]]" if number else f"[{section}]", bold=True)
        for text, origin in pairs:
            yield f"{text:<{width}}  " + click.style(f"# {origin}", fg="bright_black")
        yield ""


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml(name)


def toml(value: object) -> str:
    """A value of a configuration as TOML.

    Examples:
        >>> toml({"value": "a", "authority": "ask"}), toml([True, 3])
        ('{ value = "a", authority = "ask" }', '[true, 3]')
    """
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {toml(held)}" for key, held in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
