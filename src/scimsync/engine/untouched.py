"""The state as planning reads it for a look at the directory: whatever it would keep goes nowhere.

A plan remembers what it learned: schemas, values that are never shown, references that wait, refusals, itself. A look
at one person must leave none of that behind, least of all a plan that the next `apply` would take for the latest.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from scimsync.engine.offline import Unwritten
from scimsync.engine.ports import Store
from scimsync.workbench.mirror import MIRROR

#: files that every reading of the directory writes anew
_REWRITTEN = frozenset({MIRROR})
#: what lies beside the state for every reader: how the library reads phone numbers
_MEMO = frozenset({"phones"})


class Untouched(Unwritten):
    """The state for a look: as `Unwritten`, and files that planning writes go elsewhere.

    Args:
        store: what is read.
        scratch: where files go that planning writes; whoever looks removes it.
        rereads: whether the directory may be read anew, so that what is kept of it would be rewritten.
    """

    def __init__(self, store: Store, scratch: Path, *, rereads: bool) -> None:
        super().__init__(store)
        self._scratch, self._rereads = scratch, rereads

    def artifact(self, name: str) -> Path:
        """A file that an earlier run left, to be read; else one that goes away with the look."""
        kept = self._store.artifact(name)
        read = name in _MEMO or (kept.is_file() and not (self._rereads and name in _REWRITTEN))
        return kept if read else self._scratch / name


def untouched(store: Store, scratch: Path, *, rereads: bool = True) -> Store:
    """A store for a look: see `Untouched`."""
    return cast(Store, Untouched(store, scratch, rereads=rereads))
