"""How a run stands: what came of each part of its plan, what was left open, what can be written by now, why it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from scimsync.core import grouping, leaving, logins
from scimsync.errors import TargetError
from scimsync.model.outcomes import Deferred, JournalLine, Outcome, Reply, Run, Status, Step
from scimsync.model.plans import BESIDES, ITSELF, LOGIN, Change, Delta, Plan, Verdict
from scimsync.model.reports import Report

GOOD = frozenset({Status.DONE, Status.ALREADY})
_FINAL = {*GOOD, Status.HELD, Status.FAILED}
#: the parts that the work on one person may have
_PARTS = (ITSELF, ITSELF + 1, BESIDES, BESIDES + 1)


class Standing:
    """What is known of one run while a plan is carried out.

    Args:
        plan: the plan.
        run: its run, as it was before.
        lines: what was journalled of it before.
        stop: when set, no new change is begun.
    """

    def __init__(self, plan: Plan, run: Run, lines: Iterable[JournalLine], stop: asyncio.Event) -> None:
        self.plan, self.stop = plan, stop
        self._run = run
        #: (key, part) -> what came of it
        self.outcomes: dict[tuple[str, int], Outcome] = {}
        #: (key, part) of what was intended and has no outcome -> the methods of its requests, in their order
        self.open: dict[tuple[str, int], tuple[str, ...]] = {}
        #: (key, part) of what this process wrote under the version of the plan, and read nothing for it
        self.straight: set[tuple[str, int]] = set()
        #: accounts that this run made -> key
        self.born: dict[str, str] = {}
        #: why no more groups may be written
        self.halted = ""
        #: why the target let us down; whoever is at work then comes to an end, and no more is begun
        self.failed: TargetError | None = None
        self._why = ""
        #: a chunk is done, and the run goes on later
        self.paused = False
        self._groups = {group.key for group in plan.groups}
        for line in lines:
            self._remember(line)

    def _remember(self, line: JournalLine) -> None:
        part = (line.key, line.part)
        if line.step is Step.INTENT:
            self.open[part] = (*self.open.get(part, ()), line.method)
        elif line.outcome is not None:
            self.open.pop(part, None)
            if line.outcome.status in _FINAL:
                self.outcomes[part] = line.outcome
                if line.outcome.account and line.outcome.code != "account.gone":
                    self.born[line.outcome.account] = line.key
                if line.outcome.code == grouping.HARMED and line.key in self._groups:
                    self.halted = line.outcome.detail

    # --- why it ends ------------------------------------------------------------------------

    def fail(self, error: TargetError) -> None:
        """The target let us down."""
        self.failed = self.failed or error
        self.stop.set()

    def defer(self, reply: Reply, now: datetime) -> None:
        """Stop the run where the target wants a longer pause than we wait."""
        if reply.retry_after_s is not None:
            at = now + timedelta(seconds=reply.retry_after_s)
            self._why = f"the target wants no request before {at:%H:%M} UTC; apply the plan again then"
        elif reply.status == 429:
            self._why = "the target keeps throttling; apply the plan again later"
        if self._why:
            self.stop.set()

    def pause(self) -> None:
        """Begin nothing more for now; whoever carries the plan out again goes on."""
        self.paused = self.paused or not self.stop.is_set()
        self.stop.set()

    def halt(self, why: str) -> None:
        """Begin nothing more."""
        self._why = self._why or why
        self.stop.set()

    def halt_groups(self, why: str) -> None:
        """Write no more groups: a write took members away that were not ours."""
        self.halted = why

    # --- what can be written by now ---------------------------------------------------------

    def written(self, change: Change) -> tuple[list[Delta], tuple[str, ...]]:
        """What the first pass writes, and the paths it leaves out because what they wait for is not there."""
        ready, left_out = self.ready(change.awaiting)
        return [*(d for d in change.deltas if d.verdict is Verdict.WRITE), *ready], left_out

    def ready(self, waiting: Iterable[Delta]) -> tuple[list[Delta], tuple[str, ...]]:
        """Of what waits for others, what can be written by now, and the paths of the rest."""
        ready: list[Delta] = []
        left_out: list[str] = []
        for delta in waiting:
            awaits = delta.awaits or ""
            account = self.settled_account(awaits)
            if delta.path == LOGIN and logins.is_given_up(delta, self.of(awaits)):
                ready.append(replace(delta, verdict=Verdict.WRITE))
            elif delta.path != LOGIN and account is not None:
                ready.append(_filled(delta, account))
            else:
                left_out.append(delta.path)
        return ready, tuple(left_out)

    def later(self, change: Change) -> tuple[Delta, ...]:
        """What is left to the second pass, by the plan or because what it waits for was not there."""
        first = self.outcomes.get((change.key, change.part))
        left_out = first.deferred if first is not None and first.status is not Status.DEFERRED else ()
        return (*change.deferred, *(d for d in change.awaiting if d.path in left_out))

    def of(self, key: str) -> list[Outcome]:
        """What came of one person so far."""
        return [found for part in _PARTS if (found := self.outcomes.get((key, part))) is not None]

    def settled_account(self, key: str) -> str | None:
        """The account that this run made for a person; one that does not show all that was sent is theirs, too."""
        made = self.outcomes.get((key, 1))
        if made is None or (made.status in {Status.HELD, Status.FAILED} and made.code != "write.mismatch"):
            return None
        return made.account

    def version(self, change: Change) -> str:
        """What a change is written under: the version of the plan, or the one that taking the access away left."""
        before = self.outcomes.get((change.key, ITSELF)) if change.part == BESIDES else None
        return change.version if before is None else before.version

    def is_seen(self, change: Change) -> bool:
        """Whether the account under that version is the one that the plan saw, but for what we wrote."""
        before = (change.key, ITSELF)
        return change.part != BESIDES or before not in self.outcomes or before in self.straight

    # --- the end ----------------------------------------------------------------------------

    def report(self) -> Report:
        """What came of it so far."""
        parts: dict[str, tuple[Outcome, ...]] = {}
        for (key, _), outcome in sorted(self.outcomes.items()):
            parts[key] = (*parts.get(key, ()), outcome)
        wanted = [(c.key, c.part) for c in self.plan.changes if c.is_sent]
        wanted += [(c.key, c.part + 1) for c in self.plan.changes if self.later(c)]
        wanted += [(group.key, 1) for group in self.plan.groups]
        left = dict.fromkeys(key for key, part in wanted if (key, part) not in self.outcomes)
        stopped = (
            str(self.failed or "") or self._why or ("stopped by you" if self.stop.is_set() and not self.paused else "")
        )
        kept = leaving.by_run(self.plan, self.outcomes)
        return Report(run=self._run.id, outcomes=parts, left=tuple(left), stopped=stopped, kept=kept)

    def waiting(self) -> tuple[list[Deferred], list[tuple[str, str]]]:
        """The references that still wait for an account, and the (key, path) of those that were set."""
        waiting, settled = [], []
        for change in self.plan.changes:
            references = [d for d in (*change.awaiting, *change.deferred) if d.path != LOGIN]
            if not references:
                continue
            first, second = (self.outcomes.get((change.key, change.part + number)) for number in (0, 1))
            written = {path for part in (first, second) if part is not None for path in part.written}
            left = {d.path for d in change.deferred} | set(first.deferred if first is not None else ())
            if second is not None and second.status is not Status.DEFERRED:
                left = set()
            for delta in references:
                if delta.path in written:
                    settled.append((change.key, delta.path))
                elif delta.path in left:
                    awaits = delta.awaits or ""
                    waiting.append(Deferred(change.key, delta.path, awaits, self._run.id, self._run.created))
        return waiting, settled


def _filled(delta: Delta, account: str) -> Delta:
    """A reference whose account is known by now."""
    return replace(delta, verdict=Verdict.WRITE, sides=replace(delta.sides, desired=account))
