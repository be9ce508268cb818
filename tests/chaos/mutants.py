"""Bugs that are put into the engine on purpose, by name: a judge that finds none of them is none.

Each patches the code while one world is played, and takes the patch away again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace
from tests.chaos.disk import Disk
from tests.chaos.world import World

from scimsync.adapters import target_http, target_limits
from scimsync.adapters.target_guard import Versions
from scimsync.adapters.target_wire import Answer, Ask
from scimsync.core import ending, grouping, ladder, lifecycle, planner, replies, undoing
from scimsync.core.planner import Replanned
from scimsync.core.replies import Next
from scimsync.engine import account_writer, limiting, membership, settling, undone
from scimsync.engine.account_remover import AccountRemover
from scimsync.engine.attempts import Attempt
from scimsync.engine.journal import Journal
from scimsync.engine.ladder import Ladder
from scimsync.engine.run_journal import RunJournal
from scimsync.engine.searching import Search
from scimsync.engine.standing import Standing
from scimsync.model.audit import Record
from scimsync.model.events import Message
from scimsync.model.outcomes import Exchange, JournalLine, Outcome, Reply, Step
from scimsync.model.plans import Action
from scimsync.model.policy import Authority, Policy

Patch = tuple[Any, str, Any]


def _post_again() -> list[Patch]:
    """A creation whose answer was lost is sent again without a look."""

    async def nobody(self: Search, deltas: Any) -> None:
        del self, deltas

    options = World.options
    return [
        (Search, "patiently", nobody),
        (Search, "briefly", nobody),
        (World, "options", lambda self: replace(options(self), unique_logins=True)),
    ]


def _early_outcome() -> list[Patch]:
    """A line counts as durable before it is."""
    write = Journal.write

    async def sooner(
        self: Journal, line: JournalLine, record: Record | None = None, messages: Sequence[Message] = ()
    ) -> None:
        task = asyncio.ensure_future(write(self, line, record, messages))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    return [(Journal, "write", sooner)]


def _no_fence() -> list[Patch]:
    """Whoever lost the lease writes on."""
    return [(Disk, "fenced", False)]


def _no_if_match() -> list[Patch]:
    """A write goes out under no version."""
    return [(Versions, "match", lambda *_: "")]


def _lost_is_refused() -> list[Patch]:
    """A write whose answer was lost counts as refused, and is not settled."""

    def decided(reply: Reply) -> Next:
        return Next.HOLD if reply.exchange is Exchange.LOST else replies.decide(reply)

    return [(account_writer, "decide", decided)]


def _no_budget() -> list[Patch]:
    """A refused request is tried again for as long as it takes."""
    call = target_http.Client.call

    async def stubborn(self: target_http.Client, ask: Ask) -> Answer:
        return await call(self, replace(ask, throttles=10_000, failures=10_000))

    return [
        (target_http.Client, "call", stubborn),
        (target_limits.RetryBudget, "spend", lambda *_: True),
        (target_http, "TRIES", 10_000),
        (target_http, "LONGEST_PATIENCE_S", 1e9),
    ]


def _out_of_lane() -> list[Patch]:
    """Whoever leaves comes last."""
    return [(lifecycle, "turn", lambda change, _: 9 if change.action is Action.DISABLE else 1)]


def _wrong_person() -> list[Patch]:
    """One change is sent to the account of the change before."""
    begin, before = Attempt.__init__, list[str]()

    def confused(self: Attempt, means: Any, key: str, part: int, account: str) -> None:
        begin(self, means, key, part, before[-1] if account and before else account)
        if account:
            before.append(account)

    return [(Attempt, "__init__", confused)]


def _double_outcome() -> list[Patch]:
    """One change is settled twice."""
    settle = RunJournal.settle

    async def twice(self: RunJournal, change: Any, part: int, outcome: Outcome) -> Outcome:
        await settle(self, change, part, outcome)
        return await settle(self, change, part, outcome)

    return [(RunJournal, "settle", twice)]


def _old_operations() -> list[Patch]:
    """After a lost race the old operations go out again under the new version (the tutorial's)."""

    def again(deltas: Any, *_: Any) -> Replanned:
        return Replanned(writes=tuple(deltas))

    return [(planner, "replan", again)]


def _believes() -> list[Patch]:
    """A success is taken for done, whatever the account shows."""
    return [(Attempt, "is_doubtful", lambda *_: False), (planner, "unmet", lambda *_: [])]


def _no_intent() -> list[Patch]:
    """A PATCH leaves without an intent."""
    intend = RunJournal.intend

    async def silent(self: RunJournal, line: JournalLine, *more: Any) -> None:
        if line.method != "PATCH":
            await intend(self, line, *more)

    return [(RunJournal, "intend", silent)]


def _forgets_what_was_open() -> list[Patch]:
    """A run that is gone on with does not know what it had sent."""
    remember = Standing._remember

    def forgetful(self: Standing, line: JournalLine) -> None:
        if line.step is not Step.INTENT:
            remember(self, line)

    return [(Standing, "_remember", forgetful)]


def _disables_others() -> list[Patch]:
    """An update of somebody who is at work takes the access too."""
    operations = planner.operations_of

    def more(deltas: Any, attributes: Any) -> Any:
        from scimsync.scim.messages import Operation  # noqa: PLC0415

        found = operations(deltas, attributes)
        titles = [o for o in found if o.path == "title"]
        return (*found, Operation("replace", "active", False)) if titles else found

    return [(planner, "operations_of", more)]


def _first_reading() -> list[Patch]:
    """Whoever is missing once loses access."""
    return [(Ladder, "missing", lambda *_: True)]


def _same_reading() -> list[Patch]:
    """Two looks within minutes are two readings."""
    return [(ladder, "is_another", lambda *_: True)]


def _never_back() -> list[Patch]:
    """Whoever is back in the source stays on the rung where they were."""
    return [(ladder, "over", lambda *_: ())]


def _deletes_early() -> list[Patch]:
    """An account is deleted as soon as it is inactive."""
    return [(ending, "is_due", lambda *_: True)]


def _deletes_active() -> list[Patch]:
    """An account is deleted without a look whether it is active again."""

    held = AccountRemover.look

    async def look(self: AccountRemover, attempt: Attempt, gone: Any) -> Any:
        seen = await self.means.target.get(attempt.account)
        return seen if seen.ok and seen.version else await held(self, attempt, gone)

    return [(AccountRemover, "look", look)]


def _forgets_yesterday() -> list[Patch]:
    """A limit looks at one run alone."""
    past = limiting.past
    return [(limiting, "past", lambda *given, **more: replace(past(*given, **more), done={}))]


def _undoes_others() -> list[Patch]:
    """An undo gives the past back, whoever wrote since."""
    backwards = undoing.backwards

    def harder(*given: Any) -> Policy:
        policy = backwards(*given)
        hard = [replace(m, authority=Authority.LOCAL_WINS) if not m.is_shared else m for m in policy.attributes]
        return replace(policy, attributes=tuple(hard))

    return [(undoing, "backwards", harder)]


def _undone_in_vain() -> list[Patch]:
    """The next run does again what was taken back."""
    return [(undone, "leave", lambda comparison, store, changes, believed: undone.Left([*changes]))]


def _takes_all_out() -> list[Patch]:
    """A group is written with those alone whom a plan names: everybody else is taken out with whoever leaves."""
    operations = grouping.operations

    def more(batch: Any, form: Any, members: Any) -> Any:
        others = set(members) - set(batch.add)
        return operations(replace(batch, remove=tuple(sorted(others))) if batch.remove else batch, form, members)

    return [(grouping, "operations", more)]


def _forgets_members() -> list[Patch]:
    """Nothing is remembered of whom we put into a group, so nobody is ever taken out again."""
    return [(membership, "remember", lambda *_: None), (settling, "remember", lambda *_: None)]


MUTANTS: dict[str, Callable[[], list[Patch]]] = {
    "post-again": _post_again,
    "early-outcome": _early_outcome,
    "no-fence": _no_fence,
    "no-if-match": _no_if_match,
    "lost-is-refused": _lost_is_refused,
    "no-budget": _no_budget,
    "out-of-lane": _out_of_lane,
    "wrong-person": _wrong_person,
    "double-outcome": _double_outcome,
    "old-operations": _old_operations,
    "believes": _believes,
    "no-intent": _no_intent,
    "forgets-open": _forgets_what_was_open,
    "disables-others": _disables_others,
    "first-reading": _first_reading,
    "same-reading": _same_reading,
    "never-back": _never_back,
    "deletes-early": _deletes_early,
    "deletes-active": _deletes_active,
    "forgets-yesterday": _forgets_yesterday,
    "takes-all-out": _takes_all_out,
    "forgets-members": _forgets_members,
    "undoes-others": _undoes_others,
    "undone-in-vain": _undone_in_vain,
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Play with one bug; with none where the name is empty."""
    patches = MUTANTS[name]() if name else []
    held = [(where, what, where.__dict__[what]) for where, what, _ in patches]
    try:
        for where, what, new in patches:
            setattr(where, what, new)
        yield
    finally:
        for where, what, old in held:
            setattr(where, what, old)
