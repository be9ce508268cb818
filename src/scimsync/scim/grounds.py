"""How sure an entry of a dialect is, and whence."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Certainty(Enum):
    """How sure an entry of a dialect is."""

    DOCUMENTED = "documented"
    OBSERVED = "observed"
    GUESSED = "guessed"


class Ground(Struct, frozen=True):
    """What an entry of a dialect rests on."""

    certainty: Certainty
    source: str


def documented(source: str) -> Ground:
    """What the provider, or the RFC, says in writing."""
    return Ground(Certainty.DOCUMENTED, source)


def guessed(source: str) -> Ground:
    """What nobody says in writing, and nobody saw."""
    return Ground(Certainty.GUESSED, source)


def observed(source: str) -> Ground:
    """What was seen: when, what was asked, and what came."""
    return Ground(Certainty.OBSERVED, source)
