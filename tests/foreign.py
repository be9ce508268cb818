"""Files of somebody else: root gives a file away, others are taken for somebody else while they look."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SOMEBODY = 12345


@contextmanager
def foreign(path: Path) -> Iterator[None]:
    """A file or folder that belongs to another user in the eyes of the program."""
    if os.geteuid() == 0:
        os.chown(path, SOMEBODY, -1, follow_symlinks=False)
        yield
        os.chown(path, 0, -1, follow_symlinks=False)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: SOMEBODY)
        yield
