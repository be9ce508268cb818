"""How far each schedule has come, and which alarms people were told of, in the store."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from msgspec.structs import asdict

from scimsync.adapters.store_connections import Connections
from scimsync.adapters.store_rows import queued
from scimsync.adapters.store_tables import ALARM, SCHEDULE
from scimsync.model.alarms import Alarm, AlarmKind
from scimsync.model.events import Message
from scimsync.model.schedules import Ended, Progress


class Schedules(Connections):
    """Schedules and alarms."""

    def progress(self) -> Sequence[Progress]:
        """How far each schedule has come, by name and expression."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(SCHEDULE).order_by(SCHEDULE.c.schedule, SCHEDULE.c.expression))
            return [Progress(**{**row, "ended": Ended(row["ended"])}) for row in rows.mappings()]

    def begin_schedule(self, progress: Progress) -> None:
        """Remember from when on a schedule counts, where nothing is known of it yet."""
        with self._writing() as connection:
            connection.execute(self._insert_once(SCHEDULE), _row(progress))

    def save_progress(self, progress: Progress) -> None:
        """Remember how far a schedule has come."""
        with self._writing() as connection:
            connection.execute(self._upsert(SCHEDULE), _row(progress))

    def alarms(self) -> Sequence[Alarm]:
        """How each alarm stands, by kind and subject."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(ALARM).order_by(ALARM.c.kind, ALARM.c.subject)).mappings()
            return [Alarm(**{**row, "kind": AlarmKind(row["kind"])}) for row in rows]

    def save_alarm(self, alarm: Alarm, messages: Sequence[Message]) -> bool:
        """Keep how an alarm stands, and the messages that tell of it, in one commit; False where it moved meanwhile."""
        row = {**asdict(alarm), "kind": alarm.kind.value, "step": alarm.step + 1}
        seen = sa.and_(ALARM.c.kind == row["kind"], ALARM.c.subject == alarm.subject, ALARM.c.step == alarm.step)
        with self._writing() as connection:
            if alarm.step:
                changed = connection.execute(sa.update(ALARM).where(seen).values(row)).rowcount
            else:
                counted = {"preserve_rowcount": True}
                changed = connection.execute(self._insert_once(ALARM), row, execution_options=counted).rowcount
            if changed == 1:
                queued(connection, messages)
            return changed == 1


def _row(progress: Progress) -> dict[str, object]:
    return {**asdict(progress), "ended": progress.ended.value}
