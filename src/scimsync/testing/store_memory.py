"""What the parts of a store in memory share."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import count

from msgspec.structs import replace

from scimsync.model.events import Message


class Memory:
    """One lock, and the messages: runs and outcomes leave some as well. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: dict[int, Message] = {}
        self._seqs = count(1)

    def _enqueue(self, messages: Sequence[Message]) -> None:
        for message in messages:
            seq = next(self._seqs)
            self._messages[seq] = replace(message, seq=seq)
