"""Whose an account is, and whose it may become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from scimsync.core.identity import parted
from scimsync.engine.state import Artifacts, Links
from scimsync.model.outcomes import Reply
from scimsync.model.plans import Delta, Plan
from scimsync.model.policy import Mapped
from scimsync.scim.schema import Place
from scimsync.workbench.agreed import unremembered
from scimsync.workbench.bench import Workbench
from scimsync.workbench.past import agreed_with, stage_links


class OwnersState(Links, Artifacts, Protocol):
    """Of the state: who is linked, and who was paired with whom."""


class Owners:
    """Knows whose an account is: by the plan, by what its run made, or by a link.

    Args:
        plan: the plan that is carried out.
        store: the links, and whom planning paired.
        agreed: name of the artifact that tells of these pairs.
        places: the mapped paths that people are matched by.
        born: accounts that the run made -> key; it grows.
    """

    def __init__(
        self, plan: Plan, store: OwnersState, agreed: str, places: Sequence[Place], born: Mapping[str, str]
    ) -> None:
        self._plan, self._store, self._agreed, self._places, self._born = plan, store, agreed, places, born
        self._parted = frozenset(parted(store.link_decisions()))
        self._known: dict[str, str] | None = None

    def of(self, account: str) -> str | None:
        """The key whose account it is; None where it is nobody's."""
        return self._present(account) or self._store.owner_of(account)

    def is_former(self, account: str, active: Mapped) -> bool:
        """Whether it is only remembered, as the account of somebody who left: both sides agreed that it is inactive."""
        owner = self._store.owner_of(account)
        if owner is None or self._present(account) is not None:
            return False
        agreed = self._store.artifact(self._agreed)
        with Workbench(agreed.parent) as bench:
            return agreed_with(bench, agreed, owner, [active]).get(active.path) is False

    def _present(self, account: str) -> str | None:
        """The key whose account it is, by the plan or by what its run made."""
        if self._known is None:
            self._known = {c.account: c.key for c in self._plan.changes if c.account} | self._paired()
        return self._born.get(account) or self._known.get(account)

    def is_parted(self, key: str, account: str) -> bool:
        """Whether somebody said that these two are not one person."""
        return (key, account) in self._parted

    def fits(self, deltas: Iterable[Delta], found: Reply, *, but: str = "") -> bool:
        """Whether an account carries nobody else's key: where it has a value to match by, it is ours."""
        wanted = {delta.path: delta.sides.desired for delta in deltas}
        for place in self._places:
            held = place.read(found.body or {}) if place.short != but else None
            if held is not None and not place.alike(held, wanted.get(place.short)):
                return False
        return True

    def whose(self, key: str, deltas: Iterable[Delta], found: Reply) -> str | None:
        """The key that an account may be taken for: ours where it is nobody's and carries nobody else's mark."""
        account = str((found.body or {}).get("id", ""))
        owner = self.of(account)
        if owner is not None:
            return owner
        if not self.fits(deltas, found) or self.is_parted(key, account):
            return None
        return key

    def _paired(self) -> dict[str, str]:
        """Who was found for whom while planning, and is not linked yet."""
        agreed = self._store.artifact(self._agreed)
        with Workbench(agreed.parent) as bench:
            stage_links(bench, self._store.links())
            return {account: key for key, account in unremembered(bench, agreed)}


def whose(owner: str | None) -> str:
    """Whose account it is, for people to read."""
    return f"linked to {owner}" if owner is not None else "not known to be this person's"
