"""Hold a state against what was kept of it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from scimsync.config import Settings
from scimsync.engine import binding, continuity
from scimsync.engine.checkpoints import notes_in
from scimsync.engine.continuity import ContinuedState, Witness
from scimsync.errors import StoreDamaged


def breaks(settings: Settings, store: ContinuedState) -> list[str]:
    """What tells that this is not the state that was left; see `engine.continuity`."""
    try:
        witnesses = [*_witnesses(settings, store)]
    except StoreDamaged as error:
        return [str(error)]
    return [*continuity.breaks(store, witnesses)]


def check(settings: Settings, store: ContinuedState) -> None:
    """Whether a run may stand on this state.

    Raises:
        StoreDamaged: It was emptied, cut, or is an older one.
    """
    if found := breaks(settings, store):
        raise StoreDamaged("\n".join([*(f"state: {one}." for one in found), WHAT_TO_DO]))


#: what to do where a state is not the one that was left
WHAT_TO_DO = (
    "Nothing was read or written. Bring back the newest backup of the state and its artifacts. Where there is none: "
    f"{binding.RENEW} (the state goes on as it is, with a record of that in the audit chain; the next plan reads the "
    "directory as on a first run, and removes nothing for want of what was agreed)."
)


def _witnesses(settings: Settings, store: ContinuedState) -> Iterator[Witness]:
    kept = continuity.witness(store)
    if kept is not None:
        yield kept
    outside = settings.audit.checkpoints
    if outside is None or outside.is_symlink() or not outside.is_file():  # nothing of ours is written through a link
        return
    try:
        notes = [*notes_in(outside.read_text(encoding="utf-8"))]
    except (OSError, UnicodeDecodeError):  # the next checkpoint that cannot be appended tells of it
        return
    ours = [text for text in notes if text.startswith(f"{store.head().origin}\n")]
    if last := next(reversed(ours or notes), ""):
        yield Witness(str(outside), last)
