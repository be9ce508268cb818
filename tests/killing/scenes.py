"""What is killed: each command that writes, from the first start to the way back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tests.killing.points import ENVIRON, Point, When
from tests.killing.scene import KILLED, Database, Receiver, Scene, change_hr, keep, prepared, restore
from tests.old_states import BACK_TO_0012
from tests.runs import House

#: what an operator types
Words = tuple[str, ...]
SYNC: Words = ("sync",)
PLAN: Words = ("plan",)
APPLY: Words = ("apply", "--yes")
DELIVER: Words = ("webhooks", "deliver")
CHECKPOINT: Words = ("audit", "checkpoint")
GC: Words = ("state", "gc")
RENEW: Words = ("state", "renew", "--reason", "the disk was lost")
#: opens the state to write, and brings it up to date, whatever it was
LOOK: Words = ("webhooks",)


class Stage:
    """The house, brought to where each scene begins."""

    def __init__(self, home: House, database: Database, receiver: Receiver) -> None:
        self.home, self.database, self.receiver = home, database, receiver
        self.born = self._keep("born")
        self._played(LOOK)
        self._played(SYNC)
        change_hr(home)
        self.changed = self._keep("changed")

    def scenes(self) -> Iterator[Scene]:
        """All of them, one after the other: each is played before the next begins."""
        yield self._scene("birth", LOOK, [(LOOK, SYNC)], self.born)
        yield self._scene("plan", PLAN, [(PLAN, APPLY), (SYNC,)], self.changed)
        self._from(self.changed, PLAN)
        planned = self._keep("planned")
        yield self._scene("apply", APPLY, [(APPLY,), (SYNC,), (PLAN, APPLY)], planned)
        yield replace(self._scene("fail-over", APPLY, [(APPLY, SYNC), (SYNC,)], planned), forgets=True)
        for name, point, words in (
            ("settle a creation", Point("POST /api/v2/scim/v2/Users", 2), APPLY),
            ("settle a change", Point("PATCH /api/v2/scim/v2/Users/#", 2), PLAN),
            ("settle a group", Point("PATCH /api/v2/scim/v2/Groups/#", 1), PLAN),
        ):
            self._from(self.changed, PLAN)
            self._die(point)
            ways = [(APPLY, SYNC), (SYNC,)] if words == APPLY else [(words, APPLY), (SYNC,)]
            yield self._scene(name, words, ways, self._keep(name.replace(" ", "-")))
        self._from(self.changed, SYNC)
        done, run = self._keep("done"), self.home.runs()[0].id
        undo = ("undo", run, "--apply", "--yes")
        yield self._scene("undo", undo, [(APPLY, undo), (SYNC, undo)], done)
        yield self._scene("erase", ("audit", "erase", "E00003", "--yes", "--reason", "asked"), [()], done)
        self._from(self.changed, PLAN)
        self._die(Point("commit: insert checkpoint", 1), "before")  # else there is nothing new to sign
        yield self._scene("checkpoint", CHECKPOINT, [(CHECKPOINT,), (SYNC,)], self._keep("unsigned"))
        yield self._scene("renew", RENEW, [(RENEW, SYNC), (SYNC,)], self.changed)
        self._from(done)
        self.database.execute(self.home.folder, "UPDATE outbox SET due = created, state = 'pending', delivered = NULL")
        yield self._scene("deliver", DELIVER, [(DELIVER,), (SYNC,)], self._keep("undelivered"))
        self._from(done)
        for number in range(4):
            self.home.set(self.home.people[5], job_title=f"Title {number}")
            self._played(SYNC)
        yield self._scene("gc", GC, [(GC,), (SYNC,)], self._keep("old"), ahead=30)
        self._from(self.changed)
        self.database.execute(self.home.folder, *BACK_TO_0012)
        yield self._scene("migrate", LOOK, [(LOOK, SYNC), (SYNC,)], self._keep("earlier"))

    def _scene(self, name: str, words: Words, ways: Sequence[Sequence[Words]], begins: object, ahead: int = 0) -> Scene:
        return Scene(self.home, self.database, self.receiver, words, ways, begins, name=name, ahead=ahead)

    def _keep(self, name: str) -> object:
        return keep(self.home, self.database, self.receiver, name)

    def _from(self, moment: object, *commands: Words) -> None:
        restore(self.home, self.database, self.receiver, moment)
        for words in commands:
            self._played(words)

    def _played(self, words: Words) -> None:
        said = self.home.command(*words)
        assert said.code in {0, 11}, said.err

    def _die(self, point: Point, when: When = "after") -> None:
        """Let an apply die: when a request was carried out and nobody heard of it, where nothing else is said."""
        log = self.home.folder.parent / "points-before"
        self.home.environ[ENVIRON] = json.dumps({"log": str(log), "kill": [*point, when], "ahead": 0, "mutant": ""})
        assert self.home.command(*APPLY).code == KILLED
        del self.home.environ[ENVIRON]


@contextlib.contextmanager
def staged(folder: Path, postgres: str = "") -> Iterator[Stage]:
    """The stage on SQLite, or on a database of a PostgreSQL server."""
    with prepared(folder, postgres) as (home, database, receiver):
        yield Stage(home, database, receiver)
