"""Runs, refusals that wait for an answer, and pinned schemas, in the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from scimsync.adapters.store_connections import CHUNK, Connections
from scimsync.adapters.store_rows import health_to_json, numbers, pin_from, queued, run_from
from scimsync.adapters.store_tables import FROZEN, PIN, RUN
from scimsync.errors import ConfigError
from scimsync.model.events import Message
from scimsync.model.outcomes import Pin, Run, RunState


class Runs(Connections):
    """Runs, from the newest."""

    def save_run(self, run: Run, messages: Sequence[Message] = ()) -> None:
        """Insert or replace a run, and keep the messages that tell of it, in one commit."""
        row = {
            "id": run.id,
            "created": run.created,
            "state": run.state.value,
            "target": run.target,
            "plan": run.plan,
            "agreed": run.agreed,
            "base": run.base,
            "finished": run.finished,
            "tally": dict(run.tally),
            "statuses": dict(run.statuses),
            "health": None if run.health is None else health_to_json(run.health),
            "partial": run.partial,
            "source": run.source,
            "takes": list(run.takes),
            "began": run.began,
            "done": dict(run.done),
            "answered": list(run.answered),
            "digest": run.digest,
            "spent": dict(run.spent),
            "undoes": run.undoes,
        }
        with self._writing() as connection:
            connection.execute(self._upsert(RUN), row | numbers(connection, run))
            queued(connection, messages)

    def runs(self, limit: int = 50) -> Sequence[Run]:
        """The latest runs, newest first, by their number."""
        return self._newest(RUN.c.seq, limit)

    def begun(self, limit: int = 50) -> Sequence[Run]:
        """The runs that somebody began to apply, the one that was begun last first."""
        return self._newest(RUN.c.begun, limit)

    def _newest(self, number: sa.Column[int], limit: int) -> Sequence[Run]:
        with self._reading() as connection:
            newest = sa.select(RUN).where(number > 0).order_by(number.desc()).limit(limit)
            return [run_from(row) for row in connection.execute(newest).mappings()]

    def run(self, run_id: str) -> Run | None:
        """One run by its id, or by an unambiguous beginning of it.

        Raises:
            ConfigError: Several runs begin so; the message lists them.
        """
        begins = sa.func.substr(RUN.c.id, 1, len(run_id)) == run_id
        with self._reading() as connection:
            rows = connection.execute(sa.select(RUN).where(begins).order_by(RUN.c.id)).mappings().all()
            found = {run.id: run for run in map(run_from, rows)} if run_id else {}
        if run_id in found or len(found) <= 1:
            return found.get(run_id) or next(iter(found.values()), None)
        raise ConfigError(f"several runs begin with {run_id}: {', '.join(found)}. Give more of the id.")

    def worked(self, since: datetime) -> Sequence[Run]:
        """The runs that somebody began to apply since a moment, and those that are still at it or were cut short."""
        at_work = sa.or_(RUN.c.began >= since, RUN.c.state == RunState.APPLYING.value)
        with self._reading() as connection:
            rows = connection.execute(sa.select(RUN).where(at_work).order_by(RUN.c.seq)).mappings()
            return [run_from(row) for row in rows]

    def frozen(self, source: str) -> Mapping[str, str]:
        """The kinds of change of a source that wait for an answer, each with the run that was refused."""
        ours = sa.select(FROZEN.c.kind, FROZEN.c.run).where(FROZEN.c.source == source)
        with self._reading() as connection:
            return {row.kind: row.run for row in connection.execute(ours)}

    def change_frozen(self, source: str, add: Mapping[str, str], remove: Iterable[str] = ()) -> None:
        """Forget refusals that were answered, and note others."""
        gone = sa.delete(FROZEN).where(FROZEN.c.source == source, FROZEN.c.kind.in_(list(remove)))
        rows = [{"source": source, "kind": kind, "run": run} for kind, run in add.items()]
        with self._writing() as connection:
            connection.execute(gone)
            if rows:
                connection.execute(self._upsert(FROZEN), rows)

    def last_applied(self, source: str | None = None) -> Run | None:
        """The run (of one source, where one is named) that left the latest base, by the number in its name."""
        based = sa.select(RUN).where(RUN.c.base != "").order_by(RUN.c.base.desc(), RUN.c.begun.desc(), RUN.c.id.desc())
        based = based if source is None else based.where(RUN.c.source == source)
        with self._reading() as connection:
            row = connection.execute(based.limit(1)).mappings().one_or_none()
            return None if row is None else run_from(row)

    def forget_files(self, runs: Collection[str]) -> None:
        """Forget the names of the files that runs left."""
        listed = list(runs)
        with self._writing() as connection:
            for start in range(0, len(listed), CHUNK):
                some = RUN.c.id.in_(listed[start : start + CHUNK])
                connection.execute(sa.update(RUN).where(some).values(plan="", agreed="", base=""))

    def save_pin(self, pin: Pin) -> None:
        """Record a baseline; those before it are kept as history."""
        documents = {name: {"body": held.body, "tag": held.tag} for name, held in pin.documents.items()}
        row = {"target": pin.target, "at": pin.at, "actor": pin.actor, "documents": documents}
        row["left_out"] = list(pin.left_out)
        with self._writing() as connection:
            connection.execute(sa.insert(PIN), row)

    def pin(self, target: str) -> Pin | None:
        """The latest baseline of a target."""
        latest = sa.select(PIN).where(PIN.c.target == target).order_by(PIN.c.id.desc()).limit(1)
        with self._reading() as connection:
            row = connection.execute(latest).mappings().one_or_none()
            return None if row is None else pin_from(row)
