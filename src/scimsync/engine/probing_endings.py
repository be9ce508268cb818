"""The experiments on the end of an account: what becomes of it when it is made inactive, and when it is deleted."""

from __future__ import annotations

from dataclasses import dataclass

from scimsync.core import probing
from scimsync.engine.laboratory import Specimen
from scimsync.engine.probing_writing import Writing
from scimsync.model.probing import USERS
from scimsync.scim.forms import truth
from scimsync.scim.grammar import lookup

#: pages that are looked through for an account, from the end
_LOOKED_THROUGH = 3


@dataclass
class Ending:
    """How an account of ours ends.

    Args:
        writing: How it is changed.
    """

    writing: Writing

    async def disable(self, mine: Specimen) -> None:
        """What becomes of it when it is made inactive."""
        entry = "accounts.disabled"
        if self.writing.way is None:
            self.writing.findings.lack("no change is taken", entry)
            return
        before, listed = await self._listed(mine)
        heard = await self.writing.change(mine, [self.writing.activity(active=False)])
        after = await self.writing.lab.get(USERS, mine.identity)
        inactive = after.ok and truth(lookup(after.resource, "active")) is not True
        total, still = await self._listed(mine) if inactive else (0, None)
        found = probing.disabled(after, asked=heard, listed=still if listed else None)
        await self.writing.change(mine, [self.writing.activity(active=True)])
        if inactive and (still is None or not listed):
            # too many to be looked through: their number tells, if it comes back
            again, _ = await self._listed(mine)
            if again == before > 0 and total in {before, before - 1}:
                found = probing.disabled(after, asked=heard, listed=total == before)
        self.writing.findings.settle(entry, found)
        if after.ok and heard.ok and not inactive:
            self.writing.findings.remarks.append(f"an account does not become inactive: {found}")
        if after.status in {404, 410} and not (await self.writing.lab.see(mine)).ok:
            self.writing.lab.left.append(
                f"{mine.what}: it is not found since it was made inactive, and did not come back"
            )

    async def _listed(self, mine: Specimen) -> tuple[int, bool | None]:
        """How many accounts are listed, and whether ours is; None where there are too many to look through."""
        if self.writing.lab.lag_s:
            await self.writing.lab.clock.sleep(self.writing.lab.lag_s)
        found = self.writing.findings.value("paging.largest", 100)
        size = min(found if isinstance(found, int) else 100, 100)
        start = 0 if self.writing.findings.value("paging.first_index") == 0 else 1
        first = await self.writing.lab.page(USERS, count=size, **self.writing.reading.narrow)
        if not first.ok or mine.identity in first.ids:
            return first.total, True if first.ok else None
        at = first.total + start - size
        for _ in range(_LOOKED_THROUGH):
            if at <= start - size:
                return first.total, False
            page = await self.writing.lab.page(
                USERS, startIndex=max(at, start), count=size, **self.writing.reading.narrow
            )
            if mine.identity in page.ids:
                return first.total, True
            at -= size
        return first.total, None

    async def end(self, mine: Specimen) -> None:
        """What becomes of it when it is deleted."""
        heard, after = await self.writing.lab.remove(mine)
        found = probing.deleted(heard, after)
        self.writing.findings.settle("accounts.deleted", found)
        stays = after is not None and after.ok and truth(lookup(after.resource, "active")) is not False
        if stays and self.writing.way is not None:
            await self.writing.change(mine, [self.writing.activity(active=False)])
