"""Who acts: each front door says so in the same way, as far as it can prove it."""

from __future__ import annotations

from scimsync.bootstrap import person
from scimsync.model.decisions import Actor

__all__ = ["Actor", "this_person"]


def this_person() -> Actor:
    """Who sits at this command line, proven by the operating system alone."""
    return person()
