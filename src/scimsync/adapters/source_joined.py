"""Several sources as one: the records of the first, and beside them whatever is joined to it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from scimsync.engine.ports import Source
from scimsync.model.records import Joined, Reading


class JoinedSource(Struct, frozen=True):
    """A source, and others that are joined to it. Fits `scimsync.engine.ports.Source`.

    The others are opened where their records are taken; one that cannot be read stops nobody (`workbench/joining`).
    """

    first: Source
    #: what the first is called in expressions
    alias: str
    others: Sequence[Joined]

    @property
    def name(self) -> str:
        """What the first is called in messages."""
        return self.first.name

    def read(self) -> Reading:
        """Open the first.

        Raises:
            SourceError: It cannot be opened.
        """
        return replace(self.first.read(), name=self.alias, joined=tuple(self.others))
