"""What is asked of the state about runs by the clock, as `engine.state` has it of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scimsync.model.alarms import Alarm
from scimsync.model.events import Message
from scimsync.model.schedules import Progress


class Schedules(Protocol):
    """How far each schedule has come."""

    def progress(self) -> Sequence[Progress]:
        """All of it, by name and expression."""
        ...

    def begin_schedule(self, progress: Progress) -> None:
        """Remember from when on a schedule counts, where nothing is known of it yet."""
        ...

    def save_progress(self, progress: Progress) -> None:
        """Remember how far a schedule has come."""
        ...


class Alarms(Protocol):
    """Which alarms people were told of."""

    def alarms(self) -> Sequence[Alarm]:
        """All of them, by kind and subject."""
        ...

    def save_alarm(self, alarm: Alarm, messages: Sequence[Message]) -> bool:
        """Keep how an alarm stands, and the messages that tell of it, in one commit.

        False, and nothing is kept, where somebody else saved it since its `step` was read.
        """
