"""How a server of ours holds its connections: each has a deadline for its question, and there are only so many.

Whoever connects and says nothing, or one letter a second, is let go; and where there are too many, whoever has been
silent longest makes room. So a hundred idle connections silence nobody.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar


class Door:
    """Mixed into a protocol of uvicorn, before it.

    Attributes:
        most: Connections at a time; 0 for any number.
        head_s: Seconds until a question must have come, its headers at least, from when the first of it is awaited.
    """

    most: ClassVar[int] = 0
    head_s: ClassVar[float] = 10.0
    #: all that are open, the oldest first; each server has its own
    opened: ClassVar[dict[Door, None]] = {}

    _timer: asyncio.TimerHandle | None = None
    _last: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Let whoever is silent go where there are too many; wait for the first question."""
        super().connection_made(transport)  # type: ignore[misc]
        self._way = transport
        self.opened[self] = None
        if self.most and len(self.opened) > self.most:
            next((one for one in self.opened if not one.is_busy), self).hang_up()
        self._await_question()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.opened.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)  # type: ignore[misc]

    def data_received(self, data: bytes) -> None:
        """A question, or a part of one."""
        if not self.is_busy and (self._timer is None or getattr(self, "cycle", None) is not self._last):
            self._await_question()  # the next one begins; its own letters do not put off its deadline
        super().data_received(data)  # type: ignore[misc]

    @property
    def is_busy(self) -> bool:
        """Whether a question is being answered."""
        cycle = getattr(self, "cycle", None)
        return cycle is not None and not cycle.response_complete

    def hang_up(self) -> None:
        """Let go of it."""
        self.opened.pop(self, None)
        self._way.close()

    def _await_question(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._last = getattr(self, "cycle", None)
        self._timer = asyncio.get_running_loop().call_later(self.head_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if getattr(self, "cycle", None) is self._last and not self.is_busy:
            self.hang_up()


def door(protocol: type, most: int, *mixed: type, head_s: float = Door.head_s) -> type:
    """A protocol of uvicorn whose connections are bounded.

    Args:
        protocol: The protocol.
        most: Connections at a time; 0 for any number.
        mixed: What else is mixed in.
        head_s: Seconds until a question must have come.
    """
    return type("BoundedProtocol", (*mixed, Door, protocol), {"most": most, "head_s": head_s, "opened": {}})
