"""The state as a plan reads it from which nothing follows: what planning would note there goes nowhere.

Such plans are those that are made without the directory, those for a day to come, and a look at one person. None of
them may be taken by the next run for what this one rests on.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from scimsync.engine.ports import Store
from scimsync.workbench.mirror import MIRROR
from scimsync.workbench.unmanaged import UNMANAGED

#: what a plan asks of the state
READ = frozenset(
    {
        "acceptances",
        "artifact",
        "begun",
        "bound",
        "decisions",
        "deferred",
        "endings",
        "frozen",
        "group_memory",
        "journal",
        "journal_of",
        "last_applied",
        "link_decisions",
        "links",
        "memberships",
        "owner_of",
        "pin",
        "quarantined",
        "run",
        "runs",
        "sources",
        "suspects",
        "undone",
        "unshown",
        "worked",
    }
)
#: what a plan notes in the state
DROPPED = frozenset(
    {
        "bind",
        "change_endings",
        "change_frozen",
        "change_suspects",
        "change_quarantined",
        "change_undone",
        "change_unshown",
        "end_decision",
        "save_deferred",
        "save_pin",
        "save_run",
    }
)


#: files that every reading of the directory writes anew
_REWRITTEN = frozenset({MIRROR, UNMANAGED})
#: what lies beside the state for every reader: how the library reads phone numbers
_MEMO = frozenset({"phones"})


class Unwritten:
    """The state as a plan may read it; what it would note is dropped, and whatever else there is cannot be called.

    Args:
        store: What is read.
        keeps: What is noted all the same, of `DROPPED`.
    """

    def __init__(self, store: Store, keeps: Collection[str] = ()) -> None:
        self._store, self._keeps = store, keeps

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the state has
        if name in READ or name in self._keeps:
            return getattr(self._store, name)
        if name in DROPPED:
            return lambda *_, **__: None
        raise AttributeError(f"a plan from which nothing follows has no business with {name}")


class Untouched(Unwritten):
    """The state for a look: as `Unwritten`, and files that planning writes go elsewhere.

    Args:
        store: What is read.
        scratch: Where files go that planning writes; whoever looks removes it.
        rereads: Whether the directory may be read anew, so that what is kept of it would be rewritten.
    """

    def __init__(self, store: Store, scratch: Path, *, rereads: bool) -> None:
        super().__init__(store)
        self._scratch, self._rereads = scratch, rereads

    def artifact(self, name: str) -> Path:
        """A file that an earlier run left, to be read; else one that goes away with the look."""
        kept = self._store.artifact(name)
        read = name in _MEMO or (kept.is_file() and not (self._rereads and name in _REWRITTEN))
        return kept if read else self._scratch / name


def unwritten(store: Store, keeps: Collection[str] = ()) -> Store:
    """The state as a plan reads it, and in which it leaves nothing but what it `keeps`."""
    return cast("Store", Unwritten(store, keeps))


def untouched(store: Store, scratch: Path, *, rereads: bool = True) -> Store:
    """The state for a look: see `Untouched`."""
    return cast("Store", Untouched(store, scratch, rereads=rereads))
