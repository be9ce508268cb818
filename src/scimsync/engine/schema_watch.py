"""When the target refuses one person after another alike, its schema is read again: it may have changed in the run.

A provider that takes an attribute away at noon refuses everybody whose title is written after. What the plan rests on
is no more, so the run ends as it would not have begun: with what changed, where the mapping writes.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from scimsync.core import drifting
from scimsync.core.drifting import Baseline
from scimsync.engine.ports import Target
from scimsync.engine.state import Pins
from scimsync.errors import SchemaDrifted, TargetError
from scimsync.model.outcomes import Reply
from scimsync.model.policy import Policy
from scimsync.scim.dialect import Dialect

#: people who are refused alike before the schema is read again
MOST_ALIKE = 3
#: a write answered so is about what was written
_ABOUT_VALUES = frozenset({400, 422})


class Described(Protocol):
    """Of the ports of applying: who describes itself, and what it said before."""

    @property
    def target(self) -> Target:
        """Who is asked."""
        ...

    @property
    def store(self) -> Pins:
        """Where its pin is."""
        ...


class SchemaWatch:
    """The writes of one run that were refused for what they wrote."""

    def __init__(self, ports: Described, policy: Policy, dialect: Dialect | None) -> None:
        self._ports, self._policy, self._dialect = ports, policy, dialect
        #: how it was refused -> whose writes
        self._alike: dict[tuple[int, str], set[str]] = {}
        self._looked: set[tuple[int, str]] = set()
        self._looking = asyncio.Lock()

    def refused(self, key: str, reply: Reply) -> None:
        """A write was refused."""
        if reply.status in _ABOUT_VALUES:
            kind = (reply.error.scim_type or reply.error.code).lower() if reply.error is not None else ""
            self._alike.setdefault((reply.status, kind), set()).add(key)

    async def judge(self) -> SchemaDrifted | None:
        """Why the run had better end; None where the schema is what it was, or nobody can tell."""
        async with self._looking:
            fresh = {how for how, keys in self._alike.items() if len(keys) >= MOST_ALIKE} - self._looked
            if not fresh or self._dialect is None:
                return None
            self._looked |= fresh
            return await self._compared(self._dialect)

    async def _compared(self, dialect: Dialect) -> SchemaDrifted | None:
        target = self._ports.target
        pin = self._ports.store.pin(target.name)
        baseline = Baseline.of(pin, dialect)
        try:
            found = await target.describe(pin.documents if pin else None)
        except TargetError:  # the writes tell how it is
            return None
        rulings = drifting.judge(baseline, found, self._policy, dialect.users)
        blocking = tuple(f"{ruling.drift} ({ruling.hint})" for ruling in rulings if ruling.blocks)
        return SchemaDrifted(baseline.name, blocking, begun=True) if blocking else None
