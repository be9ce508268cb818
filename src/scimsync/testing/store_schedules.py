"""How far each schedule has come, and which alarms people were told of, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from scimsync.model.alarms import Alarm, AlarmKind
from scimsync.model.events import Message
from scimsync.model.schedules import Progress
from scimsync.testing.store_memory import Memory


class MemorySchedules(Memory):
    """Schedules and alarms. Fits `Schedules` and `Alarms` of the state."""

    def __init__(self) -> None:
        super().__init__()
        self._progress: dict[tuple[str, str], Progress] = {}
        self._alarms: dict[tuple[AlarmKind, str], Alarm] = {}

    def progress(self) -> Sequence[Progress]:
        """How far each schedule has come, by name and expression."""
        with self._lock:
            return [self._progress[who] for who in sorted(self._progress)]

    def begin_schedule(self, progress: Progress) -> None:
        """Remember from when on a schedule counts, where nothing is known of it yet."""
        with self._lock:
            self._progress.setdefault((progress.schedule, progress.expression), progress)

    def save_progress(self, progress: Progress) -> None:
        """Remember how far a schedule has come."""
        with self._lock:
            self._progress[progress.schedule, progress.expression] = progress

    def alarms(self) -> Sequence[Alarm]:
        """How each alarm stands, by kind and subject."""
        with self._lock:
            return sorted(self._alarms.values(), key=lambda alarm: (alarm.kind.value, alarm.subject))

    def save_alarm(self, alarm: Alarm, messages: Sequence[Message]) -> bool:
        """Keep how an alarm stands, and the messages that tell of it; False where it moved meanwhile."""
        with self._lock:
            held = self._alarms.get((alarm.kind, alarm.subject))
            if (held.step if held is not None else 0) != alarm.step:
                return False
            self._alarms[alarm.kind, alarm.subject] = replace(alarm, step=alarm.step + 1)
            self._enqueue(messages)
            return True
