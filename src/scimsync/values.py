"""What holds a secret shows nothing of itself."""

from __future__ import annotations

from msgspec import Struct


class Secretive(Struct, frozen=True):
    """A value that holds a secret: wherever it is printed it gives its name, and nothing that is in it."""

    def __repr__(self) -> str:
        """Give the name alone."""
        return f"{type(self).__name__}(...)"
