"""The JSON API beside the pages."""

from __future__ import annotations

from scimsync.console.asking import Console, Page
from scimsync.console.roles import Visitor


def bearer(console: Console, token: str) -> Visitor | None:
    """Whose token it is; None where it is none."""
    return None


PAGES: tuple[Page, ...] = ()
