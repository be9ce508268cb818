"""Group commit: many workers write journal lines, few commits make them durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from scimsync.model.audit import Record
from scimsync.model.events import Message
from scimsync.model.outcomes import JournalLine

#: a line, its audit record, and the messages that tell of it
_Written: TypeAlias = tuple[JournalLine, Record | None, Sequence[Message]]


class Journal:
    """Collects lines while a commit is under way and writes them all with the next one.

    `write` comes back when the line is durable: an intent before its request leaves, an outcome
    before the change counts as settled.
    """

    def __init__(self, append: Callable[[Sequence[JournalLine], Sequence[Record], Sequence[Message]], None]) -> None:
        self._append = append
        self._waiting: list[tuple[_Written, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, line: JournalLine, record: Record | None = None, messages: Sequence[Message] = ()) -> None:
        """Make one line durable, with its audit record and the messages that tell of it.

        Raises:
            StoreError: It could not be made durable; nothing may be sent on its strength.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((line, record, messages), done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        await done

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(
                    self._append,
                    [line for (line, _, _), _ in batch],
                    [record for (_, record, _), _ in batch if record],
                    [message for (_, _, messages), _ in batch for message in messages],
                )
            except Exception as error:  # noqa: BLE001 - whatever it is, every waiting writer must hear of it
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)
