"""What can be told of a configuration in a moment, while somebody types: without judging it, and without pydantic."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from scimsync.config.references import References

_STATE = "sqlite:///.scimsync/state.db"


class Glance(Struct, frozen=True):
    """The address of the state, and what the configuration maps."""

    state: str
    paths: tuple[str, ...]


def glance(file: Path) -> Glance:
    """What a configuration says, as far as it can be read."""
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raw = {}
    state, attributes = raw.get("state"), raw.get("attributes")
    url = state.get("url") if isinstance(state, Mapping) else None
    references = References(file, [])
    return Glance(
        references.database(references.resolve("", url if isinstance(url, str) else _STATE)),
        tuple(attributes) if isinstance(attributes, Mapping) else (),
    )
