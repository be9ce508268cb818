"""The state as planning reads it for a look: whatever it would keep goes nowhere.

A plan remembers what it learned: schemas, values that are never shown, references that wait, refusals, itself. A look
at one person must leave none of that behind, least of all a plan that the next `apply` would take for the latest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from scimsync.engine.ports import Store
from scimsync.workbench.mirror import MIRROR

#: what only reads
READS = frozenset(
    """
    runs begun run worked last_applied frozen pin links owner_of link_decisions sources deferred endings unshown
    memberships group_memory journal journal_of head entries keys key checkpoints next_due messages outbox last_trouble
    waiting
    """.split()
)
#: what planning keeps, which is let go
LET_GO = frozenset(
    """
    save_run change_frozen save_pin save_deferred change_endings change_unshown change_memberships remember_groups
    """.split()
)


class Untouched:
    """A store that is read as it is, and that nothing is kept in.

    Args:
        store: what is read.
        scratch: where files go that planning writes; whoever looks removes it.
    """

    def __init__(self, store: Store, scratch: Path) -> None:
        self._store, self._scratch = store, scratch

    def __getattr__(self, name: str) -> Callable[..., object]:
        """What reads is handed on; what a plan keeps does nothing; anything else is not for a look."""
        if name in READS:
            return cast(Callable[..., object], getattr(self._store, name))
        if name in LET_GO:
            return _nothing
        raise AttributeError(f"a look at the state has no {name}")

    def artifact(self, name: str) -> Path:
        """A file that an earlier run left, to be read; else one that goes away with the look."""
        kept = self._store.artifact(name)
        read = name in _MEMO or (name not in _REWRITTEN and kept.is_file())
        return kept if read else self._scratch / name


#: files that every plan writes anew
_REWRITTEN = frozenset({MIRROR})
#: what lies beside the state for every reader: how the library reads phone numbers
_MEMO = frozenset({"phones"})


def _nothing(*_: object, **__: object) -> tuple[()]:
    return ()


def untouched(store: Store, scratch: Path) -> Store:
    """A store for a look: see `Untouched`."""
    return cast(Store, Untouched(store, scratch))
