"""How large a page a target serves, where it refused a larger one; remembered from run to run.

A page of which 429 says that it is too large costs two waits to find out. So the size that was accepted in its place
is kept for four weeks in a small file; then the larger one is tried again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from scimsync import files

#: name of the artifact; the number grows with its form
PAGE_SIZES = "page-sizes-1.json"
#: how long a size is believed
BELIEVED = timedelta(days=28)


class _Size(msgspec.Struct):
    most: int
    since: datetime


class _Sizes(msgspec.Struct):
    target: str
    #: what is listed -> the largest page of it
    sizes: dict[str, _Size]


class PageSizes:
    """The largest page of each listing, as far as one was refused.

    Args:
        path: The file; nothing is remembered where None. It only spares waits, so trouble with it is none.
        target: Whose sizes they are; those of another are forgotten.
        now: Says when.
    """

    def __init__(self, path: Path | None, target: str, now: Callable[[], datetime]) -> None:
        self._path, self._target, self._now = path, target, now
        self._known = self._load()
        #: what was refused in this run, and not accepted in a smaller size yet
        self._open: dict[str, int] = {}

    def most(self, what: str) -> int:
        """Resources that a page may hold; any number where none was refused."""
        known = self._known.get(what)
        return self._open.get(what, known.most if known else sys.maxsize)

    def refused(self, what: str, most: int) -> None:
        """A larger page than this was refused."""
        self._open[what] = min(most, self.most(what))

    def accepted(self, what: str, size: int) -> None:
        """A page of this size was served."""
        if self._open.get(what) != size:
            return
        self._known[what] = _Size(self._open.pop(what), self._now())
        if self._path is not None:
            with suppress(OSError):
                files.write(self._path, [msgspec.json.encode(_Sizes(self._target, self._known))])

    def _load(self) -> dict[str, _Size]:
        if self._path is None:
            return {}
        try:
            found = msgspec.json.decode(files.read_secret(self._path), type=_Sizes)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return {}
        oldest = self._now() - BELIEVED
        sizes = found.sizes if found.target == self._target else {}
        return {
            what: size for what, size in sizes.items() if size.most > 0 and size.since.tzinfo and size.since > oldest
        }
