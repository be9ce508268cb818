"""What a configuration is called: a file, or an organisation of a fleet."""

from __future__ import annotations

from pathlib import Path

from scimsync.config import fleet, reading
from scimsync.config.reading import Parsed


def parse(file: Path, revision: str = "", name: str = "") -> Parsed:
    """Read a configuration as TOML.

    Args:
        file: Its file; or `fleet.toml:NAME`.
        revision: Its git revision; "" as it is now.
        name: What messages call it; its own name where empty.

    Raises:
        ConfigError: There is none, it cannot be read, or it is not TOML.
    """
    of_fleet, _, member = file.name.rpartition(":")
    if of_fleet.endswith(".toml") and member and not revision and not file.exists():
        return fleet.parse_member(file.with_name(of_fleet), member)
    return reading.parse(file, revision, name)
