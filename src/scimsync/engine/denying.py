"""When the target forbids one person after another the same, it forbids it to our client: the run ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from scimsync.core import rights
from scimsync.core.replies import UNNAMED, forbidden
from scimsync.engine.ports import Authorization
from scimsync.errors import TargetDenied, TargetError
from scimsync.model.outcomes import Outcome, Reply
from scimsync.model.plans import Change, Verdict

#: people who are refused alike before the run ends
MOST_ALIKE = 3
_WRITTEN = frozenset({Verdict.WRITE, Verdict.AWAIT, Verdict.DEFER})


class Denials:
    """The refusals (403) of one run.

    One that names a division, or that is about paths which were written for somebody else in this run, is about the
    person, and so is one for a permission that the target says we have.
    """

    def __init__(self, target: Authorization) -> None:
        self._target = target
        #: key -> the refusal that its outcome rests on
        self._said: dict[str, Reply] = {}
        #: what is missing -> key -> what was to be written: whether for a new account, path
        self._alike: dict[str, dict[str, frozenset[tuple[bool, str]]]] = {}
        self._written: set[tuple[bool, str]] = set()
        #: what was judged already
        self._judged: set[str] = set()
        #: whoever comes with another outcome meanwhile waits, and begins nothing more
        self._judging = asyncio.Lock()

    def refused(self, key: str, reply: Reply) -> None:
        """A write was refused."""
        self._said[key] = reply

    async def judge(self, change: Change, outcome: Outcome) -> TargetDenied | None:
        """Why the run had better end, with the outcome of one change; None where it may go on."""
        async with self._judging:
            return await self._judge(change, outcome)

    async def _judge(self, change: Change, outcome: Outcome) -> TargetDenied | None:
        is_new = change.account is None
        self._written |= {(is_new, path) for path in outcome.written}
        reply = self._said.pop(change.key, None)
        missing = forbidden(reply) if reply is not None else ""
        if reply is None or not missing or missing in self._judged:
            return None
        alike = self._alike.setdefault(missing, {})
        alike[change.key] = frozenset((is_new, delta.path) for delta in change.deltas if delta.verdict in _WRITTEN)
        left = [wanted - self._written for wanted in alike.values() if not wanted <= self._written]
        if len(left) < MOST_ALIKE:
            return None
        self._judged.add(missing)
        names = [name for name in missing.split(", ") if name.count(":") == 2]
        one_will_do = reply.error is not None and ".any." in reply.error.code
        if names and await self._is_held(names, any if one_will_do else all):
            return None
        needs = sorted({path for _, path in frozenset.intersection(*left)})
        needed = f", needed for {', '.join(needs)}" if needs else ""
        if not names and missing != UNNAMED:
            return TargetDenied(
                f'The target refused {len(left)} people alike (403): "{missing}"{needed}. Give our token or client the '
                "right to write this; then apply the plan again. What was done stays, and no more was begun."
            )
        lacks = f"has none of {missing}" if one_will_do and len(names) > 1 else f"lacks {missing}"
        return TargetDenied(
            f"The target refused {len(left)} people alike (403): the OAuth client {lacks}{needed}. Add it to a role of "
            "the client, in every division; then apply the plan again. What was done stays, and no more was begun. "
            "scimsync doctor tells all that is missing."
        )

    async def _is_held(self, names: Sequence[str], enough: Callable[[Iterable[bool]], bool]) -> bool:
        """Whether the target says that we have what it said we lack; then it is about the people."""
        try:
            granted = (await self._target.rights()).granted
        except TargetError:
            return False
        return bool(granted) and enough(rights.is_held(name, granted or {}) for name in names)
