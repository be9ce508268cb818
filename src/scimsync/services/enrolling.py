"""Take an organisation into a fleet file: the text that is there stays as it is, comments and all."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from scimsync import files
from scimsync.config import Member, load_fleet
from scimsync.errors import ConfigError

_HEAD = "# The organisations that scimsync keeps; see docs/fleet.md. Its JSON Schema: scimsync fleet schema\n"


def enrol(  # noqa: PLR0913 - one for each key
    file: Path,
    *,
    name: str,
    config: str = "",
    extends: str = "",
    overrides: Mapping[str, Mapping[str, object]] | None = None,
    labels: Mapping[str, str] | None = None,
    schedule: str = "",
) -> Member:
    """Add an organisation at the end of a fleet file, which is made where there is none.

    Args:
        file: The fleet file.
        name: What it is called.
        config: Its own configuration; relative to the file.
        extends: The one that it shares.
        overrides: What is different with it, by section and key.
        labels: Its labels.
        schedule: When workers synchronise it.

    Raises:
        ConfigError: The file would be wrong with it, and stays as it was.
    """
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else _HEAD
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error.__class__.__name__}). It must be UTF-8 text.") from error
    lines = ["", "[[organisation]]"]
    lines += [f"{key} = {_text(value)}" for key, value in _given(name, config, extends, schedule)]
    if labels:
        lines.append(f"labels = {_table(labels)}")
    if overrides:
        lines.append("[organisation.overrides]")
        lines += [f"{_key(section)} = {_table(table)}" for section, table in overrides.items()]
    after = before.rstrip("\n") + "\n" + "\n".join(lines) + "\n"
    trial = file.with_name(f".{file.name}.new")
    try:
        files.write(trial, [after.encode()], files.READABLE)
        try:
            found = load_fleet(trial)
        except ConfigError as error:
            raise ConfigError(*(fault.replace(trial.name, file.name) for fault in error.faults)) from None
        files.write(file, [after.encode()], files.READABLE)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror}).") from error
    finally:
        trial.unlink(missing_ok=True)
    return found.members[-1]


def _given(name: str, config: str, extends: str, schedule: str) -> list[tuple[str, str]]:
    pairs = (("config", config), ("extends", extends), ("schedule", schedule))
    return [("name", name), *((key, value) for key, value in pairs if value)]


def _table(found: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{_key(key)} = {_text(value)}" for key, value in found.items()) + " }"


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else _text(key)


def _text(value: object) -> str:
    """A value as TOML writes it; as far as these go, as JSON does."""
    return json.dumps(value, ensure_ascii=False)


def value_of(written: str) -> object:
    """What stands on a command line, as a number or a truth where it is one; else a text.

    Examples:
        >>> value_of("300"), value_of("true"), value_of("env:ID")
        (300, True, 'env:ID')
    """
    try:
        found = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return written
    return found if isinstance(found, int) else written
