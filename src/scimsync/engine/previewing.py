"""The state as a plan may read it that is made to be read only: what planning would note there is dropped.

The plan itself and its run are kept, and so is what was read of the directory.
"""

from __future__ import annotations

from typing import Any, cast

from scimsync.engine.ports import Store

#: what a plan notes in the state of what follows from it
DROPPED = frozenset({"change_endings", "change_frozen", "change_unshown", "save_deferred"})


class Unnoted:
    """The state of a plan that nothing follows from."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the state has
        return (lambda *_, **__: None) if name in DROPPED else getattr(self._store, name)


def unnoted(store: Store) -> Store:
    """The state, but for what planning notes of what follows."""
    return cast("Store", Unnoted(store))
