"""What somebody may mean who is typing: keys of people, ids of runs, paths that are mapped, rules."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scimsync import bootstrap
from scimsync.config import glance


def runs(config: Path, beginning: str) -> Iterable[str]:
    """The ids of runs that the state knows, newest first."""
    return bootstrap.glance(glance(config).state, "runs", beginning)


def keys(config: Path, beginning: str) -> Iterable[str]:
    """The source keys of people who have an account, as the state knows them."""
    return bootstrap.glance(glance(config).state, "keys", beginning)


def paths(config: Path, beginning: str) -> Iterable[str]:
    """The attribute paths that the configuration maps."""
    return [path for path in glance(config).paths if path.startswith(beginning)]


def rules(config: Path, beginning: str) -> Iterable[str]:  # noqa: ARG001 - all are asked alike
    """The rules that may be set aside."""
    from scimsync.services.planning import RULES  # noqa: PLC0415 - loads the engine

    return sorted(rule for rule in RULES if rule.startswith(beginning))
