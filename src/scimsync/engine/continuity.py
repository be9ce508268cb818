"""Whether a state is the one that was left: not emptied, not cut, and not an older one that was put back.

The audit chain only grows, and each of its checkpoints is a statement about all that was there. One is kept beside the
store among the artifacts, and where the configuration says outside; so whoever exchanges the store without them is
seen: its chain is another, or shorter than a checkpoint says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from scimsync.core import chain
from scimsync.engine import checkpoints
from scimsync.engine.state import Artifacts, Audit, Runs
from scimsync.errors import StoreDamaged
from scimsync.model.audit import Head

#: the last checkpoint, among the artifacts
WITNESS = "checkpoint"


class ContinuedState(Runs, Audit, Artifacts, Protocol):
    """Of the state: what tells whether it is the one that was left."""


class Witness(Struct, frozen=True):
    """The last checkpoint that was kept somewhere."""

    #: for people
    place: str
    note: str


def witness(store: Artifacts) -> Witness | None:
    """The checkpoint among the artifacts; None where none was made yet.

    Raises:
        StoreDamaged: It cannot be read.
    """
    path = store.artifact(WITNESS)
    try:
        return Witness(str(path), path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreDamaged(f"state: {path} cannot be read ({type(error).__name__})") from error


def breaks(store: ContinuedState, witnesses: Iterable[Witness]) -> Iterator[str]:
    """What tells that a state is not the one that was left; nothing where it may go on.

    The whole chain is not walked: that does `scimsync audit verify`.

    Args:
        store: The state.
        witnesses: Checkpoints, read before.
    """
    told = list(witnesses)
    head = store.head()
    for one in told:
        yield from _against(head, one)
    if not told:
        yield from _unknown_base(store)
    if head.size:
        last = next(store.entries(after=head.size - 1), None)
        if last is None or last.seq != head.size or last.hash != head.hash:
            yield f"the end of the audit chain is not there: record {head.size:,} is missing or another"
    lost = sum(key.erased is None for key in store.gone_keys())
    if lost:
        yield f"keys of the audit chain were destroyed, and no erasure tells of it: {lost:,} (table audit_key)"


def _against(head: Head, one: Witness) -> Iterator[str]:
    try:
        found = checkpoints.opened(one.note, None)
    except StoreDamaged:
        yield f"{one.place} is no checkpoint, or was changed"
        return
    if found.origin != head.origin:
        yield (
            f"the last checkpoint in {one.place} is over {found.size:,} records of the audit chain {found.origin}, and "
            f"this state has another ({head.origin}, {head.size:,} records): it was emptied, or is another state"
        )
    elif found.size > head.size:
        yield (
            f"the last checkpoint in {one.place} is over {found.size:,} records of the audit chain, and this state has "
            f"{head.size:,}: an older state was put back, or records were lost"
        )
    elif found.size == head.size and found.root != chain.root(head.frontier):
        yield f"the audit chain was written anew: the checkpoint in {one.place} tells of other records"


def _unknown_base(store: ContinuedState) -> Iterator[str]:
    """Of a state that has no checkpoint yet: the newest base belongs to a run that it does not know."""
    names = (path.name for path in store.artifact("base").parent.glob("base-*-*.parquet"))
    newest = max(names, default="")
    if newest and store.run(newest.removesuffix(".parquet").split("-", 2)[2]) is None:
        yield f"{newest} was left by a run that this state does not know: it was emptied, or an older one was put back"
