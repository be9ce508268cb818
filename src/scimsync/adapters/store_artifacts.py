"""The digests of the files beside the store, in the store."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from scimsync.adapters.store_connections import CHUNK, Connections
from scimsync.adapters.store_tables import ARTIFACT
from scimsync.model.outcomes import Bound


class Bindings(Connections):
    """What each file was when it was written."""

    def bind(self, name: str, bound: Bound) -> None:
        """Remember what a file is, in place of what was remembered under its name."""
        with self._writing() as connection:
            row = {"name": name, "digest": bound.digest, "under": list(bound.under)}
            connection.execute(self._upsert(ARTIFACT), row)

    def bound(self, name: str) -> Bound | None:
        """What a file was when it was written; None where that is not known."""
        with self._reading() as connection:
            row = connection.execute(sa.select(ARTIFACT).where(ARTIFACT.c.name == name)).mappings().one_or_none()
            return None if row is None else Bound(str(row["digest"]), tuple(map(str, row["under"])))

    def unbind(self, names: Collection[str]) -> None:
        """Forget what files were that are no longer kept."""
        listed = list(names)
        with self._writing() as connection:
            for start in range(0, len(listed), CHUNK):
                some = ARTIFACT.c.name.in_(listed[start : start + CHUNK])
                connection.execute(sa.delete(ARTIFACT).where(some))
