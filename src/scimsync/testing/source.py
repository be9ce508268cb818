"""The Source port in memory."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from scimsync.model.records import Batch, Cell, Reading


class ListSource(Struct, frozen=True):
    """A source that holds its rows. The first row stands at place 1."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    #: whether the absence of a person means something
    proven: bool = True
    name: str = "list"
    #: read where HR works, as it is now; else a delivery, of which an old one may come again
    live: bool = True
    #: which delivery it is; "" for none
    delivery: str = ""

    def read(self) -> Reading:
        """Its columns, and its rows in batches of a thousand."""
        batches = (
            Batch(self.rows[start : start + 1000], range(start + 1, min(start + 1000, len(self.rows)) + 1))
            for start in range(0, len(self.rows), 1000)
        )
        return Reading(
            columns=tuple(self.columns), batches=batches, proven=self.proven, live=self.live, delivery=self.delivery
        )
