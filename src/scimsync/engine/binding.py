"""Files beside the store are bound to it: what each was when it was written stands in the store, by its digest.

Whoever can write into the folder of artifacts, and not into the store, exchanges nothing there unseen. A file of an
earlier release is known by its name alone, until the next one takes its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from scimsync.engine.state import Artifacts
from scimsync.errors import StoreDamaged
from scimsync.model.outcomes import Bound

#: what to do where a file that people's agreed values rest on is gone for good
RENEW = "scimsync state renew --reason TEXT"


#: the digest of a file that was not made
NONE = ""


def bind(store: Artifacts, name: str, under: Collection[str] = ()) -> None:
    """Remember what a file is that was just written; or that there was nothing to write, and there is none.

    Args:
        store: The state.
        name: The name of the file.
        under: The files that it rests on, as `workbench.layers.needed` says; each is bound itself.
    """
    path = store.artifact(name)
    store.bind(name, Bound(_digest(path) if path.exists() else NONE, tuple(one for one in under if one != name)))


def proven(store: Artifacts, name: str) -> Path:
    """A file that was written earlier, with all that it rests on, proven to be what was written.

    Raises:
        StoreDamaged: One is missing, or is another.
    """
    bound = store.bound(name)
    for one in (*(bound.under if bound is not None else ()), name):
        _check(store.artifact(one), bound if one == name else store.bound(one))
    return store.artifact(name)


def _check(path: Path, bound: Bound | None) -> None:
    if bound is None:
        return
    if bound.digest == NONE:
        if path.exists():
            raise lost(path.name, "was put there by somebody else")
        return
    try:
        found = _digest(path)
    except FileNotFoundError:
        raise lost(path.name, "is missing") from None
    except OSError as error:
        raise lost(path.name, f"cannot be read ({error.strerror})") from error
    if found != bound.digest:
        raise lost(path.name, "is not the file that was written, by its digest")


def lost(name: str, what: str) -> StoreDamaged:
    """A file that is needed is not there as it was written, and what to do."""
    return StoreDamaged(
        f"state: {name} {what}. Put the file back from a backup of the artifacts folder. Where there is none: {RENEW} "
        "(the next plan reads the directory as on a first run, and removes nothing for want of what was agreed)."
    )


def _digest(path: Path) -> str:
    found = path.stat()
    return _digest_of(path, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(maxsize=256)  # one command looks several times at files of a hundred megabytes
def _digest_of(path: Path, _: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
