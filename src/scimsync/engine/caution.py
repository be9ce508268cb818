"""Learn during a run which kinds of writes leave alone what is not ours, and stop those that do not.

Where nothing is known of a provider, an account is read before a kind of write that is not proven yet. The
first account of a kind that has something to lose is written alone, and compared, before any other is. Whoever comes
while the first of a kind is under way waits for what it shows: mostly that no more accounts need be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager

from scimsync.core import harm
from scimsync.core.harm import Kind
from scimsync.scim.messages import Operation


class Caution:
    """What one run knows of the writes of one target."""

    def __init__(self, *, trusting: bool) -> None:
        #: what is not ours is documented to stay
        self._trusting = trusting
        self._proven: set[Kind] = set()
        self._harmful: set[Kind] = set()
        self._trying: set[Kind] = set()
        #: the kinds of which the first is under way, and those of which there was one
        self._first: set[Kind] = set()
        self._begun: set[Kind] = set()
        self._free = asyncio.Condition()
        #: a write under an old version was accepted: versions guard nothing
        self.unguarded = False

    def wants_sight(self, operations: Iterable[Operation]) -> bool:
        """Whether the account had better be read before these are sent."""
        return self.unguarded or (not self._trusting and bool(self._unsure(harm.kinds(operations))))

    @asynccontextmanager
    async def opened(self, operations: Collection[Operation]) -> AsyncIterator[None]:
        """Be the first of a kind, or wait for whoever is. The first waits for nobody, so no two wait for each other."""
        wanted = frozenset() if self._trusting else self._unsure(harm.kinds(operations))
        new = wanted - self._begun
        self._begun |= new
        self._first |= new
        if not new:
            async with self._free:
                await self._free.wait_for(lambda: not self._first & self._unsure(wanted))
        try:
            yield
        finally:
            if new:
                async with self._free:
                    self._first -= new
                    self._free.notify_all()

    @asynccontextmanager
    async def turn(self, operations: Collection[Operation], before: Mapping[str, object] | None) -> AsyncIterator[None]:
        """Wait until nobody tries a kind of write that this one would try too.

        Args:
            operations: What shall be sent.
            before: The account as it was read; None where it was not, and then nothing is tried.
        """
        wanted = harm.at_stake(before, operations) if before is not None else frozenset()
        trying: frozenset[Kind] = frozenset()
        if self._unsure(wanted):
            async with self._free:
                await self._free.wait_for(lambda: not self._trying & self._unsure(wanted))
                trying = self._unsure(wanted)
                self._trying |= trying
        try:
            yield
        finally:
            if trying:
                async with self._free:
                    self._trying -= trying
                    self._free.notify_all()

    def stopped(self, operations: Iterable[Operation]) -> frozenset[str]:
        """The attributes, in lower case and with their URN, that are written in a way that did harm."""
        return frozenset(kind.root for kind in harm.kinds(operations) & self._harmful)

    def learn(self, operations: Collection[Operation], before: Mapping[str, object], lost: Collection[str]) -> None:
        """Take note of what a write did to what is not ours: the attributes that lost something are to blame."""
        tried = harm.at_stake(before, operations)
        roots = {path.lower() for path in lost}
        blamed = {kind for kind in tried if kind.root in roots or any(r.startswith(f"{kind.root}.") for r in roots)}
        self._harmful |= (blamed or harm.kinds(operations)) if lost else set()
        self._proven |= tried if not lost else set()

    def _unsure(self, kinds: Collection[Kind]) -> frozenset[Kind]:
        return frozenset(kinds) - self._proven - self._harmful
